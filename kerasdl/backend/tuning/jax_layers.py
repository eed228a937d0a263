"""JAX on CPU: what XLA makes slow there, convolution of small maps, its transpose, pooling."""

import math

import keras

from kerasdl.backend.tuning.convolutions import borders, output_sides

MOST_TERMS = 64  # slices of a map, or tiles of a kernel: with thousands XLA compiles for minutes


def convolution(layer, call):
    """`Conv2D.call` as one matrix product where the kernel is larger than the feature map.

    XLA swaps kernel and map then, and its CPU backend has only a naive loop for the result: the
    2x2 maps of ResNet-18 on 64x64 images took nine tenths of its training.
    """
    from jax import numpy as jnp

    padding = borders(layer)
    if padding is None or not 1 < math.prod(layer.kernel_size) <= MOST_TERMS:
        return call
    (rows, columns), (down, across) = layer.kernel_size, layer.strides

    def tuned(inputs):
        _, height, width, _ = inputs.shape
        if None in (height, width):
            return call(inputs)
        high, wide = output_sides((height, width), padding, layer.kernel_size, layer.strides)
        if rows * columns <= high * wide:
            return call(inputs)
        inputs = keras.ops.cast(inputs, layer.compute_dtype)  # Keras casts no integers
        x = jnp.pad(inputs, ((0, 0), *((zeros, zeros) for zeros in padding), (0, 0)))
        seen = jnp.concatenate(
            [
                x[:, i : i + down * (high - 1) + 1 : down, j : j + across * (wide - 1) + 1 : across]
                for i in range(rows)
                for j in range(columns)
            ],
            axis=-1,
        )
        kernel = keras.ops.cast(layer.kernel, seen.dtype).reshape(-1, layer.filters)
        outputs = seen @ kernel
        if layer.use_bias:
            outputs = keras.ops.add(outputs, layer.bias)
        return layer.activation(outputs)

    return tuned


def transposed_convolution(layer, call):
    """`Conv2DTranspose.call` as a matrix product and a sum of what overlaps.

    Each pixel of the input gives a block of the size of the kernel. Blocks are cut into tiles of
    the size of the strides; tiles that fall on one another are summed. As a convolution of the
    dilated input, XLA on CPU computes with the zeros between its pixels, and the gradients with
    kernels as large as the image: seconds where this takes milliseconds.
    """
    from jax import numpy as jnp

    strides = layer.strides
    regular = (
        layer.data_format == "channels_last"
        and tuple(layer.dilation_rate) == (1, 1)
        and layer.output_padding is None
        and all(size >= stride for size, stride in zip(layer.kernel_size, strides, strict=True))
    )
    tiles = [-(-size // stride) for size, stride in zip(layer.kernel_size, strides, strict=True)]
    if not regular or math.prod(tiles) > MOST_TERMS:
        return call
    down, across = strides
    missing = [
        count * stride - size
        for count, stride, size in zip(tiles, strides, layer.kernel_size, strict=True)
    ]
    rest = [size - stride for size, stride in zip(layer.kernel_size, strides, strict=True)]
    cut = rest if layer.padding == "same" else [0, 0]

    def tuned(inputs):
        _, height, width, channels = inputs.shape
        if None in (height, width):
            return call(inputs)
        inputs = keras.ops.cast(inputs, layer.compute_dtype)  # Keras casts no integers
        kernel = keras.ops.cast(layer.kernel, layer.compute_dtype)
        kernel = jnp.pad(kernel, (*((0, zeros) for zeros in missing), (0, 0), (0, 0)))
        kernel = kernel.reshape(tiles[0], down, tiles[1], across, layer.filters, channels)
        kernel = kernel.transpose(5, 0, 2, 1, 3, 4).reshape(channels, *tiles, -1)
        total = 0
        for i in range(tiles[0]):
            for j in range(tiles[1]):
                share = inputs @ kernel[:, i, j]
                around = ((i, tiles[0] - 1 - i), (j, tiles[1] - 1 - j))
                total += jnp.pad(share, ((0, 0), *around, (0, 0)))
        total = total.reshape(-1, *total.shape[1:3], down, across, layer.filters)
        sides = total.shape[1] * down, total.shape[2] * across
        total = total.transpose(0, 1, 3, 2, 4, 5).reshape(-1, *sides, layer.filters)
        first = [zeros // 2 for zeros in cut]
        last = [
            start + (side - 1) * stride + size - zeros
            for start, side, stride, size, zeros in zip(
                first, (height, width), strides, layer.kernel_size, cut, strict=True
            )
        ]
        outputs = total[:, first[0] : last[0], first[1] : last[1]]
        if layer.use_bias:
            outputs = keras.ops.add(outputs, layer.bias)
        return layer.activation(outputs)

    return tuned


def max_pooling(layer, call):
    """`MaxPooling2D.call` whose gradient is a choice between the pixels of each window.

    Each window passes its gradient to its first largest pixel. XLA on CPU does the same with
    reductions over pairs of values and indices, which take several times as long. A window whose
    maximum is NaN passes no gradient, and there is no forward mode (`jax.jvp`).
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
    keras.layers.Conv2D: convolution,
    keras.layers.Conv2DTranspose: transposed_convolution,
    keras.layers.MaxPooling2D: max_pooling,
}
