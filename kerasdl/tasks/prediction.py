"""The prediction for one image, and helpers that the tasks share."""

import dataclasses

import numpy
import PIL.Image

OVERLAY = 0.5  # weight of the class colors over the image


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
        images: Images to write, by kind of file.
    """

    text: str
    classes: tuple[tuple[str, float], ...] | None = None
    mask: numpy.ndarray | None = None
    fractions: dict[str, float] | None = None
    image: numpy.ndarray | None = None
    images: dict[str, PIL.Image.Image] = dataclasses.field(default_factory=dict)


def upsample(maps: numpy.ndarray, size: tuple[int, int]) -> numpy.ndarray:
    """Maps float (h, w, C) to another height and width, bilinear, one channel at a time."""
    if maps.shape[:2] == tuple(size):
        return maps
    height, width = size
    channels = [
        numpy.asarray(
            PIL.Image.fromarray(numpy.ascontiguousarray(channel, dtype="float32")).resize(
                (width, height), PIL.Image.Resampling.BILINEAR
            )
        )
        for channel in numpy.moveaxis(maps, -1, 0)
    ]
    return numpy.stack(channels, axis=-1)
