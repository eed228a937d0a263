"""`kerasdl predict` on the command line, with predictors whose answers are known."""

import io
import json
import re
import sys
import types

import numpy
import pytest
from PIL import Image

from kerasdl.cli import predict as command
from kerasdl.cli.main import main
from kerasdl.engine.prediction import networks, predictor
from kerasdl.engine.prediction.geometry import Training
from kerasdl.report import terminal
from kerasdl.tasks.prediction import Names


class Red:
    """Two logits per image or pixel, from its red and a half."""

    size = single = None

    def __init__(self, dense):
        self.dense = dense

    def outputs(self, x):
        red = x[..., 0] if self.dense else x[..., 0].mean((1, 2))
        return numpy.stack([red * 0 + 0.5, red], axis=-1)


@pytest.fixture
def runs(monkeypatch):
    """Instead of runs, networks that answer by the red of the image; records what was asked."""
    asked = []

    def opened(task, run, backend, tiling, top, saturation):
        asked.append((run, tiling))
        names = Names(("blue", "red"), numpy.array([(0, 0, 250), (250, 0, 0)], "uint8"))
        dense = task == "segmentation"
        training = Training((16, 16), "crop", whole=not dense)
        facts = networks.Facts(task, names, "", 2, training, False)
        return predictor.Predictor(Red(dense), facts, tiling, top, saturation)

    monkeypatch.setattr(command, "_predictor", opened)
    return asked


@pytest.fixture
def photo(tmp_path):
    pixels = numpy.zeros((16, 20, 3), "uint8")
    pixels[:, :5, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["predict", *map(str, words)])
    return ended.value.code or 0


def test_one_image_through_the_pipe(runs, photo, monkeypatch):
    written = types.SimpleNamespace(buffer=io.BytesIO(), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(photo.read_bytes())))
    monkeypatch.setattr(sys, "stdout", written)
    assert run("segment", "-") == 0
    mask = numpy.asarray(Image.open(io.BytesIO(written.buffer.getvalue())))
    assert (mask[:, :5] == 1).all() and (mask[:, 5:] == 0).all()


def test_classes_through_the_pipe_are_text(runs, photo, monkeypatch, capsys):
    # Cropped to 16 columns, 3 of them red: exp(1/2) / (exp(1/2) + exp(3/16)) is 57.7 %.
    for words, shown in ((["--top", "1"], "blue 57.7%"), (["--json"], '"class": "blue"')):
        stdin = types.SimpleNamespace(buffer=io.BytesIO(photo.read_bytes()))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert run("classify", "-", *words) == 0
        assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words", "code", "said"),
    [
        (b"text", ["-"], 3, "not an image of a known format.*standard input"),
        (b"", ["-", "--out", "masks"], 2, "leave out --out"),
        (b"", ["-", "a.png"], 2, "- is one image"),
    ],
)
def test_bad_input_through_the_pipe(runs, monkeypatch, capsys, content, words, code, said):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    assert run("segment", *words) == code
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert re.search(said, errors)


def test_several_runs_have_a_folder_each(runs, photo, tmp_path, capsys):
    words = ["--run", tmp_path / "a" / "unet", "--run", tmp_path / "a" / "fcn"]
    assert run("segment", photo, *words, "--out", tmp_path / "out") == 0
    for name in ("unet", "fcn"):
        assert (tmp_path / "out" / name / "photo_overlay.jpg").exists()
        (listed,) = json.loads((tmp_path / "out" / name / "predictions.json").read_text())
        assert listed["fractions"] == {"blue": 0.75, "red": 0.25}
    capsys.readouterr()
    assert run("classify", photo, *words, "--json") == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["run"], second["run"]) == ("unet", "fcn")
    assert first["predictions"] == second["predictions"]
    assert run("classify", photo, *words) == 0
    table = capsys.readouterr().out
    assert "unet" in table and "fcn" in table and table.count("blue") == 2


def test_runs_of_one_name_are_told_apart_by_their_folders(runs, photo, tmp_path):
    words = ["--run", tmp_path / "a" / "x", "--run", tmp_path / "b" / "x"]
    assert run("segment", photo, *words, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "a" / "x" / "photo_mask.png").exists()
    assert (tmp_path / "out" / "b" / "x" / "photo_mask.png").exists()
    assert run("segment", photo, *words[:2], *words[:2]) == 2


@pytest.mark.parametrize(
    ("words", "tile"), [([], "auto"), (["--tile", "64"], (64, 64)), (["--tile", "64x96"], (64, 96))]
)
def test_tile_sizes(runs, photo, tmp_path, words, tile):
    assert run("segment", photo, "--out", tmp_path / "out", *words, "--overlap", "0.5") == 0
    ((_, tiling),) = runs
    assert (tiling.tile, tiling.overlap, tiling.scale) == (tile, 0.5, None)


@pytest.mark.parametrize("words", [["--tile", "64x"], ["--tile", "4"], ["--overlap", "1"]])
def test_bad_tiles(runs, photo, words, capsys):
    assert run("segment", photo, *words) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_bar_counts_the_tiles_of_unfinished_images_on_a_terminal(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with terminal.tile_progress() as progress:
        assert progress is None
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.tile_progress(quiet=True) as progress:
        assert progress is None
    assert stream.getvalue() == ""
    with terminal.tile_progress() as progress:
        progress("scan[red].png", 3, 12)
        progress("done.png", 8, 8)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert re.search(r"scan\[red\]\.png .* 3/12 tiles", shown)
    assert "8/8" not in shown
