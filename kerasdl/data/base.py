"""What a data set is to the rest of kerasdl: named splits of samples with random access."""

import dataclasses
from typing import NamedTuple, Protocol

import numpy


class Sample(NamedTuple):
    """One image and what is known about it, as stored, before any resize.

    Attributes:
        image: uint8, shape (height, width, 3), RGB, upright.
        label: Class index, or None.
        mask: uint8 class indices, shape (height, width), or None.
    """

    image: numpy.ndarray
    label: int | None = None
    mask: numpy.ndarray | None = None


class Split(Protocol):
    """Random access to the samples of one split.

    A split may also offer `take(indices, image_size)` that returns a whole batch at once
    (`images, labels, masks` as arrays, or None where there are none); `data.batches` uses it.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def name(self, index: int) -> str:
        """Identifier of a sample for messages and reports, such as its path within the folder."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Named splits and the facts about them.

    Attributes:
        name: Short name used in run folders, such as "scenes" or "camvid".
        splits: Mapping of "train", "validation" and "test" to splits; absent ones are left out.
        class_names: Names in the order of the class indices; empty if there are no classes.
        palette: One (red, green, blue) per class, 0-255.
        ignore_labels: Mask values that are left out of loss and metrics.
        license: License or terms of use, as far as known.
        summary: One line on how a folder was read, such as the layout and its classes.
        source: Where the data come from: path, TFDS name and version, or generator version.
        fingerprint: Hash over the list of samples (names and sizes), to notice changed data.
    """

    name: str
    splits: dict[str, Split]
    class_names: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    ignore_labels: tuple[int, ...] = ()
    license: str = ""
    summary: str = ""
    source: str = ""
    fingerprint: str = ""


class Settings(Protocol):
    """What `kerasdl.data.load` and `check` read of a configuration."""

    @property
    def data(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def split_seed(self) -> int: ...
    @property
    def image_size(self) -> tuple[int, int]: ...
    @property
    def ignore_labels(self) -> tuple[int, ...]: ...
    @property
    def validation_split(self) -> float: ...
    @property
    def test_split(self) -> float: ...
    @property
    def train_size(self) -> int: ...
    @property
    def validation_size(self) -> int: ...
    @property
    def test_size(self) -> int: ...
    @property
    def skip_invalid(self) -> bool: ...
    @property
    def download(self) -> bool: ...
