"""The training step of a configuration: optimizer, loss, metrics, compilation, tuning.

Training, benchmark, comparison and doctor assemble theirs here, so that all of them take the same.
"""

from kerasdl.backend import tuning
from kerasdl.engine.optimizers import SGD

JIT = {"auto": "auto", "on": True, "off": False}  # what `keras.Model.compile` takes


def optimizer(config, learning_rate=None) -> SGD:
    """The optimizer of a configuration, with a `keras` schedule in place of its rate if given."""
    return SGD(
        config.learning_rate if learning_rate is None else learning_rate,
        config.momentum,
        config.weight_decay,
        nesterov=config.nesterov,
        decay_norm_and_bias=config.decay_norm_and_bias,
    )


def assemble(model, config, loss, metrics=None, learning_rate=None) -> None:
    """Compiles a model as a configuration says; call `tune` once its weights are in place.

    Args:
        model: The network.
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
    """Builds the optimizer's variables, if that was not done yet, and tunes the layers."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    tuning.tune(model)
