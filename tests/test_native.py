"""Scores at the size of the stored images: of what `predict` delivers, by hand."""

import math

import keras
import numpy
import pytest
from data_fixtures import save

from kerasdl import Config, tasks
from kerasdl.core.errors import ConfigError
from kerasdl.engine import datasets, evaluation


def red_is_1(size):
    """In place of a U-Net: class 1 where the image is red, class 0 elsewhere."""
    x = keras.Input((*size, 3))
    layer = keras.layers.Conv2D(2, 1)
    model = keras.Model(x, layer(x))
    kernel = numpy.zeros((1, 1, 3, 2), "float32")
    kernel[0, 0, 0] = -20, 20  # of red, 0 or 1
    layer.set_weights([kernel, numpy.array([10, -10], "float32")])
    return model


def folder(root, size=(8, 16), wrong=0):
    """Images red on the left, masks that say so but for some columns."""
    height, width = size
    for number in range(3):
        image = numpy.zeros((height, width, 3), "uint8")
        image[:, : width // 2] = (255, 0, 0)
        mask = numpy.zeros((height, width), "uint8")
        mask[:, : width // 2 - wrong] = 1
        for split in ("train", "test"):
            save(image, root / "images" / split / f"{number}.png")
            save(mask, root / "masks" / split / f"{number}.png")
    return root


def evaluated(root, image_size, at=None, **keys):
    config = Config(
        task="segmentation", data=str(root), image_size=image_size, batch_size=2, **keys
    )
    return evaluation.evaluate(
        red_is_1(config.image_size), tasks.of(config), datasets.load(config), config, "test", at
    )


def test_masks_of_another_size_are_scored_at_both(tmp_path):
    # Half the size: a column in eight of the mask is wrong at 8x16, and lost at 4x8.
    found = evaluated(folder(tmp_path, wrong=1), (8, 16))
    assert "native_mean_iou" not in found.document["scores"]  # it would say the same
    found = evaluated(folder(tmp_path, (16, 32), wrong=1), (8, 16))
    scores = found.document["scores"]
    # Truth: 15 columns of class 1; prediction: 16. IoU 15 / 16 and 16 / 17.
    assert scores["native_iou/class_1"] == pytest.approx(15 / 16)
    assert scores["native_mean_iou"] == pytest.approx((15 / 16 + 16 / 17) / 2)
    assert scores["native_pixel_accuracy"] == pytest.approx(31 / 32)
    # Class 0 has 17 of 32 columns of the training masks.
    assert found.document["baseline"]["native_pixel_accuracy"] == pytest.approx(17 / 32)
    low, high = found.document["intervals"]["native_mean_iou"]
    assert low == pytest.approx(high) == pytest.approx(scores["native_mean_iou"])
    assert "size of the original images" in found.document["definitions"]["native_mean_iou"]


def test_at_decides(tmp_path):
    root = folder(tmp_path, (16, 32))
    assert "native_mean_iou" not in evaluated(root, (8, 16), "training").document["scores"]
    same = evaluated(root, (16, 32), "native").document["scores"]
    assert same["native_mean_iou"] == same["mean_iou"] == 1.0
    assert same["native_boundary_iou"] == same["boundary_iou"] == 1.0
    config = Config(task="classification")
    with pytest.raises(ConfigError, match="no predictions at the size of the images"):
        evaluation.evaluate(
            keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Flatten(),
                              keras.layers.Dense(10)]),
            tasks.of(config), datasets.load(Config(test_size=2)), config, "test", "native",
        )  # fmt: skip


def test_huge_images_are_not_scored_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasdl.engine.native.MOST_PIXELS", 16 * 32 - 1)
    root = folder(tmp_path, (16, 32))
    assert "native_mean_iou" not in evaluated(root, (8, 16)).document["scores"]
    assert "native_mean_iou" in evaluated(root, (8, 16), "native").document["scores"]


def test_colors_are_scored_as_delivered(tmp_path):
    generator = numpy.random.default_rng(0)
    for number in range(3):
        for split in ("train", "test"):
            save(generator.integers(0, 256, (16, 16, 3)).astype("uint8"),
                 tmp_path / split / f"{number}.png")  # fmt: skip
    config = Config(task="colorization", data=str(tmp_path), image_size=16)
    x = keras.Input((16, 16, 1))
    white = keras.Model(x, keras.layers.Conv2D(3, 1, kernel_initializer="zeros",
                                               bias_initializer="ones")(x))  # fmt: skip
    dataset = datasets.load(config)
    document = evaluation.evaluate(white, tasks.of(config), dataset, config, "test").document
    found = document["scores"]
    images = numpy.stack([dataset.splits["test"][k].image for k in range(3)]) / 255
    error = ((images - 1) ** 2).mean(axis=(1, 2, 3))
    assert found["psnr"] == pytest.approx(numpy.mean(-10 * numpy.log10(error)), abs=1e-3)
    # White has no chroma: what is delivered is the lightness of the image, far from white.
    assert found["native_psnr"] > found["psnr"] + 3
    assert found["native_colorfulness_ratio"] < 0.02 and math.isfinite(found["native_delta_e"])
    assert document["baseline"]["native_psnr"] == pytest.approx(document["baseline"]["psnr"])
