"""Tiny data sets in exactly the form in which they are published; no test changes them.

Every image is 16 wide and 12 high. `BLOCK` is the region that most masks mark.
"""

import json
import types

import numpy
import PIL.Image
from data_fixtures import image, save

from kerasdl import data
from kerasdl.data.folder import discover, masks

HEIGHT, WIDTH = 12, 16
BLOCK = numpy.s_[3:9, 4:12]
SETTINGS = types.SimpleNamespace(
    split_seed=0,
    task="segmentation",
    validation_split=0.2,
    test_split=0.2,
    train_size=0,
    validation_size=0,
    test_size=0,
    image_size=16,
    ignore_labels=(),
    skip_invalid=False,
    download=False,
)


def block(value, background=0):
    """uint8 mask (12, 16): one value within `BLOCK`, another around it."""
    mask = numpy.full((HEIGHT, WIDTH), background, "uint8")
    mask[BLOCK] = value
    return mask


def photo(path, seed=0):
    """Writes an image of noise."""
    return save(image(seed, HEIGHT, WIDTH), path)


def palette(values, colors):
    """Palette image of some indices; colors are those of the first indices."""
    picture = PIL.Image.frombytes("P", (WIDTH, HEIGHT), values.tobytes())
    picture.putpalette([part for color in colors for part in color])
    return picture


def write(path, content):
    """Writes text, or an object as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def settings(root, annotation="mask"):
    """Settings of `kerasdl.data.load` for a folder."""
    task = {"mask": "segmentation", "label": "classification", "none": "colorization"}[annotation]
    return types.SimpleNamespace(**vars(SETTINGS) | {"data": str(root), "task": task})


def read(root, annotation="mask"):
    """Reading of a folder by the layout that is found."""
    return discover.discover(data.locate(str(root), annotation), annotation)


def layout_of(root, annotation="mask"):
    """Name of the layout that is found."""
    return data.locate(str(root), annotation).source.name


def masks_of(reading):
    """Class indices per split and image, as lists."""
    rule = masks.rule_for(reading)
    return {
        split: {entry.file: masks.read_mask(entry.mask_source(), rule).tolist() for entry in part}
        for split, part in reading.splits.items()
    }


def labels_of(reading):
    """Class name per split and image."""
    return {
        split: {entry.file: reading.class_names[entry.label] for entry in part}
        for split, part in reading.splits.items()
    }


def files_of(reading):
    """Names of the images per split."""
    return {split: [entry.file for entry in part] for split, part in reading.splits.items()}


def errors_of(reading):
    """The errors of a reading as lines."""
    return [finding.line() for finding in reading.findings if finding.severity == "error"]


def notes_of(reading):
    """The notes and warnings of a reading as lines."""
    return [finding.line() for finding in reading.findings if finding.severity != "error"]


def only_error(root, annotation="mask"):
    """The one error of a folder, as a line."""
    found = errors_of(read(root, annotation))
    assert len(found) == 1, found
    return found[0]
