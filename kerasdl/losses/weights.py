"""Class weights from class counts."""

import numpy
from numpy.typing import ArrayLike

from kerasdl.core.errors import DataError


def balanced_class_weights(counts: ArrayLike) -> numpy.ndarray:
    """Median-frequency weights: w[c] = median(f) / f[c], f[c] = counts[c] / sum of counts.

    Rare classes weigh more, the class of median frequency weighs 1. Classes that do not occur
    have weight 0 and are left out of the median: there is nothing to learn them from, so any other
    weight would be arbitrary.

    Args:
        counts: Pixels (or samples) of each class, shape (C,), integers.

    Returns:
        float64 array (C,).

    Raises:
        DataError: No class occurs at all.

    Example: counts (10, 20, 70) give (2, 1, 0.2857).
    Source: Eigen and Fergus 2015, "Predicting Depth, Surface Normals and Semantic Labels",
    section 6.2 (there the frequency is that in the images in which the class occurs).
    """
    counts = numpy.asarray(counts, dtype="float64")
    if not (counts > 0).any():
        raise DataError("class weights cannot be computed: no label belongs to any class")
    present = counts > 0
    frequency = counts[present] / counts.sum()
    weights = numpy.zeros_like(counts)
    weights[present] = numpy.median(frequency) / frequency
    return weights
