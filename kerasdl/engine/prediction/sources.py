"""Images to predict: files, folders, quoted patterns, arrays, pages of a file, videos."""

import collections
import dataclasses
import glob
import logging
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy
import PIL.Image

from kerasdl.core.errors import DataError
from kerasdl.data.folder.tree import is_hidden, scan
from kerasdl.data.images import open_image, read_image
from kerasdl.engine.prediction import video

Image: TypeAlias = str | os.PathLike[str] | numpy.ndarray
Images: TypeAlias = Image | Sequence[Image]

SEVERAL = frozenset((".tif", ".tiff", ".gif", ".webp", ".png", ".apng"))  # may have many frames
PAGED = "TIFF"  # the format whose frames are pages, not moments

logger = logging.getLogger("kerasdl")


@dataclasses.dataclass(frozen=True)
class Source:
    """One image, or one video.

    Attributes:
        name: Name of the results, without suffix; it may have folders.
        shown: Name in messages and results.
        path: The file; None for arrays.
        pixels: The array, or None.
        page: Frame of the file, from 0.
        clip: What reads the frames of a video or an animation; None for an image.
    """

    name: str
    shown: str
    path: pathlib.Path | None = None
    pixels: numpy.ndarray | None = None
    page: int = 0
    clip: "video.Clip | None" = None

    def read(self) -> numpy.ndarray:
        """The image, uint8 (H, W, 3). Raises DataError."""
        if self.pixels is not None:
            return self.pixels
        return read_image(self.path, frame=self.page)

    def area(self) -> int:
        """Number of pixels, from the file's head; 0 if it cannot be read."""
        if self.pixels is not None:
            return self.pixels.shape[0] * self.pixels.shape[1]
        try:
            with PIL.Image.open(self.path) as image:
                return image.width * image.height
        except Exception:  # `read` says what is wrong
            return 0


def find(images: Images) -> list[Source]:
    """All images, in the order given; those of a folder or pattern by name.

    Args:
        images: A path, a pattern, an array uint8 (height, width, 3), or a list of these. A folder
            means all images below it; in a pattern `**` stands for any folders.

    Raises:
        DataError: A path does not exist, a folder or pattern finds no image, an array is none.
        ConfigError: A video, and its extra is not installed.
    """
    if isinstance(images, str | os.PathLike | numpy.ndarray):
        images = [images]
    named: list[tuple[str, str, pathlib.Path | numpy.ndarray]] = []
    for number, image in enumerate(images):
        if isinstance(image, numpy.ndarray):
            named.append((f"{number:05d}", f"{number:05d}", _checked(number, image)))
        else:
            named += ((name, str(path), path) for name, path in _files(image))
    counts = collections.Counter(name for name, _, _ in named)
    return [
        source
        for name, shown, image in named
        # a.png beside a.jpg has the name with the suffix
        for source in _sources(name, shown, image, counts[name] > 1)
    ]


def decoded(content: bytes, name: str) -> numpy.ndarray:
    """The image in the content of a file, uint8 (H, W, 3). Raises DataError with the name."""
    image: numpy.ndarray = read_image(name, content=content)
    return image


def _files(image: str | os.PathLike[str]) -> Iterator[tuple[str, pathlib.Path]]:
    """Name of the results, without suffix, and path, of each file that a path or pattern means."""
    path = pathlib.Path(image).expanduser()
    if path.is_dir():
        found = scan(path).images
        if not found:
            raise DataError("no images in the folder", path)
        yield from ((os.path.splitext(name)[0], path / name) for name in found)
    elif path.exists():
        yield path.stem, path
    elif glob.has_magic(str(path)):
        yield from _matching(path)
    else:
        raise DataError("no such image or folder", path)


def _matching(pattern: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
    """Files that match a pattern; their names begin after its last folder without a wildcard."""
    found = [pathlib.Path(name) for name in sorted(glob.glob(str(pattern), recursive=True))]
    found = [path for path in found if path.is_file() and not any(map(is_hidden, path.parts))]
    if not found:
        raise DataError("no file matches the pattern", pattern)
    root = pattern
    while glob.has_magic(str(root)):
        root = root.parent
    for path in found:
        yield os.path.splitext(path.relative_to(root))[0], path


def _sources(
    name: str, shown: str, image: pathlib.Path | numpy.ndarray, ambiguous: bool
) -> Iterator[Source]:
    """The images of one file or array: more than one if it has pages."""
    if isinstance(image, numpy.ndarray):
        yield Source(name, shown, pixels=image)
        return
    suffix = image.suffix.lower()
    name = name + image.suffix if ambiguous else name
    if suffix in video.SUFFIXES:
        yield Source(name, shown, image, clip=video.open_clip(image))
        return
    frames, form = _frames(image) if suffix in SEVERAL else (1, "")
    if frames == 1:
        yield Source(name, shown, image)
    elif form == PAGED:
        for page in range(frames):
            number = f"{page + 1:04d}"
            yield Source(f"{name}_{number}", f"{shown}#{page + 1}", image, page=page)
    elif video.installed():
        yield Source(name, shown, image, clip=video.open_animation(image, frames))
    else:  # such as one animation in a folder of photographs
        logger.warning(
            "only the first of %d frames is predicted: %s (%s)", frames, shown, video.INSTALL
        )
        yield Source(name, shown, image)


def _frames(path: pathlib.Path) -> tuple[int, str]:
    """Number of frames of an image file, and its format; (1, "") if it cannot be read."""
    try:
        with open_image(path) as image:
            return getattr(image, "n_frames", 1), image.format
    except DataError:  # `Source.read` says what is wrong
        return 1, ""


def _checked(number: int, image: numpy.ndarray) -> numpy.ndarray:
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != numpy.uint8:
        raise DataError(
            f"image {number} is {image.dtype} {image.shape}",
            fix="arrays must be uint8 of shape (height, width, 3)",
        )
    return image
