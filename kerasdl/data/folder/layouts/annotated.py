"""What the annotation formats share: from regions with labels to samples with class indices."""

import collections
import math
import os
import unicodedata
from typing import NamedTuple

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data import images
from kerasdl.data.folder.dataset_values import MOST_CLASSES, VOID_NAMES
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, shapes
from kerasdl.data.inspect.findings import counted, listing

BACKGROUND = "background"
BACKGROUND_NAMES = (BACKGROUND, "_background_", "__background__")
IGNORED = 255
LEFT_OUT = "(ignored)"  # the label that the formats themselves give, such as to crowds


class Drawn(NamedTuple):
    """What is annotated in one image.

    Attributes:
        file: The image's name relative to the data folder.
        size: (height, width) of the upright image; None: that of the file.
        regions: (label, shape) of each region, the lowest first. The label is a name.
        document: The file that says so, relative to the data folder.
        key: What names the image in that file.
    """

    file: str
    size: tuple[int, int] | None
    regions: list[tuple[str, shapes.Shape]]
    document: str
    key: str


class RegionMask:
    """The mask of one image, drawn from its regions when it is read.

    Attributes:
        root: The data folder.
        document: The file that holds the regions.
        key: What names the image in the document.
        file: The image.
        size: (height, width); None: that of the image file.
        regions: Sequence of `shapes.Region`.
    """

    __slots__ = ("document", "file", "key", "regions", "root", "size")

    def __init__(self, root, drawn, regions):
        self.root, self.document, self.key = root, drawn.document, drawn.key
        self.file, self.size, self.regions = drawn.file, drawn.size, regions

    @property
    def path(self) -> str:
        """The document, for messages."""
        return os.path.join(self.root, self.document)

    @property
    def fingerprint_text(self) -> str:
        """The document, its size, and the image within."""
        return f"{self.document}#{self.key} {common.size_of(self.path)}"

    def read(self) -> numpy.ndarray:
        """Class indices, uint8 (height, width). Raises DataError naming the document."""
        size = self.size or images.read_header(os.path.join(self.root, self.file)).size
        if min(size) < 1 or math.prod(size) > images.MAX_PIXELS:
            what = f"{self.key} is {size[1]}x{size[0]}, at most {images.MAX_PIXELS} pixels are read"
            raise DataError(what, self.path, "correct the size of the image in the file")
        try:
            return shapes.draw(self.regions, size)
        except DataError as error:
            raise DataError(f"{self.key}: {error.what}", self.path, error.fix) from error


class Collection:
    """What a format has found in its files, image by image.

    Args:
        title: The format, for the user.
        document: The file that messages about all images name; "" is the folder.

    Attributes:
        drawn: The annotated images per split.
        outlines: Number of boxes, lines and points, which are no masks.
    """

    def __init__(self, title: str, document: str = ""):
        self.title, self.document = title, document
        self.drawn: dict[str, list[Drawn]] = {}
        self.outlines = 0

    def add(self, split: str, drawn: Drawn, outlines: int = 0) -> None:
        """Adds an image to a split."""
        self.drawn.setdefault(split, []).append(drawn)
        self.outlines += outlines

    def labels(self) -> set[str]:
        """All labels that occur."""
        members = (one for part in self.drawn.values() for one in part)
        return {label for one in members for label, _ in one.regions}

    def fill(self, reading: Reading, file, annotation: str, names: list[str], how="") -> None:
        """Fills in samples, classes and the summary.

        The background, what no region covers, is the class 0. Regions called "void", "ignore" and
        the like are left out of loss and metrics.

        Args:
            reading: What is filled in.
            file: What dataset.toml says; its names give the order of the classes.
            annotation: "mask" or "none".
            names: Labels in the order of the classes.
            how: Further words for the summary, such as "smaller regions over larger ones".
        """
        splits = ", ".join((*([how] if how else ()), common.splits_of(self.drawn)))
        if len(self.drawn) > 1 and UNDIVIDED in self.drawn:
            place = self.drawn[UNDIVIDED][0].document
            reading.error("images with and without a split", place, "name train, val, test for all")
        if annotation == "none":
            for split, members in self.drawn.items():
                reading.splits[split] = [reading.entry(one.file) for one in members]
            reading.summary = f"{self.title}: images of the annotations, {splits}"
            return
        self._report(reading)
        classes = _classes(reading, file, names)
        for split, members in self.drawn.items():
            entries = []
            for one in members:
                regions = tuple(
                    shapes.Region(shape, classes[label]) for label, shape in one.regions
                )
                mask = RegionMask(reading.tree.base, one, regions)
                entries.append(reading.entry(one.file, mask=mask))
            reading.splits[split] = entries
        count = len(reading.class_names)
        reading.summary = f"{self.title}: {count} classes with background, {splits}"

    def _report(self, reading):
        """Says what becomes of boxes, and of images without regions."""
        members = [one for part in self.drawn.values() for one in part]
        bare = sum(not one.regions for one in members)
        if self.outlines and bare == len(members):
            reading.error(
                f"only boxes, lines or points ({self.outlines}), no masks",
                self.document,
                "annotate polygons, or train on images alone: --task colorization",
            )
            return
        if self.outlines:
            what = f"boxes, lines and points are no masks: {self.outlines} left out"
            common.note(reading, what, self.document)
        if bare:
            what = f"{counted(bare, 'image')} without a region: background only"
            common.note(reading, what, self.document)


def _classes(reading, file, labels):
    """Value in the mask per label; sets the names of the classes and what is ignored."""
    ignored = [label for label in labels if is_void(label)]
    background = [label for label in labels if label.casefold() in BACKGROUND_NAMES]
    things = [label for label in labels if label not in ignored and label not in background]
    first = background[0] if background else BACKGROUND
    if file.names:
        if sorted(file.names) != sorted([first, *things]):
            reading.error(
                f"class names and labels differ; the labels are {listing([first, *things], 20)}",
                "",
                "correct 'names' in dataset.toml, or leave it out",
            )
        else:
            things = [name for name in file.names if name != first]
            if file.names[0] != first:
                reading.error(f"'{first}' must be the first class", "", "put it first in 'names'")
    if len(things) >= MOST_CLASSES:
        what = f"{len(things) + 1} classes, at most {MOST_CLASSES} are possible"
        reading.error(what, "", "leave out categories of the annotations, or merge them")
    reading.class_names = (first, *things)
    values = {label: index for index, label in enumerate(things, 1)}
    values |= dict.fromkeys(background, 0) | dict.fromkeys(ignored, IGNORED)
    if ignored:
        reading.ignore = (IGNORED,)
    if named := [label for label in ignored if label != LEFT_OUT]:
        common.note(reading, f"regions of {listing(named)} are ignored")
    return values


def is_void(label: str) -> bool:
    """Whether regions of that label are left out of loss and metrics."""
    return label == LEFT_OUT or label.casefold().strip("_") in VOID_NAMES


def find_files(
    reading: Reading, places: list[str], wanted: list[tuple[str, ...]]
) -> list[str | None]:
    """The image files that annotations name, relative to the root; None for those not found.

    Where no name at all leads to a file from one of the places, files are found by their own names
    alone, if there is only one of the name. Mixing the two could take an image of another split.

    Args:
        reading: Where the tree is.
        places: Folders that the names may be relative to, the likeliest first.
        wanted: Per image the names to try.
    """
    images = reading.tree.images
    places = [place for place in dict.fromkeys(places) if reading.tree.count(place)]

    composed = {unicodedata.normalize("NFC", name): name for name in images if not name.isascii()}

    def placed(names):
        names = [_plain(name) for name in names]
        candidates = [common.join(place, name) for place in places for name in names]
        exact = next((name for name in candidates if common.has(images, name)), None)
        return exact or next(filter(None, map(composed.get, candidates)), None)

    found = [placed(names) for names in wanted]
    if any(found):
        return found
    by_name = collections.defaultdict(list)
    for file in images:
        by_name[_plain(file.rsplit("/", 1)[-1])].append(file)

    def unique(names):
        files = [by_name[_plain(name).rsplit("/", 1)[-1]] for name in names]
        return next((one[0] for one in files if len(one) == 1), None)

    return [unique(names) for names in wanted]


def _plain(name):
    """A name of a document as it is looked for: with "/", Unicode composed."""
    name = name.replace("\\", "/").removeprefix("./")
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def report_missing(reading: Reading, document: str, missing: list[str]) -> None:
    """An error about images that a document names and the folder does not hold."""
    if missing:
        reading.error(
            f"{counted(len(missing), 'image')} of the annotations not found: {listing(missing)}",
            document,
            "add the images, or remove them from the file",
            skippable=True,
        )
