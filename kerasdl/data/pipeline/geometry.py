"""Moving images and masks of a batch: shifts and flips by copying, the rest by resampling.

What lies outside an image is the image flipped at its edge pixels (`outside=None`), or a value.
Images are uint8 (B, H, W, C), masks uint8 (B, H, W); masks never get a value they did not have.
"""

import math

import numpy
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

CACHED_BYTES = 2**17  # of bordered images at a time; the second cache of a core holds it
SMALL = 40 * 40  # pixels; below, calling NumPy for each image takes longer than copying it


def shifted(images, flips, down, right, outside):
    """Each image shifted by less than half its size, then flipped where asked.

    By copying rows: no index is made per pixel. The two ways give the same images; which is
    faster depends on whether copying or calling NumPy takes the time.

    Args:
        images: Images or masks.
        flips: Whether to flip left and right, bool, shape (B,).
        down: By how many pixels the window lies further down, integers, shape (B,).
        right: By how many pixels the window lies further to the right.
        outside: Value outside the image, or None.

    Returns:
        Array of the same shape.
    """
    count, height, width = images.shape[:3]
    whole = numpy.ascontiguousarray(images).reshape(count, height, width, -1)
    small = height * width <= SMALL
    moved = (_shifted_together if small else _shifted_singly)(whole, flips, down, right, outside)
    return moved.reshape(images.shape)


def _shifted_together(images, flips, down, right, outside):
    """Small images (B, H, W, C), many in one step: windows are cut out of bordered rows.

    As many images are bordered at a time as stay in the processor's cache.
    """
    count, height, width, depth = images.shape
    source = images.reshape(count, height, width * depth)
    moved = numpy.empty_like(source)
    pad = int(numpy.abs(right).max(initial=0))
    start, end = pad * depth, (pad + width) * depth
    # One more row, for what lies above and below if it has a value of its own.
    shape = height + 1, end + start
    together = max(1, min(count, CACHED_BYTES // math.prod(shape)))
    bordered = numpy.full((together, *shape), outside or 0, numpy.uint8)
    windows = sliding_window_view(bordered, width * depth, axis=2)
    rows = _rows(down, height, outside is None)
    lefts = (right[:, None] + pad) * depth
    for first in range(0, count, together):
        part = slice(first, min(first + together, count))
        size = part.stop - first
        bordered[:size, :height, start:end] = source[part]
        if outside is None and pad:
            _reflect_edges(bordered[:size, :height], source[part], pad, depth)
        moved[part] = windows[numpy.arange(size)[:, None], rows[part], lefts[part]]
        turned = first + numpy.flatnonzero(flips[part])
        if len(turned):
            upright = moved[turned].reshape(-1, height, width, depth)
            flipped = numpy.empty_like(upright)
            _copy_flipped(flipped, upright)
            moved[turned] = flipped.reshape(-1, height, width * depth)
    return moved


def _shifted_singly(images, flips, down, right, outside):
    """Large images (B, H, W, C), one after the other: only what is missing is filled in."""
    height, width, depth = images.shape[1:]
    moved = numpy.empty_like(images)
    places = zip(images, moved, flips.tolist(), down.tolist(), right.tolist(), strict=True)
    for source, target, flip, by_y, by_x in places:
        top, bottom = (by_y, height) if by_y > 0 else (0, height + by_y)
        left, end = (by_x, width) if by_x > 0 else (0, width + by_x)
        if flip:
            rows = target[top - by_y : bottom - by_y]
            _copy_flipped(
                rows[:, width - end + by_x : width - left + by_x], source[top:bottom, left:end]
            )
            target = target[:, ::-1]
        else:
            # Rows as bytes, so that many pixels are copied at a time.
            bytes_from, bytes_to = source.reshape(height, -1), target.reshape(height, -1)
            bytes_to[top - by_y : bottom - by_y, (left - by_x) * depth : (end - by_x) * depth] = (
                bytes_from[top:bottom, left * depth : end * depth]
            )
        if by_x:
            _fill(target[top - by_y : bottom - by_y].swapaxes(0, 1), by_x, outside)
        if by_y:
            _fill(target, by_y, outside)
    return moved


def warped(images, flips, down, right, factors, angles, outside):
    """Shifts, flips, scales and turns in one resampling: bilinear, for masks the nearest pixel.

    Pillow's transform per image: measured 1 to 3 times as fast as gathers in NumPy (the larger
    the image, the more). It cuts fractions off, so that images lose half a level of 255 on
    average.

    Args:
        images: Images or masks.
        flips, down, right: As for `shifted`.
        factors: Size of what is seen over the size of the image, shape (B,); below 1 upsamples.
        angles: Turns in radians, shape (B,).
        outside: Value outside the image, or None.

    Returns:
        Array of the same shape.
    """
    height, width = images.shape[1:3]
    cosine, sine = factors * numpy.cos(angles), factors * numpy.sin(angles)
    reach_y = (numpy.abs(sine) * width + numpy.abs(cosine) * height - height) / 2
    reach_x = (numpy.abs(cosine) * width + numpy.abs(sine) * height - width) / 2
    # One more for the neighbor that interpolation asks for.
    pad_y = max(0, int(numpy.ceil((reach_y + numpy.abs(down)).max()))) + 1
    pad_x = max(0, int(numpy.ceil((reach_x + numpy.abs(right)).max()))) + 1
    padded = _padded(images, pad_y, pad_x, outside)
    # From a place in the result to the place in the padded image; both turn about the middle.
    flip = numpy.where(flips, -1.0, 1.0)
    middle_x = width / 2 + pad_x + right - (cosine * flip * width - sine * height) / 2
    middle_y = height / 2 + pad_y + down - (sine * flip * width + cosine * height) / 2
    matrices = numpy.stack([cosine * flip, -sine, middle_x, sine * flip, cosine, middle_y], axis=1)
    smooth = Image.Resampling.NEAREST if images.ndim == 3 else Image.Resampling.BILINEAR
    result = numpy.empty_like(images)
    for index, matrix in enumerate(matrices.tolist()):
        image = Image.fromarray(padded[index])
        result[index] = image.transform((width, height), Image.Transform.AFFINE, matrix, smooth)
    return result


def _rows(down, height, reflect):
    """Which row of its image each row of a shifted one shows, (B, height); height: none."""
    places = down[:, None] + numpy.arange(height)
    if reflect:
        pad = int(numpy.abs(down).max(initial=0))
        return _flipped(pad, height)[places + pad]
    return numpy.where((places >= 0) & (places < height), places, height)


def _reflect_edges(bordered, rows, pad, depth):
    """Fills the left and right border of rows (B, H, bytes) with what lies inside, flipped.

    Channel by channel: NumPy copies single bytes faster than pixels of three.
    """
    width = rows.shape[2] // depth
    for channel in range(depth):
        source, target = rows[..., channel::depth], bordered[..., channel::depth]
        target[..., :pad] = source[..., pad:0:-1]
        target[..., pad + width :] = source[..., width - 1 - pad : width - 1][..., ::-1]


def _copy_flipped(target, source):
    """Copies images (..., W, C) flipped left and right; see `_reflect_edges` for the loop."""
    for channel in range(source.shape[-1]):
        target[..., channel] = source[..., ::-1, channel]


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


def _padded(images, pad_y, pad_x, outside):
    """Images with a border: the given value, or (None) the image flipped at its edges."""
    height, width = images.shape[1:3]
    if outside is not None:
        border = ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0))[: images.ndim]
        return numpy.pad(images, border, constant_values=outside)
    rows, columns = _flipped(pad_y, height), _flipped(pad_x, width)
    return images.take(rows, axis=1).take(columns, axis=2)


def _flipped(pad, size):
    """Places 0 .. size - 1 that a row with `pad` more on both sides shows, flipped as often as
    needed without repeating the edge: 2 1 | 0 1 2 3 | 2 1.
    """
    period = max(1, 2 * (size - 1))
    places = numpy.arange(-pad, size + pad) % period
    return numpy.minimum(places, period - places)
