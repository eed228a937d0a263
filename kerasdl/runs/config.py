"""The configuration of a run: each key with its default, its range, its help and its flag.

Order of precedence: the defaults here < the recipe < a configuration file < `--set key=value` <
a flag. Flags, `--help`, the checks and docs/configuration.md all come from the fields of `Config`.
"""

import dataclasses
import tomllib
import typing
from collections.abc import Callable, Iterable, Mapping

import tomli_w

from kerasdl import data
from kerasdl.backend import BACKENDS, PRECISIONS
from kerasdl.core import extensions
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.losses import LOSSES
from kerasdl.metrics import recorded
from kerasdl.models import MODELS
from kerasdl.runs import checks, recipes
from kerasdl.runs.optimizers import OPTIMIZERS
from kerasdl.tasks import TASKS, resolve_task

JIT_COMPILE = ("auto", "on", "off")
LOGS = ("tensorboard", "mlflow", "wandb")  # the modules of kerasdl.report.trackers
TARGETS = tuple(dict.fromkeys(target for spec in TASKS.values() for target in spec.targets))


@dataclasses.dataclass(frozen=True)
class Key:
    """The declaration of a configuration key, besides its type and default.

    Attributes:
        help: What it sets, in one sentence.
        group: Heading under which docs/configuration.md lists it.
        choices: Allowed values; a registry means its names, None any value.
        low, high: Smallest and largest value; `above` and `below` exclude the limit.
        flag: Whether `kerasdl train` has a flag besides `--set`; text: the name of that flag.
        metavar: What a value looks like, for `--help`; a function where extensions add to it.
        resumable: Whether it may change when a run is resumed: it affects how long or how fast a
        run trains, never what an epoch computes.
    """

    help: str
    group: str
    choices: typing.Any = None
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    flag: bool | str = False
    metavar: str | Callable[[], str] = ""
    resumable: bool = False

    def option(self, name: str) -> str:
        """The flag of the key `name`, such as "--image-size"."""
        return f"--{self.flag if isinstance(self.flag, str) else name.replace('_', '-')}"


def _key(default: typing.Any, text: str, group: str, **facts: typing.Any) -> typing.Any:
    """A field of `Config`; a mutable default becomes a factory."""
    metadata = {"key": Key(text, group, **facts)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, init=False)
class Config:
    """The configuration of one run; flat, typed, complete and checked.

    A key that is not given has the recipe's value, or the default. The defaults are those of the
    study: SGD, learning rate 0.1, weight decay 1e-5, batches of 128, 20 epochs, learning rate x 0.1
    when the validation loss stops falling. Keys left empty ("") depend on the task.

    Attributes:
        given: Names of the keys that were set; the recipe sets the others.

    Raises:
        ConfigError: A value has the wrong type or range, or two keys are inconsistent.

    Example: `kerasdl.Config(task="segmentation", model="fcn8", epochs=5)`.
    """

    if typing.TYPE_CHECKING:
        given: frozenset[str]  # for type checkers only: not a key, so not a field

    task: str = _key("classification", "Task.", "Model", choices=TASKS)
    recipe: str = _key(
        "", "Defaults of the keys that are not set; empty: study for scenes, else auto.", "Model",
        choices=recipes.RECIPES, flag=True,
    )  # fmt: skip
    model: str = _key("", "Model; empty: the task's default.", "Model", choices=MODELS, flag=True)
    model_args: dict[str, typing.Any] = _key(
        {}, "Options of the model, see `kerasdl models`.", "Model"
    )
    extensions: tuple[str, ...] = _key(
        (), "Python files or modules that register further models, losses, metrics and data.",
        "Model", metavar="FILE|MODULE", resumable=True,
    )  # fmt: skip
    weights: str = _key(
        "", "Weights to start from: a run, a .keras file, a ResNet-18 of torchvision or timm "
        "(.pth, .safetensors), or imagenet.", "Model", flag=True, metavar="RUN|FILE|imagenet",
    )  # fmt: skip
    freeze: bool = _key(
        False, "Freeze the layers that were initialized from the weights.", "Model", flag=True
    )
    data: str = _key(
        "scenes", "Data set; scenes are embedded.", "Data",
        flag=True, metavar=lambda: "|".join(data.forms()),
    )  # fmt: skip
    image_size: tuple[int, int] = _key(
        (64, 64), "Size of the images in training.", "Data",
        flag=True, metavar="HEIGHTxWIDTH", low=8, high=8192,
    )  # fmt: skip
    resize: str = _key(
        "", "How images are resized: crop keeps the aspect ratio; empty: by task.", "Data",
        choices=("crop", "stretch"),
    )  # fmt: skip
    train_size: int = _key(
        0, "Maximum number of training images; 0: all (scenes: their own default).", "Data", low=0
    )
    validation_size: int = _key(0, "Maximum number of validation images; 0: all.", "Data", low=0)
    test_size: int = _key(0, "Maximum number of test images; 0: all.", "Data", low=0)
    validation_split: float = _key(
        0.1, "Fraction of the training images, if the data have no validation split.", "Data",
        low=0, below=1,
    )  # fmt: skip
    test_split: float = _key(
        0.1, "Fraction of the images, if the data have no splits.", "Data", low=0, below=1
    )
    split_seed: int = _key(
        0, "Seed of splits and subsets that are drawn; not seed, so that runs share their images.",
        "Data", low=0, high=2**32 - 1,
    )  # fmt: skip
    ignore_labels: tuple[int, ...] = _key(
        (), "Mask values to ignore, besides those the data declare.", "Data"
    )
    augment: str = _key(
        "auto", "Augmentation: auto is what suits the task.", "Data", choices=("auto", "none")
    )
    augment_args: dict[str, typing.Any] = _key(
        {}, "Augmentation strengths that differ from the task's, see docs/data.md.", "Data"
    )
    skip_invalid: bool = _key(False, "Skip files that cannot be read.", "Data")
    download: bool = _key(
        False, "Whether a tfds: data set may be downloaded and prepared.", "Data", resumable=True
    )
    epochs: int = _key(20, "Number of epochs.", "Training", low=1, flag=True, resumable=True)
    time_budget: float = _key(
        0.0, "Time that a training with the recipe auto may take, such as 10m, 1h30m, 90s or "
        "seconds; 0: any. Decides the number of epochs.", "Training",
        low=0, flag="time", metavar="TIME",
    )  # fmt: skip
    steps_per_epoch: int = _key(
        0, "Steps of an epoch; 0: one pass over the data.", "Training", low=0
    )
    batch_size: int = _key(
        128, "Images per step; auto (0): the largest power of two that fits the GPU's memory.",
        "Training", low=0, flag=True, metavar="NUMBER|auto",
    )  # fmt: skip
    optimizer: str = _key(
        "sgd", "Optimizer, by Keras' name.", "Training", choices=OPTIMIZERS, flag=True
    )
    optimizer_args: dict[str, typing.Any] = _key(
        {}, "Further arguments of Keras' optimizer, such as beta_1, global_clipnorm or "
        "gradient_accumulation_steps.", "Training",
    )  # fmt: skip
    learning_rate: float = _key(
        0.1, "Initial learning rate; with onecycle and cosine the peak. Other optimizers than sgd "
        "have other defaults.", "Training", above=0, flag=True,
    )  # fmt: skip
    lr_schedule: str = _key(
        "plateau", "plateau lowers the rate when the monitored value stalls; the others change "
        "it with every step.", "Training", choices=recipes.SCHEDULES,
    )  # fmt: skip
    warmup_epochs: float = _key(
        0.0, "Epochs of linear warm-up of the learning rate.", "Training", low=0
    )
    momentum: float = _key(
        0.9, "Momentum of sgd; 0 with other optimizers.", "Training", low=0, below=1
    )
    nesterov: bool = _key(False, "Nesterov's momentum, with sgd.", "Training")
    weight_decay: float = _key(
        1e-5, "Weight decay: with sgd added to the gradient as in PyTorch, with others decoupled. "
        "Other optimizers than sgd have other defaults.", "Training", low=0, below=1,
    )  # fmt: skip
    decay_norm_and_bias: bool = _key(
        True, "Whether weight decay applies to biases and normalization too.", "Training"
    )
    ema_decay: float = _key(
        0.0, "Decay per step of the moving average of the weights; 0: off.", "Training",
        low=0, below=1,
    )  # fmt: skip
    progressive_sizes: tuple[int, ...] = _key(
        (), "Smaller sizes to start training with, in percent of image_size.", "Training"
    )
    monitor: str = _key(
        "val_loss", "Value of history.csv that determines the best epoch.", "Training",
        flag=True, metavar=lambda: f"[val_]{'|'.join(recorded())}",
    )  # fmt: skip
    plateau_factor: float = _key(
        0.1, "Factor for the learning rate on a plateau.", "Training", above=0, below=1
    )
    plateau_patience: int = _key(
        2, "Epochs without improvement before the rate drops.", "Training", low=1
    )
    early_stopping_patience: int = _key(
        0, "Epochs without improvement before training ends; 0: never.", "Training", low=0
    )
    loss: str = _key("", "Loss; empty: the task's default.", "Loss", choices=LOSSES, flag=True)
    target: str = _key(
        "", "Colorization: rgb, or ab, which keeps the lightness of the input; empty: rgb.", "Loss",
        choices=TARGETS, flag=True,
    )  # fmt: skip
    label_smoothing: float = _key(
        0.0, "Fraction of the target spread over all classes in training and val_loss.", "Loss",
        low=0, below=1,
    )  # fmt: skip
    class_weights: str = _key(
        "none", "none, auto (by frequency), or a TOML file: class name = weight.", "Loss",
        flag=True, metavar="none|auto|FILE",
    )  # fmt: skip
    test_time_flip: bool = _key(False, "Average predictions over each image and its flip.", "Loss")
    seed: int = _key(0, "Random seed.", "Machine", low=0, high=2**32 - 1, flag=True)
    backend: str = _key(
        "auto", "Backend; auto: KERAS_BACKEND, else what `kerasdl benchmark` recommends, else the "
        "first installed.", "Machine", choices=("auto", *BACKENDS),
    )  # fmt: skip
    precision: str = _key(
        "float32", "Precision; auto: bfloat16 where that is faster on this machine.", "Machine",
        choices=PRECISIONS, flag=True,
    )  # fmt: skip
    jit_compile: str = _key(
        "auto", "Compile the whole training step; auto leaves it to Keras.", "Machine",
        choices=JIT_COMPILE,
    )  # fmt: skip
    distribute: str = _key(
        "none", "data: split each batch over all devices and processes.", "Machine",
        choices=("none", "data"), flag=True,
    )  # fmt: skip
    deterministic: bool = _key(True, "Same seed, same result, bit for bit.", "Machine")
    workers: int = _key(2, "Number of threads that read images.", "Machine", low=1, resumable=True)
    cache_megabytes: int = _key(
        4096, "Memory for decoded images, in MB.", "Machine", low=0, resumable=True
    )

    log: tuple[str, ...] = _key(
        (), "Trackers that the training is logged to, besides the run folder.", "Machine",
        choices=LOGS, flag=True, resumable=True,
    )  # fmt: skip

    def __init__(self, **values: typing.Any):
        object.__setattr__(self, "given", frozenset(values))
        for name, value in _completed(values).items():
            object.__setattr__(self, name, value)
        for name, key in keys().items():
            checks.check_range(name, getattr(self, name), key, getattr(Config, name, None))
        checks.check_together(self)
        recipes.check(self)


def keys() -> dict[str, Key]:
    """The declaration of each key, by name."""
    return {field.name: field.metadata["key"] for field in dataclasses.fields(Config)}


RESUMABLE_KEYS = tuple(name for name, key in keys().items() if key.resumable)


def override(values: Mapping[str, typing.Any], assignments: Iterable[str]) -> dict[str, typing.Any]:
    """Applies `key=value` strings (`table.key=value` for tables) to a mapping and returns it.

    The value is read as TOML; anything else is taken as text, so that `model=unet` works.
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


def can_extend(config: Config) -> bool:
    """Whether epochs can be added to a run: not if the schedule depends on their number."""
    return config.lr_schedule == "plateau" and not config.progressive_sizes


def as_dict(config: Config) -> dict[str, typing.Any]:
    """The configuration as plain TOML and JSON types."""
    values = dataclasses.asdict(config)
    return {key: list(item) if isinstance(item, tuple) else item for key, item in values.items()}


def dump(config: Config) -> str:
    """The configuration as TOML text; `Config(**tomllib.loads(text))` restores it."""
    return tomli_w.dumps(as_dict(config))


def changed(config: Config, **values: typing.Any) -> Config:
    """The configuration with some values replaced, and checked again."""
    made = Config(**{**as_dict(config), **values})
    object.__setattr__(made, "given", config.given | set(values))
    return made


def _completed(values: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """All keys with their values: given (and typed), else the recipe's, else the default."""
    types = {field.name: field.type for field in dataclasses.fields(Config)}
    for key in values:
        if key not in types:
            raise suggest("configuration key", key, types)
    values = {key: checks.typed(key, value, types[key]) for key, value in values.items()}
    # First, because other keys may name what they register.
    values["extensions"] = extensions.load(values.get("extensions", ()))
    values.setdefault("data", Config.data)
    if not values.get("recipe"):
        values["recipe"] = "study" if values["data"] == Config.data else "auto"
    values["task"] = resolve_task(values.get("task", Config.task))
    task = TASKS[values["task"]]
    if not values.get("model"):
        values["model"] = task.default_model
    typed = {
        key: checks.typed(key, value, types[key]) for key, value in recipes.complete(values).items()
    }
    for field in dataclasses.fields(Config):
        if field.name not in typed:
            factory = field.default_factory
            typed[field.name] = field.default if factory is dataclasses.MISSING else factory()
    typed["resize"] = typed["resize"] or task.resize
    if task.targets:
        typed["target"] = typed["target"] or task.targets[0]
    typed["loss"] = typed["loss"] or task.default_loss.get(typed["target"], "")
    return typed
