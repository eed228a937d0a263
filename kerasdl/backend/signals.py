"""SIGINT and SIGTERM end a run at the next batch, keeping the last finished epoch."""

import signal
import threading

import keras

from kerasdl.core.errors import KerasdlError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KerasdlError):
    """A signal stopped the run; the exit code is 128 + its number (130 or 143)."""

    def __init__(self, signal_number, path=None, fix=None):
        name = signal.Signals(signal_number).name
        super().__init__(f"stopped by {name}", path, fix)
        self.exit_code = 128 + signal_number


class StopOnSignal(keras.callbacks.Callback):
    """Raises `Stopped` at the end of the batch during which SIGINT or SIGTERM arrived.

    Use it as a context manager around the work and as the first callback of `fit`, `evaluate` and
    `predict`. The handler only sets a flag, so a signal during a save lets the save complete.
    It also resets both signals to their default action: a second signal ends the process at once,
    even inside a long backend call. The previous handlers are restored at exit.

    Keras' `stop_training` is not used, because the other callbacks would then see a regular end of
    training.

    Args:
        path: The run folder, for the message.
        fix: How to resume.
    """

    def __init__(self, path=None, fix="repeat the command to resume"):
        super().__init__()
        self.path = path
        self.fix = fix
        self.received = None
        self._previous = {}

    def __enter__(self):
        # Only the main thread may set handlers; in other threads the signals keep their handlers.
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def check(self):
        """Raises Stopped if a signal has arrived."""
        if self.received is not None:
            raise Stopped(self.received, self.path, self.fix)

    def _handle(self, number, frame):
        self.received = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def on_epoch_begin(self, epoch, logs=None):
        self.check()

    def on_train_batch_end(self, batch, logs=None):
        self.check()

    def on_test_batch_end(self, batch, logs=None):
        self.check()

    def on_predict_batch_end(self, batch, logs=None):
        self.check()
