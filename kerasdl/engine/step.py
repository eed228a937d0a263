"""The training step of a configuration: optimizer, loss, metrics, compilation, tuning.

Used by training, benchmark, comparison and doctor, so that all run the same step.
"""

from kerasdl.backend import tuning
from kerasdl.engine import optimizers

JIT = {"auto": "auto", "on": True, "off": False}  # what `keras.Model.compile` takes


def assemble(model, config, loss, metrics=None, learning_rate=None) -> None:
    """Compiles a model as configured; call `tune` once its weights are loaded.

    Args:
        model: The model.
        config: A `kerasdl.runs.config.Config`.
        loss: A `keras.losses.Loss`.
        metrics: List of `keras.metrics.Metric`, or None.
        learning_rate: A Keras schedule instead of the configuration's rate, or None.
    """
    model.compile(
        optimizer=optimizers.build(config, model.trainable_variables, learning_rate),
        loss=loss,
        metrics=metrics,
        jit_compile=JIT[config.jit_compile],
    )


def tune(model) -> None:
    """Builds the optimizer's variables, if not built yet, and tunes the layers."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    tuning.tune(model)
