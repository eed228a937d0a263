"""Boundary IoU by hand."""

import math

import numpy
import pytest

from kerasdl.metrics.boundary import boundary_counts, boundary_iou


def square(top, left, side, size=20):
    mask = numpy.zeros((size, size), "uint8")
    mask[top : top + side, left : left + side] = 1
    return mask


def test_rings_of_one_pixel():
    # Diagonal 28.3, so d = max(1, round(0.57)) = 1. The ring of an 8x8 square has 28 pixels.
    truth, prediction = square(4, 4, 8), square(4, 5, 8)
    counts = boundary_counts(truth, prediction, 2)
    # Shifted by one column: the rings share 7 pixels of the top row and 7 of the bottom row.
    assert counts[:, 1].tolist() == [14, 28 + 28 - 14]
    # A square that fills it gets the ring right, though 36 of 64 pixels inside differ in area.
    hollow = truth.copy()
    hollow[5:11, 5:11] = 0
    assert boundary_counts(truth, hollow, 2)[:, 1].tolist() == [28, 28]


def test_width_follows_the_diagonal_and_the_image_ends_a_mask():
    full = numpy.ones((300, 400), "uint8")  # diagonal 500: d = 10
    ring = 300 * 400 - 280 * 380
    assert boundary_counts(full, full, 2).tolist() == [[0, ring], [0, ring]]


def test_ignored_pixels_and_foreign_values_do_not_count():
    truth, prediction = square(4, 4, 8), square(4, 4, 8)
    truth[4] = 255  # the top side of the ring, 8 pixels
    prediction[19, 19] = 7
    assert boundary_counts(truth, prediction, 2, (255,))[:, 1].tolist() == [20, 20]


def test_mean_over_the_classes_that_occur():
    assert boundary_iou([[3, 0, 0], [4, 2, 0]]) == pytest.approx((0.75 + 0) / 2)
    assert math.isnan(boundary_iou([[0], [0]]))
