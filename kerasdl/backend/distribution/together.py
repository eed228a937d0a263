"""Shared by the backends: batch norm over all replicas, and stopping all processes together."""

import keras

from kerasdl.backend.signals import SIGNALS, Stopped


def synchronize_norms(model, group):
    """Makes batch norm use the mean and variance of the global batch.

    mean = sum_r mean_r / R, variance = sum_r mean_r(x^2) / R - mean^2 over R replicas with equal
    parts of the batch, with gradients through both. Keras' `synchronized` works on TensorFlow only,
    and would be saved: other backends then reject the file.
    """
    for layer in _layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer._moments = _moments(layer, group)


def _moments(layer, group):
    """Replacement of `BatchNormalization._moments`, which is called in training only."""

    def moments(inputs, mask=None):
        axes = [axis for axis in range(len(inputs.shape)) if axis != layer.axis % len(inputs.shape)]
        own = [keras.ops.mean(inputs, axes), keras.ops.mean(keras.ops.square(inputs), axes)]
        mean, square = (value / group.replicas for value in group.total(own))
        return mean, keras.ops.maximum(square - keras.ops.square(mean), 0.0)

    return moments


def _layers(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


class StopTogether(keras.callbacks.Callback):
    """Replaces `StopOnSignal`, so that all processes stop at the same batch.

    A process that stopped alone would leave the others waiting within a step. After each batch the
    processes therefore exchange whether a signal arrived, and the mean of their losses: a loss that
    is not finite on one is then not finite on all.

    Args:
        group: The `Group`.
        stop: The `StopOnSignal` of this process; its handler is used, its checks are not.
    """

    def __init__(self, group, stop):
        super().__init__()
        self.group = group
        self.stop = stop

    def on_train_batch_end(self, batch, logs=None):
        logs["loss"] = self._exchange(float(logs["loss"]))

    def on_test_batch_end(self, batch, logs=None):
        self._exchange(0.0)

    def _exchange(self, loss):
        received = [float(self.stop.received == number) for number in SIGNALS]
        loss, *received = self.group.sum([loss, *received])
        for number, count in zip(SIGNALS, received, strict=True):
            if count:
                raise Stopped(number, self.stop.path, self.stop.fix)
        return loss / self.group.processes
