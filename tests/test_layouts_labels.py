"""Published classification sets: labels and splits by their lists and tables."""

import layout_sets
import numpy
import pytest
from layout_fixtures import (
    errors_of,
    files_of,
    labels_of,
    layout_of,
    notes_of,
    only_error,
    photo,
    read,
    settings,
    write,
)
from scipy import io

from kerasdl import data


def _imagenet(root, name, text):
    """ImageNet with another list than val.txt."""
    layout_sets.imagenet(root)
    (root / "val.txt").unlink()
    write(root / name, text)
    return root


EXPECTED = {
    "val/ILSVRC2012_val_00000001.JPEG": "n01443537",
    "val/ILSVRC2012_val_00000002.JPEG": "n01440764",
    "val/ILSVRC2012_val_00000003.JPEG": "n01443537",
}


def test_imagenet_flat_val_with_indices(tmp_path):
    reading = read(layout_sets.imagenet(tmp_path), "label")
    assert not errors_of(reading) and layout_of(tmp_path, "label") == "imagenet"
    assert reading.class_names == ("n01440764", "n01443537")
    assert labels_of(reading)["validation"] == EXPECTED
    assert len(reading.splits["train"]) == 8


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\n"
            "ILSVRC2012_val_00000002,n01440764 1 2 3 4\n"
            "ILSVRC2012_val_00000001,n01443537 85 1 499 272 n01443537 1 2 3 4\n"
            "ILSVRC2012_val_00000003,n01443537 1 2 3 4\n",
        ),
        (
            "imagenet_2012_validation_synset_labels.txt",
            "n01443537\nn01440764\nn01443537\n",
        ),
        (
            "val.txt",
            "val/ILSVRC2012_val_00000001.JPEG n01443537\n"
            "val/ILSVRC2012_val_00000002.JPEG n01440764\n"
            "val/ILSVRC2012_val_00000003.JPEG n01443537\n",
        ),
    ],
)
def test_imagenet_other_lists_of_the_same_labels(tmp_path, name, text):
    reading = read(_imagenet(tmp_path, name, text), "label")
    assert not errors_of(reading)
    assert labels_of(reading)["validation"] == EXPECTED


def test_imagenet_ids_need_the_development_kit(tmp_path):
    truth = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
    root = _imagenet(tmp_path, truth, "1\n2\n1\n")
    assert "do not follow the order of the folders" in only_error(root, "label")
    # In the kit the numbers are in another order than the synsets.
    kinds = [("ILSVRC2012_ID", "f8"), ("WNID", "O")]
    synsets = numpy.array([(1.0, "n01443537"), (2.0, "n01440764")], dtype=kinds)
    io.savemat(root / "ILSVRC2012_devkit_t12/data/meta.mat", {"synsets": synsets})
    assert labels_of(read(root, "label"))["validation"] == EXPECTED


def test_tiny_imagenet(tmp_path):
    root = layout_sets.imagenet(tmp_path)
    for synset in ("n01440764", "n01443537"):
        (root / f"train/{synset}/images").mkdir()
        for path in (root / f"train/{synset}").glob("*.JPEG"):
            path.rename(path.parent / "images" / path.name)
    (root / "val/images").mkdir()
    for path in sorted((root / "val").glob("*.JPEG")):
        path.rename(root / "val/images" / path.name)
    lines = [f"{name[4:]}\t{synset}\t0\t32\t44\t62" for name, synset in EXPECTED.items()]
    (root / "val.txt").unlink()
    write(root / "val/val_annotations.txt", "\n".join(lines) + "\n")
    reading = read(root, "label")
    assert not errors_of(reading) and len(reading.splits["train"]) == 8
    expected = {name.replace("val/", "val/images/"): label for name, label in EXPECTED.items()}
    assert labels_of(reading)["validation"] == expected


def test_imagenet_without_a_list_or_with_a_wrong_one(tmp_path):
    root = layout_sets.imagenet(tmp_path)
    write(root / "val.txt", "ILSVRC2012_val_00000001.JPEG 0\n")
    assert "2 images without a label" in only_error(root, "label")
    write(root / "val.txt", "ILSVRC2012_val_00000001.JPEG 7\n")
    assert any("labels that no folder of train/ has: 7" in line for line in _lines(root))
    write(root / "val.txt", "ILSVRC2012_val_00000001.JPEG\n")
    assert "is not a name and a class" in only_error(root, "label")
    (root / "val.txt").unlink()
    assert "no list" in only_error(root, "label")
    write(root / "imagenet_2012_validation_synset_labels.txt", "n01443537\n")
    assert "1 lines for 3 images" in only_error(root, "label")


def _lines(root):
    return errors_of(read(root, "label"))


def test_imagenet_with_class_folders_is_plain(tmp_path):
    root = layout_sets.imagenet(tmp_path)
    photo(root / "val/n01440764/a.JPEG")
    assert layout_of(root, "label") == "folders"


def test_ham10000_parts_and_table(tmp_path):
    reading = read(layout_sets.tables(tmp_path), "label")
    assert not errors_of(reading) and layout_of(tmp_path, "label") == "tables"
    assert reading.class_names == ("mel", "nv")
    found = labels_of(reading)["all"]
    assert found["HAM10000_images_part_1/ISIC_0000004.jpg"] == "nv"
    assert found["HAM10000_images_part_2/ISIC_0000009.jpg"] == "mel"
    assert "2 classes from dx of HAM10000_metadata.csv" in reading.summary


def _table(root, text, name="train.csv", count=4, folder="train", suffix=".jpg"):
    for index in range(count):
        photo(root / folder / f"{index}{suffix}", index)
    write(root / name, text)
    return root


def test_kaggle_train_csv_with_unlabeled_test(tmp_path):
    root = _table(tmp_path, "id,breed\n0,beagle\n1,corgi\n2,beagle\n3,corgi\n")
    for index in range(4):
        photo(root / f"test/{index}.jpg", 50 + index)  # the same names as in train/
    write(root / "sample_submission.csv", "id,breed\n0,beagle\n")
    write(root / "test.csv", "id\n0\n")
    reading = read(root, "label")
    assert not errors_of(reading)
    assert labels_of(reading)["all"] == {
        "train/0.jpg": "beagle",
        "train/1.jpg": "corgi",
        "train/2.jpg": "beagle",
        "train/3.jpg": "corgi",
    }


def test_table_with_paths_semicolons_byte_order_mark_and_splits(tmp_path):
    text = "\ufefffilename;class;split\n" + "".join(
        f"train/{index}.jpg;{index % 2 + 9};{split}\n"
        for index, split in enumerate(("train", "train", "val", "test"))
    )
    reading = read(_table(tmp_path, text, name="labels.csv"), "label")
    assert not errors_of(reading)
    assert reading.class_names == ("9", "10")  # by value, not as text
    assert files_of(reading)["validation"] == ["train/2.jpg"]
    assert files_of(reading)["test"] == ["train/3.jpg"]


def test_tables_named_after_splits(tmp_path):
    root = _table(tmp_path, "image,label\n0,a\n1,b\n2,a\n3,b\n")
    _table(root, "image,label\n0,b\n1,a\n", name="val.csv", count=2, folder="val")
    found = labels_of(read(root, "label"))
    assert found["train"]["train/0.jpg"] == "a" and found["validation"]["val/0.jpg"] == "b"


def test_one_column_per_class(tmp_path):
    root = _table(tmp_path, "image,MEL,NV\n0,1.0,0.0\n1,0.0,1.0\n2,0.0,1.0\n3,1.0,0.0\n")
    found = labels_of(read(root, "label"))["all"]
    assert found["train/0.jpg"] == "MEL" and found["train/1.jpg"] == "NV"
    write(root / "train.csv", "image,MEL,NV\n0,1,1\n1,0,1\n2,0,1\n3,1,0\n")
    assert "row 2 is in 2 classes" in only_error(root, "label")


def test_two_columns_that_say_the_same_give_the_names(tmp_path):
    root = _table(tmp_path, "id,label,class_name\n0,0,cat\n1,1,dog\n2,0,cat\n3,1,dog\n")
    assert read(root, "label").class_names == ("cat", "dog")


def test_two_columns_that_say_different_things_are_asked_about(tmp_path):
    root = _table(tmp_path, "id,species,breed\n0,dog,beagle\n1,cat,manx\n2,dog,corgi\n3,cat,manx\n")
    line = only_error(root, "label")
    assert "the columns 'species' and 'breed' could be the class" in line and "train.csv" in line


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,breed\n0,a\n1,b\n2,a\n9,b\n", "1 file of the table not found"),
        ("id,breed\n0,a\n1,b\n2,a\n3\n", "line 5 has not as many cells"),
        ("id,breed\n0,a\n1,b\n2,\n3,a\n", "row 4 has no class"),
        ("id,breed,split\n0,a,train\n1,b,fold3\n2,a,train\n", "split 'fold3' is none of"),
        ("id,breed\n0,a\n1,b\n0,b\n", "'0' is in the table twice"),
        ("id,target\n0,0.25\n1,0.5\n2,0.75\n", "'target' holds measurements, no classes"),
    ],
)
def test_table_with_a_fault_is_named(tmp_path, text, problem):
    line = only_error(_table(tmp_path, text), "label")
    assert problem in line and "train.csv" in line


def test_class_folders_with_a_table_beside_them_stay_class_folders(tmp_path):
    for name in ("cat", "dog"):
        for index in range(3):
            photo(tmp_path / f"{name}/{name}{index}.jpg", index)
    write(tmp_path / "labels.csv", "filename,label\ncat0.jpg,cat\ndog0.jpg,dog\n")
    assert layout_of(tmp_path, "label") == "folders"


def test_images_with_masks_and_a_table_are_read_for_their_masks(tmp_path):
    for index in range(4):
        photo(tmp_path / f"images/{index}.jpg", index)
        photo(tmp_path / f"masks/{index}.png", index)
    write(tmp_path / "labels.csv", "id,label\n0,a\n1,b\n2,a\n3,b\n")
    assert layout_of(tmp_path, "mask") == layout_of(tmp_path, "label") == "folders"


def test_images_alone_need_no_list_and_no_table(tmp_path):
    root = layout_sets.imagenet(tmp_path / "imagenet")
    (root / "val.txt").unlink()
    found = read(root, "none")
    assert not errors_of(found) and len(found.splits["validation"]) == 3
    root = _table(tmp_path / "table", "id,breed\n0,a\n9,b\n")
    found = read(root, "none")
    assert not errors_of(found) and len(found.splits["train"]) == 4


def test_table_about_something_else_is_left_alone(tmp_path):
    for name in ("cat", "dog"):
        photo(tmp_path / f"{name}/0.jpg")
    write(tmp_path / "camera.csv", "id,exposure\n0,0.01\n")
    write(tmp_path / "notes.csv", "")
    assert layout_of(tmp_path, "label") == "folders"


def test_food101_lists(tmp_path):
    reading = read(layout_sets.food101(tmp_path), "label")
    assert not errors_of(reading) and layout_of(tmp_path, "label") == "food101"
    assert reading.class_names == ("apple_pie", "waffles")
    assert files_of(reading)["test"] == ["images/apple_pie/4.jpg", "images/waffles/4.jpg"]
    (tmp_path / "images/waffles/4.jpg").unlink()
    line = only_error(tmp_path, "label")
    assert "1 name of the list without image: waffles/4" in line and "meta/test.txt" in line


def test_cub_lists_by_number(tmp_path):
    reading = read(layout_sets.cub(tmp_path), "label")
    assert not errors_of(reading) and layout_of(tmp_path, "label") == "cub"
    assert reading.class_names == ("001.Black_footed_Albatross", "002.Laysan_Albatross")
    found = labels_of(reading)
    assert {split: len(part) for split, part in found.items()} == {"train": 8, "test": 2}
    for name, label in found["train"].items():
        assert name.startswith(f"images/{label}/")
    write(tmp_path / "train_test_split.txt", "1 1\n")
    assert "nothing about image 2" in only_error(tmp_path, "label")
    (tmp_path / "images/002.Laysan_Albatross/bird_0001.jpg").unlink()
    assert any("1 image of the list not found" in line for line in _lines(tmp_path))


def test_flowers_splits_and_labels_of_matlab_files(tmp_path):
    reading = read(layout_sets.flowers(tmp_path), "label")
    assert not errors_of(reading) and layout_of(tmp_path, "label") == "flowers"
    found = labels_of(reading)
    assert found["train"]["jpg/image_00002.jpg"] == "class_2"  # the labels are 1 2 3 1 2 3 ...
    assert list(found["test"]) == ["jpg/image_00008.jpg", "jpg/image_00009.jpg"]
    (tmp_path / "jpg/image_00006.jpg").unlink()
    assert "1 image of the validation split not found" in only_error(tmp_path, "label")
    io.savemat(tmp_path / "imagelabels.mat", {"labels": [1, 10**9]})
    assert "labels from 1 to 1000000000" in only_error(tmp_path, "label")
    io.savemat(tmp_path / "imagelabels.mat", {"other": [1, 2]})
    assert "no array 'labels'" in only_error(tmp_path, "label")
    write(tmp_path / "imagelabels.mat", "text")
    assert "not a MATLAB file" in only_error(tmp_path, "label")


def test_cifar_as_png_folders_is_plain_class_folders(tmp_path):
    for split in ("train", "test"):
        for name in ("airplane", "automobile"):
            for index in range(3):
                photo(tmp_path / f"{split}/{name}/{index:04d}.png", index)
    reading = read(tmp_path, "label")
    assert layout_of(tmp_path, "label") == "folders" and not errors_of(reading)
    assert reading.class_names == ("airplane", "automobile")
    assert not [line for line in notes_of(reading) if "split" in line]


def images_of(root, *names):
    for number, name in enumerate(names):
        photo(root / name, number)


def test_a_file_of_another_split_or_of_another_name_is_not_taken(tmp_path):
    images_of(tmp_path, "train/a.jpg", "train/b.jpg", "test/c.jpg", "train/v1.jpg")
    text = "path,label\ntrain/a.jpg,x\ntrain/b.jpg,y\ntrain/c.jpg,x\nv1.2,y\n"
    write(tmp_path / "labels.csv", text)
    error = only_error(tmp_path, "label")
    assert "train/c.jpg, v1.2" in error
    write(tmp_path / "labels.csv", "path,label\n/kaggle/train/a.jpg,x\ntrain/b.jpg,y\nc,x\n")
    reading = read(tmp_path, "label")
    files = {entry.file for part in reading.splits.values() for entry in part}
    assert files == {"train/a.jpg", "train/b.jpg", "test/c.jpg"}
    assert "1 image in no table left out" in [finding.what for finding in reading.findings]


def test_columns_are_named_by_dataset_toml(tmp_path):
    images_of(tmp_path, *(f"all/{number}.jpg" for number in range(6)))
    rows = (
        f"{number}|{5 - number}|{'ab'[number % 2]}|{'train val'.split()[number // 4]}"
        for number in range(6)
    )
    write(tmp_path / "list.csv", "\n".join(["id|Nummer|Art|Teil", *rows]))
    keys = 'image_column = "Nummer"\nlabel_column = "Art"\nsplit_column = "Teil"\n'
    write(tmp_path / "dataset.toml", keys)
    reading = read(tmp_path, "label")
    assert reading.class_names == ("a", "b")
    found = {entry.file: entry.label for entry in reading.splits["train"]}
    assert found == {"all/5.jpg": 0, "all/4.jpg": 1, "all/3.jpg": 0, "all/2.jpg": 1}
    assert len(reading.splits["validation"]) == 2
    write(tmp_path / "dataset.toml", 'labels_csv = "list.csv"\nlabel_column = "art"\n')
    error = only_error(tmp_path, "label")
    assert "no column 'art', only id, Nummer, Art, Teil" in error


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a.jpg,cat\nb.jpg,dog\n", "the first line names no columns"),
        ("file,label\na.jpg,k\u00e4se\n".encode("cp1252"), "save it as UTF-8"),
        ("file,label\na.jpg,cat\n".encode("utf-16-le"), "save it as UTF-8"),
    ],
)
def test_table_that_cannot_be_read_is_one_error(tmp_path, content, problem):
    images_of(tmp_path, "all/a.jpg", "all/b.jpg")
    (tmp_path / "list.csv").write_bytes(content)
    write(tmp_path / "dataset.toml", 'labels_csv = "list.csv"\n')
    error = only_error(tmp_path, "label")
    assert problem in error
    assert read(tmp_path, "label").summary == "labels in a CSV table: no splits"


def test_names_that_are_alike_are_warned_about(tmp_path):
    images_of(tmp_path, *(f"all/{number}.jpg" for number in range(6)))
    rows = [f"{number},{('cat', 'Cat', 'dog')[number % 3]}" for number in range(6)]
    write(tmp_path / "list.csv", "\n".join(["id,label", *rows]))
    findings = data.check(settings(tmp_path, "label"), "label").findings
    assert "classes whose names are alike: Cat, cat" in [finding.what for finding in findings]


def test_gtsrb_of_kaggle_has_a_table_per_split(tmp_path):
    reading = read(layout_sets.gtsrb(tmp_path), "label")
    assert not errors_of(reading) and layout_of(tmp_path, "label") == "gtsrb"
    assert reading.class_names == ("2", "10", "20")
    found = labels_of(reading)
    assert found["test"] == {"Test/00002.png": "20", "Test/00010.png": "2", "Test/00020.png": "10"}
    assert len(found["train"]) == 9 and found["train"]["Train/10/00010_00000_00001.png"] == "10"
    assert any("3 images in no table left out" in line for line in notes_of(reading))
    (tmp_path / "Test/00010.png").unlink()
    assert "1 file of the table not found: Test/00010.png" in only_error(tmp_path, "label")


@pytest.mark.parametrize("test_table", ["Final_Test/Images/GT-final_test.csv", "GT-final_test.csv"])
def test_gtsrb_as_published(tmp_path, test_table):
    head = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
    for number in (1, 14):
        folder = tmp_path / f"GTSRB/Final_Training/Images/{number:05d}"
        rows = [f"00000_{index:05d}.ppm;16;12;5;5;11;7;{number}" for index in range(3)]
        for index in range(3):
            photo(folder / f"00000_{index:05d}.ppm", 10 * number + index)
        write(folder / f"GT-{number:05d}.csv", "\r\n".join([head, *rows]) + "\r\n")
        photo(tmp_path / f"GTSRB/Final_Test/Images/{number:05d}.ppm", 100 + number)
    places = tmp_path / "GTSRB/Final_Test/Images"
    write(places / "GT-final_test.test.csv", head.removesuffix(";ClassId") + "\n")
    truth = ["00001.ppm;16;12;5;5;11;7;14", "00014.ppm;16;12;5;5;11;7;1"]
    write(tmp_path / "GTSRB" / test_table, "\n".join([head, *truth]))
    reading = read(tmp_path, "label")
    assert not errors_of(reading) and reading.class_names == ("1", "14")
    found = labels_of(reading)
    at = "GTSRB/Final_Test/Images"
    assert found["test"] == {f"{at}/00001.ppm": "14", f"{at}/00014.ppm": "1"}
    assert sorted(found["train"].values()) == ["1", "1", "1", "14", "14", "14"]
    report = data.check(settings(tmp_path, "label"), "label")
    assert not report.failed
    (tmp_path / "GTSRB" / test_table).unlink()
    reading = read(tmp_path, "label")
    assert "2 images in no table left out" in notes_of(reading)[-1]


def test_gtsrb_with_a_damaged_table(tmp_path):
    layout_sets.gtsrb(tmp_path)
    text = (tmp_path / "Test.csv").read_text()
    write(tmp_path / "Test.csv", text.replace("ClassId", "Class"))
    assert "no columns 'Path' and 'ClassId'" in only_error(tmp_path, "label")
