"""Workers on this machine: one process each, with its part of the cores.

Each worker is a process pool of one, so that a worker that dies takes no other with it. A worker
trains one run after another, because starting a backend takes longer than a small run.
"""

import concurrent.futures
import concurrent.futures.process
import faulthandler
import logging
import multiprocessing
import os
import pathlib
import threading

from kerasdl.backend import machine
from kerasdl.core import files
from kerasdl.core.errors import KerasdlError
from kerasdl.runs import config as configuration
from kerasdl.tools.jobs.training import Job, Outcome, WorkerDied, perform
from kerasdl.tools.workers import SETTINGS

logger = logging.getLogger("kerasdl")


class Processes:
    """Workers as a context manager, which stops them: each run keeps its last finished epoch.

    Attributes:
        size: Runs at a time.
        interval: Seconds between two looks at them.
    """

    interval = 0.2

    def __init__(self, folder, size):
        self.size = size
        self._folder = pathlib.Path(folder) / "jobs"
        self._idle = list(range(size))
        self._pools = {}
        self._processes = set()

    def __enter__(self):
        files.make_folder(self._folder)
        return self

    def __exit__(self, *exception):
        if any(exception):
            for process in self._processes:
                process.terminate()  # SIGTERM: the end of the batch, the last epoch is kept
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    def submit(self, job):
        """Trains a `Job` in the first worker that is idle; returns a handle."""
        place = self._idle.pop(0)
        before = set(multiprocessing.active_children())
        if place not in self._pools:
            self._pools[place] = concurrent.futures.ProcessPoolExecutor(
                1,
                multiprocessing.get_context("spawn"),
                _prepare,
                (_settings(place, self.size), str(self._folder / f"process-{place + 1}.log")),
            )
        future = self._pools[place].submit(work, packed(job))
        self._processes |= set(multiprocessing.active_children()) - before
        return place, future

    def done(self, handle):
        """Whether the run of a handle has ended."""
        return handle[1].done()

    def result(self, handle):
        """The `Outcome` of a run that has ended. Raises WorkerDied."""
        place, future = handle
        self._idle.append(place)
        try:
            outcome = future.result()
        except concurrent.futures.process.BrokenProcessPool:
            self._pools.pop(place).shutdown()
            log = self._folder / f"process-{place + 1}.log"
            raise WorkerDied(f"its process died, perhaps out of memory (see {log})") from None
        if outcome.error == "Stopped":
            raise WorkerDied(f"its process was {outcome.message.partition(':')[0]}")
        return outcome


def packed(job):
    """A job as what `work` takes: a configuration loads its extensions where it is built."""
    return {
        "label": job.label,
        "values": configuration.as_dict(job.config),
        "given": job.config.given,
        "folder": str(job.folder),
        "watch": job.watch,
    }


def unpacked(packed):
    """The job of a `packed` one. Raises ConfigError for extensions that cannot be loaded here."""
    config = configuration.Config(**packed["values"])
    object.__setattr__(config, "given", packed["given"])
    return Job(packed["label"], config, pathlib.Path(packed["folder"]), packed["watch"])


def work(job):
    """Trains a packed job and returns its `Outcome`; a signal is an outcome too."""
    warnings = _Lines(logging.WARNING)
    logger.addHandler(warnings)
    try:
        outcome = perform(unpacked(job), in_worker=True)
    except KerasdlError as error:
        outcome = Outcome.of(error)
    finally:
        logger.removeHandler(warnings)
    return Outcome(outcome.error, outcome.message, outcome.exit_code, tuple(warnings.lines))


class _Lines(logging.Handler):
    """Collects log messages."""

    def __init__(self, level):
        super().__init__(level)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def _settings(place, size):
    """Cores and environment variables of one of `size` workers."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    number = len(cores) or machine.num_cores()
    each = max(1, number // size)
    first = place * each % number
    threads = str(each)
    variables = {
        **{name: os.environ.get(name, value) for name, value in SETTINGS.items()},
        "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
    }
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        devices = [str(number) for number in range(len(machine.gpus()))]
    else:  # "" hides them all
        devices = [each for each in visible.split(",") if each]
    if devices:
        variables["CUDA_VISIBLE_DEVICES"] = devices[place % len(devices)]
    return cores[first : first + each], variables


def _prepare(settings, log):
    """Prepares a worker before it imports a backend."""
    cores, variables = settings
    os.environ.update(variables)
    if cores:
        os.sched_setaffinity(0, cores)
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C reaches the parent only, which stops its workers
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)  # what the frameworks print would break the parent's lines
    os.dup2(output, 2)
    faulthandler.enable()
    logger.setLevel(logging.WARNING)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """Ends a worker whose parent was killed, so that the command can be repeated."""
    multiprocessing.parent_process().join()
    os._exit(1)
