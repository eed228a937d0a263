"""Images and masks that belong together by their names; lists of names."""

import os
import re
import unicodedata

from kerasdl.data.folder.layouts import Entry, Reading
from kerasdl.data.inspect.findings import counted, listing, printable


def pairs(
    reading: Reading, images: str, masks: str, image_suffix: str = "", mask_suffix: str = ""
) -> list[Entry]:
    """Entries of a folder of images and a folder of masks with the same names.

    Names are compared without the file suffix and composed (NFC), after `image_suffix` and
    `mask_suffix` are taken off: `a_leftImg8bit.png` and `a_gtFine_labelIds.png` are a pair with the
    suffixes `_leftImg8bit` and `_gtFine_labelIds`. Files without the suffix are left out. The
    folders may be the same one. Findings name images and masks that are alone.
    """
    found = by_key(reading, images, image_suffix)
    drawn = by_key(reading, masks, mask_suffix)
    if images == masks:
        taken = set(drawn.values())
        found = {key: name for key, name in found.items() if name not in taken}
        if mask_suffix and not image_suffix:  # x_2nd.png beside x.png and x_1st.png is no image
            found = {key: name for key, name in found.items() if begun(key, drawn) is None}
    return join(reading, found, drawn, images, masks)


def join(reading: Reading, images: dict, masks: dict, folder: str, masks_at: str) -> list[Entry]:
    """Entries of the keys that images and masks have in common; findings about the others."""
    alone = [name for key, name in images.items() if key not in masks]
    orphans = [name for key, name in masks.items() if key not in images]
    if alone:
        reading.error(
            f"{counted(len(alone), 'image')} without a mask: {stems(alone)}",
            alone[0],
            f"add the masks to {masks_at}/, or remove the images",
            skippable=True,
        )
    if orphans:
        reading.error(
            f"{counted(len(orphans), 'mask')} without an image: {stems(orphans)}",
            orphans[0],
            f"add the images to {folder}/, or remove the masks",
            skippable=True,
        )
    return [reading.entry(name, mask=masks[key]) for key, name in images.items() if key in masks]


def by_key(reading: Reading, folder: str, suffix: str = "") -> dict[str, str]:
    """Names (relative to the root) of the images below a folder by what pairs them."""
    found: dict[str, str] = {}
    tree = reading.tree
    for name, full in zip(tree.below(folder), tree.full(folder), strict=True):
        key = stem(name)
        if suffix:
            if not key.endswith(suffix):
                continue
            key = key.removesuffix(suffix)
        if key in found:
            what = f"two files of one name: {printable(found[key])} and {printable(full)}"
            reading.error(what, full, "remove or rename one of them")
        else:
            found[key] = full
    return found


def begun(stem: str, known) -> str | None:
    """The longest of some known names that a name begins with, up to "_", "-", "." or " "."""
    cuts = [match.start() for match in re.finditer(r"[_\-. ]", stem)]
    return next((stem[:cut] for cut in reversed(cuts) if stem[:cut] in known), None)


def stem(name: str) -> str:
    """A name without its last suffix, Unicode composed (NFC)."""
    name = os.path.splitext(name)[0]
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def stems(names) -> str:
    """The stems of the first few names as text."""
    return listing([printable(os.path.splitext(os.path.basename(name))[0]) for name in names])


def read_list(reading: Reading, name: str) -> list[str]:
    """First words of the lines of a text file below the root, such as ImageSets/.../train.txt.

    Empty lines and lines that start with "#" are left out; a byte order mark is no part of the
    first. A file that cannot be read becomes a finding.
    """
    try:
        text = (reading.tree.root / name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reading.error(f"list of names cannot be read: {error}", name, "save it as UTF-8")
        return []
    lines = (line.strip() for line in text.splitlines())
    return [line.split()[0] for line in lines if line and not line.startswith("#")]
