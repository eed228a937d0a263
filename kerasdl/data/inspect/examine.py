"""A close look at single samples: what `check` sums up afterwards."""

import dataclasses
import hashlib
import pathlib

import numpy
import PIL.Image

from kerasdl.core.errors import DataError
from kerasdl.data import images
from kerasdl.data.folder import mask_scan, masks
from kerasdl.data.inspect.findings import Finding
from kerasdl.data.suffixes import SUFFIXES

MOST_COLORS = 32  # of a mask; photographs hold more


@dataclasses.dataclass
class Record:
    """What is known about one sample.

    Attributes:
        split: Its split.
        name: Its name within the data set.
        path: Its image file, or its name where there is none.
        label: Class index, or None.
        size: (height, width) of the upright image; None if it cannot be read.
        header: images.Header; None if the image does not come from a file of its own.
        digest: Hash over the pixels; empty if they were not decoded.
        gray: Whether the three channels are equal everywhere.
        blank: Whether all pixels are white, as fully transparent images become.
        drawn: Whether the image holds few colors, as masks do.
        highest: Highest value of any channel, 0 to 255.
        mask: MaskValues, or None.
        findings: What is wrong with this sample alone.
    """

    split: str
    name: str
    path: str
    label: int | None = None
    size: tuple[int, int] | None = None
    header: images.Header | None = None
    digest: str = ""
    gray: bool = False
    blank: bool = False
    drawn: bool = False
    highest: int = 0
    mask: mask_scan.MaskValues | None = None
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def fail(self, error, kind, path=None):
        """Adds a DataError as a finding about this sample."""
        path = str(error.path or path or self.path)
        finding = Finding("error", error.what, path, "", error.fix or "", kind, skippable=True)
        self.findings.append(finding)


def examine_files(split, entry, rule, decode=True, read_mask=True):
    """Record of a sample that lies in files.

    Args:
        split: Name of the split.
        entry: layouts.Entry.
        rule: MaskRule, or None without masks.
        decode: Whether to decode the image; otherwise only its head is read.
        read_mask: Whether to read the values of the mask; otherwise only its size.
    """
    record = Record(split, entry.name, str(entry.image), entry.label)
    try:
        record.header = images.read_header(entry.image)
        record.size = record.header.size
        if decode or record.header.deep:
            _add_pixels(record, images.read_image(entry.image))
    except DataError as error:
        record.fail(error, "unreadable")
        record.size = None
    if entry.mask is None:
        return record
    try:
        if read_mask or not isinstance(entry.mask, str):
            stored, palette = masks.read_with_palette(entry.mask_source(), rule)
            record.mask = mask_scan.values_of(stored, entry.mask_path, palette)
            mask_size = record.mask.shape
        else:
            header = images.read_header(entry.mask_path)
            mask_size = header.size
            if header.format in ("JPEG", "WEBP"):
                masks.read_stored(entry.mask_path, rule)  # raises the error with its fix
    except DataError as error:
        record.fail(error, "mask-unreadable", entry.mask_path)
        return record
    if record.size is not None and mask_size != record.size:
        record.findings.append(mask_scan.size_finding(entry, record.size, mask_size))
    return record


def examine_sample(split_name, split, index):
    """Record of a sample of any split, such as one of TensorFlow Datasets."""
    name = split.name(index)
    record = Record(split_name, name, name)
    try:
        sample = split[index]
    except DataError as error:
        record.fail(error, "unreadable")
        return record
    record.label = sample.label
    record.size = sample.image.shape[:2]
    _add_pixels(record, sample.image)
    if sample.mask is not None:
        record.mask = mask_scan.values_of(sample.mask, name)
        if sample.mask.shape != record.size:
            what = f"mask of shape {sample.mask.shape} for an image of shape {record.size}"
            record.findings.append(Finding("error", what, name, kind="mask-size", skippable=True))
    return record


def wrong_suffix(record):
    """Whether the suffix of an image file names another format than its content."""
    suffix = pathlib.PurePath(record.path).suffix.lower()
    return suffix not in SUFFIXES[record.header.format]


def _add_pixels(record, image):
    record.size = image.shape[:2]
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(numpy.ascontiguousarray(image))
    record.digest = digest.hexdigest()
    record.gray = bool(
        (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()
    )
    record.drawn = PIL.Image.fromarray(image).getcolors(MOST_COLORS) is not None
    record.blank = bool(image.min() == 255)
    record.highest = int(image.max())
