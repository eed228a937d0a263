"""U-Net of Ronneberger, Fischer and Brox 2015, plain and on a ResNet-18 encoder.

- `depth` levels down (two 3x3 convolutions, 2x2 max-pooling), as many up (2x2 transposed
  convolution, concatenation with the skip, two 3x3 convolutions); filters double per level.
- Unlike the paper: padded convolutions, so that the output has the input's size, and batch norm,
without which the study's learning rate of 0.1 diverges.
- Level 1 is the finest. `skips=()` gives the plain encoder-decoder.

`unet_resnet18` has ResNet-18 as its encoder, so that it can be initialized from a trained
classifier:

- Encoder: the residual stages, with the layer names of `resnet18`.
- Decoder: from stage 4 up, 2x2 transposed convolution, concatenation with the encoder's features of
  that size, two 3x3 convolutions; the width is `filters` times the reduction (16 at full size,
  256 at 1/16). With the ImageNet stem the last step, to full size, has no skip.
- Level 1 is the finest skip: with the ImageNet stem the levels are stem (1/2), stage 1 (1/4), 2
  (1/8), 3 (1/16), with the small stem stage 1 (full size), 2 (1/2), 3 (1/4).

Source: Ronneberger et al. 2015 for the decoder, He et al. 2015 for the encoder; the combination is
common, for example Iglovikov and Shvets 2018, "TernausNet".
"""

from collections.abc import Sequence

import keras

from kerasdl.core.errors import ConfigError
from kerasdl.models import STEM_STRIDES
from kerasdl.models.blocks import convolution_norm, crop_back, pad_to_multiple, require_count
from kerasdl.models.resnet import residual_stages

SKIPS = {
    "imagenet": ("stem", "stage1", "stage2", "stage3"),
    "small": ("stage1", "stage2", "stage3"),
}

# Each level doubles the filters: with 16 at the top, 4096 at the bottom and 400 million parameters.
DEEPEST = 8


def unet(
    input_shape: Sequence[int],
    outputs: int,
    skips: str | Sequence[int] = "all",
    filters: int = 16,
    depth: int = 4,
) -> keras.Model:
    """U-Net.

    Args:
        input_shape: (height, width, channels); padded to a multiple of 2**depth, cropped back.
        outputs: Number of classes or color channels.
        skips: "all", "none", or the levels (1 is the finest) whose skip is kept, such as [1, 3].
        filters: Filters of the finest level; the paper has 64.
        depth: Number of poolings; the paper has 4.

    Returns:
        `keras.Model`: (batch, height, width, channels) to linear (batch, height, width, outputs),
        float32.
    """
    require_count("filters", filters)
    require_count("depth", depth)
    if depth > DEEPEST:
        raise ConfigError(f"option 'depth' is {depth}", fix=f"{DEEPEST} at most")
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
            width, 2, strides=2, kernel_initializer="he_normal", name=f"up{level}_upsample"
        )(x)
        if level in kept:
            x = keras.layers.Concatenate(name=f"up{level}_skip")([encoder[level], x])
        x = _two_convolutions(x, width, f"up{level}")
    x = keras.layers.Conv2D(outputs, 1, dtype="float32", name="logits")(x)
    return keras.Model(inputs, crop_back(x, padding), name="unet")


def unet_resnet18(
    input_shape: Sequence[int],
    outputs: int,
    skips: str | Sequence[int] = "all",
    filters: int = 16,
    stem: str = "imagenet",
) -> keras.Model:
    """U-Net with a ResNet-18 encoder.

    Args:
        input_shape: (height, width, channels); padded to a multiple of 32 (small stem: 8).
        outputs: Number of classes or color channels.
        skips: "all", "none", or the levels (1 is the finest) whose skip is kept, such as [1, 3].
        filters: Filters of the decoder at full size.
        stem: "imagenet" or "small", see `kerasdl.models.resnet.resnet18`.

    Returns:
        `keras.Model`: (batch, height, width, channels) to linear (batch, height, width, outputs),
        float32.
    """
    if stem not in SKIPS:
        raise ConfigError(f"option 'stem' must be one of {', '.join(SKIPS)}, received {stem!r}")
    require_count("filters", filters)
    kept = kept_skips(skips, len(SKIPS[stem]))
    inputs = keras.Input(input_shape, name="image")
    padded, padding = pad_to_multiple(inputs, STEM_STRIDES[stem])
    features = residual_stages(padded, stem)
    x, reduction = features["stage4"], STEM_STRIDES[stem]
    for level in range(len(SKIPS[stem]), 0, -1):
        feature = features[SKIPS[stem][level - 1]]
        reduction //= 2
        width = filters * reduction
        x = _upsample(x, width, f"up{level}")
        if level in kept:
            x = keras.layers.Concatenate(name=f"up{level}_skip")([feature, x])
        x = _two_convolutions(x, width, f"up{level}")
    if reduction > 1:
        x = _two_convolutions(_upsample(x, filters, "up0"), filters, "up0")
    x = keras.layers.Conv2D(outputs, 1, dtype="float32", name="logits")(x)
    return keras.Model(inputs, crop_back(x, padding), name="unet-resnet18")


def _upsample(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    return keras.layers.Conv2DTranspose(
        filters, 2, strides=2, kernel_initializer="he_normal", name=f"{name}_upsample"
    )(x)


def _two_convolutions(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    x = convolution_norm(x, filters, 3, name=f"{name}_1")
    return convolution_norm(x, filters, 3, name=f"{name}_2")


def kept_skips(skips: str | Sequence[int], depth: int) -> tuple[int, ...]:
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
