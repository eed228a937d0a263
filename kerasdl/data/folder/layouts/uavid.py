"""UAVid: `uavid_train/seq1/Images/000000.png`, `uavid_train/seq1/Labels/000000.png`, by color."""

import re

from kerasdl.data.folder.layouts import Reading, parallel

TITLE = "UAVid"
FOLDER = re.compile(r"(.*/)?seq\d+/Images")
COLORS = {
    "background clutter": (0, 0, 0),
    "building": (128, 0, 0),
    "road": (128, 64, 128),
    "tree": (0, 128, 0),
    "low vegetation": (128, 128, 0),
    "moving car": (64, 0, 128),
    "static car": (192, 0, 192),
    "human": (64, 64, 0),
}


def matches(location):
    """Whether there are several sequences seq1/Images, seq2/Images with masks beside them."""
    return any(FOLDER.fullmatch(pair.images) for pair in parallel.find(location.tree))


def read(location, annotation):
    """The eight classes for segmentation, and the images for colorization."""
    reading = Reading(location.tree, class_names=tuple(COLORS), palette=tuple(COLORS.values()))
    reading.colors = {color: index for index, color in enumerate(COLORS.values())}
    reading.summary = f"{TITLE}: {len(COLORS)} classes by color, "
    parallel.fill(reading, parallel.find(location.tree), location.file, annotation)
    return reading
