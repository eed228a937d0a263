"""Compares an exported file, run by its own runtime, with the run it was made from."""

import dataclasses
import statistics
import time

import keras
import numpy

from kerasdl import models
from kerasdl.core.errors import KerasdlError
from kerasdl.engine import datasets, evaluation, inference
from kerasdl.report import names

BATCH = 8
NOISE_IMAGES = 16


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """What a file may differ from its run by.

    Attributes:
        difference: Largest difference of an output, relative to the largest output.
        agreement: Smallest fraction of classes (of images or of pixels) that are the same.
        worse: Largest change for the worse of the first headline score, relative to it.
    """

    difference: float
    agreement: float
    worse: float


# float16 has 11 bits: each kernel is off by up to 2^-12 of itself, and layers add up. With int8 the
# largest difference says little, so what counts is the score.
TOLERANCES = {
    "float32": Tolerance(1e-4, 0.999, 0.001),
    "float16": Tolerance(1e-2, 0.99, 0.01),
    "int8": Tolerance(1.0, 0.8, 0.05),
}


class Comparison:
    """Collects the outputs of the run and of the file for the same images."""

    def __init__(self):
        self.largest, self.scale = 0.0, 0.0
        self.same, self.total = 0, 0

    def update(self, expected, found, classes=True):
        """Adds a batch of outputs of the run and of the file; noise has no `classes`."""
        # `numpy.maximum`, unlike `max`, keeps a NaN.
        self.largest = float(numpy.maximum(self.largest, numpy.abs(found - expected).max()))
        self.scale = float(numpy.maximum(self.scale, numpy.abs(expected).max()))
        if classes:
            same = found.argmax(axis=-1) == expected.argmax(axis=-1)
            self.same += int(same.sum())
            self.total += same.size


def prove(model, runtime, task, config, split, images):
    """Runs model and file on the same images.

    Args:
        model: The run's Keras model at its training size.
        runtime: The file's `kerasdl.runs.runtimes.Runtime`.
        task: The `kerasdl.tasks.Task`.
        config: Configuration of the run.
        split: "test", or another split of the data.
        images: Number of images at most.

    Returns:
        A dict for JSON; `failed` lists what is beyond the tolerance.
    """
    compared, times = Comparison(), {"run": [], "file": []}
    try:
        dataset = datasets.load(config)
        datasets.require_classes(dataset, runtime.metadata["class_names"], config.data)
        batches, split = _batches(dataset, task, config, split, images)
        note = ""
    except KerasdlError as error:
        dataset, batches, split = None, _noise(model), "noise"
        note = f"the data cannot be used, so compared on noise, without scores: {error}"
    scorers = dataset and [
        task.scorer(dataset, evaluation.loss_of(task, config, dataset)) for _ in times
    ]
    count = 0
    for x, y in batches:
        outputs = []
        for kind, apply in (("run", model.predict_on_batch), ("file", runtime.outputs)):
            start = time.perf_counter()
            outputs.append(inference.averaged(apply, x, config.test_time_flip))
            times[kind].append((time.perf_counter() - start) / len(x))
        compared.update(*outputs)
        count += len(x)
        for scorer, found in zip(scorers or (), outputs, strict=False):
            scorer.update(y, found)
    if runtime.size is None:
        compared.update(*_other_size(model, runtime, config), classes=False)
    scores = {} if scorers is None else _scores(task, *scorers)
    return {
        "split": split,
        "images": count,
        **({"note": note} if note else {}),
        **_verdict(task, compared, scores, runtime.metadata["precision"]),
        "scores": scores,
        # The first batch warms up.
        "milliseconds": {
            kind: 1000 * statistics.median(found[1:] or found) for kind, found in times.items()
        },
    }


def _batches(dataset, task, config, split, images):
    """Batches (x, y) of up to so many images, and the name of the split they are from."""
    there = [name for name in (split, "validation", "train") if dataset.splits.get(name)]
    source = evaluation.source_of(dataset, there[0] if there else split, task, config)
    indices = numpy.arange(min(images, len(source)))
    chosen = (indices[start : start + BATCH] for start in range(0, len(indices), BATCH))
    return (task.prepare(*source.take(each)) for each in chosen), there[0]


def calibration(task, config, images):
    """Up to so many validation images as the model gets them, float32 (N, H, W, C).

    Raises:
        KerasdlError: The data cannot be used.
    """
    batches, _ = _batches(datasets.load(config), task, config, "validation", images)
    return numpy.concatenate([x for x, _ in batches])


def _noise(model):
    """Batches of noise for a model, without truth."""
    generator = numpy.random.default_rng(0)
    for _ in range(NOISE_IMAGES // BATCH):
        yield generator.random((BATCH, *model.input_shape[1:]), "float32"), None


def _other_size(model, runtime, config):
    """Outputs of run and file for noise of a size that is no multiple of the stride."""
    size = tuple(2 * runtime.stride + odd for odd in (1, 5))
    resized = models.resized(model, config.model, size, runtime.metadata["model_args"])
    x = numpy.random.default_rng(1).random((1, *size, model.input_shape[-1]), "float32")
    return keras.ops.convert_to_numpy(resized(x, training=False)), runtime.outputs(x)


def _scores(task, of_run, of_file):
    """The headline scores of both: {name: {"run", "file"}}."""
    run, file = (scorer.result()[0] for scorer in (of_run, of_file))
    return {
        name: {"run": float(run[name]), "file": float(file[name])}
        for name in names.headline(task.name)
        if name in run and numpy.isfinite(run[name])
    }


def _verdict(task, compared, scores, precision):
    """Differences, what is allowed, and what failed."""
    tolerance = TOLERANCES[precision]
    found = {
        "difference": compared.largest / max(compared.scale, 1e-30),
        "agreement": compared.same / compared.total if task.spec.classes else None,
        "worse": _worse(scores),
    }
    # Comparisons that NaN does not pass.
    passed = {
        "difference": found["difference"] <= tolerance.difference,
        "agreement": found["agreement"] is None or found["agreement"] >= tolerance.agreement,
        "worse": found["worse"] is None or found["worse"] <= tolerance.worse,
    }
    return {
        "scale": compared.scale,
        **found,
        "tolerance": dataclasses.asdict(tolerance),
        "failed": [name for name, good in passed.items() if not good],
    }


def _worse(scores):
    """Change for the worse of the first headline score, relative to it; None without scores."""
    if not scores:
        return None
    name, values = next(iter(scores.items()))
    change = values["file"] - values["run"]
    return (-change if names.score(name).better == "higher" else change) / max(
        abs(values["run"]), 1e-30
    )
