"""COCO: a JSON file of polygons and run lengths, and its images.

    annotations/instances_train2017.json + train2017/ (or images/train2017/)
    train/_annotations.coco.json beside the images of the split (Roboflow)
    annotations/instances_default.json + images/ (CVAT, Datumaro)
    result.json + images/ (Label Studio)
    annotations/lvis_v1_train.json + train2017/ (LVIS: the names of the files are in `coco_url`)

The instances become one semantic mask: smaller regions are drawn over larger ones, by their area;
crowds (`iscrowd`) are ignored; what no region covers is the class 0, background. The classes are
the categories in the order of their ids.
"""

import array
import collections
import contextlib
import re

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, annotated, common, shapes
from kerasdl.data.folder.layouts.splits import SPLIT_NAMES

TITLE = "COCO"
INSIDE = "_annotations.coco.json"
FOREIGN = re.compile(r"(lvis_v[\d.]+_)?(panoptic|captions|person_keypoints|image_info|stuff)")
WORDS = re.compile(r"[a-z]+")
KEYS = ("images", "annotations", "categories")
MOST_DOCUMENTS = 12  # a folder of more JSON files is none of COCO's


def matches(location):
    """Whether there are JSON files of the form, by their names and first kilobytes."""
    return bool(_documents(location))


def read(location, annotation):
    """Semantic masks of the instances, and the images for colorization."""
    reading = Reading(location.tree)
    collection, names = annotated.Collection(TITLE), {}
    for name in _documents(location):
        content = common.read_json(reading, name, _compact)
        if content is None:
            continue
        document = _Document(reading, name, content)
        if not document.sound:
            continue
        _add_names(reading, name, names, document.categories)
        regions, broken = document.collect() if annotation == "mask" else ({}, set())
        collection.document = name
        collection.outlines += document.outlines
        for drawn in document.drawn(regions, broken):
            collection.add(_split_of(name), drawn)
    labels = [*names, *collection.labels() - names.keys()]  # the latter are crowds
    how = "crowds ignored, smaller regions over larger ones"
    collection.fill(reading, location.file, annotation, labels, how)
    return reading


def _documents(location):
    """Names of the JSON files with instances, sorted."""
    tree = location.tree
    inside = [name for name in tree.documents if name.rsplit("/", 1)[-1] == INSIDE]
    if inside:
        return inside
    places = ("annotations", "")
    found = [name for place in places for name in common.documents(tree, place, ".json")]
    instances = [name for name in found if name.rsplit("/", 1)[-1].startswith("instances_")]
    if instances:
        return instances
    found = [name for name in found if not FOREIGN.match(name.rsplit("/", 1)[-1])]
    if len(found) > MOST_DOCUMENTS:
        return []
    return [name for name in found if _is_coco(common.head(location.tree, name))]


def _is_coco(text):
    """Whether a document starts as a COCO file does: an object with one of its lists."""
    opening = text.lstrip(" \t\r\n")
    start = re.match(r'\{\s*"(info|images|licenses|categories|annotations|type)"\s*:', opening)
    # LVIS starts with its annotations.
    return bool(start) and bool(
        re.search(r'"(file_name|coco_url|supercategory|category_id)"', opening)
    )


def _split_of(name):
    """Split that a file's folder or name tells: instances_val2017.json, valid/_annotations..."""
    folder, _, file = name.rpartition("/")
    words = WORDS.findall(file.lower().removesuffix(".json"))
    if file == INSIDE:
        words = [folder.rsplit("/", 1)[-1].lower()]
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), UNDIVIDED)


def _compact(item):
    """Numbers as arrays while they are parsed: a tenth of the memory."""
    with contextlib.suppress(TypeError, OverflowError):  # reported with its annotation
        if isinstance(item.get("segmentation"), list):
            item["segmentation"] = [array.array("f", part) for part in item["segmentation"]]
        if isinstance(item.get("counts"), list):
            item["counts"] = array.array("i", item["counts"])
    return item


def _add_names(reading, document, names, categories):
    """Adds the categories of a further file; the classes are known by their names."""
    if not names:
        names.update(dict.fromkeys(categories.values()))
        return
    for name in categories.values():
        if name not in names:
            reading.error(
                f"category '{name}' is in this file only", document, "list the same categories"
            )


class _Document:
    """One JSON file: its categories by id, and what is drawn in each of its images."""

    def __init__(self, reading, name, content):
        self.reading, self.name, self.content = reading, name, content
        self.outlines = 0
        missing = [key for key in KEYS if not isinstance(self._list(key), list)]
        self.sound = not missing
        if missing:
            reading.error(f"no list '{missing[0]}'", name, "export the annotations as COCO")
            return
        try:
            self.categories = self._categories()
            self.images = {image["id"]: image for image in content["images"]}
            self.sizes = {
                key: (int(image["height"]), int(image["width"]))
                for key, image in self.images.items()
            }
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            self.sound = False
            what = f"image or category that cannot be read ({type(error).__name__}: {error})"
            reading.error(what, name, "export the annotations again")

    def drawn(self, regions, broken):
        """`annotated.Drawn` of every image whose file is there and whose annotations are sound."""
        names = [_file_names(key, image) for key, image in self.images.items()]
        files = annotated.find_files(self.reading, _image_folders(self.name), names)
        missing, found = [], []
        for key, tried, file in zip(self.images, names, files, strict=True):
            if file is None:
                missing.append(tried[0])
            elif key not in broken:
                # A stable sort: of equal areas the later annotation lies on top.
                members = sorted(regions.get(key, ()), key=lambda member: -member[0])
                drawn = [(label, shape) for _, label, shape in members]
                found.append(
                    annotated.Drawn(file, self.sizes[key], drawn, self.name, f"image {key}")
                )
        annotated.report_missing(self.reading, self.name, missing)
        return found

    def _list(self, key):
        return self.content.get(key) if isinstance(self.content, dict) else None

    def _categories(self):
        """Name per id, in the order of the ids; without the unused root that Roboflow adds."""
        listed = sorted(self.content["categories"], key=lambda category: category["id"])
        found = (item for item in self.content["annotations"] if isinstance(item, dict))
        used = {str(item.get("category_id")) for item in found}
        parents = {category.get("supercategory") for category in listed}
        return {
            category["id"]: str(category["name"])
            for category in listed
            if str(category["id"]) in used
            or category["name"] not in parents
            or category.get("supercategory") == category["name"]
        }

    def collect(self):
        """(area, label, shape) per image id, and the ids of images with a broken annotation."""
        regions, broken = collections.defaultdict(list), set()
        for place, item in enumerate(self.content["annotations"]):
            try:
                self._add_region(item, regions)
                continue
            except DataError as error:
                problem = error
            except (AttributeError, TypeError, ValueError, OverflowError) as error:
                problem = DataError(f"cannot be read ({type(error).__name__})")
            item = item if isinstance(item, dict) else {}
            with contextlib.suppress(TypeError):  # an id that is a list
                broken.add(item.get("image_id"))
            what = f"annotation {item.get('id', f'at place {place}')}: {problem.what}"
            fix = problem.fix or "correct or remove the annotation"
            self.reading.error(what, self.name, fix, skippable=True)
        return regions, broken

    def _add_region(self, item, regions):
        image, category = item.get("image_id"), item.get("category_id")
        if image not in self.images:
            raise DataError(f"image {image} is not in the list of images")
        if category not in self.categories:
            raise DataError(f"category {category} is not in the list of categories")
        parts = item.get("segmentation")
        if not parts:
            self.outlines += 1
            return
        shape = _shape(parts, self.sizes[image])
        label = annotated.LEFT_OUT if item.get("iscrowd") else self.categories[category]
        area = item.get("area") or shape.area()
        if not isinstance(area, int | float):
            raise DataError(f"area is {area!r}, no number")
        regions[image].append((area, label, shape))


def _file_names(key, image):
    """The names that the file of an image may have, the likeliest first."""
    if "file_name" in image:
        return (str(image["file_name"]),)
    # LVIS: http://images.cocodataset.org/val2017/000000397133.jpg
    parts = str(image.get("coco_url", key)).split("/")
    return ("/".join(parts[-2:]), parts[-1])


def _shape(parts, size):
    """Shape of a segmentation: polygons, or run lengths plain or compressed."""
    if isinstance(parts, list):
        return shapes.Polygons(tuple(shapes.polygon(part) for part in parts))
    counts = parts.get("counts") if isinstance(parts, dict) else None
    if counts is None or tuple(parts.get("size", ())) != size:
        raise DataError("run lengths without counts, or of another size than the image")
    if isinstance(counts, str):
        return shapes.CompressedRuns(counts.encode("ascii", "replace"), size)
    if not isinstance(counts, array.array):
        raise DataError("run lengths that are no numbers")
    height, width = size
    return shapes.Runs(numpy.array(counts, "int32"), "F", (0, 0, width, height))


def _image_folders(document):
    """Folders that the file names of a document may be relative to, the likeliest first."""
    folder, _, file = document.rpartition("/")
    above = folder.rpartition("/")[0]
    name = file.removesuffix(".json").removeprefix("instances_")
    if file == INSIDE:
        return [folder]
    return [
        common.join(above, name),
        common.join(above, "images", name),
        common.join(above, "images"),
        common.join(folder, "images"),
        common.join(folder, name),
        folder,
        above,
    ]
