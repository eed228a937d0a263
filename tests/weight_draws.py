"""Initial weights from a pool: drawing millions of them for each network takes long.

Keras draws them four times on torch, and JAX compiles a program for the shape of each kernel.
"""

import functools
import importlib

import numpy


@functools.cache
def pool():
    """Normal values within two standard deviations; their number is prime, so no filters repeat."""
    values = numpy.random.default_rng(0).standard_normal(1_060_000, "float32")
    return values[abs(values) < 2][:1_000_003]


def install():
    """Replaces Keras' function on the chosen backend, which is imported here only."""
    import keras
    from keras.src.random.seed_generator import draw_seed

    def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
        """In place of Keras' function of this name, which the initializers of He et al. call."""
        key = [int(part) for part in keras.ops.convert_to_numpy(draw_seed(seed))]
        start = numpy.random.default_rng(key).integers(len(pool()))
        values = numpy.resize(numpy.roll(pool(), start), shape)
        return keras.ops.convert_to_tensor(mean + stddev * values, dtype or "float32")

    module = importlib.import_module(f"keras.src.backend.{keras.config.backend()}.random")
    module.truncated_normal = truncated_normal
