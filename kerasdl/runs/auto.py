"""The recipe `auto`: settings derived from the data and the machine.

Each rule is one function that returns a value and its reason; docs/recipes.md lists them with their
measurements. Keys set by the user are kept. A run stores the result and resumes with it.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasdl.core.errors import ConfigError
from kerasdl.losses import LOSSES
from kerasdl.runs.optimizers import DEFAULT, OPTIMIZERS
from kerasdl.tasks import TASKS, TaskSpec

# With fewer updates than this a model learns little from scratch, whatever the number of epochs.
LEAST_STEPS = {"label": 400, "mask": 600, "none": 1000}  # by annotation, as all that follow
MOST_EPOCHS, LEAST_EPOCHS = 60, 8
STEPS_PER_EPOCH = 40  # enough to see a curve, few enough for large batches on large data
BATCHES = {"label": (32, 128), "mask": (16, 16), "none": (4, 16)}
# The smallest where a time budget allows few steps: more of them are worth their noise.
LEAST_BATCH = {"label": 32, "mask": 8, "none": 4}
# Pixels of an image in training without a GPU and with one.
PIXELS = {"label": (64**2, 224**2), "mask": (112**2, 512**2), "none": (112**2, 512**2)}
MULTIPLE = 16  # sides are multiples of this: no padding in the models
# With fewer passes over the data no image is seen often enough to be memorized. A mask labels each
# pixel, and so lasts longer.
FEW_PASSES = {"label": 6, "mask": 10, "none": 10}
HORIZON = 0.05  # fraction of all steps that the average of the weights spans
MASK_LOSS = "crossentropy+dice"
# Ratio of most frequent to rarest class above which classes are weighted in another loss; in this
# one each class already counts equally in the Dice part.
RARE = 10.0
# A loss that is a mean over many pixels is less noisy, so larger steps.
RATE = {"label": 0.1, "mask": 0.2, "none": 0.3}
# With a time budget: more than the larger of the two overfits rather than learns.
MOST_LEAST_STEPS, MOST_PASSES = 10, 200
VALIDATION_FRACTION = 0.2  # of the time: a model learns nothing from a validation
# Of the least number of steps: below, smaller batches and images cost less than missing steps.
FEW_STEPS = 0.5
LEAST_AREA_FACTOR = 0.25  # smallest step towards smaller images, which are measured again

# Keys that the rules set.
KEYS = (
    "image_size", "loss", "batch_size", "steps_per_epoch", "epochs", "learning_rate", "lr_schedule",
    "warmup_epochs", "ema_decay", "momentum", "nesterov", "weight_decay", "decay_norm_and_bias",
    "augment", "test_time_flip", "label_smoothing", "class_weights", "monitor",
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


@dataclasses.dataclass(frozen=True)
class Times:
    """What a few steps of a training cost.

    Attributes:
        start: Seconds to build and compile.
        step: Seconds of a step.
        validation: Seconds at the end of an epoch: validation and checkpoint.
        end: Seconds to score the best model.
        took: Seconds that measuring took.
        memory: Largest resident memory of the process, in bytes.
    """

    start: float
    step: float
    validation: float
    end: float
    took: float = 0.0
    memory: float = 0.0

    def seconds(self, epochs: int, steps: int) -> float:
        """Seconds of a whole training of `epochs` with `steps` each."""
        return self.start + epochs * (steps * self.step + self.validation) + self.end


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Epochs and steps per epoch (0: one pass) that fit a time budget, and why."""

    epochs: int
    steps_per_epoch: int
    reason: str


def decide(
    facts: Facts,
    given: Mapping[str, Any],
    schedule: Schedule | None = None,
    pixels: float | None = None,
    batch: int | None = None,
) -> list[Decision]:
    """Values for the keys that the user did not set, in order of dependency.

    Args:
        facts: Facts about data and machine.
        given: Keys that the user set, with `task` and `model`.
        schedule: Number of steps, where a time budget decides it.
        pixels: Most pixels of an image, where a time budget decides it.
        batch: Batch size, where a time budget decides it.
    """
    task = TASKS[given["task"]]
    annotation = task.annotation
    values, decisions = dict(given), []

    def settle(key: str, value: Any, reason: str) -> None:
        if key not in values:
            values[key] = value
            decisions.append(Decision(key, value, reason))

    settle("image_size", *_image_size(facts, annotation, pixels))
    if task.annotation == "mask":
        settle("loss", MASK_LOSS, "cross-entropy alone neglects small objects")
    settle("batch_size", *_batch_size(facts, annotation, batch))
    if schedule:
        settle("steps_per_epoch", schedule.steps_per_epoch, "fits the time budget")
    settle("steps_per_epoch", *_steps_per_epoch(facts, annotation, values["batch_size"]))
    per_epoch = steps_per_epoch(values, facts.images)
    if schedule:
        settle("epochs", schedule.epochs, schedule.reason)
    settle("epochs", *_epochs(annotation, per_epoch))
    steps = values["epochs"] * per_epoch
    optimizer = OPTIMIZERS[values.get("optimizer", DEFAULT)]
    if not optimizer.momentum:
        settle("learning_rate", optimizer.learning_rate, f"the default of {optimizer.name}")
        settle("weight_decay", optimizer.weight_decay, f"the default of {optimizer.name}")
    settle("learning_rate", RATE[annotation], "trains batch-normalized models from scratch")
    settle("lr_schedule", "onecycle", "reaches a given score in the fewest steps")
    if values["lr_schedule"] != "plateau":
        settle("warmup_epochs", round(0.2 * values["epochs"], 2), "a fifth of the epochs")
    decay = round(min(0.9999, max(0.0, 1.0 - 1.0 / (HORIZON * steps))), 4)
    settle("ema_decay", decay, f"averages the weights of the last {HORIZON:.0%} of {steps} steps")
    if optimizer.momentum:
        settle("momentum", 0.9, "as in most published recipes")
        settle("nesterov", True, "as in most published recipes")
    settle("weight_decay", 5e-4, "as in most published recipes for small images")
    settle("decay_norm_and_bias", False, "only kernels need it")
    passes = steps * values["batch_size"] / facts.images
    augment = values.get("augment", "auto" if "augment_args" in values else None)
    for each in _augmentation(task, passes, augment):
        settle(*each)
    for each in _of_classes(facts, task, values.get("loss") or task.default_loss.get("", "")):
        settle(*each)
    return decisions


def decide_within(
    facts: Facts,
    given: Mapping[str, Any],
    budget: float,
    measure: Callable[[Mapping[str, Any]], Times],
) -> list[Decision]:
    """As `decide`, for a training that takes `budget` seconds, measuring included.

    The number of steps follows from the time of a step; where even the least number does not fit,
    batches and
    then images become smaller.

    Args:
        facts: What is known about data and machine.
        given: Keys that the user set, with `task` and `model`; not `epochs`.
        budget: Seconds.
        measure: Function (values of the keys) -> `Times`.

    Raises:
        ConfigError: The budget is too short for a single step.
    """
    annotation, pixels, batch, left = TASKS[given["task"]].annotation, None, None, budget
    while True:
        decisions = decide(facts, given, pixels=pixels, batch=batch)
        values = {**given, **{each.key: each.value for each in decisions}}
        times = measure(values)
        left -= times.took
        epochs, steps = _fitting_steps(facts, given, values, times, left)
        wanted = FEW_STEPS * LEAST_STEPS[annotation]
        factor = max(LEAST_AREA_FACTOR, epochs * steps / wanted)
        if factor < 1 and "batch_size" not in given:
            smaller = max(LEAST_BATCH[annotation], _power_of_two(values["batch_size"] * factor))
            if smaller < values["batch_size"]:
                batch = smaller
                continue
        if factor < 1 and "image_size" not in given:
            fewer = _fewer_pixels(facts, annotation, values["image_size"], factor)
            if fewer:
                pixels = fewer
                continue
        if epochs * steps < 1:
            raise ConfigError(
                f"a time budget of {budget:.0f} s is too short: measuring took "
                f"{budget - left:.0f} s, starting and scoring take {times.seconds(1, 1):.0f} s",
                fix=f"--time {math.ceil(2 * (budget - left + times.seconds(1, 1)))}s or more",
            )
        total = budget - left + times.seconds(epochs, steps)
        one_pass = steps == math.ceil(facts.images / values["batch_size"])
        reason = f"{epochs * steps} steps take {total:.0f} of {budget:.0f} s"
        schedule = Schedule(epochs, 0 if one_pass else steps, reason)
        return decide(facts, given, schedule, pixels, batch)


def steps_per_epoch(values: Mapping[str, Any], images: int) -> int:
    """Steps of an epoch with these values of the keys and that many training images."""
    return values["steps_per_epoch"] or math.ceil(images / values["batch_size"])


def _fitting_steps(
    facts: Facts, given: Mapping[str, Any], values: Mapping[str, Any], times: Times, budget: float
) -> tuple[int, int]:
    """Number of epochs and steps per epoch that take a time; the latter 0 if none fits."""
    left = budget - times.start - times.end
    one_pass = math.ceil(facts.images / values["batch_size"])
    least = LEAST_STEPS[TASKS[given["task"]].annotation]
    most = max(MOST_LEAST_STEPS * least, MOST_PASSES * one_pass)
    steps = given.get("steps_per_epoch") or one_pass
    fitting = min(int(left / (steps * times.step + times.validation)), most // steps)
    if "steps_per_epoch" in given:
        return (fitting, steps) if fitting > 0 else (1, 0)
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, fitting))
    if times.validation:
        epochs = min(epochs, int(left * VALIDATION_FRACTION / times.validation))
    epochs = max(1, epochs)
    if epochs != fitting:
        steps = int(min(most / epochs, (left / epochs - times.validation) / times.step))
    return epochs, max(0, steps)


def _fewer_pixels(facts: Facts, annotation: str, size: list[int], factor: float) -> float | None:
    """A limit of the pixels with which the images become smaller; None if they cannot."""
    pixels = size[0] * size[1] * factor
    while math.prod(_image_size(facts, annotation, pixels)[0]) >= math.prod(size):
        pixels *= 0.9
        if pixels < MULTIPLE**2:
            return None
    return pixels


def _image_size(facts: Facts, annotation: str, pixels: float | None) -> tuple[list[int], str]:
    """The largest size that trains in reasonable time, at the images' aspect ratio."""
    most = pixels or PIXELS[annotation][facts.gpu]
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
    time = "the time budget allows" if pixels else f"{where} can train in minutes"
    return sides, f"{facts.height}x{facts.width} reduced to what {time}"


def _batch_size(facts: Facts, annotation: str, limit: int | None) -> tuple[int, str]:
    """A power of two that gives an epoch, or what fits a time budget, enough steps."""
    if limit:
        return limit, "larger ones leave too few steps in the time budget"
    low, high = BATCHES[annotation]
    if facts.gpu:
        high *= 4
    batch = min(high, max(low, _power_of_two(max(1.0, facts.images / STEPS_PER_EPOCH))))
    return batch, f"{math.ceil(facts.images / batch)} steps per epoch of {facts.images} images"


def _power_of_two(value: float) -> int:
    """The largest power of two that is not above a value of at least 1."""
    return 2 ** math.floor(math.log2(value))


def _steps_per_epoch(facts: Facts, annotation: str, batch_size: int) -> tuple[int, str]:
    """One pass over the data, or several if a pass is too short for a checkpoint."""
    steps = math.ceil(facts.images / batch_size)
    least = math.ceil(LEAST_STEPS[annotation] / MOST_EPOCHS)
    if steps >= least:
        return 0, "one pass over the data"
    return least, f"one pass has only {steps} steps"


def _augmentation(
    task: TaskSpec, passes: float, given: str | None
) -> Iterator[tuple[str, Any, str]]:
    """None for few passes; predictions are averaged over flips if these were trained."""
    if given != "auto" and passes < FEW_PASSES[task.annotation]:
        yield "augment", "none", f"{passes:.1f} passes over the data memorize no image"
    elif given != "none":
        yield "test_time_flip", True, "averaging over an image and its flip scores better"


def _of_classes(facts: Facts, task: TaskSpec, loss: str) -> Iterator[tuple[str, Any, str]]:
    """What a task with classes adds."""
    takes = LOSSES[loss].takes if loss in LOSSES else ()
    if task.annotation == "label" and "label_smoothing" in takes:
        yield "label_smoothing", 0.1, "keeps a classifier from becoming overconfident"
    weighted = loss != MASK_LOSS and "class_weights" in takes and LOSSES[loss].weights is None
    if task.annotation == "mask" and weighted and facts.imbalance > RARE:
        ratio = f"{facts.imbalance:.0f} times the rarest one's pixels"
        yield "class_weights", "auto", f"the most frequent class has {ratio}"
    if task.annotation != "none":
        score = task.headline[0]
        yield "monitor", f"val_{score}", "the loss is often lowest long before this is highest"


def _epochs(annotation: str, steps: int) -> tuple[int, str]:
    """Enough updates for a model that starts from random weights."""
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, math.ceil(LEAST_STEPS[annotation] / steps)))
    return epochs, f"{epochs * steps} steps in all"
