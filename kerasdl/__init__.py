"""kerasdl: classification, segmentation and colorization with Keras 3, on any of its backends.

    import kerasdl

    config = kerasdl.make_config(task="segmentation", model="fcn32")
    run = kerasdl.train(config)  # later: kerasdl.Run("saved_models/segmentation-fcn32-scenes")
    run.scores["mean_iou"]
    run.predict("photos/", out="masks/")

Importing this package imports no Keras; the first use of `train`, `evaluate`, `predict` or
`models.build` does, on the backend of KERAS_BACKEND.
"""

import importlib

__version__ = "0.1.0"

_LAZY = {
    "Run": ("kerasdl.engine.run", "Run"),
    "train": ("kerasdl.engine.run", "train"),
    "evaluate": ("kerasdl.engine.run", "evaluate"),
    "predict": ("kerasdl.engine.run", "predict"),
    "Config": ("kerasdl.runs.config", "Config"),
    "models": ("kerasdl.models", None),
}

__all__ = [*_LAZY, "__version__", "make_config"]


def make_config(**values):
    """Configuration from keyword arguments; see `kerasdl.runs.config.Config` for the keys."""
    from kerasdl.runs import config

    return config.make(values)


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module 'kerasdl' has no attribute '{name}'")
    module, attribute = _LAZY[name]
    loaded = importlib.import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)


def __dir__():
    return sorted([*globals(), *_LAZY])
