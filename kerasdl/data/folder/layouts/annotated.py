"""What the annotation formats share: from regions with labels to samples with class indices."""

import os
from typing import NamedTuple

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data import images
from kerasdl.data.folder.dataset_file import MOST_CLASSES, VOID_NAMES
from kerasdl.data.folder.layouts import Reading, common, shapes
from kerasdl.data.inspect.findings import counted, listing

BACKGROUND = "background"
BACKGROUND_NAMES = (BACKGROUND, "_background_", "__background__")
IGNORED = 255


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
        path: The document that holds the regions.
        key: What names the image in the document.
        file: The image.
        size: (height, width); None: that of the image file.
        regions: Sequence of `shapes.Region`.
    """

    __slots__ = ("file", "key", "path", "regions", "root", "size")

    def __init__(self, root, drawn, regions):
        self.root, self.path, self.key = root, drawn.document, drawn.key
        self.file, self.size, self.regions = drawn.file, drawn.size, regions

    @property
    def fingerprint_text(self) -> str:
        """The document, its size, and the image within."""
        size = common.size_of(os.path.join(self.root, self.path))
        return f"{self.path}#{self.key} {size}"

    def read(self) -> numpy.ndarray:
        """Class indices, uint8 (height, width). Raises DataError naming the document."""
        size = self.size or images.read_header(os.path.join(self.root, self.file)).size
        try:
            return shapes.draw(self.regions, size)
        except DataError as error:
            path = os.path.join(self.root, self.path)
            raise DataError(f"{self.key}: {error.what}", path, error.fix) from error


def add_samples(
    reading: Reading, file, annotation: str, drawn: dict[str, list[Drawn]], names: list[str]
) -> None:
    """Fills in samples and classes.

    The background, what no region covers, is the class 0. Regions called "void", "ignore" and the
    like are left out of loss and metrics.

    Args:
        reading: What is filled in.
        file: What dataset.toml says; its names give the order of the classes.
        annotation: "mask" or "none".
        drawn: The annotated images per split.
        names: Labels in the order of the classes.
    """
    if annotation == "none":
        for split, members in drawn.items():
            reading.splits[split] = [reading.entry(one.file) for one in members]
        return
    classes = _classes(reading, file, names)
    for split, members in drawn.items():
        entries = []
        for one in members:
            regions = tuple(shapes.Region(shape, classes[label]) for label, shape in one.regions)
            entries.append(
                reading.entry(one.file, mask=RegionMask(reading.tree.base, one, regions))
            )
        reading.splits[split] = entries
    if any(value == IGNORED for value in classes.values()):
        reading.ignore = (IGNORED,)


def _classes(reading, file, labels):
    """Value in the mask per label; sets the names of the classes."""
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
        reading.error(f"{len(things) + 1} classes, at most {MOST_CLASSES} are possible")
    reading.class_names = (first, *things)
    values = {label: index for index, label in enumerate(things, 1)}
    return values | dict.fromkeys(background, 0) | dict.fromkeys(ignored, IGNORED)


def is_void(label: str) -> bool:
    """Whether regions of that label are left out of loss and metrics."""
    return label.casefold().strip("_") in VOID_NAMES


class Finder:
    """Finds the image file that an annotation names: by its path, else by its own name.

    Args:
        reading: Where the tree is and findings go.
        places: Folders that the names may be relative to, the likeliest first.
    """

    def __init__(self, reading: Reading, places: list[str]):
        self.images = reading.tree.images
        self.places = list(dict.fromkeys(place for place in places if reading.tree.count(place)))
        self._by_name = None

    def find(self, name: str) -> str | None:
        """The file, relative to the root; None if there is none, or more than one of the name."""
        name = name.replace("\\", "/").removeprefix("./")
        for place in self.places:
            candidate = common.join(place, name)
            if common.has(self.images, candidate):
                return candidate
        if self._by_name is None:
            self._by_name = {}
            for file in self.images:
                self._by_name.setdefault(file.rsplit("/", 1)[-1], []).append(file)
        found = self._by_name.get(name.rsplit("/", 1)[-1], [])
        return found[0] if len(found) == 1 else None


def report_missing(reading: Reading, document: str, missing: list[str]) -> None:
    """An error about images that a document names and the folder does not hold."""
    if missing:
        reading.error(
            f"{counted(len(missing), 'image')} of the annotations not found: {listing(missing)}",
            document,
            "add the images, or remove them from the file",
            skippable=True,
        )


def report_boxes(reading: Reading, document: str, boxes: int, regions: int) -> None:
    """Says what becomes of boxes, lines and points, which are no masks."""
    if boxes and not regions:
        reading.error(
            f"only boxes, lines or points ({boxes}), no masks",
            document,
            "annotate polygons, or train on images alone: --task colorization",
        )
    elif boxes:
        common.note(reading, f"{boxes} boxes, lines or points are no masks, left out", document)
