"""What a task says of one image, and the tools that the tasks share for it."""

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
    """What the user asks of predictions.

    Attributes:
        target: What the model puts out, see `kerasdl.metrics.colors.targets`.
        top: Classification: how many classes to name.
        saturation: Colorization: factor of the predicted chroma.
    """

    target: str = ""
    top: int = 3
    saturation: float = 1.0


@dataclasses.dataclass(frozen=True)
class Found:
    """What the model says of one image; what does not belong to its task is None.

    Attributes:
        text: One line for people.
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
