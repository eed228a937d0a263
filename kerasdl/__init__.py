"""kerasdl: classification, segmentation and colorization with Keras 3, on any of its backends.

    import kerasdl

    config = kerasdl.Config(task="segmentation", model="fcn32")
    run = kerasdl.train(config)
    kerasdl.evaluate(run)["scores"]

Importing this package imports no Keras; the first use of `train`, `evaluate`, `predict`, a builder,
a loss or a metric does, on the backend of KERAS_BACKEND.
"""

import importlib

__version__ = "0.1.0"

_LAZY = {
    "train": "kerasdl.engine.run",
    "evaluate": "kerasdl.engine.run",
    "predict": "kerasdl.engine.run",
    "Config": "kerasdl.runs.config",
    "ModelSpec": "kerasdl.models",
    "Option": "kerasdl.models",
    "LossSpec": "kerasdl.losses",
    "MetricSpec": "kerasdl.metrics",
    "SourceSpec": "kerasdl.data",
}
# Registry -> the class of its entries.
_REGISTRIES = {
    "kerasdl.models": ("MODELS", "ModelSpec"),
    "kerasdl.losses": ("LOSSES", "LossSpec"),
    "kerasdl.metrics": ("METRICS", "MetricSpec"),
    "kerasdl.data": ("SOURCES", "SourceSpec"),
}
_PACKAGES = ("models", "losses", "metrics", "tasks", "data")

__all__ = [*_LAZY, *_PACKAGES, "__version__", "register"]


def register(entry):
    """Adds a model, loss, metric or data source, so that every command knows it.

    Args:
        entry: A `ModelSpec`, `LossSpec`, `MetricSpec` or `SourceSpec`.

    Returns:
        The entry.

    Raises:
        ConfigError: Another entry has its name.
        TypeError: It is none of these.

    A configuration names the file or module that calls this with the key `extensions`; see
    docs/extending.md.
    """
    for module, (registry, kind) in _REGISTRIES.items():
        package = importlib.import_module(module)
        if isinstance(entry, getattr(package, kind)):
            getattr(package, registry).add(entry)
            return entry
    raise TypeError(f"not a ModelSpec, LossSpec, MetricSpec or SourceSpec: {entry!r}")


def __getattr__(name):
    if name in _PACKAGES:
        return importlib.import_module(f"kerasdl.{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kerasdl' has no attribute '{name}'")


def __dir__():
    return sorted([*globals(), *_LAZY, *_PACKAGES])
