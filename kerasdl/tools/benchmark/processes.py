"""One process per cell, the cells of a group taking turns.

A process says one JSON line when its first step is done, and one for every line it is sent; an
empty standard input ends it. While one computes, the others wait for their turn.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading

import kerasdl
from kerasdl.tools.benchmark.cells import PLAIN

# Memory that is only set aside, not used, would hide what a backend needs on a GPU.
SETTINGS = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


class Failed(Exception):
    """A cell's process gave up; the text is one line."""


def measure(cells, job, rounds, tell=lambda text: None, start=None):
    """Measures the cells of one group.

    Args:
        cells: Cells of the same group.
        job: What is common to all: steps, image_size, seed, timeout.
        rounds: How many blocks of steps each cell computes.
        tell: Called with a text for the person who waits.
        start: Function (cell, job) -> object with `read`, `turn` and `close`, as `Worker`.

    Returns:
        One mapping per cell: the cell's fields, and either `error`, one line, or `first`,
        what the process said after its first step, and `blocks`, what it said after each block.
    """
    start = start or Worker
    results = [dict(dataclasses.asdict(cell), blocks=[]) for cell in cells]
    workers = {}
    with contextlib.ExitStack() as stack:
        for number, cell in enumerate(cells):
            tell(f"{cell.model}, batch {cell.batch_size}: starting {cell.backend} {cell.precision}")
            try:
                worker = start(cell, job)
                stack.callback(worker.close)
                results[number]["first"] = worker.read()
                workers[number] = worker
            except Failed as error:
                results[number]["error"] = str(error)
        for turn in range(rounds):
            # Back and forth, so that a drift of the machine hits the first like the last.
            for number in sorted(workers, reverse=bool(turn % 2)):
                tell(f"{cells[number].model}: round {turn + 1} of {rounds}")
                try:
                    results[number]["blocks"].append(workers[number].turn())
                except Failed as error:
                    results[number]["error"] = str(error)
                    workers.pop(number).close()
    return results


class Worker:
    """The process of one cell."""

    def __init__(self, cell, job):
        self.timeout = job["timeout"]
        self._log = tempfile.TemporaryFile()
        # The plain loop reads its batches with kerasdl, which needs some backend for Keras.
        backend = "torch" if cell.backend == PLAIN else cell.backend
        root = str(pathlib.Path(kerasdl.__file__).parents[1])
        path = os.environ.get("PYTHONPATH")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kerasdl.tools.benchmark.worker",
             json.dumps({**job, **dataclasses.asdict(cell)})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            env={
                **SETTINGS,
                **os.environ,
                "KERAS_BACKEND": backend,
                "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
            },
        )  # fmt: skip
        self._lines = queue.Queue()
        # A pipe cannot be read with a time limit on every system, a queue can.
        threading.Thread(target=self._pass_on, daemon=True).start()

    def read(self):
        """The next line, decoded. Raises Failed if the process ends or takes too long."""
        try:
            line = self._lines.get(timeout=self.timeout)
        except queue.Empty:
            self.close()
            raise Failed(f"took longer than {self.timeout} s") from None
        if not line:
            raise Failed(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def turn(self):
        """Lets the process compute one block and reads what it says."""
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except OSError:
            raise Failed(self._last_words()) from None
        return self.read()

    def close(self):
        """Ends the process. May be called twice."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _pass_on(self):
        with contextlib.suppress(ValueError):  # closed while reading
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put("")

    def _last_words(self):
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            return f"ended by {name}" + (", out of memory?" if name == "SIGKILL" else "")
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return f"ended with code {code}: {lines[-1] if lines else 'nothing said'}"
