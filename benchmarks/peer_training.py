"""Trainings of the same network from the same files, each as its own users would write it.

`peers.py` starts them, each in a process of its own. A training reports to a `Clock`, which makes
it wait for its turn after each epoch.
"""

import contextlib
import os
import pathlib
import queue
import threading
import time

import numpy
import psutil
from peer_data import BATCH, CLASSES, PAD, SIDE, files

WORKERS = 2
RATE, MOMENTUM = 0.01, 0.9
FOREVER = 10**6  # epochs; the process is ended by its parent


class Clock:
    """Takes the time of each epoch, and holds the training between epochs."""

    def __init__(self):
        self.first_step = None
        self._results, self._turns = queue.SimpleQueue(), queue.SimpleQueue()

    def epoch_began(self):
        self._began = time.perf_counter()

    def step_ended(self):
        if self.first_step is None:  # since the process was started
            self.first_step = time.time() - psutil.Process().create_time()

    def epoch_ended(self):
        self._results.put(
            {
                "seconds": time.perf_counter() - self._began,
                "first_step_seconds": self.first_step,
                "peak_bytes": memory(),
            }
        )
        self._turns.get()

    def results(self, train):
        """Yields the result of each epoch; the next one begins when the next result is wanted."""
        threading.Thread(target=self._run, args=(train,), daemon=True).start()
        while True:
            found = self._results.get()
            if isinstance(found, BaseException):
                raise found
            yield found
            self._turns.put(None)

    def _run(self, train):
        try:
            train()
        except BaseException as error:
            self._results.put(error)
            raise


class NoClock:
    """For a training that runs to its end at once."""

    def epoch_began(self):
        pass

    step_ended = epoch_ended = epoch_began


def memory():
    """Largest resident set of this process, and what its workers hold alone, in bytes."""
    from kerasdl.backend import memory as own

    workers = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            workers += child.memory_full_info().uss
    return own.peak_bytes() + workers


def work(job):
    """The results of a process of `peers.py`; the first epoch is the warm-up."""
    clock = Clock()
    yield from clock.results(lambda: TRAININGS[job["peer"]](job, clock, FOREVER))


def kerasdl(job, clock, epochs):
    """kerasdl's own batches, step and `fit`, without metrics and checkpoints, as the peers."""
    from kerasdl import backend

    backend.choose("auto")
    import keras

    from kerasdl import tasks
    from kerasdl.backend.distribution import ALONE, feeding
    from kerasdl.engine import datasets, evaluation, fitting, step
    from kerasdl.runs.config import Config

    config = Config(**settings(job))
    backend.prepare(config.seed, config.precision, config.deterministic)
    dataset, task = datasets.load(config), tasks.of(config)
    source = evaluation.source_of(dataset, "train", task, config)
    with contextlib.ExitStack() as stack:
        batches, _ = fitting.open_batches(stack, source, config, task, dataset, ALONE)
        model = fitting.build(config, task, dataset)
        step.assemble(model, config, evaluation.loss_of(task, config, dataset))
        step.tune(model, config)
        order = keras.callbacks.LambdaCallback(on_epoch_begin=lambda n, _: batches.set_epoch(n))
        model.fit(
            feeding.feed(batches), epochs=epochs, shuffle=False, verbose=0,
            callbacks=[order, keras_clock(clock)],
        )  # fmt: skip


def settings(job):
    """The configuration of kerasdl: the keys that differ from the recipe `study`."""
    return {
        "task": job["task"], "recipe": "study", "model": job["model"], "data": job["data"],
        "image_size": [SIDE, SIDE], "batch_size": BATCH, "precision": job["precision"],
        "learning_rate": RATE, "momentum": MOMENTUM, "workers": WORKERS,
        "augment_args": {"flip": True, "crop": PAD, "scale": 0.0, "rotate": 0.0,
                         "brightness": 0.0, "contrast": 0.0, "saturation": 0.0},
        "cache_megabytes": 0 if job["peer"] == "kerasdl-uncached" else 4096,
    }  # fmt: skip


def keras_clock(clock):
    """The clock as a callback of Keras."""
    import keras

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: clock.epoch_began(),
        on_train_batch_end=lambda batch, logs: clock.step_ended(),
        on_epoch_end=lambda epoch, logs: clock.epoch_ended(),
    )


def keras_fit(job, clock, epochs):
    """Bare Keras: compile and fit, from a `PyDataset`, or `tf.data` as in Keras' examples."""
    import keras

    from kerasdl import models

    keras.mixed_precision.set_global_policy(job["precision"])
    model = models.build(job["model"], (SIDE, SIDE, 3), CLASSES)
    model.compile(
        keras.optimizers.SGD(RATE, MOMENTUM, weight_decay=1e-5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    read = keras_dataset if job["peer"] == "keras-dataset" else keras_pydataset
    data = pathlib.Path(job["data"])
    held_out = None if epochs == FOREVER else read(data, "validation")
    model.fit(
        read(data, "train"), epochs=epochs, verbose=0, validation_data=held_out,
        callbacks=[keras_clock(clock)],
    )  # fmt: skip
    model.save(data / f"{os.getpid()}.keras")


def keras_dataset(data, split):
    """`image_dataset_from_directory`, cached in memory; masks by `tf.data` itself."""
    import keras
    import tensorflow as tf

    def read(path):
        return tf.io.decode_png(tf.io.read_file(path))

    def augment(image, truth):
        image = tf.cast(image, tf.float32) / 255.0
        if split != "train":
            return image, truth
        layers = [image] if truth.shape.rank < 3 else [image, tf.cast(truth, tf.float32)]
        both = tf.concat(layers, -1)
        both = tf.pad(both, [[PAD, PAD], [PAD, PAD], [0, 0]], "REFLECT")
        both = tf.image.random_crop(both, (SIDE, SIDE, both.shape[-1]))
        both = tf.image.random_flip_left_right(both)
        return both[..., :3], truth if truth.shape.rank < 3 else tf.cast(both[..., 3:], tf.int32)

    if (data / "masks").exists():
        images, masks = zip(*[map(str, pair) for pair in files(data, split)], strict=True)
        found = tf.data.Dataset.from_tensor_slices((list(images), list(masks))).map(
            lambda image, mask: (
                tf.ensure_shape(read(image), (SIDE, SIDE, 3)),
                tf.ensure_shape(read(mask), (SIDE, SIDE, 1)),
            ),
            tf.data.AUTOTUNE,
        )
    else:
        found = keras.utils.image_dataset_from_directory(
            data / split, image_size=(SIDE, SIDE), batch_size=None, shuffle=False, verbose=False
        )
    found = found.cache()
    if split == "train":
        found = found.shuffle(10_000)
    return found.map(augment, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def keras_pydataset(data, split):
    """A `PyDataset` that reads its files for each batch, in two threads."""
    import keras

    class Files(keras.utils.PyDataset):
        def __init__(self):
            super().__init__(workers=WORKERS, max_queue_size=4)  # as many as kerasdl

            self.files = files(data, split)
            self.random = numpy.random.default_rng(0)
            self.order = numpy.arange(len(self.files))

        def __len__(self):
            return -(-len(self.files) // BATCH)

        def on_epoch_end(self):
            self.random.shuffle(self.order)

        def __getitem__(self, index):
            chosen = self.order[index * BATCH : (index + 1) * BATCH]
            pairs = [self.sample(*self.files[each]) for each in chosen]
            images, truths = zip(*pairs, strict=True)
            return numpy.stack(images).astype("float32") / 255, numpy.array(truths)

        def sample(self, path, truth):
            image = numpy.asarray(keras.utils.load_img(path))
            if not isinstance(truth, int):
                truth = numpy.asarray(keras.utils.load_img(truth, "grayscale"))
            if split != "train":
                return image, truth
            down, right = self.random.integers(0, 2 * PAD + 1, 2)
            step = self.random.choice((-1, 1))
            moved = [
                numpy.pad(each, ((PAD, PAD), (PAD, PAD), *[(0, 0)] * (each.ndim - 2)), "reflect")
                [down : down + SIDE, right : right + SIDE][:, ::step]
                for each in (image, truth) if not isinstance(each, int)
            ]  # fmt: skip
            return moved[0], moved[1] if len(moved) > 1 else truth

    return Files()


def torch_peer(job, clock, epochs):
    """The training of `peer_torch` that the peer is named after."""
    import peer_torch

    getattr(peer_torch, job["peer"].partition("-")[0])(job, clock, epochs)


TRAININGS = {
    "kerasdl": kerasdl,
    "kerasdl-uncached": kerasdl,
    "keras-dataset": keras_fit,
    "keras-pydataset": keras_fit,
    **dict.fromkeys(("lightning", "lightning-smp", "fastai", "ultralytics"), torch_peer),
}
