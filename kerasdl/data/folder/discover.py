"""The samples of a data folder: which image has which label or mask, in which split."""

import collections
import pathlib
import unicodedata

from kerasdl.data.folder import dataset_file
from kerasdl.data.folder.layout import (
    EXPECTED,
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    MASK_NAME_ENDINGS,
    UNDIVIDED,
    Entry,
    Layout,
    mask_folder,
    split_folders,
)
from kerasdl.data.folder.tree import scan
from kerasdl.data.inspect.findings import counted, listing, printable

ORDER = (UNDIVIDED, "train", "validation", "test")


def discover(root, task):
    """Layout of a data folder for a task. Raises DataError only if there is no such folder."""
    tree = scan(root)
    file = dataset_file.read(tree.root)
    layout = Layout(tree, file, {}, file.names, list(tree.findings))
    if not tree.images:
        found = f"; it holds {_kinds(tree.others)}" if tree.others else ", it is empty"
        layout.error(f"no images in the data folder{found}", "", EXPECTED[task])
        return layout
    folders = split_folders(layout, task)
    {
        "classification": _add_classes,
        "segmentation": _add_pairs,
        "colorization": _add_images,
    }[task](layout, folders)
    for split, entries in layout.entries.items():
        if not entries and split in ("train", UNDIVIDED):
            if not any(finding.severity == "error" for finding in layout.findings):
                layout.error("no training images", folders[split], EXPECTED[task])
    layout.entries = {split: layout.entries[split] for split in ORDER if layout.entries.get(split)}
    return layout


def _add_images(layout, folders):
    """Every image is a sample."""
    for split, folder in folders.items():
        prefix = folder + "/" if folder else ""
        layout.entries[split] = [
            _entry(layout, prefix + name) for name in layout.tree.below(folder)
        ]


def _entry(layout, name, label=None, mask=None):
    root = layout.tree.root
    return Entry(printable(name), root / name, label, root / mask if mask else None)


def _add_classes(layout, folders):
    """The first folder below the split names the class."""
    tree = layout.tree
    tops = [f"{folder}/" if folder else "" for folder in folders.values()]
    if any(mask_folder(tree, top + IMAGE_FOLDERS[0]) is not None for top in tops):
        layout.error(
            "images and masks, not class folders",
            "",
            f"{EXPECTED['classification']}; for these data use the task segmentation",
        )
        return
    members = {split: collections.defaultdict(list) for split in folders}
    loose = []
    for split, folder in folders.items():
        prefix = folder + "/" if folder else ""
        for child in tree.children(folder):
            members[split][child] = []
        for name in tree.below(folder):
            top, separator, _ = name.partition("/")
            if separator:
                members[split][top].append(prefix + name)
            else:
                loose.append(prefix + name)
    names = sorted({name for split in members.values() for name in split})
    filled = [name for name in names if any(split[name] for split in members.values())]
    if loose and filled:
        layout.error(
            f"{counted(len(loose), 'image')} beside the class folders",
            loose[0],
            f"move them into a class folder ({listing(filled)}) or remove them",
        )
    elif loose:
        layout.error(
            "no class folders",
            printable(str(pathlib.PurePath(loose[0]).parent)),
            EXPECTED["classification"],
        )
        return
    if len(filled) == 1:
        inner = tree.children(filled[0])
        fix = f"did you mean {tree.root / filled[0]}? " if len(inner) > 1 else ""
        layout.error(
            f"only one class folder: {printable(filled[0])}",
            "",
            fix + EXPECTED["classification"],
        )
    _check_equal_names(layout, names, "class folders")
    names = _ordered(layout, names)
    layout.class_names = tuple(printable(name) for name in names)
    first = "train" if "train" in folders else UNDIVIDED
    for split, folder in folders.items():
        for name in names:
            if not members[split].get(name):
                _report_empty_class(layout, split, split == first, folder, name)
        layout.entries[split] = [
            _entry(layout, image, label)
            for label, name in enumerate(names)
            for image in members[split].get(name, [])
        ]


def _report_empty_class(layout, split, training, folder, name):
    path = f"{folder}/{name}" if folder else name
    if training:
        layout.error(
            f"class '{printable(name)}' has no training images",
            path,
            "add images, or remove the class folder from every split",
        )
    else:
        what = f"class '{printable(name)}' has no {split} images; it is left out of the mean"
        layout.warn(what, path)


def _ordered(layout, names):
    """Class folders by code point, or in the order of the names given for them."""
    given = layout.file.names
    if not given:
        return names
    if sorted(given) == sorted(printable(name) for name in names):
        return sorted(names, key=lambda name: given.index(printable(name)))
    missing = [name for name in given if name not in names]
    extra = [name for name in names if name not in given]
    what = "class names and class folders differ"
    what += f"; no folder: {listing(missing)}" if missing else ""
    what += f"; no name: {listing(extra)}" if extra else ""
    layout.error(what, "", "correct 'names' in dataset.toml (or classes.txt), or leave it out")
    return names


def _add_pairs(layout, folders):
    """An image and the mask of the same name."""
    tree = layout.tree
    for split, folder in folders.items():
        masks_at = mask_folder(tree, folder)
        if masks_at is None:
            fix = EXPECTED["segmentation"]
            if any(folder_name in MASK_FOLDERS for folder_name in tree.children("")):
                fix += f"; the mask folder holds no images but {_kinds(tree.others)}"
            layout.error("no masks for the images", folder, fix)
            continue
        images = _by_stem(layout, folder)
        masks = _by_stem(layout, masks_at)
        for stem in [stem for stem in masks if stem not in images]:
            ending = next((e for e in MASK_NAME_ENDINGS if stem.endswith(e)), None)
            plain = stem.removesuffix(ending) if ending else stem
            if plain in images and plain not in masks:
                masks[plain] = masks.pop(stem)
        alone = [name for stem, name in images.items() if stem not in masks]
        orphans = [name for stem, name in masks.items() if stem not in images]
        if alone:
            layout.error(
                f"{counted(len(alone), 'image')} without a mask: {_stems(alone)}",
                alone[0],
                f"add the masks to {masks_at}/, or remove the images",
                skippable=True,
            )
        if orphans:
            layout.error(
                f"{counted(len(orphans), 'mask')} without an image: {_stems(orphans)}",
                orphans[0],
                f"add the images to {folder}/, or remove the masks",
                skippable=True,
            )
        layout.entries[split] = [
            _entry(layout, name, mask=masks[stem]) for stem, name in images.items() if stem in masks
        ]


def _stems(names):
    return listing([printable(pathlib.PurePosixPath(name).stem) for name in names])


def _by_stem(layout, folder):
    """Images of a folder by their name without suffix, Unicode composed (NFC)."""
    prefix = folder + "/" if folder else ""
    found = {}
    for name in layout.tree.below(folder):
        stem = unicodedata.normalize("NFC", str(pathlib.PurePosixPath(name).with_suffix("")))
        if stem in found:
            what = f"two files of one name: {printable(found[stem])} and {printable(prefix + name)}"
            layout.error(what, prefix + name, "remove or rename one of them")
        else:
            found[stem] = prefix + name
    return found


def _check_equal_names(layout, names, kind):
    """Names that look the same but are different bytes would silently be two classes."""
    seen = {}
    for name in names:
        composed = unicodedata.normalize("NFC", name)
        if composed in seen:
            layout.error(
                f"two {kind} whose names look the same: '{printable(name)}'",
                name,
                "one is composed (NFC), the other decomposed (NFD): merge the folders",
                cause="copied from a Mac or from an archive",
            )
        seen[composed] = name


def _kinds(others):
    """Other files by suffix as text, such as "3 .txt, 1 .csv"."""
    return listing(
        f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common()
    )
