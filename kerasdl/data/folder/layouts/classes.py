"""One folder per class, in split folders or without."""

import collections
import itertools
import pathlib
import re
import unicodedata

from kerasdl.data.folder.layouts import UNDIVIDED, common, relations, tables
from kerasdl.data.folder.layouts.splits import IMAGE_FOLDERS, is_mask_folder, mask_folder
from kerasdl.data.inspect.findings import counted, listing, printable

TRAIN = re.compile("train", re.IGNORECASE)
SPLIT = re.compile("train|val|test|dev|unlabel", re.IGNORECASE)
MOST_PAIRED = 12  # class folders up to which pairs of images and masks are looked for
NO_TABLE = "; or list files and classes in a table, and name it in dataset.toml: labels_csv"
EXPECTED = "expected one folder per class, or train/, val/, test/ with one folder per class in each"


def add_classes(reading, file, folders):
    """Fills in the samples: the first folder below the split names the class."""
    tree = reading.tree
    usual = [
        f"{folder}/{name}" if folder else name
        for folder in folders.values()
        for name in tree.children(folder)
        if name.lower() in IMAGE_FOLDERS
    ]
    paired = (tree.count(name) and mask_folder(tree, name) is not None for name in usual)
    if any(paired) and not {*tree.children("")} <= {*file.names}:
        reading.error(
            "images and masks, not class folders",
            "",
            f"{EXPECTED}; for these data use the task segmentation",
        )
        return
    _leave_out_test(reading, folders)
    members, loose = _members(reading, folders)
    names = sorted({name for split in members.values() for name in split})
    filled = [name for name in names if any(split[name] for split in members.values())]
    if loose and filled:
        reading.error(
            f"{counted(len(loose), 'image')} beside the class folders",
            loose[0],
            f"move them into a class folder ({listing(filled)}) or remove them",
        )
    elif loose:
        reading.error(
            "no class folders",
            printable(str(pathlib.PurePath(loose[0]).parent)),
            EXPECTED + (_table_line(tree) or NO_TABLE),
        )
        return
    if not file.names and _is_something_else(reading, folders, filled):
        return
    if len(filled) > 1 and not (file.names or file.layout) and _may_be_in_table(reading, filled):
        return
    if len(filled) == 1:
        inner = _first_branching(tree, filled[0])
        fix = f"did you mean {printable(tree.root / inner)}? " if inner else ""
        reading.error(
            f"only one class folder: {printable(filled[0])}",
            "",
            fix + EXPECTED + (_table_line(tree) or NO_TABLE),
        )
    _check_equal_names(reading, names)
    names = _ordered(reading, file, names)
    reading.class_names = tuple(printable(name) for name in names)
    first = "train" if "train" in folders else UNDIVIDED
    for split, folder in folders.items():
        for name in names:
            if not members[split].get(name):
                _report_empty_class(reading, split, split == first, folder, name)
        reading.splits[split] = [
            reading.entry(image, label)
            for label, name in enumerate(names)
            for image in members[split].get(name, [])
        ]


def _leave_out_test(reading, folders):
    """Takes a test folder that holds no class folders, as of a competition, from the splits."""
    tree, folder = reading.tree, folders.get("test")
    if folder and len(folders) > 1 and len(tree.within(folder)) == tree.count(folder):
        what = f"{counted(tree.count(folder), 'test image')} outside class folders left out"
        common.note(reading, what, folder, "`kerasdl predict` reads them")
        del folders["test"]


def _first_branching(tree, folder):
    """The first folder within a folder that holds several folders; "" if there is none."""
    inner = [name for name in tree.children(folder) if tree.count(f"{folder}/{name}")]
    while len(inner) == 1:
        folder = f"{folder}/{inner[0]}"
        inner = [name for name in tree.children(folder) if tree.count(f"{folder}/{name}")]
    return folder if inner else ""


def _is_something_else(reading, folders, names):
    """Adds an error where the folders may be images with masks, or splits, and no classes."""
    tree = reading.tree
    listed = ", ".join(f'"{printable(name)}"' for name in names)
    top = next(iter(folders.values()))
    prefix = f"{top}/" if top else ""
    inner = [
        {
            child
            for child in tree.children(prefix + name)
            if tree.count(f"{prefix}{name}/{child}") and not _says_images_or_masks(child)
        }
        for name in names
    ]
    shared = set.intersection(*inner) if len(names) > 1 else set()
    if len(shared) > 1:
        reading.error(
            f"the folders {listing(names)} all hold {listing(sorted(shared))}",
            top,
            f"if these are the classes, put the splits into dataset.toml: train = "
            f'"{prefix}{names[0]}" and val = "{prefix}{names[1]}"; if the outer ones are: '
            f"names = [{listed}]; if they are versions of the same images, give one of them: "
            f"--data {printable(tree.root / prefix / names[0])}",
        )
        return True
    if len(names) > 1 and all(map(SPLIT.match, names)) and any(map(TRAIN.match, names)):
        reading.error(
            f"the folders {listing(names)} are named after splits, and hold no class folders",
            top,
            f"{EXPECTED}; if they are the classes, put into dataset.toml: names = [{listed}]",
        )
        return True
    if len(names) > MOST_PAIRED or set(folders) != {UNDIVIDED}:
        return False
    for images, masks in itertools.permutations(names, 2):
        if _may_be_pair(tree, prefix + images, prefix + masks):
            reading.error(
                f"{printable(images)} and {printable(masks)} may be images and their masks",
                top,
                f'if so, put into dataset.toml: images = "{prefix}{images}" and '
                f'masks = "{prefix}{masks}"; if they are classes: names = [{listed}]',
            )
            return True
    return False


def _may_be_in_table(reading, names):
    """Adds an error where a table lists the images, and may hold other classes than the folders."""
    table = tables.tells_classes(reading.tree, names)
    if table:
        reading.error(
            f"folders {listing(names)}, and a table that lists their images",
            table,
            f'put into dataset.toml, if the table holds the classes: labels_csv = "{table}", '
            f'or if the folders are the classes: layout = "folders"',
        )
    return bool(table)


def _table_line(tree):
    """The line for a table that may hold the labels; empty if there is none."""
    name = next(iter(tables.candidates(tree)), None)
    line = f'labels_csv = "{printable(name)}"' if name else ""
    return f"; if a table holds the classes, put into dataset.toml: {line}" if name else ""


def _says_images_or_masks(name):
    return name.lower() in IMAGE_FOLDERS or is_mask_folder(name)


def _may_be_pair(tree, images, masks):
    """Whether the files of two folders belong together, and one of them holds masks."""
    if is_mask_folder(images) or not relations.related(tree, images, masks):
        return False
    if is_mask_folder(masks):
        return True
    drawn = relations.looks_like_masks
    return drawn(tree, masks) and not drawn(tree, images)


def _members(reading, folders):
    """Images per split and class folder, and the images beside the class folders.

    Masks in class folders are left out: CLASS/masks/ beside CLASS/images/, x_GT.png beside x.png.
    """
    tree, left_out, drawn = reading.tree, 0, set()
    members, loose = {split: collections.defaultdict(list) for split in folders}, []
    for split, folder in folders.items():
        masks = set()
        for child in tree.children(folder):
            members[split][child] = []
            within = tree.children(f"{folder}/{child}" if folder else child)
            if any(name.lower() in IMAGE_FOLDERS for name in within):
                masks.update(f"{child}/{name}" for name in within if is_mask_folder(name))
        drawn |= _drawn_beside(tree, folder)
        for name, full in zip(tree.below(folder), tree.full(folder), strict=True):
            top, separator, _ = name.partition("/")
            if full in drawn or masks and "/".join(name.split("/", 2)[:2]) in masks:
                left_out += 1
            elif separator:
                members[split][top].append(full)
            else:
                loose.append(full)
    if left_out:
        common.note(reading, f"{counted(left_out, 'mask')} left out, by the names and content")
    return members, loose


def _drawn_beside(tree, folder):
    """Masks beside the images of class folders; some folders tell whether there are any."""
    children = [f"{folder}/{name}" if folder else name for name in tree.children(folder)]
    if any(relations.drawn_beside(tree, child) for child in children[:MOST_PAIRED]):
        return set().union(*(relations.drawn_beside(tree, child) for child in children))
    return set()


def _report_empty_class(reading, split, training, folder, name):
    path = f"{folder}/{name}" if folder else name
    if training:
        reading.error(
            f"class '{printable(name)}' has no training images",
            path,
            "add images, or remove the class folder from every split",
        )
    else:
        what = f"class '{printable(name)}' has no {split} images; it is left out of the mean"
        reading.warn(what, path)


def _ordered(reading, file, names):
    """Class folders by code point, or in the order of the names given for them."""
    given = file.names
    if not given:
        return names
    if sorted(given) == sorted(printable(name) for name in names):
        return sorted(names, key=lambda name: given.index(printable(name)))
    missing = [name for name in given if name not in names]
    extra = [name for name in names if name not in given]
    what = "class names and class folders differ"
    what += f"; no folder: {listing(missing)}" if missing else ""
    what += f"; no name: {listing(extra)}" if extra else ""
    reading.error(what, "", "correct 'names' in dataset.toml (or classes.txt), or leave it out")
    return names


def _check_equal_names(reading, names):
    """Names that look the same but are different bytes would silently be two classes."""
    seen = {}
    for name in names:
        composed = unicodedata.normalize("NFC", name)
        if composed in seen:
            reading.error(
                f"two class folders whose names look the same: '{printable(name)}'",
                name,
                "one is composed (NFC), the other decomposed (NFD): merge the folders",
                cause="copied from a Mac or from an archive",
            )
        seen[composed] = name
