"""One gradient step in float64, which separates what backends compute from how they round."""

import keras

from kerasdl import backend, models
from kerasdl.backend import tuning
from kerasdl.engine import step as training_step


def step(model, config, loss, batch, weights):
    """The momenta after one training step with everything except the head in float64.

    In float32 rounding can flip a ReLU with an input near zero, or a pooling window with two nearly
    equal values, and one flip changes the step of a small model by up to 1 %. In float64 that does
    not happen.

    Args:
        model: The model, at any precision.
        config: Its configuration, with a momentum above 0.
        loss: Its loss.
        batch: (inputs, targets).
        weights: Arrays from which the step starts.
    """
    backend.allow_float64()
    keras.config.set_dtype_policy("float64")
    exact = models.build(
        config.model, model.input_shape[1:], model.output_shape[-1], **config.model_args
    )
    exact.set_weights(weights)
    tuning.exchange(exact, {keras.layers.BatchNormalization: norm})
    training_step.assemble(exact, config, loss)
    exact.train_on_batch(*batch)
    return exact.optimizer.momentums


def norm(layer, call):
    """`BatchNormalization.call` without moving statistics, in the precision of its input.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta. Keras' own has float32 intermediates on
    JAX and torch, whatever the policy (report 14 in docs/upstream.md).
    """

    def exact(inputs, training=None, mask=None):
        mean, variance = layer.moving_mean, layer.moving_variance
        if training and layer.trainable:
            axes = [
                axis for axis in range(len(inputs.shape)) if axis != layer.axis % len(inputs.shape)
            ]
            mean, variance = keras.ops.moments(inputs, axes)
        # A Python number would be rounded to float32 first.
        epsilon = keras.ops.convert_to_tensor(layer.epsilon, inputs.dtype)
        scale = layer.gamma / keras.ops.sqrt(variance + epsilon)
        return (inputs - mean) * scale + layer.beta

    return exact
