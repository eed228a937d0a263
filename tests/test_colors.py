"""CIELAB against scikit-image, and Zhang's bins against an independent gamut and by hand."""

import itertools

import keras
import numpy
import pytest
import skimage.color

from kerasdl.metrics.colors import bins
from kerasdl.metrics.colors.lab import fit_gamut, lab_to_rgb, rgb_to_lab

LEVELS = numpy.linspace(0, 1, 17)
GRID = numpy.stack(numpy.meshgrid(LEVELS, LEVELS, LEVELS, indexing="ij"), axis=-1)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_the_most_saturated_colors_of_srgb_are_not_changed():
    corners = array(rgb_to_lab(GRID[::16, ::16, ::16].reshape(8, 3)))
    numpy.testing.assert_array_equal(fit_gamut(corners), corners)


def test_conversion_of_a_grid_of_17_levels_equals_scikit_image():
    lab = array(rgb_to_lab(GRID))
    assert lab.dtype == numpy.float32
    numpy.testing.assert_allclose(lab, skimage.color.rgb2lab(GRID), atol=2e-3)
    numpy.testing.assert_allclose(array(lab_to_rgb(skimage.color.rgb2lab(GRID))), GRID, atol=2e-5)


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
def test_colors_outside_srgb_are_scikit_image_s_after_clipping():
    lab = numpy.array(list(itertools.product((0, 30, 70, 100), (-90, 0, 90), (-110, 0, 90))), float)
    rgb = array(lab_to_rgb(lab))
    assert (rgb < -0.1).any() and (rgb > 1.1).any() and numpy.isfinite(rgb).all()
    numpy.testing.assert_allclose(rgb.clip(0, 1), skimage.color.lab2rgb(lab), atol=2e-5)


def test_fitted_colors_keep_lightness_and_hue_and_are_as_saturated_as_srgb_has_them():
    wanted = numpy.array([[60, 90, 40], [30, -20, -90], [100, 30, 0], [0, 0, 50], [50, 10, 5]])
    fitted = fit_gamut(wanted)
    numpy.testing.assert_array_equal(fitted[:, 0], wanted[:, 0])
    numpy.testing.assert_array_equal(fitted[4], wanted[4])  # sRGB has it
    assert numpy.abs(fitted[2:4, 1:]).max() < 1.5  # white and black have no chroma
    numpy.testing.assert_allclose(fitted[:, 1] * wanted[:, 2], fitted[:, 2] * wanted[:, 1], 1e-3)
    rgb = array(lab_to_rgb(fitted))
    assert rgb.min() >= -0.51 / 255 and rgb.max() <= 1 + 0.51 / 255
    a_little_more = fitted.copy()
    a_little_more[:2, 1:] *= 1.02
    more = array(lab_to_rgb(a_little_more))[:2]
    assert ((more < -0.5 / 255) | (more > 1 + 0.5 / 255)).any(axis=-1).all()


@pytest.fixture(scope="module")
def surface():
    """ab of all 8-bit colors on the surface of the RGB cube, whose outline is that of sRGB."""
    levels = numpy.arange(256, dtype="uint8")
    one, two = numpy.meshgrid(levels, levels, indexing="ij")
    sides = []
    for end in (0, 255):
        flat = numpy.full_like(one, end)
        sides += [numpy.stack(p, axis=-1) for p in ((flat, one, two), (one, flat, two))]
        sides.append(numpy.stack((one, two, flat), axis=-1))
    return skimage.color.rgb2lab(numpy.stack(sides))[..., 1:].reshape(-1, 2)


def test_the_313_bins_surround_every_color_of_srgb(surface):
    """The published list is the corners of all grid squares that sRGB touches, and four more."""
    published = {(int(a), int(b)) for a, b in bins.BINS}
    assert len(bins.BINS) == len(published) == 313
    # The surface covers the outline; a coarse grid covers what is inside.
    inside = skimage.color.rgb2lab(GRID)[..., 1:].reshape(-1, 2)
    squares = numpy.unique(numpy.floor(numpy.concatenate([surface, inside]) / 10), axis=0)
    corners = {
        (10 * int(a + right), 10 * int(b + up))
        for a, b in squares
        for right, up in itertools.product((0, 1), (0, 1))
    }
    assert len(corners) == 309 and corners < published
    assert published - corners == {(40, 90), (100, -90), (100, -10), (100, 0)}


def test_nearest_bin_of_every_color(surface):
    colors = surface[::37]
    distances = ((colors[:, None] - bins.BINS[None]) ** 2).sum(axis=-1)
    found = bins.nearest(colors)
    reached = distances[numpy.arange(len(colors)), found]
    numpy.testing.assert_allclose(reached, distances.min(axis=1))


def test_soft_encoding_by_hand():
    # (0, 0) is a bin; its four neighbors are 10 away: exp(-100 / 50) = 0.1353 each.
    found, fractions = map(array, bins.soft_encoding(numpy.zeros((1, 2))))
    centers = {tuple(map(int, bins.BINS[number])) for number in found[0]}
    assert tuple(bins.BINS[found[0, 0]]) == (0, 0)
    assert centers == {(0, 0), (10, 0), (-10, 0), (0, 10), (0, -10)}
    whole = 1 + 4 * numpy.exp(-2)
    assert fractions[0] == pytest.approx([1 / whole, *[numpy.exp(-2) / whole] * 4], rel=1e-5)


def test_soft_encoding_equals_a_loop_and_its_rows_sum_to_one(surface):
    colors = surface[::40009]
    found, fractions = map(array, bins.soft_encoding(colors.reshape(2, -1, 2)))
    assert found.shape == fractions.shape == (2, len(colors) // 2, 5)
    numpy.testing.assert_allclose(fractions.sum(axis=-1), 1.0, rtol=1e-6)
    for color, numbers, row in zip(
        colors, found.reshape(-1, 5), fractions.reshape(-1, 5), strict=True
    ):
        distance = numpy.hypot(*(bins.BINS - color).T.astype(float))
        closest = numpy.sort(distance)[:5]
        numpy.testing.assert_allclose(distance[numbers], closest, rtol=1e-4)
        gauss = numpy.exp(-(closest**2) / (2 * 5**2))
        numpy.testing.assert_allclose(row, gauss / gauss.sum(), rtol=1e-4, atol=1e-6)


def test_rebalancing_weights():
    random = numpy.random.default_rng(0)
    counts = random.integers(0, 50, 313) ** 3
    counts[100] = 0
    frequencies = bins.smoothed_frequencies(counts)
    weights = bins.rebalancing_weights(counts)
    assert frequencies.sum() == pytest.approx(1.0)
    assert (frequencies * weights).sum() == pytest.approx(1.0)  # the expectation over the pixels
    mixture = 0.5 * frequencies + 0.5 / 313
    numpy.testing.assert_allclose(weights * mixture, weights[0] * mixture[0])
    assert weights.argmax() == frequencies.argmin() and weights.argmin() == frequencies.argmax()
    numpy.testing.assert_allclose(
        bins.rebalancing_weights(3 * counts), weights
    )  # of frequencies, not of how many images there are


def test_smoothing_gives_shares_to_the_neighbors_by_hand():
    gray = int(bins.nearest(numpy.zeros(2)))
    counts = numpy.zeros(313)
    counts[gray] = 7
    smoothed = bins.smoothed_frequencies(counts)
    # Far from the border the kernel is sum_i exp(-2 i^2) in each direction.
    line = sum(numpy.exp(-2.0 * step**2) for step in range(-6, 7))
    assert smoothed[gray] == pytest.approx(1 / line**2, rel=1e-6)
    beside = int(bins.nearest(numpy.array([0, 10])))
    assert smoothed[beside] == pytest.approx(numpy.exp(-2) / line**2, rel=1e-6)


def test_annealed_mean_between_mean_and_mode():
    random = numpy.random.default_rng(0)
    logits = random.normal(size=(3, 4, 313)).astype("float32") * 3
    fractions = numpy.exp(logits.astype(float))
    fractions /= fractions.sum(axis=-1, keepdims=True)
    mean = array(bins.annealed_mean(logits, temperature=1.0))
    numpy.testing.assert_allclose(mean, fractions @ bins.BINS, atol=1e-3)
    mode = array(bins.annealed_mean(logits, temperature=1e-3))
    numpy.testing.assert_allclose(mode, bins.BINS[logits.argmax(axis=-1)], atol=1e-2)
    # Zhang's temperature is the default: shares^(1 / 0.38), scaled to the sum 1.
    annealed = fractions ** (1 / 0.38)
    annealed /= annealed.sum(axis=-1, keepdims=True)
    numpy.testing.assert_allclose(
        array(bins.annealed_mean(logits)), annealed @ bins.BINS, atol=1e-3
    )
