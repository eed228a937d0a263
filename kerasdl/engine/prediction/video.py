"""Videos frame by frame, with PyAV (the extra `video`), which brings FFmpeg along."""

import contextlib
import dataclasses
import fractions
import importlib.util
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy

from kerasdl.core.errors import ConfigError, DataError, first_line
from kerasdl.core.files import replacing
from kerasdl.data.images import MAX_PIXELS, read_image

SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"))
SUFFIX = ".mp4"  # of the results
INSTALL = "pip install 'kerasdl[video]'"
CODECS = (("libx264", {"crf": "18"}), ("mpeg4", {"qscale": "3"}))  # nearly lossless


@dataclasses.dataclass(frozen=True)
class Clip:
    """A video or animation.

    Attributes:
        rate: Frames per second, on average.
        frames: Function () -> the frames, uint8 (H, W, 3), one after another. Raises DataError.
        count: Number of frames, 0 if the file does not say.
    """

    rate: fractions.Fraction
    frames: Callable[[], Iterator[numpy.ndarray]]
    count: int = 0


def open_clip(path: pathlib.Path) -> Clip:
    """A video file.

    Raises:
        DataError: It is not a video that can be decoded.
        ConfigError: The extra is not installed.
    """
    av = _library(path)
    with _reading(path), av.open(str(path)) as container:
        if not container.streams.video:
            raise DataError("no video in the file", path)
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or fractions.Fraction(25)
        if stream.width * stream.height > MAX_PIXELS:
            raise DataError("video is too large", path)
        return Clip(fractions.Fraction(rate), lambda: _decoded(path), stream.frames)


def open_animation(path: pathlib.Path, frames: int) -> Clip:
    """An image file of several frames that follow each other: GIF, WebP, APNG."""
    _library(path)
    from PIL import Image

    milliseconds = 0
    with _reading(path), Image.open(path) as image:
        for frame in range(frames):
            image.seek(frame)
            image.load()  # the duration is known only then
            milliseconds += int(image.info.get("duration") or 100)
    rate = fractions.Fraction(1000 * frames, milliseconds).limit_denominator(1000)
    return Clip(rate, lambda: (read_image(path, frame=frame) for frame in range(frames)), frames)


@contextlib.contextmanager
def writing(path: pathlib.Path, rate: fractions.Fraction) -> Iterator["Writer"]:
    """Yields the writer of a video file, *.mp4, which has its name only once it is complete."""
    with replacing(path) as temporary:
        writer = Writer(temporary, rate)
        try:
            yield writer
        finally:
            writer.close()


class Writer:
    """Encodes frames, see `writing`."""

    def __init__(self, path: pathlib.Path, rate: fractions.Fraction):
        self._path, self._rate = path, rate
        self._container: Any = None
        self._stream: Any = None

    def add(self, frame: numpy.ndarray) -> None:
        """Adds a frame uint8 (H, W, 3); an odd side gets one more pixel, as the format needs."""
        import av

        height, width = frame.shape[:2]
        if self._container is None:
            self._container = av.open(str(self._path), "w", format="mp4")
            codec, options = next(each for each in CODECS if each[0] in av.codecs_available)
            self._stream = self._container.add_stream(codec, rate=self._rate, options=options)
            self._stream.width, self._stream.height = width + width % 2, height + height % 2
            self._stream.pix_fmt = "yuv420p"
        frame = numpy.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))

    def close(self) -> None:
        """Ends the file."""
        if self._container is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()


def _decoded(path: pathlib.Path) -> Iterator[numpy.ndarray]:
    import av

    with _reading(path), av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            turns = round(getattr(frame, "rotation", 0) / 90) % 4  # phones store it turned
            pixels = frame.to_ndarray(format="rgb24")
            yield numpy.ascontiguousarray(numpy.rot90(pixels, turns)) if turns else pixels


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (DataError, GeneratorExit):
        raise
    except Exception as error:  # decoders answer damaged files with any exception
        raise DataError(f"not a readable video ({first_line(error)})", path) from error


def installed() -> bool:
    """Whether the extra `video` is installed."""
    return importlib.util.find_spec("av") is not None


def _library(path: pathlib.Path) -> Any:
    if not installed():
        raise ConfigError("videos need PyAV, which is not installed", path, INSTALL)
    import av

    av.logging.set_level(av.logging.ERROR)
    return av
