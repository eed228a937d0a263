"""Worker processes: one backend each, JSON lines over pipes, one-line errors.

`Worker("module:function", job, backend)` starts a process that calls the function with the job and
sends what the returned generator yields: the first result at once, each further one on request. A
worker whose parent has died exits, whatever it is computing.
"""

import contextlib
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import traceback

import kerasdl
from kerasdl.core import registry
from kerasdl.core.errors import KerasdlError

# Preallocated memory would hide what a backend needs on a GPU.
SETTINGS = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


class WorkerFailed(Exception):
    """A worker gave no result; the text is one line."""


class WorkerTimeout(WorkerFailed):
    """A worker took too long and was terminated."""


class Worker:
    """A process that works with one backend; a context manager that terminates it.

    Args:
        work: Function as "module:function", job -> iterable of mappings of JSON types. A result
            with the key "error" is a failure.
        job: Argument of the function, JSON types.
        backend: Value of KERAS_BACKEND in the process.
        timeout: Maximum seconds per result, or None.

    Raises:
        WorkerFailed: The process cannot be started.
    """

    def __init__(self, work: str, job, backend: str, timeout: float | None = None):
        self.timeout = timeout
        self._log = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kerasdl.tools.workers"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                encoding="utf-8",
                env=_environment(backend),
            )
        except OSError as error:
            raise WorkerFailed(f"the process cannot be started ({error.strerror})") from error
        self._results = queue.SimpleQueue()
        # Not every system can read a pipe with a timeout, but a queue can.
        threading.Thread(target=self._receive, daemon=True).start()
        self._send(json.dumps({"work": work, "job": job}))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def read(self) -> dict:
        """The next result.

        Raises:
            WorkerFailed: The worker failed or died.
            WorkerTimeout: It took longer than the time limit.
        """
        try:
            line = self._results.get(timeout=self.timeout)
        except queue.Empty:
            self.close()
            raise WorkerTimeout(f"took longer than {self.timeout} s") from None
        if not line:
            raise WorkerFailed(self._how_it_ended())
        result = json.loads(line)
        if "error" in result:
            raise WorkerFailed(result["error"])
        return result

    def turn(self) -> dict:
        """Requests the worker's next result and reads it; raises as `read` does."""
        self._send("")
        return self.read()

    def close(self) -> None:
        """Terminates the process. May be called twice."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _send(self, line):
        with contextlib.suppress(OSError):  # a dead worker: the next `read` reports how it ended
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _receive(self):
        with contextlib.suppress(ValueError):  # closed while reading
            for line in self._process.stdout:
                self._results.put(line)
        self._results.put("")

    def _how_it_ended(self):
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "ended by SIGKILL, probably out of memory (a smaller --batch-size helps)"
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return f"ended {how}: {lines[-1][:200]}" if lines else f"ended {how}"


@contextlib.contextmanager
def sigterm_as_exit():
    """Turns SIGTERM into SystemExit within the block, so that cleanup runs."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment(backend):
    """The environment of a worker: this one, the backend, and the path of kerasdl."""
    # kerasdl may have been imported from a folder that is not on Python's default path.
    root = str(pathlib.Path(kerasdl.__file__).parents[1])
    path = os.environ.get("PYTHONPATH")
    return {
        **SETTINGS,
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
    }


def _main():
    """The worker's side."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keep what the frameworks print out of the results
    orders, sys.stdin = sys.stdin, None  # forked processes would wait for the thread that reads it
    lines = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders, lines), daemon=True).start()

    def send(result):
        results.write(json.dumps(result) + "\n")
        results.flush()

    order = json.loads(lines.get())
    try:
        for result in registry.load(order["work"])(order["job"]):
            send(result)
            lines.get()
    except KerasdlError as error:
        send({"error": str(error)})
    except BaseException as error:
        traceback.print_exc()
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        send({"error": f"{type(error).__name__}: {reason}"})


def _listen(orders, lines):
    for line in orders:
        lines.put(line)
    os._exit(0)  # the parent is done, or dead


if __name__ == "__main__":
    _main()
