"""The still objects of the scenes: one function for the shape and one for the colors of each.

A shape function paints parts 1, 2, 3 ... onto a Brush; a palette function gives the colors of
these parts, in this order, from the random features of each object. Colors are shared between the
classes: every paint is found on several of them.
"""

import numpy

from kerasdl.data.scenes import composition as scenes_layout
from kerasdl.data.scenes.brush import row_number

PARTS = 7  # most parts of an object

PAINTS = {
    "red": (200, 62, 52),
    "orange": (230, 134, 52),
    "yellow": (240, 202, 82),
    "lime": (146, 178, 70),
    "green": (78, 138, 72),
    "teal": (54, 146, 146),
    "blue": (64, 110, 188),
    "sky": (142, 192, 226),
    "violet": (128, 90, 172),
    "pink": (228, 138, 164),
    "brown": (140, 92, 60),
    "tan": (206, 168, 118),
    "cream": (244, 232, 204),
    "white": (246, 246, 244),
    "gray": (146, 150, 158),
    "dark": (58, 58, 68),
}
# Centers of petals for 5, 6 and 8 of them: points on the unit circle, to six digits.
RINGS = numpy.array(
    (  # the first petal is repeated where there are fewer than eight
        (0.0, -1.0, 0.951057, -0.309017, 0.587785, 0.809017, -0.587785, 0.809017)
        + (-0.951057, -0.309017, 0.0, -1.0, 0.0, -1.0, 0.0, -1.0),
        (0.0, -1.0, 0.866025, -0.5, 0.866025, 0.5, 0.0, 1.0)
        + (-0.866025, 0.5, -0.866025, -0.5, 0.0, -1.0, 0.0, -1.0),
        (0.0, -1.0, 0.707107, -0.707107, 1.0, 0.0, 0.707107, 0.707107)
        + (0.0, 1.0, -0.707107, 0.707107, -1.0, 0.0, -0.707107, -0.707107),
    ),
    numpy.float32,
).reshape(3, 8, 2)
PETAL_RADII = numpy.array((0.26, 0.225, 0.17), numpy.float32)


def pick(feature, names):
    """A paint for each object, (m, 3), from a feature (m,) in [0, 1).

    `names` are those of paints; before a bar stand those typical of the class, which the share
    TYPICAL of the objects has.
    """
    typical, _, others = names.rpartition("|")
    first, second = typical.split(), others.split()
    # Places in the table as a piecewise linear function of the feature.
    split = numpy.float32(scenes_layout.TYPICAL if first else 0)
    common = feature < split
    place = numpy.where(
        common,
        feature * (len(first) / max(split, numpy.float32(1e-6))),
        len(first) + (feature - split) * (len(second) / (1 - split)),
    ).astype(numpy.float32)
    table = numpy.array([PAINTS[name] for name in first + second], numpy.float32)
    number = numpy.minimum(place.astype(numpy.int64), len(table) - 1)
    # What is left of the place after the choice varies the brightness by a tenth.
    rest = place - number.astype(numpy.float32)
    return table[number] * (numpy.float32(0.92) + numpy.float32(0.14) * rest)[:, None]


def house(brush):
    """Wall 1, roof 2, door 3, window panes 4, frames 5, chimney 6."""
    u, v = brush.u, brush.v
    half = brush.feature(2, 0.62, 0.78)
    eaves = brush.feature(3, -0.18, 0.02)
    brush.fill(brush.box(0.34, -0.92, 0.54, 0.0), 6, brush.noise("leaves", 0.2))
    wall = (numpy.abs(u) < half) & (v > eaves)
    brush.fill(wall, 1, brush.noise("leaves", 0.12))
    row = row_number(v, 0.17)
    joints = brush.rows(0.17, 0.22) | brush.columns(0.34, 0.1, row * numpy.float32(0.5))
    brush.darken(joints & wall, 0.78)
    slope = (v + numpy.float32(0.95)) / (eaves + numpy.float32(1.07))
    roof = (numpy.abs(u) < slope * (half + numpy.float32(0.16))) & (v < eaves + 0.12)
    brush.fill(roof, 2, brush.noise("leaves", 0.15))
    brush.darken(roof & brush.rows(0.16, 0.3), 0.75)
    brush.darken(wall & ~roof & (v < eaves + 0.2), 0.75)
    door = half * brush.feature(4, -0.3, 0.1)
    brush.fill((numpy.abs(u - door) < 0.15) & (v > 0.42), 3)
    brush.fill(brush.ellipse(door + 0.08, 0.72, 0.04, 0.04) < 1, 5)
    for x in (door - half * 0.58, door + half * 0.62):
        outer = (numpy.abs(u - x) < 0.17) & (numpy.abs(v - 0.38) < 0.19)
        brush.fill(outer & (numpy.abs(u) < half), 5)
        pane = (numpy.abs(u - x) < 0.12) & (numpy.abs(v - 0.38) < 0.14)
        cross = brush.thin(0.02)
        pane = pane & (numpy.abs(u - x) > cross) & (numpy.abs(v - 0.38) > cross)
        brush.fill(pane & (numpy.abs(u) < half), 4, 1.0 - 0.25 * (v - 0.38))


def house_colors(f):
    return (
        pick(f[5], "tan cream | white yellow red sky pink orange gray"),
        pick(f[6], "red brown | dark teal blue green violet orange"),
        pick(f[7], "brown red green blue dark teal"),
        pick(f[8], "sky dark yellow blue"),
        pick(f[9], "white cream"),
        pick(f[9], "red brown gray tan"),
    )


def tree(brush):
    """Trunk 1, crown 2."""
    u, v = brush.u, brush.v
    lean = brush.feature(4, -0.06, 0.06)
    trunk = brush.thin(0.085) * (1 + 0.5 * numpy.maximum(v - 0.5, 0))
    brush.fill((numpy.abs(u - lean * (1 - v)) < trunk) & (v > -0.2), 1, brush.noise("blades", 0.3))
    brush.fill(brush.line(0.0, 0.35, 0.34, 0.02, 0.045), 1)
    size = brush.feature(3, 0.9, 1.08)
    pointed = brush.feature(2) < 0.36
    round_crown = None
    for x, y, radius in (
        (0.0, -0.58, 0.4),
        (-0.36, -0.34, 0.36),
        (0.36, -0.32, 0.37),
        (-0.2, -0.02, 0.34),
        (0.24, -0.04, 0.33),
    ):
        lobe = brush.ellipse(x, y, radius * size, radius * size) < 1
        round_crown = lobe if round_crown is None else round_crown | lobe
    tier = (v + 1) * numpy.float32(2.0)
    step = tier - numpy.floor(tier)
    width = (v + 1) * numpy.float32(0.27) + step * numpy.float32(0.2) + numpy.float32(0.02)
    fir = (numpy.abs(u) < width * size) & (v > -1) & (v < 0.5)
    crown = numpy.where(pointed, fir, round_crown)
    light = 1.08 - 0.24 * (v + 0.3)
    brush.fill(crown, 2, brush.noise("leaves", 0.3, 0.9) * light)


def tree_colors(f):
    return (
        pick(f[5], "brown brown dark tan"),
        pick(f[6], "green lime green | orange yellow red pink teal"),
    )


def car(brush):
    """Body 1, windows 2, tyres 3, hubs 4, lights 5, trim 6."""
    u, v = brush.u, brush.v
    roof = brush.feature(2, 0.5, 0.68)
    rear = brush.feature(3, -0.92, -0.62)
    height = (v + numpy.float32(0.95)) * numpy.float32(1.25)
    cabin = (v > -0.95) & (v < 0.05)
    cabin = cabin & (u > rear - 0.42 * height) & (u < roof * 0.62 + 0.55 * height)
    brush.fill(cabin, 1, 1.08)
    glass = (v > -0.78) & (v < -0.14)
    glass = glass & (u > rear - 0.42 * height + 0.2) & (u < roof * 0.62 + 0.55 * height - 0.2)
    pillar = brush.thin(0.06)
    brush.fill(glass & (numpy.abs(u + 0.12) > pillar), 2, 1.1 + 0.5 * (v + 0.14))
    corner = numpy.maximum(numpy.abs(u) - 1.16, 0) / 0.28
    bevel = numpy.maximum(numpy.abs(v - 0.22) - 0.18, 0) / 0.26
    body = corner * corner + bevel * bevel < 1
    brush.fill(body, 1, (1.16 - 0.34 * (v + 0.2)) * brush.noise("leaves", 0.06))
    brush.fill(body & (numpy.abs(v - 0.12) < brush.thin(0.05)) & (u < 1.2), 6)
    brush.fill(body & (v > 0.46), 3, 1.4)
    brush.fill(brush.ellipse(1.24, 0.16, 0.16, 0.15) < 1, 5)
    brush.fill(brush.box(-1.44, 0.02, -1.27, 0.3) & body, 5, 0.72)
    for x in (-0.76, 0.78):
        wheel = brush.ellipse(x, 0.58, 0.42, 0.42)
        brush.fill(wheel < 1, 3)
        brush.fill(wheel < 0.26, 4)
        brush.fill(wheel < 0.05, 3)


def car_colors(f):
    body = pick(f[5], "blue | red orange yellow lime green teal violet pink white gray brown sky")
    return (
        body,
        pick(f[6], "sky dark sky"),
        pick(f[7], "dark"),
        pick(f[8], "gray white cream"),
        pick(f[9], "yellow cream orange"),
        body * numpy.float32(0.62),
    )


def sailboat(brush):
    """Hull 1, mast 2, main sail 3, jib 4, stripe 5, pennant 6."""
    u, v = brush.u, brush.v
    mast = brush.feature(2, -0.12, 0.06)
    brush.fill((numpy.abs(u - mast) < brush.thin(0.03)) & (v > -1.0) & (v < 0.7), 2)
    reach = brush.feature(3, 0.62, 0.8)
    down = (v + numpy.float32(0.84)) * numpy.float32(1 / 1.26)
    sail = (u > mast + 0.05) & (u < mast + reach * down * (1.25 - 0.25 * down)) & (v < 0.42)
    brush.fill(sail, 3, brush.noise("leaves", 0.05) * (1.06 - 0.25 * (u - mast)))
    brush.darken(sail & brush.rows(0.3, 0.14), 0.82)
    reach = brush.feature(4, 0.5, 0.72)
    down = (v + numpy.float32(0.66)) * numpy.float32(1 / 1.04)
    jib = (u < mast - 0.05) & (u > mast - reach * down) & (v < 0.38)
    brush.fill(jib, 4, 1.02 + 0.2 * (u - mast))
    brush.darken(jib & brush.rows(0.3, 0.14, 0.5), 0.84)
    depth = (v - numpy.float32(0.54)) * numpy.float32(1 / 0.46)
    width = 0.95 - 0.34 * depth * depth
    hull = (u > -width * 0.92) & (u < width) & (v > 0.54)
    brush.fill(hull, 1, (1.1 - 0.3 * depth) * brush.noise("waves", 0.12))
    brush.fill(hull & (v > 0.6) & (v < 0.7), 5)
    brush.darken(hull & brush.rows(0.13, 0.25, 0.4), 0.82)
    flag = (u > mast) & (u < mast + 0.3) & (v > -1.0) & (v < -0.84)
    brush.fill(flag, 6)


def sailboat_colors(f):
    return (
        pick(f[5], "brown | red blue dark teal white green orange"),
        pick(f[6], "brown dark tan"),
        pick(f[7], "white | cream red orange yellow pink sky violet lime"),
        pick(f[8], "cream white | yellow orange red sky teal"),
        pick(f[9], "white cream yellow red"),
        pick(f[4], "red yellow blue orange pink"),
    )


def balloon(brush):
    """Gores 1 and 2, ropes 3, basket 4, band 5."""
    u, v = brush.u, brush.v
    for side in (-1.0, 1.0):
        brush.fill(brush.line(side * 0.2, 0.42, side * 0.12, 0.86, 0.02), 3)
    below = numpy.maximum(v + numpy.float32(0.28), 0) * numpy.float32(1 / 0.82)
    above = numpy.minimum(v + numpy.float32(0.28), 0) * numpy.float32(1 / 0.72)
    # Half a circle above, a tapering curve below.
    round_top = numpy.sqrt(numpy.maximum(1 - above * above, 0))
    width = numpy.float32(0.72) * round_top * (1 - 0.28 * below - 0.46 * below * below)
    bag = (numpy.abs(u) < width) & (v < 0.54)
    across = u / numpy.maximum(width, 0.05)
    # The gores look narrower towards the edge, as on a sphere.
    bent = across * (1 + 0.35 * across * across)
    gores = numpy.floor(bent * brush.feature(2, 1.7, 2.6) + brush.feature(3, 8, 9))
    odd = gores - 2 * numpy.floor(gores * numpy.float32(0.5)) > 0.5
    light = (1.1 - 0.3 * across * across) * brush.noise("leaves", 0.07)
    brush.fill(bag, 1, light)
    brush.fill(bag & odd, 2, light)
    seams = bent * brush.feature(2, 3.4, 5.2)
    brush.darken(bag & (numpy.abs(seams - numpy.floor(seams) - 0.5) > 0.42), 0.86)
    band = brush.feature(4, -0.36, 0.1)
    striped = brush.feature(9) < 0.55
    brush.fill(bag & striped & (numpy.abs(v - band) < 0.11), 5, light)
    basket = (numpy.abs(u) < 0.17) & (v > 0.76)
    brush.fill(basket, 4, brush.noise("leaves", 0.15))
    brush.darken(basket & (brush.rows(0.12, 0.4)), 0.7)


def balloon_colors(f):
    return (
        pick(f[5], "teal violet | red orange yellow green blue pink brown"),
        pick(f[6], "yellow | white cream sky orange pink red lime"),
        pick(f[7], "dark brown"),
        pick(f[7], "brown tan"),
        pick(f[8], "white cream yellow red blue violet orange teal"),
    )


def mushroom(brush):
    """Stem 1, gills 2, cap 3, dots 4, ring 5."""
    u, v = brush.u, brush.v
    stem = brush.feature(2, 0.2, 0.3)
    bulge = stem * (1 + 0.5 * numpy.maximum(v - 0.1, 0) * numpy.maximum(v - 0.1, 0))
    lean = brush.feature(4, -0.1, 0.1) * (1 - v)
    body = (numpy.abs(u - lean) < bulge) & (v > -0.2)
    brush.fill(body, 1, brush.noise("blades", 0.16) * (1.02 - 0.3 * numpy.abs(u - lean)))
    edge = brush.feature(3, -0.1, 0.08)
    brush.darken(body & (v < edge + 0.3), 0.8)
    brush.fill(body & (numpy.abs(v - edge - 0.36) < 0.06), 5)
    top = edge + numpy.float32(0.96)
    brush.fill((brush.ellipse(0, edge, 0.84, 0.2) < 1) & (v > edge), 2)
    brush.darken((brush.part == 2) & brush.columns(0.15, 0.4), 0.8)
    cap = brush.ellipse(0, edge, 0.95, top)
    dome = (cap < 1) & (v < edge + 0.04)
    light = (1.12 - 0.4 * cap) * brush.noise("leaves", 0.1)
    brush.fill(dome, 3, light)
    shift = brush.feature(4, -0.12, 0.12)
    for x, y, radius in (
        (-0.1, -0.62, 0.17),
        (0.42, -0.4, 0.15),
        (-0.55, -0.28, 0.14),
        (0.1, -0.2, 0.13),
        (0.72, -0.1, 0.1),
        (-0.3, -0.05, 0.08),
    ):
        dot = brush.ellipse(x + shift, y * top + edge, radius, radius * 0.85) < 1
        brush.fill(dot & dome, 4, light)


def mushroom_colors(f):
    return (
        pick(f[5], "cream white tan cream"),
        pick(f[6], "tan cream brown"),
        pick(f[7], "red | orange brown violet tan pink teal yellow"),
        pick(f[8], "white cream yellow"),
        pick(f[5], "white cream"),
    )


def flower(brush):
    """Stem 1, leaves 2, petals 3, inner petals 4, disc 5."""
    u, v = brush.u, brush.v
    bend = brush.feature(2, -0.2, 0.2)
    rise = numpy.maximum(v + numpy.float32(0.4), 0)
    middle = bend * rise * (1.4 - rise)
    brush.fill((numpy.abs(u - middle) < brush.thin(0.05)) & (v > -0.4), 1)
    for side, height in ((-1.0, 0.62), (1.0, 0.5)):
        x = (u - middle) * side
        y = v - height + 0.45 * x
        leaf = brush.ellipse(0.26, 0.0, 0.28, 0.11, x, y)
        brush.fill(leaf < 1, 2, brush.noise("blades", 0.2))
        brush.darken((leaf < 0.9) & (numpy.abs(y) < brush.pixel * 0.5), 0.75)
    kind = (brush.features[3] * numpy.float32(len(RINGS))).astype(numpy.int64)
    ring = brush.feature(4, 0.32, 0.36)
    center = numpy.float32(-0.36)
    # A pixel belongs to the petal towards whose center it lies; `along` is measured from there.
    y = v - center
    reach = u * RINGS[kind, 0, 0] + y * RINGS[kind, 0, 1]
    for number in range(1, RINGS.shape[1]):
        reach = numpy.maximum(reach, u * RINGS[kind, number, 0] + y * RINGS[kind, number, 1])
    across = numpy.maximum(u * u + y * y - reach * reach, 0)
    along = reach - ring
    scale = numpy.float32(1) / (PETAL_RADII[kind] * PETAL_RADII[kind])
    petal = along * along * numpy.float32(1 / 0.0729) + across * scale
    light = (1.04 + 0.5 * along) * brush.noise("blades", 0.08)
    brush.fill(petal < 1, 3, light)
    brush.fill((petal < 0.85) & (along < -0.05), 4, light)
    vein = brush.thin(0.012)
    brush.darken((across < vein * vein) & (petal < 0.6), 0.8)
    brush.darken((petal < 1) & (petal > 0.72) & (across * scale > 0.45), 0.82)
    disc = brush.ellipse(0, center, 0.2, 0.2)
    brush.fill(disc < 1, 5, brush.noise("leaves", 0.3, 1.6) * (1.1 - 0.3 * disc))


def flower_colors(f):
    petals = pick(f[6], "pink violet | red orange yellow white blue sky")
    inner = numpy.where(f[7][:, None] < 0.5, petals * numpy.float32(0.8), pick(f[7], "pink cream"))
    return (
        pick(f[5], "green lime"),
        pick(f[5], "green lime green"),
        petals,
        inner,
        pick(f[8], "yellow brown orange dark"),
    )
