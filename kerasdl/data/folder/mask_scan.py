"""The values that the masks of a data set hold, and what is wrong with them as a whole."""

import concurrent.futures
import dataclasses
from typing import NamedTuple

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data.folder import masks
from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.inspect.findings import Finding, counted, listing, printable

THREADS = 2


class MaskValues(NamedTuple):
    """What one mask holds.

    Attributes:
        path: The mask.
        shape: (height, width).
        values: Distinct stored values, or packed colors (red << 16 | green << 8 | blue), sorted.
        counts: Pixels per value.
        colored: Whether the values are packed colors.
    """

    path: str
    shape: tuple[int, int]
    values: numpy.ndarray
    counts: numpy.ndarray
    colored: bool = False


def values_of(stored, path):
    """MaskValues of what `masks.read_stored` returned."""
    colored = stored.ndim == 3
    packed = masks.pack_colors(stored) if colored else stored
    if packed.dtype == "uint8":
        counts = numpy.bincount(packed.ravel(), minlength=256)
        values = counts.nonzero()[0]
        counts = counts[values]
    else:
        values, counts = numpy.unique(packed, return_counts=True)
    return MaskValues(str(path), packed.shape, values, counts, colored)


def scan(sources, rule):
    """MaskValues of some masks, or a DataError in the place of one that cannot be read."""

    def of(source):
        try:
            path = source if isinstance(source, str) else source.path
            return values_of(masks.read_stored(source, rule), path)
        except DataError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(of, sources))


def used_values(found, rule):
    """All values that some masks hold and the rule does not ignore, sorted."""
    values = set().union(*(mask.values.tolist() for mask in found if not mask.colored))
    return sorted(values - set(rule.ignore))


def count_finding(found, rule):
    """Finding where the values of masks without named classes are no class indices, or None.

    Args:
        found: List of MaskValues.
        rule: MaskRule that does not know the number of classes.
    """
    colored = [mask for mask in found if mask.colored]
    if colored:
        return _colors_finding(colored, rule) if not rule.colors else None
    used = used_values(found, rule)
    if not used or rule.values or used[-1] < 2 * len(used) + 8:
        return None
    # Few values, far apart: they are marks (0 and 255, 0 and 128 ...), not indices.
    place = next(mask.path for mask in found if used[-1] in mask.values)
    what = f"masks hold the values {listing(used, 12)}, which are no class indices 0, 1, 2, ..."
    cause = ""
    pairs = ", ".join(f"{value} = {index}" for index, value in enumerate(used))
    fix = f"put into {FILE_NAME}: mask_values = {{ {pairs} }}"
    if used == [0, 255]:
        cause = "a binary mask stored as black and white"
    elif used[-1] == 255 and used[:-1] == list(range(len(used) - 1)):
        cause = "255 usually marks pixels without a class"
        fix = f"put into {FILE_NAME}: ignore_label = 255"
    return Finding("error", what, place, cause, fix, "mask-values")


def outside_findings(found, rule):
    """Findings for masks that hold values or colors outside a complete rule.

    Args:
        found: List of MaskValues.
        rule: MaskRule that knows the number of classes.
    """
    wrong = [mask for mask in found if _unknown(mask, rule).size]
    colored = [mask for mask in wrong if mask.colored]
    gray = [mask for mask in wrong if not mask.colored]
    if colored:
        finding = _colors_finding(colored, rule)
        others = sum(not mask.colored for mask in found)
        if others > len(colored):
            cause = f"the other {counted(others, 'mask')} hold class indices, not colors"
            fix = "store these masks as the others"
            finding = dataclasses.replace(finding, cause=cause, fix=fix)
        yield finding
    if gray:
        sound = [mask for mask in found if not mask.colored and not _unknown(mask, rule).size]
        everything = sorted(set().union(*(mask.values.tolist() for mask in (*gray, *sound))))
        what, cause, fix = masks.explain_values(everything, rule)
        if len(sound) > len(gray) and "ignore_label" not in fix:
            cause = f"the other {counted(len(sound), 'mask')} hold only known values"
            fix = "correct these, or name all classes, or list the values in mask_values"
        yield Finding("error", _several(what, gray), gray[0].path, cause, fix, "mask-values")


def class_counts(mask, rule, classes):
    """Pixels per class, int64 (classes + 1,), the ignored last; None if a value has no class."""
    if _unknown(mask, rule).size:
        return None
    targets = rule.targets(mask.values, mask.colored)
    targets = numpy.where(targets < classes, targets, classes)
    if rule.ignore_labels:
        targets[numpy.isin(targets, rule.ignore_labels)] = classes
    return numpy.bincount(targets, weights=mask.counts, minlength=classes + 1).astype("int64")


def size_finding(entry, image_size, mask_size):
    """Finding for a mask whose size is not that of its image, both (height, width)."""
    cause, fix = "", "make the mask at the image's size"
    if image_size == tuple(reversed(mask_size)):
        cause = "the image is turned upright by its EXIF orientation, the mask is not"
        fix = "turn the mask as well, or remove the tag from the image"
    image_text, mask_text = (f"{size[1]}x{size[0]}" for size in (image_size, mask_size))
    return Finding(
        "error",
        f"mask is {mask_text}, its image {printable(entry.image)} is {image_text}",
        str(entry.mask_path),
        cause,
        fix,
        "mask-size",
        skippable=True,
    )


def _unknown(mask, rule):
    """Values or packed colors of a mask that the rule does not know."""
    return mask.values[rule.targets(mask.values, mask.colored) == masks.UNKNOWN]


def _colors_finding(colored, rule):
    colors = sorted(set().union(*(_unknown(mask, rule).tolist() for mask in colored)))
    what, cause, fix = masks.explain_colors(colors, rule)
    what = _several(what, colored)
    return Finding("error", what, colored[0].path, cause, fix, "mask-values")


def _several(what, wrong):
    if len(wrong) == 1:
        return what
    return what.replace("mask holds", f"{len(wrong)} masks hold", 1)
