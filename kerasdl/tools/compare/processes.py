"""Runs one worker process at a time, so that they do not affect each other's times."""

import pathlib

import numpy

from kerasdl import backend
from kerasdl.tools import workers


def measure(job, folder):
    """Runs a job in its own process.

    Args:
        job: See `kerasdl.tools.compare.backends`.
        folder: A folder for its arrays; created if missing.

    Returns:
        The worker's result and the mapping of its arrays; if the worker failed, the result has only
        the key "error", one line.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    job = {**job, "out": str(folder)}
    try:
        with workers.Worker("kerasdl.tools.compare.processes:work", job, job["backend"]) as worker:
            result = worker.read()
    except workers.WorkerFailed as error:
        return {"error": str(error)}, {}
    with numpy.load(folder / "arrays.npz") as stored:
        return result, dict(stored)


def work(job):
    """The worker's side: arrays go to the job's folder, the rest is the result."""
    backend.choose(job["backend"])
    from kerasdl.tools.compare import measuring

    result, arrays = measuring.measure(job)
    numpy.savez(pathlib.Path(job["out"]) / "arrays.npz", **arrays)
    yield result
