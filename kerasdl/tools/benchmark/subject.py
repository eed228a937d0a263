"""The model of a cell as kerasdl trains it: the same batches, optimizer, loss and `fit`.

Metrics are left out, so that it is comparable with a plain loop without metrics.
"""

import time

import keras
import numpy

from kerasdl import backend, tasks
from kerasdl.backend import precision as precisions
from kerasdl.backend.distribution import feeding
from kerasdl.data.pipeline.batches import Batches
from kerasdl.engine import datasets, evaluation, fitting, step
from kerasdl.models import MODELS
from kerasdl.runs import config as configuration

PASS = 4  # batches of data, repeated


def settings(job):
    """The configuration of a cell: its model on the embedded data."""
    task = MODELS.require(job["model"]).tasks[0]
    kept = {key: job[key] for key in ("model", "batch_size", "precision", "jit_compile", "seed")}
    size = PASS * job["batch_size"]
    return configuration.Config(**
        {"task": task, "image_size": job["image_size"], "train_size": size,
         "learning_rate": 0.01, **kept}
    )  # fmt: skip


def open_batches(config, dataset, steps):
    """Batches as training gets them, an epoch being one step to warm up and `steps` more."""
    task = tasks.of(config)
    return Batches(
        evaluation.source_of(dataset, "train", task, config),
        task.prepare,
        datasets.augmentation(config, dataset.ignore_labels),
        config.batch_size,
        config.seed,
        workers=config.workers,
        steps_per_epoch=1 + steps,
        drop_last=True,
    )


class Subject:
    """A compiled model and its batches.

    Args:
        job: The cell's fields, steps, image_size and seed.
    """

    def __init__(self, job):
        config = settings(job)
        name = keras.config.backend()
        backend.prepare(
            config.seed, precisions.resolve(config.precision, name), config.deterministic
        )
        self.config = config
        self.dataset = datasets.load(config)
        self.batches = open_batches(config, self.dataset, job["steps"])
        self.epoch = 0
        source = self.batches.source
        source.take(numpy.arange(len(source)))  # drawn now, so that no step waits for it

    def first_step(self):
        """Builds, compiles and trains the first block."""
        task = tasks.of(self.config)
        self.model = fitting.build(self.config, task, self.dataset)
        loss = evaluation.loss_of(task, self.config, self.dataset)
        step.assemble(self.model, self.config, loss)
        step.tune(self.model, self.config)
        self.parameters = sum(int(keras.ops.size(w)) for w in self.model.trainable_weights)
        self.model.fit(feeding.feed(self.batches), steps_per_epoch=1, shuffle=False, verbose=0)

    def block(self):
        """Seconds of each step of a block, and seconds spent waiting for data."""
        self.epoch += 1
        self.batches.set_epoch(self.epoch)
        clock = StepClock(self.batches)
        self.model.fit(feeding.feed(self.batches), shuffle=False, verbose=0, callbacks=[clock])
        return clock.seconds, clock.waited


class StepClock(keras.callbacks.Callback):
    """Time between the ends of consecutive steps; the first step of a block is not counted.

    The loss of every step is read, so that the step is complete when its time is taken;
    `kerasdl train` reads it one step later and lets them overlap.

    Attributes:
        seconds: One number per step except the first.
        waited: Seconds these steps spent waiting for data.
    """

    def __init__(self, batches):
        super().__init__()
        self.batches = batches
        self.seconds = []
        self._last = None

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])
        now = time.perf_counter()
        if self._last is None:
            self._waited_before = self.batches.waited
        else:
            self.seconds.append(now - self._last)
        self._last = now

    def on_epoch_end(self, epoch, logs=None):
        self.waited = self.batches.waited - self._waited_before
