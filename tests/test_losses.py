"""Losses against NumPy loops, Keras' own losses and torch, on ordinary and degenerate labels."""

import keras
import numpy
import pytest

from kerasdl import losses
from kerasdl.core.errors import ConfigError, DataError
from kerasdl.losses import SparseCrossentropy, SparseDice, SparseFocal
from kerasdl.losses.weights import balanced_class_weights

CLASSES = 4
WEIGHTS = [0.5, 2.0, 1.0, 3.0]


def batch(shape=(3, 5, 6), ignored=(), seed=0):
    random = numpy.random.default_rng(seed)
    logits = random.normal(size=(*shape, CLASSES)).astype("float32") * 3
    labels = random.integers(0, CLASSES, shape).astype("uint8")
    for value in ignored:
        labels[random.random(shape) < 0.2] = value
    return labels, logits


def value(loss, labels, logits):
    return float(keras.ops.convert_to_numpy(loss(labels, logits)))


def looped_crossentropy(labels, logits, ignored=(), weights=None, smoothing=0.0, gamma=0.0):
    """Weighted mean cross-entropy, pixel by pixel, in float64."""
    weights = [1.0] * CLASSES if weights is None else weights
    total = divisor = 0.0
    for label, row in zip(
        labels.reshape(-1), logits.reshape(-1, CLASSES).astype(float), strict=True
    ):
        if label in ignored:
            continue
        negative = [numpy.log(numpy.exp(row).sum()) - score for score in row]
        focus = (1 - numpy.exp(-negative[label])) ** gamma
        spread = sum(w * loss for w, loss in zip(weights, negative, strict=True)) / CLASSES
        hit = weights[label] * negative[label] * focus
        total += (1 - smoothing) * hit + smoothing * spread
        divisor += weights[label]
    return total / divisor


@pytest.mark.parametrize("shape", [(7,), (3, 5, 6)])
@pytest.mark.parametrize("ignored", [(), (255,), (255, 254, 1)])
@pytest.mark.parametrize("weights, smoothing", [(None, 0.0), (WEIGHTS, 0.0), (WEIGHTS, 0.1)])
def test_crossentropy_equals_a_loop(shape, ignored, weights, smoothing):
    labels, logits = batch(shape, ignored)
    loss = SparseCrossentropy(ignored, weights, smoothing)
    expected = looped_crossentropy(labels, logits, ignored, weights, smoothing)
    assert value(loss, labels, logits) == pytest.approx(expected, rel=1e-5)


def test_crossentropy_equals_keras_with_one_ignored_label():
    labels, logits = batch(ignored=(255,))
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    mine = SparseCrossentropy((255,))
    assert value(mine, labels, logits) == pytest.approx(value(theirs, labels, logits), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_crossentropy_equals_torch(smoothing):
    torch = pytest.importorskip("torch")
    labels, logits = batch(ignored=(255,))
    theirs = torch.nn.CrossEntropyLoss(
        weight=torch.tensor(WEIGHTS), ignore_index=255, label_smoothing=smoothing
    )
    expected = theirs(
        torch.tensor(logits).movedim(-1, 1), torch.tensor(labels.astype("int64"))
    ).item()
    loss = SparseCrossentropy((255,), WEIGHTS, smoothing)
    assert value(loss, labels, logits) == pytest.approx(expected, rel=1e-5)


def test_a_negative_label_is_no_class_counted_from_the_end():
    labels, logits = batch()
    labels = labels.astype("int32")
    labels[0, 0, 0] = -1
    for loss in (SparseCrossentropy(), SparseFocal(), SparseDice()):
        assert numpy.isnan(value(loss, labels, logits))
    expected = looped_crossentropy(labels, logits, (-1,))
    assert value(SparseCrossentropy((-1,)), labels, logits) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["uint8", "int32", "float32"])
def test_label_types_and_a_last_axis_of_one_give_the_same_loss(kind):
    labels, logits = batch(ignored=(255,))
    for loss in (SparseCrossentropy((255,)), SparseFocal((255,)), SparseDice((255,))):
        expected = value(loss, labels, logits)
        assert value(loss, labels.astype(kind)[..., None], logits) == pytest.approx(expected)


def test_focal_equals_a_loop_and_is_crossentropy_at_gamma_zero():
    labels, logits = batch(ignored=(255,))
    for gamma in (0.0, 1.0, 2.0):
        expected = looped_crossentropy(labels, logits, (255,), WEIGHTS, gamma=gamma)
        loss = SparseFocal((255,), WEIGHTS, gamma)
        assert value(loss, labels, logits) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ConfigError, match="gamma"):
        SparseFocal(gamma=0.5)


def test_dice_equals_a_loop_over_the_classes_that_occur():
    labels, logits = batch(ignored=(255,))
    labels[labels == 2] = 0
    probability = numpy.exp(logits.astype(float))
    probability /= probability.sum(axis=-1, keepdims=True)
    valid = labels != 255
    scores = {}
    for index in (0, 1, 3):
        truth = labels[valid] == index
        guess = probability[valid][:, index]
        scores[index] = 2 * guess[truth].sum() / (guess.sum() + truth.sum())
    plain = 1 - numpy.mean(list(scores.values()))
    assert value(SparseDice((255,)), labels, logits) == pytest.approx(plain, rel=1e-5)
    weighted = sum(WEIGHTS[i] * (1 - d) for i, d in scores.items()) / (0.5 + 2 + 3)
    loss = SparseDice((255,), WEIGHTS)
    assert value(loss, labels, logits) == pytest.approx(weighted, rel=1e-5)


def test_dice_equals_keras_dice_without_ignored_labels():
    labels, logits = batch()
    truth = keras.ops.one_hot(labels.astype("int32"), CLASSES)
    theirs = keras.losses.Dice(axis=(0, 1, 2))
    expected = value(theirs, truth, keras.ops.softmax(logits))
    assert value(SparseDice(), labels, logits) == pytest.approx(expected, abs=1e-5)


def test_a_sum_of_losses_is_the_sum_of_their_means():
    labels, logits = batch(ignored=(255,))
    loss = losses.build("crossentropy+dice", (255,), WEIGHTS, 0.1)
    expected = looped_crossentropy(labels, logits, (255,), WEIGHTS, 0.1)
    expected += value(SparseDice((255,), WEIGHTS), labels, logits)  # against a loop above
    assert value(loss, labels, logits) == pytest.approx(expected, rel=1e-5)


def test_perfect_and_hopeless_predictions():
    labels, _ = batch()
    perfect = 100.0 * numpy.eye(CLASSES, dtype="float32")[labels]
    for name in losses.fitting("mask"):
        loss = losses.build(name)
        assert value(loss, labels, perfect) == pytest.approx(0.0, abs=1e-6)
        assert value(loss, labels, -perfect) > 0.5


def small_model():
    inputs = keras.Input((6, 6, 3))
    features = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    outputs = keras.layers.Conv2D(CLASSES, 1, dtype="float32")(features)
    model = keras.Model(inputs, outputs)
    random = numpy.random.default_rng(3)
    model.set_weights([random.normal(0, 0.3, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("name", list(losses.fitting("mask")))
def test_ignored_labels_move_nothing_and_the_others_train(name):
    """On torch, Keras' own loss on probabilities (from_logits=False) cannot train on masks."""
    model = small_model()
    loss = losses.build(name, ignore_labels=(254, 255), class_weights=WEIGHTS)
    model.compile(keras.optimizers.SGD(0.5), loss)
    images = numpy.random.default_rng(0).random((8, 6, 6, 3), dtype="float32")
    labels = numpy.full((8, 6, 6), 255, dtype="uint8")
    labels[0] = 254
    before = model.get_weights()
    assert model.fit(images, labels, batch_size=4, verbose=0).history["loss"] == [0.0]
    for old, new in zip(before, model.get_weights(), strict=True):
        numpy.testing.assert_array_equal(old, new)
    labels[:, 1:] = images[:, 1:, :, 0] > 0.5
    history = model.fit(images, labels, batch_size=4, epochs=15, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


@pytest.mark.parametrize("name", list(losses.fitting("mask")))
def test_losses_come_back_from_their_configuration(name):
    labels, logits = batch(ignored=(255, 254))
    loss = losses.build(name, (254, 255), WEIGHTS)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert value(again, labels, logits) == value(loss, labels, logits)


@pytest.mark.parametrize("name", list(losses.fitting("mask")))
def test_a_label_that_is_no_class_makes_the_loss_not_a_number(name):
    """Keras' own loss counts it as 0 on JAX: a typo in the class list would train silently."""
    labels, logits = batch()
    labels[0, 0, 0] = 17
    assert numpy.isnan(value(losses.build(name, (255,)), labels, logits))
    assert numpy.isfinite(value(losses.build(name, (255, 17)), labels, logits))


def test_low_precision_logits_are_computed_in_float32():
    labels, logits = batch(ignored=(255,))
    for kind in ("bfloat16", "float16"):
        low = keras.ops.cast(logits, kind)
        exact = keras.ops.convert_to_numpy(keras.ops.cast(low, "float32"))
        for name in losses.fitting("mask"):
            loss = losses.build(name, (255,), WEIGHTS)
            result = loss(labels, low)
            assert keras.backend.standardize_dtype(result.dtype) == "float32"
            assert float(result) == pytest.approx(value(loss, labels, exact), rel=1e-6)


def test_losses_on_images():
    truth = numpy.zeros((2, 4, 4, 3), "float32")
    prediction = numpy.full_like(truth, 0.3)
    assert value(losses.build("l1"), truth, prediction) == pytest.approx(0.3)
    # Huber with delta 0.1: 0.1 (0.3 - 0.05)
    assert value(losses.build("huber"), truth, prediction) == pytest.approx(0.025)


def test_names_and_options_that_do_not_fit():
    with pytest.raises(ConfigError, match="did you mean 'focal'"):
        losses.build("fokal")
    with pytest.raises(ConfigError, match="no class weights"):
        losses.build("l1", class_weights=WEIGHTS)
    labels, logits = batch()
    for name in ("dice", "crossentropy+dice"):
        with pytest.raises(ConfigError, match="sample weights"):
            losses.build(name)(labels, logits, sample_weight=numpy.ones(3))


def test_balanced_class_weights():
    numpy.testing.assert_allclose(balanced_class_weights([10, 20, 70]), [2, 1, 20 / 70])
    numpy.testing.assert_allclose(balanced_class_weights([10, 0, 40]), [2.5, 0, 0.625])
    numpy.testing.assert_allclose(balanced_class_weights([1, 2, 4]), [2, 1, 0.5])
    with pytest.raises(DataError, match="no label"):
        balanced_class_weights([0, 0])
