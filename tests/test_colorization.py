"""Colorization end to end: targets, losses, scores, the warning of gray, prediction."""

import json
import logging

import keras
import numpy
import pytest
import skimage.color
from conftest import scores_only
from PIL import Image
from report_fixtures import scores

import kerasdl
from kerasdl import tasks
from kerasdl.core.errors import ConfigError
from kerasdl.engine.callbacks import WarnAboutGray
from kerasdl.metrics.colorization import ColorizationScores
from kerasdl.metrics.colors import bins
from kerasdl.report import card
from kerasdl.tasks import colorization

TINY = {
    "image_size": 8,
    "train_size": 8,
    "validation_size": 4,
    "test_size": 5,
    "batch_size": 4,
    "epochs": 1,
    "momentum": 0.0,
    "model_args": {"filters": 2, "depth": 1},
}


def config(target, loss="", **values):
    return kerasdl.Config(task="colorization", target=target, loss=loss, **{**TINY, **values})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One finished run per target and loss; the artifacts of the last only."""
    root = tmp_path_factory.mktemp("runs")
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kerasdl.engine.publishing.finish", scores_only)
        for target, loss in (("rgb", ""), ("ab", ""), ("ab", "huber"), ("ab", "chroma")):
            folder = root / f"{target}-{loss}"
            made[target, loss] = kerasdl.train(config(target, loss), folder, quiet=True)
    made["ab", "bins"] = kerasdl.train(config("ab", "bins"), root / "bins", quiet=True)
    return made


def photos(count=3, size=16, seed=0):
    """Soft blobs of color, uint8."""
    random = numpy.random.default_rng(seed)
    small = random.integers(0, 256, (count, 4, 4, 3))
    return small.repeat(size // 4, axis=1).repeat(size // 4, axis=2).astype("uint8")


@pytest.mark.parametrize("loss", ["", "huber", "chroma", "bins"])
def test_scores_are_the_same_for_every_target(runs, loss):
    rgb, found = kerasdl.evaluate(runs["rgb", ""]), kerasdl.evaluate(runs["ab", loss])
    assert found["target"] == "ab" and rgb["target"] == "rgb"
    assert found["scores"].keys() == rgb["scores"].keys() == found["definitions"].keys()
    assert all(value is not None for value in found["scores"].values())
    assert found["baseline"] == pytest.approx(rgb["baseline"], rel=1e-3, abs=1e-3)
    assert found["baseline"]["colorfulness_ratio"] == pytest.approx(0, abs=1e-3)
    header = (runs["ab", loss] / "history.csv").read_text().splitlines()[0].split(",")
    measured = {"val_psnr", "val_ssim", "val_ab_error", "val_colorfulness_ratio"}
    assert measured <= set(header) and "psnr" not in header


def test_the_artifacts_of_a_run_with_bins(runs):
    folder = runs["ab", "bins"]
    scores = json.loads((folder / "metrics.json").read_text())["scores"]
    assert scores == pytest.approx(kerasdl.evaluate(folder)["scores"], rel=1e-3, abs=1e-5)
    assert (folder / "report.html").stat().st_size > 0
    assert folder.sidecar["target"] == "ab" and folder.open_model().output_shape[-1] == 313


@pytest.mark.parametrize("key", [("rgb", ""), ("ab", "chroma"), ("ab", "bins")])
def test_predict_keeps_the_lightness_up_to_eight_bits(runs, key):
    image = photos(1, 24)[0][:, :20]
    gray = image.mean(axis=-1, keepdims=True).astype("uint8").repeat(3, axis=-1)
    for pixels in (image, gray):
        image = kerasdl.predict(runs[key], pixels)[0].image
        assert image.shape == pixels.shape
        before, after = (skimage.color.rgb2lab(each)[..., 0] for each in (pixels, image))
        # Half a step of 8 bits is at most 0.22 of lightness in a gray, 0.3 in any color.
        assert numpy.abs(after - before).max() < 0.3


def test_saturation_scales_the_chroma(runs, tmp_path):
    photo = photos(1)[0] // 4 + 96
    images = {
        factor: kerasdl.predict(runs["ab", ""], photo, saturation=factor)[0].image
        for factor in (0.0, 0.5, 1.0, 50.0)
    }
    ab = {factor: skimage.color.rgb2lab(image)[..., 1:] for factor, image in images.items()}
    assert numpy.abs(ab[0.0]).max() < 0.01
    assert numpy.abs(ab[1.0]).max() > 3
    assert ab[50.0].std() > ab[1.0].std()
    inside = ((images[1.0] > 0) & (images[1.0] < 255)).all(axis=-1)  # RGB holds this color
    assert inside.sum() > 20
    assert numpy.abs(ab[1.0] / 2 - ab[0.5])[inside].max() < 1.5


def test_a_perfect_answer_in_every_target():
    images = photos()
    dataset, labels = None, None
    lab = skimage.color.rgb2lab(images)
    logits = numpy.full((*images.shape[:-1], 313), -1e4, "float32")
    nearest = bins.nearest(lab[..., 1:])
    numpy.put_along_axis(logits, nearest[..., None], 0.0, axis=-1)
    answers = {
        ("rgb", "l1"): (images / 255).astype("float32"),
        ("ab", "l1"): (lab[..., 1:] / 100).astype("float32"),
        ("ab", "bins"): logits,
    }
    for (target, loss), outputs in answers.items():
        task = tasks.of(config(target, loss))
        assert outputs.shape[-1] == task.outputs(dataset)
        x, y = task.prepare(images, labels, None)
        assert x.shape == (*images.shape[:-1], 1) and 0 <= x.min() and x.max() <= 1
        scorer = task.scorer(dataset, lambda *_: numpy.float32(0.0))
        scorer.update(y, outputs)
        scores, baseline, _ = scorer.result()
        # The center of a bin is at most 5 away in a and b.
        assert scores["ab_error"] < (5 if loss == "bins" else 0.01)
        assert loss == "bins" or scores["psnr"] > 80
        assert loss == "bins" or scores["out_of_gamut"] == 0
        assert baseline["psnr"] < scores["psnr"] - 5
        gray, truth, prediction = task.render(x, y, outputs, dataset)
        assert gray.shape == images.shape and not numpy.ptp(gray, axis=-1).any()
        light = skimage.color.rgb2lab(gray)[..., 0] / 100 if target == "ab" else gray[..., 0] / 255
        assert numpy.abs(light - x[..., 0]).max() < 0.01  # the network's input, in 8 bits
        numpy.testing.assert_array_equal(truth, images)
        assert loss == "bins" or numpy.array_equal(prediction, images)
        assert task.captions(y, outputs, dataset)[0].endswith(" dB")


def test_scores_in_training_are_those_of_the_evaluation():
    images = photos(4)
    random = numpy.random.default_rng(0)
    for target in ("rgb", "ab"):
        _, y = colorization.prepare(images, None, None, target)
        outputs = y if target == "rgb" else y[..., 1:]
        outputs = (outputs + random.normal(0, 0.1, outputs.shape)).astype("float32")
        metric = ColorizationScores(target)
        for part in (slice(0, 3), slice(3, 4)):
            metric.update_state(y[part], outputs[part])
        scorer = colorization.Scorer(None, lambda *_: numpy.float32(0.0), target)
        scorer.update(y, outputs)
        scores = scorer.result()[0]
        found = {name: float(value) for name, value in metric.result().items()}
        assert found == pytest.approx({name: scores[name] for name in found}, rel=1e-3)


def test_color_scores_of_nothing_and_of_gray_images():
    metric = ColorizationScores("ab")
    assert {float(value) for value in metric.result().values()} == {0.0}
    gray = numpy.full((1, 8, 8, 3), 0.4, "float32") * [1, 0, 0]
    metric.update_state(gray, gray[..., 1:])
    assert numpy.isnan(float(metric.result()["colorfulness_ratio"]))
    again = ColorizationScores.from_config(metric.get_config())
    assert again.target == "ab"


@pytest.mark.parametrize("loss", ["chroma", "bins"])
def test_a_network_learns_which_color_a_lightness_has(loss):
    """Dark is blue, light is yellow: what a network of two 1x1 convolutions can learn."""
    keras.utils.set_random_seed(0)
    images = numpy.zeros((2, 8, 8, 3), "uint8")
    images[:, :4] = (20, 30, 160)
    images[:, 4:] = (240, 220, 90)
    settings = config("ab", loss)
    task = tasks.of(settings)
    x, y = task.prepare(images, None, None)
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Conv2D(16, 1, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(task.outputs(None), 1)(hidden))
    counts = numpy.bincount(bins.nearest(100 * y[..., 1:]).ravel(), minlength=313)
    weights = bins.rebalancing_weights(counts) if loss == "bins" else None
    model.compile(
        keras.optimizers.Adam(0.05),
        kerasdl.losses.build(loss, class_weights=weights, target="ab"),
        metrics=task.metrics(None),
    )
    before = model.evaluate(x, y, verbose=0, return_dict=True)
    model.fit(*(numpy.tile(each, (100, 1, 1, 1)) for each in (x, y)), batch_size=2, verbose=0)
    after = model.evaluate(x, y, verbose=0, return_dict=True)
    assert before["ab_error"] > 20 and after["ab_error"] < 4
    assert after["psnr"] > before["psnr"] + 8
    assert after["colorfulness_ratio"] == pytest.approx(1, abs=0.15)


def test_training_warns_of_gray_predictions(caplog):
    """A network that paints gray, trained with a rate that changes nothing."""
    x, y = colorization.prepare(photos(4), None, None, "ab")
    inputs = keras.Input(x.shape[1:])
    outputs = keras.layers.Conv2D(2, 1, kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, outputs)
    loss = kerasdl.losses.build("l1", target="ab")
    model.compile(keras.optimizers.SGD(1e-9), loss, metrics=[ColorizationScores("ab")])
    with caplog.at_level(logging.WARNING, "kerasdl"):
        model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[WarnAboutGray()])
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 and "epoch 1: the predictions are almost gray, 0 %" in lines[0]
    assert "loss=chroma" in lines[0]


def test_the_warning_comes_again_only_after_the_colors_had_come_back(caplog):
    watcher = WarnAboutGray(minimum=0.2)
    with caplog.at_level(logging.WARNING, "kerasdl"):
        for epoch, ratio in enumerate([0.19, 0.1, 0.2, 0.9, float("nan"), 0.05, 0.01]):
            watcher.on_epoch_end(epoch, {"val_colorfulness_ratio": ratio})
        watcher.on_epoch_end(7, {"loss": 1.0})
    assert [record.args[0] for record in caplog.records] == [1, 6]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target": "lab"}, "unknown target 'lab' .*known: rgb, ab"),
        ({"task": "segmentation", "target": "ab"}, "'target' is for colorization"),
        ({"loss": "bins"}, "loss 'bins' is for the target ab .*--target ab"),
        (
            {"target": "ab", "loss": "bins", "model": "fcn8", "model_args": {}},
            "313 outputs.*--model unet",
        ),
        ({"target": "ab", "loss": "dice"}, "unknown loss for colorization 'dice'"),
        ({"target": "ab", "loss": "bins", "class_weights": "auto"}, "computes its own weights"),
        ({"class_weights": "auto"}, "loss 'l1' has no classes to weight.*unset class_weights"),
    ],
)
def test_keys_that_do_not_fit_together(values, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        settings = kerasdl.Config(**{"task": "colorization", **TINY, **values})
        kerasdl.train(settings, tmp_path / "run", quiet=True)


def test_bins_are_weighted_by_the_training_images():
    class Source:
        images = numpy.zeros((70, 4, 4, 3), "uint8")
        images[69] = (255, 0, 0)

        def __len__(self):
            return len(self.images)

        def take(self, indices):
            return self.images[indices], None, None

    weights = bins.training_weights(Source())
    red = skimage.color.rgb2lab(numpy.array([[255, 0, 0]], "uint8"))[..., 1:]
    counts = numpy.zeros(313)
    counts[bins.nearest(numpy.zeros(2))], counts[bins.nearest(red)[0]] = 69 * 16, 16
    numpy.testing.assert_allclose(weights, bins.rebalancing_weights(counts))
    assert weights[bins.nearest(red)[0]] > 10 * weights[bins.nearest(numpy.zeros(2))]


def test_target_and_saturation_on_the_command_line(runs, tmp_path, capsys):
    from kerasdl.cli.main import main

    Image.fromarray(photos(1)[0]).save(tmp_path / "photo.png")
    line = ["predict", "colorize", str(tmp_path / "photo.png"), "--saturation", "0"]
    line += ["--run", str(runs["ab", "bins"]), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main(line)
    assert ended.value.code in (0, None)
    written = numpy.asarray(Image.open(tmp_path / "out" / "photo.png"))
    assert (written == written[..., :1]).all()
    (listed,) = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert listed["files"] == {"image": str(tmp_path / "out" / "photo.png")}
    (tmp_path / "photo.png").write_bytes(b"no image")
    with pytest.raises(SystemExit) as ended:
        main([*line[:-1], str(tmp_path / "again")])
    assert ended.value.code == 3
    assert not (tmp_path / "again").exists()  # an empty result would be in the way of the next try
    with pytest.raises(SystemExit) as ended:
        main(["config", "show", "colorize", "--target", "ab"])
    assert ended.value.code in (0, None)
    assert 'target = "ab"' in capsys.readouterr().out


@pytest.mark.parametrize(("target", "loss"), [("rgb", ""), ("ab", ""), ("ab", "bins")])
def test_the_card_s_python_colors_as_predict_does(runs, tmp_path, monkeypatch, target, loss):
    folder = runs[target, loss]
    size = kerasdl.Run(folder).config.image_size
    settings = {"target": target, "loss": loss, "image_size": size}
    document = {"scores": scores("colorization", "unet", psnr=20.0), "config": settings}
    program = card.model_card(document, "run").partition("```python\n")[2].partition("```")[0]
    generator = numpy.random.default_rng(0)
    pixels = generator.integers(100, 150, (*size, 3)).astype("uint8")
    for name in ("best.keras", "model.json", "config.toml"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    Image.fromarray(pixels).save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(program, found)  # noqa: S102
    lab = skimage.color.rgb2lab(found["colored"])
    expected = skimage.color.rgb2lab(kerasdl.predict(folder, pixels)[0].image)
    # `predict` puts the network's colors under the image's own lightness, for `rgb` too.
    assert numpy.abs(lab[..., 1:] - expected[..., 1:]).mean() < (4 if target == "rgb" else 1)
