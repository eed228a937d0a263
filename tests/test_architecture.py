"""The rooms and who may enter them, read from the sources."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

import kerasdl

PACKAGE = pathlib.Path(kerasdl.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
FRAMEWORKS = {"tensorflow", "jax", "torch", "keras_cv", "tensorflow_datasets"}

# Rooms that know each other; what is not listed must not be imported. The files of the package's
# top level are the places where rooms meet.
MAY_IMPORT = {
    "colors": {"colors"},
    "losses": {"losses", "colors", "distribution", "config", "errors"},
    "metrics": {"metrics", "colors", "errors"},
    "distribution": {"distribution", "machine", "signals", "errors"},
    "models": {"models", "config", "errors"},
    "tasks": {"tasks", "losses", "metrics", "colors", "config", "errors"},
    "data": {"data", "config", "errors"},
    "report": {"report", "errors", "files", "data"},
}


def imports(path, top_level_only=False):
    """Full names of the modules that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            if node.module == "kerasdl":
                yield from (f"kerasdl.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms(path):
    room = path.relative_to(PACKAGE).parts[0]
    assert not FRAMEWORKS & {name.partition(".")[0] for name in imports(path, True)}
    if room in MAY_IMPORT:
        used = {name.split(".")[1] for name in imports(path) if name.startswith("kerasdl.")}
        assert used <= MAY_IMPORT[room]


def test_nothing_unsafe():
    pattern = re.compile(
        r"\bpickle\b|allow_pickle=True|safe_mode=False|\beval\(|\bexec\(|extract=True"
        r"|LOAD_TRUNCATED_IMAGES = True|yaml\.load|torch\.load"
    )
    found = [
        f"{path.name}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.process
def test_help_imports_no_framework():
    code = (
        "import sys; from kerasdl.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'keras', 'numpy', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert "Examples:" in run.stdout
