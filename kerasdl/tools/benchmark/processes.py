"""One process per cell, the cells of a group taking turns: while one computes, the others wait."""

import contextlib
import dataclasses
import importlib.util
import time

from kerasdl import backend
from kerasdl.backend import machine, memory
from kerasdl.core import extensions
from kerasdl.tools import workers


def measure(cells, job, rounds, log=lambda text: None, start=None):
    """Measures the cells of one group.

    Args:
        cells: Cells of the same group.
        job: What is common to all: steps, image_size, seed, timeout, extensions.
        rounds: How many blocks of steps each cell computes.
        log: Called with progress messages.
        start: Function (cell, job) -> object with `read`, `turn` and `close`, as
            `kerasdl.tools.workers.Worker`.

    Returns:
        One mapping per cell: the cell's fields, and either `error`, one line, or `first`, the
        result of the first step, and `blocks`, the result of each block.
    """
    start = start or _start
    results = [dict(dataclasses.asdict(cell), blocks=[]) for cell in cells]
    running = {}
    with contextlib.ExitStack() as stack:
        for number, cell in enumerate(cells):
            log(f"{cell.model}, batch {cell.batch_size}: starting {cell.backend} {cell.precision}")
            try:
                worker = start(cell, job)
                stack.callback(worker.close)
                results[number]["first"] = worker.read()
                running[number] = worker
            except workers.WorkerFailed as error:
                results[number]["error"] = str(error)
        for turn in range(rounds):
            # In alternating order, so that drift affects all cells equally.
            for number in sorted(running, reverse=bool(turn % 2)):
                log(f"{cells[number].model}: round {turn + 1} of {rounds}")
                try:
                    results[number]["blocks"].append(running[number].turn())
                except workers.WorkerFailed as error:
                    results[number]["error"] = str(error)
                    running.pop(number).close()
    return results


def _start(cell, job):
    # A reference reads its batches with kerasdl, which needs a Keras backend.
    name = "torch" if cell.is_reference else cell.backend
    job = {**job, **dataclasses.asdict(cell)}
    return workers.Worker("kerasdl.tools.benchmark.processes:work", job, name, job["timeout"])


def work(job):
    """The worker's side: an answer after the first step, and one after each block of steps."""
    extensions.load(job["extensions"])  # the model may be theirs
    began = time.perf_counter()
    backend.choose("auto")
    from kerasdl.tools.benchmark import subject

    make = _reference(job["backend"]) if ":" in job["backend"] else subject.Subject
    imported = time.perf_counter()
    measured = make(job)
    ready = time.perf_counter()
    measured.first_step()
    yield {
        "import_seconds": imported - began,
        "first_step_seconds": time.perf_counter() - ready,
        "cores": machine.num_cores(),
        "parameters": measured.parameters,
        "peak_bytes": _peak_bytes(),
    }
    while True:
        seconds, waited = measured.block()
        yield {"step_seconds": seconds, "waited_seconds": waited, "peak_bytes": _peak_bytes()}


def _reference(text):
    """The class that "FILE.py:CLASS" names."""
    path, _, name = text.rpartition(":")
    spec = importlib.util.spec_from_file_location("kerasdl_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def _peak_bytes():
    """Peak of the first GPU if the backend uses one, else of the process."""
    on_device = memory.device_peak_bytes()
    return memory.peak_bytes() if on_device is None else on_device
