"""What is in each scene and where: the draw of all parameters, and the knobs of difficulty.

Positions are fractions of the height and width of the image; sizes are fractions of its shorter
side. The pixel size plays no part here, so a scene is the same scene at any size.
"""

import dataclasses

import numpy

from kerasdl.data.scenes.randomness import Rng, mix, sample_keys

OBJECTS = (
    "house",
    "tree",
    "car",
    "sailboat",
    "balloon",
    "mushroom",
    "flower",
    "butterfly",
    "cat",
    "windmill",
)
SAILBOAT, BALLOON, BUTTERFLY = map(OBJECTS.index, ("sailboat", "balloon", "butterfly"))

# Knobs of difficulty. Any change needs a new VERSION in scenes.py and new checksums in the test.
DISTRACTORS = (0, 1)  # fewest and most small objects beside the main one
MAIN_SCALE = (0.86, 1.06)  # times HALF_HEIGHT
DISTRACTOR_SCALE = (0.50, 0.62)  # times HALF_HEIGHT
MAIN_CENTER = (0.40, 0.60)  # fraction of the width
GRAIN = 0.036  # amplitude of the film grain; its standard deviation is 0.41 of this
TEXTURE = 1.0  # factor on every texture
OUTLINE = 0.62  # brightness of the outermost pixels of an object; 1: no outline
WATER = 0.35  # share of the scenes with water, other than those of sailboats
TYPICAL = 0.75  # share of the objects in colors typical of their class; 0: color says nothing
TILT = 1.0  # factor on the largest tilt of each class

# Half of the height of each main object, of its width in units of that, and the largest tilt as
# the tangent of half the angle (the rational form of the circle needs no sine).
HALF_HEIGHT = numpy.array((0.31, 0.36, 0.21, 0.36, 0.36, 0.29, 0.36, 0.29, 0.34, 0.36), "float32")
HALF_WIDTH = numpy.array((0.96, 0.86, 1.5, 0.98, 0.76, 0.98, 0.74, 1.12, 0.88, 0.86), "float32")
MOST_TILT = numpy.array((0.0, 0.0, 0.0, 0.06, 0.08, 0.0, 0.08, 0.3, 0.0, 0.0), "float32")
STEPS = numpy.array((1, 2, 4, 5, 7, 8))  # without a common divisor with nine
FEATURES = 10  # random numbers that each object may use for its shape and colors

# Sky at the zenith and at the horizon, light that clouds and haze take on: day twice, overcast,
# golden hour, dusk. Times 255.
SKIES = numpy.array(
    (
        ((74, 138, 214), (178, 214, 240), (255, 253, 248)),
        ((98, 164, 226), (204, 228, 240), (255, 255, 255)),
        ((58, 118, 198), (160, 204, 236), (252, 250, 246)),
        ((140, 158, 178), (206, 212, 216), (240, 240, 238)),
        ((110, 134, 190), (250, 196, 140), (255, 226, 186)),
        ((78, 82, 146), (236, 160, 150), (250, 200, 190)),
    ),
    "float32",
)
# Ground far away and near, far hills: meadow twice, dry grass, sand, snow. Times 255.
GROUNDS = numpy.array(
    (
        ((132, 172, 86), (82, 132, 52), (112, 142, 150)),
        ((150, 184, 100), (96, 146, 58), (96, 134, 124)),
        ((204, 182, 104), (170, 138, 66), (142, 138, 150)),
        ((230, 206, 160), (206, 172, 120), (158, 140, 136)),
        ((240, 244, 250), (214, 224, 240), (150, 166, 192)),
    ),
    "float32",
)
# Strength of the texture of each ground.
ROUGHNESS = numpy.array((0.30, 0.30, 0.28, 0.16, 0.12), "float32")
WATERS = numpy.array(
    (
        ((142, 192, 206), (52, 118, 150)),
        ((128, 178, 196), (44, 104, 128)),
        ((150, 196, 216), (60, 124, 176)),
    ),
    "float32",
)


@dataclasses.dataclass(frozen=True)
class Layout:
    """The parameters of n scenes with s object slots, sorted from the farthest to the nearest.

    Attributes:
        keys: uint64 (n,), the source of all other draws.
        labels: Class of the main object, (n,).
        horizon, shore: Heights, (n,); water lies between them; equal where there is none.
        light: -1.0 (from the left) or 1.0, (n,).
        sun: Center x, y and radius, (n, 3).
        sky, ground, water: Colors 0-255, (n, 3, 3), (n, 3, 3), (n, 2, 3).
        roughness, clouds: Strength of texture and threshold of the clouds, (n,).
        kinds: Class of each object, -1 for an empty slot, (n, s).
        main: True for the main object, (n, s).
        x, y: Centers; y is the base for objects that stand, the middle for those that fly, (n, s).
        half: Half the height, (n, s).
        flip: -1.0 or 1.0, (n, s). tilt: Tangent of half the angle, (n, s).
        features: Random numbers in [0, 1), (n, s, FEATURES).
    """

    keys: numpy.ndarray
    labels: numpy.ndarray
    horizon: numpy.ndarray
    shore: numpy.ndarray
    light: numpy.ndarray
    sun: numpy.ndarray
    sky: numpy.ndarray
    ground: numpy.ndarray
    water: numpy.ndarray
    roughness: numpy.ndarray
    clouds: numpy.ndarray
    kinds: numpy.ndarray
    main: numpy.ndarray
    x: numpy.ndarray
    y: numpy.ndarray
    half: numpy.ndarray
    flip: numpy.ndarray
    tilt: numpy.ndarray
    features: numpy.ndarray


def part(layout, place):
    """The scenes of a layout at a slice."""
    return Layout(
        **{field.name: getattr(layout, field.name)[place] for field in dataclasses.fields(Layout)}
    )


def labels(seed, split, indices):
    """Classes of the main objects, int64 (n,): each run of ten samples holds each class once."""
    indices = numpy.asarray(indices, numpy.int64)
    count = len(OBJECTS)
    order = numpy.arange(count, dtype=numpy.uint64)
    block_keys = sample_keys(seed, 512 + split, indices // count)
    ranks = numpy.argsort(mix(block_keys[:, None] + order), axis=1, kind="stable")
    return numpy.take_along_axis(ranks, (indices % count)[:, None], 1)[:, 0]


def draw(seed, split, indices):
    """The Layout of the samples with the given indices."""
    keys = sample_keys(seed, split, indices)
    label = labels(seed, split, indices)
    rng = Rng(keys)
    horizon = rng.uniform(0.50, 0.64)
    boat_scene = label == SAILBOAT
    wet = boat_scene | (rng.uniform() < WATER)
    shore = numpy.where(boat_scene, rng.uniform(0.89, 0.94), horizon + rng.uniform(0.07, 0.14))
    shore = numpy.where(wet, shore, horizon).astype(numpy.float32)
    light = rng.integers(2).astype(numpy.float32) * 2 - 1
    sun = numpy.stack(
        (0.5 + light * rng.uniform(0.2, 0.44), rng.uniform(0.1, 0.3), rng.uniform(0.05, 0.075)),
        axis=1,
    )
    kind_of_ground = rng.integers(len(GROUNDS))
    ground = GROUNDS[kind_of_ground] * rng.uniform(0.92, 1.04)[:, None, None]
    scene = {
        "keys": keys,
        "labels": label,
        "horizon": horizon,
        "shore": shore,
        "light": light,
        "sun": sun,
        "sky": rng.choose(SKIES),
        "ground": ground,
        "water": rng.choose(WATERS),
        "roughness": ROUGHNESS[kind_of_ground],
        "clouds": rng.uniform(-0.2, 0.9),
    }
    return Layout(**scene, **_objects(keys, label, horizon, shore, wet))


def _objects(keys, label, horizon, shore, wet):
    """The fields of Layout that have one entry for each object slot."""
    slots = DISTRACTORS[1] + 1
    slot = numpy.arange(slots)
    rng = Rng(mix(keys[:, None] + numpy.arange(1, slots + 1, dtype=numpy.uint64)))
    main = numpy.broadcast_to(slot == 0, rng.keys.shape)
    # Steps through the nine other classes, so that no two distractors are of the same class.
    column = label[:, None]
    first = Rng(mix(keys + numpy.uint64(98)))
    start, step = first.integers(9)[:, None], first.choose(STEPS)[:, None]
    other = (column + 1 + (start + slot * step) % 9) % 10
    spare = (column + 1 + (start + slots * step) % 9) % 10
    other = numpy.where((other == SAILBOAT) & ~wet[:, None], spare, other)
    kinds = numpy.where(main, column, other)

    scale = numpy.where(main, rng.uniform(*MAIN_SCALE), rng.uniform(*DISTRACTOR_SCALE))
    half = (HALF_HEIGHT[kinds] * scale).astype(numpy.float32)
    # Distractors stand to the left and right of the main object, alternately.
    left = (slot + first.integers(2)[:, None]) % 2 == 0
    beside = numpy.where(left, rng.uniform(0.07, 0.27), rng.uniform(0.73, 0.93))
    x = numpy.where(main, rng.uniform(*MAIN_CENTER), beside)

    part = rng.uniform()
    far = numpy.maximum(horizon + 0.05, shore + 0.02)[:, None]
    near = numpy.where(label == SAILBOAT, 0.995, 0.93)[:, None]
    land = numpy.where(main, 0.87 + 0.09 * part, far + (near - far) * part)
    on_water = numpy.where(main, 0.78 + 0.07 * part, horizon[:, None] + 0.03 + 0.03 * part)
    in_air = numpy.where(main, 0.38 + 0.1 * part, 0.12 + 0.16 * part)
    fluttering = numpy.where(main, 0.42 + 0.14 * part, 0.16 + 0.6 * part)
    y = numpy.where(kinds == SAILBOAT, on_water, land)
    y = numpy.where(kinds == BALLOON, in_air, y)
    y = numpy.where(kinds == BUTTERFLY, fluttering, y)

    count = DISTRACTORS[0] + first.integers(DISTRACTORS[1] - DISTRACTORS[0] + 1)
    kinds = numpy.where(slot > count[:, None], -1, kinds)
    depth = numpy.where(kinds == BALLOON, 0.0, numpy.where(kinds == BUTTERFLY, 2.0, y))
    depth = numpy.where(main & (kinds == BUTTERFLY), 1.5, depth)
    order = numpy.argsort(depth, axis=1, kind="stable")
    tilt = rng.uniform(-1, 1) * (MOST_TILT * numpy.float32(TILT))[kinds]
    fields = {
        "kinds": kinds,
        "main": main,
        "x": x,
        "y": y,
        "half": half,
        "flip": rng.integers(2) * 2 - 1,
        "tilt": tilt,
        "features": numpy.stack([rng.uniform() for _ in range(FEATURES)], axis=2),
    }
    for name, value in fields.items():
        if value.dtype.kind == "f" or name == "flip":
            value = value.astype(numpy.float32)
        places = order if value.ndim == 2 else order[:, :, None]
        fields[name] = numpy.take_along_axis(value, places, 1)
    return fields
