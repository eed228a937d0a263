"""TensorFlow: batch norm by its one operation where Keras has some ten."""

import keras


def fused_norm(layer, call):
    """`BatchNormalization.call` by FusedBatchNorm in training; else Keras' own.

    TensorFlow's graph optimizer joins it with the rectifier that follows.
    """
    import tensorflow

    plain = layer.scale and layer.center and not layer.renorm and layer.axis in (-1, 3)

    def fused(inputs, training=None, mask=None):
        # Several replicas exchange their moments in the method that Keras' call asks.
        own = not plain or mask is not None or "_moments" in vars(layer)
        kinds = (tensorflow.float32, tensorflow.bfloat16, tensorflow.float16)
        if own or not training or not layer.trainable or inputs.dtype not in kinds:
            return call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tensorflow.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=layer.gamma.value,
            offset=layer.beta.value,
            mean=[],
            variance=[],
            epsilon=layer.epsilon,
            is_training=True,
        )
        values = tensorflow.cast(tensorflow.size(inputs) // tensorflow.size(mean), mean.dtype)
        variance *= (values - 1.0) / values  # Keras keeps the biased one
        rest = 1.0 - layer.momentum
        for moving, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + batch * rest)
        return outputs

    return fused


CALLS = {keras.layers.BatchNormalization: fused_norm}
