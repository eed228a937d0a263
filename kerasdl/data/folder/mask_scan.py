"""The values that the masks of a data set hold, and what is wrong with them as a whole."""

import concurrent.futures
import dataclasses
import functools
from typing import NamedTuple

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data.folder import mask_advice, mask_lossy, mask_palettes, masks, waiting
from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.folder.dataset_values import MOST_CLASSES
from kerasdl.data.inspect.findings import Finding, counted, listing, printable

THREADS = 2
WHITES = (1, 255, 65535)  # what stands for white in masks of 1, 8 and 16 bits
MOST_EDGES = 6  # values from which on those along edges only count as interpolated


class MaskValues(NamedTuple):
    """What one mask holds.

    Attributes:
        path: The mask.
        shape: (height, width).
        values: Distinct stored values, or packed colors (red << 16 | green << 8 | blue), sorted.
        counts: Pixels per value.
        colored: Whether the values are packed colors.
        solid: Whether each value fills an area somewhere, so that a pixel has only equal neighbors.
        palette: Packed color per value, where the values are indices of a palette, else None.
    """

    path: str
    shape: tuple[int, int]
    values: numpy.ndarray
    counts: numpy.ndarray
    colored: bool = False
    solid: numpy.ndarray | None = None
    palette: numpy.ndarray | None = None


def values_of(stored, path, palette=None):
    """MaskValues of what `masks.read_with_palette` returned."""
    colored = stored.ndim == 3
    packed = masks.pack_colors(stored) if colored else stored
    if packed.dtype == "uint8":
        counts = numpy.bincount(packed.ravel(), minlength=256)
        values = counts.nonzero()[0]
        counts = counts[values]
    else:
        values, counts = numpy.unique(packed, return_counts=True)
    inner = packed[1:-1, 1:-1]
    sides = (packed[:-2, 1:-1], packed[2:, 1:-1], packed[1:-1, :-2], packed[1:-1, 2:])
    alike = functools.reduce(numpy.logical_and, [inner == side for side in sides])
    solid = (
        numpy.isin(values, numpy.unique(inner[alike])) if alike.size else numpy.ones_like(values)
    )
    if palette is not None:
        known = numpy.zeros((256, 3), "uint8")
        known[: len(palette)] = palette
        palette = masks.pack_colors(known)[values]
    return MaskValues(str(path), packed.shape, values, counts, colored, solid.astype(bool), palette)


def scan(sources, rule, what=""):
    """MaskValues of some masks, or a DataError in the place of one that cannot be read.

    `what` is said of it if it takes long.
    """

    def of(source):
        try:
            path = source if isinstance(source, str) else source.path
            stored, palette = masks.read_with_palette(source, rule)
            return values_of(stored, path, palette)
        except DataError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(of, sources)
        return list(waiting.shown(found, len(sources), what) if what else found)


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
    if not used or rule.values:
        return None
    unclear = interpolated_finding(found, rule) or mask_palettes.palette_finding(found, rule)
    if unclear:
        return unclear
    place = next(mask.path for mask in found if used[-1] in mask.values)
    if used == [255]:
        what, cause, fix = mask_advice.explain_values(used, rule)
        return Finding("error", what or "masks hold 255 only", place, cause, fix, "mask-values")
    # Few values, far apart, are marks (0 and 255, 0 and 128 ...), not indices.
    near = used[-1] < 2 * len(used) + 8 and used[-1] < MOST_CLASSES
    if near and (len(used) < 2 or not used[0] or 0 in rule.ignore):
        return None
    what = f"masks hold the values {listing(used, 12)}, which are no class indices 0, 1, 2, ..."
    cause, fix = _meaning(found, rule, used, near)
    return Finding("error", what, place, cause, fix, "mask-values")


def _meaning(found, rule, used, near):
    """Probable cause and fix for values that are no class indices from 0 on, as two texts."""
    if len(used) > MOST_CLASSES:
        return "more values than there can be classes", "make the masks again"
    pairs = ", ".join(f"{value} = {index}" for index, value in enumerate(used))
    line = f"mask_values = {{ {pairs} }}"
    if used == [0, 255]:
        return "a binary mask stored as black and white", f"put into {FILE_NAME}: {line}"
    if near:
        names = ", ".join(f'"class_{value}"' for value in range(used[-1] + 1))
        fix = f"put into {FILE_NAME}: {line}, or if classes are missing: names = [{names}]"
        return "classes counted from 1, or no pixel of the first", fix
    if used[-1] == 255 and used[:-1] == list(range(len(used) - 1)):
        cause, fix = "255 usually marks pixels without a class", "ignore_label = 255"
        return _two_readings(found, rule, used) or (cause, f"put into {FILE_NAME}: {fix}")
    return _two_readings(found, rule, used) or ("", f"put into {FILE_NAME}: {line}")


def _two_readings(found, rule, used):
    """Cause and both fixes of values that can be meant in two ways, or None."""
    if len(used) > 2 and set(used) <= {0, *WHITES} and not _together(found, WHITES):
        same = ", ".join(f"{value} = {min(value, 1)}" for value in used)
        if used == [0, 1, 255]:
            fix = f"put into {FILE_NAME}: ignore_label = 255, or if it is the same class as 1: "
            fix += f"mask_values = {{ {same} }}"
            return "255 marks pixels without a class, or some masks are stored in another way", fix
        apart = ", ".join(f"{value} = {index}" for index, value in enumerate(used))
        fix = f"put into {FILE_NAME}: mask_values = {{ {same} }}, or if they are several classes: "
        return "masks stored in different ways", f"{fix}mask_values = {{ {apart} }}"
    solid = _areas(found, rule)[1]
    between = [value for value in used if not solid[value]]
    few = 0 < len(between) == len(used) - 2 < MOST_EDGES - 2
    if few and used[1:-1] == between and used[0] < 128 <= used[-1] < 256:
        pairs = ", ".join(f"{value} = {index}" for index, value in enumerate(used))
        fix = f"{mask_advice.THRESHOLD_LINE}, or if they are classes: mask_values = {{ {pairs} }}"
        return "the values between occur along edges only", fix
    return None


def _together(found, values):
    """Whether a mask holds more than one of some values."""
    return any(numpy.isin(mask.values, values).sum() > 1 for mask in found)


def _areas(found, rule):
    """Pixels per value, and whether it fills an area somewhere, over all masks (65536,)."""
    counts, solid = numpy.zeros(65536, "int64"), numpy.zeros(65536, bool)
    for mask in found:
        if not mask.colored:
            inside = (mask.values >= 0) & (mask.values < 65536)
            values = mask.values[inside]
            counts[values] += mask.counts[inside]
            solid[values] |= mask.solid[inside]
    counts[list(rule.ignore)] = 0
    return counts, solid


def interpolated_finding(found, rule):
    """Finding where values lie along edges only, as resizing and JPEG leave them, or None."""
    counts, solid = _areas(found, rule)
    used = counts.nonzero()[0]
    edges = used[~solid[used]]
    # Two values that fill areas and few between them may be thin classes; many are not.
    if len(used) < MOST_EDGES or 2 * len(edges) < len(used):
        return None
    what = f"masks hold {len(used)} values, of which {len(edges)} occur along edges only"
    cause = "resized with interpolation, or once stored as JPEG"
    fix = "make the masks again from their source, resized to the nearest pixel"
    levels = counts[:256] if used[-1] < 256 else counts.reshape(256, 256).sum(1)
    if mask_lossy.two_levels(levels):
        fix = f"a black and white mask: {mask_advice.THRESHOLD_LINE}"
    place = next(mask.path for mask in found if not mask.colored and len(mask.values) > 2)
    return Finding("error", what, place, cause, fix, "mask-interpolated")


def single_class_finding(found, rule):
    """Finding where all masks together hold one class or none, or None."""
    targets, place = set(), ""
    for mask in found:
        if _unknown(mask, rule).size:
            return None
        targets |= set(rule.targets(mask.values, mask.colored).tolist()) - set(rule.ignore_labels)
        place = place or mask.path
        if len(targets) > 1:
            return None
    if not found:
        return None
    if targets:
        what = f"all {counted(len(found), 'training mask')} hold class {targets.pop()} only"
        fix = "give masks in which at least two classes occur"
    else:
        what = f"all {counted(len(found), 'training mask')} hold nothing but the ignored value"
        fix = "correct ignore_label"
    return Finding("error", what, place, "there is nothing to learn", fix, "mask-single")


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
        what, cause, fix = mask_advice.explain_values(everything, rule)
        used = [value for value in everything if value not in rule.ignore]
        several = rule.classes == 2 and not rule.values and _two_readings(found, rule, used)
        cause, fix = several or (cause, fix)
        if len(sound) > len(gray) and "dataset.toml: " not in fix:
            cause = f"the other {counted(len(sound), 'mask')} hold only known values"
            other = fix if rule.values else "name all classes, or list the values in mask_values"
            fix = f"correct these, or {other}"
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
    what, cause, fix = mask_advice.explain_colors(colors, rule)
    what = _several(what, colored)
    solid = set().union(*(mask.values[mask.solid].tolist() for mask in colored))
    if solid and len(colors) >= MOST_EDGES and 2 * len(solid.intersection(colors)) <= len(colors):
        cause = "most occur along edges only: resized with interpolation, or once stored as JPEG"
        fix = "make the masks again from their source, resized to the nearest pixel"
    return Finding("error", what, colored[0].path, cause, fix, "mask-values")


def _several(what, wrong):
    if len(wrong) == 1:
        return what
    return what.replace("mask holds", f"{len(wrong)} masks hold", 1)
