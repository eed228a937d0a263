"""What each image adds to the scores, intervals over images: by hand, and as a plain loop."""

import math

import numpy
import pytest
import scipy.sparse
import scipy.stats
from report_fixtures import scores

from kerasdl.metrics.confusion import scores_from_confusion
from kerasdl.metrics.images import RESAMPLES, ImageScores, stacked
from kerasdl.report import paired, paired_differences

MATRICES = numpy.array([[[3, 1], [0, 4]], [[8, 0], [0, 0]], [[0, 2], [2, 0]]], "int64")


def test_images_without_a_value_do_not_count():
    images = ImageScores({"psnr": [20.0, 30.0, math.nan]})
    found = images.scores([[1, 1, 1], [3, 1, 5], [0, 0, 2]])["psnr"]
    assert found[:2] == pytest.approx([25.0, 22.5]) and math.isnan(found[2])


def test_weights_count_images_as_often():
    weights = [[1, 1, 1], [2, 0, 1], [0, 1, 0]]
    found = ImageScores({}, {"": stacked(MATRICES)}).scores(weights)
    for place, counts in enumerate(weights):
        matrix = numpy.tensordot(counts, MATRICES, 1)
        expected = scores_from_confusion(matrix, ["a", "b"])
        for name in ("mean_iou", "pixel_accuracy"):
            assert found[name][place] == pytest.approx(expected[name])


def test_scores_at_two_sizes_have_the_same_images():
    images = ImageScores({"psnr": [1, 2, 3]}).joined(
        ImageScores({"psnr": [4, 5, 6]}, {"": stacked(MATRICES)}), "native_"
    )
    found = images.scores([[1, 0, 1]])
    assert {name: each.tolist() for name, each in found.items()} == {
        "psnr": [2],
        "native_psnr": [5],
        "native_mean_iou": [pytest.approx((3 / 8 + 4 / 9) / 2)],
        "native_pixel_accuracy": [pytest.approx(7 / 12)],
    }


def test_many_classes_are_summed_in_parts(monkeypatch):
    images = ImageScores({}, {"": stacked(MATRICES)})
    whole = images.scores(numpy.eye(3))["mean_iou"]
    monkeypatch.setattr("kerasdl.metrics.images.CHUNK_CELLS", 1)
    assert images.scores(numpy.eye(3))["mean_iou"].tolist() == whole.tolist()


def test_many_images_are_drawn_in_parts(monkeypatch):
    values = numpy.random.default_rng(1).random(40)
    whole = ImageScores({"psnr": values}).resampled["psnr"]
    drawn = []
    plain = ImageScores.scores

    def counting(self, weights):
        drawn.append(numpy.size(weights))
        return plain(self, weights)

    monkeypatch.setattr(ImageScores, "scores", counting)
    monkeypatch.setattr("kerasdl.metrics.images.CHUNK_CELLS", 3000)
    numpy.testing.assert_allclose(
        ImageScores({"psnr": values}).resampled["psnr"], whole, rtol=1e-12
    )
    assert max(drawn) <= 3000 and sum(drawn) == 40 * RESAMPLES


def test_interval_of_a_proportion():
    # 80 of 100 right: standard error sqrt(0.8 * 0.2 / 100) = 0.04, so about 0.8 +- 1.96 * 0.04.
    low, high = ImageScores({"accuracy": [1] * 80 + [0] * 20}).intervals()["accuracy"]
    assert (low, high) == (pytest.approx(0.7216, abs=0.02), pytest.approx(0.8784, abs=0.02))
    assert ImageScores({"accuracy": [1.0] * 9}).intervals()["accuracy"] == [1.0, 1.0]


def test_sets_without_an_image_that_counts_are_left_out_of_the_interval():
    images = ImageScores({"some": [2.0, math.nan], "none": [math.nan, math.nan]})
    # A quarter of all sets of two draws the second image twice.
    assert numpy.isnan(images.resampled["some"]).mean() == pytest.approx(0.25, abs=0.05)
    assert images.intervals() == {"some": [2.0, 2.0]}


def test_file_holds_the_same(tmp_path):
    images = ImageScores({"loss": [0.5, 1.5, 2.5]}, {"native_": stacked(MATRICES)})
    images.write(tmp_path / "a.npz")
    again = ImageScores.read(tmp_path / "a.npz")
    assert isinstance(again.confusion["native_"], scipy.sparse.csr_array) and again.images == 3
    for name, values in images.resampled.items():
        assert len(values) == RESAMPLES and values.tolist() == again.resampled[name].tolist()
    assert ImageScores.read(tmp_path / "b.npz") is None
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:99])
    assert ImageScores.read(tmp_path / "a.npz") is None


def test_variance_of_seeds_and_of_images_by_hand():
    # Differences 1, 2, 3: s^2 / n = 1 / 3. With v = 2 / 3 the standard error is 1, with
    # 1 / ((1 / 3)^2 / 2) = 18 degrees of freedom.
    found = paired.paired([3.0, 5.0, 7.0], [2.0, 3.0, 4.0], image_variance=2 / 3)
    assert found.high - 2 == pytest.approx(2.100922, abs=1e-5)  # 97.5 % point of t, any table
    assert found.p_t == pytest.approx(2 * scipy.stats.t.sf(2, 18))
    # Equal differences: only the images vary, with known variance.
    found = paired.paired([2.0, 3.0], [1.0, 2.0], image_variance=0.25)
    assert found.low == pytest.approx(1 - 1.959964 * 0.5, abs=1e-5)
    assert found.p_t == pytest.approx(0.0455, abs=1e-4)  # two standard errors


def test_images_that_both_get_right_do_not_widen_the_interval():
    right = numpy.array([1.0] * 90 + [0.0] * 10)
    worse = right.copy()
    worse[:3] = 0

    def run(label, seed, values):
        document = scores(seed=seed, accuracy=float(values.mean()), loss=1.0)
        return {**document, "label": label, "image_scores": ImageScores({"accuracy": values})}

    documents = [run(*each) for seed in (0, 1) for each in (("a", seed, right), ("b", seed, worse))]
    accuracy, loss = paired_differences.compare(documents)
    # Three of 100 images differ: sqrt(0.03 * 0.97 / 100), not sqrt(2 * 0.09 / 100).
    assert accuracy.image_deviation == pytest.approx(0.01706, abs=0.001)
    assert accuracy.low < -0.03 < accuracy.high < 0.02
    assert loss.image_deviation is None
    (table,) = paired_differences.differences([accuracy, loss])
    assert "sampling of the test images is not included for: loss." in table.notes[0]
