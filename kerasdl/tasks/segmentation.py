"""Segmentation: mean IoU and pixel accuracy, from logits."""

from typing import Any

import keras
import numpy
from numpy.typing import ArrayLike

from kerasdl.core.types import Tensor
from kerasdl.data.base import Dataset
from kerasdl.metrics.confusion import MeanIoU, confusion_matrix, scores_from_confusion
from kerasdl.tasks import TASKS, Choice, Task
from kerasdl.tasks.prediction import to_unit
from kerasdl.tasks.scoring import MeanLoss


def prepare(
    images: numpy.ndarray, labels: numpy.ndarray | None, masks: numpy.ndarray | None
) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """x float32 (B, H, W, 3) in [0, 1] and y int32 class indices (B, H, W)."""
    return to_unit(images), None if masks is None else masks.astype("int32")


class Scorer:
    """One confusion matrix over all samples."""

    def __init__(self, dataset: Dataset, loss: keras.losses.Loss):
        self.class_names = dataset.class_names
        self.ignore_labels = dataset.ignore_labels
        self.loss = MeanLoss(loss)
        classes = len(self.class_names)
        self.matrix = numpy.zeros((classes, classes), dtype="int64")

    def update(self, masks: Tensor, logits: Tensor) -> None:
        """Adds a batch: masks (B, H, W), logits (B, H, W, C)."""
        self.loss.update(masks, logits)
        self.matrix += keras.ops.convert_to_numpy(
            confusion_matrix(masks, logits, len(self.class_names), self.ignore_labels)
        )

    def result(self) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        """Scores, the baseline that predicts the most frequent class everywhere, and the matrix."""
        scores = {**scores_from_confusion(self.matrix, self.class_names)}
        scores["loss"] = self.loss.result()
        constant = numpy.zeros_like(self.matrix)
        truth = self.matrix.sum(axis=1)
        constant[:, truth.argmax()] = truth
        baseline = scores_from_confusion(constant, self.class_names)
        baseline = {name: baseline[name] for name in ("mean_iou", "pixel_accuracy")}
        return scores, baseline, {"confusion_matrix": self.matrix.tolist()}


def sample_score(masks: numpy.ndarray, logits: Tensor, dataset: Dataset) -> numpy.ndarray:
    """Fraction of the valid pixels predicted correctly, per image; 0 if there are none."""
    masks = numpy.asarray(masks)
    valid = ~numpy.isin(masks, dataset.ignore_labels)
    wrong = (numpy.asarray(logits).argmax(axis=-1) != masks) & valid
    return 1 - wrong.sum(axis=(1, 2)) / numpy.maximum(valid.sum(axis=(1, 2)), 1)


def captions(masks: numpy.ndarray, logits: Tensor, dataset: Dataset) -> list[str]:
    """One line per image: its pixel accuracy."""
    return [f"{score:.1%} of pixels correct" for score in sample_score(masks, logits, dataset)]


def render(
    x: numpy.ndarray, y: numpy.ndarray, logits: Tensor, dataset: Dataset
) -> tuple[numpy.ndarray, ...]:
    """Input, true mask and predicted mask in the classes' colors; ignored pixels are white."""
    images = numpy.round(x * 255).astype("uint8")
    predicted = numpy.asarray(logits).argmax(axis=-1)
    return images, paint(y, dataset), paint(predicted, dataset)


def paint(mask: ArrayLike, dataset: Dataset) -> numpy.ndarray:
    """Class indices (..., H, W) as RGB uint8 (..., H, W, 3); other labels are white."""
    table = numpy.full((256, 3), 255, dtype="uint8")
    table[: len(dataset.palette)] = dataset.palette
    return table[numpy.asarray(mask)]


TASK = Task(
    spec=TASKS["segmentation"],
    target="mask",
    channels=3,
    outputs=lambda dataset: len(dataset.class_names),
    prepare=prepare,
    metrics=lambda dataset: [MeanIoU(len(dataset.class_names), dataset.ignore_labels)],
    scorer=Scorer,
    sample_score=sample_score,
    captions=captions,
    render=render,
)


def task(config: Choice) -> Task:
    """The task; no key of the configuration changes it."""
    return TASK
