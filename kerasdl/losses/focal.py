"""Focal loss on logits with ignored labels and class weights."""

from collections.abc import Sequence
from typing import Any

import keras

from kerasdl.core.errors import ConfigError
from kerasdl.core.types import Tensor
from kerasdl.losses.crossentropy import normalize, sparse_crossentropy
from kerasdl.losses.labels import match_rank, split_labels


@keras.saving.register_keras_serializable("kerasdl")
class SparseFocal(keras.losses.Loss):
    """Focal loss of a batch: sum(w[y] (1 - p[y])^gamma l) / sum(w[y]), l = -log p[y].

    Pixels that are already correct count less; gamma = 0 is cross-entropy. Labels, weights,
    ignored labels, shapes and degenerate batches are treated as in `SparseCrossentropy`.
    Keras' own `CategoricalFocalCrossentropy` needs one-hot targets and does not support ignored
    labels.

    Args:
        ignore_labels: Label values to leave out.
        class_weights: One weight per class (alpha in the paper), or None.
        gamma: Focusing parameter, 0 or at least 1 (in between, the gradient is unbounded).
        name: Name of the loss.
        reduction: As in Keras.

    Raises:
        ConfigError: gamma out of range.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5.
    """

    def __init__(
        self,
        ignore_labels: Sequence[int] = (),
        class_weights: Sequence[float] | None = None,
        gamma: float = 2.0,
        name: str = "focal",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        if gamma != 0 and not gamma >= 1:
            raise ConfigError(f"'gamma' must be 0 or at least 1, received {gamma}")
        self.ignore_labels = tuple(int(label) for label in ignore_labels)
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.gamma = float(gamma)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        ops = keras.ops
        labels = match_rank(y_true, y_pred)
        losses, weights = sparse_crossentropy(labels, y_pred, self.ignore_labels)
        if self.gamma:
            # 1 - p = -expm1(-l) is accurate where p is close to 1.
            losses = losses * ops.power(-ops.expm1(-losses), self.gamma)
        if self.class_weights is not None:
            index, _, _ = split_labels(labels, y_pred.shape[-1], self.ignore_labels)
            of_pixel = ops.take(ops.convert_to_tensor(self.class_weights, "float32"), index, axis=0)
            losses, weights = losses * of_pixel, weights * of_pixel
        return normalize(losses, weights)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ignore_labels": list(self.ignore_labels),
            "class_weights": self.class_weights,
            "gamma": self.gamma,
        }
