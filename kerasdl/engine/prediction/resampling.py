"""Parts of images at other sizes: the same pixels as if the whole image had been resized.

Pillow's bilinear filter, antialiased where it scales down. Only the part that is asked for is ever
held at the other size.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy
import PIL.Image

from kerasdl.tasks.prediction.enlarging import BILINEAR, Box

CHUNK_PIXELS = 2**18  # pixels decoded at once
CHUNK_VALUES = 2**22  # and their values: 16 MiB

Span = tuple[int, int]  # first, last + 1
Size = tuple[int, int]  # (height, width)


class Band(NamedTuple):
    """Values float32 (rows, width, V) of the rows from `top` on."""

    top: int
    values: numpy.ndarray


def region(pixels: numpy.ndarray, size: Size, rows: Span, columns: Span) -> numpy.ndarray:
    """A part of an image resized to `size`; beyond its edge the edge is repeated.

    Args:
        pixels: uint8 (H, W, 3).
        size: (height, width) to which the whole image is resized.
        rows, columns: The part, in the resized image.

    Returns:
        uint8 (rows, columns, 3).
    """
    height, width = size
    inside = (rows[0], min(rows[1], height)), (columns[0], min(columns[1], width))
    if pixels.shape[:2] == (height, width):
        part = pixels[slice(*inside[0]), slice(*inside[1])]
    else:
        top, bottom, *vertical = _window(inside[0], height, pixels.shape[0])
        left, right, *horizontal = _window(inside[1], width, pixels.shape[1])
        crop = PIL.Image.fromarray(numpy.ascontiguousarray(pixels[top:bottom, left:right]))
        box = (horizontal[0], vertical[0], horizontal[1], vertical[1])
        shape = (inside[1][1] - inside[1][0], inside[0][1] - inside[0][0])
        part = numpy.asarray(crop.resize(shape, BILINEAR, box=box))
    below, beside = rows[1] - inside[0][1], columns[1] - inside[1][1]
    if below or beside:
        part = numpy.pad(part, ((0, below), (0, beside), (0, 0)), mode="edge")
    return part


def enlarged(
    bands: Iterable[Band], size: Size, image: Size, columns: Span, left: int = 0
) -> Iterator[tuple[Span, numpy.ndarray, Box]]:
    """What the rows of an image depend on, from top to bottom, a few rows at a time.

    Args:
        bands: The values of all rows, from top to bottom.
        size: (height, width) of the whole image as the network sees it.
        image: (height, width) of the image.
        columns: The columns of the image to give values for.
        left: Column, as the network sees it, of the bands' first column.

    Yields:
        Rows of the image, the values around them (h, w, V), and the box in these in which they lie,
        see `kerasdl.tasks.prediction.enlarging`.
    """
    height = size[0]
    kept: list[numpy.ndarray] = []
    top = done = 0
    for band in bands:
        kept = [numpy.concatenate([*kept, band.values])] if kept else [band.values]
        bottom = top + len(kept[0])
        while done < image[0]:
            rows = (done, min(image[0], done + _rows(columns, band.values.shape[-1])))
            if _window(rows, image[0], height)[1] > bottom:
                rows = (done, _last(done, bottom, image[0], height))
                if rows[0] >= rows[1]:
                    break
            yield rows, *_around(kept[0], top, left, size, image, rows, columns)
            done = rows[1]
        if done < image[0]:
            first = _window((done, done + 1), image[0], height)[0]
            kept, top = [kept[0][first - top :].copy()], first


def _rows(columns: Span, values: int) -> int:
    """Number of rows to decode at once."""
    width = columns[1] - columns[0]
    return max(1, min(CHUNK_PIXELS, CHUNK_VALUES // values) // width)


def _last(done: int, bottom: int, target: int, source: int) -> int:
    """The last row + 1 whose values depend only on rows above `bottom`."""
    last = min(target, int(bottom * target / source))
    while last > done and _window((done, last), target, source)[1] > bottom:
        last -= 1
    return last


def _around(values, top, left, size, image, rows, columns):
    """What `rows` and `columns` depend on, of values that begin at (top, left), and their box."""
    high, low, *vertical = _window(rows, image[0], size[0])
    start, stop, *horizontal = _window(columns, image[1], size[1])
    part = values[high - top : low - top, start - left : stop - left]
    return part, (horizontal[0], vertical[0], horizontal[1], vertical[1])


def _window(part: Span, target: int, source: int) -> tuple[int, int, float, float]:
    """Where a part of a side of `target` pixels lies on the same side of `source` pixels.

    Returns:
        First and last + 1 of the pixels that its values depend on, and where the part begins and
        ends, counted from that first pixel. Pillow takes float32, which is exact enough near 0.
    """
    scale = source / target
    reach = math.ceil(max(1.0, scale)) + 1  # of the filter
    low, high = part[0] * scale, part[1] * scale
    first, last = max(0, math.floor(low) - reach), min(source, math.ceil(high) + reach)
    return first, last, low - first, min(high, source) - first


def needed(part: Span, target: int, source: int) -> Span:
    """First and last + 1 of the pixels that a part depends on, see `enlarged`."""
    return _window(part, target, source)[:2]
