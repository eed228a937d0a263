"""Recipes: named sets of defaults for the keys that the user did not set.

- `study` sets nothing: the defaults of `Config` are those of the study. It is the default for the
  embedded scenes.
- `auto` follows from the data and the machine, see `kerasdl.runs.auto`. It is the default for every
  other data set.
- `fast` is what is known to bring small convolutional models to their score in few epochs; each
  piece is one key, and setting that key takes the piece out.

docs/recipes.md names the keys, the sources and what was measured.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasdl import data, models
from kerasdl.core.errors import ConfigError
from kerasdl.losses import LOSSES
from kerasdl.models import MODELS
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
EPOCHS = 6  # at the full size; more, in the same time, where smaller sizes come first
SIZES = (50, 75)  # percent; those at which the network's coarsest map keeps
LEAST_MAP = 2  # pixels on a side. Below that a size teaches little, see docs/recipes.md.
WARMUP_SHARE = 0.2  # of the epochs
# The highest rate grows with the batch (Goyal et al. 2017, section 2.1), from He et al. 2016,
# section 4.2, for small images: 0.1 for 128.
RATE, RATE_BATCH_SIZE = 0.1, 128
LABEL_SMOOTHING = 0.1
# What is hidden has to be seen on another day: in short trainings erasing costs accuracy.
ERASE, ERASE_FROM_EPOCHS = 0.25, 20


def complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with those of their recipe beneath: what is set stays.

    Args:
        values: Mapping of keys to values, `task` resolved, `data` set; `recipe` names the recipe.

    Returns:
        A new mapping. Values that are wrong are left for the configuration's own checks.
    """
    if values["recipe"] == "auto":
        # The rest follows from the data, see `kerasdl.runs.auto`.
        return {"precision": "auto", **values}
    if values["recipe"] != "fast":
        return dict(values)
    found = {**FAST, **values}
    found.setdefault("progressive_sizes", _sizes(found))
    found.setdefault("epochs", _epochs(found["progressive_sizes"]))
    batch_size = found.get("batch_size", RATE_BATCH_SIZE)
    if isinstance(batch_size, int):
        found.setdefault("learning_rate", RATE * batch_size / RATE_BATCH_SIZE)
    if found["lr_schedule"] in ("onecycle", "cosine") and isinstance(found["epochs"], int):
        found.setdefault("warmup_epochs", WARMUP_SHARE * found["epochs"])
    task, augmented = TASKS[found["task"]], found.get("augment") != "none"
    loss = LOSSES.get(found.get("loss") or task.default_loss.get("", ""))
    if task.annotation == "label" and loss and "label_smoothing" in loss.takes:
        found.setdefault("label_smoothing", LABEL_SMOOTHING)
    arguments = found.get("augment_args", {})
    if augmented and isinstance(arguments, dict):
        # The embedded images are drawn with everything anywhere: what moves them, or changes
        # their light, only takes longer to learn.
        drawn = task.drawn_augmentation if data.is_drawn(str(found["data"])) else {}
        # A run with a plateau can be given more epochs later, which must change nothing else.
        long = isinstance(found["epochs"], int) and found["epochs"] >= ERASE_FROM_EPOCHS
        erases = task.erases and long and found["lr_schedule"] != "plateau"
        erasing = {"random_erasing": ERASE} if erases else {}
        found["augment_args"] = {**drawn, **erasing, **arguments}
    return found


def _sizes(values: Mapping[str, Any]) -> list[int]:
    """The sizes, in percent, that come before the full one."""
    if values.get("early_stopping_patience"):
        return []  # a stop before the full size would leave no model
    sides = re.findall(r"\d+", str(values.get("image_size", 64)))  # 64, [64, 48] or "64x48"
    sides = [int(side) for side in sides] or [0]
    options = values.get("model_args", {})
    options = options if isinstance(options, dict) else {}
    if values["model"] not in MODELS:
        return []  # the configuration will refuse it
    least = LEAST_MAP * models.stride(values["model"], options, sides)
    return [size for size in SIZES if min(sides) * size >= 100 * least]


def _epochs(sizes: object) -> int:
    """As many as take the time of `EPOCHS` at the full size; time goes with the pixels."""
    sizes = [sizes] if isinstance(sizes, int) else sizes
    if not isinstance(sizes, (list, tuple)) or not all(isinstance(size, int) for size in sizes):
        return EPOCHS  # the configuration will refuse it
    fractions = [(size / 100) ** 2 for size in (*sizes, 100)]
    return round(EPOCHS * len(fractions) / sum(fractions))


def check(config: "Config") -> None:
    """Raises ConfigError for pieces of a recipe that do not go together."""
    if config.lr_schedule == "plateau" and config.warmup_epochs:
        raise ConfigError(
            "'warmup_epochs' is for a schedule per step, 'plateau' has none",
            fix="lr_schedule = 'onecycle' or 'cosine', or warmup_epochs = 0",
        )
    if config.lr_schedule != "plateau" and config.warmup_epochs >= config.epochs:
        raise ConfigError(
            f"'warmup_epochs' must be below 'epochs' = {config.epochs}, "
            f"received {config.warmup_epochs:g}"
        )
    sizes = config.progressive_sizes
    if list(sizes) != sorted(set(sizes)) or any(not 10 <= size < 100 for size in sizes):
        raise ConfigError(
            f"'progressive_sizes' must be rising percentages of 10 to 99, received {list(sizes)}"
        )
    if sizes and config.early_stopping_patience:
        raise ConfigError(
            "'early_stopping_patience' could end a run before it sees the full size",
            fix="progressive_sizes = [], or early_stopping_patience = 0",
        )
