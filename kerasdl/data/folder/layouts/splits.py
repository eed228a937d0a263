"""Split folders by their usual names: train, val (validation, valid, dev), test."""

import re

from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.folder.layouts import UNDIVIDED, Reading
from kerasdl.data.inspect.findings import counted, listing

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
# Names of folders that say "masks".
MASK_FOLDER = re.compile(
    r"(?:^|[^a-z])(?:masks?|labels?|annotations?|anno|gt|gtfine|gtcoarse|ground.?truths?|trimaps?"
    r"|segmentations?|segmentationclass\w*|segmentationobject|png_?masks?)(?:[^a-z]|$)"
    r"|^seg$|groundtruth|annot$|masks?$|labels?$"
)
IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "annotations", "annotation")
MASK_FOLDER_ENDINGS = ("annot", "_annot", "_masks", "_mask", "_labels", "masks", "_annotations")


def is_mask_folder(name: str) -> bool:
    """Whether the name of a folder says that it holds masks."""
    return bool(MASK_FOLDER.search(name.lower()))


def split_of(name: str) -> str | None:
    """The split that the name of a folder says: "train", "seg_train", "test_set", "train2017"."""
    words = [SPLIT_NAMES.get(word) for word in re.split(r"[^a-z]+", name.lower())]
    named = set(filter(None, words))
    return named.pop() if len(named) == 1 else None


def split_folders(reading: Reading, file, annotation: str) -> dict[str, str]:
    """Folder of images, relative to the root, per split."""
    tree = reading.tree
    if file.folders:
        return _named_folders(reading, file)
    base = file.images
    if not base:
        base = _class_root(tree) if annotation == "label" else _image_folder(tree)
    folders, unused = {}, []
    names = tree.children(base)
    if annotation == "label" and file.names:
        if {name for name in names if tree.count(f"{base}/{name}" if base else name)} <= {
            *file.names
        }:
            return {UNDIVIDED: base}  # classes, even if one is called "train"
    splits = {name: SPLIT_NAMES.get(name.lower()) for name in names}
    if not any(splits.values()):
        # seg_train and seg_test, training_set and test_set, but not one class of that name.
        loose = {name: split_of(name) for name in names if not is_mask_folder(name)}
        found = [split for split in loose.values() if split]
        if "train" in found and len(set(found)) == len(found) > 1:
            splits.update(loose)
    for name, split in splits.items():
        folder = f"{base}/{name}" if base else name
        if split is None:
            unused += [folder] if tree.count(folder) else []
        elif not tree.count(folder):
            what = f"split folder without images, taken as if there were no {split} folder"
            reading.warn(what, folder, "fill or remove it")
        elif split in folders:
            what = f"two folders for the {split} split: {folders[split]} and {folder}"
            reading.error(what, "", "rename or remove one of them")
        else:
            folders[split] = folder
    if "train" not in folders:
        if folders and not unused:
            reading.error(
                "no training images, only " + listing(folders.values()),
                base,
                "add a folder train/, or put all images into one folder to have it split",
            )
        return {UNDIVIDED: base}
    _warn_unused(reading, base, folders, unused)
    for split, folder in folders.items():
        if annotation == "label":
            folders[split] = _descended(tree, folder, split)
        else:
            inner = [name for name in tree.children(folder) if name.lower() in IMAGE_FOLDERS]
            folders[split] = f"{folder}/{inner[0]}" if inner else folder
    return folders


def _class_root(tree):
    """The only folder, of a usual name, that holds folders of images; "" if there is none."""
    names = [name for name in tree.children("") if tree.count(name)]
    if len(names) != 1 or names[0].lower() not in IMAGE_FOLDERS:
        return ""
    loose = tree.within("") or tree.within(names[0])
    inner = tree.children(names[0])
    branches = len(inner) > 1 or any(name.lower() in SPLIT_NAMES for name in inner)
    return names[0] if branches and not loose else ""


def _image_folder(tree):
    """The folder of images beside one of masks; "" where nothing tells.

    It has a usual name, or is the only one whose name does not say "masks".
    """
    names = [name for name in tree.children("") if tree.count(name)]
    usual = [name for name in names if name.lower() in IMAGE_FOLDERS]
    if usual:
        return usual[0]
    others = [name for name in names if not is_mask_folder(name)]
    alone = len(others) == 1 and len(names) > 1 and not tree.within("")
    return others[0] if alone and split_of(others[0]) is None else ""


def _descended(tree, folder, split):
    """The folder within a split folder that holds the classes: seg_train/seg_train/."""
    inner = [name for name in tree.children(folder) if tree.count(f"{folder}/{name}")]
    if len(inner) == 1 and split_of(inner[0]) == split and not tree.within(folder):
        return f"{folder}/{inner[0]}"
    return folder


def _named_folders(reading, file):
    """The folders that dataset.toml names."""
    for split, folder in file.folders.items():
        if not reading.tree.count(folder):
            fix = f"correct the folder of '{split}' in {FILE_NAME}"
            reading.error("no images in the folder of a split", folder, fix)
    if "train" not in file.folders:
        reading.error("no 'train' folder named", FILE_NAME, "add the key 'train'")
    return dict(file.folders)


def _warn_unused(reading, base, folders, unused):
    """Warnings about images and folders beside the split folders."""
    loose = reading.tree.within(base)
    if loose:
        what = f"{counted(len(loose), 'image')} beside the split folders not used"
        reading.warn(what, f"{base}/{loose[0]}" if base else loose[0], "move or remove them")
    for folder in unused:
        if not is_mask_folder(folder.rpartition("/")[2]):
            what = "folder is no split (train, val, test) and is not used"
            reading.warn(what, folder, "move or remove it")


def mask_folder(tree, folder: str) -> str | None:
    """The mask folder that belongs to a folder of images, or None."""
    parts = folder.split("/") if folder else []
    for place in reversed(range(len(parts))):
        if parts[place].lower() in IMAGE_FOLDERS:
            there = {name.lower(): name for name in tree.children("/".join(parts[:place]))}
            for name in MASK_FOLDERS:
                candidate = "/".join((*parts[:place], there.get(name, name), *parts[place + 1 :]))
                if tree.count(candidate):
                    return candidate
    for ending in MASK_FOLDER_ENDINGS if folder else ():
        if tree.count(folder + ending):
            return folder + ending
    return None
