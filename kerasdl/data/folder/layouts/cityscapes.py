"""Cityscapes: `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`, `gtFine/SPLIT/CITY/*_gtFine_*.png`.

Without `gtFine/` the coarse masks of `gtCoarse/` are read.

`_labelIds` (34 values) become the 19 classes of the benchmark, all others are ignored;
`_labelTrainIds` are taken as they are where there are no `_labelIds`. `_color`, `_instanceIds` and
the polygons are never read. The published masks of the test cities hold nothing but void: they are
left out. Values and colors: cityscapesScripts, helpers/labels.py.
"""

from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.folder.layouts import Reading, common, pairing

TITLE = "Cityscapes"
CLASSES = (  # name, label id, color; the position is the train id
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
LABEL_IDS = 34  # 0 to 33
IMAGES, MASKS = "leftImg8bit", ("gtFine", "gtCoarse")
SPLITS = {"train": "train", "val": "validation", "test": "test"}
TEST_CITIES = {"berlin", "bielefeld", "bonn", "leverkusen", "mainz", "munich"}
ENDINGS = ("_labelIds", "_labelTrainIds")


def matches(location):
    """Whether there are `leftImg8bit/` and `gtFine/` or `gtCoarse/`."""
    return any(common.bases(location.tree, IMAGES, masks) for masks in MASKS)


def read(location, annotation):
    """The 19 classes for segmentation, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    kind = next(masks for masks in MASKS if common.bases(tree, IMAGES, masks))
    base = common.one_base(reading, common.bases(tree, IMAGES, kind), TITLE)
    if base is None:
        return reading
    at = {folder: f"{common.join(base, IMAGES)}/{folder}" for folder in SPLITS}
    folders = {folder: at[folder] for folder in SPLITS if tree.count(at[folder])}
    if annotation == "none":
        common.images_only(reading, {SPLITS[folder]: at for folder, at in folders.items()})
        reading.summary = f"{TITLE}: images of leftImg8bit/{{{','.join(folders)}}}"
        return reading
    labels = common.join(base, kind)
    found = {stem[stem.rfind(f"_{kind}") :] for stem in map(pairing.stem, tree.below(labels))}
    ending = next((f"_{kind}{e}" for e in ENDINGS if f"_{kind}{e}" in found), None)
    if ending is None:
        fix = f"extract {kind}_trainvaltest.zip, or if these are other data, put into dataset.toml:"
        fix += f' images = "{common.join(base, IMAGES)}", masks = "{labels}", image_suffix = '
        fix += '"_leftImg8bit" and ' + " or ".join(f'mask_suffix = "{e}"' for e in sorted(found))
        reading.error(f"no _{kind}_labelIds.png among the masks", labels, fix)
        return reading
    if "test" in folders and set(tree.children(folders["test"])) <= TEST_CITIES:
        common.note(reading, "masks of the test cities are empty, left out", folders.pop("test"))
    for folder, images in folders.items():
        masks = f"{labels}/{folder}"
        if tree.count(masks):
            reading.splits[SPLITS[folder]] = pairing.pairs(
                reading, images, masks, "_leftImg8bit", ending
            )
        else:
            common.unserved_test(reading, images)
    reading.class_names = tuple(name for name, _, _ in CLASSES)
    reading.palette = tuple(color for _, _, color in CLASSES)
    if ending.endswith(ENDINGS[0]):
        ids = {label: index for index, (_, label, _) in enumerate(CLASSES)}
        reading.values = {value: ids.get(value, IGNORE) for value in range(LABEL_IDS)}
        how = "labelIds -> 19 classes, void ignored"
    else:
        reading.ignore = (255,)
        how = "labelTrainIds: 19 classes, 255 ignored"
    reading.summary = f"{TITLE}: {how}, splits from {kind}/{{{','.join(folders)}}}"
    return reading
