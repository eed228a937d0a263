"""`kerasdl data show` and `kerasdl data check`: looking at a data set without training."""

import pathlib

import numpy

from kerasdl import data
from kerasdl.core.errors import DataError
from kerasdl.data.base import Sample
from kerasdl.data.pipeline import transforms
from kerasdl.engine import datasets
from kerasdl.runs import config as configuration
from kerasdl.tasks import TASKS

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
    location = datasets.locate(config)
    dataset = datasets.load(config, location)
    if not len(dataset.splits.get(split, ())):
        raise DataError(f"no {split} images", config.data)
    # An image and its mask side by side take two places.
    shown, columns = dataset.splits[split], 4 if masks else 8
    if not location.source.drawn:
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
        dataset.class_names if TASKS[config.task].annotation == "label" else (),
        dataset.class_names if masks else (),
    )
    path = pathlib.Path(out or f"{data.short_name(config.data)}-sheet.png")
    files.make_folder(path.parent)
    with files.replacing(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
    yield f"{path}: {min(count, len(shown))} of {len(dataset.splits[split])} {split} images"
    if baselines:
        yield from _baselines(config, dataset, location)


def check(values, task=None, quick=False):
    """Report about a data set; without a task, for the first one that its source is good for.

    Returns:
        A `kerasdl.data.inspect.check.Report`.
    """
    if task is None:
        task = datasets.task_for(data.annotations(values["data"]))
    return datasets.check(configuration.Config(**{**values, "task": task}), quick)


def convert(values, out, task=None):
    """Writes a data set as plain folders; the line that says so.

    Raises:
        DataError: The data cannot be used. ConfigError: `out` will not do.
    """
    from kerasdl.data import convert as converting

    if task is None:
        task = datasets.task_for(data.annotations(values["data"]))
    # Splits that the data do not have are not made here.
    config = configuration.Config(
        **{"validation_split": 0.0, "test_split": 0.0, **values, "task": task}
    )
    location = datasets.locate(config)
    dataset = datasets.load(config, location)
    source = location.path if location.source.files else None
    count = converting.convert(dataset, TASKS[config.task].annotation, out, source)
    splits = ", ".join(f"{name} {len(split)}" for name, split in dataset.splits.items())
    classes = f", {len(dataset.class_names)} classes" if dataset.class_names else ""
    return f"{out}: {count} images{classes} ({splits})"


def _baselines(config, dataset, location):
    """What trivial methods reach on the test split."""
    from kerasdl.data.inspect import baselines

    def splits(annotation):
        if TASKS[config.task].annotation == annotation:
            return dataset
        # Drawn data have everything, and their images are the same for all tasks.
        return data.load(config, annotation, location) if location.source.drawn else None

    train, test = dataset.splits["train"], dataset.splits["test"]
    labeled, masked = splits("label"), splits("mask")
    if labeled:
        accuracy = baselines.histogram_nearest_neighbor(
            labeled.splits["train"], labeled.splits["test"]
        )
        yield f"nearest neighbor of color histograms: accuracy {accuracy:.1%}"
    if masked:
        mean_iou = baselines.pixel_color_lookup(
            train, test, len(masked.class_names), ignore_labels=masked.ignore_labels
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
        self.augmentation = datasets.augmentation(config, dataset.ignore_labels)

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
