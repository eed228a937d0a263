"""Split folders by their usual names: train, val (validation, valid, dev), test."""

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
IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "annotations", "annotation")
MASK_FOLDER_ENDINGS = ("annot", "_annot", "_masks", "_mask", "_labels", "masks", "_annotations")


def split_folders(reading: Reading, file, annotation: str) -> dict[str, str]:
    """Folder of images, relative to the root, per split."""
    tree = reading.tree
    if file.folders:
        return _named_folders(reading, file)
    base = ""
    if annotation != "label":
        base = next((name for name in IMAGE_FOLDERS if tree.count(name)), "")
    folders, unused = {}, []
    for name in tree.children(base):
        folder = f"{base}/{name}" if base else name
        split = SPLIT_NAMES.get(name.lower())
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
    if annotation != "label":
        for split, folder in folders.items():
            inner = [name for name in IMAGE_FOLDERS if tree.count(f"{folder}/{name}")]
            folders[split] = f"{folder}/{inner[0]}" if inner else folder
    return folders


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
        if not any(folder == name + e for name in folders.values() for e in MASK_FOLDER_ENDINGS):
            what = "folder is no split (train, val, test) and is not used"
            reading.warn(what, folder, "move or remove it")


def mask_folder(tree, folder: str) -> str | None:
    """The mask folder that belongs to a folder of images, or None."""
    parts = folder.split("/") if folder else []
    for place in reversed(range(len(parts))):
        if parts[place].lower() in IMAGE_FOLDERS:
            for name in MASK_FOLDERS:
                candidate = "/".join((*parts[:place], name, *parts[place + 1 :]))
                if tree.count(candidate):
                    return candidate
    for ending in MASK_FOLDER_ENDINGS if folder else ():
        if tree.count(folder + ending):
            return folder + ending
    return None
