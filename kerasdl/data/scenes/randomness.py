"""Random numbers and noise textures of the scenes, from integer arithmetic alone.

Every number is a hash of (data seed, split, sample, running number of the draw), so that a sample
never depends on its neighbors, and is the same on every machine: integers wrap around, and the
one conversion to float32 is exact.
"""

import functools

import numpy

TEXTURE_SIZE = 256  # texels along both sides of a noise table; a power of two


def mix(values):
    """Hash of uint64 values (the finalizer of SplitMix64: Steele, Lea and Flood, 2014)."""
    values = values ^ (values >> numpy.uint64(30))
    values = values * numpy.uint64(0xBF58476D1CE4E5B9)
    values = values ^ (values >> numpy.uint64(27))
    values = values * numpy.uint64(0x94D049BB133111EB)
    return values ^ (values >> numpy.uint64(31))


def sample_keys(seed, split, indices):
    """One uint64 key per sample, shape (n,), from the data seed, a split number and indices."""
    start = mix(numpy.array([seed * 1024 + split + 1], numpy.uint64))
    return mix(start + mix(numpy.asarray(indices, numpy.uint64) + numpy.uint64(1)))


class Rng:
    """A stream of draws for each key; the k-th call gives the k-th draw of every key.

    Args:
        keys: uint64 array of any shape; all draws have this shape.
    """

    def __init__(self, keys):
        self.keys = keys
        self.count = 0

    def _next(self):
        self.count += 1
        step = (self.count * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        return mix(self.keys + numpy.uint64(step))

    def uniform(self, low=0.0, high=1.0):
        """float32 draws from [low, high)."""
        fraction = (self._next() >> numpy.uint64(40)).astype(numpy.float32) * numpy.float32(2**-24)
        return numpy.float32(low) + numpy.float32(high - low) * fraction

    def integers(self, count):
        """int64 draws from 0 ... count - 1."""
        top = self._next() >> numpy.uint64(32)
        return (top * numpy.uint64(count) >> numpy.uint64(32)).astype(numpy.int64)

    def choose(self, table):
        """Draws with equal chances from the rows of a table, shape (..., row)."""
        return table[self.integers(len(table))]


def grain(keys, height, width):
    """Film grain, float32 in (-1, 1), triangular, one value per pixel; shape (n, height, width)."""
    pixels = numpy.arange(height * width, dtype=numpy.uint32) * numpy.uint32(0x9E3779B1)
    values = (keys >> numpy.uint64(32)).astype(numpy.uint32)[:, None] + pixels
    shifted = numpy.empty_like(values)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None)):
        numpy.right_shift(values, numpy.uint32(shift), out=shifted)
        numpy.bitwise_xor(values, shifted, out=values)
        if factor:
            numpy.multiply(values, numpy.uint32(factor), out=values)
    # The sum of two uniform halves has a triangular density: no outliers, no exp or log.
    numpy.right_shift(values, numpy.uint32(16), out=shifted)
    numpy.bitwise_and(values, numpy.uint32(0xFFFF), out=values)
    numpy.add(values, shifted, out=values)
    noise = values.astype(numpy.float32)
    noise *= numpy.float32(2**-16)
    noise -= numpy.float32(1)
    return noise.reshape(len(keys), height, width)


@functools.cache
def texture(name):
    """A periodic noise table, float32, flat, mean about 0, standard deviation about 0.5.

    Args:
        name: "cloud" (fractal), "blades" (upright streaks), "waves" (level streaks) or "leaves"
            (blobs).
    """
    layers = {  # (blur radius along y, along x, weight)
        "cloud": ((30, 40, 6), (14, 20, 4), (6, 9, 2), (2, 3, 1)),
        "blades": ((9, 2, 3), (3, 2, 2), (24, 24, 1)),
        "waves": ((2, 14, 3), (2, 6, 2)),
        "leaves": ((5, 5, 3), (2, 2, 2), (14, 14, 1)),
    }[name]
    size = TEXTURE_SIZE
    total = numpy.zeros((size, size), numpy.int64)
    for number, (radius_y, radius_x, weight) in enumerate(layers):
        tag = sum(map(ord, name)) * 16 + number
        cells = mix(numpy.arange(size * size, dtype=numpy.uint64) + numpy.uint64(tag << 32))
        noise = (cells >> numpy.uint64(52)).astype(numpy.int64).reshape(size, size) - 2048
        for _ in range(2):
            noise = _blur(_blur(noise, radius_y, 0), radius_x, 1)
        total += weight * _scaled(noise, 1000)
    levels = numpy.clip(_scaled(total, 42), -127, 127).ravel()
    return levels.astype(numpy.float32) * numpy.float32(1 / 84)


def _blur(values, radius, axis):
    """Sum over 2 radius + 1 neighbors on the torus; exact in integers."""
    values = numpy.moveaxis(values, axis, 0)
    ends = numpy.concatenate((values[-radius - 1 :], values, values[:radius]))
    sums = numpy.cumsum(ends, axis=0)
    return numpy.moveaxis(sums[2 * radius + 1 :] - sums[: -2 * radius - 1], 0, axis)


def _scaled(values, deviation):
    """Integers with mean 0 and about the given standard deviation; integer arithmetic."""
    values = values - int(values.sum()) // values.size
    while int(numpy.abs(values).max()) > 1 << 20:  # keeps the squares below within int64
        values = values // 2
    variance = int((values * values).sum()) // values.size
    root = max(int(numpy.sqrt(numpy.float64(variance))), 1)
    return values * deviation // root


def sample_texture(name, x, y):
    """Nearest texels at coordinates in texels (above -2**14), float32, about -1 ... 1."""
    mask = TEXTURE_SIZE - 1
    columns = (x + numpy.float32(2**14)).astype(numpy.int32) & mask
    rows = (y + numpy.float32(2**14)).astype(numpy.int32) & mask
    flat = rows * numpy.int32(TEXTURE_SIZE) + columns
    return texture(name).take(flat, mode="wrap")
