"""Weights of ResNet-18 by the names of torchvision and timm, converted to our layers."""

import re
from collections.abc import Iterator, Mapping

import numpy

from kerasdl.core.errors import ModelFileError
from kerasdl.models.imagenet import Weights, with_normalization

HEAD = "logits"  # what our classifier calls torchvision's `fc`

# Parts of a layer, in the order in which Keras keeps them.
_CONVOLUTION = ("weight",)
_NORM = ("weight", "bias", "running_mean", "running_var")
_DENSE = ("weight", "bias")
# What wrappers (DataParallel, Lightning, torch.compile) put before each name.
_PREFIX = re.compile(r"^(?:(?:module|model|_orig_mod)\.)+")


def convert(state: Mapping[str, numpy.ndarray]) -> Weights:
    """Our weights by layer name, for images in [0, 1], from a state dict of ResNet-18.

    Args:
        state: Arrays by torchvision's names (timm has the same), of a network for images that are
            normalized with `imagenet.MEAN` and `imagenet.DEVIATION`; with or without `fc`.

    Returns:
        Weights of the residual body and, if it is there, the head.

    Raises:
        ModelFileError: The names are not those of ResNet-18, or it does not take color images.
    """
    named = {_PREFIX.sub("", name): array for name, array in state.items()}
    named = {name: each for name, each in named.items() if not name.endswith("batches_tracked")}
    weights = {}
    for theirs, ours, parts in _layers():
        if theirs == "fc" and "fc.weight" not in named:
            continue
        missing = [f"{theirs}.{part}" for part in parts if f"{theirs}.{part}" not in named]
        if missing:
            raise ModelFileError(f"not a ResNet-18 of torchvision or timm, {missing[0]} is missing")
        weights[ours] = [_ours(named.pop(f"{theirs}.{part}")) for part in parts]
    if named:
        raise ModelFileError(f"not a ResNet-18 of torchvision or timm, it has {min(named)}")
    shape = weights["stem_convolution"][0].shape
    if len(shape) != 4 or shape[2] != 3:
        raise ModelFileError(f"its first layer does not take color images, its shape is {shape}")
    if any(each.shape != shape[3:] for each in weights["stem_norm"]):
        raise ModelFileError("the shapes of conv1 and bn1 do not match")
    return with_normalization(weights)


def _layers() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Each layer: its name there, its name here, its parts."""
    yield "conv1", "stem_convolution", _CONVOLUTION
    yield "bn1", "stem_norm", _NORM
    for stage in range(1, 5):
        for block in (0, 1):
            theirs, ours = f"layer{stage}.{block}", f"stage{stage}_block{block + 1}"
            for place in (1, 2):
                yield f"{theirs}.conv{place}", f"{ours}_{place}_convolution", _CONVOLUTION
                yield f"{theirs}.bn{place}", f"{ours}_{place}_norm", _NORM
            if stage > 1 and block == 0:
                yield f"{theirs}.downsample.0", f"{ours}_shortcut_convolution", _CONVOLUTION
                yield f"{theirs}.downsample.1", f"{ours}_shortcut_norm", _NORM
    yield "fc", HEAD, _DENSE


def _ours(array: numpy.ndarray) -> numpy.ndarray:
    """Float32 with Keras' axes: (height, width, inputs, outputs), (inputs, outputs), (outputs,)."""
    array = array.astype("float32")
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
