"""Moving pictures and masks of a batch: shifts and mirrors by copying, the rest by resampling.

What lies outside a picture is the picture mirrored at its edge pixels (`outside=None`), or a value.
Pictures are uint8 (B, H, W, C), masks uint8 (B, H, W); masks never get a value they did not have.
"""

import numpy
from PIL import Image


def shifted(pictures, flips, down, right, outside):
    """Each picture shifted by less than half its size, then mirrored where asked.

    A loop over slices instead of one gather over the batch: rows or whole pixels are copied, and
    no index is made for them.

    Args:
        pictures: Pictures or masks.
        flips: Whether to mirror left and right, bool, shape (B,).
        down: By how many pixels the window lies further down, integers, shape (B,).
        right: By how many pixels the window lies further to the right.
        outside: Value outside the picture, or None.

    Returns:
        Array of the same shape.
    """
    height, width = pictures.shape[1:3]
    pictures = numpy.ascontiguousarray(pictures)  # so that the views below are views
    moved = numpy.empty_like(pictures)
    sources, targets = _pixels(pictures), _pixels(moved)
    if outside is not None:
        size = targets.dtype.itemsize
        outside = numpy.full(size, outside, numpy.uint8).view(targets.dtype)
    # Rows as bytes: unless they are reversed, many pixels are copied at a time.
    bytes_from, bytes_to = (part.reshape(len(part), height, -1) for part in (pictures, moved))
    depth = bytes_to.shape[2] // width
    places = zip(flips.tolist(), down.tolist(), right.tolist(), strict=True)
    for index, (flip, by_y, by_x) in enumerate(places):
        top, bottom = (by_y, height) if by_y > 0 else (0, height + by_y)
        left, end = (by_x, width) if by_x > 0 else (0, width + by_x)
        if flip:
            target = targets[index, :, ::-1]
            rows = target[top - by_y : bottom - by_y]
            rows[:, left - by_x : end - by_x] = sources[index, top:bottom, left:end]
        else:
            target = targets[index]
            rows = target[top - by_y : bottom - by_y]
            bytes_to[
                index, top - by_y : bottom - by_y, (left - by_x) * depth : (end - by_x) * depth
            ] = bytes_from[index, top:bottom, left * depth : end * depth]
        if by_x:
            _fill(rows.T, by_x, outside)
        if by_y:
            _fill(target, by_y, outside)
    return moved


def warped(pictures, flips, down, right, factors, angles, outside):
    """Shifts, mirrors, scales and turns in one resampling: bilinear, for masks the nearest pixel.

    Pillow's transform per picture: measured 1 to 3 times as fast as gathers in NumPy (the larger
    the picture, the more). It cuts fractions off, so that pictures lose half a level of 255 on
    average.

    Args:
        pictures: Pictures or masks.
        flips, down, right: As for `shifted`.
        factors: Size of what is seen over the size of the picture, shape (B,); below 1 enlarges.
        angles: Turns in radians, shape (B,).
        outside: Value outside the picture, or None.

    Returns:
        Array of the same shape.
    """
    height, width = pictures.shape[1:3]
    cosine, sine = factors * numpy.cos(angles), factors * numpy.sin(angles)
    reach_y = (numpy.abs(sine) * width + numpy.abs(cosine) * height - height) / 2
    reach_x = (numpy.abs(cosine) * width + numpy.abs(sine) * height - width) / 2
    # One more for the neighbour that interpolation asks for.
    pad_y = max(0, int(numpy.ceil((reach_y + numpy.abs(down)).max()))) + 1
    pad_x = max(0, int(numpy.ceil((reach_x + numpy.abs(right)).max()))) + 1
    padded = _padded(pictures, pad_y, pad_x, outside)
    # From a place in the result to the place in the padded picture; both turn about the middle.
    mirror = numpy.where(flips, -1.0, 1.0)
    middle_x = width / 2 + pad_x + right - (cosine * mirror * width - sine * height) / 2
    middle_y = height / 2 + pad_y + down - (sine * mirror * width + cosine * height) / 2
    matrices = numpy.stack(
        [cosine * mirror, -sine, middle_x, sine * mirror, cosine, middle_y], axis=1
    )
    smooth = Image.Resampling.NEAREST if pictures.ndim == 3 else Image.Resampling.BILINEAR
    result = numpy.empty_like(pictures)
    for index, matrix in enumerate(matrices.tolist()):
        picture = Image.fromarray(padded[index])
        result[index] = picture.transform((width, height), Image.Transform.AFFINE, matrix, smooth)
    return result


def _fill(rows, by, outside):
    """Fills the rows that a shift has left empty: with the rows beside them, or with a value."""
    size = len(rows)
    if by > 0:
        empty, beside = slice(size - by, None), slice(size - by - 2, size - 2 * by - 2, -1)
        if beside.stop < 0:
            beside = slice(beside.start, None, -1)
    else:
        empty, beside = slice(None, -by), slice(-2 * by, -by, -1)
    rows[empty] = rows[beside] if outside is None else outside


def _padded(pictures, pad_y, pad_x, outside):
    """Pictures with a border: the given value, or (None) the picture mirrored at its edges."""
    height, width = pictures.shape[1:3]
    if outside is not None:
        border = ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0))[: pictures.ndim]
        return numpy.pad(pictures, border, constant_values=outside)
    rows, columns = _mirrored(pad_y, height), _mirrored(pad_x, width)
    return pictures.take(rows, axis=1).take(columns, axis=2)


def _mirrored(pad, size):
    """Places 0 .. size - 1 that a row with `pad` more on both sides shows, mirrored as often as
    needed without repeating the edge: 2 1 | 0 1 2 3 | 2 1.
    """
    period = max(1, 2 * (size - 1))
    places = numpy.arange(-pad, size + pad) % period
    return numpy.minimum(places, period - places)


def _pixels(pictures):
    """Pictures (B, H, W, C) seen as (B, H, W) with one element of C bytes per pixel."""
    if pictures.ndim == 3:
        return pictures
    pictures = numpy.ascontiguousarray(pictures)
    return pictures.view(numpy.dtype((numpy.void, pictures.shape[3])))[..., 0]
