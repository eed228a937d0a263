"""Trains runs, as many at a time as there are workers, and yields each as it ends."""

import contextlib
import dataclasses
import gc
import logging
import pathlib
import time
import traceback
from collections.abc import Callable
from typing import Any

import rich.console
import rich.live
import rich.text

from kerasdl.core.errors import KerasdlError, TrainingFailed
from kerasdl.report import names as shown_names
from kerasdl.runs import config as configuration
from kerasdl.runs import names, runfolder
from kerasdl.runs.run import Run

ATTEMPTS = 3  # of a run whose worker dies
CANCELED = 143  # exit code of a run that somebody canceled

logger = logging.getLogger("kerasdl")


@dataclasses.dataclass(frozen=True)
class Job:
    """A run to train.

    Attributes:
        label: What messages call it.
        config: Its configuration.
        folder: Its run folder.
        watch: Called with the rows of the history after each epoch; may raise to end the run. It
            must be picklable.
        key: What the caller knows it by.
    """

    label: str
    config: configuration.Config
    folder: pathlib.Path
    watch: Callable | None = None
    key: Any = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        error: The class of the error; "": the run is finished.
        message: The error in one line.
        exit_code: Its exit code.
        warnings: What was logged, one line each, if the run was trained elsewhere.
    """

    error: str = ""
    message: str = ""
    exit_code: int = 0
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, error):
        """The outcome of a run that ended with a `KerasdlError`."""
        return cls(type(error).__name__, str(error), error.exit_code)


class RunsFailed(KerasdlError):
    """Some of several runs failed; the exit code is that of the first failure.

    Args:
        failures: Errors with `message` and `exit_code`.
        total: Number of runs.
        fix: What to do; by default how to retry these.
    """

    def __init__(self, failures, total, fix=""):
        first = failures[0]
        others = "the others are finished; " if len(failures) < total else ""
        super().__init__(
            f"{len(failures)} of {total} runs failed, the first: {first.message}",
            fix=fix or f"{others}repeat the command to retry these",
        )
        self.exit_code = first.exit_code


class WorkerDied(Exception):
    """A worker ended without a result.

    Args:
        reason: How it ended.
        final: Whether the run must not be tried again, because somebody canceled it.
    """

    def __init__(self, reason, final=False):
        super().__init__(reason)
        self.final = final


def train(jobs, workers=None, quiet=False):
    """Trains runs and yields (job, outcome) for each as it ends.

    Args:
        jobs: Iterable of `Job`; the next one is taken when there is a worker for it.
        workers: What `kerasdl.tools.jobs.workers` returns; None: one after another, here.
        quiet: No progress on standard error.

    Raises:
        Stopped: SIGINT or SIGTERM; each run keeps its last finished epoch.
    """
    if workers is not None:
        yield from _together(jobs, workers, quiet)
        return
    for job in jobs:
        yield job, perform(job, quiet)


def train_listed(jobs, workers=None, quiet=False):
    """`train` for a list of jobs, with a line about each that starts, ends or fails."""
    shown = workers is None and not quiet
    ended = 0
    with contextlib.closing(train(_announced(jobs) if shown else jobs, workers, quiet)) as course:
        for job, outcome in course:
            ended += 1
            if outcome.error:
                logger.error("%s failed: %s", job.label, outcome.message)
            elif workers is not None and not quiet:
                logger.info("%d of %d: %s: %s", ended, len(jobs), job.label, _score(job.folder))
            yield job, outcome


def _announced(jobs):
    for number, job in enumerate(jobs, 1):
        if not Run(job.folder).finished:
            logger.info("%d of %d: %s: %s", number, len(jobs), job.label, job.folder)
        yield job


def _score(folder):
    """ "mean IoU 83.12 %"."""
    metrics = Run(folder).metrics
    name = shown_names.headline(metrics["task"])[0]
    value = shown_names.number(name, metrics["scores"].get(name), unit=True)
    return f"{shown_names.score(name).label} {value}"


def perform(job, quiet=True, in_worker=False):
    """Trains a run in this process, whose Keras is reset, and returns its `Outcome`.

    Args:
        job: The `Job`.
        quiet: No progress on standard error.
        in_worker: Whether standard error is a log, which gets the traceback of a defect.

    Raises:
        Stopped: A signal stopped the run.
    """
    from kerasdl.engine import run

    try:
        with _fresh(), _silent(Run(job.folder).finished):
            run.train(job.config, job.folder, quiet=quiet, watch=job.watch)
    except KerasdlError as error:
        if error.exit_code >= runfolder.SIGNAL_CODES:
            raise
        return Outcome.of(error)
    except Exception as error:
        if in_worker:
            traceback.print_exc()
        else:
            logger.debug("%s failed", job.label, exc_info=True)
        text = f"defect in kerasdl: {type(error).__name__}: {error}: {job.folder}"
        return Outcome(type(error).__name__, " ".join(text.split()), 1)
    return Outcome()


def _together(jobs, workers, quiet):
    """`train` with workers."""
    from kerasdl.backend import signals

    jobs, running, console = iter(jobs), [], rich.console.Console(stderr=True)
    with workers, signals.StopOnSignal() as stop:
        while True:
            stop.check()
            while len(running) < workers.size and (job := next(jobs, None)) is not None:
                if _is_finished(job):
                    yield job, Outcome()
                else:
                    running.append((job, workers.submit(job), 1))
            if not running:
                return
            _wait(running, workers, stop, None if quiet else console)
            for each in [each for each in running if workers.done(each[1])]:
                running.remove(each)
                job, handle, attempt = each
                try:
                    outcome = workers.result(handle)
                except WorkerDied as error:
                    if attempt < ATTEMPTS and not error.final:
                        logger.warning("%s: %s, trying again", job.label, error)
                        running.append((job, workers.submit(job), attempt + 1))
                        continue
                    text = f"{error}, attempt {attempt} of {ATTEMPTS}: {job.folder}"
                    code = CANCELED if error.final else TrainingFailed.exit_code
                    outcome = Outcome("WorkerDied", text, code)
                for line in outcome.warnings:
                    logger.warning("%s: %s", job.label, line)
                yield job, outcome


def _is_finished(job):
    """Whether a worker would only find that the run of this configuration and data is finished."""
    if not (Run(job.folder).finished and runfolder.committed(job.folder / names.CHECKPOINTS)):
        return False
    if job.config.log:
        return False  # a tracker may lack its results
    from kerasdl.engine import datasets, planning, run
    from kerasdl.runs import restore

    try:
        with _silent(True):
            engine = run.chosen_backend(job.config, job.folder)
            config = run.as_stored(job.config, engine, job.folder)
            dataset = datasets.load(config)
            config, _ = planning.settle(config, dataset, engine, job.folder)
        runfolder.compare_config(job.folder, config)
        runfolder.compare_data(job.folder, dataset.fingerprint, {})
        return restore.complete(runfolder.ReadOnlyRunFolder(job.folder, config))
    except Exception:  # whatever it is, the worker reports it
        return False


def _wait(running, workers, stop, console):
    """Waits until a run has ended; on a terminal a live line says what is running."""
    shown = contextlib.nullcontext()
    if console is not None and console.is_terminal:
        shown = rich.live.Live(console=console, transient=True)
    with shown as line:
        while not any(workers.done(handle) for _, handle, _ in running):
            stop.check()
            if line is not None:
                line.update(_told([job for job, _, _ in running]))
            time.sleep(workers.interval)


def _told(jobs):
    """ "skips all, seed 0 (3/20 epochs); skips none, seed 0 (0/20 epochs)", on one line."""
    parts = []
    for job in jobs:
        done = runfolder.committed(job.folder / names.CHECKPOINTS)[:1]
        epoch = runfolder.epoch_number(done[0]) if done else 0
        parts.append(f"{job.label} ({epoch}/{job.config.epochs} epochs)")
    return rich.text.Text("; ".join(parts), no_wrap=True, overflow="ellipsis")


@contextlib.contextmanager
def _fresh():
    """Resets Keras for each run, as in a new process, and frees its models."""
    import keras

    keras.utils.clear_session()
    try:
        yield
    finally:
        keras.utils.clear_session()
        gc.collect()


@contextlib.contextmanager
def _silent(silent):
    """Suppresses the log messages of a run that was already finished."""
    level = logger.level
    if silent:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
