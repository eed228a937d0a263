"""The reader of run folders and the finders of runs, on folders that no training made."""

import os
import subprocess
import sys

import pytest
from report_fixtures import run_folder

from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.runs import config as configuration
from kerasdl.runs import names, run, sidecar


def config(task="segmentation", **values):
    return configuration.Config(**{"task": task, "image_size": 8, **values})


@pytest.fixture
def folders(tmp_path):
    """Three finished runs of two settings below one folder, and one that is not finished."""
    found = [
        run_folder(tmp_path / "all" / name / f"seed-{seed}", config(seed=seed), {"mean_iou": 0.5})
        for name, seed in (("all", 2), ("all", 10), ("none", 2))
    ]
    run_folder(tmp_path / "all" / "none" / "seed-10", config(), {}, finished=False)
    return found


def test_what_a_run_folder_holds(folders):
    sidecar.write(
        folders[0],
        {"task": "segmentation", "model": "unet", "model_args": {}, "outputs": 2, "channels": 3,
         "image_size": [8, 8], "precision": "float32", "class_names": ["sky", "tree"]},
    )  # fmt: skip
    found = run.Run(folders[0])
    assert found.config == config(seed=2)
    assert found.scores == {"mean_iou": 0.5} and found.metrics["samples"] == 1200
    assert [row["epoch"] for row in found.history] == [1, 2, 3, 4, 5, 6]
    assert found.history[0]["val_loss"] == 1.2
    assert found.class_names == ("sky", "tree")
    assert found.environment["python"] == "3.11.2" and found.backend == "torch"
    assert found.finished
    assert os.fspath(found) == str(found) == str(folders[0])
    assert found / "config.toml" == folders[0] / "config.toml"


def test_what_is_missing_is_said_with_the_folder_and_the_fix(tmp_path):
    nothing = run.Run(tmp_path / "none")
    assert not nothing.finished and nothing.backend is None
    for attribute, message in (
        ("config", "not a run folder, config.toml is missing"),
        ("scores", "not finished, metrics.json is missing"),
        ("history", "not finished, history.csv is missing"),
        ("environment", "not finished, environment.json is missing"),
        ("class_names", "no model.json next to the model"),
        ("best_model", "no best model yet"),
    ):
        with pytest.raises(ModelFileError, match=message) as caught:
            getattr(nothing, attribute)
        assert str(tmp_path / "none") in str(caught.value)
    with pytest.raises(ModelFileError, match="no best model yet.*finish its training"):
        nothing.open_model()


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000, "\udcff"])
def test_a_damaged_file_is_named_and_the_run_not_finished(folders, content):
    (folders[0] / names.METRICS).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelFileError, match="damaged file .*metrics.json"):
        _ = run.Run(folders[0]).scores
    assert not run.Run(folders[0]).finished


def test_empty_cells_of_the_history_are_left_out_and_words_refused(tmp_path):
    path = tmp_path / names.HISTORY
    path.write_text("epoch,loss,val_loss\n1,0.5,\n2,0.25,nan\n", encoding="utf-8")
    first, second = run.Run(tmp_path).history
    assert first == {"epoch": 1, "loss": 0.5}
    assert second["loss"] == 0.25 and second["val_loss"] != second["val_loss"]
    for content in ("epoch,loss\n1,much\n", "epoch\n1,2,3\n"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ModelFileError, match="damaged file .*history.csv"):
            _ = run.Run(tmp_path).history


def test_find_runs(folders, tmp_path, caplog):
    assert run.find([tmp_path]) == folders  # seed-2 before seed-10
    assert "not finished" in caplog.text and "seed-10" in caplog.text
    assert run.find([folders[1], folders[1], tmp_path / "all" / "none"]) == folders[1:]
    for path, message in (
        (tmp_path / "nowhere", "no such run folder"),
        (folders[0] / "figures", "no run in"),
        (tmp_path / "all" / "none" / "seed-10", "not finished"),
    ):
        with pytest.raises(ModelFileError, match=message):
            run.find([path])


def test_newest_finished_run_of_a_task(folders, tmp_path):
    photos = run_folder(tmp_path / "photos", config("colorization"), {"psnr": 20.0})
    for age, folder in enumerate((*folders[:2], photos)):
        (folder / names.BEST_MODEL).touch()
        os.utime(folder / names.METRICS, (1000 - age, 1000 - age))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in (names.METRICS, names.DATA, names.BEST_MODEL):
        (foreign / name).write_text("{}")
    (foreign / names.CONFIG).write_text('title = "of another program"')
    assert run.newest("segment", tmp_path) == folders[0]
    assert run.newest("colorization", tmp_path) == photos
    with pytest.raises(ConfigError, match="no finished run of classification.*kerasdl train"):
        run.newest("classify", tmp_path)


@pytest.mark.process
def test_a_run_is_read_without_keras(folders):
    program = (
        "import sys, kerasdl; run = kerasdl.Run(sys.argv[1]); "
        "print(run.scores, run.config.task, len(run.history), run.backend, run.finished); "
        "print([name for name in ('keras', 'tensorflow', 'jax', 'torch') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, str(folders[0])]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines == ["{'mean_iou': 0.5} segmentation 6 torch True", "[]"]


def test_every_file_of_a_run_is_named_once():
    spelled = {value for key, value in vars(names).items() if key.isupper() and key != "ALL"}
    inner = {names.LOCK, names.STATE, names.STATE_MODEL, names.STATE_AVERAGE}
    assert spelled - inner == set(names.ALL)
    assert names.ALL[-2:] == (names.CONFIG, names.DATA)


@pytest.mark.parametrize(
    "content", ["{}", '{"scores": 3, "task": "segmentation"}', '{"scores": {}}']
)
def test_metrics_of_another_shape_are_damaged(folders, content):
    (folders[0] / "metrics.json").write_text(content)
    assert not run.Run(folders[0]).finished
    with pytest.raises(ModelFileError, match="damaged file .no task or no scores"):
        _ = run.Run(folders[0]).scores
