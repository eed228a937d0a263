"""Classification: accuracy, loss, calibration. Models output logits; softmax is applied here."""

from typing import Any

import keras
import numpy

from kerasdl.core.types import Tensor
from kerasdl.data.base import Dataset
from kerasdl.metrics import classification as measures
from kerasdl.metrics.images import ImageScores
from kerasdl.tasks import TASKS, Choice, Task
from kerasdl.tasks.prediction import classification as prediction
from kerasdl.tasks.prediction import to_unit
from kerasdl.tasks.scoring import loss_per_image, most_frequent_class


def prepare(
    images: numpy.ndarray, labels: numpy.ndarray | None, masks: numpy.ndarray | None
) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """x float32 (B, H, W, 3) in [0, 1] and y int32 (B,)."""
    return to_unit(images), labels


def metrics(dataset: Dataset) -> list[keras.metrics.Metric]:
    """Accuracy, and top-5 accuracy for more than five classes."""
    found = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if len(dataset.class_names) > 5:
        found.append(keras.metrics.SparseTopKCategoricalAccuracy(k=5, name="top5_accuracy"))
    return found


class Scorer:
    """Collects labels and logits; `result` scores them all at once."""

    def __init__(self, dataset: Dataset, loss: keras.losses.Loss):
        self.dataset, self.loss = dataset, loss
        self.losses: list[float] = []
        self.labels: list[numpy.ndarray] = []
        self.logits: list[numpy.ndarray] = []

    def update(self, labels: Tensor, logits: Tensor) -> None:
        """Adds a batch: labels (B,), logits (B, C)."""
        self.losses += loss_per_image(self.loss, labels, logits)
        self.labels.append(numpy.asarray(labels))
        self.logits.append(keras.ops.convert_to_numpy(logits))

    def result(self) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        """Scores, the baseline that always predicts the most frequent class, and details."""
        labels = numpy.concatenate(self.labels)
        # Ranked by their logits: in float32 many small probabilities are the same 0.
        logits = numpy.concatenate(self.logits)
        predicted = probabilities(logits)
        classes = len(self.dataset.class_names)
        pairs = labels.astype("int64") * classes + logits.argmax(axis=1)
        matrix = numpy.bincount(pairs, minlength=classes**2).reshape(classes, classes)
        scores = {
            "accuracy": measures.accuracy(labels, logits),
            "loss": float(numpy.mean(self.losses)),
            "calibration_error": measures.calibration_error(labels, predicted),
        }
        if classes > 5:
            scores["top5_accuracy"] = measures.top_k_accuracy(labels, logits)
        recall = measures.per_class_accuracy(matrix)
        for name, value in zip(self.dataset.class_names, recall, strict=True):
            scores[f"accuracy/{name}"] = value
        counts = matrix.sum(axis=1)
        frequent = counts[most_frequent_class(self.dataset, counts)] / len(labels)
        right = logits.argmax(axis=1) == labels
        extras = {
            "images": ImageScores({"accuracy": right, "loss": self.losses}),
            "confusion_matrix": matrix.tolist(),
            "calibration": measures.calibration_bins(labels, predicted),
        }
        return scores, {"accuracy": float(frequent)}, extras


def probabilities(logits: Tensor) -> numpy.ndarray:
    """Softmax over the last axis in float32, as a NumPy array."""
    return prediction.probabilities(keras.ops.convert_to_numpy(logits))


def sample_score(labels: numpy.ndarray, logits: Tensor, dataset: Dataset) -> numpy.ndarray:
    """Probability given to the true class, per image."""
    return numpy.take_along_axis(probabilities(logits), numpy.asarray(labels)[:, None], 1)[:, 0]


def captions(labels: numpy.ndarray, logits: Tensor, dataset: Dataset) -> list[str]:
    """One line per image: the truth, the prediction and its probability."""
    predicted = probabilities(logits)
    names = dataset.class_names
    lines = []
    for label, row in zip(labels, predicted, strict=True):
        best = int(row.argmax())
        verdict = "" if best == label else f"{names[label]} taken for "
        lines.append(f"{verdict}{names[best]} {row[best]:.0%}")
    return lines


def render(
    x: numpy.ndarray, y: numpy.ndarray, logits: Tensor, dataset: Dataset
) -> tuple[numpy.ndarray, ...]:
    """Only the input: a class is not an image."""
    return (numpy.round(x * 255).astype("uint8"),)


TASK = Task(
    spec=TASKS["classification"],
    target="label",
    channels=3,
    outputs=lambda dataset: len(dataset.class_names),
    prepare=prepare,
    metrics=metrics,
    scorer=Scorer,
    sample_score=sample_score,
    captions=captions,
    render=render,
)


def task(config: Choice) -> Task:
    """The task; no key of the configuration changes it."""
    return TASK
