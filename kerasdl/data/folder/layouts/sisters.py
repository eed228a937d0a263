"""Folders of images and masks whose masks are named after the image: `1.jpg` + `mask_1.png`,
`a.jpg` + `a.jpg.png`.

The folders are those of plain folders (`images/` + `masks/`, with splits or without). Masks of the
same name as their image, or with an ending such as `_mask`, are read by `folders`.
"""

import re

from kerasdl.data.folder.layouts import Reading, common, pairing, splits

TITLE = "images and masks named after them"
PREFIX = re.compile(r"(.*/)?(mask|masks|gt|label|seg)[_-]([^/]+)$")


def matches(location):
    """Whether all masks of all splits are named so, and none as its image is."""
    tree, file = location.tree, location.file
    folders = splits.split_folders(Reading(tree), file, "mask")
    places = [(folder, splits.mask_folder(tree, folder)) for folder in folders.values()]
    return bool(places) and all(
        at is not None and _are_so(tree, at, folder) for folder, at in places
    )


def read(location, annotation):
    """Masks for segmentation, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    folders = splits.split_folders(reading, location.file, "mask")
    reading.summary = f"{TITLE} (mask_x.png or x.jpg.png), {common.splits_of(folders)}"
    if annotation == "none":
        common.images_only(reading, folders)
        return reading
    for split, folder in folders.items():
        masks_at = splits.mask_folder(tree, folder)
        if masks_at is None:
            reading.error("no masks for the images", folder, f"add the folder to that of {split}")
            continue
        images = pairing.by_key(reading, folder)
        full = set(tree.below(folder))
        masks = {
            _image_of(key, full) or key: name
            for key, name in pairing.by_key(reading, masks_at).items()
        }
        reading.splits[split] = pairing.join(reading, images, masks, folder, masks_at)
    return reading


def _are_so(tree, masks_at, folder):
    masks = [pairing.stem(name) for name in tree.below(masks_at)]
    full = set(tree.below(folder))
    if not masks or _image_of(masks[0], full) is None:
        return False
    stems = {pairing.stem(name) for name in full}
    return all(name not in stems and _image_of(name, full) in stems for name in masks)


def _image_of(stem, full):
    """Stem of a mask's image, from its own stem and the names of all images; None if unknown."""
    if stem in full:
        return pairing.stem(stem)
    found = PREFIX.match(stem)
    return (found[1] or "") + found[3] if found else None
