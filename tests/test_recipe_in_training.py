"""Every key of a recipe reaches the training: optimizer, loss, callbacks and batches of `fit`."""

import functools
import json

import keras
import numpy
import pytest

import kerasdl
from kerasdl import tasks
from kerasdl.backend.signals import StopOnSignal
from kerasdl.data.base import Dataset, Sample
from kerasdl.engine import evaluation, fitting
from kerasdl.engine.averaging import Averaging
from kerasdl.runs import runfolder

SIZE = (8, 8)
CLASSES = ("void", "road", "car", "tree")
# Class by class 40, 4, 8 and 12 of the 64 pixels of every mask; class 0 is ignored.
MASK = numpy.repeat(numpy.arange(4), (40, 4, 8, 12)).reshape(SIZE).astype("uint8")

UNUSUAL = {
    "task": "segmentation",
    "image_size": 8,
    "model_args": {"filters": 2, "depth": 1},
    "epochs": 9,
    "steps_per_epoch": 2,
    "batch_size": 3,
    "seed": 7,
    "learning_rate": 0.03,
    "momentum": 0.7,
    "nesterov": True,
    "weight_decay": 0.02,
    "decay_norm_and_bias": False,
    "ema_decay": 0.5,
    "monitor": "val_mean_iou",
    "plateau_factor": 0.3,
    "plateau_patience": 5,
    "early_stopping_patience": 6,
    "augment_args": {"flip": True, "crop": 2, "brightness": 0.25, "random_erasing": 0.5},
    "class_weights": "auto",
    "label_smoothing": 0.2,
    "jit_compile": "off",
}


class Masked:
    """Split of noise images, all with the same mask and with their number modulo 4 as label."""

    def __init__(self, count):
        generator = numpy.random.default_rng(count)
        self.images = generator.integers(0, 256, (count, *SIZE, 3)).astype("uint8")

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return Sample(self.images[index], index % 4, MASK)

    def name(self, index):
        return f"{index}.png"


DATA = Dataset(
    "masked",
    {"train": Masked(9), "validation": Masked(4), "test": Masked(5)},
    CLASSES,
    tuple((index, index, index) for index in range(4)),
    ignore_labels=(0,),
)


class Enough(BaseException):
    """Ends a training where the test has seen enough."""


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Function (values) -> what `compile` and `fit` were given, and the batches made for it."""

    def spy(owner, name, record, end=False):
        original = getattr(owner, name)

        @functools.wraps(original)
        def recorded(*arguments, **options):
            record(*arguments, **options)
            if end:
                raise Enough
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, recorded)

    def train(**values):
        found = {"batches": []}
        spy(keras.Model, "compile", lambda model, **given: found.update(given))
        spy(keras.Model, "fit", lambda model, data, **given: found.update(given), end=True)

        class Recorded(fitting.Batches):
            def __init__(self, *arguments, **options):
                super().__init__(*arguments, **options)
                found["batches"].append((self, self[0]))

        monkeypatch.setattr(fitting, "Batches", Recorded)
        with pytest.raises(Enough):
            fit(tmp_path / "run", kerasdl.Config(**values))
        found["callbacks"] = {type(each): each for each in found["callbacks"]}
        return found

    return train


def fit(path, config):
    with runfolder.acquire(path, config, "data") as folder:
        fitting.fit(folder, config, tasks.of(config), DATA, StopOnSignal(path), quiet=True)


def test_the_optimizer_and_the_loss_have_every_unusual_key(seen):
    found = seen(**UNUSUAL)
    optimizer, loss = found["optimizer"], found["loss"]
    assert float(optimizer.learning_rate) == pytest.approx(0.03)
    assert (optimizer.momentum, optimizer.nesterov) == (0.7, True)
    assert (optimizer.coupled_weight_decay, optimizer.decay_norm_and_bias) == (0.02, False)
    assert optimizer.weight_decay is None  # Keras would apply its own a second time
    assert (loss.label_smoothing, loss.ignore_labels) == (0.2, (0,))
    # Median frequency of 4, 8 and 12 pixels; the 40 of the ignored class do not count.
    assert loss.class_weights == pytest.approx([0.0, 2.0, 1.0, 8 / 12])
    assert found["jit_compile"] is False
    assert (found["initial_epoch"], found["epochs"], found["shuffle"]) == (0, 9, False)


def test_the_optimizer_of_a_sequential_model_has_its_variables_after_tuning():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    config = kerasdl.Config(momentum=0.9)
    fitting.step.assemble(model, config, "mse")
    fitting.step.tune(model, config)
    assert [tuple(each.shape) for each in model.optimizer.momentums] == [(3, 2), (2,)]


def test_the_callbacks_have_every_unusual_key(seen):
    callbacks = seen(**UNUSUAL)["callbacks"]
    plateau = callbacks[keras.callbacks.ReduceLROnPlateau]
    assert (plateau.monitor, plateau.mode) == ("val_mean_iou", "max")
    assert (plateau.factor, plateau.patience, plateau.min_delta) == (0.3, 5, 0.0)
    assert (plateau.cooldown, plateau.min_lr) == (0, 0)
    stopping = callbacks[keras.callbacks.EarlyStopping]
    assert (stopping.monitor, stopping.mode) == ("val_mean_iou", "max")
    assert (stopping.patience, stopping.min_delta) == (6, 0)
    assert callbacks[Averaging].decay == 0.5


def test_training_batches_are_augmented_and_validation_batches_are_not(seen):
    (train, (x, y)), (validation, (plain_x, plain_y)) = seen(**UNUSUAL)["batches"]
    assert (train.batch_size, train.seed, len(train), train.shuffle) == (3, 7, 2, True)
    given = {name: train.augment.settings[name] for name in UNUSUAL["augment_args"]}
    assert given == UNUSUAL["augment_args"]
    images = DATA.splits["train"].images[train.indices(0, 0)] / 255
    assert numpy.abs(x - images).max() > 0.1
    # All four validation images in their order, in batches of three, as they are stored.
    assert (validation.augment, validation.shuffle, len(validation)) == (None, False, 2)
    numpy.testing.assert_allclose(
        plain_x, DATA.splits["validation"].images[:3] / 255, rtol=1e-6, atol=1e-7
    )
    numpy.testing.assert_array_equal(plain_y, numpy.stack([MASK] * 3))


def test_without_augmentation_and_weights_nothing_is_changed(seen):
    off = {"augment": "none", "augment_args": {}, "class_weights": "none", "label_smoothing": 0.0}
    found = seen(**{**UNUSUAL, **off, "ema_decay": 0.0, "early_stopping_patience": 0})
    train, (x, _) = found["batches"][0]
    images = DATA.splits["train"].images[train.indices(0, 0)] / 255
    numpy.testing.assert_allclose(x, images, rtol=1e-6, atol=1e-7)
    assert (found["loss"].class_weights, found["loss"].label_smoothing) == (None, 0.0)
    assert not {Averaging, keras.callbacks.EarlyStopping} & set(found["callbacks"])


@pytest.mark.parametrize(
    ("schedule", "rates"),
    # 9 epochs of 2 steps, 4 of the 18 steps rise; 1 - 7 / 14 and (1 + cos(pi / 2)) / 2 are 1 / 2.
    [("onecycle", (0.25, 1.0, 1.0, 0.5)), ("cosine", (0.25, 1.0, 1.0, 0.5))],
)
def test_a_schedule_takes_the_place_of_the_plateau(seen, schedule, rates):
    found = seen(**{**UNUSUAL, "lr_schedule": schedule, "warmup_epochs": 2.0})
    assert keras.callbacks.ReduceLROnPlateau not in found["callbacks"]
    warmed = found["optimizer"]._learning_rate
    assert [float(warmed(step)) / 0.03 for step in (0, 3, 4, 11)] == pytest.approx(rates)


def test_the_first_step_of_a_training_by_hand(tmp_path, monkeypatch):
    """v + m m' - r g with m' = -r g, g with decay of the kernels only, from one batch."""
    before = {}

    class Recorded(fitting.Batches):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            before.setdefault("batch", self[0])

    original = fitting.step.tune

    def keep(model, config):
        original(model, config)
        before["model"] = model
        before["values"] = [numpy.array(value) for value in model.get_weights()]

    monkeypatch.setattr(fitting, "Batches", Recorded)
    monkeypatch.setattr(fitting.step, "tune", keep)
    values = {**UNUSUAL, "epochs": 1, "steps_per_epoch": 1, "batch_size": 9, "ema_decay": 0.0}
    config = kerasdl.Config(**{**values, "monitor": "val_loss", "label_smoothing": 0.0})
    fit(tmp_path / "run", config)
    model = before["model"]
    last = model.trainable_weights[-1]
    assert tuple(last.shape) == (4,)
    after = numpy.array(keras.ops.convert_to_numpy(last))
    # The bias of the logits does not decay, and its gradient is the mean of p - t: with the
    # weights 0, 2, 1, 2/3 of the classes, sum w (p - t) / sum w, times 1 + momentum (Nesterov).
    x, y = before["batch"]
    model.set_weights(before["values"])
    start = numpy.array(keras.ops.convert_to_numpy(last))
    logits = keras.ops.convert_to_numpy(model(x, training=True)).astype("float64")
    probability = numpy.exp(logits) / numpy.exp(logits).sum(axis=-1, keepdims=True)
    weight = numpy.array([0.0, 2.0, 1.0, 8 / 12])[y]
    gradient = (weight[..., None] * (probability - numpy.eye(4)[y])).sum(axis=(0, 1, 2))
    gradient /= weight.sum()
    expected = start - 0.03 * 1.7 * gradient
    numpy.testing.assert_allclose(after, expected, rtol=1e-3, atol=1e-6)


def test_the_best_model_is_one_of_the_full_size(tmp_path, monkeypatch):
    """However small the loss at the smaller size was."""
    losses = [0.1, 0.2, 0.8, 0.7]
    sizes = []

    def pretend(model, data, initial_epoch, epochs, callbacks, **options):
        state = callbacks[-1]
        state.set_model(model)
        state.set_params({"epochs": epochs})
        state.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            sizes.append(model.input_shape[1])
            state.on_epoch_begin(epoch)
            state.on_epoch_end(epoch, {"loss": 1.0, "val_loss": losses[epoch]})

    monkeypatch.setattr(keras.Model, "fit", pretend)
    values = {"monitor": "val_loss", "early_stopping_patience": 0, "ema_decay": 0.0, "epochs": 4}
    # 16 pixels: the data are stretched, and half of it is the least size of 8.
    config = kerasdl.Config(**{**UNUSUAL, **values, "image_size": 16, "progressive_sizes": [50]})
    fit(tmp_path / "run", config)
    assert sizes == [8, 8, 16, 16]
    best = json.loads((tmp_path / "run" / "best.json").read_text())
    assert (best["epoch"], best["value"]) == (4, 0.7)
    assert keras.saving.load_model(tmp_path / "run" / "best.keras").input_shape[1] == 16


class Fixed:
    """A network that always gives the same logits, and remembers what it was shown."""

    output_shape = (None, *SIZE, 4)

    def __init__(self):
        self.shown = []

    def predict_on_batch(self, x):
        self.shown.append(x)
        return numpy.tile(numpy.array([5.0, 1.0, 0.0, 2.0], "float32"), (len(x), *SIZE, 1))


def test_scores_are_of_plain_images_under_the_plain_loss():
    """No augmentation, no smoothing, no class weights in an evaluation."""
    config = kerasdl.Config(**UNUSUAL)
    model = Fixed()
    found = evaluation.evaluate(model, tasks.of(config), DATA, config, "test")
    shown = numpy.concatenate(model.shown)
    numpy.testing.assert_allclose(shown, DATA.splits["test"].images / 255, rtol=1e-6, atol=1e-7)
    # 4, 8 and 12 pixels of the classes with logits 1, 0 and 2; the ignored ones do not count.
    distance = numpy.log(numpy.exp([5.0, 1.0, 0.0, 2.0]).sum())
    expected = distance - (4 * 1.0 + 8 * 0.0 + 12 * 2.0) / 24
    assert found.document["scores"]["loss"] == pytest.approx(expected, rel=1e-5)


def test_classes_are_weighted_by_their_images_where_they_are_labels():
    config = kerasdl.Config(class_weights="auto", image_size=8)
    task = tasks.of(config)
    source = evaluation.source_of(DATA, "train", task, config)
    data = Dataset("labels", DATA.splits, CLASSES)
    # 9 images with the labels 0, 1, 2, 3, 0, 1, 2, 3, 0: 3, 2, 2 and 2 of the classes.
    weights = evaluation.class_weights_of(task, config, data, source)
    numpy.testing.assert_allclose(weights, [2 / 3, 1.0, 1.0, 1.0])
