"""Segmentation: mean IoU and pixel accuracy, from logits."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy
from numpy.typing import ArrayLike

from kerasdl.core.types import Tensor
from kerasdl.data.base import Dataset, Sample
from kerasdl.metrics.boundary import boundary_counts, boundary_iou
from kerasdl.metrics.confusion import MeanIoU, confusion_matrix, scores_from_confusion
from kerasdl.metrics.images import ImageScores, stacked
from kerasdl.tasks import TASKS, Choice, Task
from kerasdl.tasks.prediction import ImagePrediction, to_unit
from kerasdl.tasks.scoring import loss_per_image, most_frequent_class


def prepare(
    images: numpy.ndarray, labels: numpy.ndarray | None, masks: numpy.ndarray | None
) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """x float32 (B, H, W, 3) in [0, 1] and y int32 class indices (B, H, W)."""
    return to_unit(images), None if masks is None else masks.astype("int32")


class NativeScorer:
    """Scores of masks at the size of the images as they are stored."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self.matrices: list[numpy.ndarray] = []
        self.boundary = numpy.zeros((2, len(dataset.class_names)), "int64")

    def update(self, samples: Sequence[Sample], found: Sequence[ImagePrediction]) -> None:
        """Adds samples and their predictions."""
        classes, ignore = len(self.dataset.class_names), self.dataset.ignore_labels
        for sample, each in zip(samples, found, strict=True):
            truth, mask = numpy.asarray(sample.mask), numpy.asarray(each.mask)
            counted = ~numpy.isin(truth, ignore)
            pairs = truth[counted].astype("int64") * classes + mask[counted]
            matrix = numpy.bincount(pairs, minlength=classes**2).reshape(classes, classes)
            self.matrices.append(matrix)
            self.boundary += boundary_counts(truth, mask, classes, ignore)

    def result(self) -> tuple[dict[str, float], ImageScores]:
        """Scores, and what each image adds to them."""
        matrix = numpy.sum(self.matrices, axis=0)
        scores = scores_from_confusion(matrix, self.dataset.class_names)
        scores["boundary_iou"] = boundary_iou(self.boundary)
        return scores, ImageScores({}, {"": stacked(self.matrices)})


class Scorer:
    """One confusion matrix per image; most scores are those of their sum."""

    def __init__(self, dataset: Dataset, loss: keras.losses.Loss):
        self.dataset, self.loss = dataset, loss
        self.losses: list[float] = []
        self.matrices: list[numpy.ndarray] = []
        self.boundary = numpy.zeros((2, len(dataset.class_names)), "int64")

    def update(self, masks: Tensor, logits: Tensor) -> None:
        """Adds a batch: masks (B, H, W), logits (B, H, W, C)."""
        classes, ignore = len(self.dataset.class_names), self.dataset.ignore_labels
        for one in range(len(masks)):
            matrix = confusion_matrix(masks[one], logits[one], classes, ignore)
            self.matrices.append(keras.ops.convert_to_numpy(matrix))
            predicted = keras.ops.convert_to_numpy(keras.ops.argmax(logits[one], axis=-1))
            self.boundary += boundary_counts(masks[one], predicted, classes, ignore)
        self.losses += loss_per_image(self.loss, masks, logits)

    def result(self) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        """Scores, the baseline that predicts the most frequent class everywhere, and details."""
        matrix = numpy.sum(self.matrices, axis=0, dtype="int64")
        scores = {**scores_from_confusion(matrix, self.dataset.class_names)}
        scores["boundary_iou"] = boundary_iou(self.boundary)
        # An image without a valid pixel says nothing.
        valid = [each.any() for each in self.matrices]
        scores["loss"] = float(numpy.mean(numpy.array(self.losses)[valid])) if any(valid) else 0.0
        constant = numpy.zeros_like(matrix)
        truth = matrix.sum(axis=1)
        constant[:, most_frequent_class(self.dataset, truth, masks=True)] = truth
        baseline = scores_from_confusion(constant, self.dataset.class_names)
        baseline = {name: baseline[name] for name in ("mean_iou", "pixel_accuracy")}
        extras = {
            "confusion_matrix": matrix.tolist(),
            "images": ImageScores({}, {"": stacked(self.matrices)}),
        }
        return scores, baseline, extras


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
    native=NativeScorer,
    sample_score=sample_score,
    captions=captions,
    render=render,
)


def task(config: Choice) -> Task:
    """The task; no key of the configuration changes it."""
    return TASK
