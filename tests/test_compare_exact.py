"""The float64 step of `kerasdl compare backends` is one in float64."""

import keras
import numpy
import pytest
from test_keras_defects import defect

from kerasdl.backend import tuning
from kerasdl.runs.config import Config
from kerasdl.tools.compare import exact, measuring

BACKEND = keras.config.backend()


@pytest.fixture
def float64():
    """Lets JAX have float64 until the end of the test."""
    if BACKEND != "jax":
        yield
        return
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("training", [True, False])
def test_norm_has_the_digits_of_float64(float64, training):
    generator = numpy.random.default_rng(0)
    layer = keras.layers.BatchNormalization(epsilon=1e-3, dtype="float64")
    layer.build((None, 2, 3, 4))
    gamma, beta, mean, variance = generator.random((4, 4)) + 0.5
    layer.set_weights([gamma, beta, mean, variance])
    layer.call = exact.norm(layer, layer.call)
    x = 1 + generator.random((5, 2, 3, 4))
    found = keras.ops.convert_to_numpy(layer(x, training=training))
    if training:
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = gamma * (x - mean) / numpy.sqrt(variance + 1e-3) + beta
    assert found.dtype == numpy.float64
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@defect("jax", "torch", cure="compare/exact.py::norm")
def test_keras_own_norm_has_them_too(float64):
    layer = keras.layers.BatchNormalization(dtype="float64")
    x = numpy.random.default_rng(0).random((5, 2, 3, 4))
    found = keras.ops.convert_to_numpy(layer(x, training=True))
    expected = (x - x.mean((0, 1, 2))) / numpy.sqrt(x.var((0, 1, 2)) + layer.epsilon)
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("jit_compile", "recorded"), [("auto", True), ("off", False)])
def test_a_measured_training_is_recorded_only_where_a_training_is(
    monkeypatch, jit_compile, recorded
):
    seen = []
    monkeypatch.setattr(tuning, "tune", lambda model, record: seen.append(record))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    batch = numpy.ones((1, 1), "float32"), numpy.ones((1, 1), "float32")
    measuring._training(model, Config(momentum=0.9, jit_compile=jit_compile), "mse", [batch])
    assert seen == [recorded]
