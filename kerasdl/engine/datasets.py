"""Data as a configuration wants them: what its task needs of a sample, and how it is augmented."""

from kerasdl import data
from kerasdl.data.pipeline import transforms

# Until the entries of `kerasdl.tasks.TASKS` say both.
ANNOTATIONS = {"classification": "label", "segmentation": "mask", "colorization": "none"}
DEFAULTS = {
    "classification": {"flip": True, "crop": 0.125},
    "segmentation": {"flip": True, "crop": 0.125, "brightness": 0.1, "contrast": 0.1},
    "colorization": {"flip": True, "crop": 0.125},
}


def locate(config):
    """Where the data of a configuration lie. Raises DataError."""
    return data.locate(config.data, ANNOTATIONS[config.task])


def load(config, location=None):
    """The data set of a configuration; `kerasdl.data.load` with what its task needs."""
    return data.load(config, ANNOTATIONS[config.task], location)


def check(config, quick=False, location=None, dataset=None):
    """Report about the data of a configuration; see `kerasdl.data.check`."""
    return data.check(config, ANNOTATIONS[config.task], quick, location, dataset)


def augmentation(config, ignore_labels=()):
    """`transforms.Augmentation` that a configuration asks for, or None where it is off.

    Args:
        config: Configuration; `task`, `augment` and `augment_args` are read.
        ignore_labels: Mask values that stand for no class.
    """
    if config.augment == "none":
        return None
    annotation = ANNOTATIONS[config.task]
    return transforms.Augmentation(
        DEFAULTS[config.task],
        config.augment_args,
        recolors=annotation != "none",
        masks=annotation == "mask",
        ignore_labels=ignore_labels,
    )


def task_for(annotations):
    """The first task for what samples hold, as `kerasdl.data.annotations` lists it."""
    return next(task for task, needed in ANNOTATIONS.items() if needed == annotations[0])
