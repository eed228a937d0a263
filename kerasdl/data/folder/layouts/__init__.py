"""Layouts of data folders: one module each, one entry of `kerasdl.data.SOURCES` each.

A layout module has two functions, and imports nothing heavy to answer the first:

    matches(location: Location) -> bool
        Whether the folder is laid out so. It looks at `location.tree` only: names of folders and
        files, never their content, except for the first kilobytes of a JSON or XML file where the
        names alone do not tell. The walk through the folder is done once for all layouts.

    read(location: Location, annotation: str) -> Reading
        The samples: "label" wants `Entry.label`, "mask" wants `Entry.mask`, "none" neither (what is
        there all the same is dropped). Problems of the data become findings of the `Reading`
        (`reading.error(what, name, fix)`), never exceptions, so that `data check` can list them
        all. Nothing is decoded here: JSON and XML are read, pixels are not.

`Location.tree` is a `kerasdl.data.folder.tree.Tree`: names relative to the root with "/":

    tree.images                 all files with an image's suffix, sorted
    tree.documents              all .json, .xml, .txt, .csv, .tsv, .yaml, .yml files, sorted
    tree.folders                all folders
    tree.below(folder)          images below a folder, relative to it
    tree.full(folder)           the same, relative to the root
    tree.count(folder)          how many there are; 0 if there is no such folder
    tree.within(folder)         images directly in a folder: file names
    tree.children(folder)       folders directly in a folder: names

What `dataset.toml` says replaces what the reader found (names, palette, ignore_label, mask_values),
and a folder whose `dataset.toml` describes the arrangement (`images`, `masks`, `train`, ...) never
reaches a layout. `layout = "NAME"` there picks a layout by its name. Where two layouts match and
neither names the other in `SourceSpec.over`, the user is asked, with both as lines to paste.

`segnet.py` is the model of a short layout.
"""

import dataclasses
import os
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kerasdl.data.folder.tree import Tree
from kerasdl.data.inspect.findings import Finding, printable

if TYPE_CHECKING:
    import numpy

UNDIVIDED = "all"  # the split of data that have none: it is divided by the seed
SPLITS = ("train", "validation", "test")


@runtime_checkable
class DrawnMask(Protocol):
    """A mask that is no image file of its own: polygons, run lengths, several files together.

    Attributes:
        path: The file to name in messages.
        fingerprint_text: Changes whenever the mask does, such as "annotations.json#17 4031".
    """

    path: str
    fingerprint_text: str

    def read(self) -> "numpy.ndarray":
        """Stored values, uint8 (height, width), at the size of the image when upright."""


class Entry:
    """Where one sample lies. A plain class with slots: there may be hundreds of thousands.

    Attributes:
        root: The data folder, absolute; one string that all entries share.
        file: The image's name relative to it, with "/".
        label: Class index, or None.
        mask: The mask's name relative to the root, a `DrawnMask`, or None.
    """

    __slots__ = ("file", "label", "mask", "root")

    def __init__(self, root: str, file: str, label: int | None = None, mask=None):
        self.root = root
        self.file = file
        self.label = label
        self.mask = mask

    @property
    def name(self) -> str:
        """The image's name relative to the data folder, printable."""
        return printable(self.file)

    @property
    def image(self) -> str:
        """Path of the image."""
        return os.path.join(self.root, self.file)

    @property
    def mask_path(self) -> str | None:
        """Path of the mask, for reading where it is a file and for messages elsewhere."""
        if self.mask is None:
            return None
        return os.path.join(self.root, self.mask if isinstance(self.mask, str) else self.mask.path)

    def mask_source(self):
        """What `masks.read_mask` reads: the mask's path, or the DrawnMask."""
        return self.mask_path if isinstance(self.mask, str) else self.mask


@dataclasses.dataclass
class Reading:
    """What a layout made of a data folder.

    Attributes:
        tree: The files.
        splits: Samples per split: "train", "validation", "test", or only `UNDIVIDED` for data
            without splits, which are then drawn by the seed. Missing splits are left out.
        class_names: Names in the order of the class indices; empty: they are not known, and the
            masks are searched for their values.
        ignore: Stored mask values that are left out of loss and metrics.
        values: Stored mask value -> class index, or "ignore"; empty: the value is the index.
        colors: (red, green, blue) in a mask -> class index, or "ignore".
        palette: One (red, green, blue) per class for drawing; empty: a default.
        threshold: Masks from this gray value on are class 1, below it 0; None: the values count.
        channel: "red", "green", "blue" or "alpha", where one channel alone holds the values.
        summary: One line for the user: the layout and what follows from it, such as
            "Pascal VOC: 21 classes, 255 ignored, splits from ImageSets/Segmentation".
        license: License or terms of use, where the layout itself tells.
        findings: What is wrong with the structure.
    """

    tree: Tree
    splits: dict[str, list[Entry]] = dataclasses.field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    ignore: tuple[int, ...] = ()
    values: dict[int, int | str] = dataclasses.field(default_factory=dict)
    colors: dict[tuple[int, int, int], int | str] = dataclasses.field(default_factory=dict)
    palette: tuple[tuple[int, int, int], ...] = ()
    threshold: int | None = None
    channel: str = ""
    summary: str = ""
    license: str = ""
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def entry(self, file: str, label: int | None = None, mask=None) -> Entry:
        """Entry of an image of this folder, by its name relative to the root."""
        return Entry(self.tree.base, file, label, mask)

    def error(self, what, name="", fix="", cause="", skippable=False):
        """Adds an error about a file or folder, named relative to the root."""
        path = printable(self.tree.root / name)
        self.findings.append(Finding("error", what, path, cause, fix, skippable=skippable))

    def warn(self, what, name="", fix=""):
        """Adds a warning about a file or folder, named relative to the root."""
        path = printable(self.tree.root / name)
        self.findings.append(Finding("warning", what, path, fix=fix))
