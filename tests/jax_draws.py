"""Initial weights on JAX drawn by NumPy: JAX would compile a program for the shape of each."""

import jax
import keras.src.backend.jax.random as jax_random
import numpy
from keras.src.random.seed_generator import draw_seed


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """In place of Keras' function of this name, which the initializers of He et al. call."""
    random = numpy.random.default_rng(numpy.asarray(draw_seed(seed)))
    values = random.standard_normal(shape, "float32")
    while (far := abs(values) > 2).any():
        values[far] = random.standard_normal(far.sum(), "float32")
    return jax.numpy.asarray(mean + stddev * values, dtype or "float32")


def install():
    jax_random.truncated_normal = truncated_normal
