"""Callbacks for progress, warnings and the columns of the logs."""

import logging
import math
import time

import keras
import rich.console
import rich.progress

from kerasdl.core.errors import TrainingFailed
from kerasdl.report import advice, names

SHOWN_DIGITS = 4

logger = logging.getLogger("kerasdl")


class WithoutTrainingValues(keras.callbacks.Callback):
    """Removes metrics from the training logs that are measured in validation only.

    Must come first: Keras passes one dictionary to all callbacks in turn.
    """

    def __init__(self, names):
        super().__init__()
        self.names = tuple(names)

    def on_epoch_end(self, epoch, logs=None):
        for name in self.names:
            logs.pop(name, None)


class StopOnBadLoss(keras.callbacks.Callback):
    """Raises TrainingFailed at the batch after the one whose loss is NaN or infinite.

    One batch late, so that no step waits for the previous one. Nothing is
    saved between the two, so the last checkpoint and the best model are unaffected. Place it
    before the callbacks that save.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._unread = None
        # Read here: within an epoch the JAX trainer does not update the variables.
        self._learning_rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_train_batch_end(self, batch, logs=None):
        unread, self._unread = self._unread, (batch, (logs or {}).get("loss"))
        self._check(unread)

    def on_epoch_end(self, epoch, logs=None):
        self._check(self._unread)

    def _check(self, unread):
        batch, loss = unread or (0, None)
        if loss is not None and not math.isfinite(loss):
            kept = "the last finished epoch and the best model are kept; " if self._epoch else ""
            raise TrainingFailed(
                f"the loss became {float(loss)} in epoch {self._epoch + 1}, batch {batch + 1}, "
                f"at learning rate {self._learning_rate:g}",
                fix=f"{kept}try a smaller --learning-rate",
            )


class Watch(keras.callbacks.Callback):
    """Passes on the epochs of a run once they are committed.

    Args:
        watchers: Functions of the rows of the history, such as that of a tracker or a pruner; an
            exception ends the training. At the end of training their method `at_end` is called
            instead, if they have one.
        state: The `kerasdl.runs.checkpoint.RunState`.
    """

    def __init__(self, watchers, state):
        super().__init__()
        self.watchers = watchers
        self.state = state

    def on_epoch_begin(self, epoch, logs=None):
        for watcher in self.watchers:
            watcher(self.state.rows)

    def on_train_end(self, logs=None):
        for watcher in self.watchers:
            getattr(watcher, "at_end", watcher)(self.state.rows)


class WarnAboutGray(keras.callbacks.Callback):
    """Warns when a colorizer's predictions on the validation images are almost gray.

    Under most losses gray is the best guess for an unpredictable color, and PSNR and SSIM hardly
    change. Warns once, and again only after the colors have recovered. Does nothing without
    `val_colorfulness_ratio` in the logs.

    Args:
        minimum: Colorfulness of the predictions below which to warn, as a fraction of the truth's.
    """

    def __init__(self, minimum=advice.GRAY):
        super().__init__()
        self.minimum = minimum
        self._gray = False

    def on_epoch_end(self, epoch, logs=None):
        ratio = (logs or {}).get("val_colorfulness_ratio", math.nan)
        was_gray, self._gray = self._gray, ratio < self.minimum
        if self._gray and not was_gray:
            logger.warning(
                "epoch %d: the predictions are almost gray, %.0f %% as colorful as the truth; if "
                "this lasts, train longer, or with --target ab and --set loss=chroma or loss=bins",
                epoch + 1,
                100 * ratio,
            )


class Progress(keras.callbacks.Callback):
    """One line per epoch on standard error; on a terminal it is live while the epoch lasts.

    The line has the images per second of training, without validation and without the first step,
    and the time that the other epochs will take if they take as long as the last one.

    Args:
        batches: The training batches, whose waiting time is shown if it matters.
        quiet: Whether to print nothing.
        epochs: Total number of epochs, if `fit` trains only some of them.
        console: A `rich.console.Console`; standard error by default.
        hidden: Names of values that are not measured in training.
    """

    # The waiting time for data is shown above this fraction of an epoch's time.
    WORTH_TELLING = 0.1

    def __init__(self, batches, quiet=False, epochs=None, console=None, hidden=()):
        super().__init__()
        self.hidden = frozenset(hidden)
        self.epochs = epochs
        self.batches = batches
        self.quiet = quiet
        # Lines in a log are not wrapped: one epoch, one line.
        self.console = console or rich.console.Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = None
        self._trained = None
        self._last = None

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.monotonic()
        self._trained, self._first, self._epoch = None, None, epoch
        # The rate this epoch is trained with: by its end the plateau rule may have lowered it.
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self._rate = float(rate)
        if self.quiet or not self.console.is_terminal:
            return
        self._bar = rich.progress.Progress(
            "[progress.description]{task.description}",
            rich.progress.BarColumn(bar_width=24),
            rich.progress.MofNCompleteColumn(),
            "{task.fields[told]}",
            console=self.console,
            transient=True,
        )
        self._step = self._bar.add_task(self._title(epoch), total=len(self.batches), told="")
        self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        if self._first is None:
            self._first = time.monotonic() - self._started
        if self._bar is not None:
            now = {name: value for name, value in logs.items() if name not in self.hidden}
            told = "  ".join([*self._speed(batch + 1), *_shown(now)])
            self._bar.update(self._step, completed=batch + 1, told=told)

    def on_test_begin(self, logs=None):
        if self._trained is None:
            self._trained = time.monotonic() - self._started
        if self._bar is not None:
            self._bar.update(self._step, told="validation")

    def on_epoch_end(self, epoch, logs=None):
        self.close()
        if self.quiet:
            return
        seconds = time.monotonic() - self._started
        self._last = seconds
        line = [
            self._title(epoch), f"{seconds:.1f} s", *self._speed(len(self.batches)),
            *_shown(logs), f"lr {self._rate:g}",
        ]  # fmt: skip
        if self.batches.waited > self.WORTH_TELLING * seconds:
            line.append(f"waited {self.batches.waited:.1f} s for data")
        self.console.print("  ".join(line), markup=False)

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Removes the bar; also call it after an error in training."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _speed(self, done):
        """Images per second of this epoch, and the time left for all."""
        if done < 2:
            return []  # the first step compiles
        trained = self._trained or time.monotonic() - self._started
        step = (trained - self._first) / (done - 1)
        told = [f"{self.batches.batch_size / step:.0f} images/s"] if step else []
        steps = len(self.batches)
        each = self._last or steps * step
        left = (steps - done) * step + (self._total() - self._epoch - 1) * each
        return [*told, f"{names.duration(left)} left"] if left >= 1 else told

    def _total(self):
        return self.epochs or self.params["epochs"]

    def _title(self, epoch):
        return f"epoch {epoch + 1:>{len(str(self._total()))}}/{self._total()}"


def _shown(logs):
    """The values of an epoch as text; those that are not finite are left out."""
    return [
        f"{name} {value:.{SHOWN_DIGITS}f}"
        for name, value in ((name, float(value)) for name, value in (logs or {}).items())
        if name != "learning_rate" and math.isfinite(value)
    ]
