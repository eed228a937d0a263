"""The recipe `auto` applied: facts about data and machine, decisions, measured time and memory."""

import logging

import numpy

from kerasdl.backend import precision
from kerasdl.data.base import Dataset
from kerasdl.runs import auto
from kerasdl.runs.config import Config, as_dict
from kerasdl.tasks import TASKS

SAMPLED = 200  # images that are looked at for sizes and pixel counts

logger = logging.getLogger("kerasdl")


def facts_of(dataset: Dataset, annotation: str, engine: str) -> auto.Facts:
    """What the rules need to know.

    Args:
        dataset: Data with a training split.
        annotation: "label", "mask" or "none".
        engine: The backend in use.
    """
    split = dataset.splits["train"]
    chosen = numpy.unique(numpy.linspace(0, len(split) - 1, min(SAMPLED, len(split))).astype(int))
    classes = len(dataset.class_names) if annotation != "none" else 0
    sizes, counts = [], numpy.zeros(256, "int64")
    for index in chosen:
        sample = split[int(index)]
        sizes.append(sample.image.shape[:2])
        if annotation == "mask":
            counts += numpy.bincount(sample.mask.ravel(), minlength=256)[:256]
        elif annotation == "label":
            counts[sample.label] += 1
    counts[list(dataset.ignore_labels)] = 0
    present = counts[:classes][counts[:classes] > 0]
    height, width = numpy.median(numpy.array(sizes), axis=0)
    return auto.Facts(
        images=len(split),
        height=int(height),
        width=int(width),
        classes=classes,
        imbalance=float(present.max() / present.min()) if len(present) else 1.0,
        gpu=precision.gpu_capability(engine) is not None,
    )


def settle(config: Config, dataset: Dataset, engine: str) -> tuple[Config, list[auto.Decision]]:
    """The configuration with the decisions of the recipe `auto`; others are left as they are.

    Args:
        config: Configuration; the keys that were given stay.
        dataset: Its data.
        engine: The backend in use.
    """
    if config.recipe != "auto" or config.settled:
        return config, []
    facts = facts_of(dataset, TASKS[config.task].annotation, engine)
    given = {key: value for key, value in as_dict(config).items() if key in config.given}
    decisions = auto.decide(facts, {**given, "task": config.task, "model": config.model})
    decided = {each.key: each.value for each in decisions}
    return Config(**{**as_dict(config), **decided}), decisions


def explain(decisions: list[auto.Decision]) -> list[str]:
    """The most important decisions in three lines for people."""
    known = {each.key: each for each in decisions}

    lines = []
    for key, words in (
        ("image_size", "images"),
        ("batch_size", "batches of"),
        ("epochs", "epochs"),
    ):
        if key in known:
            value = known[key].value
            shown = "x".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            lines += said(key, f"{words} {shown}" if key != "epochs" else f"{shown} epochs")
    return lines
