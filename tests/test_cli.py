"""The command line: words in, exit codes and one line out. Runs in this process."""

import json

import click.shell_completion
import PIL.Image
import pytest

from kerasdl.cli import main as cli
from kerasdl.core.registry import load
from kerasdl.engine import run


@pytest.fixture
def kerasdl(capsys, tmp_path, monkeypatch):
    """Runs a command line in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        with pytest.raises(SystemExit) as caught:
            cli.main(list(words))
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return call


def test_listed_commands_are_those_that_run():
    for name, entry in cli.COMMANDS.items():
        command = load(entry.command)
        assert command.name == name
        assert command.get_short_help_str(200) == entry.summary


def assert_one_error_line(result, code, *words):
    assert result[0] == code
    lines = result[2].strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trian", "segmentation"], "did you mean 'train'"),
        (["train", "segmentatoin"], "did you mean 'segmentation'"),
        (["train", "segmentation", "--model", "fcn33"], "did you mean 'fcn32'"),
        (["train", "segmentation", "--model", "resnet18"], "unknown model for segmentation"),
        (["train", "segmentation", "--modle", "fcn32"], "--model"),
        (["train", "classify", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["train", "classify", "--backend", "jaxx"], "did you mean 'jax'"),
        (["train", "classify", "--epochs", "0"], "'epochs' must be at least 1"),
        (["train", "classify", "--config", "none.toml"], "no such configuration file: none.toml"),
        (["train", "classify", "--set", "loss=l1"], "unknown loss for classification 'l1'"),
        (["evaluate", "colorize"], "kerasdl train colorization"),
        (["train", "classify", "--resume", "a", "--overwrite"], "are mutually exclusive"),
        (["train", "classify", "--resume", "a", "--out", "b"], "--config from the folder"),
        (["config", "shwo", "classify"], "did you mean 'show'"),
    ],
)
def test_wrong_words_are_usage_errors(kerasdl, words, expected):
    assert_one_error_line(kerasdl(*words), 2, expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "classify", "--data", "scnes"], "did you mean 'scenes'"),
        (["train", "classify", "--data", "no/such/folder"], "no/such/folder"),
    ],
)
def test_missing_data_are_data_errors(kerasdl, words, expected):
    assert_one_error_line(kerasdl(*words), 3, expected)


def test_evaluate_a_folder_that_is_no_run(kerasdl, tmp_path):
    assert_one_error_line(kerasdl("evaluate", "classify", "--run", str(tmp_path)), 4, "config.toml")


def test_precedence_default_file_set_flag(kerasdl, tmp_path):
    (tmp_path / "run.toml").write_text("epochs = 2\nbatch_size = 2\nseed = 2\n")
    words = ["config", "show", "classify", "--json", "--config", "run.toml"]
    code, out, _ = kerasdl(*words, "--set", "batch_size=3", "--set", "seed=3", "--seed", "4")
    config = json.loads(out)
    assert code == 0
    assert (config["epochs"], config["batch_size"], config["seed"]) == (2, 3, 4)
    assert config["momentum"] == 0.9


def test_download_is_a_flag_that_wins_over_the_file(kerasdl, tmp_path):
    (tmp_path / "run.toml").write_text("download = true")
    words = ["config", "show", "classify", "--json", "--config", "run.toml"]
    for flags, expected in (([], True), (["--no-download"], False), (["--download"], True)):
        assert json.loads(kerasdl(*words, *flags)[1])["download"] is expected


def test_file_of_another_task_is_refused(kerasdl, tmp_path):
    (tmp_path / "run.toml").write_text('task = "segmentation"\n')
    words = ["train", "classify", "--config", "run.toml"]
    assert_one_error_line(kerasdl(*words), 2, "the file is for segmentation")


def test_train_passes_its_words_on(kerasdl, tmp_path, monkeypatch):
    seen = {}

    def recorder(config, out, overwrite, allow_data_change, quiet):
        seen.update(config=config, out=out, overwrite=overwrite, quiet=quiet)
        document = {
            "task": "segmentation", "model": "fcn32", "data": "scenes", "split": "test",
            "samples": 5, "scores": {"mean_iou": 0.5}, "baseline": {"mean_iou": 0.25},
        }  # fmt: skip
        (tmp_path / "metrics.json").write_text(json.dumps(document))
        return run.Run(tmp_path)

    monkeypatch.setattr(run, "train", recorder)
    code, out, _ = kerasdl(
        "-q", "train", "segment", "--model", "fcn32", "--out", "here", "--overwrite"
    )
    assert code == 0
    assert (seen["config"].model, seen["out"], seen["overwrite"], seen["quiet"]) == (
        "fcn32", "here", True, True,
    )  # fmt: skip
    assert "50.00" in out and "25.00" in out and "FCN-32s on scenes: 5 test images" in out


def test_unexpected_errors_are_defects(kerasdl, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(run, "train", broken)
    assert_one_error_line(
        kerasdl("train", "classify"), 1, "defect in kerasdl: RuntimeError: two lines"
    )
    code, _, err = kerasdl("--debug", "train", "classify")
    assert code == 1
    assert "Traceback" in err


def test_data_show_draws_a_sheet(kerasdl, tmp_path):
    code, out, _ = kerasdl("data", "show", "scenes", "--count", "4", "--out", "sheet.png")
    assert code == 0
    assert out.strip() == "sheet.png: 4 of 2000 train images"
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_data_show_takes_samples_from_all_over_a_folder(kerasdl, tmp_path):
    for name, level in (("black", 0), ("white", 255)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for index in range(6):
            PIL.Image.new("RGB", (128, 128), (level,) * 3).save(
                tmp_path / "tones" / name / f"{index}.png"
            )
    words = ["data", "show", "tones", "--task", "classify", "--count", "2", "--out", "sheet.png"]
    assert kerasdl(*words)[0] == 0
    sheet = PIL.Image.open(tmp_path / "sheet.png")
    assert [sheet.getpixel((left, 64)) for left in (64, 196)] == [(0,) * 3, (255,) * 3]


def test_an_interruption_outside_training_is_one_line(kerasdl, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train", interrupted)
    assert_one_error_line(kerasdl("train", "classify"), 130, "interrupted by SIGINT")


def test_resume_without_a_run(kerasdl):
    assert_one_error_line(kerasdl("train", "classify", "--resume", "none"), 4, "not a run folder")


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        (["--model"], "fcn", ["fcn32", "fcn16", "fcn8"]),
        (["--backend"], "t", ["tensorflow", "torch"]),
        (["--data"], "s", ["scenes"]),
        (["--log"], "w", ["wandb"]),
        (["--set"], "optimizer", ["optimizer=", "optimizer_args="]),
        (["--set"], "lr_schedule=c", ["lr_schedule=cosine"]),
        (["--set"], "nesterov=", ["nesterov=true", "nesterov=false"]),
    ],
)
def test_values_are_completed(words, incomplete, expected):
    completion = click.shell_completion.ShellComplete(cli.cli, {}, "kerasdl", "_KERASDL_COMPLETE")
    found = completion.get_completions(["train", "segment", *words], incomplete)
    assert [item.value for item in found] == expected


def test_a_path_is_completed_by_the_shell():
    completion = click.shell_completion.ShellComplete(cli.cli, {}, "kerasdl", "_KERASDL_COMPLETE")
    found = completion.get_completions(["train", "segment", "--data"], "photos")
    assert [item.type for item in found] == ["file"]
