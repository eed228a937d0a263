"""Edges of real data and real machines: encodings, names as text, ranges, settings of others."""

import io
import json
import pathlib
import sys
import warnings

import keras
import numpy
import PIL.Image
import pytest
import rich.console
from data_fixtures import class_folder, image, save

from kerasdl import backend, data
from kerasdl.cli import main as cli
from kerasdl.core import files
from kerasdl.core.errors import DataError, WriteError
from kerasdl.data import images
from kerasdl.data.folder import masks
from kerasdl.data.inspect.findings import printable
from kerasdl.data.location import Location
from kerasdl.engine import datasets
from kerasdl.engine.prediction import sources
from kerasdl.report import tables, terminal
from kerasdl.runs.config import Config
from kerasdl.tools import datashow


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_any_output_encoding(tmp_path, monkeypatch, encoding):
    for name in ("\u732b", "\u2191", "dog"):
        for index in range(4):
            save(image(10 * len(name) + index), tmp_path / name / f"{index}.png")
    out, err = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding))
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", "check", str(tmp_path)])
    sys.stdout.flush()
    assert ended.value.code in (0, None)
    # Where the encoding is ASCII, click writes UTF-8.
    assert b"\\u732b" in out.getvalue() or "\u732b".encode() in out.getvalue()


def test_keras_json_changes_nothing(tmp_path, monkeypatch):
    settings = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    policy = keras.config.dtype_policy()
    try:
        # What Keras does with such a file when it is imported.
        keras.config.set_image_data_format("channels_first")
        keras.config.set_floatx("float16")
        keras.config.set_epsilon(0.1)
        backend.choose()
        assert keras.config.image_data_format() == "channels_last"
        assert keras.config.floatx() == "float32" and keras.config.epsilon() == 1e-7
        assert keras.config.dtype_policy().name == "float32"
    finally:
        keras.config.set_dtype_policy(policy)


def test_byte_order_mark_in_a_configuration(tmp_path):
    (tmp_path / "c.toml").write_text("\ufeffepochs = 3\n", encoding="utf-8")
    assert files.read_toml(tmp_path / "c.toml") == {"epochs": 3}


def test_paths_are_kept_absolute_and_shown_relative(tmp_path, monkeypatch):
    class_folder(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    assert data.absolute("photos") == str(tmp_path / "photos")
    assert data.absolute("nothing") == "nothing" and data.absolute("tfds:x") == "tfds:x"
    assert data.locate("photos").shown == "photos"
    assert datashow.check({"data": str(tmp_path / "photos")}).source == "photos"
    monkeypatch.chdir("/")
    assert data.locate(str(tmp_path / "photos")).shown.endswith("photos")


def named(paths):
    """Names and paths of the images that predict would read."""
    return [(source.name, source.path) for source in sources.find(paths)]


def test_predict_skips_hidden_folders_and_tells_equal_stems_apart(tmp_path, monkeypatch):
    for name in ("a.png", "a.jpg", "b.png", ".ipynb_checkpoints/b.png", "__MACOSX/c.png"):
        save(image(1), tmp_path / "two" / name)
    found = {name: path.name for name, path in named(tmp_path / "two")}
    assert found == {"a.jpg": "a.jpg", "a.png": "a.png", "b": "b.png"}
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [name for name, _ in named("~/two/b.png")] == ["b"]
    both = [tmp_path / "two" / name for name in ("a.png", "a.jpg")]
    assert [name for name, _ in named(both)] == ["a.png", "a.jpg"]


def test_twelve_bits_in_sixteen_are_refused_not_black(tmp_path):
    for label, name in enumerate(("cells", "debris")):
        for index in range(6):
            values = numpy.random.default_rng(10 * label + index).integers(0, 4096, (40, 40))
            save(values.astype("uint16"), tmp_path / name / f"{index}.png")
    config = Config(task="classification", data=str(tmp_path))
    for quick in (True, False):
        (error,) = [f for f in datasets.check(config, quick).findings if f.severity == "error"]
        assert error.kind == "range" and "by 16" in error.fix
    for path in tmp_path.rglob("*.png"):
        save((numpy.asarray(PIL.Image.open(path)) * 16).astype("uint16"), path)
    assert not datasets.check(config).failed
    assert images.read_image(tmp_path / "cells" / "0.png").max() > 200


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_images_without_a_known_range_are_refused(tmp_path, dtype):
    path = save(PIL.Image.fromarray(numpy.ones((8, 8), dtype)), tmp_path / "a.tif")
    with pytest.raises(DataError, match="range of values"):
        images.read_image(path)


def test_float_masks_are_refused(tmp_path):
    path = save(PIL.Image.fromarray(numpy.ones((8, 8), "float32")), tmp_path / "a.tif")
    with pytest.raises(DataError, match="float mask"):
        masks.read_mask(path, masks.MaskRule(2))


@pytest.mark.parametrize("kind", ["MPO", "GIF", "WEBP", "TIFF", "PNG"])
def test_files_with_several_images_give_the_first(tmp_path, kind):
    first, second = PIL.Image.new("RGB", (40, 40), "red"), PIL.Image.new("RGB", (40, 40), "blue")
    path = tmp_path / "a.jpg"
    options = {"lossless": True} if kind == "WEBP" else {}
    first.save(path, kind, save_all=True, append_images=[second], **options)
    header = images.read_header(path)
    assert header.frames == 2 and header.format == ("JPEG" if kind == "MPO" else kind)
    assert (abs(images.read_image(path).astype(int) - (255, 0, 0)) < 4).all()


def test_warnings_of_the_image_library_stay_off_the_screen(tmp_path, capfd):
    exif = PIL.Image.Exif()
    exif[0x0112] = 1
    path = save(image(0), tmp_path / "a.jpg", exif=exif)
    damaged = path.read_bytes().replace(b"\x01\x12\x00\x03", b"\x01\x12\x00\x63", 1)
    path.write_bytes(damaged)
    tiff = save(image(0), tmp_path / "b.tif", compression="tiff_lzw")
    content = bytearray(tiff.read_bytes())
    content[40:60] = bytes(20)
    tiff.write_bytes(bytes(content))
    with warnings.catch_warnings(record=True):
        for each in (path, tiff):
            try:
                images.read_image(each)
            except DataError:
                pass
    assert capfd.readouterr() == ("", "")


NAMES = ("[bold red]x", "<script>alert(1)</script>", "a|b", "`c`", "$x_1$", "![d](http://e)")


def test_names_are_text_in_terminal_and_markdown():
    rows = tuple((name, "1") for name in NAMES)
    table = tables.Table("[red]caption", ("<b>score", "[i]value"), rows, ("[link]note",))
    console = rich.console.Console(file=io.StringIO(), width=120)
    console.print(tables.as_rich(table))
    shown = console.file.getvalue()
    for text in (*NAMES, "[red]caption", "[i]value", "[link]note"):
        assert text in shown
    markdown = tables.as_markdown(table)
    assert "<script>" not in markdown and "&lt;script>" in markdown
    assert "a\\|b" in markdown and "](http" not in markdown and "\\`c\\`" in markdown
    assert terminal.show_scores.__doc__


def test_control_characters_are_made_visible():
    assert printable("a\x1b[31mb\u202ec\x9b\n") == "a\\x1b[31mb\\u202ec\\x9b\\n"
    for name in ("große Katze", "猫", "می‌خواهم", "x.png"):
        assert printable(name) == name


def test_figures_draw_any_name_without_a_warning():
    from kerasdl.report import canvas

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
        drawing = canvas.figure(2, 2, canvas.LIGHT)
        drawing.add_subplot().set_title(" ".join((*NAMES, "猫", "$unclosed")))
        drawing.canvas.draw()


def test_folders_of_a_set_without_its_annotations_are_no_classes(tmp_path):
    for split in ("train2017", "val2017"):
        for index in range(4):
            save(image(index), tmp_path / "images" / split / f"{index:012d}.jpg")
    for root in (tmp_path, tmp_path / "images"):
        report = datashow.check({"data": str(root)}, "classification")
        assert report.failed
        with pytest.raises(DataError):
            datasets.load(Config(task="classification", data=str(root)))


def test_location_of_what_is_no_path():
    assert Location("~/x").path == pathlib.Path("~/x").expanduser()
    assert data.locate("scenes").shown == "scenes"


def test_sheet_below_a_file_is_a_write_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot write"):
        list(datashow.show({"task": "segmentation"}, count=1, out=tmp_path / "file" / "a.png"))
