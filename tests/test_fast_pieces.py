"""The pieces of the fast recipe against hand arithmetic, and their exact continuation."""

import json
import math
import shutil

import keras
import numpy
import pytest
import toy_run
from conftest import scores_only

import kerasdl
from kerasdl import losses
from kerasdl.backend import signals
from kerasdl.core.errors import ConfigError
from kerasdl.engine import averaging, datasets, inference, schedules
from kerasdl.engine.optimizers import SGD
from kerasdl.runs import runfolder


def rates(shape, steps, warmup):
    schedule = schedules.WarmupDecay(shape, 0.8, steps, warmup)
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(steps + 2)]


def test_onecycle_rises_and_falls_in_lines():
    # Two steps up to 0.8, then four down to the 0 that step 6 would have; nothing after the end.
    expected = [0.4, 0.8, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0]
    assert rates("onecycle", 6, 2) == pytest.approx(expected, abs=1e-6)


def test_cosine_is_half_a_period():
    expected = [0.4 * (1 + math.cos(math.pi * step / 4)) for step in range(4)] + [0.0, 0.0]
    assert rates("cosine", 4, 0) == pytest.approx(expected, abs=1e-6)


def test_the_optimizer_takes_the_rate_of_its_step():
    optimizer = SGD(schedules.WarmupDecay("onecycle", 0.8, 6, 2))
    variable = keras.Variable([0.0])
    places = []
    for _ in range(3):
        optimizer.apply([keras.ops.ones((1,))], [variable])
        places.append(float(keras.ops.convert_to_numpy(variable.value)[0]))
    assert places == pytest.approx([-0.4, -1.2, -2.0], abs=1e-6)
    again = SGD.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()


def test_only_kernels_decay_without_decay_norm_and_bias():
    optimizer = SGD(1.0, weight_decay=0.5, decay_norm_and_bias=False)
    kernel, bias, scale = (keras.Variable(numpy.ones(s)) for s in ((2, 2), (2,), (2,)))
    optimizer.apply(
        [keras.ops.zeros(v.shape) for v in (kernel, bias, scale)], [kernel, bias, scale]
    )
    values = [keras.ops.convert_to_numpy(v.value).ravel()[0] for v in (kernel, bias, scale)]
    assert values == [0.5, 1.0, 1.0]


def test_smoothed_loss_by_hand():
    # Logits (0, log 3): p = (1/4, 3/4). Label 1: 0.8 * -log(3/4) + 0.2 / 2 * -(log 1/4 + log 3/4)
    # with smoothing 0.2.
    loss = losses.build("crossentropy", label_smoothing=0.2)
    value = float(loss(numpy.array([1]), numpy.array([[0.0, math.log(3)]], "float32")))
    expected = -0.8 * math.log(0.75) - 0.1 * (math.log(0.25) + math.log(0.75))
    assert value == pytest.approx(expected, rel=1e-5)


def test_average_by_hand():
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    model.set_weights([numpy.array([[8.0]])])
    average = averaging.Averaging(0.5)
    average.set_model(model)
    average.set_params({"steps": 100})
    average.start(model)
    average.on_epoch_begin(0)
    expected = 8.0
    for step in range(1, 13):
        model.set_weights([numpy.array([[float(step)]])])
        average.on_train_batch_end(step - 1)
        if step <= 4 or step in (8, 12):
            decay = min(0.5, (1 + step) / (10 + step)) ** 4
            expected = decay * expected + (1 - decay) * step
    with average.in_place():
        assert model.get_weights()[0][0, 0] == pytest.approx(expected, rel=1e-6)
    assert model.get_weights()[0][0, 0] == 12.0


def test_flipped_outputs_are_flipped_back():
    inputs = keras.Input((2, 3, 1))
    # One channel: right neighbor of each pixel, so the mean is half of both neighbors.
    layer = keras.layers.Conv2D(1, (1, 3), padding="same", use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([numpy.array([0.0, 0.0, 1.0]).reshape(1, 3, 1, 1)])
    x = numpy.arange(6, dtype="float32").reshape(1, 2, 3, 1)
    found = inference.outputs(model, x, flip=True)[0, :, :, 0]
    numpy.testing.assert_allclose(found, [[0.5, 1.0, 0.5], [2.0, 4.0, 2.0]])
    numpy.testing.assert_allclose(inference.outputs(model, x)[0, 0, :, 0], [1.0, 2.0, 0.0])


TINY = {
    "task": "segmentation",
    "image_size": 16,
    "train_size": 20,
    "validation_size": 6,
    "test_size": 5,
    "batch_size": 4,
    "epochs": 4,
    "model_args": {"filters": 2, "depth": 1},
    "recipe": "fast",
    "progressive_sizes": [50],
}


def interrupted(monkeypatch, epoch, batch):
    """Makes the next training end as by SIGTERM, after a batch of an epoch (both from 1)."""
    original = signals.StopOnSignal.on_train_batch_end
    now = {}

    def begin(self, number, logs=None):
        now["epoch"] = number + 1

    def end(self, number, logs=None):
        if (now["epoch"], number + 1) == (epoch, batch):
            raise signals.Stopped(15, self.path)
        original(self, number, logs)

    monkeypatch.setattr(signals.StopOnSignal, "on_epoch_begin", begin)
    monkeypatch.setattr(signals.StopOnSignal, "on_train_batch_end", end)


def test_interrupted_equals_uninterrupted_bit_for_bit(
    finished, tmp_path, monkeypatch, without_artifacts
):
    config = kerasdl.Config(**TINY)
    # At the first batch of the second size, which follows a commit, and within that size.
    for epoch, batch in ((3, 1), (4, 2)):
        with monkeypatch.context() as patched:
            interrupted(patched, epoch, batch)
            with pytest.raises(signals.Stopped):
                kerasdl.train(config, tmp_path / "parts", quiet=True)
        assert len(kerasdl.Run(tmp_path / "parts").history) == epoch - 1
    kerasdl.train(config, tmp_path / "parts", quiet=True)
    whole, parts = (toy_run.outcome(path) for path in (finished, tmp_path / "parts"))
    for part in whole:
        assert parts[part] == whole[part], part
    newest = [
        runfolder.committed(path / "checkpoints")[0] for path in (finished, tmp_path / "parts")
    ]
    one, other = (toy_run.weights(path / "average.keras") for path in newest)
    assert one == other and one != toy_run.weights(newest[0] / "model.keras")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of the fast recipe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kerasdl.engine.publishing.finish", scores_only)
        folder = tmp_path_factory.mktemp("fast") / "run"
        return kerasdl.train(kerasdl.Config(**TINY), folder, quiet=True)


def test_the_best_model_has_the_averaged_weights_of_the_full_size(finished):
    best = json.loads((finished / "best.json").read_text())
    rows = kerasdl.Run(finished).history
    full = [row["val_loss"] for row in rows[2:]]
    assert best["value"] == min(full) and best["epoch"] == 3 + full.index(min(full))
    average = finished / "checkpoints" / f"epoch-{best['epoch']:05d}" / "average.keras"
    assert toy_run.weights(finished / "best.keras") == toy_run.weights(average)
    model = keras.saving.load_model(finished / "best.keras")
    assert model.input_shape == (None, 16, 16, 3)


def test_validation_is_of_the_averaged_weights(finished):
    """The recorded validation loss again, by hand from best.keras."""
    best = json.loads((finished / "best.json").read_text())
    found = kerasdl.evaluate(finished, "validation")["scores"]["loss"]
    model = keras.saving.load_model(finished / "best.keras")
    split = datasets.load(kerasdl.Config(**TINY)).splits["validation"]
    images, _, masks = split.take(numpy.arange(6), (16, 16))
    x, y = images.astype("float32") / 255, masks.astype("int32")
    loss = losses.build("crossentropy", (255,))
    plain = [float(loss(y[part], model.predict_on_batch(x[part]))) for part in _parts(6, 4)]
    assert best["value"] == pytest.approx((4 * plain[0] + 2 * plain[1]) / 6, rel=1e-4)
    both = [float(loss(y[p], inference.outputs(model, x[p], True))) for p in _parts(6, 4)]
    assert found == pytest.approx((4 * both[0] + 2 * both[1]) / 6, rel=1e-4)


def _parts(count, size):
    return [slice(first, first + size) for first in range(0, count, size)]


def test_more_epochs_are_refused_where_the_schedule_ends(finished):
    with pytest.raises(ConfigError, match="another configuration, epochs: 4 -> 5"):
        kerasdl.train(kerasdl.Config(**{**TINY, "epochs": 5}), finished, quiet=True)


def test_a_damaged_average_costs_its_epoch(finished, tmp_path, without_artifacts, caplog):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    path = tmp_path / "run" / "checkpoints" / "epoch-00004" / "average.keras"
    path.write_bytes(path.read_bytes()[:100])
    kerasdl.train(kerasdl.Config(**TINY), tmp_path / "run", quiet=True)
    assert "damaged state" in caplog.text and "resuming after epoch 3" in caplog.text
    whole, repaired = toy_run.outcome(finished), toy_run.outcome(tmp_path / "run")
    assert repaired["weights and optimizer"] == whole["weights and optimizer"]
