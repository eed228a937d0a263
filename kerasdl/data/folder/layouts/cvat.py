"""CVAT for images 1.1: `annotations.xml` and `images/`.

Polygons, ellipses and masks become the mask of the image, by their z-order, later ones over earlier
ones; boxes, lines and points are left out. The classes are the labels of the task in their order.
A file with a document type definition is refused: nothing in it is expanded.
"""

import math
import xml.parsers.expat
from xml.etree import ElementTree

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, annotated, common, shapes
from kerasdl.data.folder.layouts.splits import SPLIT_NAMES

TITLE = "CVAT for images"
FILE = "annotations.xml"
OUTLINES = ("box", "polyline", "points", "cuboid", "skeleton")


def matches(location):
    """Whether there is an `annotations.xml` that starts as CVAT's does."""
    if not common.has(location.tree.documents, FILE):
        return False
    start = common.head(location.tree, FILE)
    return "<annotations" in start and ("<meta" in start or "<image " in start)


def read(location, annotation):
    """Semantic masks of the shapes, and the annotated images for colorization."""
    reading = Reading(location.tree)
    reading.summary = TITLE
    try:
        document = parse((location.tree.root / FILE).read_bytes())
    except (DataError, OSError) as error:
        reading.error(str(error), FILE, "export the task as 'CVAT for images 1.1'")
        return reading
    collection, missing = annotated.Collection(TITLE, FILE), []
    images = list(document.iter("image"))
    wanted = [
        (common.join(image.get("subset") or "", image.get("name", "")), image.get("name", ""))
        for image in images
    ]
    files = annotated.find_files(reading, ["images", ""], wanted)
    names = [label.findtext("name", "") for label in document.iter("label") if len(label)]
    for image, file in zip(images, files, strict=True):
        name, subset = image.get("name", ""), image.get("subset") or ""
        if file is None:
            missing.append(name)
            continue
        try:
            size = int(image.get("height", "")), int(image.get("width", ""))
            regions = _regions(image, size, names)
        except (DataError, ValueError) as error:
            what = f"image '{name}': {getattr(error, 'what', error)}"
            reading.error(what, FILE, "correct it in CVAT and export again", skippable=True)
            continue
        collection.add(
            SPLIT_NAMES.get(subset.lower(), UNDIVIDED),
            annotated.Drawn(file, size, regions, FILE, f"image '{name}'"),
            sum(len(image.findall(kind)) for kind in OUTLINES),
        )
    annotated.report_missing(reading, FILE, missing)
    collection.fill(reading, location.file, annotation, names)
    return reading


def parse(content: bytes) -> ElementTree.Element:
    """Root of an XML document without document type definition.

    Raises:
        DataError: It has one, is no XML, or is a file of CVAT for video.
    """

    def refuse(*_):
        raise DataError("XML with a document type definition is refused")

    checker = xml.parsers.expat.ParserCreate()
    checker.StartDoctypeDeclHandler = refuse
    try:
        checker.Parse(content, True)
    except (xml.parsers.expat.ExpatError, LookupError, ValueError) as error:
        raise DataError(f"not a valid XML file: {error}") from error
    document = ElementTree.fromstring(content)
    if document.find("track") is not None:
        raise DataError("a file of CVAT for video, whose tracks are not read")
    return document


def _regions(image, size, names):
    """(label, shape) of an image's shapes by their z-order; adds labels that the head lacks."""
    found = []
    for item in image:
        shape = _shape(item, size)
        if shape is not None:
            label = item.get("label", "")
            if label not in names:
                names.append(label)
            found.append((int(item.get("z_order") or 0), label, shape))
    return [(label, shape) for _, label, shape in sorted(found, key=lambda member: member[0])]


def _shape(item, size):
    """Shape of an element; None if it is no region."""
    if item.tag == "polygon":
        pairs = [pair.split(",") for pair in item.get("points", "").split(";") if pair]
        return shapes.Polygons((shapes.polygon(pairs),))
    if item.tag == "ellipse":
        x, y, radius_x, radius_y = (_number(item, key) for key in ("cx", "cy", "rx", "ry"))
        turn = float(item.get("rotation") or 0)
        return shapes.Polygons((shapes.ellipse(x, y, radius_x, radius_y, turn),))
    if item.tag == "mask":
        window = tuple(int(_number(item, key)) for key in ("left", "top", "width", "height"))
        if min(window[2:]) < 1 or window[2] * window[3] > math.prod(size):
            raise DataError("mask that is larger than its image")
        counts = [int(part) for part in item.get("rle", "").split(",") if part.strip()]
        return shapes.Runs(numpy.array(counts, "int32"), "C", window)
    return None


def _number(item, key):
    value = item.get(key)
    if value is None:
        raise DataError(f"{item.tag} without '{key}'")
    return float(value)
