"""Exponential moving average of all weights, which is validated and becomes the model."""

import contextlib

import keras
import numpy

from kerasdl.backend.tuning import averages


class Averaging(keras.callbacks.Callback):
    """Keeps a moving average of a model's weights and loads it into the model for validation.

    a = d a + (1 - d) w, d = min(decay, (1 + t) / (10 + t)) after step t: the first steps, far from
    any solution, are forgotten quickly. All weights are averaged, including the moving statistics
    of batch normalization, which belong to the weights they were measured with. Keras' own
    `use_ema` averages trainable variables only and keeps the statistics of the last step.

    Every fourth step the average is updated by d^4, which costs a quarter of the time.

    Args:
        decay: d in (0, 1), per step.

    Source: Polyak and Juditsky 1992; the ramp of d is that of
    `tf.train.ExponentialMovingAverage(num_updates)`.
    """

    EVERY = 4

    def __init__(self, decay):
        super().__init__()
        self.decay = decay
        self._averages = None
        self._move = None
        self._step = 0

    def start(self, model):
        """Starts from the current weights of the model to be trained."""
        self._averages = [
            keras.Variable(numpy.array(value), dtype=weight.dtype, trainable=False)
            for value, weight in zip(model.get_weights(), model.weights, strict=True)
        ]

    def on_epoch_begin(self, epoch, logs=None):
        # Not the optimizer's counter, which does not advance when half precision skips a step.
        self._step = epoch * self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        # Always at the first few steps, so that even the shortest epoch changes the average.
        if self._step % self.EVERY and self._step > self.EVERY:
            return
        decay = min(self.decay, (1 + self._step) / (10 + self._step)) ** self.EVERY
        model = self.model  # accessed each time: JAX's trainer then syncs the weights
        if self._move is None:
            self._move = averages.mover(self._averages, model.weights)
        self._move(numpy.float32(1.0 - decay))

    def on_test_begin(self, logs=None):
        self._own = _copies(self.model)
        self._fill()

    def on_test_end(self, logs=None):
        self.model.set_weights(self._own)

    @contextlib.contextmanager
    def in_place(self):
        """Gives the model the averaged weights within the block."""
        own = _copies(self.model)
        self._fill()
        try:
            yield self.model
        finally:
            self.model.set_weights(own)

    def _fill(self):
        self.model.set_weights([keras.ops.convert_to_numpy(value) for value in self._averages])


def _copies(model):
    """Copies of the weights: torch would return views of its memory."""
    return [numpy.array(value) for value in model.get_weights()]
