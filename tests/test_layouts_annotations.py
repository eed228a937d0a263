"""Annotation formats: every mask against one made by hand, and files with faults."""

import base64
import io

import layout_sets
import numpy
import PIL.Image
import pytest
from layout_fixtures import (
    block,
    errors_of,
    files_of,
    layout_of,
    masks_of,
    notes_of,
    only_error,
    photo,
    read,
    settings,
    write,
)


def _coco(root, annotations, count=1):
    """A folder whose first image has some annotations."""
    names = [f"{index}.jpg" for index in range(count)]
    for index, name in enumerate(names):
        photo(root / "images" / name, index)
    document = layout_sets.coco_document(names, annotations)
    write(root / "annotations/instances_default.json", document)
    return root


def _annotation(segmentation, category=18, **more):
    return {"id": 7, "image_id": 100, "category_id": category, "segmentation": segmentation} | more


def _mask(root):
    """The only mask of a folder."""
    reading = read(root)
    assert not errors_of(reading)
    (members,) = masks_of(reading).values()
    (mask,) = members.values()
    return mask


def test_coco_categories_are_classes_in_the_order_of_their_ids(tmp_path):
    reading = read(layout_sets.coco(tmp_path))
    assert not errors_of(reading) and layout_of(tmp_path) == "coco"
    assert reading.class_names == ("background", "person", "dog")
    found = masks_of(reading)
    assert found["train"]["train2017/000000000002.jpg"] == block(2).tolist()
    assert {split: len(part) for split, part in found.items()} == {"train": 4, "validation": 2}


def test_coco_images_may_lie_below_images(tmp_path):
    layout_sets.coco(tmp_path)
    (tmp_path / "images").mkdir()
    for split in ("train2017", "val2017"):
        (tmp_path / split).rename(tmp_path / "images" / split)
    assert files_of(read(tmp_path))["validation"][0] == "images/val2017/000000000000.jpg"


def lvis(root, folder="annotations", categories=2):
    """LVIS: no file names, images of train2017 in the validation file too, annotations first."""
    listed = {"train": ["train2017/1.jpg", "train2017/2.jpg"], "val": ["val2017/1.jpg"]}
    listed["val"].append("train2017/3.jpg")
    for split, names in listed.items():
        document = layout_sets.coco_document(names)
        for item, name in zip(document["images"], names, strict=True):
            photo(root / name, len(name))
            del item["file_name"]
            item["coco_url"] = f"http://images.cocodataset.org/{name}"
        document["categories"] = [
            {"id": number, "name": f"thing_{number}", "synset": "x.n.01", "frequency": "r"}
            for number in range(17, 17 + categories)
        ]
        keys = ("info", "annotations", "images", "licenses", "categories")
        ordered = {key: document.get(key, []) for key in keys}
        write(root / folder / f"lvis_v1_{split}.json", ordered)
        info = {"images": document["images"], "categories": document["categories"]}
        write(root / folder / f"lvis_v1_image_info_test_{split}.json", info)
    return root


@pytest.mark.parametrize("folder", ["annotations", ""])
def test_lvis_names_its_images_by_address(tmp_path, folder):
    lvis(tmp_path, folder)
    reading = read(tmp_path)
    assert not errors_of(reading) and layout_of(tmp_path) == "coco"
    assert reading.class_names == ("background", "thing_17", "thing_18")
    mask = block(2).tolist()
    assert masks_of(reading) == {
        "train": {"train2017/1.jpg": mask, "train2017/2.jpg": mask},
        "validation": {"val2017/1.jpg": mask, "train2017/3.jpg": mask},
    }


def test_lvis_with_too_many_categories_is_refused_but_its_images_serve(tmp_path):
    lvis(tmp_path, categories=1203)
    assert "1204 classes, at most 255 are possible" in errors_of(read(tmp_path))[0]
    assert len(files_of(read(tmp_path, "none"))["train"]) == 2


def test_coco_smaller_regions_lie_over_larger_ones(tmp_path):
    small = _annotation([[5, 4, 7, 4, 7, 6, 5, 6]], 1, id=1, area=4)
    large = _annotation([layout_sets.RECTANGLE], 18, id=2, area=48)
    expected = block(2)
    expected[4:6, 5:7] = 1
    for place, order in enumerate(([small, large], [large, small])):
        assert _mask(_coco(tmp_path / str(place), order)) == expected.tolist()


def test_coco_area_is_computed_where_it_is_missing(tmp_path):
    small = _annotation([[5, 4, 7, 4, 7, 6, 5, 6]], 1)
    large = _annotation([layout_sets.RECTANGLE], 18)
    expected = block(2)
    expected[4:6, 5:7] = 1
    assert _mask(_coco(tmp_path, [small, large])) == expected.tolist()


def test_coco_polygons_of_one_annotation_are_united(tmp_path):
    parts = [[0, 0, 2, 0, 2, 1, 0, 1], [14, 11, 16, 11, 16, 12, 14, 12]]
    expected = block(0)
    expected[0, :2] = expected[11, 14:] = 2
    assert _mask(_coco(tmp_path, [_annotation(parts)])) == expected.tolist()


def test_coco_crowds_are_ignored(tmp_path):
    # Columns 4 to 11 hold three, then six pixels of the crowd, then three.
    counts = [4 * 12 + 3] + [6, 6] * 7 + [6, 3 + 4 * 12]
    crowd = _annotation({"counts": counts, "size": [12, 16]}, 1, iscrowd=1, area=48)
    reading = read(_coco(tmp_path, [crowd]))
    assert not errors_of(reading) and reading.ignore == (255,)
    assert masks_of(reading)["all"]["images/0.jpg"] == block(255).tolist()


def test_coco_compressed_run_lengths(tmp_path):
    coco = pytest.importorskip("pycocotools.mask")
    code = coco.encode(numpy.asfortranarray(block(1)))
    parts = {"counts": code["counts"].decode(), "size": [12, 16]}
    assert _mask(_coco(tmp_path, [_annotation(parts)])) == block(2).tolist()


def test_coco_image_without_annotations_is_background(tmp_path):
    assert not numpy.any(_mask(_coco(tmp_path, [])))


def test_coco_beside_the_images_of_each_split(tmp_path):
    for split, count in (("train", 3), ("valid", 2)):
        names = [f"{index}_jpg.rf.00aa.jpg" for index in range(count)]
        for index, name in enumerate(names):
            photo(tmp_path / split / name, index)
        document = layout_sets.coco_document(names)
        root = {"id": 0, "name": "animal", "supercategory": "none"}
        document["categories"].insert(0, root)  # Roboflow adds it; no region has it
        write(tmp_path / split / "_annotations.coco.json", document)
    reading = read(tmp_path)
    assert not errors_of(reading)
    assert reading.class_names == ("background", "person", "dog")
    assert len(reading.splits["train"]) == 3 and len(reading.splits["validation"]) == 2


def test_coco_export_of_label_studio_is_told_by_its_content(tmp_path):
    for index in range(3):
        photo(tmp_path / f"images/{index}.jpg", index)
    names = [f"images\\{index}.jpg" for index in range(3)]
    write(tmp_path / "result.json", layout_sets.coco_document(names))
    assert layout_of(tmp_path) == "coco"
    assert files_of(read(tmp_path))["all"] == [f"images/{index}.jpg" for index in range(3)]


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (_annotation([[0, 0, 1, 1]]), "annotation 7: polygon with 2 points"),
        (_annotation([[0, 0, 1, 1, 2]]), "annotation 7: polygon is no list of x, y pairs"),
        (_annotation([["a", "b"]]), "annotation 7: polygon is no list of x, y pairs"),
        (_annotation([[0, 0, 1, 1, 2, 0]], 99), "category 99 is not in the list"),
        (_annotation([[0, 0, 1, 1, 2, 0]]) | {"image_id": 5}, "image 5 is not in the list"),
        (_annotation({"counts": [3], "size": [3, 4]}), "of another size than the image"),
        (_annotation({"counts": ["x"], "size": [12, 16]}), "run lengths that are no numbers"),
        (_annotation([[0, 0, 1, 1, 2, 0]], area="big"), "area is 'big'"),
        (_annotation([[0, 0, 1, 1, 2, 0]], ["a"]), "annotation 7: cannot be read"),
        ("text", "annotation at place 0: cannot be read"),
    ],
)
def test_coco_annotation_with_a_fault_is_named(tmp_path, item, problem):
    line = only_error(_coco(tmp_path, [item]))
    assert problem in line and "instances_default.json" in line


def test_coco_run_lengths_of_another_length_are_found_when_read(tmp_path):
    from kerasdl.core.errors import DataError

    root = _coco(tmp_path, [_annotation({"counts": [3, 5], "size": [12, 16]}, area=5)])
    with pytest.raises(DataError, match="image 100: run lengths add up to 8"):
        masks_of(read(root))


def test_coco_with_validation_images_only_is_refused(tmp_path):
    root = layout_sets.coco(tmp_path)
    (root / "annotations/instances_train2017.json").unlink()
    assert "no training images, only validation" in only_error(root)


def test_nothing_left_after_leaving_out_faulty_samples_is_one_line(tmp_path):
    from kerasdl import data
    from kerasdl.core.errors import DataError

    root = _coco(tmp_path, [_annotation([[0, 0, 1, 1]])])
    config = settings(root)
    config.skip_invalid = True
    with pytest.raises(DataError, match="no training images that can be used"):
        data.load(config, "mask")


def test_coco_missing_images_and_lists_and_broken_json(tmp_path):
    root = layout_sets.coco(tmp_path)
    (root / "train2017/000000000001.jpg").unlink()
    line = only_error(root)
    assert "1 image of the annotations not found: 000000000001.jpg" in line
    assert len(read(root).splits["train"]) == 3
    write(root / "annotations/instances_train2017.json", '{"info": {}, "images": [')
    assert "not a JSON file that can be read" in only_error(root)
    write(root / "annotations/instances_train2017.json", {"info": {}, "images": []})
    assert "no list 'annotations'" in only_error(root)


def test_coco_with_boxes_only_is_refused_and_some_boxes_are_noted(tmp_path):
    box = _annotation([], bbox=[4, 3, 8, 6], area=48)
    line = only_error(_coco(tmp_path / "boxes", [box]))
    assert "only boxes" in line
    both = [box, _annotation([layout_sets.RECTANGLE])]
    reading = read(_coco(tmp_path / "both", both))
    assert not errors_of(reading) and any(
        "no masks: 1 left out" in line for line in notes_of(reading)
    )


def test_coco_category_of_one_split_only_is_refused(tmp_path):
    root = layout_sets.coco(tmp_path)
    document = layout_sets.coco_document(["000000000000.jpg"])
    document["categories"].append({"id": 3, "name": "car", "supercategory": "vehicle"})
    write(root / "annotations/instances_val2017.json", document)
    assert "category 'car' is in this file only" in only_error(root)


@pytest.mark.parametrize("size", [(0, 16), (-1, 16), (10**6, 10**6)])
def test_coco_image_of_an_impossible_size_takes_no_memory(tmp_path, size):
    from kerasdl.core.errors import DataError

    root = _coco(tmp_path, [])
    document = layout_sets.coco_document(["0.jpg"], [])
    document["images"][0] |= {"height": size[0], "width": size[1]}
    write(root / "annotations/instances_default.json", document)
    with pytest.raises(DataError, match="correct the size of the image"):
        masks_of(read(root))


def test_json_that_is_no_coco_is_left_alone(tmp_path):
    photo(tmp_path / "images/a.jpg")
    write(tmp_path / "annotations/settings.json", {"images": "images", "seed": 1})
    assert layout_of(tmp_path) == "folders"


def _labelme(root, shapes):
    photo(root / "a.jpg")
    write(root / "a.json", layout_sets.labelme_document("a.jpg", shapes))
    return root


def test_labelme_labels_are_classes_in_the_order_of_the_alphabet(tmp_path):
    reading = read(layout_sets.labelme(tmp_path))
    assert not errors_of(reading) and layout_of(tmp_path) == "labelme"
    assert reading.class_names == ("background", "cat", "dog")
    assert masks_of(reading)["all"]["3.jpg"] == block(2).tolist()


def test_labelme_files_in_a_folder_of_their_own(tmp_path):
    root = layout_sets.labelme(tmp_path)
    for folder, suffix in (("img", ".jpg"), ("ann", ".json")):
        (root / folder / "train").mkdir(parents=True)
        for path in root.glob(f"*{suffix}"):
            path.rename(root / folder / "train" / path.name)
    assert masks_of(read(root))["train"]["img/train/3.jpg"] == block(2).tolist()


def test_names_in_dataset_toml_give_the_order_of_labels(tmp_path):
    root = layout_sets.labelme(tmp_path)
    write(root / "dataset.toml", 'names = ["background", "dog", "cat"]\n')
    assert masks_of(read(root))["all"]["3.jpg"] == block(1).tolist()
    write(root / "dataset.toml", 'names = ["background", "dog"]\n')
    assert "class names and labels differ" in only_error(root)
    write(root / "dataset.toml", 'names = ["dog", "background", "cat"]\n')
    assert "'background' must be the first class" in only_error(root)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("rectangle", [[12, 9], [4, 3]]),
        ("rectangle", layout_sets.CORNERS),
        ("polygon", layout_sets.CORNERS),
        ("rotation", layout_sets.CORNERS),
    ],
)
def test_labelme_shapes_of_four_corners(tmp_path, kind, points):
    assert _mask(_labelme(tmp_path, [("cat", kind, points)])) == block(1).tolist()


def test_labelme_circle_is_given_by_its_center_and_a_point_on_it(tmp_path):
    mask = _mask(_labelme(tmp_path, [("cat", "circle", [[8, 6], [8, 4]])]))
    expected = block(0)
    # (x - 8)^2 + (y - 6)^2 < 4 at the centers of the pixels.
    expected[4, 7:9] = expected[7, 7:9] = expected[5:7, 6:10] = 1
    assert mask == expected.tolist()


def test_labelme_bitmap_later_shapes_ignored_and_background(tmp_path):
    stream = io.BytesIO()
    PIL.Image.new("L", (8, 6), 255).save(stream, "PNG")
    square = [("__ignore__", "rectangle", [[5, 4], [7, 6]])]
    square += [("_background_", "rectangle", [[7, 4], [9, 6]])]
    document = layout_sets.labelme_document("a.jpg", [("cat", "mask", [[4, 3], [12, 9]]), *square])
    document["shapes"][0]["mask"] = base64.b64encode(stream.getvalue()).decode()
    photo(tmp_path / "a.jpg")
    write(tmp_path / "a.json", document)
    reading = read(tmp_path)
    assert reading.class_names == ("_background_", "cat") and reading.ignore == (255,)
    assert any("regions of __ignore__ are ignored" in line for line in notes_of(reading))
    expected = block(1)
    expected[4:6, 5:7], expected[4:6, 7:9] = 255, 0
    assert masks_of(reading)["all"]["a.jpg"] == expected.tolist()


def test_labelme_lines_are_left_out(tmp_path):
    shapes = [("cat", "line", [[0, 0], [9, 9]]), ("dog", "polygon", layout_sets.CORNERS)]
    reading = read(_labelme(tmp_path, shapes))
    assert reading.class_names == ("background", "dog")
    assert any("no masks: 1 left out" in line for line in notes_of(reading))


@pytest.mark.parametrize(
    ("shapes", "problem"),
    [
        ([("cat", "polygon", [[0, 0], [1, 1]])], "shape 0: polygon with 2 points"),
        ([("cat", "blob", [[0, 0], [1, 1]])], "shape of the unknown kind 'blob'"),
        ([("cat", "circle", [[0, 0]])], "shape 0 cannot be read"),
        ([("cat", "rectangle", None)], "shape 0 cannot be read"),
    ],
)
def test_labelme_shape_with_a_fault_is_named(tmp_path, shapes, problem):
    line = only_error(_labelme(tmp_path, shapes))
    assert problem in line and "a.json" in line


def test_labelme_json_that_cannot_be_read_and_images_without_one(tmp_path):
    root = layout_sets.labelme(tmp_path)
    photo(root / "bare.jpg", 99)
    write(root / "3.json", "{")
    line = only_error(root)
    assert "3.json" in line and "not a JSON file" in line
    assert any("1 image without a JSON file left out" in line for line in notes_of(read(root)))


def _cvat(root, inner):
    photo(root / "images/a.jpg")
    write(root / "annotations.xml", layout_sets.cvat_document([("a.jpg", inner)]))
    return root


def test_cvat_labels_of_the_task_are_the_classes(tmp_path):
    reading = read(layout_sets.cvat(tmp_path))
    assert not errors_of(reading) and layout_of(tmp_path) == "cvat"
    assert reading.class_names == ("background", "road", "car")
    assert masks_of(reading)["all"]["images/5.jpg"] == block(2).tolist()


def test_cvat_order_ellipse_and_mask(tmp_path):
    above = '<mask label="road" rle="1, 2, 1" left="5" top="4" width="2" height="2" z_order="1"/>'
    # 8, 6 with the radii 4 and 3: the row of y = 0.5 holds |x - 8| < 4 * sqrt(1 - 0.25 / 9).
    ellipse = '<ellipse label="car" cx="8.0" cy="6.0" rx="4.0" ry="3.0" z_order="0"/>'
    mask = numpy.array(_mask(_cvat(tmp_path, above + ellipse)))
    assert mask[4, 5:7].tolist() == [2, 1] and mask[5, 5:7].tolist() == [1, 2]
    assert mask[6].tolist() == [0] * 4 + [2] * 8 + [0] * 4
    assert not mask[2].any() and not mask[9].any()


def test_cvat_boxes_are_no_masks(tmp_path):
    box = '<box label="car" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    assert "only boxes" in only_error(_cvat(tmp_path / "boxes", box))
    reading = read(_cvat(tmp_path / "both", box + layout_sets.CVAT_POLYGON))
    assert masks_of(reading)["all"]["images/a.jpg"] == block(2).tolist()
    assert any("no masks: 1 left out" in line for line in notes_of(reading))


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        ('<polygon label="car" points="1,1;2,2"/>', "polygon with 2 points"),
        ('<polygon label="car" points="1,1;2,2;x"/>', "no list of x, y pairs"),
        ('<ellipse label="car" cx="1" cy="1" rx="2"/>', "ellipse without 'ry'"),
        ('<mask label="car" rle="1" left="0" top="0" width="99" height="99"/>', "larger than"),
        ('<ellipse label="car" cx="1" cy="y" rx="2" ry="3"/>', "could not convert"),
    ],
)
def test_cvat_shape_with_a_fault_is_named(tmp_path, inner, problem):
    line = only_error(_cvat(tmp_path, inner))
    assert problem in line and "image 'a.jpg'" in line and "annotations.xml" in line


def test_cvat_document_type_definition_is_refused(tmp_path):
    root = layout_sets.cvat(tmp_path)
    text = (root / "annotations.xml").read_text()
    entity = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<annotations>'
    write(root / "annotations.xml", text.replace("<annotations>", entity, 1))
    assert "document type definition is refused" in only_error(root)
    write(root / "annotations.xml", text[:-20])
    assert "not a valid XML file" in only_error(root)
    write(root / "annotations.xml", "<annotations><meta/><track/></annotations>")
    assert "CVAT for video" in only_error(root)


def test_cvat_image_that_is_not_there(tmp_path):
    root = layout_sets.cvat(tmp_path)
    (root / "images/3.jpg").unlink()
    assert "1 image of the annotations not found: 3.jpg" in only_error(root)


def _labelstudio(root, *results, **more):
    photo(root / "images/1.jpg")
    task = layout_sets.labelstudio_task(1, list(results)) | more
    write(root / "project-1.json", [task])
    return root


def _result(kind, **value):
    head = {"original_width": 16, "original_height": 12, "image_rotation": 0, "type": kind}
    return head | {"value": value | {kind: ["car"]}}


def test_label_studio_polygons_in_percent(tmp_path):
    reading = read(layout_sets.labelstudio(tmp_path))
    assert not errors_of(reading) and layout_of(tmp_path) == "labelstudio"
    assert reading.class_names == ("background", "car")
    assert masks_of(reading)["all"]["images/5.jpg"] == block(1).tolist()


def test_label_studio_ellipse(tmp_path):
    ellipse = _result("ellipselabels", x=50, y=50, radiusX=25, radiusY=25, rotation=0)
    mask = numpy.array(_mask(_labelstudio(tmp_path, ellipse)))
    assert mask[6].tolist() == [0] * 4 + [1] * 8 + [0] * 4  # as in the test of CVAT
    assert mask.sum(axis=1).tolist()[:4] == [0, 0, 0, 4]


def test_label_studio_brush(tmp_path):
    # 12 x 16 pixels x 4 channels = 768 values; sizes of lengths 3, 4, 9, 16 bits.
    fields = [(768, 32), (7, 5), (2, 4), (3, 4), (8, 4), (15, 4)]
    alpha = numpy.zeros((12, 16, 4), "uint8")
    alpha[3:9, 4:12] = 255
    values = alpha.ravel().tolist()
    place = 0
    while place < 768:  # runs of one value each, at most 512 long
        end = next((at for at in range(place, 768) if values[at] != values[place]), 768)
        end = min(end, place + 512)
        fields += [(1, 1), (2, 2), (end - place - 1, 9), (values[place], 8)]
        place = end
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    brush = _result("brushlabels", format="rle", rle=rle)
    assert _mask(_labelstudio(tmp_path, brush)) == block(1).tolist()


def test_label_studio_json_min_and_local_files(tmp_path):
    photo(tmp_path / "a b.jpg")
    value = layout_sets.LABELSTUDIO_POLYGON["value"] | {"original_width": 16, "original_height": 12}
    task = {"image": "/data/local-files/?d=some/a%20b.jpg", "id": 1, "label": [value]}
    write(tmp_path / "export.json", [task | {"annotator": 1, "annotation_id": 1}])
    assert _mask(tmp_path) == block(1).tolist()


def test_label_studio_two_annotations_are_asked_about(tmp_path):
    first = {"result": [layout_sets.LABELSTUDIO_POLYGON], "was_cancelled": False}
    canceled = {"result": [], "was_cancelled": True}
    assert _mask(_labelstudio(tmp_path, annotations=[canceled, first])) == block(1).tolist()
    line = only_error(_labelstudio(tmp_path, annotations=[first, first]))
    assert "task 1: 2 annotations, 1 expected" in line and "ground truth" in line
    truth = first | {"ground_truth": True}
    assert _mask(_labelstudio(tmp_path, annotations=[first, truth])) == block(1).tolist()


def test_label_studio_tasks_without_annotation_are_left_out(tmp_path):
    root = layout_sets.labelstudio(tmp_path)
    tasks = [layout_sets.labelstudio_task(0, []), layout_sets.labelstudio_task(1, [])]
    tasks[0]["annotations"] = []
    write(root / "project-1-at-2024-05-01-10-00-abcdef01.json", tasks)
    reading = read(root)
    assert not errors_of(reading) and files_of(reading)["all"] == ["images/1.jpg"]
    assert any("1 task without annotation left out" in line for line in notes_of(reading))
    assert any("1 image without a region" in line for line in notes_of(reading))


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (_result("polygonlabels", points=[[0, 0], [1, 1]]), "polygon with 2 points"),
        (_result("polygonlabels"), "result 0 cannot be read"),
        (_result("brushlabels", format="png", rle=[]), "unknown format 'png'"),
        (_result("brushlabels", format="rle", rle=[300]), "result 0 cannot be read"),
        (_result("polygonlabels", points=[]) | {"image_rotation": 90}, "image turned"),
    ],
)
def test_label_studio_result_with_a_fault_is_named(tmp_path, result, problem):
    line = only_error(_labelstudio(tmp_path, result))
    assert problem in line and "task 1" in line and "project-1.json" in line


@pytest.mark.parametrize("annotations", [True, [{"result": 3.5}]])
def test_label_studio_annotations_of_another_kind_are_named(tmp_path, annotations):
    assert "no list" in only_error(_labelstudio(tmp_path, annotations=annotations))


def test_label_studio_rectangles_are_no_masks(tmp_path):
    box = _result("rectanglelabels", x=1, y=1, width=5, height=5)
    root = _labelstudio(tmp_path, box)
    assert "only boxes" in only_error(root)
    images_alone = read(root, "none")
    assert not errors_of(images_alone) and files_of(images_alone)["all"] == ["images/1.jpg"]


def test_yolo_polygons_are_fractions_and_classes_start_after_background(tmp_path):
    reading = read(layout_sets.yolo(tmp_path))
    assert not errors_of(reading) and layout_of(tmp_path) == "yolo"
    assert reading.class_names == ("background", "cat", "dog")
    found = masks_of(reading)
    assert found["train"]["train/images/3.jpg"] == block(2).tolist()
    assert {split: len(part) for split, part in found.items()} == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }


def test_yolo_in_the_form_of_ultralytics(tmp_path):
    for split in ("train", "val"):
        for index in range(3):
            photo(tmp_path / f"images/{split}/{index}.jpg", index)
        line = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
        small = "1 0.25 0.25 0.375 0.25 0.375 0.3334 0.25 0.3334\n"
        write(tmp_path / f"labels/{split}/0.txt", small + line)
        write(tmp_path / f"labels/{split}/1.txt", "")
    write(tmp_path / "data.yaml", "names:\n  0: cat\n  1: dog\n")
    found = masks_of(read(tmp_path))
    expected = block(1)
    expected[3, 4:6] = 2  # the smaller region lies on top, whatever its line
    assert found["train"]["images/train/0.jpg"] == expected.tolist()
    assert not numpy.any(found["validation"]["images/val/1.jpg"])
    assert not numpy.any(found["validation"]["images/val/2.jpg"])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 0.1 0.1 0.2 0.2 0.3\n", "no list of x, y pairs"),
        ("1 0.1 0.1\n", "polygon with 1 point,"),
        ("7 0.1 0.1 0.2 0.2 0.3 0.1\n", "class 7, but data.yaml names 2"),
        ("1 10 10 20 20 30 10\n", "pixels instead of fractions"),
        ("cat 10 10 20 20 30 10\n", "holds no numbers"),
    ],
)
def test_yolo_line_with_a_fault_is_named(tmp_path, line, problem):
    root = layout_sets.yolo(tmp_path)
    write(root / "train/labels/2.txt", line)
    found = only_error(root)
    assert problem in found and "train/labels/2.txt" in found


def test_yolo_boxes_are_no_masks_and_names_are_needed(tmp_path):
    root = layout_sets.yolo(tmp_path)
    write(root / "data.yaml", "nc: 2\n")
    assert "no class names" in only_error(root)
    write(root / "data.yaml", "names: [cat, dog]\n")
    for path in root.rglob("*.txt"):
        write(path, "1 0.5 0.5 0.2 0.2\n")
    assert "only boxes" in only_error(root)
