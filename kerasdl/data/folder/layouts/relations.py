"""Which folders hold the masks of which images: by their names, or by what the files hold."""

import bisect
import collections
import functools
import itertools
import os
import re

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data import images
from kerasdl.data.folder.layouts import pairing
from kerasdl.data.folder.layouts.splits import IMAGE_FOLDERS, is_mask_folder, split_of
from kerasdl.data.folder.mask_lossy import two_levels
from kerasdl.data.suffixes import IMAGE_SUFFIXES

ENDINGS = (  # of a mask's name, after that of its image
    *(
        "_mask",
        "-mask",
        ".mask",
        "_masks",
        "_label",
        "_labels",
        "_labelIds",
        "_labelTrainIds",
        "_gt",
    ),
    *("_L", "_seg", "_segmentation", "_color", "_instanceIds", "_groundtruth"),
)
MOST_COLORS = 64  # more of them in one file are a photograph
SAMPLED = 200  # names of a folder that are compared first
MOST_PLACES = 4  # folders that hold files of one name
LOOKED_AT = 3  # files of a folder whose content is looked at


def pair_keys(images_found: list[str], masks_found: list[str]) -> tuple[dict, dict]:
    """Images and masks by a common key, and as many in common as the names allow.

    Tried are: the same names, the usual endings of masks, and what all names of either folder begin
    or end with (`_leftImg8bit`, `_gtFine_labelIds`, `mask_`).

    Returns:
        Two dictionaries from key to name, the names as given; of two files with one key, the first.
    """
    plain = _keyed(images_found, pairing.stem)
    best = plain, _keyed(masks_found, pairing.stem)
    if best[0].keys() >= best[1].keys():
        return best
    tried = [(plain, _keyed(masks_found, lambda name: _without_ending(pairing.stem(name), plain)))]
    whole = {name: name for name in images_found}
    tried.append((whole, _keyed(masks_found, pairing.stem)))  # a.jpg + a.jpg.png
    cuts = [_affixes([pairing.stem(name) for name in part]) for part in (images_found, masks_found)]
    cut_masks = _keyed(masks_found, functools.partial(_cut, affixes=cuts[1]))
    tried.append((plain, cut_masks))
    tried.append((_keyed(images_found, functools.partial(_cut, affixes=cuts[0])), cut_masks))
    for pair in tried:
        if len(pair[0].keys() & pair[1].keys()) > len(best[0].keys() & best[1].keys()):
            best = pair
    return best


def endings(images_found: list[str], others: list[str]) -> dict[str, int]:
    """What follows the name of an image in the names of other files, and how often: {"_gt": 12}."""
    stems = {pairing.stem(name) for name in images_found}
    found: collections.Counter[str] = collections.Counter()
    for stem in map(pairing.stem, others):
        image = pairing.begun(stem, stems)
        if image is not None:
            found[stem.removeprefix(image)] += 1
    return dict(sorted(found.items()))


def related(tree, folder: str, other: str) -> bool:
    """Whether at least half of the images of one of two folders have a partner in the other."""
    found = tree.below(folder)
    step = max(1, len(found) // SAMPLED)
    starts = [f"{other}/{os.path.splitext(name)[0]}." for name in found[::step]]
    places = [bisect.bisect_left(tree.images, start) for start in starts]
    if starts and all(
        place < len(tree.images) and tree.images[place].startswith(start)
        for place, start in zip(places, starts, strict=True)
    ):
        return True  # the common case, without a key per file
    drawn = tree.below(other)
    if not found or not drawn:
        return False
    left, right = pair_keys(found, drawn)
    return 2 * len(left.keys() & right.keys()) >= min(len(found), len(drawn))


def mask_folders(tree, folder: str) -> list[str]:
    """The folders that may hold the masks of the images of a folder, by name or by content.

    Looked at are the folders beside it, and beside those above it, and the folders in these. One
    that holds photographs is none, whatever the names of its files, unless its own name says so.
    """
    parts = folder.split("/") if folder else []
    found = []
    for place in reversed(range(len(parts))):
        above, rest = "/".join(parts[:place]), parts[place + 1 :]
        for name in tree.children(above):
            if name == parts[place] or split_of(name) and not is_mask_folder(name):
                continue
            if name.lower() in IMAGE_FOLDERS or _of_other_split(name, parts[place]):
                continue
            start = f"{above}/{name}" if above else name
            inner = [start, *(f"{start}/{child}" for child in tree.children(start))]
            for candidate in ("/".join((each, *rest)) for each in inner):
                if candidate not in found and _may_hold(tree, folder, candidate):
                    found.append(candidate)
        if found:
            break
    # A folder and the only one in it are one candidate.
    return [
        each for each in found if not any(o != each and each.startswith(o + "/") for o in found)
    ]


def _of_other_split(name, images):
    """Whether the names of two folders say different splits."""
    return split_of(name) and split_of(images) and split_of(name) != split_of(images)


def _may_hold(tree, folder, candidate):
    if not tree.count(candidate) or not related(tree, folder, candidate):
        return False
    name = candidate.removeprefix(os.path.commonpath([folder, candidate]))
    return is_mask_folder(name) or looks_like_masks(tree, candidate)


def partners(tree) -> list[tuple[str, str]]:
    """Folders of images and of masks anywhere, whose files have the same names; the most first.

    What both end with, such as the folders of splits, is left out: a/img and a/drawn/fine for
    a/img/train/1.jpg and a/drawn/fine/train/1.png.
    """
    places = collections.defaultdict(list)
    for name in tree.images:
        folder, _, last = pairing.stem(name).rpartition("/")
        places[_without_ending(last, ())].append(folder)
    pairs: collections.Counter[tuple[str, str]] = collections.Counter()
    for folders in places.values():
        pairs.update(itertools.permutations(sorted(set(folders))[:MOST_PLACES], 2))
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for (images_at, masks_at), count in pairs.most_common(MOST_COLORS):
        drawn = _have_few_colors(tree, tree.full(masks_at))
        if drawn and not _have_few_colors(tree, tree.full(images_at)):
            found[_without_common_end(images_at, masks_at)] += count
    return [pair for pair, _ in found.most_common()]


def _without_common_end(one, other):
    parts, others = one.split("/"), other.split("/")
    while len(parts) > 1 and len(others) > 1 and parts[-1] == others[-1]:
        parts, others = parts[:-1], others[:-1]
    return "/".join(parts), "/".join(others)


def looks_like_masks(tree, folder: str) -> bool:
    """Whether the first files of a folder hold few colors, as masks do and photographs do not."""
    return _have_few_colors(tree, tree.full(folder))


def _have_few_colors(tree, names):
    places = sorted({0, len(names) // 2, len(names) - 1})[:LOOKED_AT]
    try:
        return all(_few_colors(os.path.join(tree.base, names[place])) for place in places)
    except DataError:
        return False


def _few_colors(path):
    with images.open_image(path) as image:
        if image.mode in ("F", "I") or image.mode.startswith("I;16"):
            return len(numpy.unique(numpy.asarray(image))) <= MOST_COLORS
        image.load()
        if images.is_lossy(image):
            return two_levels(numpy.asarray(image.convert("L").histogram()))
        return image.convert("RGB").getcolors(MOST_COLORS) is not None


def drawn_beside(tree, folder: str) -> set[str]:
    """Masks below a folder that lie beside their images: named after them, and of few colors.

    Names relative to the root, such as x_GT.png and mask_x.png beside x.png.
    """
    names = tree.full(folder)
    if not _named_after(names[:SAMPLED]):
        return set()
    drawn = _named_after(names)
    images_found = sorted(set(names) - drawn)
    if _have_few_colors(tree, sorted(drawn)) and not _have_few_colors(tree, images_found):
        return drawn
    return set()


def _named_after(names):
    """Files named after other ones in the same way, at least one for every second of these."""
    stems = {pairing.stem(name) for name in names}
    groups = collections.defaultdict(list)
    for name in names:
        stem = pairing.stem(name)
        image = pairing.begun(stem, stems)
        if image is not None:
            groups[stem.removeprefix(image)].append(name)
            continue
        folder, slash, last = stem.rpartition("/")
        begin = re.match(r"[^\W\d_]+[_-]", last)
        if begin and folder + slash + last[begin.end() :] in stems:
            groups[begin[0]].append(name)
    named = sum(map(len, groups.values()))
    return {
        name for each in groups.values() if 2 * len(each) >= len(names) - named for name in each
    }


def has_image_suffix(name: str) -> bool:
    """Whether a name ends as those of images do."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _keyed(names, key):
    found = {}
    for name in names:
        found.setdefault(key(name), name)
    return found


def _without_ending(stem, known):
    if stem in known:
        return stem
    ending = next((ending for ending in ENDINGS if stem.endswith(ending)), "")
    return stem.removesuffix(ending)


def _affixes(stems):
    """What all names begin with and end with, as far as it is no part of a number or word."""
    last = [stem.rpartition("/")[2] for stem in stems]
    begin = re.match(r"(?:.*[_\-. ])?", os.path.commonprefix(last))[0] if len(last) > 1 else ""
    end = os.path.commonprefix([name[::-1] for name in last])[::-1] if len(last) > 1 else ""
    end = re.search(r"(?:[_\-. ][^\d]*(?:\d+[^\d]+)*|)$", end)[0]
    return begin, end


def _cut(name, affixes):
    folder, slash, last = pairing.stem(name).rpartition("/")
    begin, end = affixes
    return folder + slash + last.removeprefix(begin).removesuffix(end)
