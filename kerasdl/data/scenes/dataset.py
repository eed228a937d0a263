"""The embedded data set: procedural scenes with one main object, drawn from a seed, no download.

A scene has a sky, ground and sometimes water, one main object (its class is the label), and small
objects of other classes around it. Sample i of a split depends on the data seed, the split, i and
the image size alone: a smaller split is the beginning of a larger one, and the bytes are the same
on every machine. The parameters are drawn in `scenes_layout`, the pixels in `scenes_render`.
"""

import hashlib
import threading

import numpy

from kerasdl.core.errors import ConfigError
from kerasdl.data.base import Dataset, Sample
from kerasdl.data.scenes import composition as scenes_layout
from kerasdl.data.scenes import render as scenes_render

VERSION = "1"  # changes whenever any byte of any sample does
DATA_SEED = 2015  # of the data, not of the training: every training sees the same images
SPLITS = ("train", "validation", "test")
DEFAULT_SIZES = (2000, 500, 500)
SMALLEST, LARGEST = 8, 1024  # height and width
CHUNK, CHUNK_PIXELS = 512, 1 << 21  # most images and pixels that are drawn together
KEPT_BYTES = 1 << 30  # most memory for the images of one split at one size

CLASS_NAMES = scenes_layout.OBJECTS
MASK_CLASS_NAMES = (*scenes_render.STUFF, *CLASS_NAMES)
# Colors of Paul Tol's qualitative schemes (muted, light, vibrant), made for color blindness too.
OBJECT_PALETTE = (
    (204, 102, 119),
    (17, 119, 51),
    (51, 34, 136),
    (238, 136, 102),
    (170, 68, 153),
    (136, 34, 85),
    (255, 170, 187),
    (68, 170, 153),
    (0, 0, 0),
    (238, 221, 136),
)
STUFF_PALETTE = ((136, 204, 238), (153, 153, 51), (0, 119, 187))


class SceneSplit:
    """Random access to one split; images are drawn when first asked for and kept in memory.

    Args:
        split: "train", "validation" or "test".
        size: Number of samples.
        image_size: Height and width of the images.
        seed: Seed of the data.
    """

    def __init__(self, split, size, image_size=(64, 64), seed=DATA_SEED):
        self.split = split
        self.size = size
        self.image_size = tuple(image_size)
        self.seed = seed
        self.number = SPLITS.index(split)
        self._labels = scenes_layout.labels(seed, self.number, numpy.arange(size))
        self._stores = {}
        self._lock = threading.Lock()

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if not -self.size <= index < self.size:
            raise IndexError(f"sample {index} of {self.size}")
        images, labels, masks = self.take([index % self.size])
        return Sample(images[0], int(labels[0]), masks[0])

    def name(self, index):
        """Identifier of a sample, such as "train/00012-cat"."""
        return f"{self.split}/{index:05d}-{CLASS_NAMES[self._labels[index]]}"

    def labels(self):
        """Class indices of all samples, without drawing an image."""
        return self._labels

    def take(self, indices, image_size=None):
        """Samples as arrays, drawn (not resized) at `image_size`.

        Returns: images uint8 (n, height, width, 3), labels int64 (n,), masks uint8
        (n, height, width).
        """
        indices = numpy.asarray(indices, numpy.int64)
        images, masks = self._store(tuple(image_size or self.image_size)).take(indices)
        return images, self._labels[indices], masks

    def draw(self, indices, image_size):
        """Images and masks, drawn anew."""
        layout = scenes_layout.draw(self.seed, self.number, indices)
        return scenes_render.render(layout, *image_size)

    def _store(self, image_size):
        with self._lock:
            if image_size not in self._stores:
                self._stores[image_size] = _Store(self, image_size)
            return self._stores[image_size]


class _Store:
    """The images of a split at one size, filled chunk by chunk as far as the memory allows."""

    def __init__(self, split, image_size):
        check_size(image_size)
        height, width = image_size
        self.split = split
        self.image_size = image_size
        self.chunk = max(1, min(CHUNK, CHUNK_PIXELS // (height * width)))
        self.kept = min(len(split), KEPT_BYTES // (height * width * 4))
        # Pages of `empty` arrays cost nothing until they are written.
        self.images = numpy.empty((self.kept, height, width, 3), numpy.uint8)
        self.masks = numpy.empty((self.kept, height, width), numpy.uint8)
        self.filled = numpy.zeros(-(-self.kept // self.chunk), bool)
        self.lock = threading.Lock()

    def take(self, indices):
        """Images and masks; those beyond the first `kept` are drawn each time."""
        held = indices < self.kept
        with self.lock:
            for chunk in numpy.unique(indices[held] // self.chunk):
                if not self.filled[chunk]:
                    self._fill(chunk)
        if held.all():
            return self.images[indices], self.masks[indices]
        images = numpy.empty((len(indices), *self.image_size, 3), numpy.uint8)
        masks = numpy.empty((len(indices), *self.image_size), numpy.uint8)
        images[held], masks[held] = self.images[indices[held]], self.masks[indices[held]]
        rest = numpy.flatnonzero(~held)
        for first in range(0, len(rest), self.chunk):
            places = rest[first : first + self.chunk]
            images[places], masks[places] = self.split.draw(indices[places], self.image_size)
        return images, masks

    def _fill(self, chunk):
        place = slice(chunk * self.chunk, min((chunk + 1) * self.chunk, self.kept))
        samples = numpy.arange(place.start, place.stop)
        self.images[place], self.masks[place] = self.split.draw(samples, self.image_size)
        self.filled[chunk] = True


def check_size(image_size):
    """Raises ConfigError unless height and width are both 8 to 1024."""
    if min(image_size) < SMALLEST or max(image_size) > LARGEST:
        raise ConfigError(
            f"scenes are {SMALLEST} to {LARGEST} pixels high and wide, not {image_size}",
            fix="set image_size",
        )


def load_source(location, annotation, settings):
    """The data set as an entry of `kerasdl.data.SOURCES` gives it."""
    return load(
        settings.train_size,
        settings.validation_size,
        settings.test_size,
        settings.image_size,
        annotation,
    )


def load(
    train_size=0,
    validation_size=0,
    test_size=0,
    image_size=(64, 64),
    annotation="label",
    seed=DATA_SEED,
):
    """The embedded data set.

    Args:
        train_size, validation_size, test_size: Numbers of samples; 0 for 2000, 500 and 500.
        image_size: Height and width, 8 to 1024 each.
        annotation: "mask" names the classes of the masks (sky, ground, water and the objects),
            "label" those of the labels (the objects), "none" none.
        seed: Seed of the data; another one gives other scenes of the same kind.

    Raises: ConfigError for a size out of range.
    """
    names, palette = {
        "mask": (MASK_CLASS_NAMES, STUFF_PALETTE + OBJECT_PALETTE),
        "label": (CLASS_NAMES, OBJECT_PALETTE),
        "none": ((), ()),
    }[annotation]
    check_size(image_size)
    sizes = [
        size or default
        for size, default in zip(
            (train_size, validation_size, test_size), DEFAULT_SIZES, strict=True
        )
    ]
    facts = f"scenes {VERSION} seed {seed} sizes {sizes} image {tuple(image_size)}"
    return Dataset(
        name="scenes",
        splits={
            split: SceneSplit(split, size, image_size, seed)
            for split, size in zip(SPLITS, sizes, strict=True)
        },
        class_names=names,
        palette=palette,
        license="Apache-2.0, as kerasdl itself",
        source=f"generated by kerasdl, scenes version {VERSION}, data seed {seed}",
        fingerprint=hashlib.sha256(facts.encode()).hexdigest(),
    )
