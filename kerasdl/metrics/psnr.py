"""Peak signal-to-noise ratio per image."""

from typing import Any

import keras

from kerasdl.core.types import Tensor
from kerasdl.metrics.base import ImageMean

MIN_ERROR = 1e-10  # so that identical images have 100 dB, not infinity


def psnr(truth: Tensor, prediction: Tensor) -> Tensor:
    """PSNR of each image in dB: -10 log10(max(MSE, 1e-10)), data range 1.

    One MSE per image over its pixels and channels. `keras.ops.psnr` takes one over the whole batch,
    so its value depends on the batch size.

    Args:
        truth: Images in [0, 1], shape (B, H, W, C).
        prediction: Same shape; clipped to [0, 1], as it would be shown. Computed in float32.

    Returns:
        float32 (B,), at most 100.

    Example: a constant error of 0.1 gives 20 dB.
    """
    ops = keras.ops
    truth = ops.cast(truth, "float32")
    prediction = ops.clip(ops.cast(prediction, "float32"), 0.0, 1.0)
    error = ops.mean(ops.square(truth - prediction), axis=(1, 2, 3))
    return -10.0 * ops.log10(ops.maximum(error, MIN_ERROR))


@keras.saving.register_keras_serializable("kerasdl")
class PSNR(ImageMean):
    """Mean over images of `psnr`, in dB.

    Args:
        name: Name in the logs.
        gated: Whether `ExpensiveMetricsInValidationOnly` may switch it off in training.

    Example, for a model whose output is an image in [0, 1]:

        model.compile(
            loss="mean_absolute_error",
            metrics=[kerasdl.metrics.PSNR()],
        )
        model.evaluate(inputs, images, return_dict=True)["psnr"]
    """

    def __init__(self, name: str = "psnr", gated: bool = True):
        super().__init__(psnr, name, gated)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "gated": self.gated}
