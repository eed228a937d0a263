"""The trials of a search: chosen by Optuna, stored in the folder of the search.

journal.log holds everything that Optuna knows. A trial is asked for there, its run is trained in a
folder of its own, and its value is told there; a trial that was asked for and not told is resumed.
"""

import contextlib
import functools
import json
import logging
import math
import os
import random
import time

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from kerasdl.core import files
from kerasdl.core.errors import ConfigError, KerasdlError, TrainingFailed
from kerasdl.report import names
from kerasdl.runs import lock as runlock
from kerasdl.runs import names as run_names
from kerasdl.runs import overview
from kerasdl.runs.run import Run
from kerasdl.tools.jobs import training
from kerasdl.tools.sweep import combine
from kerasdl.tools.tune.space import stored

JOURNAL = "journal.log"
NAME = "kerasdl"
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
RANDOM_TRIALS = 10  # before the sampler models the scores
COMPARED_TRIALS = 5  # before one is ended early
UNCOMPARED = 0.2  # fraction of the epochs in which none is
INVALID = 1000  # combinations in a row that cannot be trained

logger = logging.getLogger("kerasdl")


class Pruned(KerasdlError):
    """A trial was ended early, because it fell behind the others."""


class Reporter:
    """Reports a trial's scores to Optuna after each epoch; ends it if it falls behind the others.

    Args:
        journal: Path of the storage.
        number: Number of the trial.
        column: Column of the history to report.
        epochs: Epochs of the run; after the last one it is not ended.
        prune: Whether it may be ended early.
    """

    def __init__(self, journal, number, column, epochs, prune):
        self.journal = journal
        self.number = number
        self.column = column
        self.epochs = epochs
        self.prune = prune

    def __call__(self, rows):
        trial = self.at_end(rows)
        if self.prune and rows and len(rows) < self.epochs:
            warmup = math.ceil(UNCOMPARED * self.epochs)
            trial.study.pruner = optuna.pruners.MedianPruner(COMPARED_TRIALS, warmup)
            if trial.should_prune():
                raise Pruned(f"ended after epoch {len(rows)}, behind the median of the others")

    def at_end(self, rows):
        """Only reports, as after the last epoch, and returns the `optuna.trial.Trial`."""
        study = load(self.journal)
        frozen = study.get_trials(deepcopy=False)[self.number]
        trial = optuna.trial.Trial(study, frozen._trial_id)
        for row in rows:
            value = row.get(self.column, math.nan)
            if row["epoch"] not in frozen.intermediate_values and math.isfinite(value):
                trial.report(value, row["epoch"])
        return trial


@functools.cache
def _storage(journal):
    return JournalStorage(JournalFileBackend(journal, JournalFileOpenLock(journal)))


def load(journal):
    """The `optuna.Study` in a journal."""
    return optuna.load_study(study_name=NAME, storage=_storage(str(journal)))


def run(plan, workers=None, timeout=None, quiet=False):
    """Trains the trials of a plan that are left.

    Args:
        plan: The `kerasdl.tools.tune.plan.Plan`.
        workers: What `kerasdl.tools.jobs.workers` returns.
        timeout: Seconds after which no trial is begun.
        quiet: No progress on standard error.

    Returns:
        The `optuna.Study`, and the outcomes of trials that failed for another reason than their
        combination of values.

    Raises:
        ConfigError: The folder holds a search of another space or configuration.
        WriteError: Another process continues this search.
        Stopped: A signal; the same command goes on.
    """
    failures = []
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    files.make_folder(plan.out)
    lock = runlock.acquire(plan.out)
    try:
        files.write_json(plan.out / run_names.HOLDER, runlock.holder())
        study = _open(plan, workers)
        deadline = time.monotonic() + timeout if timeout else math.inf
        jobs = _jobs(study, plan, deadline)
        if workers is None:
            jobs = _announced(jobs)
        # Closed before the lock is released, whatever fails here: workers train in this folder.
        with contextlib.closing(training.train(jobs, workers, quiet)) as course:
            for job, outcome in course:
                _tell(study, plan, job, outcome)
                if study.trials[job.key].state == TrialState.FAIL:
                    failures.append(outcome)
                _tell_user(study, plan, job)
    finally:
        files.remove(plan.out / run_names.HOLDER)
        lock.release()
    return study, failures


def finished(study):
    """Whether a trial has finished."""
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def require_finished(study):
    """Raises TrainingFailed if no trial has finished."""
    if finished(study):
        return
    errors = [each.user_attrs["error"] for each in study.trials if "error" in each.user_attrs]
    if errors:
        raise TrainingFailed(f"no trial finished, the last: {errors[-1]}", fix="another --space")
    raise TrainingFailed("no trial finished", fix="a longer --timeout, or another --space")


def folder(plan, number):
    """The run folder of a trial."""
    return plan.out / f"trial-{number:03d}"


def _open(plan, workers):
    """The study of a plan, new or continued."""
    journal = plan.out.absolute() / JOURNAL
    _repair(journal)
    recorded = json.loads(json.dumps(plan.recorded()))
    study = optuna.create_study(
        study_name=NAME, storage=_storage(str(journal)), load_if_exists=True,
        direction="minimize" if plan.lower else "maximize",
    )  # fmt: skip
    before = study.user_attrs.get("recorded")
    if before is None:
        study.set_user_attr("recorded", recorded)
    elif before != recorded:
        differing = [
            key
            for part in recorded
            for key in {**before[part], **recorded[part]}
            if before[part].get(key) != recorded[part].get(key)
        ]
        raise ConfigError(
            f"the folder holds a search with another {' and '.join(differing)}", plan.out,
            "another --out",
        )  # fmt: skip
    if plan.every is not None:
        known = [
            each.system_attrs.get("fixed_params", each.params)
            for each in study.get_trials(deepcopy=False)
            if each.state != TrialState.FAIL  # those are tried again
        ]
        for settings in random.Random(plan.base.seed).sample(plan.every, len(plan.every)):
            waiting = {key: stored(value) for key, value in settings.items()}
            if waiting not in known:
                study.enqueue_trial(waiting)
    # A continued search must not repeat the random numbers of its beginning.
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=RANDOM_TRIALS, seed=plan.base.seed + len(study.trials),
        constant_liar=workers is not None,
    )  # fmt: skip
    return study


def _repair(journal):
    """Removes the end of the last line of a journal that a full disk cut short."""
    if not journal.exists():
        return
    lock = JournalFileOpenLock(str(journal))
    lock.acquire()  # a job of an earlier command may still write to it
    try:
        content = journal.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(journal, content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _jobs(study, plan, deadline):
    """The trials that a killed command left, then new ones."""
    left = plan.trials - len(study.get_trials(states=COUNTED))
    for frozen in study.get_trials(states=(TrialState.RUNNING,)):
        job = _job(study, plan, optuna.trial.Trial(study, frozen._trial_id))
        if job is not None:
            yield job
    for _ in range(left):
        for _ in range(INVALID):
            if time.monotonic() > deadline:
                return
            trial = study.ask()
            job = _job(study, plan, trial)
            if job is not None:
                yield job
            if "skipped" not in study.trials[trial.number].user_attrs:
                break


def _job(study, plan, trial):
    """The job of a trial; None if there is nothing to train."""
    model = plan.base.model
    settings = {}
    for key, dimension in plan.space.items():
        if combine.applies(plan.keys[key], model):
            settings[key] = dimension.suggest(trial)
        if key == "model":
            model = settings[key]
    try:
        settings, config = plan.config(settings)
    except ConfigError as error:
        trial.set_user_attr("skipped", error.what)
        study.tell(trial, state=TrialState.FAIL)
        return None
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    for other in study.get_trials(deepcopy=False, states=ended):
        if other.params == trial.params:
            trial.set_user_attr("same_as", other.number)
            value = other.value if other.state == TrialState.COMPLETE else None
            study.tell(trial, value, other.state)
            return None
    rounded = {k: float(f"{v:.3g}") if isinstance(v, float) else v for k, v in settings.items()}
    label = combine.label(rounded, {"model_args": config.model_args})
    label = f"trial {trial.number}: {label}"
    path = folder(plan, trial.number)
    journal = str(plan.out.absolute() / JOURNAL)
    reporter = Reporter(journal, trial.number, plan.objective, config.epochs, plan.prune)
    return training.Job(label, config, path, reporter, trial.number)


def value_of(folder, objective):
    """The value of a finished run: the objective in its best epoch, whose weights are kept."""
    best = json.loads((folder / run_names.BEST_RECORD).read_text(encoding="utf-8"))["epoch"]
    return next(row[objective] for row in Run(folder).history if row["epoch"] == best)


def _tell(study, plan, job, outcome):
    """Tells Optuna how a trial ended, and removes checkpoints that nobody will need."""
    trial = optuna.trial.Trial(study, study.trials[job.key]._trial_id)
    if not outcome.error:
        study.tell(trial, value_of(job.folder, plan.objective))
    elif outcome.error == Pruned.__name__:
        study.tell(trial, state=TrialState.PRUNED)
        files.remove(job.folder / run_names.FAILURE)  # it is not one
    else:
        logger.error("%s failed: %s", job.label, outcome.message)
        trial.set_user_attr("error", outcome.message)
        # A loss that is not finite, or too little memory, is a property of the combination; a
        # worker that is lost is not.
        failed = outcome.error != TrainingFailed.__name__
        study.tell(trial, state=TrialState.FAIL if failed else TrialState.PRUNED)
        return
    overview.clean(job.folder)


def _announced(jobs):
    for job in jobs:
        logger.info("%s", job.label)
        yield job


def _tell_user(study, plan, job):
    """One line about a trial that has ended."""
    counted = len(study.get_trials(deepcopy=False, states=COUNTED[:2]))
    trial = study.trials[job.key]
    if trial.state == TrialState.COMPLETE:
        text = names.number(plan.objective, trial.value, unit=True)
        best = study.best_trial
        value = names.number(plan.objective, best.value)
        text += (
            " (best so far)" if best.number == job.key else f" (best: trial {best.number}, {value})"
        )
    elif trial.user_attrs.get("error"):
        return
    else:
        text = f"ended after epoch {trial.last_step}, behind the others"
    logger.info("%d of %d: %s: %s", counted, plan.trials, job.label, text)
