"""The moving objects of the scenes: butterfly, cat and windmill, drawn as in `scenes_objects`."""

import numpy

from kerasdl.data.scenes.brush import row_number
from kerasdl.data.scenes.objects import pick


def butterfly(brush):
    """Feelers and body 1, wing borders 2, upper wings 3, lower wings 4, spots 5."""
    v = brush.v
    side = numpy.abs(brush.u)
    spread = brush.feature(2, 0.92, 1.06)
    upper = (side - 0.52 * spread, v + numpy.float32(0.3))
    lower = (side - 0.42 * spread, v - numpy.float32(0.42))
    # Wings are ellipses turned by about 37 degrees: (4, 3) / 5 is an exact rotation.
    a, b = 0.8 * upper[0] - 0.6 * upper[1], 0.6 * upper[0] + 0.8 * upper[1]
    first = brush.ellipse(0, 0, 0.66 * spread, 0.44, a, b)
    a, b = 0.8 * lower[0] + 0.6 * lower[1], 0.8 * lower[1] - 0.6 * lower[0]
    second = brush.ellipse(0, 0, 0.5 * spread, brush.feature(3, 0.36, 0.44), a, b)
    veins = brush.noise("leaves", 0.16)
    brush.fill(second < 1, 2)
    brush.fill(second < 0.66, 4, veins * (1.08 - 0.25 * second))
    brush.fill(first < 1, 2)
    brush.fill(first < 0.66, 3, veins * (1.08 - 0.25 * first))
    inner = (first < 0.66) | (second < 0.66)
    fan = (v + numpy.float32(0.02)) / numpy.maximum(side + 0.04, 0.04)
    fan = fan * 2.2
    brush.darken(inner & (numpy.abs(fan - numpy.floor(fan) - 0.5) > 0.4), 0.8)
    for x, y, radius in ((0.78, -0.46, 0.13), (0.52, -0.2, 0.08), (0.5, 0.44, 0.12)):
        brush.fill(brush.ellipse(x * spread, y, radius, radius, side) < 1, 5)
    brush.fill(brush.ellipse(0, 0.12, 0.1, 0.6, side) < 1, 1)
    brush.darken((brush.part == 1) & brush.rows(0.16, 0.35), 1.5)
    brush.fill(brush.ellipse(0, -0.5, 0.12, 0.14, side) < 1, 1)
    for x in (-1.0, 1.0):
        brush.fill(brush.line(x * 0.05, -0.55, x * 0.3, -0.95, 0.03), 1)
    brush.fill(brush.ellipse(0.31, -0.93, 0.07, 0.07, side) < 1, 1)


def butterfly_colors(f):
    return (
        pick(f[5], "dark brown dark"),
        pick(f[6], "dark brown dark violet"),
        pick(f[7], "orange | yellow blue sky violet pink red teal lime white cream"),
        pick(f[8], "yellow orange | blue sky violet pink red teal lime white cream"),
        pick(f[9], "white yellow cream red sky"),
    )


def cat(brush):
    """Fur 1, markings 2, muzzle, chest and paws 3, eyes 4, pupils and mouth 5, nose and ears 6."""
    u, v = brush.u, brush.v
    # The tail is an arc beside the body.
    tail = brush.ellipse(0.5, 0.58, 0.32, 0.4)
    arc = (tail < 1) & (brush.ellipse(0.48, 0.56, 0.18, 0.26) > 1) & (u > 0.34)
    fur = brush.noise("leaves", 0.2, 1.4)
    brush.fill(arc, 1, fur)
    brush.fill(arc & (v < 0.42), 2, fur)
    brush.fill(arc & brush.rows(0.2, 0.4) & (u > 0.6), 2, fur)
    body = brush.ellipse(0, 0.62, brush.feature(2, 0.48, 0.56), 0.66)
    seated = (body < 1) & (v < 1)
    brush.fill(seated, 1, fur * (1.06 - 0.2 * body))
    brush.fill(seated & brush.rows(0.2, 0.36) & (numpy.abs(u) > 0.26), 2, fur)
    brush.fill(brush.ellipse(0, 0.4, 0.24, 0.34) < 1, 3, fur)
    for x in (-0.2, 0.2):
        brush.fill((brush.ellipse(x, 0.92, 0.17, 0.12) < 1) & (v < 1), 3)
        brush.darken((numpy.abs(u - x) < brush.pixel * 0.5) & (v > 0.86), 0.7)
    side = numpy.abs(u)
    top = brush.feature(3, -0.98, -0.9)
    rise = (v - top) / (numpy.float32(-0.4) - top)
    ear = (side > 0.5 - 0.46 * rise) & (side < 0.52 + 0.06 * rise) & (rise > 0) & (rise < 1)
    brush.fill(ear, 1, fur)
    inside = (side > 0.52 - 0.3 * rise) & (side < 0.46) & (rise > 0.3) & (rise < 1)
    brush.fill(inside, 6)
    head = brush.ellipse(0, -0.3, 0.6, 0.46)
    brush.fill(head < 1, 1, fur * (1.08 - 0.18 * head))
    stripes = (side < brush.thin(0.04)) | (numpy.abs(side - 0.17) < brush.thin(0.035))
    brush.fill((head < 0.95) & (v < -0.5) & stripes, 2)
    whisker_rows = numpy.abs(numpy.abs(v + 0.16) - 0.06) < 0.03
    brush.fill((head < 1) & (side > 0.42) & whisker_rows, 2)
    brush.fill(brush.ellipse(0, -0.1, 0.26, 0.19) < 1, 3)
    eye = brush.ellipse(0.26, -0.34, 0.14, 0.125, side)
    brush.fill(eye < 1, 4)
    brush.fill((numpy.abs(side - 0.26) < brush.thin(0.045)) & (eye < 0.8), 5)
    brush.fill(brush.ellipse(0, -0.17, 0.085, 0.06) < 1, 6)
    for x in (-1.0, 1.0):
        brush.fill(brush.line(0.0, -0.02, x * 0.12, -0.08, 0.02), 5)


def cat_colors(f):
    return (
        pick(f[5], "gray dark | orange tan brown cream white"),
        pick(f[6], "brown dark orange gray"),
        pick(f[7], "white cream"),
        pick(f[8], "lime yellow sky teal"),
        pick(f[9], "dark"),
        pick(f[9], "pink"),
    )


def windmill(brush):
    """Tower 1, cap 2, sails 3, spars 4, door 5, windows 6."""
    u, v = brush.u, brush.v
    slope = (v + numpy.float32(0.3)) * numpy.float32(1 / 1.3)
    width = brush.feature(2, 0.2, 0.25) + 0.2 * slope
    tower = (numpy.abs(u) < width) & (v > -0.32)
    brush.fill(tower, 1, brush.noise("leaves", 0.1) * (1.04 - 0.35 * u))
    row = row_number(v, 0.14)
    joints = brush.rows(0.14, 0.25) | brush.columns(0.28, 0.12, row * numpy.float32(0.5))
    brush.darken(tower & joints, 0.82)
    brush.fill((brush.ellipse(0, -0.3, 0.3, 0.26) < 1) & (v < -0.26), 2)
    brush.fill((numpy.abs(u) < 0.12) & (v > 0.66), 5)
    for y in (0.06, 0.4):
        brush.fill((numpy.abs(u - 0.02) < 0.08) & (numpy.abs(v - y) < 0.1), 6)
    # t, the tangent of half the angle, turns the four sails by up to 45 degrees either way.
    t = brush.feature(3, -0.4, 0.4)
    norm = 1 / (1 + t * t)
    cosine, sine = (1 - t * t) * norm, 2 * t * norm
    y = v + numpy.float32(0.3)
    a, b = cosine * u + sine * y, cosine * y - sine * u
    for along, across in ((a, b), (b, -a), (-a, -b), (-b, a)):
        sail = (along > 0.16) & (along < 0.67) & (across > 0) & (across < 0.2)
        brush.fill(sail, 3)
        phase = along * numpy.float32(1 / 0.13)
        lattice = sail & (phase - numpy.floor(phase) < 0.35)
        brush.darken(lattice & (brush.pixel < 0.06), 0.72)
        spar = (numpy.abs(across) < brush.thin(0.035)) & (along > 0) & (along < 0.69)
        brush.fill(spar, 4)
    brush.fill(a * a + b * b < 0.006, 2)


def windmill_colors(f):
    return (
        pick(f[5], "white | cream tan red orange gray sky pink"),
        pick(f[6], "red brown dark teal blue green"),
        pick(f[7], "brown tan | white cream yellow red sky"),
        pick(f[8], "brown dark"),
        pick(f[9], "brown red green blue"),
        pick(f[8], "dark blue sky"),
    )
