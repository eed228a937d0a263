"""Masks of two levels that were stored with loss: the gray value between them."""

import numpy

from kerasdl.data.folder.mask_advice import THRESHOLD_LINE

DRIFT = 48  # a color of a lossy file may be this far away from what was stored
APART = 48  # difference of the gray values of two colors that a threshold divides


def threshold_line(image):
    """What to do about a lossy mask, if a threshold divides its two colors; else "".

    Args:
        image: Pillow image, decoded.
    """
    if two_levels(numpy.array(image.convert("L").histogram())):
        return f"a black and white mask: {THRESHOLD_LINE}"
    threshold = _between_two_colors(numpy.asarray(image.convert("RGB"), "int16"))
    if threshold is None:
        return ""
    line = THRESHOLD_LINE.replace("128", str(threshold))
    return f"if all masks have two colors, of which the lighter is class 1: {line}"


def two_levels(counts):
    """Whether gray values, counted uint (256,), are black and white with a smooth edge between.

    Dark values and light ones make up 80 %, and of each kind only one is frequent (2 %): more than
    one would be class indices.
    """
    total, dark, light = int(counts.sum()), counts[:64], counts[192:]
    if not dark.sum() or not light.sum() or dark.sum() + light.sum() < 0.8 * total:
        return False
    return all((part >= 0.02 * total).sum() <= 1 for part in (dark, light))


def _between_two_colors(colors):
    """Gray value halfway between two colors that fill 90 % of a mask; None if it is not so.

    What lies between them is thin, or a third color: 0.5 % have no neighbor of the two colors.
    """
    near_first = _distance(colors, _most_frequent(colors.reshape(-1, 3))) <= DRIFT
    if near_first.all():
        return None
    near_second = _distance(colors, _most_frequent(colors[~near_first])) <= DRIFT
    between = ~near_first & ~near_second
    sides = (between[:-2, 1:-1], between[2:, 1:-1], between[1:-1, :-2], between[1:-1, 2:])
    inner = numpy.logical_and.reduce([between[1:-1, 1:-1], *sides])
    if between.mean() > 0.1 or inner.sum() > 0.005 * between.size:
        return None
    gray = colors @ numpy.array([0.299, 0.587, 0.114])
    low, high = sorted((numpy.median(gray[near_first]), numpy.median(gray[near_second])))
    return int((low + high) / 2) + 1 if high - low >= APART else None


def _most_frequent(colors):
    """The mean of the colors that share the most frequent upper four bits."""
    coarse = (colors >> 4) @ numpy.array([256, 16, 1])
    return colors[coarse == numpy.bincount(coarse).argmax()].mean(0)


def _distance(colors, color):
    return numpy.abs(colors - color).max(-1)
