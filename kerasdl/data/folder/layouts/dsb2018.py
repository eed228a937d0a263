"""Data Science Bowl 2018: `stage1_train/ID/images/ID.png`, `stage1_train/ID/masks/*.png`.

Each image has a folder of its own, with one black and white mask per object; they are drawn over
each other. Images without masks (`stage1_test`) are left out.
"""

import re

from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, pairing
from kerasdl.data.inspect.findings import counted

TITLE = "Data Science Bowl 2018"
IMAGE = re.compile(r"(?P<place>(?:.*/)?(?P<id>[^/]+))/images/(?P=id)\.\w+")
NUCLEI = re.compile(r"[0-9a-f]{64}")


def matches(location):
    """Whether there are several folders ID/ with images/ID.png and masks/."""
    tree = location.tree
    found = (name for name in tree.folders if name.endswith("/masks") and tree.count(name))
    return sum(_image(tree, name) is not None for name in found) > 1


def read(location, annotation):
    """Objects and background for segmentation, and the images for colorization."""
    tree = location.tree
    images = {found["place"]: found[0] for found in map(IMAGE.fullmatch, tree.images) if found}
    reading = Reading(tree)
    if annotation == "none":
        reading.splits[UNDIVIDED] = [reading.entry(name) for name in images.values()]
        reading.summary = f"{TITLE}: images of {len(images)} folders"
        return reading
    masks = {place: tree.full(f"{place}/masks") for place in images}
    bare = [place for place in images if not masks[place]]
    reading.splits[UNDIVIDED] = [
        reading.entry(name, mask=common.FileMask(tree.base, *masks[place]))
        for place, name in images.items()
        if masks[place]
    ]
    if bare:
        what = f"{counted(len(bare), 'image')} without masks left out: {pairing.stems(bare)}"
        common.note(reading, what, bare[0], "`kerasdl predict` reads them")
    nuclei = all(NUCLEI.fullmatch(place.rpartition("/")[2]) for place in images)
    reading.class_names = ("background", "nucleus" if nuclei else "foreground")
    reading.summary = f"{TITLE}: 2 classes, no splits, the masks of an image drawn over each other"
    return reading


def _image(tree, masks):
    """The only image beside a folder of masks, if it is named as the folder above; else None."""
    folder = f"{masks.removesuffix('/masks')}/images"
    names = tree.full(folder)
    return names[0] if len(names) == 1 and IMAGE.fullmatch(names[0]) else None
