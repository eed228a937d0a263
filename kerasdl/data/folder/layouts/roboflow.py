"""Roboflow, "Semantic Segmentation Masks": `train/x.jpg`, `train/x_mask.png`, `_classes.csv`.

`_classes.csv` in each split folder names the classes by their values: lines "0, background".
"""

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, pairing
from kerasdl.data.folder.layouts.splits import SPLIT_NAMES

TITLE = "Roboflow semantic masks"
FILE = "_classes.csv"
COLUMNS = {"Pixel Value", "Class"}


def matches(location):
    """Whether there is a `_classes.csv` of pixel values."""
    found = _documents(location.tree)
    return bool(found) and "pixel value" in common.head(location.tree, found[0]).lower()


def read(location, annotation):
    """Masks beside the images for segmentation, and the images for colorization."""
    reading = Reading(location.tree)
    for document in _documents(location.tree):
        folder = document.rpartition("/")[0]
        split = SPLIT_NAMES.get(folder.rsplit("/", 1)[-1].lower(), UNDIVIDED)
        masks = pairing.by_key(reading, folder, "_mask")
        drawn = set(masks.values())
        images = {
            key: name for key, name in pairing.by_key(reading, folder).items() if name not in drawn
        }
        names = _names(reading, document)
        if reading.class_names and names != reading.class_names:
            reading.error("other classes than in the other splits", document, "export again")
        reading.class_names = reading.class_names or names
        if annotation == "mask":
            entries = pairing.join(reading, images, masks, folder, folder)
        else:
            entries = [reading.entry(name) for name in images.values()]
        reading.splits[split] = entries
    reading.summary = (
        f"{TITLE}: {len(reading.class_names)} classes by _classes.csv, "
        f"{common.splits_of(reading.splits)}"
    )
    return reading


def _documents(tree):
    return [name for name in tree.documents if name.rsplit("/", 1)[-1] == FILE]


def _names(reading, document):
    """Names of the values 0, 1, 2, ...; empty, with an error, if they are others."""
    try:
        rows = common.read_table(reading, document)
    except DataError as error:
        reading.error(error.what, document, error.fix)
        return ()
    if set(rows[0]) != COLUMNS:
        reading.error("columns are not 'Pixel Value' and 'Class'", document, "export again")
        return ()
    values = [row["Pixel Value"] for row in rows]
    if values != [str(index) for index in range(len(rows))]:
        reading.error("pixel values are not 0, 1, 2, ...", document, "export again")
        return ()
    return tuple(row["Class"] for row in rows)
