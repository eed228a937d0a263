"""Data as a configuration wants them: what its task needs of a sample, and how it is augmented."""

from kerasdl import data
from kerasdl.data.pipeline import transforms
from kerasdl.tasks import TASKS


def locate(config):
    """Where the data of a configuration lie. Raises DataError."""
    return data.locate(config.data, TASKS[config.task].annotation)


def load(config, location=None):
    """The data set of a configuration; `kerasdl.data.load` with what its task needs."""
    return data.load(config, TASKS[config.task].annotation, location)


def check(config, quick=False, location=None, dataset=None):
    """Report about the data of a configuration; see `kerasdl.data.check`."""
    return data.check(config, TASKS[config.task].annotation, quick, location, dataset)


def augmentation(config, ignore_labels=()):
    """`transforms.Augmentation` that a configuration asks for, or None where it is off.

    Args:
        config: Configuration; `task`, `augment` and `augment_args` are read.
        ignore_labels: Mask values that stand for no class.
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
    """The first task for what samples hold, as `kerasdl.data.annotations` lists it."""
    return next(name for name, spec in TASKS.items() if spec.annotation == annotations[0])
