"""Classification scores from collected predictions (NumPy)."""

from typing import Any

import numpy
from numpy.typing import ArrayLike

from kerasdl.core.errors import DataError


def accuracy(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Fraction of samples whose class has the largest probability (or logit), in [0, 1].

    Args:
        labels: Class indices (N,).
        probabilities: Shape (N, C).
    """
    labels, probabilities = _checked(labels, probabilities)
    return float((probabilities.argmax(axis=1) == labels).mean())


def top_k_accuracy(labels: ArrayLike, probabilities: ArrayLike, k: int = 5) -> float:
    """Fraction of samples whose class is among the k most probable, in [0, 1].

    Ties are broken by class index, so a constant prediction is not always correct; for k >= C the
    result is 1.

    Args:
        labels: Class indices (N,).
        probabilities: Probabilities or logits (N, C).
        k: Number of classes that count.
    """
    labels, probabilities = _checked(labels, probabilities)
    order = numpy.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((order == labels[:, None]).any(axis=1).mean())


def per_class_accuracy(matrix: ArrayLike) -> numpy.ndarray:
    """Recall of each class: M[c,c] / row sum of the confusion matrix (rows: truth).

    Args:
        matrix: Counts (C, C).

    Returns:
        float64 (C,) in [0, 1]; NaN for a class without samples.
    """
    matrix = numpy.asarray(matrix, dtype="float64")
    samples = matrix.sum(axis=1)
    recall = numpy.full(len(matrix), numpy.nan)
    numpy.divide(numpy.diagonal(matrix), samples, out=recall, where=samples > 0)
    return recall


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error: sum over bins of (n/N) |accuracy - mean confidence|.

    Confidence is the largest probability; the bins (i/15, (i+1)/15] have equal width.

    Args:
        labels: Class indices (N,).
        probabilities: Shape (N, C), rows sum to 1 (not logits).
        bins: Number of bins.

    Returns:
        float in [0, 1]; 0 is perfectly calibrated.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    filled = calibration_bins(labels, probabilities, bins)
    gaps = sum(each["count"] * abs(each["accuracy"] - each["confidence"]) for each in filled)
    return gaps / sum(each["count"] for each in filled)


def calibration_bins(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 15
) -> list[dict[str, Any]]:
    """The bins behind `calibration_error`, for a reliability diagram.

    Same arguments.

    Returns:
        One dict per bin: `low` and `high` (its bounds), `count`, and the means `confidence` and
        `accuracy`, 0 in an empty bin.
    """
    labels, probabilities = _checked(labels, probabilities)
    confidence = probabilities.max(axis=1).astype("float64")
    right = (probabilities.argmax(axis=1) == labels).astype("float64")
    index = numpy.clip(numpy.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = numpy.bincount(index, minlength=bins)
    sums = [numpy.bincount(index, weights=values, minlength=bins) for values in (confidence, right)]
    means = [total / numpy.maximum(counts, 1) for total in sums]
    return [
        {
            "low": number / bins,
            "high": (number + 1) / bins,
            "count": int(counts[number]),
            "confidence": float(means[0][number]),
            "accuracy": float(means[1][number]),
        }
        for number in range(bins)
    ]


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[numpy.ndarray, numpy.ndarray]:
    labels, probabilities = numpy.asarray(labels), numpy.asarray(probabilities)
    if not labels.size:
        raise DataError("classification scores need at least one sample")
    return labels, probabilities
