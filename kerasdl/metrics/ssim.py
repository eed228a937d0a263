"""Structural similarity per image (Wang et al. 2004)."""

from typing import Any

import keras

from kerasdl.backend.precision import exact_matmul
from kerasdl.core.types import Tensor
from kerasdl.metrics.base import ImageMean

SIGMA = 1.5
RADIUS = 5  # window of 11 pixels
C1 = 0.01**2
C2 = 0.03**2


def ssim(truth: Tensor, prediction: Tensor) -> Tensor:
    """SSIM of each image: mean over channels and over the places where the window fits.

    (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sxx + syy + C2)) with means m and
    (co)variances s under a Gaussian window of 11x11 pixels, sigma 1.5, C1 = 0.01^2,
    C2 = 0.03^2, data range 1. Images with a side below 11 pixels get the largest odd window
    that fits, with the same sigma. Equal to scikit-image with `gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False, data_range=1`, and to `keras.ops.image.ssim`, which
    rejects small images and computes in its input's dtype (inaccurate in bfloat16).

    Args:
        truth: Images in [0, 1], shape (B, H, W, C).
        prediction: Same shape; clipped to [0, 1], as it would be shown. Computed in float32.

    Returns:
        float32 (B,), in [-1, 1]; 1 for identical images.

    Source: Wang et al. 2004, "Image Quality Assessment", equation 13.
    """
    ops = keras.ops
    truth = ops.cast(truth, "float32")
    prediction = ops.clip(ops.cast(prediction, "float32"), 0.0, 1.0)
    batch, height, width, channels = ops.shape(truth)
    radius = _radius(height, width)
    # Only the sum of the two variances is needed, so four maps are filtered, not five.
    squares = truth * truth + prediction * prediction
    maps = ops.concatenate([truth, prediction, squares, truth * prediction], axis=-1)
    vertical, horizontal = _window(height, radius), _window(width, radius)
    maps = ops.reshape(maps, (batch, height, width * 4 * channels))
    # A variance is a small difference of two such products, so it needs full precision.
    maps = exact_matmul(vertical, maps)
    maps = ops.reshape(maps, (batch * (height - 2 * radius), width, 4 * channels))
    maps = exact_matmul(horizontal, maps)
    mean_x, mean_y, squares, product = ops.split(maps, 4, axis=-1)
    means_product = mean_x * mean_y
    means_squares = mean_x * mean_x + mean_y * mean_y
    similarity = (2.0 * means_product + C1) * (2.0 * (product - means_product) + C2)
    similarity = similarity / ((means_squares + C1) * (squares - means_squares + C2))
    return ops.mean(ops.reshape(similarity, (batch, -1)), axis=1)


def _radius(height: int | Tensor, width: int | Tensor) -> int | Tensor:
    """Half the window: 5, or what fits into the smaller side."""
    if isinstance(height, int) and isinstance(width, int):
        return min(RADIUS, (min(height, width) - 1) // 2)
    return keras.ops.minimum(RADIUS, (keras.ops.minimum(height, width) - 1) // 2)


def _window(size: int | Tensor, radius: int | Tensor) -> Tensor:
    """Matrix (size - 2 radius, size) whose rows hold the window at each place where it fits.

    Filtering as a matrix product: on CPU as fast as a depthwise convolution on TensorFlow and
    torch, and twelve times faster than one on JAX.
    """
    ops = keras.ops
    row = ops.expand_dims(ops.arange(size - 2 * radius), 1)
    offset = ops.expand_dims(ops.arange(size), 0) - row - radius
    weights = ops.exp(ops.cast(offset * offset, "float32") / (-2.0 * SIGMA**2))
    weights = weights * ops.cast(ops.abs(offset) <= radius, "float32")
    return weights / ops.sum(weights, axis=1, keepdims=True)


@keras.saving.register_keras_serializable("kerasdl")
class SSIM(ImageMean):
    """Mean over images of `ssim`.

    Args:
        name: Name in the logs.
        gated: Whether `ExpensiveMetricsInValidationOnly` may switch it off in training.

    Example, for a model whose output is an image in [0, 1]:

        model.compile(
            loss="mean_absolute_error",
            metrics=[kerasdl.metrics.SSIM()],
        )
        model.evaluate(inputs, images, return_dict=True)["ssim"]
    """

    def __init__(self, name: str = "ssim", gated: bool = True):
        super().__init__(ssim, name, gated)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "gated": self.gated}
