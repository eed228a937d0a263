"""The folders of model servers, names and tables of exports; no model is needed for that."""

import importlib.util
import io
import pathlib

import pytest
import rich.console

from kerasdl.backend.exported import saved_model
from kerasdl.core.errors import ConfigError
from kerasdl.runs.runtimes import FORMATS
from kerasdl.tools.export import layouts, show

FACTS = {"task": "segmentation", "size": None, "channels": 3, "outputs": 5}


def written(folder, name):
    """An export as a writer leaves it."""
    kind = FORMATS[name]
    folder.mkdir(exist_ok=True)
    path = folder / f"model{kind.suffix}"
    if kind.suffix:
        path.write_text(name)
    else:
        (path / saved_model.METADATA).parent.mkdir(parents=True)
        (path / saved_model.METADATA).write_text(name)
    if kind.companion:
        path.with_suffix(kind.companion).write_text("weights")
    return path


def below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("layout", "name", "expected"),
    [
        ("triton", "onnx", ["1/model.onnx", "config.pbtxt"]),
        ("triton", "openvino", ["1/model.bin", "1/model.xml", "config.pbtxt"]),
        (
            "triton",
            "saved_model",
            ["1/model.savedmodel/assets.extra/kerasdl.json", "config.pbtxt"],
        ),
        ("tf-serving", "saved_model", ["1/assets.extra/kerasdl.json"]),
        ("", "saved_model", ["assets.extra/kerasdl.json"]),
    ],
)
def test_a_folder_replaces_an_earlier_one_whole(layout, name, expected, tmp_path):
    out = tmp_path / "out"
    (out / "1").mkdir(parents=True)
    (out / "1" / "old").write_text("")
    layouts.publish(written(tmp_path / "work", name), out, FORMATS[name], layout, FACTS)
    assert below(out) == expected
    assert layouts.is_export(out)


def test_a_file_takes_its_companion_along(tmp_path):
    out = tmp_path / "net.xml"
    layouts.publish(written(tmp_path / "work", "openvino"), out, FORMATS["openvino"], "", FACTS)
    assert (out.read_text(), (tmp_path / "net.bin").read_text()) == ("openvino", "weights")


def test_a_folder_of_someone_else_is_no_export(tmp_path):
    assert not layouts.is_export(tmp_path)
    (tmp_path / "config.pbtxt").write_text('name: "mine"')
    assert not layouts.is_export(tmp_path)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("runs/my run", "my_run"), ("runs/unet-1.2", "unet-1.2"), ("r\u00fcn", "r_n")],
)
def test_name_of_a_served_model(folder, name):
    assert layouts.model_name(folder) == name


def test_only_the_formats_of_a_server():
    with pytest.raises(ConfigError, match="--format saved_model"):
        layouts.require("tf-serving", FORMATS["onnx"])


DOCUMENT = {
    "run": "runs/unet", "file": "out/[my] model.onnx", "format": "onnx", "precision": "int8",
    "size": [32, 48], "bytes": 1_234_567, "task": "segmentation", "model": "unet",
    "images": 200, "split": "test", "difference": 0.0123, "agreement": 0.98765,
    "scores": {"mean_iou": {"run": 0.5, "file": 0.495}},
    "tolerance": {"difference": 1.0, "agreement": 0.8, "worse": 0.05},
    "milliseconds": {"run": 20.0, "file": 4.25}, "failed": [],
}  # fmt: skip


def shown(**changes):
    """Lines of the table of an export; cells are separated by one space."""
    console = rich.console.Console(width=80, record=True, file=io.StringIO())
    show.show_document({**DOCUMENT, **changes}, console)
    lines = console.export_text().translate(dict.fromkeys(map(ord, "\u2502\u2503"), " "))
    return [" ".join(line.split()) for line in lines.splitlines()]


def test_the_table_of_an_export():
    lines = shown()
    assert lines[0] == "U-Net as ONNX, int8, 32x48: 200 images (test)"
    for line in (
        "largest difference / scale 1.2e-02 1e+00",
        "same class 98.77% 80.0%",
        "mean IoU (%) \u2191 50.00 49.50 5.0% worse",
        "ms per image 20.0 4.2",
    ):
        assert line in lines
    assert lines[-1] == "out/[my] model.onnx (1.23 MB)"
    lines = shown(size=None, agreement=None, scores={}, note="no [data]", failed=["difference"])
    assert "any size" in lines[0] and lines[-1] == "note: no [data]"  # no file was written
    assert not [line for line in lines if line.startswith(("same class", "mean IoU"))]


CONFIG = """\
# Written by kerasdl export.
name: "net"
backend: "onnxruntime"
max_batch_size: 32
input { name: "image" data_type: TYPE_FP32 dims: [32, 48, 3] }
output { name: "outputs" data_type: TYPE_FP32 dims: [5] }
dynamic_batching { }
"""


def test_the_configuration_of_triton():
    facts = {**FACTS, "size": [32, 48]}
    assert layouts.triton_config("net", "onnx", facts, per_pixel=False) == CONFIG
    text = layouts.triton_config("net", "openvino", FACTS, per_pixel=True)
    assert 'backend: "openvino"' in text and "dims: [-1, -1, 5]" in text


def test_triton_reads_its_configuration():
    """With the messages of Triton's Python client: `pip install --no-deps tritonclient`."""
    spec = importlib.util.find_spec("tritonclient")
    if spec is None:
        pytest.skip("tritonclient is not installed; it needs an older protobuf than TensorFlow")
    text_format = pytest.importorskip("google.protobuf.text_format")
    source = pathlib.Path(spec.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    found = importlib.util.spec_from_file_location("model_config_pb2", source)
    messages = importlib.util.module_from_spec(found)
    found.loader.exec_module(messages)
    for name in layouts.LAYOUTS["triton"]:
        text = layouts.triton_config("net", name, FACTS, per_pixel=True)
        config = text_format.Parse(text, messages.ModelConfig())
        assert list(config.input[0].dims) == [-1, -1, 3] and config.max_batch_size == 32
        assert config.output[0].data_type == messages.DataType.Value("TYPE_FP32")
        assert config.HasField("dynamic_batching") and (config.backend or config.platform)
