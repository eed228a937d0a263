"""Charts and images as data URIs, so that a page is one file."""

import base64
import io
import struct
from typing import NamedTuple

import numpy

from kerasdl.report import canvas


class Chart(NamedTuple):
    """A chart for light and for dark pages, as data URIs, with its text alternative."""

    light: str
    dark: str
    alt: str
    width: int
    height: int


class Image(NamedTuple):
    """A small image, as a data URI, which the browser upsamples without smoothing."""

    source: str
    alt: str
    width: int
    height: int


def chart(draw, alt, **arguments):
    """Draws a chart twice, for light and for dark pages.

    Args:
        draw: A function of `figures` that takes `path` and `theme`.
        alt: Text alternative.
        **arguments: Further arguments of `draw`.
    """
    drawn = []
    for theme in (canvas.LIGHT, canvas.DARK):
        stream = io.BytesIO()
        draw(path=stream, theme=theme, **arguments)
        drawn.append(stream.getvalue())
    width, height = _size(drawn[0])
    # Charts are drawn at 200 dots per inch; browsers use 96.
    scale = 96 / canvas.DPI
    return Chart(_uri(drawn[0]), _uri(drawn[1]), alt, round(width * scale), round(height * scale))


def image(pixels, alt):
    """An image for a page.

    Args:
        pixels: uint8, shape (height, width, 3) RGB or (height, width) gray.
        alt: Text alternative.
    """
    pixels = numpy.asarray(pixels)
    if pixels.ndim == 2:
        pixels = numpy.repeat(pixels[..., None], 3, axis=-1)
    height, width = pixels.shape[:2]
    return Image(_uri(canvas.image_png(pixels)), alt, width, height)


def _uri(data):
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _size(data):
    """Width and height from the header of a PNG."""
    return struct.unpack(">II", data[16:24])
