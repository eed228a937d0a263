"""The recipe `auto` applied: facts about data and machine, decisions, measured time and memory."""

import contextlib
import math
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy

from kerasdl import backend, tasks
from kerasdl.backend import memory, precision
from kerasdl.backend.distribution import ALONE
from kerasdl.core.errors import ConfigError, KerasdlError
from kerasdl.data.base import Dataset
from kerasdl.engine import batch_size, evaluation, fitting, step
from kerasdl.metrics.base import open_gates
from kerasdl.runs import auto, names, runfolder
from kerasdl.runs import run as reader
from kerasdl.runs.config import Config, as_dict, changed, keys
from kerasdl.tasks import TASKS, scoring

SAMPLED = 100  # images whose size is looked at
MEASURED_STEPS, MEASURED_SECONDS = 6, 2.0  # at least; other programs may disturb single ones
MODEL_FILES = 3  # that an epoch may write: the state, its average, the best model
REPORT_SECONDS = 5.0  # figures and pages at the end of a run


def facts_of(dataset: Dataset, annotation: str, engine: str) -> auto.Facts:
    """The facts that the rules need.

    Args:
        dataset: Data with a training split.
        annotation: "label", "mask" or "none".
        engine: The backend in use.
    """
    split = dataset.splits["train"]
    classes = len(dataset.class_names) if annotation != "none" else 0
    counts = numpy.zeros(0)
    if classes:
        counts = scoring.class_counts(split, classes, annotation == "mask", dataset.ignore_labels)
    sizes = [split[index].image.shape[:2] for index in scoring.spread(len(split), SAMPLED)]
    present = counts[counts > 0]
    height, width = numpy.median(numpy.array(sizes), axis=0)
    return auto.Facts(
        images=len(split),
        height=int(height),
        width=int(width),
        classes=classes,
        imbalance=float(present.max() / present.min()) if len(present) else 1.0,
        gpu=precision.gpu_capability(engine) is not None,
    )


def settle(
    config: Config, dataset: Dataset, engine: str, folder: str | os.PathLike | None = None
) -> tuple[Config, list[auto.Decision]]:
    """The configuration with the decisions of the recipe `auto`, and a batch size for "auto".

    Args:
        config: Configuration; keys that were given are kept.
        dataset: Its data.
        engine: The backend in use.
        folder: Where the run goes. With a time budget, what was decided when a run began there
            stays, because the times of steps would be measured differently now.

    Raises:
        ConfigError: `epochs` is set beside a time budget, or the budget is too short; the batch
            size is "auto" without a GPU.
    """
    if not config.batch_size:

        def attempt(tried: Config) -> auto.Times:
            return measure(settle(tried, dataset, engine)[0], dataset)

        images = len(dataset.splits["train"])
        config = batch_size.decided(config, images, engine, folder, attempt)
    if config.recipe != "auto" or config.given >= set(auto.KEYS):
        return config, []
    if config.time_budget and "epochs" in config.given:
        raise ConfigError(
            "'time_budget' decides 'epochs', both are set", fix="leave out --time or --epochs"
        )
    if config.time_budget and folder and (stored := _decided_before(config, folder)):
        return changed(config, **stored), []
    facts = facts_of(dataset, TASKS[config.task].annotation, engine)
    given = {key: value for key, value in as_dict(config).items() if key in config.given}
    given |= {"task": config.task, "model": config.model, "optimizer": config.optimizer}
    if config.time_budget:
        decisions = auto.decide_within(
            facts, given, config.time_budget,
            lambda values: measure(changed(config, **values), dataset),
        )  # fmt: skip
    else:
        decisions = auto.decide(facts, given)
    decided = {each.key: each.value for each in decisions}
    return changed(
        config, **decided, **{key: getattr(config, key) for key in auto.KEYS if key not in decided}
    ), decisions


def _decided_before(config: Config, folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What was decided for this configuration when the run in a folder began, or None."""
    try:
        stored = reader.Run(folder).config
    except KerasdlError:
        return None
    same = all(
        getattr(stored, key) == getattr(config, key)
        for key in keys()
        if key in config.given or key not in auto.KEYS
    )
    # Of a run that has finished an epoch, the comparison with its folder then lists what differs.
    if not same and not runfolder.committed(pathlib.Path(folder) / names.CHECKPOINTS):
        return None
    return {key: getattr(config if key in config.given else stored, key) for key in auto.KEYS}


def explain(decisions: list[auto.Decision]) -> list[str]:
    """The most important decisions, one line each."""
    forms = {"image_size": "images of {}", "batch_size": "batches of {}", "epochs": "{} epochs"}
    lines = []
    for each in decisions:
        if each.key in forms:
            shown = "x".join(map(str, each.value)) if each.key == "image_size" else each.value
            lines.append(f"{forms[each.key].format(shown)} ({each.reason})")
    return lines


def measure(config: Config, dataset: Dataset) -> auto.Times:
    """Trains and validates a few batches and measures them. Resets the global state of Keras."""
    began = time.perf_counter()
    backend.prepare(config.seed, config.precision, config.deterministic)
    task = tasks.of(config)
    with contextlib.ExitStack() as stack:
        # Else names of layers would tell whether a run began or resumed.
        stack.callback(keras.utils.clear_session)
        source = evaluation.source_of(dataset, "train", task, config)
        batches, validation = fitting.open_batches(stack, source, config, task, dataset, ALONE)
        weights = evaluation.class_weights_of(task, config, dataset, source)
        loss = evaluation.loss_of(task, config, dataset, weights, config.label_smoothing)
        metrics = evaluation.metrics_of(task, dataset)
        model = fitting.build(config, task, dataset)
        step.assemble(model, config, loss, metrics)
        step.tune(model, config)
        batches.set_epoch(0)
        open_gates(metrics, False)
        _timed(model.train_on_batch, batches)
        start = time.perf_counter() - began
        train = _timed(model.train_on_batch, batches, MEASURED_STEPS, MEASURED_SECONDS)
        open_gates(metrics)
        tested = batches if validation is None else validation
        first = _timed(model.test_on_batch, tested)
        test = _timed(model.test_on_batch, tested, MEASURED_STEPS)
        saving = _saving(model)
    split = next(name for name in ("test", "validation", "train") if dataset.splits.get(name))
    scored = math.ceil(len(dataset.splits[split]) / config.batch_size)
    validated = 0.0 if validation is None else len(validation) * test
    return auto.Times(
        start=start + first,
        step=train,
        validation=validated + MODEL_FILES * saving,
        end=first + scored * test * (1 + config.test_time_flip) + REPORT_SECONDS,
        took=time.perf_counter() - began,
        memory=float(memory.peak_bytes() or 0),
    )


def _timed(function: Callable[..., Any], batches: Any, times: int = 1, least: float = 0.0) -> float:
    """Median of the seconds that a function takes for a batch, reading included.

    Args:
        function: Takes what a batch holds.
        batches: Any, used from the first one on.
        times: How many are measured at least.
        least: Seconds that are measured at least.
    """
    seconds: list[float] = []
    while len(seconds) < times or sum(seconds) < least:
        began = time.perf_counter()
        float(numpy.ravel(function(*batches[len(seconds) % len(batches)]))[0])
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _saving(model: Any) -> float:
    """Seconds to write a model, not the first time."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            began = time.perf_counter()
            model.save(pathlib.Path(folder) / names.STATE_MODEL)
        return time.perf_counter() - began
