"""ADE20K (scene parsing, ADEChallengeData2016): `images/` and `annotations/` with `training/`, ...

Masks hold 0 for what is none of the 150 classes (ignored) and 1 to 150 for the classes, which
become 0 to 149. The names are those of objectInfo150.txt, the first synonym of each.
"""

import re

from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.folder.layouts import Reading, common, pairing

TITLE = "ADE20K"
NAMES = tuple(
    (
        "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, "
        "sidewalk, person, earth, door, table, mountain, plant, curtain, chair, car, water, "
        "painting, sofa, shelf, house, sea, mirror, rug, field, armchair, seat, fence, desk, "
        "rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest of "
        "drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, "
        "stairs, runway, case, pool table, pillow, screen door, stairway, river, bridge, "
        "bookcase, blind, coffee table, toilet, flower, book, hill, bench, countertop, stove, "
        "palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel, bus, "
        "towel, light, truck, tower, chandelier, awning, streetlight, booth, television receiver, "
        "airplane, dirt track, apparel, pole, land, bannister, escalator, ottoman, bottle, "
        "buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything, "
        "swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, "
        "ball, food, step, tank, trade name, microwave, pot, animal, bicycle, lake, dishwasher, "
        "screen, blanket, sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, pier, "
        "crt screen, plate, monitor, bulletin board, shower, radiator, glass, clock, flag"
    ).split(", ")
)
SPLITS = {"training": "train", "validation": "validation"}
FRAME = re.compile(r"ADE_(train|val)_\d{8}\.")
DOCUMENTS = ("objectInfo150.txt", "sceneCategories.txt")


def matches(location):
    """Whether there are `images/training/`, `annotations/training/` and a sign of ADE20K."""
    return bool(_bases(location.tree))


def read(location, annotation):
    """The 150 classes for segmentation, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    base = common.one_base(reading, _bases(tree), TITLE)
    if base is None:
        return reading
    for folder, split in SPLITS.items():
        images = common.join(base, "images", folder)
        if annotation == "none":
            common.images_only(reading, {split: images})
        elif tree.count(images):
            masks = common.join(base, "annotations", folder)
            reading.splits[split] = pairing.pairs(reading, images, masks)
    reading.class_names = NAMES
    reading.values = {0: IGNORE, **{index + 1: index for index in range(len(NAMES))}}
    folders = ", ".join(folder for folder, split in SPLITS.items() if split in reading.splits)
    reading.summary = f"{TITLE}: 150 classes, 0 ignored, splits from {folders}"
    return reading


def _bases(tree):
    found = common.bases(tree, "images/training", "annotations/training")
    return [base for base in found if _is_ade(tree, base)]


def _is_ade(tree, base):
    if any(common.has(tree.documents, common.join(base, name)) for name in DOCUMENTS):
        return True
    return all(FRAME.match(name) for name in tree.below(common.join(base, "images/training")))
