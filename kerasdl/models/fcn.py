"""Fully convolutional networks on ResNet-18: Long, Shelhamer and Darrell 2015.

- Body: the residual stages of ResNet-18 without pooling and dense head.
- Head: 1x1 convolution to the classes, batch norm, transposed convolution to the input's size.
- FCN-16s and FCN-8s first add the scores of stage 3, and of stage 2, at twice the resolution.
- One builder; the three names differ by the stride of the last transposed convolution.
"""

from collections.abc import Sequence

import keras

from kerasdl.models import STEM_STRIDES
from kerasdl.models.blocks import BATCH_NORM, Bilinear, crop_back, pad_to_multiple
from kerasdl.models.resnet import residual_stages


def fcn(
    input_shape: Sequence[int], outputs: int, stride: int, stem: str = "imagenet"
) -> keras.Model:
    """FCN of the given stride.

    Args:
        input_shape: (height, width, channels); padded to a multiple of 32 and cropped back.
        outputs: Number of classes.
        stride: 32, 16 or 8: pixels of the input per score that the last layer upsamples.
        stem: Stem of the body, see `kerasdl.models.resnet.resnet18`. With the small stem all
        feature maps have four times the resolution, and the last upsampling adapts.

    Returns:
        `keras.Model`: (batch, height, width, channels) to logits (batch, height, width, outputs),
        float32.
    """
    inputs = keras.Input(input_shape, name="image")
    x, padding = pad_to_multiple(inputs, 32)
    features = residual_stages(x, stem)
    scores = _scores(features["stage4"], outputs, "scores_stage4")
    for stage, finest in (("stage3", 16), ("stage2", 8)):
        if stride <= finest:
            scores = _upsample(scores, outputs, 2, f"{stage}_upsample")
            finer = _scores(features[stage], outputs, f"scores_{stage}")
            scores = keras.layers.Add(name=f"{stage}_fuse")([scores, finer])
    # Strides for 32, 16 and 8 with the ImageNet stem; the small one has a quarter of each.
    factor = stride * STEM_STRIDES[stem] // 32
    logits = crop_back(_upsample(scores, outputs, factor, "logits", dtype="float32"), padding)
    return keras.Model(inputs, logits, name=f"fcn{stride}")


def fcn32(input_shape: Sequence[int], outputs: int, stem: str = "imagenet") -> keras.Model:
    """FCN-32s, see `fcn`."""
    return fcn(input_shape, outputs, 32, stem)


def fcn16(input_shape: Sequence[int], outputs: int, stem: str = "imagenet") -> keras.Model:
    """FCN-16s, see `fcn`."""
    return fcn(input_shape, outputs, 16, stem)


def fcn8(input_shape: Sequence[int], outputs: int, stem: str = "imagenet") -> keras.Model:
    """FCN-8s, see `fcn`."""
    return fcn(input_shape, outputs, 8, stem)


def _scores(x: keras.KerasTensor, outputs: int, name: str) -> keras.KerasTensor:
    """Class scores of one resolution: 1x1 convolution and batch norm."""
    x = keras.layers.Conv2D(
        outputs, 1, use_bias=False, kernel_initializer="he_normal", name=f"{name}_convolution"
    )(x)
    return keras.layers.BatchNormalization(**BATCH_NORM, name=f"{name}_norm")(x)


def _upsample(
    x: keras.KerasTensor, outputs: int, factor: int, name: str, dtype: str | None = None
) -> keras.KerasTensor:
    """Transposed convolution initialized as bilinear upsampling by `factor`, and trainable."""
    layer = keras.layers.Conv2DTranspose(
        outputs,
        2 * factor,
        strides=factor,
        padding="same",
        use_bias=False,
        dtype=dtype,
        name=name,
    )
    y = layer(x)
    # Set once here instead of as kernel_initializer, so that a saved model needs no custom class.
    layer.kernel.assign(Bilinear()(layer.kernel.shape, dtype=layer.kernel.dtype))
    return y
