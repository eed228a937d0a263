"""The learning rate range test: which rates lower the loss, and from which on it diverges."""

import contextlib
import dataclasses
import math
import pathlib
import tempfile
from typing import Any

import keras
import numpy

from kerasdl import backend, tasks
from kerasdl.backend.distribution import ALONE
from kerasdl.core.errors import ConfigError, TrainingFailed
from kerasdl.data.base import Dataset
from kerasdl.engine import evaluation, fitting, step, transfer
from kerasdl.runs import runfolder
from kerasdl.runs.config import Config

DIVERGED = 4.0  # times the lowest smoothed loss
SMOOTHING = 0.9  # decay of the moving average of the loss


@dataclasses.dataclass(frozen=True)
class RangeTest:
    """What a range test found.

    Attributes:
        rates: Learning rate of each step.
        losses: Loss of each step, before its update.
        smoothed: Moving average of the losses.
        suggestion: The rate where the smoothed loss falls fastest; None if it never falls.
        lowest: The rate where it is lowest.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None
    lowest: float


def run(config: Config, dataset: Dataset, low: float, high: float, steps: int) -> RangeTest:
    """Trains a new model with a rate that rises exponentially, then drops it.

    In step t of T the rate is low (high / low)^(t / (T - 1)). The test ends early once the loss has
    diverged.

    Args:
        config: Configuration; its `learning_rate` and schedule do not count.
        dataset: Data with a training split.
        low, high: First and last rate.
        steps: T.

    Raises:
        ConfigError: The limits are not in order, or there are fewer than ten steps.
        TrainingFailed: The loss is not finite in the first steps.

    Source: Smith 2017, "Cyclical Learning Rates", section 3.3; the smoothing and the steepest slope
    as in fast.ai.
    """
    if not 0 < low < high:
        raise ConfigError(f"the rates must rise from above 0, received {low:g} to {high:g}")
    if steps < 10:
        raise ConfigError(f"a range test needs at least 10 steps, received {steps}")
    backend.prepare(config.seed, config.precision, config.deterministic)
    task = tasks.of(config)
    rates = [low * (high / low) ** (number / (steps - 1)) for number in range(steps)]
    with contextlib.ExitStack() as stack:
        stack.callback(keras.utils.clear_session)
        source = evaluation.source_of(dataset, "train", task, config)
        batches, _ = fitting.open_batches(stack, source, config, task, dataset, ALONE)
        weights = evaluation.class_weights_of(task, config, dataset, source)
        loss = evaluation.loss_of(task, config, dataset, weights, config.label_smoothing)
        model = fitting.build(config, task, dataset)
        # Not a run, but where a run records which layers its weights initialized.
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        record = runfolder.RunFolder(folder, config, lock=None)
        transfer.start(model, config, record)
        transfer.freeze(model, config, record)
        step.assemble(model, config, loss)
        step.tune(model, config)
        losses = _losses(model, batches, rates)
    return found(rates[: len(losses)], losses)


def found(rates: list[float], losses: list[float]) -> RangeTest:
    """The suggestion for measured losses. Raises TrainingFailed without enough finite ones."""
    if len(losses) < 3:
        raise TrainingFailed(
            f"the loss is not finite from learning rate {rates[0]:g} on", fix="a smaller --low"
        )
    smoothed = _smooth(losses)
    lowest = int(numpy.argmin(smoothed))
    slopes = numpy.gradient(numpy.array(smoothed), numpy.log(rates))
    steepest = int(numpy.argmin(slopes[: lowest + 1]))
    falls = lowest > 0 and slopes[steepest] < 0
    return RangeTest(rates, losses, smoothed, rates[steepest] if falls else None, rates[lowest])


def _smooth(losses: list[float]) -> list[float]:
    """a_t = s a_(t-1) + (1 - s) loss_t, divided by 1 - s^(t + 1) as it starts from 0."""
    average, smoothed = 0.0, []
    for number, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed.append(average / (1 - SMOOTHING**number))
    return smoothed


def _losses(model: Any, batches: Any, rates: list[float]) -> list[float]:
    """The loss of each step until it diverges; the model then has its weights of before."""
    kept = [numpy.array(value) for value in model.get_weights()]
    losses: list[float] = []
    for number, rate in enumerate(rates):
        epoch, place = divmod(number, len(batches))
        if place == 0:
            batches.set_epoch(epoch)
        model.optimizer.learning_rate = rate
        model.reset_metrics()
        loss = float(numpy.ravel(model.train_on_batch(*batches[place]))[0])
        if not math.isfinite(loss):
            break
        losses.append(loss)
        smoothed = _smooth(losses)
        if smoothed[-1] > DIVERGED * min(smoothed):
            break
    model.set_weights(kept)
    return losses
