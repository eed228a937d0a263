"""Carvana: `train/*.jpg` or `train_hq/*.jpg`, `train_masks/*_mask.gif`; `test/` is left out."""

import re

from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, pairing

TITLE = "Carvana"
MASK = re.compile(r"[0-9a-f]+_\d\d_mask\.(gif|png)$")


def matches(location):
    """Whether `train_masks/` holds nothing but `*_01_mask.gif` and its like."""
    masks = location.tree.below("train_masks")
    return bool(_images(location.tree) and masks and all(map(MASK.match, masks)))


def read(location, annotation):
    """Cars for segmentation, and all images for colorization."""
    reading = Reading(location.tree)
    images = _images(location.tree)
    if annotation == "none":
        common.images_only(reading, {"train": images, "test": "test"})
        reading.summary = f"{TITLE}: images of {images}/ and test/"
        return reading
    entries = pairing.pairs(reading, images, "train_masks", mask_suffix="_mask")
    reading.splits[UNDIVIDED] = common.black_and_white(reading, entries)
    reading.class_names = ("background", "car")
    reading.summary = f"{TITLE}: 2 classes, no splits"
    if location.tree.count("test"):
        common.unserved_test(reading, "test")
        reading.summary += ", test/ has no masks and is left out"
    return reading


def _images(tree):
    """The folder of images; both versions have the same names."""
    return next((name for name in ("train", "train_hq") if tree.count(name)), "")
