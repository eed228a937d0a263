"""LoveDA: `Train/Rural/images_png/0.png`, `Train/Rural/masks_png/0.png`, likewise Urban, Val, Test.

Masks hold 0 for no data (ignored) and 1 to 7 for the classes. Test has no masks.
"""

import re

from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.folder.layouts import Reading, parallel

TITLE = "LoveDA"
FOLDER = re.compile(r"(.*/)?(Rural|Urban)/images_png")
NAMES = ("background", "building", "road", "water", "barren", "forest", "agriculture")


def matches(location):
    """Whether there are folders Rural/images_png or Urban/images_png with masks beside them."""
    return any(FOLDER.fullmatch(pair.images) for pair in parallel.find(location.tree))


def read(location, annotation):
    """The seven classes for segmentation, and the images for colorization."""
    reading = Reading(location.tree, class_names=NAMES)
    reading.values = {0: IGNORE, **{index + 1: index for index in range(len(NAMES))}}
    reading.summary = f"{TITLE}: {len(NAMES)} classes, 0 (no data) ignored, "
    parallel.fill(reading, parallel.find(location.tree), location.file, annotation)
    return reading
