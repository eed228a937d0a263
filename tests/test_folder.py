"""Data folders: which layouts are understood, how splits are made, rows 53 to 56 and 76 to 95."""

import os
import shutil
import unicodedata

import numpy
import pytest
from data_fixtures import (
    class_folder,
    data_error,
    image,
    load,
    mask,
    mask_folder,
    save,
    split_class_folder,
    tree_hash,
)

from kerasdl.data.folder import waiting


def sizes(dataset):
    return {name: len(split) for name, split in dataset.splits.items()}


def names(dataset):
    return {name: split.names() for name, split in dataset.splits.items()}


def move(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


# Classification


def test_class_folders_with_splits(tmp_path):
    dataset = load(split_class_folder(tmp_path))
    assert sizes(dataset) == {"train": 8, "validation": 4, "test": 4}
    assert dataset.class_names == ("cat", "dog")
    train = dataset.splits["train"]
    assert train.name(0) == "train/cat/00.png"
    assert train.labels().tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert train[7].label == 1 and train[7].mask is None
    assert (train[4].image == image(100)).all()


@pytest.mark.parametrize("spelling", ["valid", "validation", "Val", "dev"])
def test_other_names_of_the_validation_folder(tmp_path, spelling):
    dataset = load(split_class_folder(tmp_path, {"train": 4, spelling: 2}))
    assert sizes(dataset) == {"train": 8, "validation": 4}


def test_without_splits_they_are_made_by_the_seed(tmp_path):
    root = class_folder(tmp_path, (20, 20))
    values = {"validation_split": 0.2, "test_split": 0.1, "split_seed": 3}
    first, again = load(root, **values), load(root, **values)
    assert sizes(first) == {"train": 28, "validation": 8, "test": 4}
    assert names(first) == names(again)
    assert names(first) != names(load(root, **{**values, "split_seed": 4}))
    everything = [name for split in first.splits.values() for name in split.names()]
    assert len(set(everything)) == 40
    for split in first.splits.values():
        labels = split.labels()
        assert (labels == 0).sum() == (labels == 1).sum()


def test_seeds_of_the_training_share_their_images(tmp_path):
    root = class_folder(tmp_path, (20, 20))
    assert names(load(root, seed=1, test_size=2)) == names(load(root, seed=2, test_size=2))


def test_missing_validation_comes_from_train_and_test_stays(tmp_path):
    dataset = load(split_class_folder(tmp_path, {"train": 10, "test": 2}), validation_split=0.3)
    assert sizes(dataset) == {"train": 14, "validation": 6, "test": 4}
    assert all(name.startswith("train/") for name in dataset.splits["validation"].names())


def test_a_missing_test_folder_is_not_made_from_validation(tmp_path):
    dataset = load(split_class_folder(tmp_path, {"train": 4, "val": 2}))
    assert sizes(dataset) == {"train": 8, "validation": 4}


def test_size_caps_take_a_seeded_sample(tmp_path):
    root = split_class_folder(tmp_path, {"train": 10, "val": 5})
    dataset = load(root, train_size=6, validation_size=100, split_seed=1)
    assert sizes(dataset) == {"train": 6, "validation": 10}
    assert names(dataset)["train"] == sorted(names(dataset)["train"])
    assert names(dataset) == names(load(root, train_size=6, validation_size=100, split_seed=1))
    assert names(dataset) != names(load(root, train_size=6, validation_size=100, split_seed=2))


def test_class_order_is_by_code_point(tmp_path):
    root = class_folder(tmp_path, (1,) * 5, ("b", "a", "Z", "ä", "10"))
    dataset = load(root, validation_split=0.0, test_split=0.0)
    assert dataset.class_names == ("10", "Z", "a", "b", "ä")
    root.joinpath("classes.txt").write_text("a\nb\nZ\n10\nä\n")
    dataset = load(root, validation_split=0.0, test_split=0.0)
    assert dataset.class_names == ("a", "b", "Z", "10", "ä")
    labels = dict(zip(names(dataset)["train"], dataset.splits["train"].labels(), strict=True))
    assert labels["a/00.png"] == 0 and labels["10/00.png"] == 3


def test_class_names_that_differ_from_the_folders(tmp_path):
    root = class_folder(tmp_path)
    root.joinpath("classes.txt").write_text("cat\nhorse\n")
    error = data_error(load, root)
    assert "no folder: horse" in error.what and "no name: dog" in error.what


def test_unicode_spaces_and_case(tmp_path):
    dataset = load(class_folder(tmp_path, (4, 4, 4), ("große Katze", "Cat", "cat")))
    assert dataset.class_names == ("Cat", "cat", "große Katze")


def test_names_that_look_the_same(tmp_path):
    spelled = [unicodedata.normalize(form, "käfer") for form in ("NFC", "NFD")]
    error = data_error(load, class_folder(tmp_path, (3, 3), spelled))
    assert "look the same" in error.what and "NFC" in error.fix


@pytest.mark.parametrize("task", ["classification", "segmentation", "colorization"])
def test_missing_and_empty_folders(tmp_path, task):
    error = data_error(load, tmp_path / "nothing", task)
    assert error.path == tmp_path / "nothing" and "no such" in error.what
    (tmp_path / "empty").mkdir()
    error = data_error(load, tmp_path / "empty", task)
    assert "empty" in error.what and "expected" in error.fix
    (tmp_path / "notes.txt").write_text("x")
    assert "1 .txt" in data_error(load, tmp_path, task).what
    assert "not a folder" in data_error(load, tmp_path / "notes.txt", task).what


def test_no_class_folders(tmp_path):
    save(image(), tmp_path / "a.png")
    error = data_error(load, tmp_path)
    assert "no class folders" in error.what and "one folder per class" in error.fix


def test_a_level_too_high(tmp_path):
    class_folder(tmp_path / "images" / "photos")
    error = data_error(load, tmp_path)
    assert "only one class folder" in error.what
    assert f"did you mean {tmp_path / 'images' / 'photos'}?" in error.fix


def test_masks_are_no_classes(tmp_path):
    error = data_error(load, mask_folder(tmp_path))
    assert "masks" in error.what and "segmentation" in error.fix


def test_images_beside_class_folders(tmp_path):
    save(image(), class_folder(tmp_path) / "loose.png")
    error = data_error(load, tmp_path)
    assert "1 image beside the class folders" in error.what and "loose.png" in error.path


def test_no_training_images(tmp_path):
    error = data_error(load, split_class_folder(tmp_path, {"val": 2, "test": 2}))
    assert "no training images" in error.what and "train/" in error.fix


def test_too_few_to_split(tmp_path):
    root = class_folder(tmp_path, (1, 1))
    error = data_error(load, root)
    assert "2 training images are too few" in error.what
    assert "--set validation_split=0 --set test_split=0" in error.fix
    assert sizes(load(root, validation_split=0.0, test_split=0.0)) == {"train": 2}


def test_class_without_training_images(tmp_path):
    save(image(77), split_class_folder(tmp_path) / "val" / "owl" / "a.png")
    error = data_error(load, tmp_path)
    assert "'owl' has no training images" in error.what
    (tmp_path / "train" / "owl").mkdir()
    assert "'owl'" in data_error(load, tmp_path).what


def test_class_without_validation_images_is_fine(tmp_path):
    root = split_class_folder(tmp_path)
    shutil.rmtree(root / "val" / "dog")
    dataset = load(root)
    assert dataset.class_names == ("cat", "dog") and sizes(dataset)["validation"] == 2


def test_empty_validation_folder_counts_as_missing(tmp_path):
    (split_class_folder(tmp_path, {"train": 10}) / "val").mkdir()
    assert sizes(load(tmp_path)) == {"train": 18, "validation": 2}


# Segmentation


@pytest.mark.parametrize("layout", ["masks", "split first", "camvid", "named"])
def test_layouts_with_masks(tmp_path, layout):
    root = mask_folder(tmp_path, 3, splits=("train", "val", "test"))
    for split in ("train", "val", "test"):
        if layout == "split first":
            move(root / "images" / split, root / split / "images")
            move(root / "masks" / split, root / split / "masks")
        elif layout == "camvid":
            move(root / "images" / split, root / split)
            move(root / "masks" / split, root / f"{split}annot")
        elif layout == "named":
            move(root / "images" / split, root / "images" / f"fold_{split}")
            move(root / "masks" / split, root / "masks" / f"fold_{split}")
    if layout == "named":
        folders = "".join(f'{key} = "images/fold_{key}"\n' for key in ("train", "val", "test"))
        (root / "dataset.toml").write_text(folders)
    if layout in ("split first", "camvid"):
        (root / "images").rmdir()
        (root / "masks").rmdir()
    dataset = load(root, "segmentation")
    assert sizes(dataset) == {"train": 3, "validation": 3, "test": 3}
    sample = dataset.splits["validation"][1]
    assert sample.label is None and (sample.mask == mask(1001)).all()
    assert dataset.class_names == ("background", "thing")
    # The same folder without its masks is a set for colorization.
    colored = load(root, "colorization")
    assert sizes(colored) == {"train": 3, "validation": 3, "test": 3}
    assert all("mask" not in name and "annot" not in name for name in names(colored)["train"])


def test_flat_masks_are_split_by_the_seed(tmp_path):
    dataset = load(mask_folder(tmp_path), "segmentation")
    assert sizes(dataset) == {"train": 10, "validation": 1, "test": 1}
    split = dataset.splits["train"]
    number = int(split.name(0)[-6:-4])
    assert (split[0].mask == mask(number)).all()


def test_classes_are_counted_where_no_names_are_given(tmp_path):
    dataset = load(mask_folder(tmp_path, classes=3, names=()), "segmentation")
    assert dataset.class_names == ("class_0", "class_1", "class_2")
    assert dataset.palette == ((0, 0, 0), (128, 0, 0), (0, 128, 0))


def test_void_line_and_configured_ignore_labels(tmp_path):
    root = mask_folder(tmp_path, classes=3, names=("a", "b", "void"))
    dataset = load(root, "segmentation", ignore_labels=[200])
    assert dataset.class_names == ("a", "b") and dataset.ignore_labels == (2, 200)


def test_value_outside_on_reading(tmp_path):
    root = mask_folder(tmp_path)
    save(mask(0, classes=5), root / "masks" / "03.png")
    split = load(root, "segmentation", validation_split=0.0, test_split=0.0).splits["train"]
    assert "03.png" in str(data_error(split.__getitem__, 3).path)


@pytest.mark.parametrize(
    ("scale", "said"), [(255, "mask_values = { 0 = 0, 255 = 1 }"), (50, "50 = 1")]
)
def test_unnamed_values_that_are_no_indices(tmp_path, scale, said):
    root = mask_folder(tmp_path, names=())
    for path in (root / "masks").iterdir():
        save(mask(0) * scale, path)
    error = data_error(load, root, "segmentation")
    assert said in error.fix
    (root / "dataset.toml").write_text(error.fix.partition("dataset.toml: ")[2])
    assert load(root, "segmentation").class_names == ("class_0", "class_1")


def test_unnamed_255_asks_for_the_ignore_label(tmp_path):
    root = mask_folder(tmp_path, classes=4, names=())
    void = mask(0, classes=4)
    void[3] = 255
    save(void, root / "masks" / "05.png")
    assert "ignore_label = 255" in data_error(load, root, "segmentation").fix
    dataset = load(root, "segmentation", ignore_labels=[255])
    assert len(dataset.class_names) == 4 and dataset.ignore_labels == (255,)


def test_mask_of_another_size(tmp_path):
    root = mask_folder(tmp_path)
    save(mask(0, 16, 32), root / "masks" / "03.png")
    split = load(root, "segmentation", validation_split=0.0, test_split=0.0).splits["train"]
    error = data_error(split.__getitem__, 3)
    assert "32x16" in error.what and "32x32" in error.what
    assert "03.jpg" in error.what and "03.png" in str(error.path)


def test_missing_masks_and_images(tmp_path):
    root = mask_folder(tmp_path)
    (root / "masks" / "04.png").unlink()
    (root / "masks" / "07.png").unlink()
    assert "2 images without a mask: 04, 07" in data_error(load, root, "segmentation").what
    assert sum(sizes(load(root, "segmentation", skip_invalid=True)).values()) == 10
    shutil.copy(root / "masks" / "01.png", root / "masks" / "04.png")
    shutil.copy(root / "masks" / "01.png", root / "masks" / "07.png")
    (root / "images" / "02.jpg").unlink()
    assert "1 mask without an image: 02" in data_error(load, root, "segmentation").what


def test_no_mask_folder(tmp_path):
    root = mask_folder(tmp_path)
    shutil.rmtree(root / "masks")
    assert "no masks" in data_error(load, root, "segmentation").what
    (root / "labels").mkdir()
    (root / "labels" / "00.txt").write_text("0 0.5 0.5 0.1 0.1")
    assert ".txt" in data_error(load, root, "segmentation").fix


def test_masks_with_a_usual_ending_and_composed_names(tmp_path):
    root = mask_folder(tmp_path, 10)
    for path in sorted((root / "masks").iterdir())[:5]:
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    (root / "images" / "09.jpg").rename(root / "images" / unicodedata.normalize("NFD", "ä.jpg"))
    (root / "masks" / "09.png").rename(root / "masks" / unicodedata.normalize("NFC", "ä.png"))
    assert sum(sizes(load(root, "segmentation")).values()) == 10


def test_two_images_of_one_name(tmp_path):
    save(image(), mask_folder(tmp_path) / "images" / "03.png")
    error = data_error(load, tmp_path, "segmentation")
    assert "03.jpg" in error.what and "03.png" in error.what


# Colorization, and all tasks


def test_any_tree_of_images(tmp_path):
    for index in range(12):
        save(image(index), tmp_path / "ab"[index % 2] / "deep" / f"{index}.jpg")
    dataset = load(tmp_path, "colorization")
    assert sizes(dataset) == {"train": 10, "validation": 1, "test": 1}
    assert dataset.class_names == () and dataset.splits["train"][0].label is None


def test_class_folders_can_be_colorized(tmp_path):
    dataset = load(split_class_folder(tmp_path), "colorization")
    assert sizes(dataset) == {"train": 8, "validation": 4, "test": 4}


def test_hidden_and_system_files_are_ignored(tmp_path):
    root = class_folder(tmp_path)
    for name in (".DS_Store", "cat/._00.jpg", "Thumbs.db", "cat/desktop.ini"):
        (root / name).write_bytes(b"x")
    save(image(), root / ".cache" / "a.png")
    save(image(), root / "__MACOSX" / "cat" / "a.png")
    dataset = load(root)
    assert sum(sizes(dataset).values()) == 12 and dataset.class_names == ("cat", "dog")


def test_links_and_pipes(tmp_path):
    root = class_folder(tmp_path / "data")
    os.symlink(root, root / "cat" / "loop")
    os.symlink(root / "cat" / "gone.png", root / "cat" / "dangling.png")
    os.mkfifo(root / "dog" / "pipe.png")
    save(image(500), tmp_path / "elsewhere" / "x.png")
    os.symlink(tmp_path / "elsewhere", root / "dog" / "more")
    dataset = load(root)
    everything = [name for split in names(dataset).values() for name in split]
    assert len(everything) == 13 and "dog/more/x.png" in everything


def test_names_that_are_not_utf8(tmp_path):
    root = class_folder(tmp_path)
    try:
        os.rename(root / "cat" / "00.png", os.fsencode(root / "cat") + b"/\xff\xfe.png")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    dataset = load(root, validation_split=0.0, test_split=0.0)
    (index,) = [i for i, name in enumerate(names(dataset)["train"]) if "\\xff\\xfe.png" in name]
    assert (dataset.splits["train"][index].image == image(0)).all()
    dataset.splits["train"].name(index).encode("utf-8")


def test_bad_files(tmp_path):
    root = class_folder(tmp_path, (10, 10))
    for index in (1, 4):
        (root / "cat" / f"{index:02d}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    splits = load(root, validation_split=0.0, test_split=0.0).splits
    assert "cat/01.png" in str(data_error(splits["train"].__getitem__, 1).path)
    dataset = load(root, validation_split=0.0, test_split=0.0, skip_invalid=True)
    train = dataset.splits["train"]
    assert len(train) == 18
    assert [name for name, _ in train.skipped] == ["cat/01.png", "cat/04.png"]
    assert "cat/04.png" in train.skipped[1][1]
    for path in (root / "dog").iterdir():
        path.write_bytes(b"")
    error = data_error(lambda: load(root, skip_invalid=True, validation_split=0.0, test_split=0.0))
    assert "12 of 20 samples cannot be used" in error.what and "dog/05.png" in error.what


def test_file_vanishes_after_the_scan(tmp_path):
    split = load(class_folder(tmp_path)).splits["train"]
    path = tmp_path / split.name(2)
    path.unlink()
    error = data_error(split.__getitem__, 2)
    assert error.path == path and "no such file" in error.what


def test_fingerprint_sees_names_and_sizes_not_times(tmp_path):
    root = class_folder(tmp_path)
    first = load(root).fingerprint
    os.utime(root / "cat" / "00.png", (1, 1))
    assert load(root).fingerprint == first
    save(image(9, 40, 40), root / "cat" / "00.png")
    changed = load(root).fingerprint
    (root / "cat" / "00.png").rename(root / "cat" / "zz.png")
    assert len({first, changed, load(root).fingerprint}) == 3


def test_facts_from_dataset_toml(tmp_path):
    root = mask_folder(tmp_path / "My Data!", names=())
    (root / "dataset.toml").write_text(
        'names = ["a", "b"]\npalette = ["#010203", "#040506"]\nlicense = "CC0"\nsource = "here"\n'
    )
    dataset = load(root, "segmentation")
    assert dataset.palette == ((1, 2, 3), (4, 5, 6))
    assert (dataset.name, dataset.license, dataset.source) == ("my-data", "CC0", "here")


@pytest.mark.parametrize("task", ["segmentation", "colorization"])
def test_inputs_are_never_changed(tmp_path, task):
    root = mask_folder(tmp_path)
    before = tree_hash(root)
    for split in load(root, task, skip_invalid=True).splits.values():
        for index in range(len(split)):
            split[index].image[:] = 0
    assert tree_hash(root) == before


# Arrays


def write_arrays(path, **changes):
    content = {
        "x_train": image(0, 40 * 8, 8).reshape(40, 8, 8, 3),
        "y_train": numpy.arange(40) % 4,
        "x_test": image(1, 10 * 8, 8).reshape(10, 8, 8, 3),
        "y_test": numpy.arange(10)[:, None] % 4,
        "classes": numpy.array(["a", "b", "c", "d"]),
    }
    content.update(changes)
    numpy.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


def test_arrays(tmp_path):
    path = write_arrays(tmp_path / "data.npz")
    dataset = load(path)
    assert sizes(dataset) == {"train": 36, "validation": 4, "test": 10}
    assert dataset.class_names == ("a", "b", "c", "d") and dataset.name == "data"
    assert sorted(dataset.splits["validation"].labels()) == [0, 1, 2, 3]
    train = dataset.splits["train"]
    place = int(train.name(5).removeprefix("train/"))
    with numpy.load(path) as stored:
        assert (train[5].image == stored["x_train"][place]).all() and train[5].label == place % 4
    images, labels, none = train.take(numpy.array([5, 1]), (8, 8))
    assert none is None and images.shape == (2, 8, 8, 3)
    assert (images[0] == train[5].image).all() and labels[1] == train[1].label
    assert train.take(numpy.array([5]), (9, 9)) is None
    assert load(path).fingerprint == dataset.fingerprint


def test_gray_arrays_and_colorization(tmp_path):
    gray = image(3, 40 * 8, 8)[:, :, 0].reshape(40, 8, 8)
    path = write_arrays(tmp_path / "data.npz", x_train=gray, x_test=None, y_test=None, classes=None)
    (tmp_path / "classes.txt").write_text("p\nq\nr\ns\n")
    dataset = load(path, validation_split=0.0)
    assert dataset.class_names == ("p", "q", "r", "s") and sizes(dataset) == {"train": 40}
    sample = dataset.splits["train"][-1]
    assert sample.image.shape == (8, 8, 3) and (sample.image == gray[-1, :, :, None]).all()
    sample = load(path, "colorization", train_size=3).splits["train"]
    assert len(sample) == 3 and sample[0].label is None and sample.labels() is None


def test_one_group_of_arrays_is_split(tmp_path):
    path = tmp_path / "a.npz"
    numpy.savez(path, images=image(0, 80, 4).reshape(20, 4, 4, 3), labels=numpy.arange(20) % 2)
    assert sizes(load(path)) == {"train": 16, "validation": 2, "test": 2}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x_train": None}, "no training images"),
        ({"y_train": None}, "without 'y_train'"),
        ({"y_train": numpy.zeros(3, int)}, "for 40 images"),
        ({"y_train": numpy.arange(40) % 5}, "labels [4] are outside"),
        ({"x_train": numpy.zeros((40, 8, 8, 3), "float32")}, "range"),
        ({"x_train": numpy.zeros((40, 8, 8, 4), "uint8")}, "shape"),
        ({"y_train": numpy.array([None] * 40)}, "not a readable .npz"),
    ],
)
def test_wrong_arrays(tmp_path, changes, said):
    path = write_arrays(tmp_path / "data.npz", **changes)
    error = data_error(load, path)
    assert said in error.what and error.path == path


def test_arrays_that_are_no_npz(tmp_path):
    assert "no such file" in data_error(load, tmp_path / "a.npz").what
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 broken")
    assert "not a readable" in data_error(load, tmp_path / "a.npz").what
    assert "masks" in data_error(load, tmp_path / "a.npz", "segmentation").fix


@pytest.mark.parametrize("named", [False, True])
def test_long_reading_of_unnamed_masks_is_announced(tmp_path, caplog, monkeypatch, named):
    monkeypatch.setattr(waiting, "PATIENCE", -1)
    names = ("a", "b") if named else ()
    with caplog.at_level("INFO", logger="kerasdl"):
        load(mask_folder(tmp_path, names=names), "segmentation")
    expected = "the values of all 12 masks are read; to start at once, put the names into"
    assert [expected in message for message in caplog.messages] == [True] * (not named)


def test_a_class_of_a_single_mask_counts(tmp_path):
    mask_folder(tmp_path, names=())
    save(mask(7, classes=4), tmp_path / "masks/07.png")
    assert len(load(tmp_path, "segmentation").class_names) == 4
