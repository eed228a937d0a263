"""Data as a configuration wants them: what its task needs of a sample, and how it is augmented."""

from kerasdl import data
from kerasdl.data.pipeline import transforms
from kerasdl.tasks import TASKS


def annotation(config):
    """What the task of a configuration needs beside an image: "label", "mask" or "none"."""
    return TASKS[config.task].annotation


def locate(config):
    """Where the data of a configuration lie. Raises DataError."""
    return data.locate(config.data, annotation(config))


def load(config, location=None):
    """The data set of a configuration; `kerasdl.data.load` with what its task needs."""
    return data.load(config, annotation(config), location)


def check(config, quick=False, location=None, dataset=None):
    """Report about the data of a configuration; see `kerasdl.data.check`."""
    return data.check(config, annotation(config), quick, location, dataset)


def augmentation(config, ignore_labels=()):
    """`transforms.Augmentation` that a configuration asks for, or None where it is off.

    Args:
        config: Configuration; `task`, `augment` and `augment_args` are read.
        ignore_labels: Mask values that stand for no class.
    """
    if config.augment == "none":
        return None
    return transforms.Augmentation(
        TASKS[config.task].augmentation,
        config.augment_args,
        recolors=annotation(config) != "none",
        masks=annotation(config) == "mask",
        ignore_labels=ignore_labels,
    )


def task_for(text):
    """The task that a data set seems to be made for."""
    needed = data.annotations(text)[0]
    return next(task.name for task in TASKS.values() if task.annotation == needed)
