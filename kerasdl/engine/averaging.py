"""Exponential moving average of all weights, which becomes the model that is validated and kept."""

import contextlib

import keras
import numpy

from kerasdl.backend.tuning import averages


class Averaging(keras.callbacks.Callback):
    """Keeps a moving average of a model's weights and puts it into the model for validation.

    a = d a + (1 - d) w, d = min(decay, (1 + t) / (10 + t)) after step t: the first steps, far from
    any solution, are forgotten quickly. Averaged are all weights, the moving statistics of batch
    normalization too: they belong to the weights they were measured with, and Keras' own
    `use_ema`, which knows trainable variables only, leaves behind those of the last step.

    Every fourth step the average is updated by d^4, which costs a quarter of the time.

    Args:
        decay: d in (0, 1), per step.

    Source: Polyak and Juditsky 1992; the rise of d is that of
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
        """Begins at the present weights of the model to be trained."""
        self._averages = [
            keras.Variable(numpy.array(value), dtype=weight.dtype, trainable=False)
            for value, weight in zip(model.get_weights(), model.weights, strict=True)
        ]

    def on_epoch_begin(self, epoch, logs=None):
        # Not the optimizer's counter, which stands still where half precision skips a step.
        self._step = epoch * self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        # The first few always, so that the shortest epoch does not end with the start's weights.
        if self._step % self.EVERY and self._step > self.EVERY:
            return
        decay = min(self.decay, (1 + self._step) / (10 + self._step)) ** self.EVERY
        model = self.model  # asked for each time: JAX's trainer then hands out the weights
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
        """Within the block the model has the averaged weights."""
        own = _copies(self.model)
        self._fill()
        try:
            yield self.model
        finally:
            self.model.set_weights(own)

    def _fill(self):
        self.model.set_weights([keras.ops.convert_to_numpy(value) for value in self._averages])


def _copies(model):
    """The weights as arrays of their own: torch would hand out the memory itself."""
    return [numpy.array(value) for value in model.get_weights()]
