"""What is compared: the best model of a run, or newly built models on scenes."""

import dataclasses
import pathlib

import numpy

from kerasdl import data
from kerasdl.core.errors import ConfigError, DataError, suggest
from kerasdl.data.pipeline.source import Source
from kerasdl.engine import datasets
from kerasdl.models import MODELS
from kerasdl.report import names
from kerasdl.runs import config as configuration
from kerasdl.runs.run import Run

# name on the command line -> what differs from the default configuration; all three tasks occur
# What can be compared without a run: every model on its first task, and one more.
PLAIN = {"unet-plain": {"task": "colorization", "model": "unet", "model_args": {"skips": "none"}}}
# From random weights the recipe's rate of 0.1 on batches of 8 is chaotic: rounding differences
# double with every step, and the curves would show that instead of the backends.
FRESH = {"learning_rate": 0.01, "batch_size": 8}


@dataclasses.dataclass(frozen=True)
class Case:
    """One model at one size.

    Attributes:
        name: Display name.
        config: Its `kerasdl.runs.config.Config`.
        model_file: The `.keras` file of the run; None: built and saved once.
    """

    name: str
    config: configuration.Config
    model_file: pathlib.Path | None = None


def of_run(run, assignments=(), batch_size=None):
    """The case of a finished run. Raises ModelFileError if the folder holds none."""
    run = Run(run)
    config, path = run.config, run.best_model
    values = configuration.override(configuration.as_dict(config), assignments)
    for key in ("task", "model", "model_args", "image_size"):
        if values[key] != configuration.as_dict(config)[key]:
            raise ConfigError(f"'{key}' is fixed by the run's model", fix="leave it out")
    if batch_size:
        values["batch_size"] = batch_size
    config = configuration.Config(**values)
    return Case(_name(config), config, path)


def subjects():
    """Configuration keys of each model that can be compared without a run."""
    found = {name: {"task": spec.tasks[0], "model": name} for name, spec in MODELS.items()}
    return {**found, **PLAIN}


def fresh(models="all", image_sizes=("64x64",), assignments=(), batch_size=None, extensions=()):
    """The cases of networks with random weights, each at each size.

    Args:
        models: "all", or names from `subjects`.
        image_sizes: HEIGHTxWIDTH each.
        assignments: `key=value` strings that override configuration keys of all models.
        batch_size: Images per step; 8 if None.
        extensions: Those that register models among `models`; the workers need them.

    Raises:
        ConfigError: Unknown model, size or key.
    """
    known = subjects()
    chosen = list(known) if models == "all" or list(models) == ["all"] else list(models)
    cases = []
    for model in chosen:
        if model not in known:
            raise suggest("model", model, ("all", *known))
        for size in image_sizes:
            values = {**FRESH, **known[model], "extensions": list(extensions)}
            values = configuration.override(values, assignments)
            values |= {"image_size": size, **({"batch_size": batch_size} if batch_size else {})}
            config = configuration.Config(**values)
            cases.append(Case(_name(config), config))
    return cases


def write_inputs(case, path, samples, steps):
    """Stores the images that every backend gets: one .npz file for all of them.

    The samples are drawn with the run's seed, without repetition if there are enough: with files
    sorted by class, the first ones would all be of one class.

    Args:
        case: The `Case`.
        path: The .npz file; `test_images`, `train_images` and so on, as stored, before `prepare`.
        samples: Images to predict; whole batches of them are taken, at least one.
        steps: Training steps, one batch each.

    Returns:
        The metadata of the data set for the workers, as JSON types.

    Raises:
        DataError: There are no images.
    """
    config = _sized(case, samples, steps)
    dataset = datasets.load(config)
    there = [name for name in ("test", "validation", "train") if len(dataset.splits.get(name, ()))]
    if not there:
        raise DataError("no images", config.data)
    training = "train" if "train" in there else there[0]
    arrays, drawn = {}, {}
    for kind, split, count in (
        ("test", there[0], max(1, samples // config.batch_size) * config.batch_size),
        ("train", training, steps * config.batch_size),
    ):
        source = Source(dataset.splits[split], config.image_size, config.resize, cache_megabytes=0)
        order = numpy.random.default_rng(config.seed).permutation(len(source))
        indices = numpy.resize(order, count) if kind == "train" else order[:count]
        drawn[kind] = len(indices)
        for name, part in zip(("images", "labels", "masks"), source.take(indices), strict=True):
            if part is not None:
                arrays[f"{kind}_{name}"] = part
    numpy.savez(path, **arrays)
    return {
        "name": dataset.name,
        "class_names": list(dataset.class_names),
        "palette": [list(color) for color in dataset.palette],
        "ignore_labels": list(dataset.ignore_labels),
        "split": there[0],
        "samples": drawn["test"],
    }


def _sized(case, samples, steps):
    """The configuration with only as many images as needed, if kerasdl draws the data."""
    if case.model_file is not None or not data.is_drawn(case.config.data):
        return case.config
    values = configuration.as_dict(case.config)
    values["test_size"] = max(samples, case.config.batch_size)
    values["train_size"] = steps * case.config.batch_size
    return configuration.Config(**values)


def _name(config):
    label = names.run_label(
        {"task": config.task, "model": config.model, "model_args": config.model_args}
    )
    return f"{label}, {config.image_size[0]}x{config.image_size[1]}"
