"""The embedded data set: the same bytes everywhere, exact masks, one clear main object."""

import ast
import hashlib
import pathlib

import numpy
import pytest

from kerasdl.core.errors import ConfigError
from kerasdl.data.scenes import composition as scenes_layout
from kerasdl.data.scenes import dataset as scenes
from kerasdl.data.scenes import render as scenes_render

# Of 16 training samples: images, then masks, then labels as bytes. They change only together with
# scenes.VERSION; no machine and no version of NumPy may change them.
CHECKSUMS = {
    (64, 64): "4e71222a03687f73c61ef68e851678a9a72c2a4bce8daf53ae7f9e8e45ba9e1c",
    (48, 80): "48019e0352b3b759d92bb1905b554a52f07c485c21d285c0976a8c1e3b67878c",
}


@pytest.fixture(scope="module")
def samples():
    """200 test samples of the default size: images, labels and masks."""
    return scenes.SceneSplit("test", 200).take(range(200))


@pytest.mark.parametrize("size", CHECKSUMS)
def test_bytes_are_pinned(size):
    images, labels, masks = scenes.SceneSplit("train", 16, size).take(range(16))
    digest = hashlib.sha256()
    for part in (images, masks, labels.astype(numpy.uint8)):
        digest.update(part.tobytes())
    assert digest.hexdigest() == CHECKSUMS[size], f"scenes {scenes.VERSION} changed at {size}"


def test_drawing_uses_exactly_rounded_operations_only():
    # IEEE 754 fixes + - * / sqrt; libraries differ in the last bit of these, and in the order in
    # which they add floating-point numbers.
    allowed_sums = {"randomness.py"}  # sums of integers
    inexact = {"sin", "cos", "tan", "exp", "log", "power", "hypot", "arctan2", "cbrt"}
    unordered = {"mean", "std", "var", "dot", "matmul", "einsum", "average", "linalg", "sum"}
    files = sorted(pathlib.Path(scenes.__file__).parent.glob("*.py"))
    assert len(files) >= 5
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                names = inexact | (unordered - {"sum"} if path.name in allowed_sums else unordered)
                assert node.attr not in names, f"{path.name}:{node.lineno} {node.attr}"
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                constants = (node.left, node.right)
                message = f"{path.name}:{node.lineno} **"
                assert all(isinstance(ast.literal_eval(c), int) for c in constants), message


def test_shapes_and_types(samples):
    images, labels, masks = samples
    assert images.shape == (200, 64, 64, 3) and images.dtype == numpy.uint8
    assert masks.shape == (200, 64, 64) and masks.dtype == numpy.uint8
    assert labels.shape == (200,) and numpy.issubdtype(labels.dtype, numpy.integer)


def test_smaller_split_is_the_beginning_of_a_larger_one():
    small, large = scenes.SceneSplit("train", 13), scenes.SceneSplit("train", 40)
    for ours, theirs in zip(small.take(range(13)), large.take(range(13)), strict=True):
        numpy.testing.assert_array_equal(ours, theirs)


def test_sample_does_not_depend_on_the_others_drawn_with_it():
    split = scenes.SceneSplit("train", 600)  # more than one chunk
    for index in (0, 511, 512, 599):
        image, mask = split.draw(numpy.array([index]), (64, 64))
        numpy.testing.assert_array_equal(split[index].image, image[0])
        numpy.testing.assert_array_equal(split[index].mask, mask[0])


def test_splits_and_seeds_differ():
    parts = [scenes.SceneSplit(name, 12).take(range(12))[0] for name in scenes.SPLITS]
    parts.append(scenes.SceneSplit("train", 12, seed=1).take(range(12))[0])
    for first in range(4):
        for second in range(first):
            same = (parts[first] == parts[second]).all(axis=(1, 2, 3))
            assert not same.any()


def test_random_access_agrees_with_take():
    split = scenes.SceneSplit("validation", 9)
    indices = [7, 0, 7, 3]
    images, labels, masks = split.take(indices)
    for place, index in enumerate(indices):
        sample = split[index]
        numpy.testing.assert_array_equal(sample.image, images[place])
        numpy.testing.assert_array_equal(sample.mask, masks[place])
        assert sample.label == labels[place]
    assert len(split) == 9
    numpy.testing.assert_array_equal(split[-1].image, split[8].image)
    assert split.name(3) == f"validation/00003-{scenes.CLASS_NAMES[split[3].label]}"
    for index in (9, -10):
        with pytest.raises(IndexError):
            split[index]


def test_samples_handed_out_can_be_changed_without_harm():
    split = scenes.SceneSplit("validation", 3)
    before = split[1].image.copy()
    split[1].image[:] = 0
    split.take([1])[0][:] = 0
    numpy.testing.assert_array_equal(split[1].image, before)


def test_memory_limit_changes_nothing_but_memory(monkeypatch):
    indices = [11, 2, 8, 5, 2]
    expected = scenes.SceneSplit("train", 12).take(indices)
    monkeypatch.setattr(scenes, "KEPT_BYTES", 6 * 64 * 64 * 4)
    limited = scenes.SceneSplit("train", 12)
    for ours, theirs in zip(limited.take(indices), expected, strict=True):
        numpy.testing.assert_array_equal(ours, theirs)
    assert len(limited._store((64, 64)).images) == 6


def test_another_size_shows_the_same_scenes():
    split = scenes.SceneSplit("train", 30, (32, 32))
    _, labels, small = split.take(range(30))
    images, same_labels, large = split.take(range(30), (96, 96))
    assert images.shape == (30, 96, 96, 3)
    numpy.testing.assert_array_equal(labels, same_labels)
    # The pixel in the middle of each 3x3 block of the large mask lies where the small one has its.
    agree = (small == large[:, 1::3, 1::3]).mean(axis=(1, 2))
    assert agree.min() > 0.9 and agree.mean() > 0.97


@pytest.mark.parametrize("size", [(8, 8), (8, 90), (200, 24)])
def test_any_size(size):
    images, _, masks = scenes.SceneSplit("train", 20, size).take(range(20))
    assert images.shape == (20, *size, 3)
    assert images.std(axis=(1, 2)).min() > 1
    assert masks.max() < len(scenes.MASK_CLASS_NAMES)


def test_each_class_once_in_every_ten():
    for split in scenes.SPLITS:
        labels = scenes.SceneSplit(split, 50).labels().reshape(5, 10)
        numpy.testing.assert_array_equal(numpy.sort(labels, axis=1), numpy.tile(range(10), (5, 1)))
        assert (labels[0] != labels[1]).any()


def test_main_object_is_the_largest(samples):
    _, labels, masks = samples
    counts = numpy.stack([numpy.bincount(mask.ravel(), minlength=13) for mask in masks])[:, 3:]
    main = numpy.take_along_axis(counts, labels[:, None], 1)[:, 0]
    numpy.put_along_axis(counts, labels[:, None], 0, 1)
    assert main.min() > 0.05 * 64 * 64
    assert (main / counts.max(axis=1).clip(1)).min() > 1.2
    beside = (counts.max(axis=1) > 0).mean()
    assert 0.4 < beside < 0.6  # something else stands beside it in about half of the scenes


def test_every_class_is_in_the_masks_often_enough_to_be_learned(samples):
    masks = samples[2]
    fractions = numpy.bincount(masks.ravel(), minlength=13) / masks.size
    assert len(fractions) == 13
    assert fractions.min() > 0.015


def test_mask_is_exact_where_the_sky_is_plain():
    # Without texture, clouds, grain and sun the sky is a gradient along y, so that every pixel
    # that differs from its row's color belongs to something else, and the other way round.
    layout = scenes_layout.draw(scenes.DATA_SEED, 0, numpy.arange(40))
    layout.clouds[:] = 100
    layout.sun[:, 2] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes_layout, "GRAIN", 0.0)
        images, masks = scenes_render.render(layout, 64, 64)
    sky = masks == 0
    told_apart = []
    for image, inside in zip(images[:, :24], sky[:, :24], strict=True):
        for row in range(24):
            colors = image[row][inside[row]]
            assert (colors == colors[:1]).all()
            told_apart.extend((image[row][~inside[row]] != image[row][inside[row]][:1]).any(axis=1))
    assert len(told_apart) > 1000
    assert numpy.mean(told_apart) > 0.99


def test_dataset_names_its_classes_by_task():
    labels = scenes.load(annotation="label")
    masks = scenes.load(annotation="mask")
    colors = scenes.load(annotation="none")
    assert labels.class_names == scenes.CLASS_NAMES and len(labels.class_names) == 10
    assert masks.class_names == ("sky", "ground", "water", *scenes.CLASS_NAMES)
    assert colors.class_names == ()
    for dataset in (labels, masks, colors):
        assert len(dataset.palette) == len(dataset.class_names)
        assert {name: len(split) for name, split in dataset.splits.items()} == {
            "train": 2000,
            "validation": 500,
            "test": 500,
        }
    assert len(set(masks.palette)) == 13


def test_dataset_sizes_and_fingerprint():
    dataset = scenes.load(train_size=30, test_size=7, image_size=(16, 24))
    assert [len(split) for split in dataset.splits.values()] == [30, 500, 7]
    assert dataset.splits["test"][0].image.shape == (16, 24, 3)
    assert scenes.VERSION in dataset.source
    again = scenes.load(train_size=30, test_size=7, image_size=(16, 24))
    assert dataset.fingerprint == again.fingerprint
    others = (
        scenes.load(train_size=31, test_size=7, image_size=(16, 24)),
        scenes.load(train_size=30, test_size=7, image_size=(16, 25)),
        scenes.load(train_size=30, test_size=7, image_size=(16, 24), seed=3),
    )
    assert len({dataset.fingerprint, *(other.fingerprint for other in others)}) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": (7, 64)}, r"8 to 1024 pixels.*\(7, 64\)"),
        ({"image_size": (64, 1025)}, r"8 to 1024 pixels.*\(64, 1025\)"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        scenes.load(**options)
