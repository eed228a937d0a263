"""A brush for groups of objects of one class: which part of it covers a pixel, and how bright."""

import numpy

from kerasdl.data.scenes.randomness import sample_texture

TEXELS = 150.0  # texels of a noise table along half the height of an object


class Brush:
    """Paints m objects at once in their own coordinates, back to front.

    `v` runs from -1 at the top to 1 at the base, `u` to the right in the same unit. Both are
    float32 and broadcast against (m, height, width).

    Attributes:
        part: 0 outside the object, else the number of the part on top, uint8.
        shade: Factor on the color of the part, float32.
        features: Random numbers of the object, each (m, 1, 1).
        pixel: Size of a pixel in object coordinates, (m, 1, 1).
    """

    def __init__(self, u, v, features, pixel, strength):
        self.u = u
        self.v = v
        self.features = features
        self.pixel = pixel
        self.strength = strength
        shape = numpy.broadcast_shapes(u.shape, v.shape)
        self.part = numpy.zeros(shape, numpy.uint8)
        self.shade = numpy.ones(shape, numpy.float32)

    def fill(self, inside, part, shade=1.0):
        """Paints the part where `inside` holds; `shade` is a number or an array."""
        numpy.copyto(self.part, numpy.uint8(part), where=inside)
        numpy.copyto(self.shade, shade, where=inside)

    def darken(self, inside, factor):
        """Multiplies the shade where `inside` holds."""
        numpy.multiply(self.shade, numpy.float32(factor), out=self.shade, where=inside)

    def feature(self, number, low=0.0, high=1.0):
        """Random number of each object, scaled to low ... high, (m, 1, 1)."""
        return self.features[number] * numpy.float32(high - low) + numpy.float32(low)

    def noise(self, name, contrast, stretch=1.0):
        """1 + contrast * noise, for `shade`; the noise moves with the object."""
        x = self.u * numpy.float32(TEXELS * stretch) + self.features[0] * 4096
        y = self.v * numpy.float32(TEXELS * stretch) + self.features[1] * 4096
        return 1 + sample_texture(name, x, y) * numpy.float32(contrast * self.strength)

    def ellipse(self, x, y, radius_x, radius_y, u=None, v=None):
        """Squared distance from a center in units of the radii: below 1 inside."""
        a = ((self.u if u is None else u) - x) * (1 / radius_x)
        b = ((self.v if v is None else v) - y) * (1 / radius_y)
        return a * a + b * b

    def box(self, left, top, right, bottom):
        """Upright box."""
        return ((self.u > left) & (self.u < right)) & ((self.v > top) & (self.v < bottom))

    def thin(self, radius):
        """A half thickness that is never so small that the line would break up into dots."""
        return numpy.maximum(numpy.float32(radius), self.pixel * numpy.float32(0.6))

    def line(self, x0, y0, x1, y1, radius):
        """Straight line from (x0, y0) to (x1, y1) with round ends."""
        along_x, along_y = x1 - x0, y1 - y0
        length = along_x * along_x + along_y * along_y
        a, b = self.u - x0, self.v - y0
        t = numpy.clip((a * along_x + b * along_y) / length, 0, 1)
        a, b = a - t * along_x, b - t * along_y
        radius = self.thin(radius)
        return a * a + b * b < radius * radius

    def rows(self, period, fraction, offset=0.0):
        """True for the last `share` of each period along v, such as the joints between bricks.

        Lines are at least about one pixel wide, and left out where they would merge.
        """
        return self._stripes(self.v, period, fraction, offset)

    def columns(self, period, fraction, offset=0.0):
        """As `rows`, along u; `offset` may depend on the row, as in a brick wall."""
        return self._stripes(self.u, period, fraction, offset)

    def _stripes(self, position, period, fraction, offset):
        phase = (position + 8) * numpy.float32(1 / period) + offset
        phase = phase - numpy.floor(phase)
        width = numpy.maximum(numpy.float32(fraction), self.pixel * numpy.float32(0.9 / period))
        return (phase < width) & (width < numpy.float32(0.6))


def row_number(v, period):
    """Number of the row in `Brush.rows`, to shift every second one."""
    return numpy.floor((v + 8) * numpy.float32(1 / period))
