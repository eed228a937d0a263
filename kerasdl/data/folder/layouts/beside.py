"""Masks beside their images, in the same folder: `x.png` + `x_mask.png`.

BUSI (`benign/benign (1).png`, `benign (1)_mask.png`; further masks `_mask_1.png` of the same image
are drawn over each other), LGG (`TCGA_.../x.tif`, `x_mask.tif`) and any other set of that form:
names that end in one of `ENDINGS`, or `a.jpg` + `a.jpg.png`. For classification the masks are left
out and the folders are the classes.
"""

import re

from kerasdl.data.folder.layouts import UNDIVIDED, Reading, classes, common, pairing, splits
from kerasdl.data.inspect.findings import counted, listing

ENDINGS = ("_mask", "-mask", ".mask", "_gt", "_label", "_segmentation", "_seg")
# A quick look at all names: x_mask.png, x_mask_1.png, x.jpg.png
LIKELY = re.compile(r"([_.-]mask|_gt|_label|_segmentation|_seg)(_\d+)?\.\w+$|\.\w{3,4}\.png$")
FURTHER = re.compile(r"_\d+$")
SETS = (  # title, classes, and the form of the names that tell the set
    ("BUSI", ("background", "lesion"), re.compile(r"(.*/)?(benign|malignant|normal) \(\d+\)$")),
    ("LGG", ("background", "tumor"), re.compile(r"(.*/)?TCGA_\w+_\d+$")),
)


def matches(location):
    """Whether every file that is named as a mask has its image beside it, and most images one."""
    tree = location.tree
    if not any(map(LIKELY.search, tree.images)):
        return False
    images, masks = _assigned(tree)
    enough = bool(masks) and 2 * len(masks) >= len(images) and masks.keys() <= images.keys()
    return enough and not any(_in_mask_folder(tree, name) for name in map(images.get, masks))


def read(location, annotation):
    """Masks for segmentation; the images alone for the other tasks."""
    tree = location.tree
    images, masks = _assigned(tree)
    drawn = {file for files in masks.values() for file in files}
    reading = Reading(common.without(tree, drawn))
    title, names = next(
        (entry[:2] for entry in SETS if all(map(entry[2].match, images))),
        ("masks beside the images", ()),
    )
    if annotation == "mask":
        _add_masks(reading, images, masks, names)
        reading.summary = f"{title}: {len(reading.class_names) or 'unnamed'} classes, no splits"
        if any(len(files) > 1 for files in masks.values()):
            reading.summary += ", several masks of one image drawn over each other"
        return reading
    folders = splits.split_folders(reading, location.file, annotation)
    if annotation == "label":
        classes.add_classes(reading, location.file, folders)
    else:
        common.images_only(reading, folders)
    reading.summary = f"{title}: {counted(len(drawn), 'mask')} left out"
    return reading


def _add_masks(reading, images, masks, names):
    """Fills in images with their masks; those of known sets are black and white."""
    alone = [file for key, file in images.items() if key not in masks]
    if alone:
        reading.error(
            f"{counted(len(alone), 'image')} without a mask: {pairing.stems(alone)}",
            alone[0],
            "add the masks beside them, or remove the images",
            skippable=True,
        )
    several = _several(masks)
    if several:
        lines = " or ".join(f'mask_suffix = "{ending}"' for ending in several)
        what = f"images with more than one mask, whose names end in {listing(several)}"
        reading.error(what, "", f"put into dataset.toml: {lines}")
        return
    black_and_white = names or any(len(files) > 1 for files in masks.values())
    if black_and_white:
        reading.class_names = names or ("background", "foreground")
    reading.splits[UNDIVIDED] = [
        reading.entry(
            images[key],
            mask=common.FileMask(reading.tree.base, *files) if black_and_white else files[0],
        )
        for key, files in sorted(masks.items())
        if key in images
    ]


def _several(masks):
    """The endings of masks of one image, if there are several: x_mask and x_gt, not x_mask_1."""
    for key, files in masks.items():
        found = {FURTHER.sub("", pairing.stem(name).removeprefix(key)) for name in files}
        if len(found) > 1:
            return sorted(found)
    return []


def _in_mask_folder(tree, name):
    """Whether a file lies in a folder of masks beside others: x.png + x_gt.png are both masks."""
    above, _, folder = name.rpartition("/")[0].rpartition("/")
    return splits.is_mask_folder(folder) and len(tree.children(above)) > 1


def _assigned(tree):
    """Image per name without suffix, and the mask files per name of their image."""
    stems = {pairing.stem(name): name for name in tree.images}
    files = set(tree.images)
    images, masks = {}, {}
    for stem, name in stems.items():
        key = pairing.stem(stem) if stem in files else _image_of(stem, stems)
        if key is None:
            images[stem] = name
        else:
            masks.setdefault(key, []).append(name)
    return images, masks


def _image_of(stem, stems):
    """The name of a mask's image, without suffix; None if the file is no mask."""
    for ending in ENDINGS:
        if stem.endswith(ending):
            return stem[: -len(ending)]
        plain = FURTHER.sub("", stem)
        if plain.endswith(ending) and plain[: -len(ending)] in stems:
            return plain[: -len(ending)]
    return None
