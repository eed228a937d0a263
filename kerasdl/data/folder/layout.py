"""How a data folder is laid out: which files are the samples of which split.

    classification   CLASS/*, or SPLIT/CLASS/*
    segmentation     images/* + masks/*; images/SPLIT/* + masks/SPLIT/*; SPLIT/images/* +
                     SPLIT/masks/*; SPLIT/* + SPLITannot/* (CamVid): same name, any suffix
    colorization     images anywhere; split folders as above, masks are left out

SPLIT is train, val (or validation, valid, dev) or test.
"""

import dataclasses
import pathlib
from typing import NamedTuple

from kerasdl.data.folder import dataset_file
from kerasdl.data.folder.tree import Tree
from kerasdl.data.inspect.findings import Finding, counted, listing, printable

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
MASK_NAME_ENDINGS = ("_mask", "-mask", "_masks", "_label", "_labels", "_labelIds", "_gt", "_L")
EXPECTED = {
    "classification": "expected one folder per class, or train/, val/, test/ with one folder per "
    "class in each",
    "segmentation": "expected images/ and masks/ with files of the same names, or images/train + "
    "masks/train, or train/ + trainannot/",
    "colorization": "expected color images (" + ", ".join(("jpg", "png", "webp")) + ", ...)",
}
UNDIVIDED = "all"


class Entry(NamedTuple):
    """Where one sample lies.

    Attributes:
        name: Image's name relative to the data folder, printable.
        image: Path of the image.
        label: Class index, or None.
        mask: Path of the mask, or None.
    """

    name: str
    image: pathlib.Path
    label: int | None = None
    mask: pathlib.Path | None = None


@dataclasses.dataclass
class Layout:
    """The samples found in a data folder, and what is wrong with its structure.

    Attributes:
        tree: The files.
        file: What dataset.toml says.
        entries: Samples per split; the split "all" stands for data without split folders.
        class_names: Names of the class folders, or of dataset.toml; may be empty.
        findings: What was found, errors included.
    """

    tree: Tree
    file: dataset_file.DatasetFile
    entries: dict[str, list[Entry]]
    class_names: tuple[str, ...]
    findings: list[Finding]

    def error(self, what, name, fix, cause="", skippable=False):
        """Adds an error about a file or folder, named relative to the root."""
        path = printable(self.tree.root / name)
        self.findings.append(Finding("error", what, path, cause, fix, skippable=skippable))

    def warn(self, what, name, fix=""):
        """Adds a warning about a file or folder, named relative to the root."""
        path = printable(self.tree.root / name)
        self.findings.append(Finding("warning", what, path, fix=fix))


def split_folders(layout, task):
    """Folder of images, relative to the root, per split."""
    tree = layout.tree
    if layout.file.folders:
        folders = dict(layout.file.folders)
        for split, folder in folders.items():
            if not tree.below(folder):
                fix = f"correct the folder of '{split}' in {dataset_file.FILE_NAME}"
                layout.error("no images in the folder of a split", folder, fix)
        if "train" not in folders:
            layout.error("no 'train' folder named", dataset_file.FILE_NAME, "add the key 'train'")
        return folders
    base = ""
    if task != "classification":
        base = next((name for name in IMAGE_FOLDERS if tree.below(name)), "")
    folders, unused = {}, []
    for name in tree.children(base):
        folder = f"{base}/{name}" if base else name
        split = SPLIT_NAMES.get(name.lower())
        if split is None:
            unused += [folder] if tree.below(folder) else []
        elif not tree.below(folder):
            what = f"split folder without images, taken as if there were no {split} folder"
            layout.warn(what, folder, "fill or remove it")
        elif split in folders:
            what = f"two folders for the {split} split: {folders[split]} and {folder}"
            layout.error(what, "", "rename or remove one of them")
        else:
            folders[split] = folder
    if "train" not in folders:
        if folders and not unused:
            layout.error(
                "no training images, only " + listing(folders.values()),
                base,
                "add a folder train/, or put all images into one folder to have it split",
            )
        return {UNDIVIDED: base}
    loose = [name for name in tree.below(base) if "/" not in name]
    if loose:
        what = f"{counted(len(loose), 'image')} beside the split folders not used"
        layout.warn(what, f"{base}/{loose[0]}" if base else loose[0], "move or remove them")
    for folder in unused:
        if not _is_mask_folder(folder, folders.values()):
            what = "folder is no split (train, val, test) and is not used"
            layout.warn(what, folder, "move or remove it")
    if task != "classification":
        for split, folder in folders.items():
            inner = [name for name in IMAGE_FOLDERS if tree.below(f"{folder}/{name}")]
            folders[split] = f"{folder}/{inner[0]}" if inner else folder
    return folders


def mask_folder(tree, folder):
    """The mask folder that belongs to a folder of images, or None."""
    parts = folder.split("/") if folder else []
    for place in reversed(range(len(parts))):
        if parts[place].lower() in IMAGE_FOLDERS:
            for name in MASK_FOLDERS:
                candidate = "/".join((*parts[:place], name, *parts[place + 1 :]))
                if tree.below(candidate):
                    return candidate
    for ending in MASK_FOLDER_ENDINGS if folder else ():
        if tree.below(folder + ending):
            return folder + ending
    return None


def _is_mask_folder(folder, image_folders):
    """Whether a folder is the mask folder of one of some image folders."""
    return any(folder == name + ending for name in image_folders for ending in MASK_FOLDER_ENDINGS)
