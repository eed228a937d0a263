"""Pascal VOC: `JPEGImages/`, `SegmentationClass/`, `ImageSets/Segmentation/*.txt`.

Palette PNG with the class index, 255 on the borders of objects. The lists train.txt and val.txt
(and test.txt, where its masks are there) are the splits; without train.txt, trainaug.txt (of the
Semantic Boundaries Dataset, masks in SegmentationClassAug) or trainval.txt trains.
`SegmentationObject/` numbers instances and is never read. A `labelmap.txt`, as CVAT exports it,
names other classes and their colors; so does `class_names.txt` of LabelMe, without colors.
"""

from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, pairing
from kerasdl.data.folder.masks import default_palette

TITLE = "Pascal VOC"
NAMES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse "
    "motorbike person pottedplant sheep sofa train tvmonitor"
).split()
IMAGES, MASKS, AUGMENTED, LISTS = (
    "JPEGImages",
    "SegmentationClass",
    "SegmentationClassAug",
    "ImageSets/Segmentation",
)
BORDER = (224, 224, 192)  # the color of 255
TRAIN_LISTS = ("train", "trainaug", "train_aug")


def matches(location):
    """Whether there are `JPEGImages/` and a folder of class masks."""
    return bool(_bases(location.tree))


def read(location, annotation):
    """Samples of the lists for segmentation, and their images for colorization."""
    reading = Reading(location.tree)
    base = common.one_base(reading, _bases(location.tree), TITLE)
    if base is None:
        return reading
    lists = {
        name.rsplit("/", 1)[1].removesuffix(".txt"): name
        for name in common.documents(location.tree, common.join(base, LISTS), ".txt")
    }
    train = next((name for name in TRAIN_LISTS if name in lists), None)
    masks_at = common.join(base, MASKS)
    if (train or "").endswith("aug") and location.tree.count(common.join(base, AUGMENTED)):
        masks_at = common.join(base, AUGMENTED)
    elif not location.tree.count(masks_at):
        masks_at = common.join(base, AUGMENTED)
    places = common.join(base, IMAGES), masks_at
    images, masks = (pairing.by_key(reading, place) for place in places)
    chosen = {"train": train, "validation": "val", "test": "test"}
    if train is None:
        undivided = next((name for name in ("trainval", "default") if name in lists), None)
        chosen = {UNDIVIDED: undivided} if undivided else {}
    used = []
    for split, name in chosen.items():
        if name not in lists:
            continue
        names = pairing.read_list(reading, lists[name])
        if split == "test" and not any(stem in masks for stem in names):
            common.note(reading, "test images without masks left out", lists[name])
            continue
        wanted = masks if annotation == "mask" else None
        reading.splits[split] = common.listed(reading, lists[name], names, images, wanted, places)
        used.append(f"{name}.txt")
    if not used:
        # Without lists the masks tell which images belong to the set.
        stems = [stem for stem in images if stem in masks]
        reading.splits[UNDIVIDED] = common.listed(reading, "", stems, images, masks, places)
    _add_classes(reading, base)
    splits = f"splits from {LISTS}: {', '.join(used)}" if used else "no lists of splits"
    ignored = ", 255 ignored" if reading.ignore else ""
    reading.summary = f"{TITLE}: {len(reading.class_names)} classes{ignored}, {splits}"
    return reading


def _bases(tree):
    found = [*common.bases(tree, IMAGES, MASKS), *common.bases(tree, IMAGES, AUGMENTED)]
    return sorted(set(found))


def _add_classes(reading, base):
    """The 21 classes, or those of labelmap.txt: lines `name:red,green,blue:parts:actions`.

    LabelMe's conversion lists its own in class_names.txt: __ignore__, _background_, and so on.
    """
    labels, own = (common.join(base, name) for name in ("labelmap.txt", "class_names.txt"))
    if not common.has(reading.tree.documents, labels):
        names = NAMES
        if common.has(reading.tree.documents, own):
            rows = [" ".join(row) for row in common.read_rows(reading, own)]
            names = [name for name in rows if name != "__ignore__"]
        reading.class_names, reading.ignore = tuple(names), (255,)
        # For masks that were converted to RGB; those with a palette are read by index.
        reading.values = {index: index for index in range(len(names))} | {255: IGNORE}
        colors = enumerate(default_palette(len(names)))
        reading.colors = {color: index for index, color in colors} | {BORDER: IGNORE}
        return
    names, colors = [], []
    for row in common.read_rows(reading, labels):
        name, _, rest = " ".join(row).partition(":")
        color = rest.partition(":")[0].split(",")
        if len(color) != 3 or not all(part.isdigit() and int(part) < 256 for part in color):
            fix = "each line is name:red,green,blue::"
            reading.error(f"no color for '{name}'", labels, fix)
            return
        names.append(name)
        colors.append(tuple(int(part) for part in color))
    reading.class_names, reading.palette = tuple(names), tuple(colors)
    reading.colors = {color: index for index, color in enumerate(colors)}
