"""The real loop on tiny data: train, repeat, resume, evaluate and predict, task by task."""

import csv
import json
import logging
import math
import os
import shutil
import signal

import keras
import numpy
import pytest
import skimage.color
from PIL import Image

import kerasdl
from kerasdl.backend import signals
from kerasdl.core.errors import (
    ConfigError,
    DataError,
    KerasdlError,
    ModelFileError,
    TrainingFailed,
    WriteError,
)
from kerasdl.engine import datasets, run
from kerasdl.runs import checkpoint

TINY = {
    "image_size": 16,
    "train_size": 20,
    "validation_size": 6,
    "test_size": 7,
    "batch_size": 8,
    "epochs": 2,
    "momentum": 0.0,
}
UNET = {"filters": 2, "depth": 1}


def config(task, **values):
    options = {"model_args": UNET}
    if task == "classification":
        # On 20 images, at the recipe's rate, its logits grow into the hundreds.
        options = {"learning_rate": 0.001, "model_args": {"filters": 4}}
    return kerasdl.Config(task=task, **{**TINY, **options, **values})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One finished run per task."""
    root = tmp_path_factory.mktemp("runs")
    return {
        task: kerasdl.train(config(task), root / task, quiet=True)
        for task in ("classification", "segmentation", "colorization")
    }


SCORES = {
    "classification": {"accuracy", "top5_accuracy", "loss", "calibration_error", "accuracy/cat"},
    "segmentation": {"mean_iou", "pixel_accuracy", "loss", "iou/sky", "iou/cat"},
    "colorization": {"psnr", "ssim", "loss", "chroma_error", "delta_e", "colorfulness_ratio"},
}


@pytest.mark.parametrize("task", SCORES)
def test_a_run_leaves_everything(runs, task):
    folder = runs[task]
    names = "config.toml environment.json data.json history.csv metrics.json best.keras model.json"
    for name in (*names.split(), "report.html", "README.md", "figures/curves.png"):
        assert (folder / name).stat().st_size > 0
    document = json.loads((folder / "metrics.json").read_text())
    assert document["samples"] == 7 and document["split"] == "test"
    assert set(document["scores"]) >= SCORES[task]
    assert all(name.partition("/")[0] in document["definitions"] or "/" in name
               for name in document["scores"])  # fmt: skip
    rows = kerasdl.Run(folder).history
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(row["learning_rate"] == pytest.approx(config(task).learning_rate) for row in rows)


def test_expensive_metrics_are_measured_in_validation_only(runs):
    with (runs["segmentation"] / "history.csv").open() as stream:
        columns = csv.DictReader(stream).fieldnames
    assert "val_mean_iou" in columns and "mean_iou" not in columns
    with (runs["classification"] / "history.csv").open() as stream:
        assert {"accuracy", "val_accuracy"} <= set(csv.DictReader(stream).fieldnames)


@pytest.mark.parametrize("task", SCORES)
def test_evaluate_gives_the_scores_of_the_run(runs, task):
    stored = json.loads((runs[task] / "metrics.json").read_text())["scores"]
    again = kerasdl.evaluate(runs[task], batch_size=3)["scores"]
    measured = {name: value for name, value in stored.items() if value is not None}
    assert {name: again[name] for name in measured} == pytest.approx(measured, rel=1e-3, abs=1e-5)
    assert all(again[name] is None for name in stored.keys() - measured.keys())


def test_scores_of_classification_are_those_of_the_model(runs):
    """Accuracy and loss by hand, from the model file in plain Keras."""
    model = keras.saving.load_model(runs["classification"] / "best.keras")
    split = datasets.load(config("classification")).splits["test"]
    images, labels, _ = split.take(numpy.arange(7), (16, 16))
    logits = model.predict_on_batch(images.astype("float32") / 255).astype("float64")
    logits -= logits.max(axis=1, keepdims=True)
    fractions = numpy.exp(logits) / numpy.exp(logits).sum(axis=1, keepdims=True)
    scores = kerasdl.evaluate(runs["classification"])["scores"]
    assert scores["accuracy"] == pytest.approx((logits.argmax(axis=1) == labels).mean())
    loss = -numpy.log(fractions[numpy.arange(7), labels]).mean()
    assert scores["loss"] == pytest.approx(loss, rel=1e-3)


def test_repeating_a_finished_run_trains_nothing(runs, caplog):
    folder = runs["segmentation"]
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}
    with caplog.at_level(logging.INFO, "kerasdl"):
        again = kerasdl.train(config("segmentation"), folder, quiet=True)
    assert again.path == folder.path
    assert "already finished" in caplog.text and "--overwrite" in caplog.text
    after = {path: path.stat().st_mtime_ns for path in before}
    assert after == before


def test_a_signal_during_the_artifacts_is_heard_after_them(tmp_path, monkeypatch):
    """Else a sweep would go on with its next run."""

    def interrupted(path, config, task, dataset):
        os.kill(os.getpid(), signal.SIGTERM)
        (path / "metrics.json").write_text("{}")

    monkeypatch.setattr("kerasdl.engine.publishing.finish", interrupted)
    with pytest.raises(signals.Stopped) as caught:
        kerasdl.train(config("segmentation", train_size=8, epochs=1), tmp_path / "run", quiet=True)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert (tmp_path / "run" / "metrics.json").exists()


def test_scores_that_are_damaged_are_written_again(runs, tmp_path, without_artifacts):
    folder = shutil.copytree(runs["segmentation"], tmp_path / "run")
    (folder / "metrics.json").write_text("{")
    kerasdl.train(config("segmentation"), folder, quiet=True)
    assert json.loads((folder / "metrics.json").read_text()) == {}


def test_a_run_that_was_never_finite_has_no_best_model(tmp_path, monkeypatch):
    def always_nan(self, epoch, logs=None):
        original(self, epoch, {**logs, "val_loss": math.nan})

    original = checkpoint.RunState.on_epoch_end
    monkeypatch.setattr(checkpoint.RunState, "on_epoch_end", always_nan)
    for _ in range(2):  # the second time nothing is left to train, and the end is the same
        with pytest.raises(TrainingFailed, match="val_loss was never finite") as caught:
            kerasdl.train(config("segmentation", train_size=8, epochs=1), tmp_path / "run",
                          quiet=True)  # fmt: skip
        assert caught.value.exit_code == 5


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_memory_that_runs_out_is_no_defect(runs, tmp_path, monkeypatch, command):
    def out_of_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(keras.Model, "predict_on_batch", out_of_memory)
    folder = shutil.copytree(runs["segmentation"], tmp_path / "run")
    (folder / "metrics.json").unlink()
    call = {
        "train": lambda: kerasdl.train(config("segmentation"), folder, quiet=True),
        "evaluate": lambda: kerasdl.evaluate(folder),
        "predict": lambda: kerasdl.predict(folder, numpy.zeros((16, 16, 3), "uint8")),
    }[command]
    with pytest.raises(TrainingFailed, match="out of memory"):
        call()


def test_a_signal_before_the_report_ends_the_run_there(runs, tmp_path, monkeypatch):
    def fit_and_signal(folder, config, task, dataset, stop, *others):
        stop.received = signal.SIGTERM

    monkeypatch.setattr("kerasdl.engine.fitting.fit", fit_and_signal)
    folder = shutil.copytree(runs["segmentation"], tmp_path / "run")
    (folder / "metrics.json").unlink()
    with pytest.raises(KerasdlError, match="stopped by SIGTERM") as caught:
        kerasdl.train(config("segmentation"), folder, quiet=True)
    assert caught.value.exit_code == 143
    assert not (folder / "metrics.json").exists()


def test_predictions_into_a_file_in_place_of_a_folder(runs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot write.*file"):
        kerasdl.predict(
            runs["segmentation"], numpy.zeros((16, 16, 3), "uint8"), tmp_path / "file" / "out"
        )


def test_another_configuration_in_the_folder_is_refused(runs):
    with pytest.raises(ConfigError, match="learning_rate") as caught:
        kerasdl.train(config("segmentation", learning_rate=0.2), runs["segmentation"], quiet=True)
    assert "--overwrite" in str(caught.value)


def test_more_epochs_go_on(tmp_path, without_artifacts):
    first = config("segmentation", train_size=8, epochs=1)
    folder = kerasdl.train(first, tmp_path / "run", quiet=True)
    kerasdl.train(run.changed(first, epochs=3), folder, quiet=True)
    rows = kerasdl.Run(folder).history
    assert [row["epoch"] for row in rows] == [1, 2, 3]


def test_resumed_in_parts_equals_trained_at_once(tmp_path, without_artifacts):
    """Plateau, augmentation and data order go on as if nothing had happened."""
    whole = config("segmentation", epochs=4, plateau_patience=1, learning_rate=3.0)
    kerasdl.train(whole, tmp_path / "whole", quiet=True)
    for epochs in (1, 3, 4):
        kerasdl.train(run.changed(whole, epochs=epochs, workers=epochs), tmp_path / "parts",
                      quiet=True)  # fmt: skip
    rows = [kerasdl.Run(tmp_path / name).history for name in ("whole", "parts")]
    for row in (*rows[0], *rows[1]):
        row.pop("seconds")
    assert rows[0] == rows[1]
    files = [tmp_path / name / "best.keras" for name in ("whole", "parts")]
    models = [keras.saving.load_model(file) for file in files]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert numpy.array_equal(one, other)


def test_unknown_monitor_fails_before_training(tmp_path):
    with pytest.raises(ConfigError, match="unknown monitor 'val_iou'.*did you mean 'val_mean_iou'"):
        kerasdl.train(config("segmentation", monitor="val_iou"), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "history.csv").exists()


def test_score_as_monitor_and_early_stopping(tmp_path, without_artifacts):
    settings = config(
        "segmentation",
        monitor="val_mean_iou",
        early_stopping_patience=1,
        epochs=30,
        learning_rate=1e-9,
    )
    folder = kerasdl.train(settings, tmp_path / "run", quiet=True)
    assert len(kerasdl.Run(folder).history) < 30
    best = json.loads((folder / "best.json").read_text())
    rows = kerasdl.Run(folder).history
    assert best["value"] == max(row["val_mean_iou"] for row in rows)


def test_data_with_other_classes_are_refused(runs, tmp_path):
    for name in ("a", "b", "c"):
        for split in ("train", "val", "test"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (16, 16)).save(tmp_path / split / name / "x.png")
    with pytest.raises(ModelFileError, match="10 classes.*the data have 3"):
        kerasdl.evaluate(runs["classification"], data_name=str(tmp_path))


def test_predict_names_classes(runs):
    image = numpy.random.default_rng(0).integers(0, 256, (30, 20, 3)).astype("uint8")
    found = kerasdl.predict(runs["classification"], image, top=10)[0]
    assert sum(fraction for _, fraction in found.classes) == pytest.approx(1, abs=1e-5)
    fractions = [fraction for _, fraction in found.classes]
    assert fractions == sorted(fractions, reverse=True)


def test_predict_segments_at_the_image_s_own_size(runs, tmp_path):
    folder = tmp_path / "photos" / "inner"
    folder.mkdir(parents=True)
    Image.new("RGB", (37, 53), (200, 30, 30)).save(folder / "a.png")
    (tmp_path / "photos" / "broken.jpg").write_text("no image")
    found = kerasdl.predict(runs["segmentation"], tmp_path / "photos", tmp_path / "out")
    assert found[0].error is not None and "broken.jpg" in found[0].error
    assert found[1].mask.shape == (53, 37)
    written = Image.open(tmp_path / "out" / "inner" / "a_mask.png")
    assert numpy.array_equal(numpy.asarray(written), found[1].mask)
    assert Image.open(tmp_path / "out" / "inner" / "a_overlay.jpg").size == (37, 53)
    with pytest.raises(ConfigError, match="the result exists.*--overwrite"):
        kerasdl.predict(runs["segmentation"], tmp_path / "photos", tmp_path / "out")


def test_predict_colorizes_and_keeps_the_lightness(runs):
    generator = numpy.random.default_rng(0)
    image = numpy.repeat(generator.integers(80, 170, (40, 23, 1)), 3, axis=2).astype("uint8")
    image = kerasdl.predict(runs["colorization"], image)[0].image
    assert image.shape == image.shape
    inside = ((image > 0) & (image < 255)).all(axis=2)  # colors that sRGB can show
    assert inside.mean() > 0.5
    lightness = [skimage.color.rgb2lab(pixels)[..., 0] for pixels in (image, image)]
    assert numpy.abs(lightness[0] - lightness[1])[inside].max() < 1.0


def test_predict_without_images(runs, tmp_path):
    with pytest.raises(DataError, match="no such image or folder"):
        kerasdl.predict(runs["segmentation"], tmp_path / "none.png")
    with pytest.raises(DataError, match="no images in the folder"):
        kerasdl.predict(runs["segmentation"], tmp_path)


def test_a_run_scores_and_predicts_by_itself(runs):
    run = kerasdl.Run(str(runs["segmentation"]))
    assert run.scores == run.metrics["scores"] and run.config == runs["segmentation"].config
    found = run.evaluate("validation", batch_size=4)
    assert found["samples"] == 6 and found["run"] == str(run)
    image = numpy.zeros((20, 24, 3), "uint8")
    assert numpy.array_equal(run.predict(image)[0].mask, kerasdl.predict(run.path, image)[0].mask)
    assert run.open_model().output_shape == (None, 16, 16, len(run.class_names))


def test_few_images_without_validation_and_test(tmp_path, caplog):
    """Fewer images than a batch, nothing to validate or test on: it works and says so."""
    generator = numpy.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        pixels = generator.integers(0, 256, (20, 24, 3)).astype("uint8")
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    settings = kerasdl.Config(
        task="colorization", data=str(tmp_path / "photos"), image_size=16, epochs=1,
        validation_split=0.0, test_split=0.0, model_args=UNET,
    )  # fmt: skip
    with caplog.at_level(logging.WARNING, "kerasdl"):
        folder = kerasdl.train(settings, tmp_path / "run", quiet=True)
    assert "monitoring the training loss" in caplog.text
    assert "scoring the train split instead" in caplog.text
    assert json.loads((folder / "splits.json").read_text())["splits"]["train"] == [
        "0.png", "1.png", "2.png",
    ]  # fmt: skip
    assert json.loads((folder / "metrics.json").read_text())["samples"] == 3


def test_bad_data_stop_a_training_before_it_starts(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
    for number in range(10):
        Image.new("RGB", (20, 20)).save(tmp_path / "photos" / "images" / f"{number}.png")
        Image.new("L", (20, 20), 255 * (number % 2)).save(
            tmp_path / "photos" / "masks" / f"{number}.png"
        )
    settings = kerasdl.Config(task="segmentation", data=str(tmp_path / "photos"))
    with pytest.raises(DataError, match="mask_values"):
        kerasdl.train(settings, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "history.csv").exists()


def test_two_images_of_one_name_are_never_overwritten(runs, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (16, 16)).save(tmp_path / folder / "x.png")
    with pytest.raises(ConfigError, match="two images would have the same result"):
        kerasdl.predict(
            runs["segmentation"], [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"],
            tmp_path / "out",
        )  # fmt: skip


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_result_never_replaces_the_image(runs, tmp_path, overwrite):
    Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "x.png")
    Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "x_mask.png")
    before = (tmp_path / "x_mask.png").read_bytes()
    with pytest.raises(ConfigError, match="would overwrite the image.*another --out"):
        kerasdl.predict(runs["segmentation"], tmp_path, tmp_path, overwrite=overwrite)
    assert (tmp_path / "x_mask.png").read_bytes() == before


@pytest.mark.parametrize("saturation", [math.nan, math.inf, -1, 1e38])
def test_a_saturation_that_is_none_is_refused(runs, tmp_path, saturation):
    image = numpy.zeros((16, 16, 3), "uint8")
    with pytest.raises(ConfigError, match="saturation must be from 0 to 100"):
        kerasdl.predict(runs["colorization"], image, tmp_path, saturation=saturation)
