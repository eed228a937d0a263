"""Colorization metrics during training, computed on the decoded images."""

from collections.abc import Sequence
from typing import Any

import keras

from kerasdl.core.types import Tensor
from kerasdl.metrics.base import GatedMetric, ImageMean
from kerasdl.metrics.color import GRAY
from kerasdl.metrics.colors.lab import rgb_to_lab
from kerasdl.metrics.colors.targets import truth_and_prediction
from kerasdl.metrics.psnr import PSNR
from kerasdl.metrics.ssim import SSIM


def ab_error(truth: Tensor, prediction: Tensor) -> Tensor:
    """Mean absolute error of a and b of CIELAB, per image, from RGB (B, H, W, 3) in [0, 1]."""
    error = keras.ops.abs(rgb_to_lab(truth) - rgb_to_lab(prediction))
    return keras.ops.mean(error[..., 1:], axis=(1, 2, 3))


def colorfulness(images: Tensor) -> Tensor:
    """As `kerasdl.metrics.color.colorfulness`, float32 (B,), with `keras.ops`."""
    ops = keras.ops
    red, green, blue = (255.0 * images[..., channel] for channel in range(3))
    opponents = ops.stack([red - green, (red + green) / 2.0 - blue], axis=-1)
    spread = ops.sum(ops.var(opponents, axis=(1, 2)), axis=-1)
    shift = ops.sum(ops.square(ops.mean(opponents, axis=(1, 2))), axis=-1)
    return ops.sqrt(spread) + 0.3 * ops.sqrt(shift)


@keras.saving.register_keras_serializable("kerasdl")
class ColorizationScores(GatedMetric):
    """PSNR, SSIM, ab error and colorfulness ratio, all on clipped RGB, whatever the target.

    One metric, so that the outputs are decoded once. All are means over images; the ratio is the
    ratio of means, NaN for a gray truth. All are 0 before the first update.

    Args:
        target: "rgb" or "ab", the model's output; see `kerasdl.metrics.colors.targets`.
        name: Name of the metric; the logs have the names of the scores.
        gated: Whether `ExpensiveMetricsInValidationOnly` may switch it off in training.
    """

    def __init__(self, target: str = "rgb", name: str = "colorization", gated: bool = True):
        super().__init__(name, gated)
        self.target = target
        self.parts = (PSNR(), SSIM(), ImageMean(ab_error, "ab_error"))
        self.predicted = ImageMean(lambda truth, prediction: colorfulness(prediction), "predicted")
        self.true = ImageMean(lambda truth, prediction: colorfulness(truth), "true")

    @property
    def accumulators(self) -> Sequence[keras.Variable]:
        return [each for part in self._all() for each in part.accumulators]

    @property
    def result_names(self) -> tuple[str, ...]:
        return (*(part.name for part in self.parts), "colorfulness_ratio")

    def increments(self, y_true: Tensor, y_pred: Tensor) -> Sequence[Tensor]:
        y_true, y_pred = map(keras.ops.convert_to_tensor, (y_true, y_pred))
        truth, prediction = truth_and_prediction(y_true, y_pred, self.target)
        prediction = keras.ops.clip(prediction, 0.0, 1.0)
        return tuple(each for part in self._all() for each in part.increments(truth, prediction))

    def result(self) -> dict[str, Tensor]:
        ops = keras.ops
        predicted, true = self.predicted.result(), self.true.result()
        gray_truth = ops.logical_and(self.true.images > 0, true < GRAY)
        ratio = ops.where(gray_truth, float("nan"), ops.divide_no_nan(predicted, true))
        values = [part.result() for part in self.parts]
        return dict(zip(self.result_names, (*values, ratio), strict=True))

    def _all(self) -> tuple[ImageMean, ...]:
        return (*self.parts, self.predicted, self.true)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target": self.target}
