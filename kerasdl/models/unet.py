"""U-Net of Ronneberger, Fischer and Brox 2015, with skip connections that can be switched off.

- `depth` levels down (two 3x3 convolutions, 2x2 max-pooling), as many up (2x2 transposed
  convolution, concatenation with the skip, two 3x3 convolutions); filters double per level.
- Unlike the paper: padded convolutions, so that the output has the input's size, and batch norm,
  without which the report's learning rate of 0.1 diverges.
- Level 1 is the finest. `skips=()` gives the plain encoder-decoder.
"""

import keras

from kerasdl.core.errors import ConfigError
from kerasdl.models.blocks import convolution_norm, crop_back, pad_to_multiple, require_count


def unet(input_shape, outputs, skips="all", filters=16, depth=4):
    """U-Net.

    Args:
        input_shape: (height, width, channels); padded to a multiple of 2**depth, cropped back.
        outputs: Number of classes or colour channels.
        skips: "all", "none", or the levels (1 is the finest) whose skip is kept, such as [1, 3].
        filters: Filters of the finest level; the paper has 64.
        depth: Number of poolings; the paper has 4.

    Returns:
        `keras.Model`: (batch, height, width, channels) to linear (batch, height, width, outputs),
        float32.
    """
    require_count("filters", filters)
    require_count("depth", depth)
    kept = kept_skips(skips, depth)
    inputs = keras.Input(input_shape, name="image")
    x, padding = pad_to_multiple(inputs, 2**depth)
    encoder = {}
    for level in range(1, depth + 1):
        x = encoder[level] = _two_convolutions(x, filters * 2 ** (level - 1), f"down{level}")
        x = keras.layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
    x = _two_convolutions(x, filters * 2**depth, "bottom")
    for level in range(depth, 0, -1):
        width = filters * 2 ** (level - 1)
        x = keras.layers.Conv2DTranspose(
            width, 2, strides=2, kernel_initializer="he_normal", name=f"up{level}_enlarge"
        )(x)
        if level in kept:
            x = keras.layers.Concatenate(name=f"up{level}_skip")([encoder[level], x])
        x = _two_convolutions(x, width, f"up{level}")
    x = keras.layers.Conv2D(outputs, 1, dtype="float32", name="logits")(x)
    return keras.Model(inputs, crop_back(x, padding), name="unet")


def kept_skips(skips, depth):
    """Levels whose skip connection is kept, as a tuple in ascending order.

    Raises:
        ConfigError: `skips` is neither "all", "none" nor a list of levels from 1 to `depth`.
    """
    levels = tuple(range(1, depth + 1))
    if skips == "all":
        return levels
    if skips == "none":
        return ()
    if isinstance(skips, list | tuple) and all(level in levels for level in skips):
        return tuple(sorted(set(skips)))
    raise ConfigError(
        f'option \'skips\' must be "all", "none" or a list of levels 1 to {depth}, not {skips!r}'
    )


def _two_convolutions(x, filters, name):
    x = convolution_norm(x, filters, 3, name=f"{name}_1")
    return convolution_norm(x, filters, 3, name=f"{name}_2")
