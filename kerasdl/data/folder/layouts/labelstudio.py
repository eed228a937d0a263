"""Label Studio: its JSON export (full or JSON-MIN) and the images beside it.

Polygons, ellipses and brush strokes become the mask, later ones over earlier ones; rectangles and
key points are left out. Labels in the order of the alphabet are the classes 1, 2, .... An image is
found by the name that its task gives, with or without the eight digits that uploading adds.
"""

import re
import urllib.parse

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, annotated, common, shapes
from kerasdl.data.inspect.findings import counted

TITLE = "Label Studio"
UPLOADED = re.compile(r"^[0-9a-f]{8}-")
OUTLINES = ("rectanglelabels", "keypointlabels")
SIGNS = ('"annotations"', '"original_width"', '"annotator"', '"annotation_id"', '"completions"')
MOST_DOCUMENTS = 12


def matches(location):
    """Whether a JSON file at the top is a list of tasks of Label Studio."""
    return bool(_documents(location))


def read(location, annotation):
    """Semantic masks of the regions, and the annotated images for colorization."""
    reading = Reading(location.tree)
    found = _documents(location)
    if len(found) != 1:
        reading.error(
            f"{len(found)} exports of Label Studio", found[0] if found else "", "keep one of them"
        )
        return reading
    document = found[0]
    tasks = common.read_json(reading, document)
    if tasks is None:
        return reading
    collection = annotated.Collection(TITLE, document)
    named, missing, bare = [], [], 0
    for task in tasks:
        try:
            named.append((task, *_task(task)))
        except DataError as error:
            _report(reading, document, task, error)
    wanted = [(name, UPLOADED.sub("", name)) for _, name, _ in named]
    files = annotated.find_files(reading, ["images", ""], wanted)
    for (task, name, results), file in zip(named, files, strict=True):
        if results is None:
            bare += 1
            continue
        try:
            size, regions, left_out = _regions(results)
        except DataError as error:
            _report(reading, document, task, error)
            continue
        if file is None:
            missing.append(name)
            continue
        one = annotated.Drawn(file, size, regions, document, f"task {task.get('id')}")
        collection.add(UNDIVIDED, one, left_out)
    if bare:
        common.note(reading, f"{counted(bare, 'task')} without annotation left out", document)
    annotated.report_missing(reading, document, missing)
    collection.fill(reading, location.file, annotation, sorted(collection.labels()))
    return reading


def _report(reading, document, task, error):
    number = task.get("id") if isinstance(task, dict) else "?"
    fix = error.fix or "correct it in Label Studio and export again"
    reading.error(f"task {number}: {error.what}", document, fix, skippable=True)


def _documents(location):
    found = common.documents(location.tree, "", ".json")[:MOST_DOCUMENTS]
    starts = ((name, common.head(location.tree, name).lstrip(" \r\n")) for name in found)
    return [
        name
        for name, start in starts
        if start.startswith("[") and any(sign in start for sign in SIGNS)
    ]


def _task(task):
    """Name of a task's image, and its results."""
    if not isinstance(task, dict):
        raise DataError("no object")
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    if "annotations" in task or "completions" in task:
        results = _chosen(task.get("annotations") or task.get("completions") or [])
    else:  # JSON-MIN: lists of values beside the name of the image
        lists = [value for value in task.values() if isinstance(value, list)]
        results = [
            {**value, "value": value}
            for values in lists
            for value in values
            if isinstance(value, dict) and "original_width" in value
        ]
    names = [
        value for key, value in data.items() if isinstance(value, str) and _is_image(key, value)
    ]
    if len(names) != 1:
        raise DataError(f"{len(names)} images named, 1 expected")
    return _file_name(names[0]), results


def _chosen(annotations):
    """Results of the annotation that counts: the ground truth, or the only one not canceled.

    None where there is none.
    """
    if not isinstance(annotations, list):
        raise DataError("annotations that are no list")
    kept = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
    chosen = [one for one in kept if one.get("ground_truth")] or kept
    if not chosen:
        return None
    if len(chosen) != 1:
        raise DataError(
            f"{len(chosen)} annotations, 1 expected",
            fix="mark one as ground truth in Label Studio, or remove the task",
        )
    return chosen[0].get("result") or []


def _is_image(key, value):
    place = urllib.parse.urlsplit(value)
    return bool(re.search(r"\.(jpe?g|png|bmp|webp|gif|tiff?)$", place.path + place.query, re.I))


def _file_name(value):
    """File name of /data/upload/1/ab-x.jpg, /data/local-files/?d=a/x.jpg or s3://bucket/x.jpg."""
    place = urllib.parse.urlsplit(value)
    name = urllib.parse.parse_qs(place.query).get("d", [urllib.parse.unquote(place.path)])[0]
    return name.rsplit("/", 1)[-1]


def _regions(results):
    """Size of the image, (label, shape) of its regions, and the number of boxes and points."""
    regions, left_out, size = [], 0, None
    if not isinstance(results, list):
        raise DataError("results that are no list")
    for number, result in enumerate(results):
        try:
            value = result["value"]
            kind = next((key for key in value if key.endswith("labels")), None)
            if kind is None or not value[kind]:
                continue
            if kind in OUTLINES:
                left_out += 1
                continue
            if result.get("image_rotation"):
                raise DataError("image turned in Label Studio", fix="annotate it as it is")
            size = int(result["original_height"]), int(result["original_width"])
            regions.append((str(value[kind][0]), _shape(kind, value, size)))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"result {number} cannot be read ({type(error).__name__})") from error
    return size, regions, left_out


def _shape(kind, value, size):
    """Shape of a value in percent of the image's size."""
    height, width = size
    if kind == "polygonlabels":
        corners = shapes.polygon(value["points"])
        return shapes.Polygons((corners / 100,), relative=True)
    if kind == "ellipselabels":
        numbers = (float(value[key]) for key in ("x", "y", "radiusX", "radiusY"))
        x, y, across, down = numbers
        x, across, y, down = (
            x * width / 100,
            across * width / 100,
            y * height / 100,
            down * height / 100,
        )
        turn = float(value.get("rotation") or 0)
        return shapes.Polygons((shapes.ellipse(x, y, across, down, turn),))
    if kind == "brushlabels":
        if value.get("format") != "rle":
            raise DataError(f"brush in the unknown format '{value.get('format')}'")
        return shapes.Brush(bytes(value["rle"]), size)
    raise DataError(f"region of the unknown kind '{kind}'")
