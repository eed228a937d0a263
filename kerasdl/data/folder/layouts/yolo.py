"""YOLO segmentation (Ultralytics, Roboflow): `data.yaml`, images and one text file per image.

    train/images/x.jpg + train/labels/x.txt (Roboflow), images/train/x.jpg + labels/train/x.txt

A line is "class x y x y ...", x and y as fractions of the image's size. Smaller regions are drawn
over larger ones; an image without a text file holds background only. The classes are the names of
data.yaml after the background. Lines of four numbers are boxes, which are no masks.
"""

import os
import re

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, annotated, common, shapes
from kerasdl.data.folder.layouts.splits import SPLIT_NAMES

TITLE = "YOLO segmentation"
FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def matches(location):
    """Whether there are a data.yaml and folders `images/` and `labels/` of text files."""
    tree = location.tree
    return _yaml(tree) is not None and bool(_folders(tree))


def read(location, annotation):
    """Semantic masks of the polygons, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    names = _names(reading, _yaml(tree))
    if not names:
        return reading
    texts = set(tree.documents)
    collection = annotated.Collection(TITLE)
    for split, images, labels in _folders(tree):
        for name in tree.below(images):
            document = f"{labels}/{os.path.splitext(name)[0]}.txt"
            try:
                rows = common.read_rows(reading, document) if document in texts else []
                regions, boxes = _regions(rows, names)
            except DataError as error:
                reading.error(error.what, document, "export it again", skippable=True)
                continue
            one = annotated.Drawn(f"{images}/{name}", None, regions, document, "polygons")
            collection.add(split, one, boxes)
    how = "smaller regions over larger ones"
    collection.fill(reading, location.file, annotation, names, how)
    return reading


def _yaml(tree):
    return next((name for name in FILES if common.has(tree.documents, name)), None)


def _folders(tree):
    """(split, folder of images, folder of text files) where both are there."""
    found = []
    for name in ("", *tree.children("")):
        split = SPLIT_NAMES.get(name.lower())
        if not name or split:
            found.append((split or UNDIVIDED, common.join(name, "images")))
    for name in tree.children("images"):
        if name.lower() in SPLIT_NAMES:
            found.insert(0, (SPLIT_NAMES[name.lower()], f"images/{name}"))
    pairs = []
    for split, images in found:
        labels = re.sub(r"(^|/)images(/|$)", r"\1labels\2", images)
        if tree.count(images) and common.has(tree.folders, labels) and not tree.count(labels):
            pairs.append((split, images, labels))
    divided = [pair for pair in pairs if pair[0] != UNDIVIDED]
    return divided or pairs


def _names(reading, name):
    """Class names of data.yaml, a list or a table by index; empty, with an error, without."""
    try:
        import yaml
    except ImportError:
        reading.error("data.yaml needs PyYAML", name, "pip install kerasdl[yolo]")
        return []
    try:
        content = yaml.safe_load((reading.tree.root / name).read_text(encoding="utf-8-sig"))
        names = content["names"]
        if isinstance(names, dict):
            names = [names[index] for index in range(len(names))]
        return [str(one) for one in names]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        reading.error(
            f"no class names: {str(error).splitlines()[0]}", name, "names: [first, second, ...]"
        )
        return []


def _regions(rows, names):
    """(label, shape) of the lines of a text file, the largest first, and the number of boxes."""
    found, boxes = [], 0
    for row in rows:
        try:
            label, numbers = int(row[0]), [float(number) for number in row[1:]]
        except ValueError:
            raise DataError(f"line '{' '.join(row)[:40]}' holds no numbers") from None
        if not 0 <= label < len(names):
            raise DataError(f"class {label}, but data.yaml names {len(names)}")
        if len(numbers) == 4:
            boxes += 1
            continue
        corners = shapes.polygon(numbers)
        if corners.min() < -0.5 or corners.max() > 1.5:
            raise DataError("coordinates outside 0 to 1: pixels instead of fractions?")
        found.append((shapes.area(corners), names[label], corners))
    found.sort(key=lambda member: -member[0])
    return [(name, shapes.Polygons((corners,), relative=True)) for _, name, corners in found], boxes
