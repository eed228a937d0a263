"""TensorFlow Datasets: `tfds:NAME[/CONFIG][:VERSION]`, read with random access.

Prepared sets are read through `as_data_source`, which needs no TensorFlow: the format is
array_record (or parquet). The network is used only by `--download`; a set that was prepared before
is read without any connection. The environment variable TFDS_DATA_DIR says where sets lie.
"""

import hashlib
import re
from typing import NamedTuple

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data import splitting
from kerasdl.data.base import Dataset, Sample
from kerasdl.data.folder import masks
from kerasdl.data.tfds.builder import first_line, library, listed, prepared

SPLITS = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}
IMAGES = ("Image", "LabeledImage")
IMAGE_KEYS = ("image", "image_left")
MASK_KEYS = ("segmentation_mask", "segmentation_label", "annotation", "mask", "label")
MOST_SCANNED = 2000  # masks that are searched for their values where a set names no classes

# Class index -> raw value of sets whose masks do not hold the indices themselves.
KNOWN_MASKS = {
    "oxford_iiit_pet": {"pet": 1, "background": 2, "border": 3},
    # The 19 classes that the benchmark evaluates, out of 34; the others are ignored.
    "cityscapes": {
        "road": 7,
        "sidewalk": 8,
        "building": 11,
        "wall": 12,
        "fence": 13,
        "pole": 17,
        "traffic light": 19,
        "traffic sign": 20,
        "vegetation": 21,
        "terrain": 22,
        "sky": 23,
        "person": 24,
        "rider": 25,
        "car": 26,
        "truck": 27,
        "bus": 28,
        "train": 31,
        "motorcycle": 32,
        "bicycle": 33,
    },
}
KNOWN_IGNORED = {"cityscapes": tuple(set(range(34)) - set(KNOWN_MASKS["cityscapes"].values()))}


class Keys(NamedTuple):
    """Names of the features that hold image, label and mask; None where the task needs none."""

    image: str
    label: str | None = None
    mask: str | None = None


class TfdsSplit:
    """Samples of one split.

    Args:
        builder: The prepared builder.
        split: Name of the split in the set.
        places: Positions within that split, in order.
        keys: The `Keys` to read.
        rule: `masks.MaskRule`, where there are masks.
    """

    def __init__(self, builder, split, places, keys, rule=None):
        self.builder = builder
        self.split = split
        self.places = list(places)
        self.keys = keys
        self.rule = rule
        self._source = builder.as_data_source(split)

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        """Sample of a position. Raises DataError naming it if it cannot be read or used."""
        return self._sample(index, self._example(index))

    def __getitems__(self, indices):
        """Samples of several positions, in one read: single reads cost as much as decoding."""
        try:
            examples = self._source.__getitems__([self.places[index] for index in indices])
        except Exception:  # one by one, the sample concerned is named
            return [self[index] for index in indices]
        return [self._sample(index, item) for index, item in zip(indices, examples, strict=True)]

    def _sample(self, index, example):
        name = self.name(index)
        image = _rgb(numpy.asarray(example[self.keys.image]), name)
        label = None if self.keys.label is None else int(example[self.keys.label])
        if label is not None and label < 0:
            raise DataError("sample has no label", name)
        if self.keys.mask is None:
            return Sample(image, label)
        mask = _classes(_channel(numpy.asarray(example[self.keys.mask]), name), self.rule, name)
        if mask.shape != image.shape[:2]:
            sizes = [f"{shape[0]}x{shape[1]}" for shape in (image.shape, mask.shape)]
            raise DataError(f"the image is {sizes[0]}, its mask {sizes[1]}", name)
        return Sample(image, label, mask)

    def name(self, index):
        """Set, split and position, such as `cmaterdb/bangla/1.0.0 train[17]`."""
        return f"{self.builder.info.full_name} {self.split}[{self.places[index]}]"

    def names(self):
        """Names of all samples, in order."""
        return [self.name(index) for index in range(len(self))]

    def labels(self):
        """Class indices of all samples, int32, without decoding an image; None without classes."""
        if self.keys.label is None:
            return None
        source = _undecoded(self.builder, self.split)
        labels = [self._example(index, source)[self.keys.label] for index in range(len(self))]
        return numpy.array(labels, dtype="int32")

    def labeled(self):
        """Whether the first sample has a label; those of hidden test sets are -1."""
        source = _undecoded(self.builder, self.split)
        return self._example(0, source)[self.keys.label] >= 0

    def highest(self):
        """Highest value in the masks of up to 2000 samples, spread evenly, but for ignored ones."""
        highest = 0
        for index in range(0, len(self), max(1, len(self) // MOST_SCANNED)):
            mask = numpy.asarray(self._example(index)[self.keys.mask])
            highest = max(highest, int(mask[~numpy.isin(mask, self.rule.ignore)].max(initial=0)))
        return highest

    def _example(self, index, source=None):
        """What the set holds of a sample, by feature. Raises DataError naming it."""
        try:
            return (source or self._source)[self.places[index]]
        except Exception as error:
            raise DataError(
                f"sample cannot be read: {first_line(error)}",
                self.name(index),
                "the prepared files may be damaged: delete them and prepare the set again",
            ) from error


def load(location, annotation, config):
    """Dataset of TensorFlow Datasets.

    Splits that the set lacks are taken from the training samples by the seed: validation always,
    test only if there is neither. Test splits without labels are left out.

    Args:
        location: `Location` whose text is tfds:NAME[/CONFIG][:VERSION].
        annotation: "label", "mask" or "none".
        config: The Config; `download` allows the network.

    Raises:
        DataError: Unknown set, not prepared, or no split or feature that the task needs.
        WriteError: No space or no right to write while preparing.
    """
    builder = prepared(location.text.removeprefix("tfds:"), config.download)
    info = builder.info
    keys = _keys(info, annotation)
    places = _places(info, config)
    rule, class_names = None, ()
    if annotation == "label":
        class_names = tuple(info.features[keys.label].names)
    elif annotation == "mask":
        rule, class_names = _mask_classes(builder, keys, config)
    splits = {}
    for split in SPLITS:
        if split not in places:
            continue
        stored, members = places[split]
        found = TfdsSplit(builder, stored, members, keys, rule)
        if split == "train" or keys.label is None or found.labeled():
            splits[split] = found
    return Dataset(
        name=re.sub(r"/\d+\.\d+\.\d+$", "", info.full_name).replace("/", "-"),
        splits=splits,
        class_names=class_names,
        palette=masks.default_palette(len(class_names)),
        ignore_labels=rule.ignore_labels if rule else (),
        license=info.redistribution_info.license,
        source=f"tfds:{info.full_name}",
        fingerprint=_fingerprint(info, splits),
    )


def _places(info, config):
    """Split -> (stored split, positions in it)."""
    stored = {}
    for split, names in SPLITS.items():
        found = [name for name in names if name in info.splits]
        if found:
            stored[split] = found[0]
    if "train" not in stored:
        raise DataError(
            f"'{info.full_name}' has no split 'train'", fix=f"splits: {listed(info.splits)}"
        )
    places = {
        split: (name, numpy.arange(info.splits[name].num_examples))
        for split, name in stored.items()
    }
    fractions = {}
    if "validation" not in stored:
        fractions["validation"] = config.validation_split
        if "test" not in stored:
            fractions["test"] = config.test_split
    count = info.splits[stored["train"]].num_examples
    order, taken = numpy.random.default_rng(config.split_seed).permutation(count), 0
    for split, fraction in fractions.items():
        if fraction:
            size = max(1, round(fraction * count))
            places[split] = (stored["train"], numpy.sort(order[taken : taken + size]))
            taken += size
    if taken >= count:
        raise DataError(f"'{info.full_name}' has too few training samples to divide: {count}")
    places["train"] = (stored["train"], numpy.sort(order[taken:]))
    return {
        split: (name, splitting.limit(members.tolist(), most, config.split_seed))
        for split, (name, members) in places.items()
        for most in [getattr(config, splitting.SIZE_KEYS[split])]
    }


def _keys(info, annotation):
    """Which features to read. Raises DataError listing the features if one is missing."""
    features = info.features
    images = [key for key in features if type(features[key]).__name__ in IMAGES]
    labels = [key for key in features if type(features[key]).__name__ == "ClassLabel"]
    mask = next((key for key in MASK_KEYS if key in images), None)
    candidates = [key for key in images if key != mask]
    image = next((key for key in IMAGE_KEYS if key in candidates), None)
    if image is None and len(candidates) == 1:
        image = candidates[0]
    label = "label" if "label" in labels else labels[0] if len(labels) == 1 else None
    needed = {"an image": image}
    if annotation == "label":
        needed["a class label"] = label
    elif annotation == "mask":
        needed["a mask"] = mask
    for what, key in needed.items():
        if key is None:
            there = [f"{key} ({type(feature).__name__})" for key, feature in features.items()]
            raise DataError(
                f"'{info.full_name}' has no feature that is {what}",
                fix=f"features: {listed(there)}",
            )
    return Keys(
        image,
        label if annotation == "label" else None,
        mask if annotation == "mask" else None,
    )


def _mask_classes(builder, keys, config):
    """MaskRule and class names: of a known set, of the feature, or as many as the masks hold."""
    info = builder.info
    ignore = (*KNOWN_IGNORED.get(info.name, ()), *config.ignore_labels)
    if info.name in KNOWN_MASKS:
        values = KNOWN_MASKS[info.name]
        indices = {value: index for index, value in enumerate(values.values())}
        stored = {**indices, **{value: "ignore" for value in ignore if value not in indices}}
        return masks.MaskRule(len(values), ignore, stored), tuple(values)
    names = tuple(getattr(info.features[keys.mask], "names", None) or ())
    if not names:
        count = info.splits["train"].num_examples
        train = TfdsSplit(builder, "train", range(count), keys, masks.MaskRule(ignore=ignore))
        highest = train.highest()
        if highest > 254:
            raise DataError(
                f"masks of '{info.full_name}' hold values up to {highest}",
                fix="255 usually marks pixels without a class: set ignore_labels = [255]",
            )
        names = tuple(f"class_{index}" for index in range(highest + 1))
    return masks.MaskRule(len(names), ignore), names


def _classes(stored, rule, name):
    """Class indices, uint8, of stored mask values. Raises DataError for values without a class."""
    found = rule.targets(stored)
    if (found == masks.UNKNOWN).any():
        outside = numpy.unique(stored[found == masks.UNKNOWN]).tolist()
        raise DataError(
            f"mask holds {listed(outside[:12])}, allowed are 0 to {rule.classes - 1}",
            name,
            f"if these pixels have no class, set ignore_labels = {outside[:12]}",
        )
    return found.astype("uint8")


def _rgb(image, name):
    """uint8 RGB (H, W, 3) of a decoded image; gray is repeated, 16 bits are scaled to 8."""
    if image.dtype == numpy.uint16:
        image = (image >> 8).astype("uint8")
    if image.dtype != numpy.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        what = f"image of type {image.dtype} and shape {image.shape}, expected uint8 (H, W, 1|3)"
        raise DataError(what, name)
    if image.shape[2] == 1:
        return numpy.repeat(image, 3, axis=2)
    if image.shape[2] == 4:  # transparency is laid over white, as for files
        alpha = image[:, :, 3:].astype("uint16")
        over_white = image[:, :, :3] * alpha + 255 * (255 - alpha)
        return ((over_white + 127) // 255).astype("uint8")
    return image


def _channel(mask, name):
    """Mask (H, W) of one stored with a last axis of 1, or of 3 equal channels."""
    if mask.ndim == 3 and (mask.shape[2] == 1 or (mask == mask[:, :, :1]).all()):
        return mask[:, :, 0]
    if mask.ndim != 2:
        raise DataError(f"mask of shape {mask.shape}, expected one value per pixel", name)
    return mask


def _undecoded(builder, split):
    """Data source whose images stay encoded: for labels."""
    tfds = library()
    features = builder.info.features
    images = [key for key in features if type(features[key]).__name__ in IMAGES]
    decoders = {key: tfds.decode.SkipDecoding() for key in images}
    return builder.as_data_source(split, decoders=decoders)


def _fingerprint(info, splits):
    """SHA-256 over the set's name, the sizes of its splits and which samples are used."""
    digest = hashlib.sha256(info.full_name.encode())
    for name, split in sorted(info.splits.items()):
        digest.update(f"\0{name}\0{split.num_examples}\0{split.num_bytes}".encode())
    for name, split in sorted(splits.items()):
        digest.update(f"\0{name}\0{split.split}\0".encode())
        digest.update(numpy.array(split.places, "<i8").tobytes())
    return digest.hexdigest()
