"""One worker process after the other, so that they do not disturb each other's times."""

import pathlib

import numpy

from kerasdl import backend
from kerasdl.tools import workers


def measure(job, folder):
    """Has a process of its own do a job.

    Args:
        job: See `kerasdl.tools.compare.backends`.
        folder: A folder for its arrays; made if need be.

    Returns:
        The worker's result and the mapping of its arrays; the result has the one key "error" if
        the worker failed, which is one line.
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
    """The worker's side: arrays go to the job's folder, the rest is the answer."""
    backend.choose(job["backend"])
    from kerasdl.tools.compare import measuring

    result, arrays = measuring.measure(job)
    numpy.savez(pathlib.Path(job["out"]) / "arrays.npz", **arrays)
    yield result
