"""The training step of a configuration: optimizer, loss, metrics, compilation, tuning.

Used by training, benchmark, comparison and doctor, so that all run the same step.
"""

import keras

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


def tune(model, config) -> None:
    """Builds the optimizer's variables, if not built yet, and tunes layers and step.

    Args:
        model: The compiled model.
        config: Its configuration, which says whether its step may be recorded.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    own_code = config.jit_compile == "off" or config.extensions
    tuning.tune(model, record=not own_code)


def build_scores(model, batch) -> None:
    """Builds loss and metrics of a model for PyTorch, from a batch of one image.

    Keras itself would run the model with the "meta" tensors of PyTorch's compiler for that, which
    takes two seconds. The other backends do so quickly.
    """
    if keras.config.backend() != "torch":
        return
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    outputs = keras.ops.zeros((len(x), *model.output_shape[1:]), model.outputs[0].dtype)
    model.compute_loss(x, y, outputs, sample_weight)
    model.compute_metrics(x, y, outputs, sample_weight)
    model.reset_metrics()
