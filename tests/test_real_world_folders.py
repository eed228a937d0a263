"""Class folders and tables as published sets have them, and what could be misread in them."""

import unicodedata

import layout_sets
import numpy
import pytest
from data_fixtures import class_folder, image, load, save
from layout_fixtures import write
from test_real_world import check, disc, errors, lines_of, paste, photo, refused


def labels(root, **values):
    """Class per image name, over all splits."""
    dataset = load(root, **values)
    return {
        split.name(index): dataset.class_names[split[index].label]
        for split in dataset.splits.values()
        for index in range(len(split))
    }


@pytest.mark.parametrize("form", ["{}_GT.BMP", "{}_lesion.png", "mask_{}.png", "{}-roi.png"])
@pytest.mark.parametrize("top", ["", "train/"])
def test_masks_beside_the_images_of_classes_are_left_out_whatever_their_ending(tmp_path, form, top):
    for place, name in enumerate(("benign", "malignant")):
        for index in range(4):
            save(photo(10 * place + index), tmp_path / f"{top}{name}/{name}{index}.BMP")
            save(disc(index, inside=255), tmp_path / f"{top}{name}" / form.format(f"{name}{index}"))
    assert not errors(check(tmp_path, "classification"))
    assert labels(tmp_path) == {
        f"{top}{name}/{name}{index}.BMP": name
        for name in ("benign", "malignant")
        for index in range(4)
    }


def test_photographs_and_drawings_named_after_others_stay_images(tmp_path):
    for name in ("photo", "drawing"):
        for index in range(4):
            for ending, shift in (("", 0), ("_b", 50)):
                value = photo(index + shift) if name == "photo" else disc(index + shift, inside=255)
                save(value, tmp_path / name / f"{name}{index}{ending}.png")
    assert len(labels(tmp_path)) == 16


@pytest.mark.parametrize("inner", ["Images", "images/Train", "img"])
def test_class_folders_in_a_folder_of_images(tmp_path, inner):
    class_folder(tmp_path / inner)
    write(tmp_path / "Annotation/cat/00", "<annotation/>")
    found = labels(tmp_path)
    assert len(found) == 12 and found[f"{inner}/dog/03.png"] == "dog"


def test_test_images_outside_class_folders_are_left_out(tmp_path):
    class_folder(tmp_path / "train")
    save(photo(90), tmp_path / "test/0001.png")
    report = check(tmp_path, "classification")
    assert not errors(report)
    assert any("1 test image outside class folders" in f.what for f in report.findings)
    assert len(labels(tmp_path)) == 12
    save(photo(91), tmp_path / "train/loose.png")
    assert "beside the class folders" in refused(tmp_path, "classification").what


def table(root, *rows, name="train.csv"):
    for index in range(len(rows) - 1):
        save(image(index), root / f"all/{index}.png")
    return write(root / name, "\n".join(rows) + "\n")


@pytest.mark.parametrize("combined", ["a|b", "b, a", "a;b", "a b"])
def test_several_classes_in_a_row_are_asked_about(tmp_path, combined):
    rows = [f'{index}.png,"{("a", "b", combined)[index % 3]}"' for index in range(12)]
    table(tmp_path, "image,label", *rows)
    (line,) = lines_of(refused(tmp_path, "classification").fix)
    paste(tmp_path, line)
    assert sorted(set(labels(tmp_path).values())) == sorted({"a", "b", combined})


def test_names_of_several_words_are_no_several_classes(tmp_path):
    rows = [f"{index}.png,{('black cat', 'dog', 'cat')[index % 3]}" for index in range(12)]
    table(tmp_path, "image,label", *rows)
    assert set(labels(tmp_path).values()) == {"black cat", "dog", "cat"}


def test_a_column_of_measurements_is_asked_about(tmp_path):
    table(tmp_path, "image,target", *(f"{index}.png,{index * 7}" for index in range(30)))
    assert lines_of(refused(tmp_path, "classification").fix) == ['label_column = "target"']


def test_an_empty_cell_of_pandas_is_no_class(tmp_path):
    table(tmp_path, "image,label", *(f"{i}.png,{('a', 'b', 'nan')[i % 3]}" for i in range(9)))
    assert refused(tmp_path, "classification").what == "row 4 has no class"


def test_patients_are_no_classes_where_a_table_tells_them(tmp_path):
    rows = ["Path,Sex,Edema"]
    for index in range(12):
        name = f"train/patient{index:03d}/study1/view1.jpg"
        save(photo(index), tmp_path / name)
        rows.append(f"Set-v1.0/{name},{'Male' if index % 2 else 'Female'},{index % 3 // 2}.0")
    write(tmp_path / "train.csv", "\n".join(rows))
    by_table, by_folder = lines_of(refused(tmp_path, "classification").fix)
    paste(tmp_path, by_table, 'image_column = "Path"', 'label_column = "Sex"')
    assert labels(tmp_path)["train/patient003/study1/view1.jpg"] == "Male"
    (tmp_path / "dataset.toml").unlink()
    paste(tmp_path, by_folder)
    assert not errors(check(tmp_path, "classification"))


def test_a_table_of_sizes_beside_class_folders_changes_nothing(tmp_path):
    class_folder(tmp_path)
    rows = [f"{name}/{i:02d}.png,32,{i}" for name in ("cat", "dog") for i in range(6)]
    write(tmp_path / "metadata.csv", "\n".join(["file,width,index", *rows]))
    assert len(labels(tmp_path)) == 12


def test_tables_in_split_folders_are_those_of_the_splits(tmp_path):
    for split in ("train", "valid"):
        rows = ["filename, cat, dog"]
        for index in range(4):
            save(image(index + len(split)), tmp_path / split / f"{split}{index}.jpg")
            rows.append(f"{split}{index}.jpg, {index % 2}, {1 - index % 2}")
        write(tmp_path / split / "_classes.csv", "\n".join(rows))
    dataset = load(tmp_path)
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 4,
        "validation": 4,
    }
    assert labels(tmp_path)["valid/valid1.jpg"] == "cat"


def test_a_table_in_utf_16_is_read_and_one_of_unknown_encoding_refused(tmp_path):
    path = table(tmp_path, "image\tlabel", *(f"{i}.png\t{'ä' if i % 2 else 'b'}" for i in range(8)))
    text = path.read_text(encoding="utf-8")
    path.write_bytes(text.encode("utf-16"))
    assert labels(tmp_path)["all/3.png"] == "ä"
    path.write_bytes(text.encode("latin-1"))
    assert refused(tmp_path, "classification").fix == "save it as UTF-8"


def pairs(root, images_at, masks_at, count=4, values=1):
    """The class masks of some images and masks, by number; the folders may hold {split}."""
    for place, split in enumerate(("train", "val")):
        for index in range(count):
            number = 10 * place + index
            save(photo(number), root / images_at.format(split=split) / f"{number}.jpg")
            mask = disc(number) * numpy.uint8(values)
            save(mask, root / masks_at.format(split=split) / f"{number}.png")


def masks_are_right(root, shift=0):
    """Whether training takes the folder and each mask is that of its image."""
    assert not errors(check(root, "segmentation"))
    dataset = load(root, "segmentation")
    assert {"train", "validation"} <= dataset.splits.keys()
    for split in dataset.splits.values():
        for index in range(len(split)):
            number = int(split.name(index).rpartition("/")[2].partition(".")[0].partition("_")[0])
            assert (split[index].mask == disc(number + shift)).all()
    return True


@pytest.mark.parametrize("top", ["", "set/"])
def test_mask_folders_within_the_splits_are_named_so_that_they_are_found(tmp_path, top):
    pairs(tmp_path, top + "{split}/images", top + "{split}/labels")
    for place, split in enumerate(("train", "val")):
        for index in range(4):
            number = 10 * place + index
            save(disc(number + 50), tmp_path / f"{top}{split}/instances/{number}.png")
    instances, labels_line = lines_of(refused(tmp_path, "segmentation").fix)
    assert (instances, labels_line) == ('masks = "instances"', 'masks = "labels"')
    paste(tmp_path, labels_line)
    assert masks_are_right(tmp_path)
    (tmp_path / "dataset.toml").write_text(instances)
    assert masks_are_right(tmp_path, shift=50)


@pytest.mark.parametrize(
    ("images_at", "masks_at", "lines"),
    [
        (
            "images/10k/{split}",
            "labels/sem_seg/masks/{split}",
            ("images/10k", "labels/sem_seg/masks"),
        ),
        ("ds0/img", "ds0/masks_machine", ("ds0/img", "ds0/masks_machine")),
        ("part/shots/{split}", "part/truth/fine/{split}", ("part/shots", "part/truth/fine")),
    ],
)
def test_images_and_masks_in_unusual_folders_are_named(tmp_path, images_at, masks_at, lines):
    pairs(tmp_path, images_at, masks_at)
    write(tmp_path / "meta.json", "{}")  # so that the only folder is not entered
    found = lines_of(refused(tmp_path, "segmentation").fix)
    assert found == [f'images = "{lines[0]}"', f'masks = "{lines[1]}"']
    paste(tmp_path, *found)
    assert not errors(check(tmp_path, "segmentation"))
    if "{split}" in images_at:
        assert masks_are_right(tmp_path)


def test_second_masks_in_the_folder_of_masks_have_no_images(tmp_path):
    pairs(tmp_path, "images", "masks")
    for number in (*range(4), *range(10, 14)):
        save(disc(number + 50), tmp_path / f"masks/{number}_gt.png")
    error = refused(tmp_path, "segmentation")
    assert "8 masks without an image: 0_gt" in error.what


def test_color_images_among_masks_are_warned_about(tmp_path):
    for index in range(4):
        save(photo(index), tmp_path / f"{index}_json/img.png")
        drawn = numpy.array([(0, 0, 0), (128, 0, 0)], "uint8")[disc(index)]
        save(drawn, tmp_path / f"{index}_json/label.png")
    (found,) = [f for f in check(tmp_path, "colorization").findings if f.kind == "drawn"]
    assert "4 images of few colors" in found.what and "label.png" in str(found.path)


def test_an_archive_is_to_be_unpacked(tmp_path):
    write(tmp_path / "images.zip", "PK")
    assert "unpack the archive first" in refused(tmp_path, "segmentation").fix


def test_cityscapes_by_coarse_masks_or_with_other_endings(tmp_path):
    for split, city in (("train", "aachen"), ("val", "ulm")):
        for index in range(3):
            frame = f"{city}_{index}"
            save(
                photo(index + len(split)),
                tmp_path / f"leftImg8bit/{split}/{city}/{frame}_leftImg8bit.png",
            )
            place = tmp_path / f"gtCoarse/{split}/{city}/{frame}_gtCoarse"
            save(disc(index) * numpy.uint8(7), place.with_name(f"{place.name}_labelIds.png"))
            save(disc(index), place.with_name(f"{place.name}_level3Ids.png"))
    dataset = load(tmp_path, "segmentation")
    mask = dataset.splits["train"][0].mask
    assert dataset.class_names[0] == "road" and len(dataset.class_names) == 19
    assert (mask == numpy.where(disc(0), 0, 255)).all()
    for path in tmp_path.rglob("*_labelIds.png"):
        path.unlink()
    lines = lines_of(refused(tmp_path, "segmentation").fix)
    assert lines[-1] == 'mask_suffix = "_gtCoarse_level3Ids"'
    paste(tmp_path, *lines)
    assert not errors(check(tmp_path, "segmentation"))
    assert (load(tmp_path, "segmentation").splits["train"][0].mask == disc(0)).all()


def test_decomposed_file_names_are_those_of_the_annotations(tmp_path):
    names = [f"Füße {index}.jpg" for index in range(4)]
    for index, name in enumerate(names):
        save(image(index, 12, 16), tmp_path / "images" / unicodedata.normalize("NFD", name))
    document = layout_sets.coco_document(names)
    write(tmp_path / "annotations/instances_default.json", document)
    assert not errors(check(tmp_path, "segmentation"))
    write(tmp_path / "labels.csv", "\n".join(["image,label", *(f"{n},{n[-5]}" for n in names)]))
    (tmp_path / "annotations/instances_default.json").unlink()
    found = labels(tmp_path, validation_split=0.0, test_split=0.0)
    assert sorted(found.values()) == ["0", "1", "2", "3"]
