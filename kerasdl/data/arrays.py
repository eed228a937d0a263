"""Images and class indices in one .npz file of NumPy arrays; nothing in it is ever unpickled.

Keys: `x_train`, `y_train`, and optionally `x_validation` (or `x_val`), `x_test` with their `y_`;
or `images`, `labels` without splits. Images are uint8 of shape (N, height, width), (N, height,
width, 1) or (N, height, width, 3); labels are integers of shape (N,) or (N, 1). Class names come
from the key `classes` or `class_names`, or from a `classes.txt` beside the file.
"""

import hashlib
import zipfile
from typing import NamedTuple

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data import path_name, splitting
from kerasdl.data.base import Dataset, Sample
from kerasdl.data.folder import masks
from kerasdl.data.folder.dataset_file import NAMES_FILE, read_names
from kerasdl.data.folder.layouts import UNDIVIDED

KEYS = {
    "train": ("x_train", "y_train"),
    "validation": ("x_validation", "y_validation"),
    "test": ("x_test", "y_test"),
    UNDIVIDED: ("images", "labels"),
}
ALIASES = {"x_val": "x_validation", "y_val": "y_validation"}


class Place(NamedTuple):
    """Where one sample lies: its name, its group of arrays, its position there, its class."""

    name: str
    group: str
    index: int
    label: int | None = None


class ArraySplit:
    """Samples of one split, held in memory.

    Args:
        images: uint8, shape (N, height, width) or (N, height, width, channels), 1 or 3 channels.
        labels: int32, shape (N,), or None.
        origins: Names of the samples, such as "train/00012".
    """

    def __init__(self, images, labels, origins):
        self.images = images
        self._labels = labels
        self.origins = list(origins)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        label = None if self._labels is None else int(self._labels[index])
        return Sample(_colored(self.images[index : index + 1 or None])[0], label)

    def take(self, indices, image_size):
        """Whole batch at once (images, labels, None), or None where a resize would be needed."""
        if self.images.shape[1:3] != tuple(image_size):
            return None
        labels = None if self._labels is None else self._labels[indices]
        return _colored(self.images[indices]), labels, None

    def name(self, index):
        """Name of a sample: split and position in the file."""
        return self.origins[index]

    def names(self):
        """Names of all samples, in order."""
        return list(self.origins)

    def labels(self):
        """Class indices of all samples, int32, or None."""
        return self._labels


def load(location, annotation, config):
    """Dataset of an .npz file, with labels or of images alone.

    Raises:
        DataError: Not an .npz file, keys or shapes missing, labels outside the classes.
    """
    path = location.path
    if annotation == "mask":
        raise DataError(
            "an .npz file holds classes, no masks", path, "use folders images/ and masks/"
        )
    if not path.is_file():
        raise DataError("no such file", path, "give an .npz file, a folder or 'scenes'")
    content = _read(path)
    groups = {}
    for split, (x_key, y_key) in KEYS.items():
        if x_key in content:
            groups[split] = _checked(content, x_key, y_key, annotation, path)
    if "train" not in groups and UNDIVIDED not in groups:
        keys = ", ".join(sorted(content)) or "none"
        raise DataError(
            f"no training images; keys found: {keys}", path, "expected x_train and y_train"
        )
    names = () if annotation == "none" else _class_names(content, groups, path)
    if "train" in groups:
        groups.pop(UNDIVIDED, None)
    places = {split: _places(split, *group) for split, group in groups.items()}
    splits = {}
    for split, members in splitting.divide(places, config, path).items():
        most = getattr(config, splitting.SIZE_KEYS[split])
        members = splitting.limit(members, most, config.split_seed)
        splits[split] = _gather(members, groups)
    return Dataset(
        name=path_name(location),
        splits=splits,
        class_names=names,
        palette=masks.default_palette(len(names)),
        source=location.shown,
        fingerprint=_fingerprint(splits),
    )


def _read(path):
    """Mapping of keys to arrays; objects (pickles) are refused."""
    try:
        with numpy.load(path, allow_pickle=False) as archive:
            content = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"not a readable .npz file: {error}",
            path,
            "write it with numpy.savez, from plain arrays without objects",
        ) from error
    return {ALIASES.get(key, key): value for key, value in content.items()}


def _checked(content, x_key, y_key, annotation, path):
    """(images, labels) of a split after a look at type and shape; labels are None if not needed."""
    images = content[x_key]
    if images.dtype != "uint8":
        raise DataError(
            f"'{x_key}' is {images.dtype}, whose range of values is not known",
            path,
            "store images as uint8, 0 to 255",
        )
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(
            f"'{x_key}' has the shape {images.shape}",
            path,
            "expected (N, height, width), or (N, height, width, 1 or 3)",
        )
    if annotation == "none":
        return images, None
    if y_key not in content:
        raise DataError(f"'{x_key}' without '{y_key}'", path, "add the class indices")
    labels = content[y_key]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(
            f"'{y_key}' is {labels.dtype} of shape {labels.shape} for {len(images)} images",
            path,
            "expected one integer class index per image",
        )
    return images, labels.astype("int32")


def _class_names(content, groups, path):
    """Names from the file, from classes.txt, or class_0, class_1, ...; labels must fit them."""
    given = content.get("classes", content.get("class_names"))
    if given is not None and given.dtype.kind in "US" and given.ndim == 1:
        names = tuple(str(name) for name in given.astype("U"))
    else:
        names, _ = read_names(path.parent / NAMES_FILE)
    labels = numpy.unique(numpy.concatenate([labels for _, labels in groups.values()]))
    if not len(labels):
        raise DataError("no images", path)
    count = len(names) or int(labels.max()) + 1
    outside = [int(label) for label in labels if not 0 <= label < count]
    if outside:
        raise DataError(
            f"labels {outside[:12]} are outside the classes 0 to {count - 1}",
            path,
            f"name {max(outside) + 1} classes or correct the labels",
        )
    return names or tuple(f"class_{index}" for index in range(count))


def _places(group, images, labels):
    """Place of every sample of a group."""
    if labels is None:
        return [Place(f"{group}/{index:05d}", group, index) for index in range(len(images))]
    return [
        Place(f"{group}/{index:05d}", group, index, label)
        for index, label in enumerate(labels.tolist())
    ]


def _gather(members, groups):
    """ArraySplit of some samples; a whole group is not copied."""
    images, labels = groups[members[0].group]
    if len(members) != len(images):
        indices = numpy.array([place.index for place in members])
        images = images[indices]
        labels = None if labels is None else labels[indices]
    return ArraySplit(images, labels, [place.name for place in members])


def _colored(images):
    """Gray batches (N, height, width) or (N, height, width, 1) as RGB; RGB as it is."""
    if images.ndim == 3:
        images = images[..., None]
    return images if images.shape[3] == 3 else numpy.repeat(images, 3, axis=3)


def _fingerprint(splits):
    """SHA-256 over images and labels."""
    digest = hashlib.sha256()
    for split in splits.values():
        digest.update(numpy.ascontiguousarray(split.images))
        if split.labels() is not None:
            digest.update(split.labels())
    return digest.hexdigest()
