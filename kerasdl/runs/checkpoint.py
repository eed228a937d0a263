"""Exact resume: one committed folder per epoch, and all randomness derived from (seed, epoch).

A commit is one rename of a complete, synced folder, so a kill at any moment leaves the state after
the last finished epoch. What Keras' own callbacks do not save (plateau and patience counters, best
score, dropout seeds, history) is in the state or derived from (seed, epoch). `best.keras` and
`history.csv` are copies of data in the state; `restore.repair` updates them after a kill between
the commit and the copies.
"""

import contextlib
import json
import math
import os
import time

import keras
import numpy

from kerasdl import backend
from kerasdl.backend.distribution import ALONE
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, TrainingFailed
from kerasdl.runs import history, modelfile, names
from kerasdl.runs import restore as resume
from kerasdl.runs.restore import CALLBACK_FIELDS
from kerasdl.runs.runfolder import committed, epoch_folder


class RunState(keras.callbacks.Callback):
    """Commits the complete state of a run after each epoch; must be the last callback of `fit`.

    `epoch = run_state.restore(model)`, then `model.fit(..., initial_epoch=epoch, shuffle=False,
    callbacks=[..., reduce_lr, early_stopping, run_state])`.

    Args:
        folder: The acquired `RunFolder`.
        seed: Seed of the run.
        monitor: Name in the logs that determines the best epoch.
        mode: "min" or "max".
        callbacks: The callbacks of `CALLBACK_FIELDS` whose state is saved.
        set_epoch: Called with the index of each epoch before its first batch is built.
        keep: Number of most recent states to keep on disk.
        average: An `Averaging` whose weights are saved and become the best model.
        epochs: Total number of epochs, if `fit` trains only some of them.
        keep_best: Whether to save the best model.
        group: The `Group` of this run; its main process writes.
    """

    def __init__(
        self,
        folder,
        seed,
        monitor="val_loss",
        mode="min",
        callbacks=(),
        set_epoch=None,
        keep=2,
        average=None,
        epochs=None,
        keep_best=True,
        group=ALONE,
    ):
        super().__init__()
        for callback in callbacks:
            if type(callback).__name__ not in CALLBACK_FIELDS:
                raise TypeError(f"the state of {type(callback).__name__} is not supported")
            if getattr(callback, "restore_best_weights", False):
                raise ValueError("restore_best_weights is not supported; use best.keras")
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', received {mode!r}")
        self.folder = folder
        self.seed = seed
        self.monitor = monitor
        self.mode = mode
        self.callbacks = tuple(callbacks)
        self.keep = keep
        self.average = average
        self.epochs = epochs
        self.keep_best = keep_best
        self.rows = []
        self.best = None
        self.stopped_by = None
        self._set_epoch = set_epoch or (lambda epoch: None)
        self.group = group
        self._restored = None
        self._texts = history.Texts()
        self._learning_rate = math.nan
        self._started = 0.0

    def restore(self, model):
        """Loads the newest valid state into the compiled model; returns the first epoch to train.

        A damaged state is renamed to `damaged-epoch-N` and the previous one is used.

        Raises:
            ModelFileError: None of the existing states is valid, or a later kerasdl wrote one.
            WriteError: The folder cannot be written.
        """
        return self.group.main_first(lambda: self._restore(model))

    def _restore(self, model):
        checkpoints = self.folder.checkpoints
        if self.group.is_main:
            try:
                checkpoints.mkdir(exist_ok=True)
                for leftover in checkpoints.glob(files.TEMPORARY_PREFIX + "*"):
                    files.remove(leftover)
            except OSError as error:
                raise files.cannot_write(checkpoints, error) from error
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        if self.average is not None:
            self.average.start(model)
        kept = [type(callback).__name__ for callback in self.callbacks]
        state = resume.load_latest_valid(checkpoints, model, kept, self.average)
        self._restored = state or {}
        if state is not None:
            resume.note_changes(state, self.group.replicas)
            self.rows = state["rows"]
            if self.group.is_main:
                self.best = resume.repair(self.folder, state, model, self.mode)
            self.stopped_by = state["stopped_by"]
        epoch = len(self.rows)
        self._set_epoch(epoch)
        return epoch

    def on_train_begin(self, logs=None):
        if self._restored is None:
            raise RuntimeError("call restore(model) before fit")
        # The other callbacks have already reset themselves, because this one is last.
        stored_callbacks = self._restored.get("callbacks", ())
        for callback, stored in zip(self.callbacks, stored_callbacks, strict=bool(self._restored)):
            for name, value in stored["fields"].items():
                setattr(callback, name, value)

    def on_epoch_begin(self, epoch, logs=None):
        self._set_epoch(epoch)
        backend.set_seed(derived_seed(self.seed, epoch))
        for number, variable in enumerate(_seed_variables(self.model)):
            state = [derived_seed(self.seed, epoch, number, *self.group.seed), 0]
            variable.assign(
                numpy.array(state, dtype=keras.backend.standardize_dtype(variable.dtype))
            )
        # The rate this epoch is trained with; by its end a callback may have lowered it.
        # Rounded as float32 prints it: 0.1, not 0.10000000149.
        self._learning_rate = float(f"{resume.number(self.model.optimizer.learning_rate):.7g}")
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        logs.pop("learning_rate", None)
        seconds = round(time.monotonic() - self._started, 3)
        row = {"epoch": epoch + 1, "seconds": seconds, "learning_rate": self._learning_rate}
        self.rows = [*self.rows, {**row, **logs}]
        if self.monitor not in logs:
            raise ConfigError(
                f"the monitor '{self.monitor}' is not in the logs", fix=f"known: {', '.join(logs)}"
            )
        for callback in self.callbacks:
            # If NaN became the best value, nothing could improve on it.
            if callback.best is not None and math.isnan(callback.best):
                callback.best = None
        improved = self.keep_best and resume.better(logs[self.monitor], self.best, self.mode)
        if improved:
            self.best = {"epoch": epoch + 1, "value": logs[self.monitor]}
        if self.model.stop_training:
            self.stopped_by = "early_stopping"
        else:
            last = self.epochs or self.params["epochs"]
            self.stopped_by = "epochs" if epoch + 1 >= last else None
        self.group.run_on_main(lambda: self._write(epoch + 1, improved))

    def _write(self, number, improved):
        """Commits the state after `number` epochs, then updates the copies."""
        self._commit(number)
        if improved:
            with self._averaged():
                resume.write_best(self.folder, self.model, self.best)
        resume.write_history(self.folder, self._texts.csv(self.rows))
        for old in committed(self.folder.checkpoints)[self.keep :]:
            try:
                files.remove(old)
            except OSError as error:
                raise files.cannot_write(old, error) from error

    def _commit(self, number):
        """Writes the state after `number` epochs; the rename is the commit."""
        checkpoints = self.folder.checkpoints
        temporary = checkpoints / f"{files.TEMPORARY_PREFIX}{number:05d}"
        weights = self.model.get_weights()
        if not all(numpy.isfinite(weight).all() for weight in weights):
            raise TrainingFailed(
                f"the weights are not finite after epoch {number}",
                self.folder.path,
                "the previous epoch is kept; try a smaller --learning-rate",
            )
        try:
            temporary.mkdir()
            self.model.save(temporary / names.STATE_MODEL)
            if self.average is not None:
                with self._averaged():
                    modelfile.save_inference_model(self.model, temporary / names.STATE_AVERAGE)
            (temporary / names.STATE).write_text(self._state(number), encoding="utf-8")
            files.sync_file(temporary / names.STATE_MODEL)
            files.sync_file(temporary / names.STATE)
            files.sync_folder(temporary)
            os.rename(temporary, epoch_folder(checkpoints, number))
            files.sync_folder(checkpoints)
        except OSError as error:
            needed = 3 * sum(weight.nbytes for weight in weights)
            raise files.cannot_write(temporary, error, needed) from error
        finally:
            with contextlib.suppress(OSError):  # reported already; removed at the next start
                files.remove(temporary)

    def _averaged(self):
        """A context in which the model has the weights to be saved."""
        return contextlib.nullcontext() if self.average is None else self.average.in_place()

    def _state(self, number):
        """The text of state.json."""
        state = {
            "format": resume.STATE_FORMAT,
            "versions": resume.versions(),
            "epoch": number,
            "iterations": int(resume.number(self.model.optimizer.iterations)),
            "seed": self.seed,
            "stopped_by": self.stopped_by,
            "replicas": self.group.replicas,
            "best": self.best,
            "callbacks": [
                {
                    "class": type(callback).__name__,
                    "fields": {
                        name: _plain(getattr(callback, name))
                        for name in CALLBACK_FIELDS[type(callback).__name__]
                    },
                }
                for callback in self.callbacks
            ],
        }
        head = json.dumps(state, indent=1).removesuffix("\n}")
        return f'{head},\n "rows": {self._texts.json(self.rows)}\n}}'


def derived_seed(*numbers):
    """A seed in [0, 2^31) for a tuple of non-negative integers, such as (seed, epoch)."""
    return int(numpy.random.SeedSequence(numbers).generate_state(1)[0]) & 0x7FFFFFFF


def _seed_variables(model):
    """States of all seed generators of the model, in layer order."""
    return [
        variable
        for variable in model.non_trainable_variables
        if variable.path.endswith("seed_generator_state")
    ]


def _plain(value):
    return value if value is None or isinstance(value, int) else float(value)
