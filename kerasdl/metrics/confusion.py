"""Confusion matrix, mean IoU and pixel accuracy from integer counts."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy
from numpy.typing import ArrayLike

from kerasdl.core.errors import DataError
from kerasdl.core.types import Tensor
from kerasdl.metrics.base import GatedMetric

# Counts are kept as high * 2**24 + low in two int32: it is the only integer type that TensorFlow,
# JAX and torch share (JAX has no int64 by default), and float32 is exact only up to 2**24. Replicas
# sum their `low` without carrying, which is safe for 64 of them.
CARRY = 2**24


def confusion_counts(
    y_true: Tensor, logits: Tensor, classes: int, ignore_labels: Sequence[int] = ()
) -> Tensor:
    """Counts of (truth, prediction) pairs, flat, and of the labels that are not a class.

    Args:
        y_true: Class indices, any shape; a last axis of size 1 is fine.
        logits: Shape (..., classes); the prediction is the index of the largest.
        classes: Number of classes C.
        ignore_labels: Label values to leave out.

    Returns:
        int32 (C * C + 1): entry C * truth + prediction, and, last, the number of labels that are
        neither a class nor ignored.
    """
    ops = keras.ops
    truth = ops.reshape(ops.cast(y_true, "int32"), (-1,))
    guess = ops.reshape(ops.cast(ops.argmax(logits, axis=-1), "int32"), (-1,))
    known = ops.logical_and(truth >= 0, truth < classes)
    cell = ops.where(known, truth * classes + guess, classes * classes)
    for ignored in ignore_labels:
        cell = ops.where(truth == ignored, classes * classes + 1, cell)
    cell = ops.cast(cell, "int32")
    counts = ops.segment_sum(ops.ones_like(cell), cell, num_segments=classes * classes + 2)
    return counts[:-1]


def confusion_matrix(
    y_true: Tensor, logits: Tensor, classes: int, ignore_labels: Sequence[int] = ()
) -> Tensor:
    """Confusion matrix of a batch: int32 (classes, classes), rows: truth, columns: prediction.

    Labels that are not a class are left out; arguments as in `confusion_counts`.
    """
    counts = confusion_counts(y_true, logits, classes, ignore_labels)
    return keras.ops.reshape(counts[:-1], (classes, classes))


def scores_from_confusion(matrix: ArrayLike, class_names: Sequence[str]) -> dict[str, float]:
    """Scores from a confusion matrix, computed in float64.

    IoU[c] = M[c,c] / (row sum + column sum - M[c,c]); mean IoU = mean over the classes that
    occur in truth or prediction; pixel accuracy = trace / sum.

    Args:
        matrix: Counts (C, C), rows truth, columns prediction.
        class_names: C names.

    Returns:
        dict of floats in [0, 1]: "mean_iou", "pixel_accuracy" and "iou/<class>" for each class; NaN
        for a class that occurs nowhere, and for everything if the matrix is empty.

    Example: [[3, 1], [0, 4]] gives iou 0.75 and 0.8, mean_iou 0.775, pixel accuracy 0.875.
    Source: Everingham et al. 2010, "The PASCAL VOC Challenge", section 4.4 of the 2012 devkit.
    """
    matrix = numpy.asarray(matrix, dtype="float64")
    hits = numpy.diagonal(matrix)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
    iou = numpy.full(len(hits), numpy.nan)
    numpy.divide(hits, union, out=iou, where=union > 0)
    total = matrix.sum()
    scores = {
        "mean_iou": float(numpy.nanmean(iou)) if total > 0 else float("nan"),
        "pixel_accuracy": float(hits.sum() / total) if total > 0 else float("nan"),
    }
    for name, value in zip(class_names, iou, strict=True):
        scores[f"iou/{name}"] = float(value)
    return scores


@keras.saving.register_keras_serializable("kerasdl")
class MeanIoU(GatedMetric):
    """Mean IoU and pixel accuracy of everything seen since the last reset, from logits.

    One confusion matrix over all batches, so the last partial batch counts by its pixels.
    Counts are exact up to 2**55 pixels per cell and under any precision policy. The result is
    `{"mean_iou", "pixel_accuracy"}` as in `scores_from_confusion`; both are 0 while no pixel has
    been counted, and NaN if a label was neither a class nor ignored (Keras' own MeanIoU drops it
    silently).

    Args:
        num_classes: Number of classes.
        ignore_labels: Label values to leave out.
        name: Name of the metric.
        gated: Whether `ExpensiveMetricsInValidationOnly` may switch it off in training.

    Example, for a model with the logits of 10 classes per pixel:

        model.compile(
            loss=kerasdl.losses.SparseCrossentropy(ignore_labels=(255,)),
            metrics=[kerasdl.metrics.MeanIoU(num_classes=10, ignore_labels=(255,))],
        )
        model.evaluate(images, masks, return_dict=True)["mean_iou"]
    """

    def __init__(
        self,
        num_classes: int,
        ignore_labels: Sequence[int] = (),
        name: str = "mean_iou",
        gated: bool = True,
    ):
        super().__init__(name, gated)
        self.num_classes = int(num_classes)
        self.ignore_labels = tuple(int(label) for label in ignore_labels)
        shape = (self.num_classes**2 + 1,)
        self.low = self.add_variable(shape, "zeros", dtype="int32", name="low")
        self.high = self.add_variable(shape, "zeros", dtype="int32", name="high")

    @property
    def accumulators(self) -> Sequence[keras.Variable]:
        return self.low, self.high

    @property
    def result_names(self) -> tuple[str, ...]:
        return ("mean_iou", "pixel_accuracy")

    def increments(self, y_true: Tensor, y_pred: Tensor) -> Sequence[Tensor]:
        counts = confusion_counts(y_true, y_pred, self.num_classes, self.ignore_labels)
        return counts, keras.ops.zeros_like(counts)

    def accumulate(self, increments: Sequence[Tensor]) -> None:
        # No overflow as long as one batch has fewer than 2**30 pixels.
        low = self.low + increments[0]
        carry = low // CARRY
        self.low.assign(low - carry * CARRY)
        self.high.assign(self.high + carry)

    def result(self) -> dict[str, Tensor]:
        ops = keras.ops
        low, high = ops.cast(self.low, "float32"), ops.cast(self.high, "float32")
        counts = low + high * float(CARRY)
        matrix = ops.reshape(counts[:-1], (self.num_classes, self.num_classes))
        hits = ops.diagonal(matrix)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - hits
        occurring = ops.sum(ops.cast(union > 0, "float32"))
        scores = {
            "mean_iou": ops.divide_no_nan(ops.sum(ops.divide_no_nan(hits, union)), occurring),
            "pixel_accuracy": ops.divide_no_nan(ops.sum(hits), ops.sum(matrix)),
        }
        unknown = counts[-1] > 0
        return {name: ops.where(unknown, float("nan"), score) for name, score in scores.items()}

    def matrix(self) -> numpy.ndarray:
        """The confusion matrix so far, int64 NumPy array (classes, classes), rows truth.

        Raises:
            DataError: Labels were seen that are neither a class nor ignored.
        """
        low = keras.ops.convert_to_numpy(self.low).astype("int64")
        high = keras.ops.convert_to_numpy(self.high).astype("int64")
        counts = low + high * CARRY
        if counts[-1]:
            raise DataError(
                f"{counts[-1]} labels are neither one of the {self.num_classes} classes "
                "nor ignored",
                fix="check the masks, or list their value in ignore_labels",
            )
        return counts[:-1].reshape(self.num_classes, self.num_classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_labels": list(self.ignore_labels),
        }
