"""`kerasdl data show` and `kerasdl data check`: looking at a data set without training."""

import dataclasses
import pathlib

import numpy

from kerasdl import data
from kerasdl.core.errors import DataError
from kerasdl.data.base import Sample
from kerasdl.data.folder.layout import SPLIT_NAMES
from kerasdl.data.pipeline import transforms
from kerasdl.runs import config as configuration

EPOCHS_SHOWN = 4  # how often an augmented sample is drawn


def show(values, split="train", count=64, masks=False, augmented=False, baselines=False, out=None):
    """Draws a contact sheet; yields lines that say where it is and, if asked, the baselines.

    Args:
        values: Mapping of configuration keys; `data` and `task` at least.
        split: Split to draw.
        count: Number of samples.
        masks: Whether to draw masks beside the images.
        augmented: Draw each sample as training sees it in several epochs.
        baselines: Also score trivial methods.
        out: The PNG file; DATA-sheet.png in the current folder if None.

    Raises:
        DataError: The data cannot be used or have no such split.
    """
    from kerasdl.core import files
    from kerasdl.data.inspect.sheet import contact_sheet

    config = configuration.Config(**values)
    dataset = data.load(config)
    if not len(dataset.splits.get(split, ())):
        raise DataError(f"no {split} images", config.data)
    # An image and its mask side by side take two places.
    shown, columns = dataset.splits[split], 4 if masks else 8
    if config.data != "scenes":
        shown = _Spread(shown, max(count // (EPOCHS_SHOWN + 1), 1) if augmented else count)
    if augmented:
        count = max(count // (EPOCHS_SHOWN + 1), 1)
        shown, columns = _Augmented(shown, config, dataset, count), EPOCHS_SHOWN + 1
        count *= columns
    sheet = contact_sheet(
        shown,
        count,
        columns,
        masks,
        dataset.palette,
        dataset.class_names if config.task == "classification" else (),
        dataset.class_names if masks else (),
    )
    path = pathlib.Path(out or f"{data.short_name(config.data)}-sheet.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
    yield f"{path}: {min(count, len(shown))} of {len(dataset.splits[split])} {split} images"
    if baselines:
        yield from _baselines(config, dataset)


def check(values, task=None, quick=False):
    """Report about a data set; without a task, of the one that its layout suggests.

    Returns:
        A `kerasdl.data.inspect.check.Report`.
    """
    from kerasdl.data.inspect import check as checking

    source = values["data"]
    config = configuration.Config(**{**values, "task": task or _guess_task(source)})
    if source == "scenes" or source.startswith("tfds:"):
        source = data.load(config)
    return checking.check(source, config.task, config, quick)


def _guess_task(source):
    """Masks mean segmentation, folders with images classification, else colorization."""
    path = pathlib.Path(source)
    if source == "scenes" or not path.is_dir():
        return "classification"
    names = {item.name.lower() for item in path.iterdir() if item.is_dir()}
    # images/ + masks/, SPLIT/images + SPLIT/masks, or SPLIT/ + SPLITannot/.
    inner = {item.name.lower() for name in SPLIT_NAMES for item in path.glob(f"{name}/*/")}
    if {"masks", "mask"} & (names | inner) or any(name.endswith("annot") for name in names):
        return "segmentation"
    return "classification" if names else "colorization"


def _baselines(config, dataset):
    """What trivial methods reach on the test split; each sentence names its bound for scenes."""
    from kerasdl.data.inspect import baselines

    train, test = dataset.splits["train"], dataset.splits["test"]
    if config.data == "scenes":
        labeled = data.load(dataclasses.replace(config, task="classification"))
        accuracy = baselines.histogram_nearest_neighbor(
            labeled.splits["train"], labeled.splits["test"]
        )
        yield f"nearest neighbor of color histograms: accuracy {accuracy:.1%}"
        masked = data.load(dataclasses.replace(config, task="segmentation"))
        mean_iou = baselines.pixel_color_lookup(train, test, len(masked.class_names))
        yield f"most frequent class of each color: mean IoU {mean_iou:.1%}"
    elif config.task == "classification":
        yield (
            "nearest neighbor of color histograms: accuracy "
            f"{baselines.histogram_nearest_neighbor(train, test):.1%}"
        )
    elif config.task == "segmentation":
        mean_iou = baselines.pixel_color_lookup(
            train, test, len(dataset.class_names), ignore_labels=dataset.ignore_labels
        )
        yield f"most frequent class of each color: mean IoU {mean_iou:.1%}"
    yield f"gray image: PSNR {baselines.gray_psnr(test):.2f} dB"


class _Spread:
    """At most `count` samples of a split, from all over it: folders are sorted by class."""

    def __init__(self, split, count):
        self.split = split
        places = min(count, len(split))
        self.indices = [place * len(split) // places for place in range(places)]

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.split[self.indices[index]]

    def name(self, index):
        return self.split.name(self.indices[index])


class _Augmented:
    """The samples of a split, each followed by itself as several epochs see it."""

    def __init__(self, split, config, dataset, count):
        from kerasdl.data.pipeline.source import Source

        self.count = min(count, len(split))
        self.seed = config.seed
        self.source = Source(split, config.image_size, config.resize)
        self.augmentation = transforms.make(config, dataset.ignore_labels)

    def __len__(self):
        return self.count * (EPOCHS_SHOWN + 1)

    def __getitem__(self, index):
        sample, turn = divmod(index, EPOCHS_SHOWN + 1)
        indices = numpy.array([sample])
        images, labels, masks = self.source.take(indices)
        if turn and self.augmentation is not None:
            table = transforms.uniforms(self.seed, turn - 1, indices, self.augmentation.columns)
            images, masks = self.augmentation.apply(images, masks, table)
        return Sample(
            images[0],
            None if labels is None else int(labels[0]),
            None if masks is None else masks[0],
        )

    def name(self, index):
        return self.source.name(index // (EPOCHS_SHOWN + 1))
