"""kerasdl: classification, segmentation and colorization with Keras 3, on any of its backends.

    import kerasdl

    config = kerasdl.Config(task="segmentation", model="fcn32")
    run = kerasdl.train(config)  # later: kerasdl.Run("saved_models/segmentation-fcn32-scenes")
    run.scores["mean_iou"]
    run.predict("photos/", out="masks/")

Importing this package imports no Keras; the first use of `train`, `evaluate`, `predict`, a builder,
a loss or a metric does, on the backend of KERAS_BACKEND.
"""

import importlib
import re
from typing import TYPE_CHECKING, TypeVar

from kerasdl.core.registry import attributes

if TYPE_CHECKING:
    from kerasdl import data as data
    from kerasdl import losses as losses
    from kerasdl import metrics as metrics
    from kerasdl import models as models
    from kerasdl import tasks as tasks
    from kerasdl.data import SourceSpec as SourceSpec
    from kerasdl.engine.run import Run as Run
    from kerasdl.engine.run import evaluate as evaluate
    from kerasdl.engine.run import predict as predict
    from kerasdl.engine.run import train as train
    from kerasdl.losses import LossSpec as LossSpec
    from kerasdl.metrics import MetricSpec as MetricSpec
    from kerasdl.models import ModelSpec as ModelSpec
    from kerasdl.models import Option as Option
    from kerasdl.runs.config import Config as Config
    from kerasdl.tools.export.run import export as export

__version__ = "0.2.0"

_LAZY = (
    "kerasdl.engine.run:Run",
    "kerasdl.engine.run:train",
    "kerasdl.engine.run:evaluate",
    "kerasdl.engine.run:predict",
    "kerasdl.tools.export.run:export",
    "kerasdl.runs.config:Config",
    "kerasdl.models:ModelSpec",
    "kerasdl.models:Option",
    "kerasdl.losses:LossSpec",
    "kerasdl.metrics:MetricSpec",
    "kerasdl.data:SourceSpec",
    "kerasdl.models",
    "kerasdl.losses",
    "kerasdl.metrics",
    "kerasdl.tasks",
    "kerasdl.data",
)
# Registry -> the class of its entries.
_REGISTRIES = {
    "kerasdl.models": ("MODELS", "ModelSpec"),
    "kerasdl.losses": ("LOSSES", "LossSpec"),
    "kerasdl.metrics": ("METRICS", "MetricSpec"),
    "kerasdl.data": ("SOURCES", "SourceSpec"),
}

Entry = TypeVar("Entry", "ModelSpec", "LossSpec", "MetricSpec", "SourceSpec")

__all__ = [*(re.split("[.:]", each)[-1] for each in _LAZY), "__version__", "register"]


def register(entry: Entry) -> Entry:
    """Adds a model, loss, metric or data source, so that every command knows it.

    Args:
        entry: A `ModelSpec`, `LossSpec`, `MetricSpec` or `SourceSpec`.

    Returns:
        The entry.

    Raises:
        ConfigError: Another entry has its name, or it names an unknown task.
        TypeError: It is none of these.

    A configuration names the file or module that calls this with the key `extensions`; see
    docs/extending.md.
    """
    from kerasdl.core.errors import ConfigError
    from kerasdl.tasks import TASKS

    if "/" in entry.name:
        raise ConfigError(f"the name '{entry.name}' of an entry has a '/'", fix="leave it out")
    for task in getattr(entry, "tasks", ()):
        TASKS.require(task)
    for module, (registry, kind) in _REGISTRIES.items():
        package = importlib.import_module(module)
        if isinstance(entry, getattr(package, kind)):
            getattr(package, registry).add(entry)
            return entry
    raise TypeError(f"not a ModelSpec, LossSpec, MetricSpec or SourceSpec: {entry!r}")


if not TYPE_CHECKING:  # with a `__getattr__`, every misspelled name would pass as well
    __getattr__, __dir__ = attributes(__name__, _LAZY)
