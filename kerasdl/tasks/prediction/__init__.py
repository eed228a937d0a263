"""The prediction for one image, and what turns a model's outputs into it, without Keras."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy
import PIL.Image


@dataclasses.dataclass(frozen=True)
class Names:
    """Names of the classes of a run, and their colors, uint8 (C, 3)."""

    classes: tuple[str, ...]
    palette: numpy.ndarray


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of predictions.

    Attributes:
        target: What the model outputs, see `kerasdl.metrics.colors.targets`.
        top: Classification: number of classes to list.
        saturation: Colorization: factor of the predicted chroma.
    """

    target: str = ""
    top: int = 3
    saturation: float = 1.0


@dataclasses.dataclass(frozen=True)
class ImagePrediction:
    """The prediction for one image; fields of other tasks are None.

    Attributes:
        text: One line of text.
        classes: Classification: (class name, probability), most probable first.
        mask: Segmentation: class indices uint8 (height, width) at the image's own size.
        fractions: Segmentation: fraction of the pixels per class found, largest first.
        image: Colorization: uint8 RGB (height, width, 3) at the image's own size.
    """

    text: str
    classes: tuple[tuple[str, float], ...] | None = None
    mask: numpy.ndarray | None = None
    fractions: dict[str, float] | None = None
    image: numpy.ndarray | None = None


# Runs of equal bytes only: a photograph is written in a quarter of the time, and hardly larger.
PNG = {"format": "PNG", "compress_level": 1, "compress_type": 3}


@dataclasses.dataclass(frozen=True)
class File:
    """An image that a prediction is written as.

    Attributes:
        suffix: Suffix of its name.
        draw: Function (prediction, pixels, names) -> the image, of the size of `pixels`.
        format: Pillow's arguments for its format.
    """

    suffix: str
    draw: Callable[[ImagePrediction, numpy.ndarray, Names], PIL.Image.Image]
    format: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Decoder:
    """From images to a model's input, and from its outputs to predictions.

    Attributes:
        prepare: Function (images uint8 (B, H, W, 3), settings) -> x float32 (B, H, W, channels).
        summarize: Function (decoded, names, settings) -> the prediction; `decoded` is what `paint`
            makes of the whole image, or the outputs (C,) if there is no `paint`.
        blendable: Function (outputs (..., C), settings) -> values (..., V), per pixel, whose
            average has a meaning: logits or colors.
        paint: Function (values (h, w, V), box, pixels uint8 (H, W, 3), settings) -> uint8 (H, W) or
            (H, W, 3), per pixel; the box is where in the values the pixels lie, see
            `kerasdl.tasks.prediction.enlarging`. None: the outputs are not per pixel.
        files: What a prediction is written as, by kind.
        video: The kind that becomes a frame of a video.
        shown: The kind that goes to standard output.
    """

    prepare: Callable[[numpy.ndarray, Settings], numpy.ndarray]
    summarize: Callable[[numpy.ndarray, Names, Settings], ImagePrediction]
    blendable: Callable[[numpy.ndarray, Settings], numpy.ndarray] = lambda outputs, settings: (
        outputs
    )
    paint: Callable[..., numpy.ndarray] | None = None
    files: Mapping[str, File] = dataclasses.field(default_factory=dict)
    video: str = ""
    shown: str = ""


def to_unit(images: numpy.ndarray) -> numpy.ndarray:
    """uint8 0-255 to float32 in [0, 1]."""
    return numpy.multiply(images, numpy.float32(1 / 255), dtype=numpy.float32)
