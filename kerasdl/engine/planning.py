"""The recipe `auto` applied: facts about data and machine, decisions, measured time and memory."""

import resource
import statistics
import time

import numpy

from kerasdl import tasks
from kerasdl.backend import precision
from kerasdl.data.base import Dataset
from kerasdl.data.pipeline.batches import Batches
from kerasdl.engine import datasets, evaluation, fitting, step
from kerasdl.runs import auto
from kerasdl.runs.config import Config, as_dict, changed
from kerasdl.tasks import TASKS

SAMPLED = 200  # images sampled for sizes and pixel counts
MEASURED_STEPS = 6


def facts_of(dataset: Dataset, annotation: str, engine: str) -> auto.Facts:
    """The facts that the rules need.

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
            counts += numpy.bincount(numpy.asarray(sample.mask).ravel(), minlength=256)[:256]
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
    """The configuration with the decisions of the recipe `auto`; unchanged with other recipes.

    Args:
        config: Configuration; keys that were given are kept.
        dataset: Its data.
        engine: The backend in use.
    """
    if config.recipe != "auto" or config.given >= set(auto.KEYS):
        return config, []
    facts = facts_of(dataset, TASKS[config.task].annotation, engine)
    given = {key: value for key, value in as_dict(config).items() if key in config.given}
    decisions = auto.decide(facts, {**given, "task": config.task, "model": config.model})
    decided = {each.key: each.value for each in decisions}
    return changed(
        config, **decided, **{key: getattr(config, key) for key in auto.KEYS if key not in decided}
    ), decisions


def explain(decisions: list[auto.Decision]) -> list[str]:
    """The most important decisions, one line each."""
    forms = {"image_size": "images of {}", "batch_size": "batches of {}", "epochs": "{} epochs"}
    lines = []
    for each in decisions:
        if each.key in forms:
            shown = "x".join(map(str, each.value)) if each.key == "image_size" else each.value
            lines.append(f"{forms[each.key].format(shown)} ({each.reason})")
    return lines


def measure(config: Config, dataset: Dataset) -> dict[str, float]:
    """Trains a few steps and measures time and memory.

    Returns:
        `first_step` (seconds to build and compile), `step` and `epoch` (seconds), `memory`
        (peak resident memory of this process, bytes).
    """
    task = tasks.of(config)
    source = evaluation.source_of(dataset, "train", task, config)
    model = fitting.build(config, task, dataset)
    augmentation = datasets.augmentation(config, dataset.ignore_labels)
    with Batches(
        source, task.prepare, augmentation, config.batch_size, config.seed,
        workers=config.workers, steps_per_epoch=config.steps_per_epoch,
    ) as batches:  # fmt: skip
        started = time.perf_counter()
        step.assemble(model, config, evaluation.loss_of(task, config, dataset))
        step.tune(model)
        batches.set_epoch(0)
        times = [started]
        for number in range(1 + min(MEASURED_STEPS, len(batches))):
            float(model.train_on_batch(*batches[number % len(batches)]))
            times.append(time.perf_counter())
    seconds = statistics.median(b - a for a, b in zip(times[1:], times[2:], strict=False))
    return {
        "first_step": times[1] - times[0],
        "step": seconds,
        "epoch": seconds * len(batches),
        "memory": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024),
    }
