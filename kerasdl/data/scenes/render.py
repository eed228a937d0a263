"""Draws scenes: from a Layout to images and masks.

Three canvases are painted back to front: `paint`, the row of a table of colors for each pixel;
`shade`, a factor on that color; and `haze`, how far it is mixed with the light of the sky. The
colors come last. Only additions, multiplications, divisions, square roots, comparisons and
integer arithmetic are used, one operation at a time; IEEE 754 fixes their results to the last bit.
"""

import numpy

from kerasdl.data.scenes import composition as scenes_layout
from kerasdl.data.scenes import creatures, objects
from kerasdl.data.scenes.brush import Brush
from kerasdl.data.scenes.objects import PARTS
from kerasdl.data.scenes.randomness import Rng, grain, mix, sample_texture

STUFF = ("sky", "ground", "water")
SKY, GROUND, WATER = range(3)
# Regions of the background, each with its own colors: the same order in the table of colors.
IN_SKY, IN_SUN, IN_FAR_HILLS, IN_HILLS, IN_WATER, IN_GROUND = range(6)
REGION_CLASS = numpy.array((SKY, SKY, GROUND, GROUND, WATER, GROUND), numpy.uint8)
TEXELS = 230.0  # texels of a noise table along the height of an image
REGIONS = len(REGION_CLASS)
BLOCK_PIXELS = 1 << 17
KNOTS = 8  # of the outline of the hills
DRAWINGS = {  # shape and colors of each class, in the order of scenes_layout.OBJECTS
    "house": (objects.house, objects.house_colors),
    "tree": (objects.tree, objects.tree_colors),
    "car": (objects.car, objects.car_colors),
    "sailboat": (objects.sailboat, objects.sailboat_colors),
    "balloon": (objects.balloon, objects.balloon_colors),
    "mushroom": (objects.mushroom, objects.mushroom_colors),
    "flower": (objects.flower, objects.flower_colors),
    "butterfly": (creatures.butterfly, creatures.butterfly_colors),
    "cat": (creatures.cat, creatures.cat_colors),
    "windmill": (creatures.windmill, creatures.windmill_colors),
}


def render(layout, height, width):
    """Draws all scenes of a layout.

    Returns: images uint8 (n, height, width, 3) and masks uint8 (n, height, width) with the classes
    0 sky, 1 ground, 2 water, 3 ... 12 the objects.
    """
    count = len(layout.keys)
    paint = numpy.empty((count, height, width), numpy.int32)
    shade = numpy.empty((count, height, width), numpy.float32)
    haze = numpy.empty((count, height, width), numpy.float32)
    masks = numpy.empty((count, height, width), numpy.uint8)
    tables = []
    rows = numpy.arange(height, dtype=numpy.int32)[:, None]
    blocks = _blocks(count, height * width)
    for block in blocks:
        scenes = scenes_layout.part(layout, block)
        regions, shade[block], haze[block], table = _background(scenes, height, width)
        _shadows(scenes, height, width, regions, shade[block])
        masks[block] = REGION_CLASS[regions]
        # Rows of the table of colors: one per region and height for each scene.
        numbers = numpy.arange(block.start, block.stop, dtype=numpy.int32)[:, None, None]
        paint[block] = (numbers * REGIONS + regions) * height + rows
        tables.append(table.reshape(-1, 3))
    start = count * REGIONS * height
    for slot in range(layout.kinds.shape[1]):
        for kind in range(len(scenes_layout.OBJECTS)):
            for main in (False, True):
                chosen = (layout.kinds[:, slot] == kind) & (layout.main[:, slot] == main)
                chosen = numpy.flatnonzero(chosen)
                if len(chosen):
                    canvases = (paint, shade, haze, masks)
                    tables.append(_objects(layout, chosen, slot, kind, canvases, start))
                    start += len(tables[-1])
    images = numpy.empty((count, height, width, 3), numpy.uint8)
    planes = numpy.ascontiguousarray(numpy.concatenate(tables).T)
    for block in blocks:
        canvases = (paint[block], shade[block], haze[block])
        _develop(scenes_layout.part(layout, block), planes, *canvases, images[block])
    return images, masks


def _blocks(count, pixels):
    """Slices of so few scenes that the canvases of each stay in the cache of the processor."""
    size = max(1, BLOCK_PIXELS // pixels)
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]


def _develop(layout, planes, paint, shade, haze, images):
    """Colors, haze and grain: writes uint8 images from the canvases."""
    height, width = paint.shape[1:]
    # Grain is the same in the three channels, so that it can be seen in the gray image.
    noise = grain(mix(layout.keys), height, width)
    noise *= numpy.float32(255 * scenes_layout.GRAIN)
    noise += numpy.float32(0.5)
    for channel in range(3):
        plane = planes[channel].take(paint, mode="clip")
        plane *= shade
        light = layout.sky[:, 2, channel][:, None, None]
        plane += haze * (light - plane)
        plane += noise
        numpy.clip(plane, 0, 255, out=plane)
        images[..., channel] = plane


def _background(layout, height, width):
    """Regions (n, height, width), shade, haze and the colors (n, 6, height, 3)."""
    count = len(layout.keys)
    unit = numpy.float32(min(height, width))
    y = ((numpy.arange(height, dtype=numpy.float32) + 0.5) / numpy.float32(height))[None, :, None]
    x = ((numpy.arange(width, dtype=numpy.float32) + 0.5) / numpy.float32(width))[None, None, :]
    rng = Rng(mix(layout.keys + numpy.uint64(7)))
    horizon = layout.horizon[:, None, None]
    shore = layout.shore[:, None, None]

    regions = numpy.zeros((count, height, width), numpy.uint8)
    sun = layout.sun[:, :, None, None]
    across = (x - sun[:, 0]) * (numpy.float32(width) / unit)
    down = (y - sun[:, 1]) * (numpy.float32(height) / unit)
    distance = across * across + down * down
    radius = sun[:, 2] * sun[:, 2]
    numpy.copyto(regions, numpy.uint8(IN_SUN), where=distance < radius)
    glow = numpy.float32(0.5) * radius / (distance + radius)
    crests = _crests(rng.keys, x[0, 0])[:, :, None]
    far, near = crests[:, 0] * 0.14 + 0.03, crests[:, 1] * 0.12 - 0.03
    numpy.copyto(regions, numpy.uint8(IN_FAR_HILLS), where=y > horizon - far)
    numpy.copyto(regions, numpy.uint8(IN_HILLS), where=y > horizon - near)
    ripple = crests[:, 2] * 0.024 - 0.012
    wet = (layout.shore > layout.horizon)[:, None, None]
    numpy.copyto(regions, numpy.uint8(IN_WATER), where=(y > horizon) & wet)
    numpy.copyto(regions, numpy.uint8(IN_GROUND), where=y > shore + numpy.where(wet, ripple, 0))

    offset = rng.uniform(0, 2048)[:, None, None], rng.uniform(0, 2048)[:, None, None]
    strength = numpy.float32(scenes_layout.TEXTURE)
    # Clouds are flat: twice as dense along the height, and more so towards the horizon.
    last = int(height * 0.66) + 1  # no horizon is lower than 0.64
    across = x * numpy.float32(TEXELS * width / height) + offset[0]
    along = y * (numpy.float32(0.8) + y) * numpy.float32(2 * TEXELS) + offset[1]
    haze = sample_texture("cloud", across, along[:, :last])
    haze -= layout.clouds[:, None, None]
    haze *= numpy.float32(1.1)
    numpy.clip(haze, 0, numpy.float32(0.85), out=haze)
    haze += glow[:, :last]
    haze *= regions[:, :last] <= IN_SUN
    haze += numpy.float32(0.25) * (regions[:, :last] == IN_FAR_HILLS)

    shade = numpy.ones((count, height, width), numpy.float32)
    first = int(height * 0.3)
    _ground_texture(layout, regions[:, first:], shade[:, first:], y[:, first:], x, offset, strength)
    haze = numpy.concatenate((haze, numpy.zeros_like(shade[:, last:])), axis=1)
    return regions, shade, haze, _region_colors(layout, y[0, :, 0])


def _crests(keys, x):
    """Three smooth random curves in [0, 1) over x: cubic steps between knots; (n, 3, width)."""
    numbers = numpy.arange(1, 3 * (KNOTS + 1) + 1, dtype=numpy.uint64)
    knots = Rng(mix(keys[:, None] + numbers)).uniform().reshape(-1, 3, KNOTS + 1)
    place = x * numpy.float32(KNOTS)
    number = place.astype(numpy.int64)
    step = place - number
    step = step * step * (3 - 2 * step)
    left, right = knots[:, :, number], knots[:, :, number + 1]
    return left + (right - left) * step


def _ground_texture(layout, regions, shade, y, x, offset, strength):
    """Multiplies the shade below the sky by grass, sand, snow or waves, seen in perspective."""
    count = len(layout.keys)
    horizon = layout.horizon[:, None, None]
    below = y - horizon
    near = 1 / (numpy.maximum(below, 0) + numpy.float32(0.36))
    across = (x - numpy.float32(0.5)) * near * numpy.float32(TEXELS * 0.62)
    # Level ground below the horizon, upright hills above it.
    along = numpy.minimum(below, 0) * numpy.float32(TEXELS * 2) - near * numpy.float32(TEXELS * 0.8)
    rough = numpy.zeros((count, REGIONS), numpy.float32)
    rough[:, IN_GROUND] = layout.roughness * strength
    rough[:, IN_HILLS] = numpy.float32(0.2) * strength
    rough[:, IN_FAR_HILLS] = numpy.float32(0.1) * strength
    scenes = numpy.arange(count, dtype=numpy.int32)[:, None, None]
    amount = rough.ravel()[scenes * REGIONS + regions]
    shade += amount * sample_texture("blades", across + offset[0], along + offset[1])
    wet = numpy.flatnonzero(layout.shore > layout.horizon)
    waves = sample_texture("waves", across[wet] + offset[0][wet], along[wet] * 2 + offset[1][wet])
    # The sun glitters on the water below it.
    beam = (x - layout.sun[wet, 0][:, None, None]) * numpy.float32(7)
    glitter = numpy.float32(0.35) / (1 + beam * beam)
    waves = (numpy.float32(0.16) + glitter) * waves * strength + glitter * numpy.float32(0.3)
    shade[wet] += waves * (regions[wet] == IN_WATER)


def _region_colors(layout, y):
    """Colors of each region at each height, float32 (n, 6, height, 3)."""
    y = y[None, :, None]
    horizon = layout.horizon[:, None, None]
    shore = layout.shore[:, None, None]

    def blend(first, second, amount):
        amount = numpy.clip(amount, 0, 1)
        return first[:, None] + (second - first)[:, None] * amount

    sky = blend(layout.sky[:, 0], layout.sky[:, 1], y / horizon)
    sun = blend(layout.sky[:, 2], layout.sky[:, 2], y)
    hills = (layout.ground[:, 0] + layout.ground[:, 2]) * numpy.float32(0.5)
    far = blend(layout.ground[:, 2], layout.ground[:, 2], y)
    near = blend(hills, hills, y)
    depth = numpy.maximum(shore - horizon, numpy.float32(0.2))
    water = blend(layout.water[:, 0], layout.water[:, 1], (y - horizon) / depth)
    ground = blend(layout.ground[:, 0], layout.ground[:, 1], (y - shore) / (1 - shore))
    return numpy.stack((sky, sun, far, near, water, ground), axis=1).astype(numpy.float32)


def _shadows(layout, height, width, regions, shade):
    """Darkens the ground and water beneath objects, on the side away from the light."""
    unit = numpy.float32(min(height, width))
    flying = (scenes_layout.BALLOON, scenes_layout.BUTTERFLY)
    for slot in range(layout.kinds.shape[1]):
        kinds = layout.kinds[:, slot]
        chosen = numpy.flatnonzero((kinds >= 0) & ~numpy.isin(kinds, flying))
        if not len(chosen):
            continue
        half = layout.half[chosen, slot] * unit
        reach = half * scenes_layout.HALF_WIDTH[kinds[chosen]] * numpy.float32(0.95)
        half = half * numpy.float32(0.2)
        center = layout.x[chosen, slot] * numpy.float32(width)
        center = center - layout.light[chosen] * reach * numpy.float32(0.4)
        base = layout.y[chosen, slot] * numpy.float32(height)
        x, a = _span(center, reach)
        y, b = _span(base, half)
        x, a, y, b = x[:, None, :], a[:, None, :], y[:, :, None], b[:, :, None]
        dark = numpy.clip(1 - (a * a + b * b), 0, numpy.float32(0.5)) * numpy.float32(0.9)
        dark *= (x >= 0) & (x < width)
        dark *= (y >= 0) & (y < height)
        where = numpy.flatnonzero(dark)
        flat = (chosen[:, None, None] * height + y) * width + x
        places = flat.ravel().take(where)
        ground = regions.ravel().take(places) >= IN_WATER
        shade.ravel()[places] *= 1 - dark.ravel().take(where) * ground


def _span(center, reach):
    """Pixels from center - reach to center + reach for each object, and their places in -1 ... 1.

    Rows are as long as the longest needs: int64 and float32, shape (m, pixels).
    """
    first = numpy.floor(center - reach).astype(numpy.int64)[:, None]
    pixels = first + numpy.arange(int(reach.max() * 2) + 2)
    return pixels, (pixels.astype(numpy.float32) + 0.5 - center[:, None]) / reach[:, None]


def _objects(layout, chosen, slot, kind, canvases, start):
    """Paints one class of objects onto the chosen scenes; returns the colors of their parts."""
    paint, shade, haze, masks = canvases
    height, width = paint.shape[1:]
    unit = numpy.float32(min(height, width))
    half = layout.half[chosen, slot] * unit
    center_x = layout.x[chosen, slot] * numpy.float32(width)
    center_y = layout.y[chosen, slot] * numpy.float32(height)
    flying = kind in (scenes_layout.BALLOON, scenes_layout.BUTTERFLY)
    if not flying:
        center_y = center_y - half
    tilted = scenes_layout.MOST_TILT[kind] > 0
    grow = numpy.float32(1.12 if tilted else 1.0)
    wide = scenes_layout.HALF_WIDTH[kind] * grow
    left = numpy.floor(center_x - half * wide).astype(numpy.int32)
    top = numpy.floor(center_y - half * grow).astype(numpy.int32)
    size_x = (half * (wide * 2)).astype(numpy.int32) + 2
    size_y = (half * (grow * 2)).astype(numpy.int32) + 2
    # One more than the largest: every object has an outside next to it for its outline.
    x = numpy.arange(size_x.max() + 1, dtype=numpy.int32)
    y = numpy.arange(size_y.max() + 1, dtype=numpy.int32)[:, None]
    # What an object shows must not depend on the size of the others in its group.
    framed = (x < size_x[:, None, None]) & (y < size_y[:, None, None])
    x, y = left[:, None, None] + x, top[:, None, None] + y

    pixel = (1 / half)[:, None, None]
    u = (x.astype(numpy.float32) + 0.5 - center_x[:, None, None]) * pixel
    v = (y.astype(numpy.float32) + 0.5 - center_y[:, None, None]) * pixel
    lit = u * layout.light[chosen][:, None, None]
    u = u * layout.flip[chosen, slot][:, None, None]
    if tilted:
        t = layout.tilt[chosen, slot][:, None, None]
        norm = 1 / (1 + t * t)
        cosine, sine = (1 - t * t) * norm, 2 * t * norm
        u, v = cosine * u + sine * v, cosine * v - sine * u
    features = numpy.ascontiguousarray(layout.features[chosen, slot].T)
    brush = Brush(u, v, features[:, :, None, None], pixel, scenes_layout.TEXTURE)
    shape, colors = DRAWINGS[scenes_layout.OBJECTS[kind]]
    shape(brush)
    brush.part *= framed
    brush.shade *= 1 + numpy.float32(0.14) * lit
    _outline(brush)

    inside = brush.part > 0
    inside &= (x >= 0) & (x < width)
    inside &= (y >= 0) & (y < height)
    # One flat index for all canvases, only where the object is.
    where = numpy.flatnonzero(inside)
    flat = (chosen[:, None, None].astype(numpy.int32) * height + y) * numpy.int32(width) + x
    places = flat.ravel().take(where)
    first = start + numpy.arange(len(chosen), dtype=numpy.int32)[:, None, None] * PARTS - 1
    paint.ravel()[places] = (first + brush.part).ravel().take(where)
    shade.ravel()[places] = brush.shade.ravel().take(where)
    haze.ravel()[places] = 0
    masks.ravel()[places] = len(STUFF) + kind
    table = numpy.zeros((len(chosen), PARTS, 3), numpy.float32)
    for number, color in enumerate(colors(features)):
        table[:, number] = color
    return table.reshape(-1, 3)


def _outline(brush):
    """Darkens the outermost pixels of an object, so that it stands out from its surroundings."""
    outside = brush.part == 0
    edge = numpy.zeros_like(outside)
    edge[:, 1:] |= outside[:, :-1]
    edge[:, :-1] |= outside[:, 1:]
    edge[:, :, 1:] |= outside[:, :, :-1]
    edge[:, :, :-1] |= outside[:, :, 1:]
    brush.darken(edge, scenes_layout.OUTLINE)
