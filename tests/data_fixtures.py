"""Small image folders for the tests of real data, made by Pillow; no test changes them."""

import hashlib
import io
import pathlib

import numpy
import PIL.Image
import pytest

from kerasdl.core.errors import DataError
from kerasdl.engine import datasets
from kerasdl.runs import config

GREEN, RED = (0, 160, 0), (200, 0, 0)


def image(seed=0, height=32, width=32):
    """uint8 color image (height, width, 3) that no two seeds share."""
    return numpy.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")


def save(array, path, **options):
    """Writes an array, or a Pillow image, to a file whose folder is made; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = array if isinstance(array, PIL.Image.Image) else PIL.Image.fromarray(array)
    image.save(path, **options)
    return path


def content(array, kind, **options):
    """Bytes of an image file."""
    stream = io.BytesIO()
    image = array if isinstance(array, PIL.Image.Image) else PIL.Image.fromarray(array)
    image.save(stream, kind, **options)
    return stream.getvalue()


def class_folder(root, counts=(6, 6), names=("cat", "dog")):
    """Class folders without splits: 12 images of 32x32 in 2 classes."""
    for label, (name, count) in enumerate(zip(names, counts, strict=True)):
        for index in range(count):
            save(image(100 * label + index), root / name / f"{index:02d}.png")
    return root


def split_class_folder(root, counts=None, names=("cat", "dog")):
    """Class folders in split folders; counts per split folder name."""
    for place, (split, count) in enumerate((counts or {"train": 4, "val": 2, "test": 2}).items()):
        for label, name in enumerate(names):
            for index in range(count):
                seed = 10_000 * place + 100 * label + index
                save(image(seed), root / split / name / f"{index:02d}.png")
    return root


def mask(seed=0, height=32, width=32, classes=2):
    """uint8 mask of class indices in which every class occurs."""
    values = numpy.random.default_rng(seed).integers(0, classes, (height, width)).astype("uint8")
    values[0, :classes] = range(classes)
    return values


def mask_folder(root, count=12, classes=2, splits=("",), names=("background", "thing")):
    """`images/` and `masks/`, flat or in split folders, with a classes.txt if names are given."""
    for place, split in enumerate(splits):
        for index in range(count):
            seed = 1000 * place + index
            save(image(seed), root / "images" / split / f"{index:02d}.jpg")
            save(mask(seed, classes=classes), root / "masks" / split / f"{index:02d}.png")
    if names:
        (root / "classes.txt").write_text("\n".join(names) + "\n")
    return root


def load(root, task="classification", **values):
    """Dataset of a path for a task, as training loads it."""
    return datasets.load(config.Config(**{"task": task, "data": str(root), **values}))


def tree_hash(root):
    """Hash over the names, contents and times of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(root).rglob("*")):
        digest.update(f"{path.relative_to(root)} {path.stat().st_mtime_ns}".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def data_error(function, *arguments):
    """The DataError a call raises, after a look at its form: one line, exit code 3."""
    with pytest.raises(DataError) as caught:
        function(*arguments)
    error = caught.value
    assert error.exit_code == 3
    assert "\n" not in str(error)
    return error
