"""The models, losses and metrics in plain Keras code, as docs/plain_keras.md and docstrings say."""

import ast
import inspect
import pathlib
import re
import subprocess
import sys
import textwrap

import keras
import numpy
import pytest

import kerasdl
from kerasdl.core.errors import ConfigError

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "plain_keras.md"
SEGMENTATION, LOADING, COLORS = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S
)


def run(code, **names):
    exec(compile(code, "example", "exec"), names)
    return names


def small_model(inputs=3, outputs=3):
    return keras.Sequential([keras.Input((12, 12, inputs)), keras.layers.Conv2D(outputs, 1)])


@pytest.mark.process
def test_the_page_saves_a_model_that_another_process_loads(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run(SEGMENTATION)
    said = ast.literal_eval(capsys.readouterr().out.strip().splitlines()[-1])
    assert set(said) == {"loss", "mean_iou", "pixel_accuracy"}
    assert 0 < said["mean_iou"] < 1 and numpy.isfinite(said["loss"])
    code = LOADING + "print(model.loss.ignore_labels, model.count_params())"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.splitlines()[-1] == f"(255,) {names['model'].count_params()}"


def test_images_as_outputs():
    history = run(COLORS)["model"].history.history
    assert set(history) == {"loss", "psnr", "ssim"}
    assert 0 < history["psnr"][0] < 100 and -1 <= history["ssim"][0] <= 1


@pytest.mark.parametrize("name, outputs", [("MeanIoU", 10), ("PSNR", 3), ("SSIM", 3)])
def test_the_example_in_the_docstring(name, outputs):
    text = inspect.getdoc(getattr(kerasdl.metrics, name))
    example = textwrap.dedent(text[text.index("Example") :].split("\n\n", 1)[1])
    random = numpy.random.default_rng(0)
    images = random.random((4, 12, 12, 3), dtype="float32")
    *statements, score = example.strip().splitlines()
    names = run(
        "\n".join([*statements, f"score = {score}"]),
        kerasdl=kerasdl,
        model=small_model(3, outputs),
        inputs=images,
        images=images,
        masks=random.integers(0, 10, (4, 12, 12)),
    )
    assert numpy.isfinite(names["score"])


@pytest.mark.parametrize("name, arguments", [("MeanIoU", [3]), ("PSNR", []), ("SSIM", [])])
def test_sample_weights_are_an_error_that_names_the_argument(name, arguments):
    metric = getattr(kerasdl.metrics, name)(*arguments)
    model = small_model()
    model.compile(loss="mse", weighted_metrics=[metric])
    images = numpy.zeros((2, 12, 12, 3), "float32")
    with pytest.raises(ConfigError, match="metrics=, not weighted_metrics="):
        model.fit(images, images, sample_weight=numpy.ones((2, 1, 1)), verbose=0)


def test_metrics_are_those_of_the_unweighted_samples_when_the_loss_has_weights():
    images = numpy.random.default_rng(0).random((4, 12, 12, 3), dtype="float32")
    model = small_model()
    model.compile(loss="mse", metrics=[kerasdl.metrics.PSNR()])
    weights = numpy.array([0.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1)
    plain = model.evaluate(images, images, verbose=0, return_dict=True)
    weighted = model.evaluate(images, images, sample_weight=weights, verbose=0, return_dict=True)
    assert weighted["psnr"] == pytest.approx(plain["psnr"], rel=1e-6)
    assert weighted["loss"] != pytest.approx(plain["loss"], rel=1e-3)


@pytest.mark.parametrize(
    "loss, target",
    [
        ("crossentropy", "mask"),
        ("focal", "mask"),
        ("dice", "mask"),
        ("crossentropy+dice", "mask"),
        ("l1", "rgb"),
        ("huber", "rgb"),
        ("l1", "ab"),
        ("huber", "ab"),
        ("chroma", "ab"),
        ("bins", "ab"),
    ],
)
def test_a_saved_model_has_the_same_loss(loss, target, tmp_path):
    """Keras' own Huber has delta 1 after loading, whatever it had before (keras#23286)."""
    random = numpy.random.default_rng(0)
    images = random.random((4, 12, 12, 3), dtype="float32")
    truth = random.integers(0, 3, (4, 12, 12)) if target == "mask" else images * 0.5
    model = small_model(3, {"chroma": 2, "bins": 313}.get(loss, 2 if target == "ab" else 3))
    model.compile("sgd", kerasdl.losses.build(loss, target=target))
    model.fit(images, truth, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is type(model.loss)
    before = model.evaluate(images, truth, verbose=0)
    assert loaded.evaluate(images, truth, verbose=0) == pytest.approx(before, rel=1e-6)


def test_a_loaded_metric_is_the_same():
    for metric in (
        kerasdl.metrics.MeanIoU(4, ignore_labels=[255], name="iou"),
        kerasdl.metrics.PSNR(name="peak"),
        kerasdl.metrics.SSIM(gated=False),
    ):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert type(again) is type(metric)
        assert again.get_config() == metric.get_config()
