"""`kerasdl runs`: states, scores, order and cleaning of runs that no training made."""

import io
import json
import os
import types

import click.testing
import pytest
import rich.console
from report_fixtures import run_folder

from kerasdl.cli import runs as command
from kerasdl.core.errors import ConfigError, ModelFileError, TrainingFailed
from kerasdl.report import terminal
from kerasdl.runs import config as configuration
from kerasdl.runs import names, overview, runfolder

SETTINGS = {"task": "segmentation", "model": "unet", "image_size": 8, "epochs": 6}


def made(path, scores=None, epoch=6, **values):
    """A run folder with a checkpoint after `epoch` epochs; finished if it has scores."""
    config = configuration.Config(**{**SETTINGS, **values})
    run_folder(path, config, scores or {}, finished=scores is not None)
    (path / names.DATA).write_text('{"fingerprint": "x", "samples": {}}')
    for number in (epoch - 1, epoch):
        folder = runfolder.epoch_folder(path / names.CHECKPOINTS, number)
        folder.mkdir(parents=True)
        (folder / names.STATE).write_text(json.dumps({"stopped_by": "epochs", "epoch": number}))
        (folder / names.STATE_MODEL).write_bytes(bytes(1000))
    return config


def rows(path, sort="path"):
    return {row.path: row for row in overview.rows(path, sort)}


def test_states_epochs_and_scores(tmp_path):
    made(tmp_path / "done", {"mean_iou": 0.25})
    made(tmp_path / "stopped", epoch=3)
    config = made(tmp_path / "broken", epoch=2)
    with pytest.raises(TrainingFailed):
        with runfolder.acquire(tmp_path / "broken", config, "x"):
            raise TrainingFailed("the loss became nan", fix="a smaller --learning-rate")
    found = rows(tmp_path)
    assert [(row.state, row.epochs, row.planned) for row in found.values()] == [
        ("failed", 2, 6), ("finished", 6, 6), ("interrupted", 3, 6)
    ]  # fmt: skip
    assert "the loss became nan (a smaller" in found["broken"].reason
    assert (found["done"].score, found["done"].value) == ("mean_iou", 0.25)
    assert (found["done"].task, found["done"].model, found["done"].data) == (
        "segmentation", "unet", "scenes"
    )  # fmt: skip
    # A training that goes on clears the failure; while it lasts, the run is running.
    with runfolder.acquire(tmp_path / "broken", config, "x"):
        assert rows(tmp_path)["broken"].state == "running"
    assert rows(tmp_path)["broken"].state == "interrupted"


def test_a_signal_is_an_interruption_not_a_failure(tmp_path):
    config = made(tmp_path / "run", epoch=2)
    stopped = TrainingFailed("stopped by SIGINT")
    stopped.exit_code = 130
    with pytest.raises(TrainingFailed), runfolder.acquire(tmp_path / "run", config, "x"):
        raise stopped
    assert rows(tmp_path)["run"].state == "interrupted"


def test_a_run_that_goes_on_shows_its_best_validation_score(tmp_path):
    made(tmp_path / "run", epoch=3)
    (tmp_path / "run" / names.HISTORY).write_text(
        "epoch,seconds,val_mean_iou\n1,1,0.1\n2,1,0.3\n3,1,0.2\n"
    )
    row = rows(tmp_path)["run"]
    assert (row.score, row.value) == ("val_mean_iou", 0.3)


def test_a_damaged_configuration_is_one_row_not_an_error(tmp_path):
    made(tmp_path / "run", {"mean_iou": 0.25})
    (tmp_path / "run" / names.CONFIG).write_text("task = ")
    row = rows(tmp_path)["run"]
    assert row.state == "damaged" and "not valid TOML" in row.reason


def test_orders(tmp_path):
    for age, (name, score) in enumerate((("r-10", 0.5), ("r-9", 0.7), ("r-11", 0.6))):
        made(tmp_path / name, {"mean_iou": score})
        os.utime(tmp_path / name / names.METRICS, (1000 - age, 1000 - age))
    (tmp_path / "r-11" / "extra").write_bytes(bytes(10_000))
    assert list(rows(tmp_path)) == ["r-9", "r-10", "r-11"]
    assert list(rows(tmp_path, "score")) == ["r-9", "r-11", "r-10"]
    assert list(rows(tmp_path, "age")) == ["r-10", "r-9", "r-11"]
    assert next(iter(rows(tmp_path, "size"))) == "r-11"


def test_the_table_is_one_line_per_run_in_a_file_and_keeps_every_column_when_narrow(tmp_path):
    made(tmp_path / "a-folder-with-a-rather-long-name-of-its-own", {"mean_iou": 0.25})
    stream = io.StringIO()
    terminal.show_runs(overview.rows(tmp_path), rich.console.Console(file=stream))
    line = next(text for text in stream.getvalue().splitlines() if "a-folder" in text)
    for word in (
        "its-own",
        "segmentation",
        "unet",
        "scenes",
        "mean IoU 25.00 %",
        "6/6",
        "finished",
    ):
        assert word in line
    stream = io.StringIO()
    console = rich.console.Console(file=stream, force_terminal=True, color_system=None, width=80)
    terminal.show_runs(overview.rows(tmp_path), console)
    assert "segmentation unet" in stream.getvalue()
    assert "finished" in stream.getvalue()


def invoke(*words, **options):
    return click.testing.CliRunner().invoke(command.runs_group, words, **options)


def test_clean_removes_the_weights_of_finished_runs_only_and_asks(tmp_path):
    config = made(tmp_path / "done", {"mean_iou": 0.25})
    made(tmp_path / "stopped", epoch=3)
    refused = invoke("clean", str(tmp_path))
    assert isinstance(refused.exception, ConfigError) and "--yes" in str(refused.exception)
    # Of two checkpoints of 1000 bytes and a few of their state: the older one whole.
    assert "removed the checkpoints of 1 finished run (2.0 kB)" in (
        invoke("clean", str(tmp_path), "--yes").output
    )
    left = sorted(path.name for path in (tmp_path / "done/checkpoints").rglob("*"))
    assert left == ["epoch-00006", "state.json"]
    assert len(list((tmp_path / "stopped/checkpoints").rglob(names.STATE_MODEL))) == 2
    assert "no checkpoints" in invoke("clean", str(tmp_path)).output
    # Nothing is left to train, and more epochs cannot be trained.
    with runfolder.acquire(tmp_path / "done", config, "x") as folder:
        assert folder.status == "finished"
    with pytest.raises(ConfigError, match="no epochs can be added"):
        runfolder.compare_config(tmp_path / "done", configuration.changed(config, epochs=7))


@pytest.mark.parametrize(("answer", "left"), [("n", 2), ("", 2), ("y", 0)])
def test_clean_removes_only_what_the_user_agreed_to(tmp_path, monkeypatch, answer, left):
    made(tmp_path / "done", {"mean_iou": 0.25})
    terminal_input = types.SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(command, "sys", types.SimpleNamespace(stdin=terminal_input))
    output = invoke("clean", str(tmp_path), input=answer + "\n").output
    run, question, *removed = output.splitlines()
    assert run == str(tmp_path / "done")
    assert question.startswith("Remove the checkpoints of 1 finished run (2.0 kB)? [y/N]: ")
    assert bool(removed) == (answer == "y")
    assert len(list(tmp_path.rglob(names.STATE_MODEL))) == left


def test_words_of_the_command(tmp_path):
    made(tmp_path / "run", {"mean_iou": 0.25})
    assert json.loads(invoke(str(tmp_path), "--json").output)[0]["value"] == 0.25
    assert invoke(str(tmp_path)).output == invoke("list", str(tmp_path)).output
    assert "did you mean 'size'" in str(invoke("--sort", "sise").exception)
    assert isinstance(invoke(str(tmp_path / "none")).exception, ModelFileError)
