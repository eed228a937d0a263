"""The form of the SegNet tutorial: `train/` + `trainannot/`, `val/` + `valannot/`, ...

The best known set of that form is CamVid with 11 classes and void as 11; it is told by the names of
its frames. Sets of the same form with other frames have the classes that classes.txt names.
"""

import re

from kerasdl.data.folder.layouts import Reading, pairing

ENDING = "annot"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
CAMVID_FRAME = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_f?\d+\.\w+$")
CAMVID = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Pole": (192, 192, 128),
    "Road": (128, 64, 128),
    "Pavement": (60, 40, 222),
    "Tree": (128, 128, 0),
    "SignSymbol": (192, 128, 128),
    "Fence": (64, 64, 128),
    "Car": (64, 0, 128),
    "Pedestrian": (64, 64, 0),
    "Bicyclist": (0, 128, 192),
}


def matches(location):
    """Whether there are `train/` and `trainannot/`."""
    return bool(location.tree.count("train") and location.tree.count("train" + ENDING))


def read(location, annotation):
    """Images and the masks of the same names."""
    tree = location.tree
    reading = Reading(tree)
    for folder, split in SPLITS.items():
        if tree.count(folder):
            reading.splits[split] = pairing.pairs(reading, folder, folder + ENDING)
    if all(CAMVID_FRAME.match(name) for name in tree.below("train")):
        reading.class_names = tuple(CAMVID)
        reading.palette = tuple(CAMVID.values())
        reading.ignore = (len(CAMVID),)
        reading.summary = "CamVid as SegNet has it: 11 classes, 11 (void) ignored"
    else:
        reading.summary = "images and masks as SegNet has them"
    reading.summary += f", splits from {', '.join(f + '/' for f in SPLITS if tree.count(f))}"
    return reading
