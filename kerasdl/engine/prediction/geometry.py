"""How the network sees an image: whole at about the training size, or in tiles at a known scale."""

import dataclasses
import math
from typing import NamedTuple

from kerasdl.core.errors import ConfigError, DataError

STRIDE = 8  # sizes of whole images are rounded to this, so that few models have to be built
LARGE = 2  # images larger than this many times the training size are tiled
MAX_AREA = 4  # largest area of a whole image, in areas of the training size
MAX_OVERLAP = 0.9

Size = tuple[int, int]  # (height, width)


@dataclasses.dataclass(frozen=True)
class Tiling:
    """What the user wants of tiles.

    Attributes:
        tile: "auto", "none", or the (height, width) of the tiles.
        overlap: Fraction of a tile that the next one covers as well, 0 to 0.9.
        scale: Factor of the image's size in tiles; None: that of the training images.

    Raises:
        ConfigError: A value is out of range, or a scale is given and no tiles.
    """

    tile: str | Size = "auto"
    overlap: float = 0.25
    scale: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise ConfigError(f"overlap must be from 0 to {MAX_OVERLAP}, not {self.overlap}")
        if isinstance(self.tile, str):
            if self.tile not in ("auto", "none"):
                raise ConfigError(f"tile must be auto, none or a size, not {self.tile!r}")
        elif len(self.tile) != 2 or min(self.tile) < STRIDE:
            raise ConfigError(f"tiles must have {STRIDE} or more pixels per side, not {self.tile}")
        if self.scale is not None:
            if not 1 / 64 <= self.scale <= 64:  # also rejects NaN
                raise ConfigError(f"scale must be from 1/64 to 64, not {self.scale}")
            if self.tile == "none":
                raise ConfigError(
                    "without tiles, whole images are shown at the training size",
                    fix="leave out --scale, or give a tile size",
                )


@dataclasses.dataclass(frozen=True)
class Training:
    """Sizes in training.

    Attributes:
        size: (height, width) of the images in training.
        resize: How they came to it: "crop" or "stretch".
        median: Median (height, width) of the images before that; None: unknown.
        whole: Whether an image is always resized to exactly `size`: its outputs are not per pixel.
    """

    size: Size
    resize: str
    median: Size | None = None
    whole: bool = False

    @property
    def factors(self) -> tuple[float, float]:
        """Factors of height and width in training, for an image of the median size; else 1."""
        if self.median is None:
            return 1.0, 1.0
        down, across = (want / have for want, have in zip(self.size, self.median, strict=True))
        if self.resize == "stretch":
            return down, across
        return max(down, across), max(down, across)


class Plan(NamedTuple):
    """How one image is shown: its size for the network, and the size of the tiles, if any."""

    size: Size
    tile: Size | None = None


def plan(image: Size, training: Training, fixed: Size | None, tiling: Tiling) -> Plan:
    """The plan for an image.

    Args:
        image: (height, width) of the image.
        training: Sizes in training.
        fixed: The only size that the network takes; None: any.
        tiling: What the user wants.

    Raises:
        ConfigError: The network does not take the size.
        DataError: Without tiles, the image is too elongated.
    """
    if training.whole:
        return Plan(_accepted(training.size, fixed))
    whole = _whole(image, training)
    fits = math.prod(whole) <= MAX_AREA * math.prod(training.size)
    if tiling.tile == "none":
        if not fits:
            raise DataError(
                f"an image of {text(image)} would be shown to the network at {text(whole)}",
                fix="--tile auto",
            )
        return Plan(_accepted(whole, fixed))
    factors = training.factors if tiling.scale is None else (tiling.scale, tiling.scale)
    scaled = tuple(max(1, round(side * by)) for side, by in zip(image, factors, strict=True))
    if tiling.tile != "auto":
        return Plan(scaled, _accepted(tiling.tile, fixed))
    tile = fixed or training.size
    if any(side > LARGE * trained for side, trained in zip(scaled, training.size, strict=True)):
        return Plan(scaled, tile)
    return Plan(whole) if fits and fixed in (None, whole) else Plan(whole, tile)


def text(size: Size) -> str:
    """A size as text: "256x320"."""
    return f"{size[0]}x{size[1]}"


def _whole(image: Size, training: Training) -> Size:
    """About the training size, with the aspect ratio of the image unless training had none."""
    if training.resize == "stretch":
        return training.size
    scale = max(want / have for want, have in zip(training.size, image, strict=True))
    height, width = (
        max(want, round(have * scale / STRIDE) * STRIDE)
        for want, have in zip(training.size, image, strict=True)
    )
    return height, width


def _accepted(size: Size, fixed: Size | None) -> Size:
    if fixed not in (None, size):
        raise ConfigError(
            f"the model file takes images of {text(fixed)} only, not of {text(size)}",
            fix="--tile auto, or export it again with --dynamic",
        )
    return size
