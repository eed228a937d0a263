"""Soft Dice loss on logits with ignored labels, and its sum with another loss."""

from collections.abc import Sequence
from typing import Any

import keras

from kerasdl.backend import distribution
from kerasdl.core.errors import ConfigError
from kerasdl.core.types import Tensor
from kerasdl.losses.crossentropy import SparseCrossentropy
from kerasdl.losses.labels import match_rank, split_labels


def soft_dice(
    labels: Tensor, logits: Tensor, ignore_labels: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Soft Dice coefficient of every class over the whole batch.

    D[c] = 2 sum(p[c] t[c]) / (sum p[c] + sum t[c]) over the pixels not ignored, p = softmax of
    the logits, t = 1 where the label is c.

    Args:
        labels: Integers, shape (B,) or (B, H, W).
        logits: Shape (B, C) or (B, H, W, C).
        ignore_labels: Label values to leave out.

    Returns:
        `(dice, present)`, both (C,) float32: D in [0, 1] and 1 for the classes that occur in
        the labels. All NaN if a label is neither a class nor ignored.

    Source: Milletari et al. 2016, "V-Net", section 3, without its squares.
    """
    ops = keras.ops
    logits = ops.cast(logits, "float32")
    classes = logits.shape[-1]
    index, valid, unknown = split_labels(labels, classes, ignore_labels)
    counted = ops.expand_dims(ops.cast(valid, "float32"), -1)
    probability = ops.reshape(ops.softmax(logits, axis=-1) * counted, (-1, classes))
    truth = ops.reshape(ops.one_hot(index, classes, dtype="float32") * counted, (-1, classes))
    occurrences = ops.sum(truth, axis=0)
    both = ops.sum(probability * truth, axis=0)
    # "Whole batch" means all replicas of a distributed step.
    both, predicted, occurrences = distribution.total(
        [both, ops.sum(probability, axis=0), occurrences]
    )
    dice = ops.divide_no_nan(2.0 * both, predicted + occurrences)
    dice = ops.where(ops.any(unknown), float("nan"), dice)
    return dice, ops.cast(occurrences > 0, "float32")


@keras.saving.register_keras_serializable("kerasdl")
class SparseDice(keras.losses.Loss):
    """Dice loss of a batch: 1 - (weighted) mean of the soft Dice over the classes that occur.

    Classes absent from the labels of the batch are left out of the mean: their coefficient is 0
    whatever the prediction, and false positives already lower the classes they are taken from.
    A batch with only ignored labels gives 0 with zero gradients. Keras' own `Dice` needs one-hot
    targets and probabilities and does not support ignored labels. Always float32.

    Args:
        ignore_labels: Label values to leave out.
        class_weights: One weight per class for the mean, or None.
        name: Name of the loss.
        reduction: As in Keras.

    Raises:
        ConfigError: Sample weights were given; a score of the whole batch has none.
    """

    def __init__(
        self,
        ignore_labels: Sequence[int] = (),
        class_weights: Sequence[float] | None = None,
        name: str = "dice",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.ignore_labels = tuple(int(label) for label in ignore_labels)
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        _refuse(sample_weight, self.name)
        return super().__call__(y_true, y_pred)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        ops = keras.ops
        dice, weights = soft_dice(match_rank(y_true, y_pred), y_pred, self.ignore_labels)
        if self.class_weights is not None:
            weights = weights * ops.convert_to_tensor(self.class_weights, dtype="float32")
        loss = ops.divide_no_nan(ops.sum(weights * (1.0 - dice)), ops.sum(weights))
        return ops.reshape(loss, (1,))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ignore_labels": list(self.ignore_labels),
            "class_weights": self.class_weights,
        }


@keras.saving.register_keras_serializable("kerasdl")
class Sum(keras.losses.Loss):
    """Sum of the batch values of several losses, such as cross-entropy + Dice.

    Args:
        losses: Keras losses that are means over the batch.
        name: Name of the loss.
        reduction: As in Keras.

    Raises:
        ConfigError: Sample weights were given.
    """

    def __init__(
        self,
        losses: Sequence[keras.losses.Loss],
        name: str = "sum",
        reduction: str = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.losses = [keras.losses.get(loss) for loss in losses]

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        _refuse(sample_weight, self.name)
        return super().__call__(y_true, y_pred)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # `call`, not the loss itself: Keras scales the sum for distribution once, here.
        values = [keras.ops.mean(loss.call(y_true, y_pred)) for loss in self.losses]
        return keras.ops.reshape(sum(values), (1,))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "losses": [keras.losses.serialize(loss) for loss in self.losses],
        }


def crossentropy_and_dice(
    ignore_labels: Sequence[int] = (),
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> Sum:
    """Cross-entropy plus Dice loss, both with the same labels ignored and the same weights."""
    parts = [
        SparseCrossentropy(ignore_labels, class_weights, label_smoothing),
        SparseDice(ignore_labels, class_weights),
    ]
    return Sum(parts, name="crossentropy_dice")


def _refuse(sample_weight: Tensor | None, name: str) -> None:
    if sample_weight is not None:
        raise ConfigError(f"loss '{name}' takes no sample weights", fix="use class weights")
