"""Which state of the code a benchmark measures."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]


def commit():
    """The commit of this checkout, with "-dirty" if its Python code was changed; "" without git."""
    try:
        head = git("rev-parse", "--short", "HEAD").stdout.strip()
        changed = git("diff", "--quiet", "HEAD", "--", "*.py").returncode
    except OSError:
        return ""
    return f"{head}-dirty" if head and changed else head


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
