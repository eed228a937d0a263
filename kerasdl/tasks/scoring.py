"""Helpers for the tasks' scorers."""

import keras

from kerasdl.core.types import Tensor


class MeanLoss:
    """Mean of a Keras loss over batches, each weighted by its number of samples."""

    def __init__(self, loss: keras.losses.Loss):
        self.loss = loss
        self.total, self.samples = 0.0, 0

    def update(self, y: Tensor, outputs: Tensor) -> None:
        """Adds a batch."""
        self.total += float(keras.ops.convert_to_numpy(self.loss(y, outputs))) * len(y)
        self.samples += len(y)

    def result(self) -> float:
        """The mean, a float."""
        return self.total / self.samples
