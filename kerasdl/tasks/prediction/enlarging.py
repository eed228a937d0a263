"""Outputs per pixel at the size of the image, bilinear."""

import numpy
import PIL.Image

BILINEAR = PIL.Image.Resampling.BILINEAR
MAX_VALUES = 2**16  # gathered at once: they stay in the cache of a core

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


def bilinear(values: numpy.ndarray, box: Box, size: tuple[int, int]) -> numpy.ndarray:
    """A part of some values at another size; antialiased where that is smaller.

    Args:
        values: float32 (h, w, V).
        box: The part.
        size: Its (height, width) in the result.

    Returns:
        float32 (V, height, width).
    """
    if _unchanged(box, size):
        left, top, right, bottom = map(int, box)
        return numpy.moveaxis(values[top:bottom, left:right], -1, 0)
    # One channel after another: Pillow has no images of V floats.
    channels = [
        PIL.Image.fromarray(numpy.ascontiguousarray(channel, dtype="float32")).resize(
            (size[1], size[0]), BILINEAR, box=box
        )
        for channel in numpy.moveaxis(values, -1, 0)
    ]
    return numpy.stack([numpy.asarray(channel) for channel in channels])


def largest(values: numpy.ndarray, box: Box, size: tuple[int, int]) -> numpy.ndarray:
    """Index of the largest of the values that `bilinear` gives, uint8 (height, width).

    Where the four values around a pixel have the same largest index, so has every mean of them.
    Only the others, along the edges of the classes, are interpolated.
    """
    left, top, right, bottom = box
    if right - left > size[1] or bottom - top > size[0]:
        return _largest(bilinear(values, box, size))
    classes = values.argmax(axis=-1).astype("uint8")
    if _unchanged(box, size):
        left, top, right, bottom = map(int, box)
        return classes[top:bottom, left:right]
    upper, lower, down = _neighbors(top, bottom, size[0], len(values))
    before, after, across = _neighbors(left, right, size[1], values.shape[1])
    found = classes.take(upper, 0).take(before, 1)
    rows, columns = numpy.nonzero(_mixed(classes).take(upper, 0).take(before, 1))
    flat = values.reshape(-1, values.shape[-1])
    step = max(1, MAX_VALUES // values.shape[-1])
    for first in range(0, len(rows), step):
        row, column = rows[first : first + step], columns[first : first + step]
        at, x = upper[row] * values.shape[1], across[column][:, None]
        above = _between(flat.take(at + before[column], 0), flat.take(at + after[column], 0), x)
        at = lower[row] * values.shape[1]
        below = _between(flat.take(at + before[column], 0), flat.take(at + after[column], 0), x)
        found[row, column] = _between(above, below, down[row][:, None]).argmax(axis=-1)
    return found


def _between(one: numpy.ndarray, other: numpy.ndarray, weight: numpy.ndarray) -> numpy.ndarray:
    """one + weight (other - one), in place of both."""
    other -= one
    other *= weight
    one += other
    return one


def _unchanged(box: Box, size: tuple[int, int]) -> bool:
    left, top, right, bottom = box
    whole = all(float(side).is_integer() for side in box)
    return whole and (bottom - top, right - left) == size


def _largest(values: numpy.ndarray) -> numpy.ndarray:
    """Index of the largest of values (V, H, W), uint8; of equal ones the first."""
    # A running maximum: `argmax` over the first axis would first copy everything.
    best = numpy.array(values[0])
    found = numpy.zeros(best.shape, dtype="uint8")
    for index, each in enumerate(values[1:], 1):
        numpy.copyto(found, index, where=each > best)
        numpy.maximum(best, each, out=best)
    return found


def _neighbors(
    low: float, high: float, size: int, side: int
) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """The two pixels around each of `size` points from `low` to `high`, weight of the second."""
    points = low + (numpy.arange(size) + 0.5) * (high - low) / size - 0.5
    first = numpy.floor(points).astype(int)
    weight = (points - first).astype("float32")
    return first.clip(0, side - 1), (first + 1).clip(0, side - 1), weight


def _mixed(classes: numpy.ndarray) -> numpy.ndarray:
    """Where a pixel, the next, and the two below have not all the same class."""
    padded = numpy.pad(classes, ((0, 1), (0, 1)), mode="edge")
    corner = padded[:-1, :-1]
    return (padded[1:, :-1] != corner) | (padded[:-1, 1:] != corner) | (padded[1:, 1:] != corner)
