"""Kvasir-SEG: `images/*.jpg`, `masks/*.jpg` of the same names, `kavsir_bboxes.json`.

The masks are JPEG, black and white with blurred edges; they are cut at 128.
"""

import re

from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, pairing

TITLE = "Kvasir-SEG"
FRAME = re.compile(r"cju[0-9a-z]{20,24}\.jpg$")
BOXES = ("kavsir_bboxes.json", "kvasir_bboxes.json")  # the first spelling is the published one


def matches(location):
    """Whether there are `images/` and `masks/` and the boxes or the names of Kvasir-SEG."""
    return bool(_bases(location.tree))


def read(location, annotation):
    """Polyps for segmentation, and the images for colorization."""
    reading = Reading(location.tree)
    base = common.one_base(reading, _bases(location.tree), TITLE)
    if base is None:
        return reading
    images, masks = common.join(base, "images"), common.join(base, "masks")
    if annotation == "none":
        common.images_only(reading, {UNDIVIDED: images})
    else:
        entries = pairing.pairs(reading, images, masks)
        reading.splits[UNDIVIDED] = common.black_and_white(reading, entries)
    reading.class_names = ("background", "polyp")
    reading.summary = f"{TITLE}: 2 classes, JPEG masks cut at 128, no splits"
    return reading


def _bases(tree):
    return [base for base in common.bases(tree, "images", "masks") if _is_kvasir(tree, base)]


def _is_kvasir(tree, base):
    if any(common.has(tree.documents, common.join(base, name)) for name in BOXES):
        return True
    names = tree.below(common.join(base, "images"))
    return bool(names) and all(map(FRAME.match, names))
