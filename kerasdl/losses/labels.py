"""Splits the labels of a batch into classes, ignored labels and invalid ones."""

from collections.abc import Sequence

import keras

from kerasdl.core.types import Tensor


def split_labels(
    labels: Tensor, classes: int, ignore_labels: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Class indices that are safe to index with, and two masks.

    Args:
        labels: Integer tensor of any shape.
        classes: Number of classes.
        ignore_labels: Label values that are left out, such as (255,). A value below `classes`
            may be listed too; that class is then ignored.

    Returns:
        `(index, valid, unknown)`, all of the shape of `labels`: int32 class indices with 0
        wherever the label is not valid; a mask of the labels that count; a mask of those that are
        neither a class nor ignored, which are errors in the data.
    """
    labels = keras.ops.cast(labels, "int32")
    known = keras.ops.logical_and(labels >= 0, labels < classes)
    unknown = keras.ops.logical_not(known)
    valid = known
    for ignored in ignore_labels:
        different = keras.ops.not_equal(labels, ignored)
        valid = keras.ops.logical_and(valid, different)
        unknown = keras.ops.logical_and(unknown, different)
    index = keras.ops.where(valid, labels, keras.ops.zeros_like(labels))
    return index, valid, unknown


def match_rank(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels without a trailing axis of size 1: (B, H, W, 1) -> (B, H, W)."""
    if len(labels.shape) == len(logits.shape) and labels.shape[-1] == 1:
        return keras.ops.squeeze(labels, axis=-1)
    return labels
