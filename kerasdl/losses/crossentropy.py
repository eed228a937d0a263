"""Cross-entropy on logits with ignored labels and class weights, per image or per pixel."""

from collections.abc import Sequence
from typing import Any

import keras

from kerasdl.backend import distribution
from kerasdl.core.types import Tensor
from kerasdl.losses.labels import match_rank, split_labels


def sparse_crossentropy(
    labels: Tensor,
    logits: Tensor,
    ignore_labels: Sequence[int] = (),
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Weighted cross-entropy of every pixel, and its weight.

    l = w[y] (1 - e) (lse(z) - z[y]) + e/C sum_c w[c] (lse(z) - z[c]), lse = log-sum-exp,
    e = label smoothing. Ignored labels have l = 0 and weight 0. A label that is neither a class
    nor ignored has l = NaN on every backend: Keras' own loss counts it as 0 on JAX, which would
    hide wrong labels.

    Args:
        labels: Integers, shape (B,) or (B, H, W).
        logits: Shape (B, C) or (B, H, W, C); computed in float32 whatever their dtype.
        ignore_labels: Label values to leave out.
        class_weights: One weight per class, or None for 1.
        label_smoothing: e in [0, 1).

    Returns:
        `(losses, weights)`, float32, of the shape of `labels`; `weights` is w[y].

    Source: torch.nn.CrossEntropyLoss, whose definition of weights and smoothing this is;
    Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7 (smoothing).
    """
    ops = keras.ops
    logits = ops.cast(logits, "float32")
    classes = logits.shape[-1]
    index, valid, unknown = split_labels(labels, classes, ignore_labels)
    weights = ops.cast(valid, "float32")
    # Keras' own op is the fastest of four forms on TensorFlow, JAX and torch together, builds
    # no one-hot array where the backend has a fused kernel, and trains on torch from logits.
    losses = ops.sparse_categorical_crossentropy(index, logits, from_logits=True)
    if class_weights is not None:
        class_weights = ops.convert_to_tensor(class_weights, dtype="float32")
        weights = weights * ops.take(class_weights, index, axis=0)
    losses = losses * weights
    if label_smoothing:
        scale = 1.0 if class_weights is None else class_weights
        distance = ops.logsumexp(logits, axis=-1, keepdims=True) - logits
        spread = ops.mean(scale * distance, axis=-1) * ops.cast(valid, "float32")
        losses = (1.0 - label_smoothing) * losses + label_smoothing * spread
    return ops.where(unknown, float("nan"), losses), weights


def normalize(losses: Tensor, weights: Tensor) -> Tensor:
    """Losses scaled so that their mean is sum(losses) / sum(weights); 0 if all weights are 0.

    Keras takes the plain mean of what a loss returns; this keeps its handling of distribution
    strategies and sample weights. Both sums are those of all replicas of a distributed step.
    """
    ops = keras.ops
    size, weight = distribution.total([ops.cast(ops.size(losses), "float32"), ops.sum(weights)])
    return losses * ops.divide_no_nan(size, weight)


@keras.saving.register_keras_serializable("kerasdl")
class SparseCrossentropy(keras.losses.Loss):
    """Cross-entropy of a batch on logits: sum(w l) / sum(w) over the labels not ignored.

    Without class weights this is the mean over the valid pixels, equal to
    `keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=...)`; with them
    it is `torch.nn.CrossEntropyLoss(weight, ignore_index, reduction="mean")`. A batch whose
    labels are all ignored gives 0 with zero gradients; a label that is neither a class nor
    ignored gives NaN. Always float32. Sample weights multiply the losses and are not part of
    the denominator, as everywhere in Keras.

    Args:
        ignore_labels: Label values to ignore, any number of them.
        class_weights: One weight per class, or None.
        label_smoothing: Fraction of the target spread evenly over the classes, in [0, 1).
        name: Name of the loss.
        reduction: As in Keras.
    """

    def __init__(
        self,
        ignore_labels: Sequence[int] = (),
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        name: str = "crossentropy",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.ignore_labels = tuple(int(label) for label in ignore_labels)
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.label_smoothing = float(label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        losses, weights = sparse_crossentropy(
            match_rank(y_true, y_pred),
            y_pred,
            self.ignore_labels,
            self.class_weights,
            self.label_smoothing,
        )
        return normalize(losses, weights)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ignore_labels": list(self.ignore_labels),
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
        }
