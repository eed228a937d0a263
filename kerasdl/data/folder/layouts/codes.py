"""CamVid as fast.ai has it: `images/x.png`, `labels/x_P.png` and `codes.txt`.

The masks hold the line numbers of `codes.txt`, from 0; the line Void is ignored. `valid.txt`, where
it is there, lists the validation images.
"""

from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, annotated, common, pairing

TITLE = "CamVid of fast.ai"
IMAGES, MASKS, CODES, VALID = "images", "labels", "codes.txt", "valid.txt"


def matches(location):
    """Whether there are the folders, `codes.txt`, and masks that end in _P."""
    tree = location.tree
    masks = tree.below(MASKS)
    return bool(
        tree.count(IMAGES)
        and masks
        and common.has(tree.documents, CODES)
        and all(pairing.stem(name).endswith("_P") for name in masks)
    )


def read(location, annotation):
    """Classes by the lines of codes.txt, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    if annotation == "mask":
        entries = pairing.pairs(reading, IMAGES, MASKS, mask_suffix="_P")
    else:
        entries = [reading.entry(f"{IMAGES}/{name}") for name in tree.below(IMAGES)]
    if common.has(tree.documents, VALID):
        listed = set(pairing.read_list(reading, VALID))
        chosen = {f"{IMAGES}/{name}" for name in listed}
        missing = [name for name in listed if not common.has(tree.images, f"{IMAGES}/{name}")]
        annotated.report_missing(reading, VALID, sorted(missing))
        reading.splits["train"] = [entry for entry in entries if entry.file not in chosen]
        reading.splits["validation"] = [entry for entry in entries if entry.file in chosen]
    else:
        reading.splits[UNDIVIDED] = entries
    names = [" ".join(row) for row in common.read_rows(reading, CODES)]
    void = [value for value, name in enumerate(names) if annotated.is_void(name)]
    kept = [value for value in range(len(names)) if value not in void]
    reading.class_names = tuple(names[value] for value in kept)
    reading.values = {value: index for index, value in enumerate(kept)}
    reading.values |= dict.fromkeys(void, IGNORE)
    ignored = "Void ignored" if void else "nothing ignored"
    reading.summary = (
        f"{TITLE}: {len(kept)} classes of codes.txt, {ignored}, {common.splits_of(reading.splits)}"
    )
    return reading
