"""The recipe `auto`: settings derived from the data and the machine.

Each rule is one function that returns a value and its reason; docs/recipes.md lists them with their
measurements. Keys set by the user are kept. A run stores the result and resumes with it.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from kerasdl.losses import LOSSES
from kerasdl.tasks import TASKS

# With fewer updates than this a model learns little from scratch, whatever the number of epochs.
LEAST_STEPS = {"image": 800, "pixel": 1000}
MOST_EPOCHS, LEAST_EPOCHS = 60, 8
STEPS_PER_EPOCH = 40  # enough to see a curve, few enough for large batches on large data
BATCHES = {"image": (8, 128), "pixel": (4, 16)}
# Pixels of an image in training without a GPU and with one.
PIXELS = {"image": (64 * 64, 224 * 224), "pixel": (112 * 112, 512 * 512)}
MULTIPLE = 16  # sides are multiples of this: no padding in the models
HORIZON = 0.05  # fraction of all steps that the average of the weights spans
RARE = 10.0  # ratio of most frequent to rarest class above which classes are weighted
RATE = 0.1


# Keys that the rules set.
KEYS = (
    "image_size", "batch_size", "steps_per_epoch", "epochs", "learning_rate", "lr_schedule",
    "warmup_epochs", "ema_decay", "momentum", "nesterov", "weight_decay", "decay_norm_and_bias",
    "test_time_flip", "label_smoothing", "class_weights",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the rules depend on.

    Attributes:
        images: Number of training images.
        height, width: Median size of the images, in pixels.
        classes: Number of classes; 0 without classes.
        imbalance: Most frequent class / rarest class, of labels or pixels; 1 without classes.
        gpu: Whether the backend computes on a GPU.
    """

    images: int
    height: int
    width: int
    classes: int = 0
    imbalance: float = 1.0
    gpu: bool = False


@dataclasses.dataclass(frozen=True)
class Decision:
    """A value set by a rule, and the reason."""

    key: str
    value: Any
    reason: str


def decide(facts: Facts, given: Mapping[str, Any]) -> list[Decision]:
    """Values for the keys that the user did not set, in order of dependency.

    Args:
        facts: Facts about data and machine.
        given: Keys that the user set, with `task` and `model`.
    """
    task = TASKS[given["task"]]
    kind = "image" if task.annotation == "label" else "pixel"
    values, decisions = dict(given), []

    def settle(key: str, value: Any, reason: str) -> None:
        if key not in given:
            values[key] = value
            decisions.append(Decision(key, value, reason))

    settle("image_size", *_image_size(facts, kind, values))
    settle("batch_size", *_batch_size(facts, kind))
    settle("steps_per_epoch", *_steps_per_epoch(facts, kind, values["batch_size"]))
    per_epoch = values["steps_per_epoch"] or math.ceil(facts.images / values["batch_size"])
    settle("epochs", *_epochs(kind, per_epoch))
    steps = values["epochs"] * per_epoch
    settle("learning_rate", RATE, "the rate at which batch-normalized models train from scratch")
    settle("lr_schedule", "onecycle", "reaches a given score in the fewest steps")
    if values["lr_schedule"] != "plateau":
        settle("warmup_epochs", round(0.2 * values["epochs"], 2), "a fifth of the epochs")
    decay = round(min(0.9999, max(0.0, 1.0 - 1.0 / (HORIZON * steps))), 4)
    settle("ema_decay", decay, f"averages the weights of the last {HORIZON:.0%} of {steps} steps")
    settle("momentum", 0.9, "as in most published recipes")
    settle("nesterov", True, "as in most published recipes")
    settle("weight_decay", 5e-4, "as in most published recipes for small images")
    settle("decay_norm_and_bias", False, "only kernels need it")
    settle("test_time_flip", True, "averaging over an image and its flip scores better")
    loss = LOSSES.get(values.get("loss") or task.default_loss.get("", ""))
    if task.annotation == "label" and loss and "label_smoothing" in loss.takes:
        settle("label_smoothing", 0.1, "keeps a classifier from becoming overconfident")
    if loss and "class_weights" in loss.takes and loss.weights is None:
        if kind == "pixel" and facts.imbalance > RARE:
            reason = (
                f"the most frequent class has {facts.imbalance:.0f} times the rarest one's pixels"
            )
            settle("class_weights", "auto", reason)
    return decisions


def _image_size(facts: Facts, kind: str, values: Mapping[str, Any]) -> tuple[list[int], str]:
    """The largest size that trains in reasonable time, at the images' aspect ratio."""
    most = PIXELS[kind][facts.gpu]
    scale = min(1.0, math.sqrt(most / (facts.height * facts.width)))
    sides = [
        max(MULTIPLE * 2, round(side * scale / MULTIPLE) * MULTIPLE)
        for side in (facts.height, facts.width)
    ]
    where = "a GPU" if facts.gpu else "CPUs"
    if sides == [facts.height, facts.width]:
        return sides, f"the size of the images ({facts.height}x{facts.width})"
    if scale == 1.0:
        return sides, f"{facts.height}x{facts.width} in multiples of {MULTIPLE}, 32 or more"
    return sides, f"{facts.height}x{facts.width} reduced to what {where} can train in minutes"


def _batch_size(facts: Facts, kind: str) -> tuple[int, str]:
    """A power of two that gives an epoch enough steps."""
    low, high = BATCHES[kind]
    if facts.gpu:
        high *= 4
    exact = max(1.0, facts.images / STEPS_PER_EPOCH)
    batch = min(high, max(low, 2 ** math.floor(math.log2(exact))))
    return batch, f"{math.ceil(facts.images / batch)} steps per epoch of {facts.images} images"


def _steps_per_epoch(facts: Facts, kind: str, batch_size: int) -> tuple[int, str]:
    """One pass over the data, or several if a pass is too short for a checkpoint."""
    steps, least = math.ceil(facts.images / batch_size), math.ceil(LEAST_STEPS[kind] / MOST_EPOCHS)
    if steps >= least:
        return 0, "one pass over the data"
    return least, f"one pass has only {steps} steps"


def _epochs(kind: str, steps: int) -> tuple[int, str]:
    """Enough updates for a model that starts from random weights."""
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, math.ceil(LEAST_STEPS[kind] / steps)))
    return epochs, f"{epochs * steps} steps in all"
