"""ADE20K in full (ADE20K_2021_17_01): `images/ADE/training/.../x.jpg`, `x_seg.png` beside it.

Its masks hold over 3000 classes, as R / 10 * 256 + G of their colors: more than a mask can have
here. It is recognized so that the user is told of the 150 classes of the benchmark.
"""

import re

from kerasdl.data.folder.layouts import Reading

TITLE = "ADE20K, full"
MASKS = "_seg.png"
MASK = re.compile(r"(.*/)?ADE_(train|val|frame)_\d{8}_seg\.png$")
IMAGE = re.compile(r"(.*/)?ADE_(train|val|frame)_\d{8}\.jpg$")
SPLITS = {"train": "train", "val": "validation", "frame": "train"}


def matches(location):
    """Whether there are masks such as ADE_train_00000001_seg.png."""
    return any(name.endswith(MASKS) and MASK.match(name) for name in location.tree.images)


def read(location, annotation):
    """The images for colorization; for segmentation the way to the benchmark."""
    reading = Reading(location.tree)
    for name in location.tree.images:
        if found := IMAGE.match(name):
            reading.splits.setdefault(SPLITS[found[2]], []).append(reading.entry(name))
    reading.summary = f"{TITLE}: masks of over 3000 classes"
    if annotation == "mask":
        reading.error(
            f"{TITLE}: the masks (*_seg.png) hold over 3000 classes, at most 255 are possible",
            "",
            "use the scene parsing benchmark with 150 classes, ADEChallengeData2016",
        )
    return reading
