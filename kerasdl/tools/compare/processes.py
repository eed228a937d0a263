"""Starts one worker process after the other: they must not disturb each other's times."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import numpy

import kerasdl
from kerasdl.core.errors import TrainingFailed

# Memory that is only set aside, not used, would hide what a backend needs on a GPU.
SETTINGS = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def measure(job, folder):
    """Lets a process of its own do a job.

    Args:
        job: See `kerasdl.tools.compare.backends`.
        folder: An empty folder for its files.

    Returns:
        The worker's result and the mapping of its arrays; the result has the one key "error" if
        the worker failed, which is one line.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    job_file = folder / "job.json"
    job_file.write_text(json.dumps({**job, "out": str(folder)}), encoding="utf-8")
    command = [sys.executable, "-m", "kerasdl.tools.compare.worker", str(job_file)]
    try:
        with open(folder / "log.txt", "wb") as log, _ending_with_sigterm():
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(job["backend"]),
                check=False,
            ).returncode
    except OSError as error:
        raise TrainingFailed(f"no process can be started ({error.strerror})") from error
    result_file = folder / "result.json"
    if not result_file.exists():
        return {"error": _ended(code, folder / "log.txt")}, {}
    result = json.loads(result_file.read_text(encoding="utf-8"))
    if "error" in result:
        return result, {}
    with numpy.load(folder / "arrays.npz") as stored:
        return result, dict(stored)


@contextlib.contextmanager
def _ending_with_sigterm():
    """Makes SIGTERM an exception, at which `subprocess.run` ends the worker as well."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def end(number, frame):
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def environment(backend):
    """The environment of a worker: this one, the backend, and where kerasdl lies."""
    root = str(pathlib.Path(kerasdl.__file__).parents[1])
    path = os.environ.get("PYTHONPATH")
    return {
        **SETTINGS,
        **os.environ,
        "KERAS_BACKEND": backend,
        # The program may have been started from a folder that Python does not search by itself.
        "PYTHONPATH": os.pathsep.join([root, path] if path else [root]),
    }


def _ended(code, log):
    """One line on a worker that left no result."""
    if code == -9:
        return "killed from outside, probably because memory ran out (a smaller --batch-size helps)"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    how = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"{how}: {lines[-1][:200]}" if lines else how
