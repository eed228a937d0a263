"""Plain folders, the layout of data that no other module of this package recognizes.

    label   CLASS/*, or SPLIT/CLASS/*
    mask    images/* + masks/*; images/SPLIT/* + masks/SPLIT/*; SPLIT/images/* + SPLIT/masks/*;
            SPLIT/* + SPLITannot/*: same name, any suffix
    none    images anywhere; split folders as above, masks are left out

SPLIT is train, val (or validation, valid, dev) or test.
"""

from kerasdl.data.folder.layouts import Reading, classes, pairing
from kerasdl.data.folder.layouts.splits import MASK_FOLDERS, mask_folder, split_folders
from kerasdl.data.inspect.findings import listing

MASK_NAME_ENDINGS = ("_mask", "-mask", "_masks", "_label", "_labels", "_labelIds", "_gt", "_L")
EXPECTED = {
    "label": classes.EXPECTED,
    "mask": "expected images/ and masks/ with files of the same names, or images/train + "
    "masks/train, or train/ + trainannot/",
    "none": "expected color images (jpg, png, webp, ...)",
}


def read(location, annotation):
    """Class folders, images with masks, or images alone, by the annotation wanted."""
    reading = Reading(location.tree)
    folders = split_folders(reading, location.file, annotation)
    if annotation == "label":
        classes.add_classes(reading, location.file, folders)
    elif annotation == "mask":
        _add_pairs(reading, folders)
    else:
        for split, folder in folders.items():
            prefix = folder + "/" if folder else ""
            names = reading.tree.below(folder)
            reading.splits[split] = [reading.entry(prefix + name) for name in names]
    return reading


def annotations(location):
    """What the folder seems to hold: masks, labels or images alone, the most telling first."""
    tree, file = location.tree, location.file
    folders = split_folders(Reading(tree), file, "mask")
    if any(mask_folder(tree, folder) for folder in folders.values()):
        return ("mask", "none")
    return ("label", "none") if tree.children("") else ("none",)


def _add_pairs(reading, folders):
    """An image and the mask of the same name."""
    tree = reading.tree
    for split, folder in folders.items():
        masks_at = mask_folder(tree, folder)
        if masks_at is None:
            fix = EXPECTED["mask"]
            if any(folder_name in MASK_FOLDERS for folder_name in tree.children("")):
                fix += f"; the mask folder holds no images but {kinds(tree.others)}"
            reading.error("no masks for the images", folder, fix)
            continue
        images = pairing.by_key(reading, folder)
        masks = pairing.by_key(reading, masks_at)
        for stem in [stem for stem in masks if stem not in images]:
            ending = next((e for e in MASK_NAME_ENDINGS if stem.endswith(e)), None)
            plain = stem.removesuffix(ending) if ending else stem
            if plain in images and plain not in masks:
                masks[plain] = masks.pop(stem)
        reading.splits[split] = pairing.join(reading, images, masks, folder, masks_at)


def kinds(others):
    """Other files by suffix as text, such as "3 .txt, 1 .csv"."""
    return listing(
        f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common()
    )
