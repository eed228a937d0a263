"""Sets whose `class_dict.csv` names the colors of their masks: lines "name,r,g,b".

CamVid of Kaggle (`train/x.png`, `train_labels/x_L.png`, likewise val and test) and DeepGlobe land
cover (`train/x_sat.jpg` + `train/x_mask.png`), or any folders of images and masks with such a
table. Classes called void, unlabeled or unknown are ignored.
"""

from kerasdl.core.errors import DataError
from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.folder.layouts import Reading, annotated, common, pairing, splits

TITLE = "color masks with a class_dict.csv"
FILES = ("class_dict.csv", "class_dict_seg.csv")
COLORS = ("r", "g", "b")
FORMS = (("", ""), ("", "_L"), ("_sat", "_mask"), ("", "_mask"))  # endings of image and mask


def matches(location):
    """Whether there are the table and folders of images and masks."""
    return bool(_table(location.tree)) and bool(_folders(location))


def read(location, annotation):
    """Classes by the colors of the table, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    for split, (images, masks, ending, mask_ending) in _folders(location).items():
        if annotation == "mask":
            reading.splits[split] = pairing.pairs(reading, images, masks, ending, mask_ending)
        else:
            found = pairing.by_key(reading, images, ending).values()
            reading.splits[split] = [reading.entry(name) for name in found]
    table = _table(tree)
    try:
        colors = _colors(reading, table)
    except DataError as error:
        reading.error(error.what, table, error.fix)
        return reading
    names = [name for name in colors if not _is_void(name)]
    reading.class_names = tuple(names)
    reading.palette = tuple(colors[name] for name in names)
    reading.colors = {
        color: IGNORE if _is_void(name) else names.index(name) for name, color in colors.items()
    }
    void = ", ".join(name for name in colors if _is_void(name))
    reading.summary = (
        f"{TITLE}: {len(names)} classes, {f'{void} ignored' if void else 'nothing ignored'}, "
        f"{common.splits_of(reading.splits)}"
    )
    return reading


def _is_void(name):
    return annotated.is_void(name) or name.casefold() == "unknown"


def _table(tree):
    return next((name for name in FILES if common.has(tree.documents, name)), None)


def _folders(location):
    """Folder of images, folder of masks and the endings of their names, per split."""
    tree = location.tree
    found = {}
    for split, folder in splits.split_folders(Reading(tree), location.file, "mask").items():
        masks_at = splits.mask_folder(tree, folder) or folder
        images, masks = (
            {pairing.stem(name) for name in tree.below(place)} for place in (folder, masks_at)
        )
        for ending, mask_ending in FORMS[masks_at == folder and 2 :]:
            keys = {stem.removesuffix(ending) for stem in images if stem.endswith(ending)}
            drawn = {name.removesuffix(mask_ending) for name in masks if name.endswith(mask_ending)}
            if keys & drawn:
                found[split] = folder, masks_at, ending, mask_ending
                break
    return found


def _colors(reading, table):
    """Color per class name. Raises DataError if the table has another form."""
    colors = {}
    for row in common.read_table(reading, table):
        name = row.get("name", row.get("class_name", row.get("class", "")))
        values = [row.get(key, "") for key in COLORS]
        if not name or not all(value.isdigit() and int(value) < 256 for value in values):
            raise DataError("lines are not a name and r, g, b", fix="name,r,g,b in the first line")
        colors[name] = tuple(int(value) for value in values)
    return colors
