"""Siblings of the cases of test_real_world: the same kinds of faults, other instances."""

import numpy
import PIL.Image
import pytest
from data_fixtures import save
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
