"""ResNet-18 with the ImageNet weights that keras-hub publishes, converted to our layers."""

import re
from typing import TYPE_CHECKING, TypeAlias

import numpy

from kerasdl import models
from kerasdl.core.errors import ConfigError, first_line

if TYPE_CHECKING:
    import keras

PRESET = "resnet_18_imagenet"
# What the preset was trained with: x = (image - mean) / deviation, the image in [0, 1].
MEAN = numpy.array([0.485, 0.456, 0.406], dtype="float32")
DEVIATION = numpy.array([0.229, 0.224, 0.225], dtype="float32")
Weights: TypeAlias = dict[str, list[numpy.ndarray]]
FALLBACK = "start from a .keras file or a run of your own"

_BLOCK = re.compile(r"stack(\d+)_block(\d+)_([012])_(conv|bn)")


def resnet18() -> "keras.Model":
    """Our ResNet-18 with the weights of keras-hub's preset; downloads it on first use.

    Raises:
        ConfigError: keras-hub is not installed, or the preset cannot be fetched.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise ConfigError(
            f"the ImageNet weights come from keras-hub, which cannot be imported: {error}",
            fix=f"pip install keras-hub, or {FALLBACK}",
        ) from error
    try:
        backbone = keras_hub.models.Backbone.from_preset(PRESET)
    except Exception as error:  # the network, the hub client and Keras raise anything
        raise ConfigError(
            f"the ImageNet weights cannot be fetched: {first_line(error)}",
            PRESET,
            f"go online, or {FALLBACK}",
        ) from error
    return convert(backbone)


def convert(backbone: "keras.Model") -> "keras.Model":
    """Our ResNet-18 whose output for an image x is the backbone's for (x - mean) / deviation.

    Args:
        backbone: A Keras model with the layer names of keras-hub's `ResNetBackbone`.

    Raises:
        ConfigError: The backbone is not ResNet-18.
    """
    model = models.build("resnet18", (64, 64, 3), 1, stem="imagenet")
    ours = {layer.name: layer for layer in model.layers if layer.weights and layer.name != "logits"}
    named = ((our_name(layer.name), layer) for layer in backbone.layers if layer.weights)
    theirs = {name: layer.get_weights() for name, layer in named if name is not None}
    if set(theirs) != set(ours):
        odd = sorted(set(theirs) ^ set(ours))[0]
        raise ConfigError(f"the layers are not those of ResNet-18, such as {odd}", PRESET)
    for name, values in with_normalization(theirs).items():
        ours[name].set_weights(values)
    return model


def with_normalization(weights: Weights) -> Weights:
    """The weights of a network for images in [0, 1], from those for (image - mean) / deviation.

    The normalization goes into the first layers: kernels k[c] / deviation[c], and the constant
    -sum_c k[c] mean[c] / deviation[c] into the mean that batch normalization subtracts. That is
    exact except in a border of three pixels, where our image is padded with black and theirs with
    the mean.

    Args:
        weights: Arrays by our layer names.
    """
    (kernel,) = weights["stem_convolution"]
    gamma, beta, mean, variance = weights["stem_norm"]
    shift = (kernel * (MEAN / DEVIATION)[:, None]).sum(axis=(0, 1, 2))
    return weights | {
        "stem_convolution": [kernel / DEVIATION[:, None]],
        "stem_norm": [gamma, beta, mean + shift, variance],
    }


def our_name(name: str) -> str | None:
    """Our name for a layer of keras-hub's ResNet; None for one that we do not have.

    "conv1_conv" is "stem_convolution"; "stack1_block0_0_bn" is "stage2_block1_shortcut_norm".
    """
    kinds = {"conv": "convolution", "bn": "norm"}
    if name in ("conv1_conv", "conv1_bn"):
        return f"stem_{kinds[name.removeprefix('conv1_')]}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return None
    stack, block, place, kind = match.groups()
    place = "shortcut" if place == "0" else place
    return f"stage{int(stack) + 1}_block{int(block) + 1}_{place}_{kinds[kind]}"
