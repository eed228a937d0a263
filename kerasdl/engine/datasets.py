"""Loads the data of a configuration, with the annotation its task needs, and its augmentation."""

from kerasdl import data
from kerasdl.core.errors import DataError, ModelFileError
from kerasdl.data.pipeline import transforms
from kerasdl.runs import names
from kerasdl.tasks import TASKS


def locate(config):
    """The location of a configuration's data. Raises DataError."""
    return data.locate(config.data, TASKS[config.task].annotation)


def load(config, location=None):
    """The data set of a configuration; `kerasdl.data.load` for its task."""
    return data.load(config, TASKS[config.task].annotation, location)


def check(config, quick=False, location=None, dataset=None):
    """Checks the data of a configuration; see `kerasdl.data.check`."""
    return data.check(config, TASKS[config.task].annotation, quick, location, dataset)


def augmentation(config, ignore_labels=()):
    """The `transforms.Augmentation` of a configuration, or None if it is off.

    Args:
        config: Configuration; `task`, `augment` and `augment_args` are read.
        ignore_labels: Mask values that are not a class.
    """
    if config.augment == "none":
        return None
    annotation = TASKS[config.task].annotation
    return transforms.Augmentation(
        TASKS[config.task].augmentation,
        config.augment_args,
        recolors=annotation != "none",
        masks=annotation == "mask",
        ignore_labels=ignore_labels,
    )


def task_for(annotations):
    """The first task for the annotations of a data set, as listed by `kerasdl.data.annotations`."""
    return next(name for name, spec in TASKS.items() if spec.annotation == annotations[0])


def require_training(dataset, config):
    """Raises DataError if there is nothing to train on."""
    if not len(dataset.splits.get("train", ())):
        raise DataError("no training images", config.data)


def record_splits(folder, dataset):
    """Records the files of each split, and skipped files with the reason."""
    listed = {
        name: list(split.names())
        for name, split in dataset.splits.items()
        if hasattr(split, "names")
    }
    skipped = {
        name: [list(entry) for entry in split.skipped]
        for name, split in dataset.splits.items()
        if hasattr(split, "skipped") and split.skipped
    }
    if listed:
        folder.write_json(names.SPLITS, {"splits": listed, "skipped": skipped})


def require_classes(dataset, known, path):
    """Raises ModelFileError unless the data have the classes of the run or file at `path`."""
    if known and tuple(known) != tuple(dataset.class_names):
        raise ModelFileError(
            f"the model has {len(known)} classes ({', '.join(known[:5])}...), the data have "
            f"{len(dataset.class_names)} ({', '.join(dataset.class_names[:5])}...)",
            path,
            "evaluate on data with the same class names",
        )
