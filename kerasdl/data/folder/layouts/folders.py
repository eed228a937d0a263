"""Plain folders, the layout of data that no other module of this package recognizes.

    label   CLASS/*, or SPLIT/CLASS/*
    mask    images/* + masks/*; images/SPLIT/* + masks/SPLIT/*; SPLIT/images/* + SPLIT/masks/*;
            SPLIT/* + SPLITannot/*: names that belong together, any suffix
    none    images anywhere; split folders as above, masks are left out

SPLIT is train, val (or validation, valid, dev) or test. The keys of dataset.toml name folders,
endings and lists that are called otherwise.
"""

import bisect

from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.folder.layouts import (
    UNDIVIDED,
    Reading,
    classes,
    common,
    pairing,
    parallel,
    relations,
)
from kerasdl.data.folder.layouts.splits import (
    IMAGE_FOLDERS,
    is_mask_folder,
    mask_folder,
    split_folders,
)
from kerasdl.data.inspect.findings import counted, listing

EXPECTED = {
    "label": classes.EXPECTED,
    "mask": "expected images/ and masks/ with files of the same names, or images/train + "
    "masks/train, or train/ + trainannot/",
    "none": "expected color images (jpg, png, webp, ...)",
}


def read(location, annotation):
    """Class folders, images with masks, or images alone, by the annotation wanted."""
    tree, file = location.tree, location.file
    reading = Reading(tree)
    folders = split_folders(reading, file, annotation)
    if annotation == "label":
        classes.add_classes(reading, file, folders)
    elif annotation == "mask":
        pairs = _parallel(tree, file, folders)
        if pairs:
            reading.summary = f"{len(pairs)} folders of images with masks beside them, "
            parallel.fill(reading, pairs, file)
        else:
            _add_pairs(reading, file, folders)
    else:
        _add_images(reading, folders)
    if file.split_files:
        _divide(reading, file.split_files)
    return reading


def annotations(location):
    """What the folder seems to hold: masks, labels or images alone, the most telling first."""
    tree, file = location.tree, location.file
    folders = split_folders(Reading(tree), file, "mask")
    paired = any(_candidates(tree, folder) for folder in folders.values())
    if file.masks or paired or _parallel(tree, file, folders):
        return ("mask", "none")
    return ("label", "none") if tree.children("") else ("none",)


def _parallel(tree, file, folders):
    """The pairs of folders, where there are several, and no masks of the folders of the splits."""
    if file.images or file.folders:
        return []
    pairs = parallel.find(tree)
    for split, folder in folders.items() if pairs else ():
        named = _named(file.masks, split, folder) if file.masks else ()
        if any(each != folder and tree.count(each) for each in named):
            return []
        if not named and (mask_folder(tree, folder) or _candidates(tree, folder)):
            return []
    return pairs


def _candidates(tree, folder):
    """The folders that may hold the masks of a folder of images."""
    usual = mask_folder(tree, folder)
    found = relations.mask_folders(tree, folder)
    return found if usual is None or usual in found or len(found) > 1 else [usual]


def _add_images(reading, folders):
    """Images alone: folders and files whose names say that they are masks are left out."""
    tree, left_out = reading.tree, 0
    for split, folder in folders.items():
        full = dict(zip(tree.below(folder), tree.full(folder), strict=True))
        names = list(full)
        kept = [name for name in names if not any(map(is_mask_folder, name.split("/")[:-1]))]
        stems = sorted({pairing.stem(name) for name in kept})
        kept = [name for name in kept if not is_drawn(pairing.stem(name), stems)]
        kept = kept or names
        left_out += len(names) - len(kept)
        reading.splits[split] = [reading.entry(full[name]) for name in kept]
    if left_out:
        common.note(reading, f"{counted(left_out, 'mask')} left out, by the names")


def is_drawn(stem, stems):
    """Whether a file is the mask, by its name, of an image that is there; `stems` are sorted."""
    ending = next((ending for ending in relations.ENDINGS if stem.endswith(ending)), None)
    if ending is None:
        return False
    plain = stem.removesuffix(ending)
    if common.has(stems, plain):
        return True
    # Those that begin alike lie together, this one among them: two tell, whatever their number.
    first = bisect.bisect_left(stems, plain + "_")
    return any(
        other != stem and other.startswith(plain + "_") for other in stems[first : first + 2]
    )


def _add_pairs(reading, file, folders):
    """An image and the mask whose name belongs to it."""
    for split, folder in folders.items():
        masks_at = _masks_of(reading, file, split, folder)
        if masks_at is None:
            continue
        entries = parallel.pair_up(reading, folder, masks_at, file)
        if entries is not None:
            reading.splits[split] = entries


def _masks_of(reading, file, split, folder):
    """The folder of masks of a folder of images; None, with a finding, if it is not known."""
    tree = reading.tree
    if file.masks:
        named = _named(file.masks, split, folder)
        found = next((each for each in named if each != folder and tree.count(each)), None)
        if found is None:
            fix = f"correct 'masks' in {FILE_NAME}"
            reading.error("no masks in the folder named", file.masks, fix)
        return found
    found = _candidates(tree, folder)
    if len(found) == 1:
        return found[0]
    if not found and file.mask_suffix:
        return folder  # beside the images
    if found:
        lines = " or ".join(f'masks = "{_without(each, split, folder)}"' for each in found)
        what = f"{len(found)} folders may hold the masks: {listing(found)}"
        reading.error(what, folder, f"put into {FILE_NAME}: {lines}")
    elif split in ("train", UNDIVIDED):
        names = tree.within(folder)
        known = {pairing.stem(name) for name in names}
        images = [name for name in names if pairing.begun(pairing.stem(name), known) is None]
        if parallel.ask_ending(reading, images, names, folder):
            return None
        fix = parallel.partners_line(tree) or _inner_pair(tree)
        if not fix:
            fix = EXPECTED["mask"]
            named = filter(is_mask_folder, tree.children(""))
            if not all(map(tree.count, named)):
                fix += f"; the mask folder holds no images but {kinds(tree.others)}"
            fix += f", or name the folders in {FILE_NAME}: images = ..., masks = ..."
        reading.error("no masks for the images", folder, fix)
    else:
        what = f"{split} images without masks left out"
        common.note(reading, what, folder, "`kerasdl predict` reads them")
    return None


def _inner_pair(tree):
    """What to do where images and masks lie in many folders, x/images/ and x/masks/; or ""."""
    for name in tree.folders:
        above, _, last = name.rpartition("/")
        if last.lower() in IMAGE_FOLDERS and above and mask_folder(tree, name) is not None:
            return parallel.move(name, mask_folder(tree, name))
    return ""


def _named(masks, split, folder):
    """Where the masks of a folder of images may lie by the key `masks`, the likeliest first.

    masks/train for images/train, and train/masks for train/images.
    """
    parts = folder.split("/") if folder else []
    starts = range(len(parts) if split != UNDIVIDED else 0)
    named = ["/".join((masks, *parts[start:])) for start in starts] or [masks]
    return named + ["/".join((*parts[:p], masks, *parts[p + 1 :])) for p in range(len(parts))]


def _without(masks, split, folder):
    """What the key `masks` must be for `_named` to find a folder of masks."""
    parts, others = masks.split("/"), folder.split("/")
    if split == UNDIVIDED:
        return masks
    while len(parts) > 1 and parts[-1] == others[-1]:
        parts, others = parts[:-1], others[:-1]
    while len(parts) > 1 and len(others) > 1 and parts[0] == others[0]:
        parts, others = parts[1:], others[1:]
    return "/".join(parts)


def _divide(reading, lists):
    """Splits by the lists of names that dataset.toml gives, in the place of those by folder."""
    by_name = {}
    for entry in [entry for part in reading.splits.values() for entry in part]:
        parts = pairing.stem(entry.file).split("/")
        for start in range(len(parts)):  # "a", "cat/a" and "images/cat/a" all name it
            by_name.setdefault("/".join(parts[start:]), []).append(entry)
    reading.splits = {}
    for split, name in lists.items():
        wanted = [_stem_of(word) for word in pairing.read_list(reading, name)]
        unclear = [word for word in wanted if len(by_name.get(word, ())) != 1]
        if unclear:
            reading.error(
                f"{counted(len(unclear), 'name')} of the list without image: {listing(unclear)}",
                name,
                "correct the names, or add the images",
                skippable=True,
            )
        unclear = set(unclear)
        reading.splits[split] = [by_name[word][0] for word in wanted if word not in unclear]


def _stem_of(word):
    """A name of a list as it is looked for: without suffix, if it has that of an image."""
    word = word.replace("\\", "/").removeprefix("./")
    return pairing.stem(word) if relations.has_image_suffix(word) else word


def kinds(others):
    """Other files by suffix as text, such as "3 .txt, 1 .csv"."""
    return listing(
        f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common()
    )
