"""ISIC skin lesions: the segmentation tasks of 2018, 2017 and 2016 as published.

    ISIC2018_Task1-2_Training_Input      ISIC2018_Task1_Training_GroundTruth/*_segmentation.png
    ISIC-2017_Training_Data              ISIC-2017_Training_Part1_GroundTruth/*_segmentation.png
    ISBI2016_ISIC_Part1_Training_Data    ISBI2016_ISIC_Part1_Training_GroundTruth/*_Segmentation.png

likewise Validation and Test. The superpixels (`*_superpixels.png`) of 2017 are no images.
"""

import re

from kerasdl.data.folder.layouts import Reading, common, pairing

TITLE = "ISIC"
IMAGES = re.compile(
    r"(?P<year>ISIC2018_Task1-2|ISIC-2017|ISBI2016_ISIC_Part1)_"
    r"(?P<split>Training|Validation|Test(_v2)?)_(Input|Data)$"
)
TRUTHS = {
    "ISIC2018_Task1-2": "ISIC2018_Task1_{}_GroundTruth",
    "ISIC-2017": "ISIC-2017_{}_Part1_GroundTruth",
    "ISBI2016_ISIC_Part1": "ISBI2016_ISIC_Part1_{}_GroundTruth",
}
ENDINGS = ("_segmentation", "_Segmentation")
SPLITS = {"Training": "train", "Validation": "validation", "Test": "test", "Test_v2": "test"}


def matches(location):
    """Whether there is a folder of training images under its published name."""
    tree = location.tree
    return any(found["split"] == "Training" for _, found in _folders(tree))


def read(location, annotation):
    """Lesions for segmentation, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    for folder, found in _folders(tree):
        split = SPLITS[found["split"]]
        if split in reading.splits:
            what = f"two folders for the {split} split, of two years"
            reading.error(what, folder, "move the years into folders of their own")
            continue
        truth = TRUTHS[found["year"]].format(found["split"])
        ending = next((ending for ending in ENDINGS if _ends(tree, truth, ending)), None)
        if annotation == "none":
            reading.splits[split] = [
                reading.entry(f"{folder}/{name}")
                for name in tree.below(folder)
                if not pairing.stem(name).endswith("_superpixels")
            ]
        elif ending:
            reading.splits[split] = _pairs(reading, folder, truth, ending)
        elif split == "train":
            reading.error("no masks for the training images", folder, f"add {truth}/")
        else:
            common.unserved_test(reading, folder)
    years = sorted({found["year"].split("_")[0] for _, found in _folders(tree)})
    reading.class_names = ("background", "lesion")
    reading.summary = (
        f"{TITLE} segmentation ({', '.join(years)}): 2 classes, {common.splits_of(reading.splits)}"
    )
    return reading


def _folders(tree):
    found = ((name, IMAGES.match(name)) for name in tree.children(""))
    return [(name, match) for name, match in found if match and tree.count(name)]


def _ends(tree, folder, ending):
    return any(pairing.stem(name).endswith(ending) for name in tree.below(folder))


def _pairs(reading, folder, truth, ending):
    # By the file's own name: copies of the set have a further folder of the same name within.
    images = {
        key.rsplit("/", 1)[-1]: name
        for key, name in pairing.by_key(reading, folder).items()
        if not key.endswith("_superpixels")
    }
    found = pairing.by_key(reading, truth, ending)
    masks = {key.rsplit("/", 1)[-1]: name for key, name in found.items()}
    entries = pairing.join(reading, images, masks, folder, truth)
    return common.black_and_white(reading, entries)
