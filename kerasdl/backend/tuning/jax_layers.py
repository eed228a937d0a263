"""JAX on CPU: the kernel gradient of a transposed convolution."""

import keras


def transposed_convolution(layer, call):
    """`Conv2DTranspose.call` whose kernel has the gradient of the convolution it is the adjoint of.

    With y = T(x, k) and the convolution C(z, k) of which T is the adjoint in the first argument,
    <z, T(x, k)> = <C(z, k), x>. So dk is the kernel gradient of C at z = dy for the cotangent x.
    JAX derives it from T instead, as a convolution of the dilated x with a kernel as large as the
    image, which is slow in XLA on CPU: seconds where this takes milliseconds.
    """
    import jax

    strides = layer.strides
    regular = (
        layer.data_format == "channels_last"
        and tuple(layer.dilation_rate) == (1, 1)
        and layer.output_padding is None
        and all(size >= stride for size, stride in zip(layer.kernel_size, strides, strict=True))
    )
    if not regular:
        return call
    rest = [size - stride for size, stride in zip(layer.kernel_size, strides, strict=True)]
    cut = rest if layer.padding == "same" else [0, 0]
    padding = [(total // 2, total - total // 2) for total in cut]

    def transposed(x, kernel):
        return keras.ops.conv_transpose(
            x, kernel, list(strides), layer.padding, data_format="channels_last"
        )

    def convolution(z, kernel):
        return jax.lax.conv_general_dilated(
            z, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def backward(residuals, cotangent):
        x, kernel = residuals
        of_input = jax.vjp(lambda x: transposed(x, kernel), x)[1](cotangent)
        of_kernel = jax.vjp(lambda kernel: convolution(cotangent, kernel), kernel)[1](x)
        return *of_input, *of_kernel

    own = jax.custom_vjp(transposed)
    own.defvjp(lambda x, kernel: (transposed(x, kernel), (x, kernel)), backward)

    def tuned(inputs):
        outputs = own(inputs, keras.ops.convert_to_tensor(layer.kernel))
        if layer.use_bias:
            outputs = keras.ops.add(outputs, layer.bias)
        return layer.activation(outputs)

    return tuned


CALLS = {keras.layers.Conv2DTranspose: transposed_convolution}
