"""Siblings of the cases of test_real_world: the same kinds of faults, other instances."""

import pathlib
import re

import layout_fixtures
import layout_sets
import numpy
import PIL.Image
import pytest
from data_fixtures import class_folder, load, save
from layout_fixtures import read
from test_real_world import (
    check,
    disc,
    discs,
    errors,
    lines_of,
    palette_png,
    paste,
    photo,
    refused,
    shares,
    true_share,
)

COUNT = 12
BLACK_WHITE, WHITE_BLACK = [0, 0, 0, 255, 255, 255], [255, 255, 255, 0, 0, 0]


def share_of_discs(root, *lines):
    """Share of class 1 after some lines were pasted; the file is removed again."""
    paste(root, *lines)
    assert not errors(check(root))
    found = shares(root)
    (root / "dataset.toml").unlink()
    return found[1]


@pytest.mark.parametrize("named", [False, True])
def test_masks_of_0_and_1_among_masks_of_0_and_255_are_asked_about(tmp_path, named):
    discs(tmp_path)
    for index in range(0, COUNT, 2):
        save(disc(index, inside=255), tmp_path / f"masks/{index}.png")
    if named:
        paste(tmp_path, 'names = ["background", "disc"]')
    ignore, same = lines_of(refused(tmp_path, "segmentation").fix)
    assert ignore == "ignore_label = 255" and same == "mask_values = { 0 = 0, 1 = 1, 255 = 1 }"
    (tmp_path / "dataset.toml").unlink(missing_ok=True)
    assert share_of_discs(tmp_path, same) == pytest.approx(true_share())


def test_255_beside_class_1_in_one_mask_is_no_class(tmp_path):
    def draw(index):
        mask = disc(index)
        mask[0] = 255
        return mask

    discs(tmp_path, draw=draw)
    assert lines_of(refused(tmp_path, "segmentation").fix) == ["ignore_label = 255"]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("factor", [2, 3])
def test_few_values_along_edges_are_asked_about(tmp_path, factor, named):
    def draw(index):
        small = disc(index, inside=255).astype("float32")
        smooth = (small + numpy.roll(small, 1, 1)) / 2 if factor == 2 else small
        if factor == 3:
            smooth = sum(numpy.roll(small, step, 1) for step in (-1, 0, 1)) / 3
        return smooth.round().astype("uint8")

    discs(tmp_path, draw=draw)
    if named:
        paste(tmp_path, 'names = ["background", "disc"]')
    threshold, classes = lines_of(refused(tmp_path, "segmentation").fix)
    assert threshold == "threshold = 128" and classes.startswith("mask_values = { 0 = 0, ")
    (tmp_path / "dataset.toml").unlink(missing_ok=True)
    truth = numpy.mean([draw(index) >= 128 for index in range(COUNT)])
    assert share_of_discs(tmp_path, threshold) == pytest.approx(truth)


def test_smoothed_masks_in_colors_are_no_classes(tmp_path):
    def draw(index):
        colors = numpy.zeros((48, 64, 3), "uint8")
        colors[disc(index) == 1] = 200, 0, 0
        colors[disc(index + 50) == 1] = 0, 200, 0
        small = PIL.Image.fromarray(colors).resize((32, 24), PIL.Image.Resampling.BOX)
        return small.resize((64, 48), PIL.Image.Resampling.NEAREST)

    discs(tmp_path, draw=draw)
    for index in range(COUNT):
        save(draw(index).resize((32, 24)), tmp_path / f"masks/{index}.png")
        save(photo(index)[:24, :32], tmp_path / f"images/{index}.jpg")
    error = refused(tmp_path, "segmentation")
    assert "interpolation" in error.cause and not lines_of(error.fix)


RED, GREEN, GRAY = (200, 0, 0), (0, 200, 0), (128, 128, 128)


@pytest.mark.parametrize("colors", [((0, 0, 0), RED), (GRAY, (0, 0, 0)), (RED, (255, 255, 0))])
def test_jpeg_masks_of_two_colors_lead_to_a_threshold(tmp_path, colors):
    discs(tmp_path, mask_name="{}.jpg", draw=lambda i: numpy.array(colors, "uint8")[disc(i)])
    (line,) = lines_of(refused(tmp_path, "segmentation").fix)
    share = share_of_discs(tmp_path, line)
    lighter = true_share() if sum(colors[1]) > sum(colors[0]) else 1 - true_share()
    assert share == pytest.approx(lighter, abs=0.01)


@pytest.mark.parametrize("third", [RED, (120, 120, 120)])
def test_jpeg_masks_of_three_colors_or_of_one_gray_value_lead_to_none(tmp_path, third):
    def draw(index):
        colors = numpy.array([(0, 0, 0), GREEN], "uint8")[disc(index)]
        colors[:8, :8] = third
        return colors

    discs(tmp_path, mask_name="{}.jpg", draw=draw)
    assert not lines_of(refused(tmp_path, "segmentation").fix)
    equal = numpy.array([(0, 150, 0), (255, 13, 30)], "uint8")  # gray 88 and 87
    discs(tmp_path, mask_name="{}.jpg", draw=lambda index: equal[disc(index)])
    assert not lines_of(refused(tmp_path, "segmentation").fix)


@pytest.mark.parametrize("others", ["none", "indices", "black and white"])
def test_palettes_with_white_first_are_asked_about(tmp_path, others):
    discs(tmp_path, draw=lambda index: disc(index, inside=255 if "white" in others else 1))
    for index in range(0, COUNT, 1 if others == "none" else 2):
        palette_png(1 - disc(index), WHITE_BLACK, tmp_path / f"masks/{index}.png")
    lines = lines_of(refused(tmp_path, "segmentation").fix)
    assert share_of_discs(tmp_path, lines[0]) == pytest.approx(true_share())
    assert len(lines) == (2 if others == "none" else 1)
    if others == "none":
        assert share_of_discs(tmp_path, lines[1]) == pytest.approx(1 - true_share())


@pytest.mark.parametrize("first", [1, 2])
def test_masks_without_the_first_class_are_asked_about(tmp_path, first):
    discs(tmp_path, draw=lambda index: disc(index) + numpy.uint8(first))
    values, names = lines_of(refused(tmp_path, "segmentation").fix)
    assert share_of_discs(tmp_path, values) == pytest.approx(true_share())
    paste(tmp_path, names)
    assert not errors(check(tmp_path))
    assert shares(tmp_path)[first + 1] == pytest.approx(true_share())


def test_an_ignored_value_is_never_the_index_of_a_class(tmp_path):
    def draw(index):
        mask = disc(index) + numpy.uint8(1)
        mask[:4] = 0
        return mask

    discs(tmp_path, draw=draw)
    paste(tmp_path, "ignore_label = 0", "mask_values = { 1 = 0, 2 = 1 }")
    assert not errors(check(tmp_path))
    known = numpy.mean([draw(index) == 2 for index in range(COUNT)])
    assert shares(tmp_path)[:2].tolist() == pytest.approx([1 - 4 / 48 - known, known])


@pytest.mark.parametrize(
    ("images", "masks", "endings"),
    [
        ("images", "masks", ("_gt", "_mask")),
        ("images", "masks", ("_a", "_b")),
        ("", "", ("_gt", "_mask")),
        ("", "", ("_1st", "_2nd")),
    ],
)
def test_several_masks_of_one_image_are_asked_about(tmp_path, images, masks, endings):
    discs(tmp_path, images, masks, "{}" + endings[0] + ".png")
    for index in range(COUNT):
        save(disc(index + 50), tmp_path / masks / f"{index}{endings[1]}.png")
    lines = lines_of(refused(tmp_path, "segmentation").fix)
    assert lines == [f'mask_suffix = "{ending}"' for ending in endings]
    assert share_of_discs(tmp_path, lines[0]) == pytest.approx(true_share())
    other = numpy.mean([disc(index + 50) for index in range(COUNT)])
    assert share_of_discs(tmp_path, lines[1]) == pytest.approx(other)


@pytest.mark.parametrize("form", ["{}_{}", "{1}_{0}", "{1}{0}"])
def test_splits_in_the_names_of_both_folders(tmp_path, form):
    for place, split in enumerate(("train", "val")):
        for index in range(6):
            seed = 100 * place + index
            save(photo(seed), tmp_path / form.format(split, "images") / f"{index}.jpg")
            save(disc(seed), tmp_path / form.format(split, "masks") / f"{index}.png")
    if form == "{1}{0}":
        assert check(tmp_path, "segmentation").failed
        return
    dataset = load(tmp_path, "segmentation")
    for place, split in enumerate(("train", "validation")):
        for index in range(6):
            found = dataset.splits[split][index].mask
            assert (found == disc(100 * place + index)).all()


def test_masks_beside_images_within_class_folders_are_left_out(tmp_path):
    for name, seed in (("cat", 0), ("dog", 100)):
        discs(tmp_path, f"{name}/images", f"{name}/masks")
        for index in range(COUNT):
            save(photo(seed + index), tmp_path / f"{name}/images/{index}.jpg")
    report = check(tmp_path, "classification")
    assert not errors(report) and report.statistics["samples"] == {"all": 24}
    assert load(tmp_path).class_names == ("cat", "dog")
    assert not errors(check(tmp_path, "segmentation"))
    masks = {entry.file: entry.mask for entry in read(tmp_path).splits["all"]}
    assert masks["dog/images/3.jpg"] == "dog/masks/3.png" and len(masks) == 24


@pytest.mark.parametrize("names", [("trainA", "testA"), ("train1", "train2"), ("TrainX", "valX")])
def test_folders_named_after_splits_are_no_classes(tmp_path, names):
    for place, name in enumerate(names):
        for index in range(6):
            save(photo(100 * place + index), tmp_path / name / f"{index}.jpg")
    (line,) = lines_of(refused(tmp_path, "classification").fix)
    paste(tmp_path, line)
    assert not errors(check(tmp_path, "classification"))
    assert load(tmp_path).class_names == tuple(sorted(names))


@pytest.mark.parametrize("task", ["classification", "segmentation", "colorization"])
@pytest.mark.parametrize("above", ["My archive ü", "a/b/c"])
def test_the_only_folder_within_is_entered(tmp_path, task, above):
    inner = tmp_path / above
    if task == "classification":
        class_folder(inner)
    else:
        discs(inner)
    save(photo(0), tmp_path / "__MACOSX" / above / "images/0.jpg")
    (tmp_path / "README.txt").write_text("photographs of discs")
    assert not errors(check(tmp_path, task))
    dataset = load(tmp_path, task)
    assert sum(map(len, dataset.splits.values())) == 12
    # What the advice says may be put beside the folder or into it.
    line = 'names = ["dog", "cat"]' if task == "classification" else 'masks = "masks"'
    for place in (tmp_path, inner):
        paste(place, line)
        assert not errors(check(tmp_path, task))
        if task == "classification":
            assert load(tmp_path).class_names == ("dog", "cat")
        (place / "dataset.toml").unlink()


def test_folders_named_beside_the_only_folder_are_seen_from_there(tmp_path):
    discs(tmp_path, "set/pictures", "set/drawn")
    paste(tmp_path, 'images = "set/pictures"', 'masks = "set/drawn"')
    assert not errors(check(tmp_path, "segmentation"))
    assert shares(tmp_path)[1] == pytest.approx(true_share())


@pytest.mark.parametrize("name", ["carvana", "isic", "drive", "beside"])
def test_smoothed_masks_of_published_sets_lead_to_a_threshold(tmp_path, name):
    root = getattr(layout_sets, name)(tmp_path)
    truth = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and re.search(r"_mask|_segmentation|_manual1", path.name):
            small = PIL.Image.open(path).convert("L")
            smooth = small.resize((32, 24), PIL.Image.Resampling.BICUBIC).resize((16, 12), 2)
            path.unlink()
            truth[path.stem] = numpy.array(smooth) >= 100
            save(smooth, path.with_suffix(".png"))
    threshold = lines_of(refused(root, "segmentation").fix)
    assert threshold == ["threshold = 128"]
    before = read(root).class_names
    paste(root, "threshold = 100")
    assert not errors(check(root, "segmentation"))
    reading = read(root)
    assert reading.class_names == before
    for part in reading.splits.values():
        for entry in part:
            single = [pathlib.Path(name).stem for name in entry.mask.files]
            drawn = numpy.any([truth[stem] for stem in single], 0)
            assert (entry.mask.read() == drawn).all()


def test_values_of_black_and_white_masks_can_be_named(tmp_path):
    layout_sets.isic(tmp_path)
    paste(tmp_path, 'names = ["skin", "lesion"]', "mask_values = { 0 = 1, 255 = 0 }")
    assert not errors(check(tmp_path, "segmentation"))
    mask = load(tmp_path, "segmentation").splits["train"][0].mask
    assert (mask == 1 - layout_fixtures.block(1)).all()
