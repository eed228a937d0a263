"""Which convolutions can bypass Keras, and their sizes."""

import math

# oneDNN's gradient of a 1x1 kernel for AVX2 with fewer channels than a vector holds corrupts the
# memory, crashes or never ends (torch 2.13 and TensorFlow 2.21, ResNet-18 with 4 filters; report 23
# in docs/upstream.md).
VECTOR = 8


def borders(layer):
    """Zeros that a `keras.layers.Conv2D` adds on each side.

    Returns:
        [rows, columns], or None where the two sides differ, or for groups, dilation and channels
        first.
    """
    same = layer.padding == "same" and max(layer.kernel_size) > 1  # one pixel needs no padding
    regular = (
        layer.padding in ("same", "valid")
        and layer.data_format == "channels_last"
        and layer.groups == 1
        and tuple(layer.dilation_rate) == (1, 1)
        # With a stride, or an even kernel, "same" pads one side more than the other.
        and not (
            same and (max(layer.strides) > 1 or any(size % 2 == 0 for size in layer.kernel_size))
        )
    )
    return [size // 2 if same else 0 for size in layer.kernel_size] if regular else None


def output_sides(sides, padding, kernel_size, strides):
    """(rows, columns) of a convolution's output for (height, width) and zeros on each side."""
    axes = zip(sides, padding, kernel_size, strides, strict=True)
    return tuple((side + 2 * zeros - size) // step + 1 for side, zeros, size, step in axes)


def takes_product(channels, kernel_size, map_size, channels_per_pixel):
    """Whether the kernel gradient of a convolution is to be a matrix product.

    Args:
        channels: Channels of the input.
        kernel_size: (height, width) of the kernel.
        map_size: (rows, columns) of the output.
        channels_per_pixel: The product is faster with at least this many channels per output pixel.
    """
    if math.prod(kernel_size) == 1:
        return channels < VECTOR
    return math.prod(map_size) * channels_per_pixel <= channels
