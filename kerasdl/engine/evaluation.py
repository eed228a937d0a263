"""Scores of a model on one split, and example predictions."""

import dataclasses
import typing

import keras
import numpy

import kerasdl
from kerasdl import data, losses
from kerasdl.core.errors import ConfigError, DataError, ModelFileError
from kerasdl.core.registry import load
from kerasdl.data.pipeline.batches import Batches
from kerasdl.data.pipeline.source import Source
from kerasdl.engine import inference, native
from kerasdl.losses import LOSSES
from kerasdl.losses.weights import balanced_class_weights
from kerasdl.metrics import METRICS, NATIVE, definition
from kerasdl.metrics.base import ImageMean
from kerasdl.metrics.images import ImageScores


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        document: The scores document, as stored in metrics.json.
        calibration: Bins of the reliability diagram, or None.
        images: What each image adds to the scores; None if the task does not say.
        sample_scores: One score per sample, higher is better, shape (N,).
        source: The samples that were scored.
    """

    document: dict
    calibration: list | None
    images: ImageScores | None
    sample_scores: numpy.ndarray
    source: Source


def source_of(dataset, split, task, config):
    """The samples of a split at the run's size. Raises DataError if there are none."""
    if split not in dataset.splits or not len(dataset.splits[split]):
        there = ", ".join(name for name in dataset.splits if len(dataset.splits[name]))
        raise DataError(f"no {split} images", config.data, f"there are: {there or 'none'}")
    return Source(
        dataset.splits[split],
        config.image_size,
        config.resize,
        config.cache_megabytes,
        masks=task.masks,
    )


def loss_of(task, config, dataset, class_weights=None, label_smoothing=0.0):
    """The loss a configuration names; weights and smoothing are for training and `val_loss`."""
    ignore = dataset.ignore_labels if task.masks else ()
    return losses.build(config.loss, ignore, class_weights, label_smoothing, task.target)


def metrics_of(task, dataset):
    """Keras metrics for `model.compile`: the task's own and those registered for it."""
    extra = [
        ImageMean(spec.per_image, spec.name)
        for spec in METRICS.values()
        if spec.per_image is not None and task.name in spec.tasks
    ]
    return [*task.metrics(dataset), *extra]


def class_weights_of(task, config, dataset, source):
    """One weight per class from "auto" (median frequency) or a file; None for "none".

    A loss that computes its weights from the data in its own way uses those.

    Raises:
        ConfigError: The file cannot be read or lacks a class.
    """
    weights = LOSSES[config.loss].weights
    if weights is not None:
        return load(weights)(source)
    if config.class_weights == "none":
        return None
    if config.class_weights != "auto":
        return data.read_class_weights(config.class_weights, dataset.class_names)
    counts = numpy.zeros(256, dtype="int64")
    for start in range(0, len(source), 256):
        _, labels, masks = source.take(numpy.arange(start, min(start + 256, len(source))))
        values = masks if task.masks else labels
        counts += numpy.bincount(numpy.ravel(values), minlength=256)[:256]
    counts[list(dataset.ignore_labels)] = 0
    return balanced_class_weights(counts[: len(dataset.class_names)])


def evaluate(model, task, dataset, config, split, at=None):
    """Scores a model on every sample of one split, in order.

    Args:
        model: A model of the task.
        task: A `kerasdl.tasks.Task`.
        dataset: Data whose classes are those of the model.
        config: Configuration of the run; sizes, loss and batch size are read.
        split: "train", "validation" or "test".
        at: "native" scores predictions at the size of the stored images as well, "training" does
            not; None does if it says more, see `native.wanted`.

    Returns:
        An `Evaluation`.

    Raises:
        DataError: The split is empty.
        ModelFileError: The data have other classes than the model has outputs.
    """
    if model.output_shape[-1] != task.outputs(dataset):
        raise ModelFileError(
            f"the model has {model.output_shape[-1]} outputs, the data set {dataset.name} has "
            f"{task.outputs(dataset)} classes",
            fix="evaluate on the data the model was trained for",
        )
    source = source_of(dataset, split, task, config)
    scorer = task.scorer(dataset, loss_of(task, config, dataset))
    extra = [metric for metric in metrics_of(task, dataset) if isinstance(metric, ImageMean)]
    sample_scores = []
    with Batches(
        source, task.prepare, None, config.batch_size, shuffle=False, workers=config.workers
    ) as batches:
        for x, y in (batches[step] for step in range(len(batches))):
            outputs = inference.outputs(model, x, config.test_time_flip)
            scorer.update(y, outputs)
            for metric in extra:
                metric.update_state(*task.decode(y, outputs))
            sample_scores.append(task.sample_score(y, outputs, dataset))
    scores, baseline, extras = scorer.result()
    for metric in extra:
        scores[metric.name] = float(keras.ops.convert_to_numpy(metric.result()))
    images = extras.get("images")
    if at == "native" and task.native is None:
        raise ConfigError(
            f"{task.name} has no predictions at the size of the images", fix="leave out --at"
        )
    if at == "native" or (at is None and native.wanted(task, dataset, config, split)):
        found, trivial, of_images = native.scores(model, task, dataset, config, split)
        scores |= {NATIVE + name: value for name, value in found.items()}
        baseline = {**baseline, **{NATIVE + name: value for name, value in trivial.items()}}
        images = images and images.joined(of_images, NATIVE)
    document = _document(
        scores, baseline, {**extras, "images": images}, task, dataset, config, split
    )
    calibration, samples = extras.get("calibration"), numpy.concatenate(sample_scores)
    return Evaluation(document, calibration, images, samples, source)


def _document(scores, baseline, extras, task, dataset, config, split):
    """The scores document of an evaluation."""
    document = {
        "kerasdl": kerasdl.__version__,
        "task": task.name,
        "model": config.model,
        "model_args": config.model_args,
        **({"target": config.target} if config.target else {}),
        "data": dataset.name,
        "split": split,
        "samples": len(dataset.splits[split]),
        "image_size": list(config.image_size),
        "seed": config.seed,
        "scores": _plain(scores),
        "baseline": _plain(baseline),
        "definitions": _definitions(scores),
        "class_names": list(dataset.class_names),
    }
    if "confusion_matrix" in extras:
        document["confusion_matrix"] = extras["confusion_matrix"]
    if extras.get("images") is not None:
        document["intervals"] = extras["images"].intervals()
    return document


class Example(typing.NamedTuple):
    """A sample with the model's prediction; `images` are uint8 RGB."""

    name: str
    caption: str
    images: tuple[numpy.ndarray, ...]


def examples(model, task, dataset, source, indices, test_time_flip=False):
    """Images of some samples: those of input, truth and prediction that are images."""
    if not len(indices):
        return []
    x, y = task.prepare(*source.take(indices))
    outputs = inference.outputs(model, x, test_time_flip)
    columns = task.render(x, y, outputs, dataset)
    return [
        Example(source.name(index), caption, images)
        for index, caption, images in zip(
            indices, task.captions(y, outputs, dataset), zip(*columns, strict=True), strict=True
        )
    ]


def _definitions(scores):
    """Definition of each score; per-class scores share one, under `iou/<class>`."""
    names = dict.fromkeys(
        f"{kind}/<class>" if slash else kind
        for kind, slash, _ in (name.partition("/") for name in scores)
    )
    return {name: text for name in names if (text := definition(name))}


def _plain(scores):
    """Floats for JSON, which has no NaN: undefined scores become null."""
    return {name: float(value) if numpy.isfinite(value) else None for name, value in scores.items()}
