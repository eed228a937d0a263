"""FloodNet: `train/train-org-img/x.jpg`, `train/train-label-img/x_lab.png`, val and test alike."""

import re

from kerasdl.data.folder.layouts import Reading, common, pairing
from kerasdl.data.folder.layouts.splits import SPLIT_NAMES

TITLE = "FloodNet"
IMAGES, MASKS = "-org-img", "-label-img"
FOLDER = re.compile(rf"(?:.*/)?(train|val|test){IMAGES}$")
NAMES = (
    *("background", "building flooded", "building non-flooded", "road flooded"),
    *("road non-flooded", "water", "tree", "vehicle", "pool", "grass"),
)


def matches(location):
    """Whether there are folders train-org-img and train-label-img."""
    tree = location.tree
    folders = filter(FOLDER.match, tree.folders)
    return any(tree.count(folder.removesuffix(IMAGES) + MASKS) for folder in folders)


def read(location, annotation):
    """The ten classes for segmentation, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree, class_names=NAMES)
    for folder in filter(FOLDER.match, tree.folders):
        split = SPLIT_NAMES[FOLDER.match(folder)[1]]
        masks = folder.removesuffix(IMAGES) + MASKS
        if annotation == "none":
            common.images_only(reading, {split: folder})
        elif tree.count(masks):
            reading.splits[split] = pairing.pairs(reading, folder, masks, mask_suffix="_lab")
        elif split == "train":
            reading.error("no masks for the training images", folder, f"add {masks}/")
        else:
            common.unserved_test(reading, folder)
    reading.summary = f"{TITLE}: {len(NAMES)} classes, {common.splits_of(reading.splits)}"
    return reading
