"""Recipes: named sets of defaults for the keys that the user did not set.

- `study` sets nothing: the defaults of `Config` are those of the study. It is the default for the
embedded scenes.
- `auto` derives settings from the data and the machine, see `kerasdl.runs.auto`. It is the default
for every other data set.
- `fast` combines what is known to train small convolutional models in few epochs; each piece is one
key, and setting that key replaces the piece.

docs/recipes.md names the keys, the sources and what was measured.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kerasdl import data, models
from kerasdl.core.errors import ConfigError
from kerasdl.losses import LOSSES
from kerasdl.models import MODELS
from kerasdl.runs import optimizers
from kerasdl.tasks import TASKS

if TYPE_CHECKING:
    from kerasdl.runs.config import Config

RECIPES = ("auto", "study", "fast")
SCHEDULES = ("plateau", "onecycle", "cosine")

FAST = {
    "lr_schedule": "onecycle",
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "decay_norm_and_bias": False,
    "ema_decay": 0.99,
    "test_time_flip": True,
}
EPOCHS = 6  # at the full size; more, in the same time, with smaller sizes first
SIZES = (50, 75)  # percent, if the model's coarsest feature map keeps
MIN_MAP_SIDE = 2  # pixels per side; smaller sizes teach little, see docs/recipes.md
WARMUP_FRACTION = 0.2  # of the epochs
# The peak rate scales with the batch size (Goyal et al. 2017, section 2.1), from He et al. 2016,
# section 4.2, for small images: 0.1 for 128.
RATE, RATE_BATCH_SIZE = 0.1, 128
LABEL_SMOOTHING = 0.1
# Erased parts must be seen in another epoch: in short trainings erasing costs accuracy.
ERASE, ERASE_FROM_EPOCHS = 0.25, 20


def complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """Completes values with those of their recipe; values that are set are kept.

    Args:
        values: Mapping of keys to values of their types, `task` resolved, `model` and `data` set;
            `recipe` names the recipe.

    Returns:
        A new mapping. Values out of range are left for the configuration's own checks.
    """
    if (name := values.get("optimizer", optimizers.DEFAULT)) != optimizers.DEFAULT:
        values = {**optimizers.defaults(name), **values}
    if values["recipe"] == "auto":
        # The rest depends on the data, see `kerasdl.runs.auto`.
        return {"precision": "auto", **values}
    if values["recipe"] != "fast":
        return dict(values)
    found = {**FAST, **values}
    found.setdefault("progressive_sizes", _sizes(found))
    found.setdefault("epochs", _epochs(found["progressive_sizes"]))
    batch_size = found.get("batch_size") or RATE_BATCH_SIZE  # 0 is decided later, then asked again
    found.setdefault("learning_rate", RATE * batch_size / RATE_BATCH_SIZE)
    if found["lr_schedule"] != "plateau":
        found.setdefault("warmup_epochs", WARMUP_FRACTION * found["epochs"])
    task, augmented = TASKS[found["task"]], found.get("augment") != "none"
    loss = LOSSES.get(found.get("loss") or task.default_loss.get("", ""))
    if task.annotation == "label" and loss and "label_smoothing" in loss.takes:
        found.setdefault("label_smoothing", LABEL_SMOOTHING)
    if augmented:
        # The built-in images already vary in position and light: augmenting them only slows down
        # learning.
        drawn = task.scenes_augmentation if data.is_drawn(found["data"]) else {}
        # A run with a plateau schedule can be extended later, which must change nothing else.
        long = found["epochs"] >= ERASE_FROM_EPOCHS
        erases = task.erases and long and found["lr_schedule"] != "plateau"
        erasing = {"random_erasing": ERASE} if erases else {}
        found["augment_args"] = {**drawn, **erasing, **found.get("augment_args", {})}
    return found


def _sizes(values: Mapping[str, Any]) -> list[int]:
    """The sizes, in percent, that come before the full one."""
    if values.get("early_stopping_patience"):
        return []  # stopping before the full size would leave no model
    if values["model"] not in MODELS:
        return []  # rejected by the configuration
    sides = values.get("image_size", (64, 64))
    least = MIN_MAP_SIDE * models.stride(values["model"], values.get("model_args", {}), sides)
    return [size for size in SIZES if min(sides) * size >= 100 * least]


def _epochs(sizes: Sequence[int]) -> int:
    """Number of epochs that takes as long as `EPOCHS` at full size; time scales with pixels."""
    fractions = [(size / 100) ** 2 for size in (*sizes, 100)]
    return round(EPOCHS * len(fractions) / sum(fractions))


def check(config: "Config") -> None:
    """Raises ConfigError for inconsistent settings of a recipe."""
    if config.warmup_epochs >= config.epochs:
        raise ConfigError(
            f"'warmup_epochs' must be below 'epochs' = {config.epochs}, "
            f"received {config.warmup_epochs:g}"
        )
    if config.time_budget and config.recipe != "auto":
        raise ConfigError(
            f"'time_budget' is for the recipe auto, the recipe is {config.recipe}",
            fix="--recipe auto, or --epochs in place of --time",
        )
    if config.time_budget and config.distribute != "none":
        raise ConfigError(
            "'time_budget' is measured on one device", fix="distribute = 'none', or set epochs"
        )
    if not config.batch_size and (config.time_budget or config.distribute != "none"):
        key = "time_budget" if config.time_budget else "distribute"
        raise ConfigError(f"batch size 'auto' with '{key}'", fix="--batch-size NUMBER")
    sizes = config.progressive_sizes
    if list(sizes) != sorted(set(sizes)) or any(not 10 <= size < 100 for size in sizes):
        raise ConfigError(
            f"'progressive_sizes' must increase, from 10 to 99 percent, received {list(sizes)}"
        )
    if sizes and config.early_stopping_patience:
        raise ConfigError(
            "'early_stopping_patience' could end a run before it reaches the full size",
            fix="progressive_sizes = [], or early_stopping_patience = 0",
        )
