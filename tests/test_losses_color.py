"""Losses of colorization in CIELAB against NumPy loops, the same numbers on every backend."""

import keras
import numpy
import pytest
import skimage.color

from kerasdl import losses
from kerasdl.core.errors import ConfigError
from kerasdl.losses import ABError, BinsCrossentropy
from kerasdl.metrics.colors import bins


def truth(shape=(2, 3, 4), seed=0):
    """(L, a, b) / 100 of real colors, among them some gray."""
    colors = numpy.random.default_rng(seed).random((*shape, 3))
    colors[:, 0] = colors[:, 0, :, :1]
    return (skimage.color.rgb2lab(colors) / 100).astype("float32")


def value(loss, y_true, y_pred):
    return float(keras.ops.convert_to_numpy(loss(y_true, y_pred)))


@pytest.mark.parametrize("name", ["l1", "huber", "chroma"])
def test_ab_errors_equal_a_loop(name):
    y_true = truth()
    noise = numpy.random.default_rng(1).normal(0, 0.2, (*y_true.shape[:-1], 2))
    y_pred = (y_true[..., 1:] + noise).astype("float32")
    total = divisor = 0.0
    for (_, a, b), (c, d) in zip(
        y_true.reshape(-1, 3).astype(float), y_pred.reshape(-1, 2).astype(float), strict=True
    ):
        errors = [abs(a - c), abs(b - d)]
        if name == "huber":
            errors = [e**2 / 2 if e <= 0.1 else 0.1 * (e - 0.05) for e in errors]
        weight = 1 + 100 * (a**2 + b**2) ** 0.5 / 10 if name == "chroma" else 1.0
        total += weight * sum(errors) / 2
        divisor += weight
    assert value(losses.build(name, target="ab"), y_true, y_pred) == pytest.approx(
        total / divisor, rel=1e-5
    )


def test_lightness_counts_nothing():
    y_true = truth()
    brighter = y_true + numpy.array([0.3, 0, 0], "float32")
    outputs = numpy.zeros((*y_true.shape[:-1], 2), "float32")
    for name in ("l1", "huber", "chroma"):
        loss = losses.build(name, target="ab")
        assert value(loss, brighter, outputs) == value(loss, y_true, outputs) > 0
        assert value(loss, y_true, y_true[..., 1:]) == 0.0


def test_gray_answers_cost_more_when_weighted_by_chroma():
    """Half the pixels gray, half with chroma 50: the colored half counts six times as much."""
    y_true = numpy.zeros((1, 1, 2, 3), "float32")
    y_true[0, 0, 1] = (0.5, 0.3, 0.4)
    gray = numpy.zeros((1, 1, 2, 2), "float32")
    assert value(losses.build("l1", target="ab"), y_true, gray) == pytest.approx(0.35 / 2)
    weighted = value(losses.build("chroma", target="ab"), y_true, gray)
    assert weighted == pytest.approx(6 * 0.35 / 7)


@pytest.mark.parametrize("weighted", [False, True])
def test_crossentropy_of_bins_equals_a_loop(weighted):
    y_true = truth()
    random = numpy.random.default_rng(2)
    logits = (random.normal(size=(*y_true.shape[:-1], 313)) * 3).astype("float32")
    weights = random.random(313) + 0.5 if weighted else None
    total = 0.0
    for (_, a, b), row in zip(
        100 * y_true.reshape(-1, 3).astype(float),
        logits.reshape(-1, 313).astype(float),
        strict=True,
    ):
        distances = numpy.hypot(bins.BINS[:, 0] - a, bins.BINS[:, 1] - b)
        order = numpy.argsort(distances)[:5]
        fractions = numpy.exp(-(distances[order] ** 2) / 50)
        fractions /= fractions.sum()
        log_p = row - numpy.log(numpy.exp(row).sum())
        loss = -sum(
            fraction * log_p[number] for fraction, number in zip(fractions, order, strict=True)
        )
        total += loss * (1.0 if weights is None else weights[order[0]])
    loss = losses.build("bins", class_weights=weights, target="ab")
    assert value(loss, y_true, logits) == pytest.approx(total / (2 * 3 * 4), rel=1e-4)


def test_the_right_bins_have_the_least_loss():
    y_true = numpy.zeros((1, 1, 1, 3), "float32")
    numbers, fractions = map(keras.ops.convert_to_numpy, bins.soft_encoding(y_true[0, 0, :, 1:]))
    logits = numpy.full((1, 1, 1, 313), -30.0, "float32")
    logits[0, 0, 0, numbers[0]] = numpy.log(fractions[0])
    entropy = -(fractions * numpy.log(fractions)).sum()
    assert value(BinsCrossentropy(), y_true, logits) == pytest.approx(entropy, rel=1e-4)


@pytest.mark.parametrize(
    "loss", [ABError("huber", chroma_weighted=True), BinsCrossentropy([0.5] * 313)]
)
def test_losses_can_be_written_and_read(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()


def test_names_belong_to_a_target():
    with pytest.raises(ConfigError, match="unknown loss 'bins'"):
        losses.build("bins", target="rgb")
    with pytest.raises(ConfigError, match="unknown loss 'chrome' .*did you mean 'chroma'"):
        losses.build("chrome", target="ab")
    with pytest.raises(ConfigError, match="takes no class weights"):
        losses.build("chroma", class_weights=[1.0], target="ab")
