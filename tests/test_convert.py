"""`kerasdl data convert`: plain folders that mean what the data meant, bytes of images kept."""

import numpy
import PIL.Image
import pytest
from data_fixtures import (
    class_folder,
    image,
    load,
    mask,
    mask_folder,
    save,
    split_class_folder,
    tree_hash,
)

from kerasdl.core.errors import ConfigError, DataError
from kerasdl.tools import datashow


def samples(dataset):
    """What the samples hold, by split, in an order that does not depend on their names."""
    found = {}
    for split, part in dataset.splits.items():
        each = [part[index] for index in range(len(part))]
        found[split] = sorted(
            (s.image.tobytes(), s.label, None if s.mask is None else s.mask.tobytes()) for s in each
        )
    return found


def same(source, out, task, **values):
    values = {"validation_split": 0.0, "test_split": 0.0, **values}
    before, after = load(source, task, **values), load(out, task, **values)
    assert before.class_names == after.class_names and before.palette == after.palette
    assert before.ignore_labels == after.ignore_labels
    assert samples(before) == samples(after)


@pytest.mark.parametrize("splits", [("",), ("train", "val", "test")])
def test_masks_of_any_encoding_become_indices(tmp_path, splits):
    root = mask_folder(tmp_path / "in", 4, classes=3, splits=splits, names=())
    colors = numpy.array([[0, 0, 0], [128, 0, 0], [7, 7, 7], [255, 255, 255]], "uint8")
    for path in (root / "masks").rglob("*.png"):
        stored = numpy.asarray(PIL.Image.open(path)).copy()
        stored[0, :5] = 3
        save(colors[stored], path)
    (root / "dataset.toml").write_text(
        'names = ["a", "b", "c"]\nlicense = "CC0"\n'
        'mask_values = { "#000000" = 0, "#800000" = 1, "#070707" = 2, "#ffffff" = "ignore" }\n'
    )
    before = tree_hash(root)
    line = datashow.convert({"data": str(root)}, tmp_path / "out")
    assert f"{4 * len(splits)} images, 3 classes" in line
    assert tree_hash(root) == before
    same(root, tmp_path / "out", "segmentation")
    stored = next((tmp_path / "out" / "masks").rglob("*.png"))
    assert numpy.unique(numpy.asarray(PIL.Image.open(stored))).tolist() == [0, 1, 2, 255]
    images = sorted(path.read_bytes() for path in (root / "images").rglob("*.jpg"))
    copied = (tmp_path / "out" / "images").rglob("*.jpg")
    assert sorted(path.read_bytes() for path in copied) == images
    assert not datashow.check({"data": str(tmp_path / "out")}).failed or len(splits) == 1


def test_class_folders_keep_names_order_and_splits(tmp_path):
    root = split_class_folder(tmp_path / "in", names=("zebra", "ant"))
    (root / "classes.txt").write_text("zebra\nant\n")
    datashow.convert({"data": str(root)}, tmp_path / "out", "classification")
    same(root, tmp_path / "out", "classification")


def test_arrays_become_png(tmp_path):
    images = image(0, 80, 4).reshape(20, 4, 4, 3)
    numpy.savez(tmp_path / "a.npz", images=images, labels=numpy.arange(20) % 2)
    datashow.convert({"data": str(tmp_path / "a.npz")}, tmp_path / "out", "classification")
    same(tmp_path / "a.npz", tmp_path / "out", "classification")


def test_equal_names_from_different_folders_stay_apart(tmp_path):
    for folder in "ab":
        save(image(ord(folder)), tmp_path / "in" / "images" / folder / "x.png")
        save(mask(ord(folder)), tmp_path / "in" / "masks" / folder / "x.png")
    datashow.convert({"data": str(tmp_path / "in")}, tmp_path / "out", "segmentation")
    same(tmp_path / "in", tmp_path / "out", "segmentation")


def test_outputs_that_are_refused(tmp_path):
    root = class_folder(tmp_path / "in")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    for out in (tmp_path / "full", root / "out", tmp_path, root):
        before = tree_hash(tmp_path)
        with pytest.raises(ConfigError):
            datashow.convert({"data": str(root)}, out)
        assert tree_hash(tmp_path) == before


def test_nothing_is_left_behind_when_a_sample_cannot_be_read(tmp_path):
    root = mask_folder(tmp_path / "in")
    (root / "images" / "03.jpg").write_bytes(b"")
    with pytest.raises(Exception, match="empty"):
        datashow.convert({"data": str(root)}, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_class_names_that_mean_something_else_as_folders_stay_classes(tmp_path):
    names = ["train", "val", "images", "masks", "seg_train", ".x", "a/b", "Cat", "cat"]
    rows = ["image,label"]
    for index in range(2 * len(names)):
        save(image(index), tmp_path / f"in/all/{index}.png")
        rows.append(f"{index}.png,{names[index % len(names)]}")
    (tmp_path / "in/table.csv").write_text("\n".join(rows))
    datashow.convert({"data": str(tmp_path / "in")}, tmp_path / "out", "classification")
    split = load(tmp_path / "out", validation_split=0.0, test_split=0.0)
    changed = {".x": "x", "a/b": "a-b", "cat": "cat-3"}
    assert sorted(split.class_names) == sorted(changed.get(name, name) for name in names)
    samples = split.splits["train"]
    for index in range(len(samples)):
        number = int(samples.name(index).rpartition("/")[2].removesuffix(".png"))
        name = names[number % len(names)]
        assert split.class_names[samples[index].label] == changed.get(name, name)


def test_more_than_255_classes_have_names_but_no_masks(tmp_path):
    names = tuple(f"c{index:03d}" for index in range(256))
    class_folder(tmp_path / "in", (1,) * 256, names)
    datashow.convert({"data": str(tmp_path / "in")}, tmp_path / "out", "classification")
    assert load(tmp_path / "out", validation_split=0.0, test_split=0.0).class_names == names
    root = mask_folder(tmp_path / "masked", names=names)
    with pytest.raises(DataError, match="256 classes"):
        load(root, "segmentation")
