"""Accuracy and strength of colors; PSNR and SSIM are hardly sensitive to color."""

import math

import numpy
import skimage.color
from numpy.typing import ArrayLike

from kerasdl.core.errors import DataError

GRAY = 0.01  # colorfulness below which images are gray, on 0-255: rounding error
ERRORS = ("chroma_error", "ab_error", "delta_e")


def out_of_gamut(prediction: ArrayLike) -> numpy.ndarray:
    """Fraction of the pixels that clipping to [0, 1] changes by more than half an 8-bit step.

    Args:
        prediction: RGB before it is clipped, shape (..., H, W, 3).

    Returns:
        float64 (...).
    """
    prediction = numpy.asarray(prediction)
    outside = (prediction < -0.5 / 255) | (prediction > 1 + 0.5 / 255)
    return outside.any(axis=-1).mean(axis=(-2, -1))


def colorfulness(images: ArrayLike) -> numpy.ndarray:
    """Colorfulness: sqrt(var rg + var yb) + 0.3 sqrt(mean rg^2 + mean yb^2), scale 0-255.

    rg = R - G, yb = (R + G) / 2 - B, both signed; mean and variance over the pixels.

    Args:
        images: RGB in [0, 1], shape (..., H, W, 3); clipped to that range.

    Returns:
        float64 (...): 0 for gray; in the paper 33 is "moderately", 82 "highly" colorful.

    Source: Hasler and Suesstrunk 2003, "Measuring colorfulness in natural images", eq. 3.
    """
    red, green, blue = numpy.moveaxis(_clipped(images) * 255.0, -1, 0)
    red_green = red - green
    yellow_blue = (red + green) / 2 - blue
    axes = (-2, -1)
    spread = red_green.var(axis=axes) + yellow_blue.var(axis=axes)
    shift = red_green.mean(axis=axes) ** 2 + yellow_blue.mean(axis=axes) ** 2
    return numpy.sqrt(spread) + 0.3 * numpy.sqrt(shift)


class ColorScores:
    """Means over images of the color scores, collected batch by batch, from CIELAB (D65).

    chroma_error = mean over pixels of sqrt(da^2 + db^2), ab_error = mean of (|da| + |db|) / 2,
    delta_e = mean of the CIEDE2000 difference, where about 1 is just noticeable.

    Source: Sharma et al. 2005, "The CIEDE2000 Color-Difference Formula" (scikit-image).

    Example: `scores = ColorScores(); scores.update(truth, prediction); scores.result()`.
    """

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {
            name: [] for name in (*ERRORS, "truth", "prediction")
        }

    def update(self, truth: ArrayLike, prediction: ArrayLike) -> None:
        """Adds a batch of images (B, H, W, 3), RGB in [0, 1]."""
        truth, prediction = _clipped(truth), _clipped(prediction)
        true_lab, predicted_lab = (skimage.color.rgb2lab(each) for each in (truth, prediction))
        ab = true_lab[..., 1:] - predicted_lab[..., 1:]
        difference = skimage.color.deltaE_ciede2000(true_lab, predicted_lab)
        found = {
            "chroma_error": numpy.linalg.norm(ab, axis=-1).mean(axis=(-2, -1)),
            "ab_error": numpy.abs(ab).mean(axis=(-3, -2, -1)),
            "delta_e": difference.mean(axis=(-2, -1)),
            "truth": colorfulness(truth),
            "prediction": colorfulness(prediction),
        }
        for name, values in found.items():
            self._values[name] += values.tolist()

    def per_image(self) -> dict[str, list[float]]:
        """The errors of each image, in the order in which they were added."""
        return {name: self._values[name] for name in ERRORS}

    def result(self) -> dict[str, float]:
        """dict of `chroma_error`, `ab_error`, `delta_e` and `colorfulness_ratio`.

        The ratio is the mean colorfulness of the predictions over that of the truth: 1 is as
        colorful, 0 is gray, NaN if the truth itself is gray.

        Raises:
            DataError: No image was added.
        """
        if not self._values["truth"]:
            raise DataError("color scores need at least one image")
        means = {name: float(numpy.mean(values)) for name, values in self._values.items()}
        truth, prediction = means.pop("truth"), means.pop("prediction")
        return {**means, "colorfulness_ratio": prediction / truth if truth >= GRAY else math.nan}


def _clipped(images: ArrayLike) -> numpy.ndarray:
    return numpy.clip(numpy.asarray(images, dtype="float64"), 0.0, 1.0)
