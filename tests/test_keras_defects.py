"""Defects of Keras 3.15 that kerasdl works around, and the proof that it does.

Each defect has a strict xfail: once Keras is fixed, that test "passes unexpectedly", turns red and
names the cure that may go. `docs/upstream.md` has the reports.
"""

import os

import keras
import numpy
import pytest

from kerasdl.data.pipeline.batches import Batches

BACKEND = keras.config.backend()


def defect(*backends, cure):
    """Marks a test of what plain Keras should do and does not."""
    present = BACKEND in backends if backends else True
    return pytest.mark.xfail(present, strict=True, reason=f"Keras defect; when fixed: {cure}")


def identity():
    """A model that returns its input and learns nothing, so that its loss is the mean input."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), "mae")
    return model


class Recorder(keras.callbacks.Callback):
    """Sets the epoch of the data and keeps the mean input of each batch."""

    def __init__(self, set_epoch=None):
        super().__init__()
        self.set_epoch = set_epoch or (lambda epoch: None)
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.set_epoch(epoch)
        self.epochs.append([])

    def on_train_batch_end(self, batch, logs=None):
        total = sum(self.epochs[-1])
        self.epochs[-1].append(round(logs["loss"] * (batch + 1) - total, 3))


class EpochNumbers(keras.utils.PyDataset):
    """Batches that hold the number of the epoch which is current when they are made."""

    epoch = 0

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return numpy.full((1, 1), self.epoch, "float32"), numpy.zeros((1, 1), "float32")

    def set_epoch(self, epoch):
        self.epoch = epoch


@defect("jax", "torch", cure="Batches may use Keras' own workers")
def test_keras_workers_give_each_epoch_its_own_batches():
    data = EpochNumbers(workers=2)
    recorder = Recorder(data.set_epoch)
    identity().fit(data, epochs=4, shuffle=False, verbose=0, callbacks=[recorder])
    assert recorder.epochs == [[number] * 6 for number in range(4)]


class Numbers:
    """A source whose images are their own number."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def take(self, indices):
        return numpy.asarray(indices, "float32")[:, None], None, None


def number_and_zero(images, labels, masks):
    return images, numpy.zeros_like(images)


def test_cure_several_workers_give_each_epoch_its_own_batches():
    with Batches(Numbers(10), number_and_zero, batch_size=2, seed=3, workers=3) as data:
        recorder = Recorder(data.set_epoch)
        identity().fit(data, epochs=4, shuffle=False, verbose=0, callbacks=[recorder])
        expected = [[data.indices(epoch, k).mean() for k in range(5)] for epoch in range(4)]
    assert recorder.epochs == expected
    assert len({tuple(epoch) for epoch in recorder.epochs}) == 4


@defect("tensorflow", cure="the order need no longer come from Batches")
def test_keras_draws_a_new_permutation_for_each_epoch():
    keras.utils.set_random_seed(1)
    recorder = Recorder()
    numbers = numpy.arange(32.0).reshape(32, 1)
    identity().fit(numbers, 0 * numbers, batch_size=1, epochs=3, verbose=0, callbacks=[recorder])
    orders = [[round(number) for number in epoch] for epoch in recorder.epochs]
    assert sorted(orders[0]) == list(range(32))
    assert orders[0] != orders[1] != orders[2]


def test_cure_each_pass_has_its_own_permutation_on_every_backend():
    with Batches(Numbers(32), number_and_zero, batch_size=1, seed=1) as data:
        orders = [[int(data.indices(epoch, k)[0]) for k in range(32)] for epoch in range(3)]
    assert sorted(orders[0]) == list(range(32))
    assert orders[0] != orders[1] != orders[2]


def dense_labels(activation, loss):
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1, activation=activation)(inputs))
    model.compile("sgd", loss)
    return model.fit(numpy.ones((2, 4, 4, 3)), numpy.zeros((2, 4, 4)), verbose=0)


@defect("torch", cure="models may end in softmax")
def test_keras_trains_softmax_outputs_on_masks():
    dense_labels("softmax", "sparse_categorical_crossentropy")


def test_cure_logits_train_on_masks():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert numpy.isfinite(dense_labels(None, loss).history["loss"][0])


@defect(cure="modelfile need not look into the archive first, for the message")
def test_keras_does_not_say_that_a_damaged_file_is_missing(tmp_path):
    path = tmp_path / "model.keras"
    identity().save(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(Exception, match="^(?!File not found)"):
        keras.saving.load_model(path)


@defect("torch", cure="transforms on tensors would be safe there")
def test_keras_leaves_the_matrix_of_affine_transform_alone():
    image = keras.ops.ones((4, 4, 1))
    values = [0.0, 1.0, 0.0, -1.0, 0.0, 3.0, 0.0, 0.0]
    matrix = keras.ops.convert_to_tensor(values)
    keras.ops.image.affine_transform(image, matrix)
    assert keras.ops.convert_to_numpy(matrix).tolist() == values


@defect(cure="RunState need not keep the counters of the plateau")
def test_keras_resumes_the_counters_of_callbacks(tmp_path):
    def life(epochs):
        plateau = keras.callbacks.ReduceLROnPlateau(
            monitor="loss", mode="min", patience=9, min_delta=1e9
        )
        model = identity()
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        model.fit(numpy.ones((2, 1)), numpy.zeros((2, 1)), epochs=epochs, verbose=0,
                  callbacks=[plateau, backup])  # fmt: skip
        return plateau.wait

    assert life(3) == 2  # the first epoch counts as an improvement
    assert life(4) == 3


@pytest.mark.skipif(BACKEND != "tensorflow", reason="reads tf.data")
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@defect("tensorflow", cure="_of_length in distribution/tensorflow_replicas.py")
def test_data_of_unknown_length_count_no_step_too_many():
    import tensorflow

    def pairs():
        yield from [(numpy.ones((2, 1), "float32"), numpy.zeros((2, 1), "float32"))] * 3

    spec = tensorflow.TensorSpec((None, 1))
    data = tensorflow.data.Dataset.from_generator(pairs, output_signature=(spec, spec))
    model = identity()
    model.fit(data, epochs=2, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 6


@defect(cure="kerasdl.losses.Huber")  # fixed after 3.15.1 by keras-team/keras#23286
def test_a_saved_huber_loss_keeps_its_delta():
    loss = keras.losses.Huber(delta=0.1)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again([1.0], [0.0])) == pytest.approx(0.1 * (1.0 - 0.05))
