"""Helpers for the tasks' scorers."""

import keras
import numpy

from kerasdl.core.types import Tensor
from kerasdl.data.base import Dataset, Split

COUNTED = 200  # masks of which the pixels are counted


def loss_per_image(loss: keras.losses.Loss, y: Tensor, outputs: Tensor) -> list[float]:
    """The loss of each image alone, (B,) floats: no image depends on those beside it."""
    if numpy.ndim(y) == 1:
        found = keras.ops.convert_to_numpy(loss.call(y, outputs))
        if found.shape == (len(y),):
            return found.tolist()
    return [
        float(keras.ops.convert_to_numpy(loss(y[i : i + 1], outputs[i : i + 1])))
        for i in range(len(y))
    ]


def class_counts(
    split: Split, classes: int, masks: bool, ignore_labels: tuple[int, ...] = ()
) -> numpy.ndarray:
    """Images or pixels per class of a split, int64 (classes,).

    Of masks, and of labels that are only known with their image, at most 200, evenly spaced.
    """
    labels = split.labels() if hasattr(split, "labels") and not masks else None
    if labels is not None:
        return numpy.bincount(numpy.asarray(labels), minlength=classes)[:classes]
    counts = numpy.zeros(256, "int64")
    for index in spread(len(split), COUNTED):
        sample = split[index]
        values = numpy.asarray(sample.mask if masks else sample.label).ravel()
        counts = counts + numpy.bincount(values, minlength=256)
    counts[list(ignore_labels)] = 0
    return counts[:classes]


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the indices below `count`, evenly spaced."""
    return numpy.unique(numpy.linspace(0, count - 1, min(most, count)).astype(int)).tolist()


def most_frequent_class(dataset: Dataset, found: numpy.ndarray, masks: bool = False) -> int:
    """The most frequent class of the training split; without one, of what was scored.

    Args:
        dataset: The data that were scored.
        found: Counts per class of what was scored, (C,).
        masks: Whether pixels are counted.
    """
    train = dataset.splits.get("train")
    if train is None or not len(train):
        return int(found.argmax())
    return int(class_counts(train, len(found), masks, dataset.ignore_labels).argmax())
