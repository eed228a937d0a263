"""Oxford-IIIT Pet: `images/`, `annotations/trimaps/`, `annotations/{list,trainval,test}.txt`.

Trimaps hold 1 for the pet, 2 for the background and 3 for the border ("not classified"), which
become the classes 0 to 2, as for `tfds:oxford_iiit_pet`. The lists name the breed (37 classes) for
classification.
"""

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, pairing

TITLE = "Oxford-IIIT Pet"
LISTS = {"train": "trainval.txt", "test": "test.txt"}
TRIMAPS = "annotations/trimaps"
SIGNS = tuple(f"annotations/{name}" for name in ("list.txt", *LISTS.values()))


def matches(location):
    """Whether there are `images/` and `annotations/trimaps/`, or the lists of the set."""
    return bool(_bases(location.tree))


def read(location, annotation):
    """Breeds for classification; pet, background and border for segmentation."""
    tree = location.tree
    reading = Reading(tree)
    base = common.one_base(reading, _bases(tree), TITLE)
    if base is None:
        return reading
    places = common.join(base, "images"), common.join(base, TRIMAPS)
    images = pairing.by_key(reading, places[0])
    masks = pairing.by_key(reading, places[1]) if annotation == "mask" else None
    at = common.join(base, "annotations")
    lists = {
        split: f"{at}/{name}"
        for split, name in LISTS.items()
        if common.has(tree.documents, f"{at}/{name}")
    }
    if "train" not in lists:
        lists = {UNDIVIDED: f"{at}/list.txt"}
    breeds = {}
    for split, name in lists.items():
        rows = common.read_rows(reading, name)
        stems = [row[0] for row in rows]
        entries = common.listed(reading, name, stems, images, masks, places)
        if annotation == "label":
            try:
                _add_breeds(entries, rows, breeds, images)
            except DataError as error:
                reading.error(error.what, name, error.fix)
        reading.splits[split] = entries
    reading.summary = f"{TITLE}: "
    if annotation == "label":
        reading.class_names = tuple(breeds[label] for label in sorted(breeds))
        reading.summary += f"{len(breeds)} breeds, "
    elif annotation == "mask":
        reading.class_names = ("pet", "background", "border")
        reading.values = {1: 0, 2: 1, 3: 2}
        reading.summary += "1 = pet, 2 = background, 3 = border, "
    used = (name.rsplit("/", 1)[1] for name in lists.values())
    reading.summary += f"splits from annotations: {', '.join(used)}"
    return reading


def _bases(tree):
    with_lists = [
        base
        for base in common.bases(tree, "images", "annotations")
        if all(common.has(tree.documents, common.join(base, name)) for name in SIGNS)
    ]
    return sorted({*common.bases(tree, "images", TRIMAPS), *with_lists})


def _add_breeds(entries, rows, breeds, images):
    """Sets the labels from rows "Abyssinian_100 1 1 1": name, class from 1, species, breed."""
    labels = {}
    for row in rows:
        if len(row) < 2 or not row[1].isdigit() or row[1] == "0":
            raise DataError(
                f"line '{' '.join(row)}' names no class", fix="lines are: name class species breed"
            )
        label, breed = int(row[1]) - 1, row[0].rpartition("_")[0]
        if breeds.setdefault(label, breed) != breed:
            raise DataError(
                f"class {row[1]} is '{breeds[label]}' and '{breed}'", fix="correct the list"
            )
        labels[row[0]] = label
    by_file = {images[name]: label for name, label in labels.items() if name in images}
    for entry in entries:
        entry.label = by_file[entry.file]
