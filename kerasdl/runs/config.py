"""Every value a user may set, its default, its check and its TOML form.

Order of precedence: the defaults here < the recipe < a configuration file < `--set key=value` <
a flag.
"""

import dataclasses
import math
import tomllib
import typing

import tomli_w

from kerasdl.backend import BACKENDS, PRECISIONS
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.runs import recipes
from kerasdl.tasks import TASKS, resolve_task

JITS = ("auto", "on", "off")
DEFAULT_MODELS = {"classification": "resnet18", "segmentation": "unet", "colorization": "unet"}
RESIZES = ("crop", "stretch")
DISTRIBUTIONS = ("none", "data")
TARGETS = ("rgb", "ab")

# Keys that may differ between the start of a run and its continuation: they change how long or
# how fast it trains, never what an epoch computes. (`epochs` only where `may_go_on`.)
RESUMABLE_KEYS = ("epochs", "workers", "cache_megabytes", "download")


@dataclasses.dataclass(frozen=True)
class Config:
    """The configuration of one run; flat, typed, complete.

    The recipe of the report is the default: SGD, learning rate 0.1, weight decay 1e-5, batch 128,
    20 epochs, learning rate x 0.1 when the validation loss stops falling.
    """

    task: str = "classification"
    recipe: str = "study"  # or "fast": other defaults for what is not set, see `recipes`
    model: str = ""  # empty: the task's default model
    data: str = "scenes"  # "scenes", a folder, or "tfds:NAME[/CONFIG][:VERSION]"
    backend: str = "auto"
    precision: str = "float32"  # "auto": bfloat16 where that is faster on this machine
    jit_compile: str = "auto"  # compile the step as a whole: "auto" leaves it to Keras
    distribute: str = "none"  # "data": all devices and processes share each batch
    seed: int = 0
    image_size: tuple[int, int] = (64, 64)  # height, width
    resize: str = ""  # "crop" keeps the aspect ratio, "stretch" does not; empty: by task
    train_size: int = 0  # 0: all there are (scenes: its own default)
    validation_size: int = 0
    test_size: int = 0
    validation_split: float = 0.1  # share of the training images, where the data have no split
    test_split: float = 0.1
    epochs: int = 20
    steps_per_epoch: int = 0  # 0: one pass over the data; else a virtual epoch of that many steps
    batch_size: int = 128
    learning_rate: float = 0.1  # at the start; with "onecycle" and "cosine" the highest
    lr_schedule: str = "plateau"  # or per step, after a linear rise: "onecycle" (linear), "cosine"
    warmup_epochs: float = 0.0  # epochs of that rise, parts of one allowed
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-5
    decay_norm_and_bias: bool = True  # whether biases and normalization decay as kernels do
    ema_decay: float = 0.0  # decay per step of the averaged weights that become the model; 0: off
    progressive_sizes: tuple[int, ...] = ()  # percent of image_size; equal shares of the epochs
    monitor: str = "val_loss"
    plateau_factor: float = 0.1
    plateau_patience: int = 2
    early_stopping_patience: int = 0  # 0: off
    loss: str = ""  # empty: the task's default loss
    label_smoothing: float = 0.0  # share of the target spread over all classes, in training only
    target: str = ""  # colorization: "rgb" (the report) or "ab" (CIELAB); empty: "rgb"
    class_weights: str = "none"  # "none", "auto", or a TOML file: class name = weight
    ignore_labels: tuple[int, ...] = ()  # added to those the data name
    augment: str = "auto"  # "auto": what suits the task, "none": off
    augment_args: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    model_args: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    weights: str = ""  # a classification run, its .keras file, or "imagenet": weights to start from
    freeze: bool = False  # whether the layers that the backbone filled stay as they are
    test_time_flip: bool = False  # scores and predictions are means over an image and its flip
    deterministic: bool = True
    workers: int = 2
    cache_megabytes: int = 4096
    skip_invalid: bool = False
    download: bool = False

    def __post_init__(self):
        _check(self)


def make(values):
    """Config from a mapping; unknown keys, wrong types and bad ranges raise ConfigError."""
    fields = {field.name: field.type for field in dataclasses.fields(Config)}
    if "task" in values and isinstance(values["task"], str):
        values = {**values, "task": resolve_task(values["task"])}
    values = {"task": Config.task, **values}
    if not values.get("model") and values["task"] in TASKS:
        values["model"] = DEFAULT_MODELS[values["task"]]
    values = recipes.complete(values)
    typed = {}
    for key, value in values.items():
        if key not in fields:
            raise suggest("configuration key", key, fields)
        typed[key] = _typed(key, value, fields[key])
    task = typed["task"]
    if not typed.get("resize"):
        # A mask can be scaled back whatever its shape was; a cropped label or color is lost.
        typed["resize"] = "stretch" if task == "segmentation" else "crop"
    if task == "colorization" and not typed.get("target"):
        typed["target"] = "rgb"
    return Config(**typed)


def override(values, assignments):
    """Applies `key=value` strings (`table.key=value` for tables) to a mapping and returns it.

    The value is read as TOML; what is not TOML is taken as text, so that `model=unet` works.
    """
    merged = {key: dict(item) if isinstance(item, dict) else item for key, item in values.items()}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        key = key.strip()
        if not separator or not key:
            raise ConfigError(f"'{assignment}' is not of the form key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        table, dot, inner = key.partition(".")
        if not dot:
            merged[key] = value
        elif isinstance(merged.setdefault(table, {}), dict):
            merged[table][inner] = value
        else:
            raise ConfigError(f"'{table}' is not a table, so '{key}' cannot be set")
    return merged


def may_go_on(config):
    """Whether epochs can be added to a run: not if all of them follow from their number."""
    return config.lr_schedule == "plateau" and not config.progressive_sizes


def as_dict(config):
    """The configuration as plain TOML and JSON types."""
    values = dataclasses.asdict(config)
    return {key: list(item) if isinstance(item, tuple) else item for key, item in values.items()}


def dump(config):
    """The configuration as TOML text; `make(tomllib.loads(text))` gives it back."""
    return tomli_w.dumps(as_dict(config))


def _typed(key, value, kind):
    """Value converted to the type of its field, where nothing is lost by it."""
    origin = typing.get_origin(kind) or kind
    if origin is tuple:
        if isinstance(value, int) and not isinstance(value, bool):
            value = [value, value] if key == "image_size" else [value]
        if isinstance(value, str) and key == "image_size":
            parts = value.lower().split("x")
            if all(part.strip().isdigit() for part in parts) and len(parts) in (1, 2):
                value = [int(part) for part in parts] * (2 if len(parts) == 1 else 1)
        if isinstance(value, list | tuple) and all(type(item) is int for item in value):
            if key != "image_size" or len(value) == 2:
                return tuple(value)
        expected = "HEIGHTxWIDTH, such as 64x64" if key == "image_size" else "a list of integers"
        raise ConfigError(f"'{key}' must be {expected}, received {value!r}")
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


def _noun(kind):
    return {
        int: "an integer",
        float: "a number",
        str: "text",
        bool: "true or false",
        dict: "a table",
    }[kind]


def _check(config):
    """Raises ConfigError for the first value out of its range."""
    for key, choices in (
        ("task", TASKS),
        ("backend", ("auto", *BACKENDS)),
        ("precision", PRECISIONS),
        ("distribute", DISTRIBUTIONS),
        ("jit_compile", JITS),
        ("resize", ("", *RESIZES)),
        ("target", ("", *TARGETS)),
        ("augment", ("auto", "none")),
        ("recipe", recipes.RECIPES),
        ("lr_schedule", recipes.SCHEDULES),
    ):
        if getattr(config, key) not in choices:
            raise suggest(key, getattr(config, key), [choice for choice in choices if choice])
    if config.target and config.task != "colorization":
        raise ConfigError(
            f"'target' is for colorization, the task is {config.task}", fix="unset it"
        )
    at_least = {
        "epochs": 1,
        "batch_size": 1,
        "steps_per_epoch": 0,
        "seed": 0,
        "train_size": 0,
        "validation_size": 0,
        "test_size": 0,
        "plateau_patience": 1,
        "early_stopping_patience": 0,
        "workers": 1,
        "cache_megabytes": 0,
    }
    for key, least in at_least.items():
        if getattr(config, key) < least:
            raise ConfigError(f"'{key}' must be at least {least}, received {getattr(config, key)}")
    ranges = {
        "learning_rate": (0.0, math.inf),
        "momentum": (0.0, 1.0),
        "weight_decay": (0.0, 1.0),
        "plateau_factor": (0.0, 1.0),
        "label_smoothing": (0.0, 1.0),
        "ema_decay": (0.0, 1.0),
        "warmup_epochs": (0.0, math.inf),
        "validation_split": (0.0, 1.0),
        "test_split": (0.0, 1.0),
    }
    for key, (low, high) in ranges.items():
        value = getattr(config, key)
        exclusive_low = key in ("learning_rate", "plateau_factor")
        if not math.isfinite(value) or not (low < value if exclusive_low else low <= value):
            raise ConfigError(f"'{key}' must be a finite number above {low:g}, received {value}")
        if value >= high:
            raise ConfigError(f"'{key}' must be below {high:g}, received {value}")
    if min(config.image_size) < 8 or max(config.image_size) > 8192:
        raise ConfigError(f"'image_size' must be 8 to 8192, received {config.image_size}")
    recipes.check(config)
