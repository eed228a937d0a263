"""JAX on CPU: gradients that XLA makes slow, of transposed convolution and maximum pooling."""

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


def max_pooling(layer, call):
    """`MaxPooling2D.call` whose gradient is a choice between the pixels of each window.

    Each window passes its gradient to its first largest pixel. XLA on CPU does the same with
    reductions over pairs of values and indices, 25 times as long for 2x2 windows.
    """
    import jax
    from jax import numpy as jnp

    if layer.data_format != "channels_last":
        return call
    (rows, columns), strides = layer.pool_size, layer.strides

    @jax.custom_vjp
    def pooled(x):
        return call(x)

    def forward(x):
        y = pooled(x)
        return y, (x, y)

    def backward(residuals, cotangent):
        x, y = residuals
        padding = jax.lax.padtype_to_pads(
            x.shape[1:3], layer.pool_size, strides, layer.padding.upper()
        )
        wide = jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-jnp.inf)
        last = [(side - 1) * step + 1 for side, step in zip(y.shape[1:3], strides, strict=True)]
        unclaimed = jnp.ones(y.shape, bool)
        shares = []
        for i in range(rows):
            for j in range(columns):
                seen = wide[:, i : i + last[0] : strides[0], j : j + last[1] : strides[1]]
                first = unclaimed & (seen == y)
                unclaimed &= ~first
                shares.append(jnp.where(first, cotangent, 0))
        if strides == layer.pool_size and x.shape[1:3] == (
            y.shape[1] * rows, y.shape[2] * columns,
        ):  # fmt: skip
            lines = [jnp.stack(shares[k : k + columns], 3) for k in range(0, len(shares), columns)]
            return (jnp.stack(lines, 2).reshape(x.shape),)
        zero = jnp.zeros((), cotangent.dtype)
        total = zero
        for number, share in enumerate(shares):
            place = divmod(number, columns)
            spread = [
                (at, side - at - length, step - 1)
                for at, side, length, step in zip(
                    place, wide.shape[1:3], last, strides, strict=True
                )
            ]
            total += jax.lax.pad(share, zero, ((0, 0, 0), *spread, (0, 0, 0)))
        (top, _), (left, _) = padding
        return (total[:, top : top + x.shape[1], left : left + x.shape[2]],)

    pooled.defvjp(forward, backward)
    return lambda inputs: pooled(keras.ops.convert_to_tensor(inputs))


CALLS = {
    keras.layers.Conv2DTranspose: transposed_convolution,
    keras.layers.MaxPooling2D: max_pooling,
}
