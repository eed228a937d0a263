"""Helpers for the tasks' scorers."""

import keras
import numpy

from kerasdl.core.types import Tensor


def to_unit(images: numpy.ndarray) -> numpy.ndarray:
    """uint8 0-255 to float32 in [0, 1]."""
    return numpy.multiply(images, numpy.float32(1 / 255), dtype=numpy.float32)


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
