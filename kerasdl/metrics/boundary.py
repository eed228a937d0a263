"""Boundary IoU: the overlap of masks along their contours, which area hardly shows (NumPy)."""

import math
from collections.abc import Sequence

import numpy

WIDTH = 0.02  # of the diagonal of the image, as in the paper


def boundary_counts(
    truth: numpy.ndarray,
    prediction: numpy.ndarray,
    classes: int,
    ignore_labels: Sequence[int] = (),
    width: float = WIDTH,
) -> numpy.ndarray:
    """Intersection and union, in pixels, of the inner boundary of each class in an image.

    The inner boundary of a mask is what erosion by d pixels in each direction takes from it;
    beyond the image there is no mask. d = max(1, round(width * diagonal)).

    Args:
        truth: Class indices (H, W).
        prediction: Class indices (H, W).
        classes: Number of classes C.
        ignore_labels: Labels of the truth whose pixels do not count.
        width: Width of the boundary as a fraction of the diagonal.

    Returns:
        int64 (2, C): intersections and unions.

    Source: Cheng et al. 2021, "Boundary IoU", equation 2.
    """
    truth, prediction = numpy.asarray(truth), numpy.asarray(prediction)
    distance = max(1, round(width * math.hypot(*truth.shape)))
    valid = ~numpy.isin(truth, list(ignore_labels))
    truth = numpy.where(valid, truth, prediction)  # where nothing is known, no contour ends
    counts = numpy.zeros((2, classes), "int64")
    for label in numpy.union1d(truth[valid], prediction[valid]):
        if 0 <= label < classes:
            one, other = (
                _boundary(each == label, distance) & valid for each in (truth, prediction)
            )
            counts[:, label] = (one & other).sum(), (one | other).sum()
    return counts


def boundary_iou(counts: numpy.ndarray) -> float:
    """Mean over the classes of intersection / union; NaN if there is no boundary at all.

    Args:
        counts: (2, C), the sum of `boundary_counts` over the images.
    """
    intersections, unions = numpy.asarray(counts, "float64")
    there = unions > 0
    return float((intersections[there] / unions[there]).mean()) if there.any() else math.nan


def _boundary(mask: numpy.ndarray, distance: int) -> numpy.ndarray:
    import scipy.ndimage  # not at the top: it would delay the first step of a training

    eroded = scipy.ndimage.minimum_filter(
        mask.view("uint8"), 2 * distance + 1, mode="constant", cval=0
    )
    return mask & (eroded == 0)
