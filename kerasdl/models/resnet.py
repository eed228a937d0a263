"""ResNet-18 of He et al. 2015, "Deep Residual Learning for Image Recognition", table 1.

- Basic blocks: two 3x3 convolutions, batch norm after each, ReLU after the sum.
- Four stages of two blocks with 64, 128, 256 and 512 filters; stride 2 into stages 2 to 4. Fewer
filters, for small machines, deviate from the paper.
- The shortcut is the identity, or a 1x1 convolution where the shape changes (option B).
- Named features `stem`, `stage1` ... `stage4` for decoders.
"""

from collections.abc import Sequence

import keras

from kerasdl.core.errors import ConfigError
from kerasdl.models import STEM_STRIDES, stem_for
from kerasdl.models.blocks import convolution_norm, require_count

STAGE_FILTERS = (64, 128, 256, 512)
STAGE_BLOCKS = (2, 2, 2, 2)


def resnet18(
    input_shape: Sequence[int], outputs: int, stem: str = "auto", filters: int = 64
) -> keras.Model:
    """ResNet-18 classifier; 11,689,512 trainable parameters with 1000 classes, ImageNet stem.

    Args:
        input_shape: (height, width, channels).
        outputs: Number of classes.
        stem: "imagenet" (7x7 convolution with stride 2, then 3x3 max-pooling with stride 2),
            "small" (3x3 convolution, no pooling), or "auto": small up to 40 pixels per side.
        filters: Filters of stem and first stage, doubled by each later stage; the paper has 64.

    Returns:
        `keras.Model`: (batch, height, width, channels) to logits (batch, outputs), float32.
    """
    inputs = keras.Input(input_shape, name="image")
    x = residual_stages(inputs, stem_for(stem, input_shape[:2]), filters)["stage4"]
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(outputs, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="resnet18")


def residual_stages(
    inputs: keras.KerasTensor, stem: str, filters: int = 64
) -> dict[str, keras.KerasTensor]:
    """The convolutional body of ResNet-18.

    Args:
        inputs: Tensor (batch, height, width, channels).
        stem: "imagenet" or "small", see `resnet18`.
        filters: See `resnet18`.

    Returns:
        Features by name. With the ImageNet stem `stage1` ... `stage4` have 1/4, 1/8, 1/16 and
        1/32 of the input's height and width (rounded up); with the small stem 1, 1/2, 1/4, 1/8.
    """
    if stem not in STEM_STRIDES:
        known = ", ".join(STEM_STRIDES)
        raise ConfigError(f"option 'stem' must be one of {known}, received {stem!r}")
    require_count("filters", filters)
    features = {}
    if stem == "imagenet":
        x = convolution_norm(inputs, filters, 7, strides=2, name="stem")
        features["stem"] = x
        x = keras.layers.ZeroPadding2D(1, name="stem_pool_padding")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    else:
        x = features["stem"] = convolution_norm(inputs, filters, 3, name="stem")
    for stage, (width, blocks) in enumerate(zip(STAGE_FILTERS, STAGE_BLOCKS, strict=True), 1):
        width = width * filters // STAGE_FILTERS[0]
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = basic_block(x, width, strides, name=f"stage{stage}_block{block}")
        features[f"stage{stage}"] = x
    return features


def basic_block(x: keras.KerasTensor, filters: int, strides: int, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions with a shortcut: ReLU(F(x) + shortcut(x)), figure 2 of the paper."""
    shortcut = x
    x = convolution_norm(x, filters, 3, strides, name=f"{name}_1")
    x = convolution_norm(x, filters, 3, name=f"{name}_2", relu=False)
    if shortcut.shape != x.shape:
        shortcut = convolution_norm(
            shortcut, filters, 1, strides, name=f"{name}_shortcut", relu=False
        )
    x = keras.layers.Add(name=f"{name}_sum")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu")(x)
