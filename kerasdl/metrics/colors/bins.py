"""The 313 colors of Zhang, Isola and Efros 2016, "Colorful Image Colorization" (arXiv 1603.08511).

Colorization as classification: the ab plane of CIELAB is divided into bins of 10x10, the model
outputs one logit per bin, and the color of a pixel is an annealed mean of the bins.
"""

from typing import Any, Protocol

import numpy
from numpy.typing import ArrayLike

from kerasdl.core.types import Tensor
from kerasdl.metrics.colors.lab import array_ops, as_float32, rgb_to_lab

GRID = 10  # width of a bin
NEIGHBORS = 5  # bins that a true color is spread over
SIGMA = 5.0  # of that spread, and of the smoothing of the colors' frequencies
UNIFORM_FRACTION = 0.5  # lambda of the paper: 0 weighs by rarity alone, 1 not at all
TEMPERATURE = 0.38  # of the annealed mean
COUNT_BATCH = 64  # images whose colors are counted together

# Lowest and highest b of the bins with each a. The authors publish the list, not the rule. The
# corners of all grid squares that sRGB touches are 309 of the 313; (40, 90), (100, -90),
# (100, -10) and (100, 0) lie beyond (tests/test_colors.py).
ROWS = {
    -90: (50, 90),
    -80: (20, 90),
    -70: (0, 90),
    -60: (-20, 90),
    -50: (-30, 100),
    -40: (-40, 100),
    -30: (-50, 100),
    -20: (-50, 100),
    -10: (-60, 100),
    0: (-70, 100),
    10: (-80, 90),
    20: (-80, 90),
    30: (-90, 90),
    40: (-100, 90),
    50: (-100, 80),
    60: (-110, 80),
    70: (-110, 80),
    80: (-110, 70),
    90: (-110, 70),
    100: (-90, 0),
}
BINS = numpy.array(
    [(a, b) for a, (low, high) in ROWS.items() for b in range(low, high + GRID, GRID)],
    dtype="float32",
)
_FIRST = BINS.min(axis=0)  # a and b of the table's first entry
_TABLE = numpy.full(((BINS.max(axis=0) - _FIRST) / GRID + 1).astype(int), -1)
_TABLE[tuple(((BINS - _FIRST) / GRID).astype(int).T)] = numpy.arange(len(BINS))


def nearest(ab: ArrayLike) -> numpy.ndarray:
    """Index of the nearest bin of each color, shape (...), from ab of shape (..., 2), NumPy.

    An sRGB color lies in a grid square whose four corners are bins, so rounding finds it.
    """
    cells = numpy.rint((numpy.asarray(ab) - _FIRST) / GRID).astype(int)
    return _TABLE[cells[..., 0], cells[..., 1]]


def soft_encoding(ab: Tensor) -> tuple[Tensor, Tensor]:
    """The five nearest bins of each color and their fractions.

    Fractions are Gaussian: exp(-d^2 / (2 sigma^2)), d the distance to the bin, sigma 5, normalized
    to sum 1. Section 2.1 of the paper.

    Args:
        ab: Colors, shape (..., 2), in units of CIELAB.

    Returns:
        `(bins, fractions)`: int32 and float32, shape (..., 5), the nearest first.
    """
    from keras import ops

    ab = ops.cast(ab, "float32")
    a, b = _axes(ops)
    squared = ops.square(ab[..., :1] - a) + ops.square(ab[..., 1:] - b)
    closeness, bins = ops.top_k(-squared, NEIGHBORS)
    return ops.cast(bins, "int32"), ops.softmax(closeness / (2 * SIGMA**2), axis=-1)


def annealed_mean(logits: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Color of each pixel: sum_q softmax(z / T)_q BINS_q, section 2.3 of the paper.

    T = 1 is the mean of the predicted distribution, which is grayish; T -> 0 is its mode, which
    is vivid and blotchy.

    Args:
        logits: Shape (..., 313).
        temperature: T > 0.

    Returns:
        ab float32 (..., 2).
    """
    logits = as_float32(logits)
    ops = array_ops(logits)
    # A softmax, which NumPy does not have.
    fractions = ops.exp((logits - ops.max(logits, axis=-1, keepdims=True)) / temperature)
    fractions = fractions / ops.sum(fractions, axis=-1, keepdims=True)
    return ops.stack([ops.sum(fractions * axis, axis=-1) for axis in _axes(ops)], axis=-1)


def smoothed_frequencies(counts: ArrayLike) -> numpy.ndarray:
    """Frequencies of the bins after Gaussian smoothing over the ab plane (sigma 5), sum 1.

    Each bin's frequency is spread over all bins, itself included, by distance.
    """
    distances = ((BINS[:, None] - BINS[None]) ** 2).sum(axis=-1).astype("float64")
    kernel = numpy.exp(-distances / (2 * SIGMA**2))
    kernel /= kernel.sum(axis=0)
    counts = numpy.asarray(counts, dtype="float64")
    return kernel @ (counts / counts.sum())


def rebalancing_weights(counts: ArrayLike) -> numpy.ndarray:
    """Weights that emphasize rare colors: w_q ~ 1 / ((1 - lambda) p_q + lambda / 313).

    p are the smoothed frequencies of the training pixels, lambda = 0.5, and the weights are
    scaled so that sum_q p_q w_q = 1. Equations 3 and 4 of the paper, which uses the colors of
    ImageNet.

    Args:
        counts: Training pixels per nearest bin, shape (313,), not all 0.

    Returns:
        float64 array (313,).
    """
    frequencies = smoothed_frequencies(counts)
    weights = 1 / ((1 - UNIFORM_FRACTION) * frequencies + UNIFORM_FRACTION / len(BINS))
    return weights / (frequencies * weights).sum()


class Images(Protocol):
    """Training images by index."""

    def __len__(self) -> int: ...

    def take(self, indices: numpy.ndarray) -> tuple[Any, Any, Any]:
        """Images uint8 (B, H, W, 3), labels and masks."""


def training_weights(source: Images) -> numpy.ndarray:
    """Weights of the 313 color bins from the training images; see `rebalancing_weights`."""
    counts = numpy.zeros(len(BINS), dtype="int64")
    for start in range(0, len(source), COUNT_BATCH):
        images, _, _ = source.take(numpy.arange(start, min(start + COUNT_BATCH, len(source))))
        found = nearest(rgb_to_lab(numpy.multiply(images, numpy.float32(1 / 255)))[..., 1:])
        counts += numpy.bincount(found.ravel(), minlength=len(counts))
    return rebalancing_weights(counts)


def _axes(ops: Any) -> list[Tensor]:
    """a and b of the bins, two arrays or tensors (313,)."""
    convert = numpy.asarray if ops is numpy else ops.convert_to_tensor
    return [convert(axis) for axis in BINS.T.copy()]
