"""DRIVE: `training/` and `test/`, each with `images/`, `1st_manual/` and `mask/`.

The vessels are in `1st_manual/` (`21_manual1.gif` belongs to `21_training.tif`). `mask/` holds the
field of view and is never read, nor is `2nd_manual/`, the second observer of the test images.
"""

from kerasdl.data.folder.layouts import Reading, common, pairing

TITLE = "DRIVE"
VESSELS, SECOND = "1st_manual", "2nd_manual"
SPLITS = {"training": "train", "test": "test"}


def matches(location):
    """Whether there are `training/images/` and `training/1st_manual/`."""
    return bool(common.bases(location.tree, "training/images", f"training/{VESSELS}"))


def read(location, annotation):
    """Vessels for segmentation, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    found = common.bases(tree, "training/images", f"training/{VESSELS}")
    base = common.one_base(reading, found, TITLE)
    if base is None:
        return reading
    for folder, split in SPLITS.items():
        at = common.join(base, folder)
        if annotation == "none":
            common.images_only(reading, {split: f"{at}/images"})
        elif tree.count(f"{at}/{VESSELS}"):
            images = pairing.by_key(reading, f"{at}/images", f"_{folder}")
            masks = pairing.by_key(reading, f"{at}/{VESSELS}", "_manual1")
            entries = pairing.join(reading, images, masks, f"{at}/images", f"{at}/{VESSELS}")
            reading.splits[split] = common.black_and_white(reading, entries)
        elif tree.count(f"{at}/images"):
            common.unserved_test(reading, f"{at}/images")
        if tree.count(f"{at}/{SECOND}"):
            common.note(reading, "masks of the second observer not read", f"{at}/{SECOND}")
    reading.class_names = ("background", "vessel")
    reading.summary = (
        f"{TITLE}: 2 classes, vessels from 1st_manual (mask/ is the field of view), "
        f"{common.splits_of(reading.splits)}"
    )
    return reading
