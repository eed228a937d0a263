"""Exported files in `kerasdl predict`: without Keras, and one line for every bad file."""

import subprocess
import sys

import numpy
import pytest
from PIL import Image

import kerasdl
from kerasdl.cli.main import main
from kerasdl.runs.runtimes import metadata

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FACTS = {
    "kerasdl": "0.2.0", "task": "segmentation", "target": "", "loss": "crossentropy",
    "model": "unet", "model_args": {"depth": 1}, "stride": 2, "channels": 3, "outputs": 2,
    "normalization": "RGB from 0 to 1", "image_size": [16, 16], "resize": "crop", "size": [16, 16],
    "test_time_flip": False, "precision": "float32", "class_names": ["dark", "red"],
    "palette": [[0, 0, 0], [250, 0, 0]],
}  # fmt: skip


def model_file(path, facts=None, **changed):
    """An ONNX file whose logits are (1/2, red) for each pixel."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    facts = {**FACTS, **changed} if facts is None else facts
    size = facts["size"] or ["height", "width"]
    kernel = numpy.array([[0, 1], [0, 0], [0, 0]], "float32")
    offset = numpy.array([0.5, 0], "float32")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "kernel"], ["product"]),
         helper.make_node("Add", ["product", "offset"], ["y"])],
        "red",
        [helper.make_tensor_value_info("x", floats, ["batch", *size, 3])],
        [helper.make_tensor_value_info("y", floats, ["batch", *size, 2])],
        [onnx.numpy_helper.from_array(kernel, "kernel"),
         onnx.numpy_helper.from_array(offset, "offset")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {metadata.KEY: metadata.dumps(facts)})
    onnx.save(model, path)
    return path


@pytest.fixture
def photo(tmp_path):
    pixels = numpy.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return pixels


@pytest.mark.process
def test_a_file_needs_neither_keras_nor_a_backend(tmp_path, photo):
    model = model_file(tmp_path / "model.onnx")
    unwanted = ["keras", "tensorflow", "jax", "torch", "h5py", "scipy", "skimage", "matplotlib"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({unwanted}))\n"
        "from kerasdl.cli.main import main; main(sys.argv[1:])"
    )
    words = ["predict", "segment", "photo.png", "--run", model, "--out", "out"]
    run = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    written = numpy.asarray(Image.open(tmp_path / "out" / "photo_mask.png"))
    assert numpy.array_equal(written, photo[..., 0] > 127)


@pytest.mark.parametrize("size", [[16, 16], None])
def test_the_prediction_of_a_file(tmp_path, photo, size):
    """24 columns in a file for 16 are two tiles; a file for any size takes them at once."""
    model = model_file(tmp_path / "model.onnx", size=size)
    (found,) = kerasdl.predict(model, photo)
    assert numpy.array_equal(found.mask, photo[..., 0] > 127)
    assert found.fractions["dark"] == pytest.approx((photo[..., 0] <= 127).mean())


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["predict", *map(str, words)])
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    return ended.value.code, errors


def test_files_that_are_none(tmp_path, photo, capsys):
    image, model = tmp_path / "photo.png", model_file(tmp_path / "model.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "short.onnx").write_bytes(model.read_bytes()[:-40])
    foreign = onnx.load(model)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    for name, said in (
        ("text.onnx", "damaged, or not a valid ONNX file"),
        ("short.onnx", "damaged, or not a valid ONNX file"),
        ("foreign.onnx", "no metadata of kerasdl"),
        ("photo.png", "not an exported model"),
        ("none.onnx", "none.onnx"),
    ):
        code, errors = run(capsys, "segment", image, "--run", tmp_path / name)
        assert (code, said in errors) == (4, True), errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["classify"], "a model for segmentation, not classification"),
        (["segment", "--backend", "jax"], "needs no backend"),
        (["segment", "--tile", "32"], "takes images of 16x16 only, not of 32x32"),
        (["segment", "--tile", "none"], "--dynamic"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_do(tmp_path, photo, capsys, words, said):
    model, image = model_file(tmp_path / "model.onnx"), tmp_path / "photo.png"
    words = [words[0], image, *words[1:], "--run", model, "--out", tmp_path / "out"]
    code, errors = run(capsys, *words)
    assert (code, said in errors) == (2, True), errors


def test_a_missing_runtime_names_its_extra(tmp_path, photo, capsys, monkeypatch):
    from kerasdl.runs import runtimes

    model = model_file(tmp_path / "model.onnx")
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    code, errors = run(capsys, "segment", tmp_path / "photo.png", "--run", model)
    assert code == 2 and "pip install 'kerasdl[onnx]'" in errors


def test_a_bad_run_among_several_ends_the_command_before_any_result(tmp_path, photo, capsys):
    model, image = model_file(tmp_path / "model.onnx"), tmp_path / "photo.png"
    words = ["--run", model, "--run", tmp_path / "none.onnx", "--out", tmp_path / "out"]
    code, errors = run(capsys, "segment", image, *words)
    assert code == 4 and "none.onnx" in errors and not (tmp_path / "out").exists()
