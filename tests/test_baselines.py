"""Trivial baselines: hand arithmetic, and the bounds that the embedded data set must keep."""

import math

import numpy
import pytest

from kerasdl.core.errors import DataError
from kerasdl.data.base import Sample
from kerasdl.data.inspect import baselines
from kerasdl.data.scenes import dataset as scenes

RED, BLUE, GRAY = (255, 0, 0), (0, 0, 255), (90, 90, 90)


def image(*colors):
    """An image one pixel high."""
    return numpy.array([colors], numpy.uint8)


def row(*classes):
    return numpy.array([classes], numpy.uint8)


def test_histogram_nearest_neighbor_by_hand():
    train = [Sample(image(RED, RED), 0), Sample(image(BLUE, BLUE, BLUE, BLUE), 1)]
    test = [
        Sample(image(RED, RED, RED, BLUE), 0),  # sums: 0.5 to the first, 1.5 to the second
        Sample(image(BLUE, RED), 0),  # as far from both: the first of equals
        Sample(image((5, 3, 250), (60, 0, 200)), 0),  # the same bins as blue: wrong
    ]
    assert baselines.histogram_nearest_neighbor(train, test) == pytest.approx(2 / 3)


def test_pixel_color_lookup_by_hand():
    train = [Sample(image(RED, RED, RED, BLUE), None, row(0, 0, 1, 1))]
    # Red means 0, blue means 1; gray was never seen and both classes are equally frequent: 0.
    test = [Sample(image(RED, BLUE, BLUE, GRAY, RED), None, row(0, 1, 0, 1, 255))]
    # Predicted 0 1 1 0: class 0 has TP 1, FP 1, FN 1; class 1 the same; class 2 does not occur.
    score = baselines.pixel_color_lookup(train, test, 3, ignore_labels=(255,))
    assert score == pytest.approx(1 / 3)


def test_pixel_color_lookup_of_perfect_colors_and_of_nothing():
    samples = [Sample(image(RED, BLUE), None, row(0, 1))]
    assert baselines.pixel_color_lookup(samples, samples, 2) == 1.0
    ignored = [Sample(image(RED, BLUE), None, row(255, 255))]
    score = baselines.pixel_color_lookup(samples, ignored, 2, ignore_labels=(255,))
    assert math.isnan(score)


def test_gray_psnr_by_hand():
    # Red has luma 0.299: errors 0.701, 0.299, 0.299; blue has 0.114: errors 0.114, 0.114, 0.886.
    red = 10 * math.log10(3 / (0.701**2 + 2 * 0.299**2))
    blue = 10 * math.log10(3 / (2 * 0.114**2 + 0.886**2))
    samples = [Sample(image(RED)), Sample(image(BLUE, BLUE)), Sample(image(GRAY))]
    assert baselines.gray_psnr(samples) == pytest.approx((red + blue) / 2, abs=1e-9)
    assert math.isnan(baselines.gray_psnr([Sample(image(GRAY))]))


def test_missing_labels_and_masks_are_named():
    bare = [Sample(image(RED))]
    with pytest.raises(DataError, match="no labels"):
        baselines.histogram_nearest_neighbor(bare, bare)
    with pytest.raises(DataError, match="no masks"):
        baselines.pixel_color_lookup(bare, bare, 2)


def test_whole_batches_give_the_same_as_single_samples():
    split = scenes.SceneSplit("test", 30, (16, 16))
    single = [split[index] for index in range(30)]
    for score in (
        baselines.gray_psnr,
        lambda samples: baselines.pixel_color_lookup(samples, samples, 13),
        lambda samples: baselines.histogram_nearest_neighbor(samples, samples),
    ):
        assert score(split) == pytest.approx(score(single), rel=1e-12)


def test_scenes_are_not_solved_by_color_alone():
    train, test = scenes.SceneSplit("train", 500), scenes.SceneSplit("test", 200)
    assert baselines.histogram_nearest_neighbor(train, test) < 0.7
    classes = len(scenes.MASK_CLASS_NAMES)
    assert baselines.pixel_color_lookup(train, test, classes, levels=32) < 0.7
    assert baselines.pixel_color_lookup(train, test, classes, levels=16) < 0.7
    assert baselines.gray_psnr(test) < 24
