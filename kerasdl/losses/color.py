"""Losses of colorization in CIELAB. Truth is (L, a, b) / 100, shape (B, H, W, 3)."""

from collections.abc import Sequence
from typing import Any

import keras

from kerasdl.core.types import Tensor
from kerasdl.losses.crossentropy import normalize
from kerasdl.metrics.colors.bins import soft_encoding
from kerasdl.metrics.colors.targets import LAB_SCALE

HUBER_DELTA = 0.1  # 10 units of CIELAB; as in RGB, where 0.1 is 25 of 255 levels
CHROMA_UNIT = 10.0  # chroma at which a pixel counts twice as much as a gray one


def l1(target: str = "rgb") -> keras.losses.Loss:
    """Mean absolute error of RGB in [0, 1], or of a and b divided by 100."""
    return ABError("l1", name="l1") if target == "ab" else keras.losses.MeanAbsoluteError(name="l1")


def huber(target: str = "rgb") -> keras.losses.Loss:
    """Huber loss, quadratic up to an error of 0.1; Keras' default of 1 is quadratic everywhere."""
    if target == "ab":
        return ABError("huber", name="huber")
    return Huber()


def chroma() -> keras.losses.Loss:
    """Mean absolute error of a and b, each pixel weighted by its true chroma; see `ABError`."""
    return ABError("l1", chroma_weighted=True, name="chroma")


@keras.saving.register_keras_serializable("kerasdl")
class Huber(keras.losses.Huber):
    """Keras' Huber loss with a `delta` that a saved model keeps; Keras 3.15 loads 1 instead.

    Args:
        delta: Error up to which the loss is quadratic.
        name: Name of the loss.
        reduction: As in Keras.
    """

    def __init__(
        self,
        delta: float = HUBER_DELTA,
        name: str = "huber",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(delta=delta, name=name, reduction=reduction)
        self.delta = float(delta)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


@keras.saving.register_keras_serializable("kerasdl")
class ABError(keras.losses.Loss):
    """Mean error of a and b, both divided by 100.

    e = mean over a, b of h(d), d = truth - prediction. Without `chroma_weighted` the value of a
    batch is the mean of e over its pixels; with it sum(w e) / sum(w), w = 1 + C / 10, C the true
    chroma sqrt(a^2 + b^2): a saturated pixel (C = 50) counts six times as much as a gray one, so
    that predicting gray everywhere is penalized.

    Args:
        kind: "l1": h(d) = |d|; "huber": h(d) = d^2 / 2 up to |d| = 0.1, 0.1 (|d| - 0.05) beyond.
        chroma_weighted: Whether pixels are weighted by their true chroma.
        name: Name of the loss.
        reduction: As in Keras.
    """

    def __init__(
        self,
        kind: str = "l1",
        chroma_weighted: bool = False,
        name: str = "ab_error",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.kind = kind
        self.chroma_weighted = bool(chroma_weighted)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        ops = keras.ops
        truth = y_true[..., 1:]
        error = ops.abs(truth - y_pred)
        if self.kind == "huber":
            tail = HUBER_DELTA * (error - HUBER_DELTA / 2)
            error = ops.where(error <= HUBER_DELTA, 0.5 * ops.square(error), tail)
        error = ops.mean(error, axis=-1)
        if self.chroma_weighted:
            saturation = LAB_SCALE * ops.sqrt(ops.sum(ops.square(truth), axis=-1))
            weights = 1.0 + saturation / CHROMA_UNIT
            error = normalize(error * weights, weights)
        return error

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kind": self.kind,
            "chroma_weighted": self.chroma_weighted,
        }


@keras.saving.register_keras_serializable("kerasdl")
class BinsCrossentropy(keras.losses.Loss):
    """Cross-entropy of the 313 color bins: mean over pixels of v sum_q Z_q (lse(z) - z_q).

    Z is the soft encoding of the true color, z the logits, lse log-sum-exp, and v the weight of
    the bin nearest to the true color.

    Args:
        class_weights: One weight per bin (`colors.bins.rebalancing_weights`), or None for 1.
        name: Name of the loss.
        reduction: As in Keras.

    Source: Zhang, Isola and Efros 2016, "Colorful Image Colorization", equation 2.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        name: str = "bins",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.class_weights = (
            None if class_weights is None else [float(each) for each in class_weights]
        )

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        ops = keras.ops
        bins, fractions = soft_encoding(y_true[..., 1:] * LAB_SCALE)
        found = ops.sum(fractions * ops.take_along_axis(y_pred, bins, axis=-1), axis=-1)
        losses = ops.logsumexp(y_pred, axis=-1) - found
        if self.class_weights is None:
            return losses
        weights = ops.convert_to_tensor(self.class_weights, dtype="float32")
        return losses * ops.take(weights, bins[..., 0], axis=0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "class_weights": self.class_weights}
