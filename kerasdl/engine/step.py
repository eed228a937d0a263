"""The training step of a configuration: optimizer, loss, metrics, compilation, tuning.

Used by training, benchmark, comparison and doctor, so that all run the same step.
"""

from kerasdl.backend import tuning
from kerasdl.engine.optimizers import SGD

JIT = {"auto": "auto", "on": True, "off": False}  # what `keras.Model.compile` takes


def optimizer(config, learning_rate=None) -> SGD:
    """The optimizer of a configuration, with a Keras schedule instead of its rate if given."""
    return SGD(
        config.learning_rate if learning_rate is None else learning_rate,
        config.momentum,
        config.weight_decay,
        nesterov=config.nesterov,
        decay_norm_and_bias=config.decay_norm_and_bias,
    )


def assemble(model, config, loss, metrics=None, learning_rate=None) -> None:
    """Compiles a model as configured; call `tune` once its weights are loaded.

    Args:
        model: The model.
        config: A `kerasdl.runs.config.Config`.
        loss: A `keras.losses.Loss`.
        metrics: List of `keras.metrics.Metric`, or None.
        learning_rate: See `optimizer`.
    """
    model.compile(
        optimizer=optimizer(config, learning_rate),
        loss=loss,
        metrics=metrics,
        jit_compile=JIT[config.jit_compile],
    )


def tune(model) -> None:
    """Builds the optimizer's variables, if not built yet, and tunes the layers."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    tuning.tune(model)
