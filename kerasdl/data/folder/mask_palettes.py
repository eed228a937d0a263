"""Palettes of masks that contradict each other, or give white the index of black."""

import collections

from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.inspect.findings import Finding, printable

WHITE = 0xFFFFFF


def _white_first(found):
    """Finding where palettes of two colors give white the index 0 and black the 1, or None."""
    drawn = [mask for mask in found if mask.palette is not None]
    colors = [dict(zip(mask.values.tolist(), mask.palette.tolist(), strict=True)) for mask in drawn]
    swapped = {0: WHITE, 1: 0}
    wrong = [mask for mask, own in zip(drawn, colors, strict=True) if own == swapped]
    if not wrong or any(not own.items() <= swapped.items() for own in colors):
        return None
    highest = max(int(mask.values.max(initial=0)) for mask in found)
    by_color = (
        'mask_values = { "#000000" = 0, "#ffffff" = 1 }' if highest < 2 else "threshold = 128"
    )
    fix = f"put into {FILE_NAME}, if white is class 1: {by_color}"
    if len(drawn) == len(found):
        fix += ", or if the indices count: mask_values = { 0 = 0, 1 = 1 }"
    what = "index 0 of the palette is white, 1 is black"
    return Finding("error", what, wrong[0].path, "", fix, "mask-palette")


def palette_finding(found, rule):
    """Finding where one index has different colors in the palettes of the masks, or None."""
    if rule.values or rule.threshold is not None:
        return None  # the owner said that the indices count, or the colors
    if finding := _white_first(found):
        return finding
    colors, places = {}, {}
    for mask in found:
        if mask.palette is None:
            continue
        for value, color in zip(mask.values.tolist(), mask.palette.tolist(), strict=True):
            if value in rule.ignore:
                continue
            if colors.setdefault(value, color) == color:
                places.setdefault(value, mask.path)
                continue
            by_color = ", ".join(f'"#{c:06x}" = {i}' for i, c in enumerate(_by_index(found)))
            values = sorted({int(v) for m in found if m.palette is not None for v in m.values})
            by_index = ", ".join(f"{v} = {i}" for i, v in enumerate(values))
            what = f"index {value} is #{colors[value]:06x} in {printable(places[value])}, "
            what += f"#{color:06x} here: the palettes differ"
            fix = f"put into {FILE_NAME}, if the colors count: mask_values = {{ {by_color} }}, "
            fix += f"or if the indices count: mask_values = {{ {by_index} }}"
            return Finding("error", what, mask.path, "", fix, "mask-palette")
    return None


def _by_index(found):
    """The colors of all palettes, black first, each at the index that it has most often."""
    indices = collections.defaultdict(collections.Counter)
    for mask in found:
        if mask.palette is not None:
            for value, color in zip(mask.values.tolist(), mask.palette.tolist(), strict=True):
                indices[color][value] += 1
    usual = {color: min(seen, key=lambda i: (-seen[i], i)) for color, seen in indices.items()}
    return sorted(usual, key=lambda color: (color != 0, usual[color], color))
