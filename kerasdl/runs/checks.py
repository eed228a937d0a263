"""Checks of a configuration: types, ranges, and combinations of values."""

import math
import operator
import re
import typing

from kerasdl import losses, models
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.losses import LOSSES
from kerasdl.models import MODELS, ModelSpec
from kerasdl.runs.optimizers import OPTIMIZERS
from kerasdl.tasks import TASKS, TaskSpec

if typing.TYPE_CHECKING:
    from kerasdl.runs.config import Config, Key


def typed(key: str, value: typing.Any, kind: typing.Any) -> typing.Any:
    """Value converted to the type of its field, if that is lossless."""
    origin = typing.get_origin(kind) or kind
    if origin is tuple:
        return _sequence(key, value, typing.get_args(kind)[0])
    if key == "time_budget" and isinstance(value, str):
        return seconds(key, value)
    if key == "batch_size" and isinstance(value, str):
        return _batch_size(key, value)
    if origin is float and type(value) is int:
        return float(value)
    if origin is float and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not origin:
        raise ConfigError(f"'{key}' must be {_noun(origin)}, received {value!r}")
    return dict(value) if origin is dict else value


def _sequence(key: str, value: typing.Any, kind: type) -> tuple[typing.Any, ...]:
    """Tuple of `kind` from a list, a single value, or for `image_size` "HEIGHTxWIDTH"."""
    sized = key == "image_size"
    if sized and isinstance(value, str):
        parts = value.lower().split("x")
        if all(part.strip().isdigit() for part in parts) and len(parts) in (1, 2):
            value = [int(part) for part in parts]
    if type(value) is kind:
        value = [value]
    if isinstance(value, list | tuple) and all(type(item) is kind for item in value):
        if not sized:
            return tuple(value)
        if len(value) in (1, 2):
            return (value[0], value[-1])
    expected = "HEIGHTxWIDTH, such as 64x64" if sized else f"a list of {_noun(kind, many=True)}"
    raise ConfigError(f"'{key}' must be {expected}, received {value!r}")


def seconds(key: str, text: str) -> float:
    """Seconds of "1h30m", "10m", "90s" or "600"."""
    number = r"(\d+(?:\.\d+)?)"
    found = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s?)?", text.strip().lower())
    if not found or not any(found.groups()):
        raise ConfigError(f"'{key}' must be a time, such as 10m, 1h30m or 90s, received {text!r}")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def _batch_size(key: str, text: str) -> int:
    """The number; 0 for "auto"."""
    if text == "auto":
        return 0
    try:
        number = int(text)
    except ValueError:
        raise ConfigError(f"'{key}' must be an integer or auto, received {text!r}") from None
    if number < 1:
        raise ConfigError(f"'{key}' must be at least 1, received {number}")
    return number


def _noun(kind: type, many: bool = False) -> str:
    names = {
        int: ("an integer", "integers"),
        float: ("a number", "numbers"),
        str: ("text", "texts"),
        bool: ("true or false", ""),
        dict: ("a table", ""),
    }
    return names[kind][many]


def check_range(name: str, value: typing.Any, key: "Key", default: typing.Any) -> None:
    """Raises ConfigError for a value that its key does not allow.

    Args:
        name: Name of the key.
        value: Its value.
        key: Its `kerasdl.runs.config.Key`.
        default: The value that is always allowed, even empty.
    """
    for each in value if isinstance(value, tuple) else (value,):
        if key.choices is not None and each not in key.choices and value != default:
            raise suggest(name, each, list(key.choices))
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"'{name}' must be a finite number, received {value}")
    for limit, wrong, words in (
        (key.low, operator.lt, "at least"),
        (key.high, operator.gt, "at most"),
        (key.above, operator.le, "above"),
        (key.below, operator.ge, "below"),
    ):
        each = value if isinstance(value, tuple) else (value,)
        if limit is not None and any(wrong(number, limit) for number in each):
            shown = "x".join(map(str, value)) if isinstance(value, tuple) else value
            raise ConfigError(f"'{name}' must be {words} {limit:.10g}, received {shown}")


def check_together(config: "Config") -> None:
    """Raises ConfigError for values that are inconsistent with the task or with each other."""
    task, model = TASKS[config.task], MODELS[config.model]
    if task.name not in model.tasks:
        able = [name for name, spec in MODELS.items() if task.name in spec.tasks]
        raise suggest(f"model for {task.name}", config.model, able)
    known = models.option_names(config.model)
    for option in config.model_args:
        if option not in known:
            raise suggest(f"option of model '{config.model}'", option, known)
    if config.target and config.target not in task.targets:
        able = [name for name, spec in TASKS.items() if spec.targets]
        raise ConfigError(f"'target' is for {', '.join(able)}, not {task.name}", fix="unset it")
    _check_loss(config, task, model)
    if not OPTIMIZERS[config.optimizer].momentum:
        for key in ("momentum", "nesterov"):
            if getattr(config, key):
                raise ConfigError(
                    f"'{key}' is for optimizer sgd, not {config.optimizer}",
                    fix=f"unset {key}; arguments of {config.optimizer} go into optimizer_args",
                )
    if config.freeze and not config.weights:
        raise ConfigError("'freeze' without weights", fix="--weights RUN, FILE or imagenet")


def _check_loss(config: "Config", task: TaskSpec, model: ModelSpec) -> None:
    """Raises ConfigError for a loss that does not match, or options it does not take."""
    compared = task.compared(config.target)
    fitting = losses.fitting(compared)
    if config.loss not in fitting:
        spec = LOSSES[config.loss]
        other = next((each for each in spec.targets if each in task.targets), None)
        if other:
            raise ConfigError(
                f"loss '{config.loss}' is for the target {other}", fix=f"--target {other}"
            )
        raise suggest(f"loss for {task.name}", config.loss, fitting)
    loss = LOSSES[config.loss]
    if loss.outputs and model.max_outputs and loss.outputs > model.max_outputs:
        raise ConfigError(
            f"loss '{config.loss}' has {loss.outputs} outputs, {config.model} at most "
            f"{model.max_outputs}, as its last kernel grows with their square",
            fix="--model unet, or another loss",
        )
    if config.label_smoothing and "label_smoothing" not in loss.takes:
        raise ConfigError(
            f"'label_smoothing' does not apply to loss '{config.loss}'",
            fix="label_smoothing = 0, or loss = 'crossentropy'",
        )
    if config.class_weights != "none":
        if loss.weights is not None:
            raise ConfigError(
                f"loss '{config.loss}' computes its own weights", fix="unset class_weights"
            )
        if "class_weights" not in loss.takes:
            raise ConfigError(
                f"loss '{config.loss}' has no classes to weight",
                fix="unset class_weights",
            )
