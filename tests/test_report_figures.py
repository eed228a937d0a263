"""Figures as files: size, marks and pixels."""

import io
import math

import numpy
import pytest
from PIL import Image
from report_fixtures import history_rows, run_document

from kerasdl.core.errors import WriteError
from kerasdl.report import canvas, figures


def opened(path):
    """A PNG as an array, after checking that it is small and not blank."""
    assert path.stat().st_size < canvas.MAX_BYTES
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = numpy.asarray(image.convert("RGB"))
    assert len(numpy.unique(pixels.reshape(-1, 3), axis=0)) > 3
    return pixels


def test_training_curves_have_two_panels_of_the_stated_size(tmp_path):
    path = tmp_path / "new folder" / "curves.png"
    figures.training_curves(history_rows(), path, "ResNet-18")
    pixels = opened(path)
    assert pixels.shape == (500, 1320, 3)
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    dark = tmp_path / "dark.png"
    figures.training_curves(history_rows(), dark, panels=("score",), theme=canvas.DARK)
    assert opened(dark).shape == (500, 660, 3)
    assert tuple(opened(dark)[0, 0]) == (0x1B, 0x1D, 0x21)


def test_a_drop_of_the_learning_rate_is_marked(tmp_path):
    """The image changes where the rate changes, and only then."""
    images = []
    for drop in (100, 200, 4):
        stream = io.BytesIO()
        figures.training_curves(history_rows(drop=drop), stream)
        images.append(numpy.asarray(Image.open(stream).convert("RGB")).astype(int))
    assert (images[0] == images[1]).all()
    changed = numpy.flatnonzero(numpy.abs(images[0] - images[2]).sum(axis=(0, 2)) > 2000)
    assert len(changed) > 0


def test_one_epoch_and_missing_values_can_be_drawn(tmp_path):
    figures.training_curves([{"epoch": 1, "loss": 0.5, "val_loss": 0.6}], tmp_path / "one.png")
    rows = [{"epoch": 1, "loss": math.nan}, {"epoch": 2, "loss": 0.5, "mean_iou": None}]
    figures.training_curves(rows, tmp_path / "gaps.png")
    assert opened(tmp_path / "one.png").shape == opened(tmp_path / "gaps.png").shape


def test_curves_of_many_runs(tmp_path):
    path = tmp_path / "many.png"
    many = {f"seed {seed}": history_rows() for seed in range(9)}
    figures.training_curves_many(many, path, panels=("loss",))
    assert opened(path).shape[1] == 660


def test_image_grid_enlarges_without_smoothing(tmp_path):
    checker = numpy.zeros((30, 30, 3), "uint8")
    checker[::2, ::2] = (200, 30, 10)
    path = tmp_path / "grid.png"
    figures.image_grid([[checker, image30(90)], [checker, image30(20)]], ["a", "b"], path)
    pixels = opened(path)
    factor = 5  # the whole factor that brings 30 pixels nearest to 150
    assert pixels.shape == (26 + 2 * 150 + 6, 2 * 150 + 6, 3)
    expected = numpy.repeat(numpy.repeat(checker, factor, axis=0), factor, axis=1)
    numpy.testing.assert_array_equal(pixels[26:176, :150], expected)
    numpy.testing.assert_array_equal(pixels[182:332, 156:306], numpy.full((150, 150, 3), 20))


def image30(value):
    return numpy.full((30, 30, 3), value, "uint8")


def test_image_grid_with_legend_is_larger(tmp_path):
    legend = [("tree", (0, 158, 115)), ("house", (213, 94, 0))]
    path = tmp_path / "grid.png"
    figures.image_grid([[image30(9)]], ["a"], path, legend=legend)
    pixels = opened(path)
    assert pixels.shape[:2] == (26 + 150 + 22 * 2 + 6, 150)
    assert (pixels == (0, 158, 115)).all(axis=-1).sum() == 144  # a swatch of 12 x 12


def test_row_shares_of_a_confusion_matrix():
    fractions = figures.row_fractions([[8, 2], [0, 0]])
    numpy.testing.assert_allclose(fractions[0], [0.8, 0.2])
    assert numpy.isnan(fractions[1]).all()


def test_charts_of_classes(tmp_path):
    figures.confusion_matrix_figure([[8, 2], [0, 0]], ["a", "b"], tmp_path / "small.png")
    many = numpy.eye(20, dtype=int)
    figures.confusion_matrix_figure(many, [str(n) for n in range(20)], tmp_path / "large.png")
    figures.per_class_bars({"a": 0.5, "b": None, "c": math.nan}, tmp_path / "bars.png", "IoU")
    figures.calibration_figure(run_document()["calibration"], tmp_path / "calibration.png")
    for name in ("small", "large", "bars", "calibration"):
        opened(tmp_path / f"{name}.png")


def test_figures_that_cannot_be_written_say_so(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(WriteError, match="cannot write"):
        figures.per_class_bars({"a": 0.5}, tmp_path / "file" / "bars.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
