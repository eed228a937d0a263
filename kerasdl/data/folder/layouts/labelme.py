"""LabelMe: one JSON file per image, `x.json` beside `x.jpg` or in a folder of JSON files.

Polygons, rectangles, circles, rotated rectangles and bitmaps become the mask, later ones over
earlier ones; lines and points are left out. Labels in the order of the alphabet are the classes 1,
2, ..., `_background_` is 0 and `__ignore__` is ignored, as in LabelMe's own converter.
"""

import collections
import math
import os

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, annotated, common, shapes
from kerasdl.data.folder.layouts.splits import SPLIT_NAMES
from kerasdl.data.inspect.findings import counted

TITLE = "LabelMe"
LINES = ("line", "linestrip", "point", "points")


def matches(location):
    """Whether a JSON file lies beside an image of its name, and starts as LabelMe's do."""
    documents = _documents(location.tree)
    if not documents:
        return False
    start = common.head(location.tree, next(iter(documents)))
    return start.lstrip(" \r\n").startswith("{") and '"shapes"' in start


def read(location, annotation):
    """Semantic masks of the shapes, and the annotated images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    collection = annotated.Collection(TITLE)
    documents = _documents(tree)
    for document, image in documents.items():
        content = common.read_json(reading, document)
        if content is None:
            continue
        try:
            one, left_out = _drawn(content, document, image)
        except DataError as error:
            fix = error.fix or "correct it in LabelMe, or remove the file"
            reading.error(error.what, document, fix, skippable=True)
            continue
        collection.add(_split_of(document), one, left_out)
    bare = tree.count("") - len(documents)
    if bare:
        common.note(reading, f"{counted(bare, 'image')} without a JSON file left out")
    labels = sorted(collection.labels())
    collection.fill(reading, location.file, annotation, labels)
    return reading


def _documents(tree):
    """JSON file -> image of the same name, beside it or, where none lies so, anywhere else."""
    found = (os.path.splitext(name) for name in tree.documents)
    wanted = {stem: stem + suffix for stem, suffix in found if suffix.lower() == ".json"}
    if not wanted:
        return {}
    images = {os.path.splitext(name)[0]: name for name in tree.images}
    beside = {name: images[stem] for stem, name in wanted.items() if stem in images}
    if beside or len(tree.children("")) < 2:
        return beside
    by_name = collections.defaultdict(list)
    for stem, name in images.items():
        by_name[stem.rsplit("/", 1)[-1]].append(name)
    files = {name: by_name.get(stem.rsplit("/", 1)[-1], ()) for stem, name in wanted.items()}
    return {name: same[0] for name, same in files.items() if len(same) == 1}


def _split_of(document):
    parts = document.lower().split("/")[:-1]
    return next((SPLIT_NAMES[part] for part in parts if part in SPLIT_NAMES), UNDIVIDED)


def _drawn(content, document, image):
    """What one file draws, and the number of its lines and points."""
    listed = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise DataError("no list 'shapes'")
    size = content.get("imageHeight"), content.get("imageWidth")
    regions, lines = [], 0
    for number, item in enumerate(listed):
        try:
            kind = item.get("shape_type") or "polygon"
            if kind in LINES:
                lines += 1
            else:
                regions.append((str(item["label"]), _shape(kind, item)))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"shape {number} cannot be read ({type(error).__name__})") from error
        except DataError as error:
            raise DataError(f"shape {number}: {error.what}", fix=error.fix) from error
    known = all(type(length) is int and length > 0 for length in size)
    return annotated.Drawn(image, size if known else None, regions, document, "shapes"), lines


def _shape(kind, item):
    points = item["points"]
    if kind in ("polygon", "oriented_rectangle", "rotation"):
        return shapes.Polygons((shapes.polygon(points),))
    if kind == "rectangle" and len(points) == 4:
        return shapes.Polygons((shapes.polygon(points),))
    (x, y), (other_x, other_y) = points
    if kind == "rectangle":
        left, right = sorted((x, other_x))
        top, bottom = sorted((y, other_y))
        return shapes.Polygons((shapes.rectangle(left, top, right, bottom),))
    if kind == "circle":
        radius = math.hypot(other_x - x, other_y - y)
        return shapes.Polygons((shapes.ellipse(x, y, radius, radius),))
    if kind == "mask":
        return shapes.Bitmap(item["mask"], (round(x), round(y)))
    raise DataError(f"shape of the unknown kind '{kind}'", fix="draw it as a polygon")
