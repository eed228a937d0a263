"""TensorFlow: fused batch norm, gradients of large kernels by matrix products."""

import keras

from kerasdl.backend.tuning.convolutions import borders, output_sides, takes_product

# The product is used where the input has at least this many channels per output pixel.
CHANNELS_PER_PIXEL = 16


def convolution(layer, call):
    """`Conv2D.call` with the kernel gradient as a matrix product where the feature map is small.

    TensorFlow reorders that gradient from oneDNN's layout into its own, which takes longer than
    computing it where the kernel is much larger than the map. For CPUs. Kernels of 1x1 with few
    channels take the product too, because of a defect of oneDNN (see
    `convolutions.VECTOR`).
    """
    padding = borders(layer)
    if padding is None:
        return call

    def tuned(inputs):
        _, height, width, channels = inputs.shape
        if None in (height, width) or channels is None:
            return call(inputs)
        map_size = output_sides((height, width), padding, layer.kernel_size, layer.strides)
        if not takes_product(channels, layer.kernel_size, map_size, CHANNELS_PER_PIXEL):
            return call(inputs)
        kernel = keras.ops.convert_to_tensor(layer.kernel)
        outputs = _with_product(inputs, kernel, layer, padding, map_size)
        if layer.use_bias:
            outputs += keras.ops.convert_to_tensor(layer.bias)
        return layer.activation(outputs)

    return tuned


def _with_product(inputs, kernel, layer, padding, map_size):
    import tensorflow

    method, (step, across) = layer.padding.upper(), layer.strides
    (rows, columns), (up, left) = map_size, padding

    @tensorflow.custom_gradient
    def convolve(inputs, kernel):
        def gradients(upstream):
            of_inputs = tensorflow.raw_ops.Conv2DBackpropInput(
                input_sizes=tensorflow.shape(inputs),
                filter=kernel,
                out_backprop=upstream,
                strides=(1, step, across, 1),
                padding=method,
            )
            # One matrix (pixels, inputs) per pixel of the kernel.
            padded = tensorflow.pad(inputs, ((0, 0), (up, up), (left, left), (0, 0)))
            height, width, channels, filters = kernel.shape
            seen = tensorflow.stack(
                [
                    padded[:, i : i + step * rows : step, j : j + across * columns : across]
                    for i in range(height)
                    for j in range(width)
                ]
            )
            of_kernel = tensorflow.matmul(
                tensorflow.reshape(seen, (height * width, -1, channels)),
                tensorflow.reshape(upstream, (-1, filters)),
                transpose_a=True,
            )
            return of_inputs, tensorflow.reshape(of_kernel, kernel.shape)

        return tensorflow.nn.conv2d(inputs, kernel, layer.strides, method), gradients

    # `custom_gradient` needs tensors, and Keras may pass a TensorFlow variable.
    return convolve(inputs, tensorflow.convert_to_tensor(kernel))


def fused_norm(layer, call):
    """`BatchNormalization.call` by FusedBatchNorm in training; else Keras' own.

    TensorFlow's graph optimizer fuses it with the ReLU that follows.
    """
    import tensorflow

    plain = layer.scale and layer.center and not layer.renorm and layer.axis in (-1, 3)

    def fused(inputs, training=None, mask=None):
        # Replicas exchange their moments in a method that Keras' own `call` uses.
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
        variance *= (values - 1.0) / values  # Keras stores the biased variance
        rest = 1.0 - layer.momentum
        for moving, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + batch * rest)
        return outputs

    return fused


CALLS = {keras.layers.BatchNormalization: fused_norm}
CPU_CALLS = {**CALLS, keras.layers.Conv2D: convolution}
