"""Contact sheets: every sample at its place, upsampled or reduced, masks over images."""

import numpy
import pytest

from kerasdl.core.errors import DataError
from kerasdl.data.base import Sample
from kerasdl.data.inspect import sheet
from kerasdl.data.scenes import dataset as scenes


def plain(color, height=64, width=64, mask=None):
    return Sample(numpy.full((height, width, 3), color, numpy.uint8), 0, mask)


def test_samples_lie_row_by_row_enlarged_by_two():
    split = scenes.SceneSplit("train", 5)
    image = numpy.asarray(sheet.contact_sheet(split, count=5, columns=2))
    step = sheet.CELL + sheet.GAP
    assert image.shape == (3 * step + sheet.GAP, 2 * step + sheet.GAP, 3)
    for index in range(5):
        top, left = sheet.GAP + index // 2 * step, sheet.GAP + index % 2 * step
        cell = image[top : top + 128, left : left + 128]
        for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
            numpy.testing.assert_array_equal(cell[corner[0] :: 2, corner[1] :: 2], split[index][0])
    assert (image[-step:, step + sheet.GAP :] == 255).all()  # the last place is empty


def test_large_and_uneven_images_fit():
    split = [plain((10, 20, 30), 500, 250), plain((40, 50, 60), 30, 300)]
    image = numpy.asarray(sheet.contact_sheet(split, columns=2))
    assert image.shape == (128 + 2 * sheet.GAP, 2 * 132 + sheet.GAP, 3)
    assert (image == (10, 20, 30)).all(axis=2).sum() == 128 * 64
    assert (image == (40, 50, 60)).all(axis=2).sum() == 13 * 128


def test_overlay_mixes_known_classes_only():
    image = numpy.full((1, 3, 3), 100, numpy.uint8)
    mask = numpy.array([[0, 1, 255]], numpy.uint8)
    mixed = sheet.overlay(image, mask, ((200, 0, 100), (0, 0, 0)), opacity=0.5)
    assert mixed.tolist() == [[[150, 50, 100], [50, 50, 50], [100, 100, 100]]]
    assert (image == 100).all()


def test_masks_stand_beside_the_images():
    mask = numpy.ones((64, 64), numpy.uint8)
    cell = sheet.contact_sheet([plain((0, 0, 0), mask=mask)], masks=True, palette=((9, 9, 9),) * 2)
    pixels = numpy.asarray(cell)
    assert cell.size == (2 * 128 + 1 + 2 * sheet.GAP, 128 + 2 * sheet.GAP)
    assert tuple(pixels[60, 60]) == (0, 0, 0)
    assert tuple(pixels[60, 200]) == (5, 5, 5)  # 0.6 of 9


def test_titles_take_a_line_each():
    bare = sheet.contact_sheet([plain((0, 0, 0))])
    titled = sheet.contact_sheet([plain((0, 0, 0))], class_names=("tree",))
    assert titled.height == bare.height + sheet.TITLE
    below = numpy.asarray(titled)[sheet.GAP + 128 :]
    assert below.min() < 100


def test_missing_masks_and_samples_are_named():
    with pytest.raises(DataError, match="no masks"):
        sheet.contact_sheet([plain((0, 0, 0))], masks=True)
    with pytest.raises(DataError, match="no samples"):
        sheet.contact_sheet([])


def test_legend_names_the_colors_at_the_foot():
    samples = [plain(0, 128, 128, numpy.zeros((128, 128), int))]
    palette = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    without = sheet.contact_sheet(samples, masks=True, palette=palette)
    names = ("sky", "a class with a name as long as the sheet is wide", "sea")
    legend = sheet.contact_sheet(samples, masks=True, palette=palette, legend=names)
    assert legend.width == without.width
    foot = numpy.asarray(legend)[without.height :]
    assert len(foot) == 3 * (sheet.TITLE + sheet.GAP)
    for row, color in enumerate(palette):
        assert (foot[row * (sheet.TITLE + sheet.GAP) + 5, sheet.GAP + 4] == color).all()
