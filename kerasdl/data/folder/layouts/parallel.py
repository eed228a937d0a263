"""Images and masks in many pairs of folders: `seq1/Images` + `seq1/Labels`, `seq2/Images` + ...

Each folder of images has its masks in a folder beside it. The splits are those that the names of
the folders above say.
"""

import collections
import re
from typing import NamedTuple

from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.folder.layouts import UNDIVIDED, Entry, Reading, common, pairing, relations
from kerasdl.data.folder.layouts.splits import is_mask_folder, split_of
from kerasdl.data.inspect.findings import counted, listing, printable

IMAGES = re.compile(r"(images?|imgs?|jpegimages)([_-]\w+)?", re.IGNORECASE)
MOST_ENDINGS = 6  # of masks that are listed


class Pair(NamedTuple):
    """A folder of images, and the folders beside it that may hold their masks."""

    images: str
    masks: list[str]

    @property
    def split(self) -> str:
        """The split that the names of the folders above say; `UNDIVIDED` if they say none."""
        named = set(filter(None, map(split_of, self.images.split("/")[:-1])))
        return named.pop() if len(named) == 1 else UNDIVIDED


def find(tree) -> list[Pair]:
    """All folders of images below the root, by their usual names, with the mask folders beside.

    Empty where fewer than two of them have masks.
    """
    beside = collections.defaultdict(list)
    for name in tree.folders:
        above, _, last = name.rpartition("/")
        drawn = is_mask_folder(last)
        if (drawn or IMAGES.fullmatch(last)) and tree.count(name):
            beside[above].append((name, drawn))
    found = []
    for folders in beside.values():
        images = [name for name, drawn in folders if not drawn]
        if len(images) == 1:
            found.append(Pair(images[0], [name for name, drawn in folders if drawn]))
    return found if sum(bool(pair.masks) for pair in found) > 1 else []


def fill(reading: Reading, pairs: list[Pair], file, annotation: str = "mask") -> None:
    """Fills in the samples of pairs of folders; with "none" those of the images alone."""
    reading.summary += common.splits_of({pair.split for pair in pairs})
    left_out = collections.defaultdict(list)
    for pair in pairs:
        entries = reading.splits.setdefault(pair.split, [])
        if annotation == "none":
            entries += [reading.entry(name) for name in reading.tree.full(pair.images)]
        elif pair.masks:
            masks_at = _chosen(reading, pair, file)
            entries += masks_at and pair_up(reading, pair.images, masks_at, file) or ()
        elif pair.split in (UNDIVIDED, "train"):
            what = "no masks for the images"
            reading.error(what, pair.images, "add a folder of masks beside it, or remove it")
        else:
            left_out[pair.split].append(pair.images)
    for split, folders in left_out.items():
        count = counted(sum(map(reading.tree.count, folders)), "image")
        what = f"{split}: {count} without masks left out"
        common.note(reading, what, folders[0], "`kerasdl predict` reads them")
    reading.splits = {split: part for split, part in reading.splits.items() if part}
    if len(reading.splits) > 1 and UNDIVIDED in reading.splits:
        place = next(pair.images for pair in pairs if pair.split == UNDIVIDED)
        fix = "put it below train/, val/ or test/ as well"
        reading.error("folders with and without a split", place, fix)
    outside = len(reading.tree.images) - sum(
        reading.tree.count(folder) for pair in pairs for folder in (pair.images, *pair.masks)
    )
    if outside:
        common.note(reading, f"{counted(outside, 'image')} outside these folders left out")


def _chosen(reading, pair, file):
    """The folder of masks of a pair; None, with an error, if it is not known."""
    named = {folder.rpartition("/")[2]: folder for folder in pair.masks}
    if file.masks in named:
        return named[file.masks]
    if len(named) == 1 and not file.masks:
        return pair.masks[0]
    lines = " or ".join(f'masks = "{name}"' for name in named)
    what = f"{len(named)} folders may hold the masks: {listing(named)}"
    reading.error(what, pair.images, f"put into {FILE_NAME}: {lines}")
    return None


def pair_up(reading: Reading, folder: str, masks_at: str, file) -> list[Entry] | None:
    """Entries of a folder of images and one of masks; None, with an error, if they do not fit."""
    tree = reading.tree
    if file.image_suffix or file.mask_suffix:
        return pairing.pairs(reading, folder, masks_at, file.image_suffix, file.mask_suffix)
    if _have_equal_names(tree, folder, masks_at):
        both = zip(tree.full(folder), tree.full(masks_at), strict=True)
        return [reading.entry(name, mask=mask) for name, mask in both]
    found = tree.within(folder) if masks_at.startswith(folder) else tree.below(folder)
    images, masks = relations.pair_keys(found, tree.below(masks_at))
    if not images.keys() & masks.keys() and (fix := partners_line(tree)):
        reading.error(f"no mask in {masks_at} has the name of an image", folder, fix)
        return None
    if len(images) < len(found) or masks.keys() - images or len(masks) < tree.count(masks_at):
        if ask_ending(reading, found, tree.below(masks_at), masks_at):
            return None
        for place in (folder, masks_at):
            pairing.by_key(reading, place)  # names two files of one name
    # The strings of the tree itself: there may be a hundred thousand.
    for part, place in ((images, folder), (masks, masks_at)):
        names = dict(zip(tree.below(place), tree.full(place), strict=True))
        part.update({key: names[name] for key, name in part.items()})
    return pairing.join(reading, images, masks, folder, masks_at)


def ask_ending(reading: Reading, images: list[str], masks: list[str], place: str) -> bool:
    """Adds an error, and returns True, where an image has several masks of different endings."""
    named = relations.endings(images, masks)
    if len(named) < 2 or 2 * max(named.values()) < len(images):
        return False
    lines = " or ".join(f'mask_suffix = "{ending}"' for ending in list(named)[:MOST_ENDINGS])
    what = f"images with more than one mask, whose names end in {listing(named)}"
    reading.error(what, place, f"put into {FILE_NAME}: {lines}")
    return True


def _have_equal_names(tree, folder, masks_at):
    """Whether images and masks have the same names in the same order: no tables are needed then."""
    if tree.count(folder) != tree.count(masks_at):
        return False
    previous = None
    for name, mask in zip(tree.below(folder), tree.below(masks_at), strict=True):
        stem = pairing.stem(name)
        if stem == previous or stem != pairing.stem(mask):
            return False
        previous = stem
    return True


def partners_line(tree) -> str:
    """What to do where images and masks lie in folders of unusual names; or ""."""
    found = relations.partners(tree)
    if len({images for images, _ in found}) == 1:
        lines = " or ".join(f'masks = "{masks}"' for _, masks in found)
        return f'put into {FILE_NAME}: images = "{found[0][0]}" and {lines}'
    return move(*found[0]) if found else ""


def move(images: str, masks: str) -> str:
    """What to do about one of several pairs of folders."""
    one = f"{printable(images)}/ and {printable(masks)}/"
    return f"move the files of {one} and the like into one images/ and one masks/"
