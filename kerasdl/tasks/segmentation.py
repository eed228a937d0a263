"""Segmentation: mean IoU and pixel accuracy, from logits."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy
from numpy.typing import ArrayLike

from kerasdl.core.types import Tensor
from kerasdl.data.base import Dataset, Sample
from kerasdl.metrics.boundary import boundary_counts, boundary_iou
from kerasdl.metrics.confusion import MeanIoU, scores_from_confusion
from kerasdl.metrics.images import ImageScores, pair_counts, stacked
from kerasdl.tasks import TASKS, Choice, Task
from kerasdl.tasks.prediction import ImagePrediction, to_unit
from kerasdl.tasks.scoring import loss_per_image, most_frequent_class


def prepare(
    images: numpy.ndarray, labels: numpy.ndarray | None, masks: numpy.ndarray | None
) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """x float32 (B, H, W, 3) in [0, 1] and y int32 class indices (B, H, W)."""
    return to_unit(images), None if masks is None else masks.astype("int32")


class _Masks:
    """Confusion matrices and boundaries of predicted masks, image by image."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self.matrices: list[numpy.ndarray] = []
        self.boundary = numpy.zeros((2, len(dataset.class_names)), "int64")

    def update(self, truth: numpy.ndarray, mask: numpy.ndarray) -> None:
        """Adds an image: class indices (H, W), true and predicted."""
        classes, ignore = len(self.dataset.class_names), self.dataset.ignore_labels
        self.matrices.append(pair_counts(truth, mask, classes, ignore))
        self.boundary += boundary_counts(truth, mask, classes, ignore)

    def result(self) -> tuple[dict[str, float], dict[str, float], ImageScores]:
        """Scores, those of the most frequent class everywhere, and what each image adds."""
        matrix = self.matrix()
        scores = scores_from_confusion(matrix, self.dataset.class_names)
        scores["boundary_iou"] = boundary_iou(self.boundary)
        constant, truth = numpy.zeros_like(matrix), matrix.sum(axis=1)
        constant[:, most_frequent_class(self.dataset, truth, masks=True)] = truth
        baseline = scores_from_confusion(constant, self.dataset.class_names)
        baseline = {name: baseline[name] for name in ("mean_iou", "pixel_accuracy")}
        return scores, baseline, ImageScores({}, {"": stacked(self.matrices)})

    def matrix(self) -> numpy.ndarray:
        """The confusion matrix of all images."""
        return numpy.sum(self.matrices, axis=0)


class NativeScorer:
    """Scores of masks at the size of the images as they are stored."""

    def __init__(self, dataset: Dataset):
        self.masks = _Masks(dataset)

    def update(self, samples: Sequence[Sample], found: Sequence[ImagePrediction]) -> None:
        """Adds samples and their predictions."""
        for sample, each in zip(samples, found, strict=True):
            self.masks.update(numpy.asarray(sample.mask), numpy.asarray(each.mask))

    def result(self) -> tuple[dict[str, float], dict[str, float], ImageScores]:
        """Scores, those of the baseline, and what each image adds to the scores."""
        return self.masks.result()


class Scorer:
    """Scores of the masks at the size of the model's outputs."""

    def __init__(self, dataset: Dataset, loss: keras.losses.Loss):
        self.loss = loss
        self.losses: list[float] = []
        self.masks = _Masks(dataset)

    def update(self, masks: Tensor, logits: Tensor) -> None:
        """Adds a batch: masks (B, H, W), logits (B, H, W, C)."""
        predicted = keras.ops.convert_to_numpy(logits).argmax(axis=-1)
        for truth, mask in zip(numpy.asarray(masks), predicted, strict=True):
            self.masks.update(truth, mask)
        self.losses += loss_per_image(self.loss, masks, logits)

    def result(self) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        """Scores, the baseline that predicts the most frequent class everywhere, and details."""
        scores, baseline, images = self.masks.result()
        # An image without a valid pixel says nothing.
        valid = [each.any() for each in self.masks.matrices]
        scores["loss"] = float(numpy.mean(numpy.array(self.losses)[valid])) if any(valid) else 0.0
        return (
            scores,
            baseline,
            {"confusion_matrix": self.masks.matrix().tolist(), "images": images},
        )


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
