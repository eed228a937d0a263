"""Exported files as foreign data: metadata, tampered files, missing runtimes, padding."""

import ctypes
import hashlib
import importlib.util
import json
import zipfile

import numpy
import pytest

from kerasdl.core import registry
from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.runs import runtimes
from kerasdl.runs.runtimes import FORMATS, checksum, metadata

FACTS = {
    "format": 1,
    "kerasdl": "0.2.0",
    "task": "segmentation",
    "model": "unet",
    "model_args": {"skips": [1, 2], "filters": 4},
    "stride": 4,
    "channels": 3,
    "outputs": 2,
    "normalization": "RGB from 0 to 1",
    "image_size": [6, 8],
    "resize": "stretch",
    "size": None,
    "test_time_flip": False,
    "precision": "float32",
    "class_names": ["sky", "sea"],
    "palette": [[0, 0, 255], [0, 255, 0]],
}


def needs(name):
    if importlib.util.find_spec(FORMATS[name].module) is None:
        pytest.skip(f"{FORMATS[name].module} is not installed")


def test_metadata_come_back_with_every_key():
    found = metadata.loads(metadata.dumps(FACTS), None)
    assert found["class_names"] == ["sky", "sea"] and found["license"] == ""
    assert set(found) == set(metadata.CHECKS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "denoising"}, "'task'"),
        ({"task": ["segmentation"]}, "'task'"),
        ({"image_size": [6, 10**9]}, "'image_size'"),
        ({"image_size": [6, 8.0]}, "'image_size'"),
        ({"image_size": [2**16, 2**16]}, "'image_size'"),
        (
            {"image_size": [6400, 8], "median_size": [6, 8]},
            "'median_size' of the metadata is far below",
        ),
        ({"size": [0, 8]}, "'size'"),
        ({"stride": True}, "'stride'"),
        ({"stride": 0}, "'stride'"),
        ({"model_args": {"filters": 1e308}}, "'model_args'"),
        ({"model_args": {"skips": [[1]]}}, "'model_args'"),
        ({"precision": "float8"}, "'precision'"),
        ({"palette": [[0, 0, 256], [0, 0, 0]]}, "'palette'"),
        ({"palette": [[0, 0, 0]]}, "2 outputs, but 1 colors"),
        ({"class_names": ["sky"]}, "2 outputs, but 1 class names"),
        ({"class_names": ["x" * 5000, "sea"]}, "'class_names'"),
        ({"target": "ab"}, "no target 'ab'"),
        ({"test_time_flip": "yes"}, "'test_time_flip'"),
        ({"sha256": "0" * 63}, "'sha256'"),
        ({"normalization": None}, "'normalization'"),
        ({"class_names": {"0": "sky", "1": "sea"}}, "'class_names'"),
        ({"outputs": 2**40}, "'outputs'"),
        ({"task": "__import__('os').system('true')"}, "'task'"),
        ({"model_args": {"filters": {"__reduce__": 1}}}, "'model_args'"),
        ({"format": 2}, "later kerasdl"),
        ({"format": "1"}, "no metadata of kerasdl"),
    ],
)
def test_a_tampered_entry_is_named(change, message):
    with pytest.raises(ModelFileError, match=message):
        metadata.loads(json.dumps({**FACTS, **change}), "model.onnx")


def test_photographs_trained_at_a_small_size_can_be_exported():
    found = metadata.loads(json.dumps({**FACTS, "median_size": [4000, 6000]}), "model.onnx")
    assert found["median_size"] == [4000, 6000]


@pytest.mark.parametrize("key", sorted(set(metadata.CHECKS) - set(metadata.DEFAULTS)))
def test_a_missing_entry_is_named(key):
    facts = {name: value for name, value in FACTS.items() if name != key}
    with pytest.raises(ModelFileError, match=f"'{key}'"):
        metadata.loads(json.dumps(facts), "model.onnx")


@pytest.mark.parametrize(
    "text",
    [None, "", b"\xff\xfe", "[]", "{", "[" * 100_000, '{"format": NaN}', " " * (2**20 + 1)],
    ids=["none", "empty", "bytes", "list", "cut", "deep", "nan", "long"],
)
def test_text_that_is_no_metadata(text):
    with pytest.raises(ModelFileError):
        metadata.loads(text, "model.onnx")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [b"", b"junk" * 100], ids=["empty", "junk"])
def test_a_file_that_is_none_takes_one_line(name, content, tmp_path):
    needs(name)
    path = tmp_path / f"model{FORMATS[name].suffix}"
    if FORMATS[name].suffix:
        path.write_bytes(content)
    else:
        path.mkdir()
        (path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        runtimes.open(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_a_foreign_suffix(tmp_path):
    with pytest.raises(ModelFileError, match="no such model file"):
        runtimes.open(tmp_path / "model.onnx")
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"known: \.onnx, a SavedModel folder, \.tflite"):
        runtimes.open(tmp_path / "model.h5")
    assert runtimes.find_format(tmp_path) is None  # as a run folder is


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_runtime_names_its_extra(name, tmp_path, monkeypatch):
    path = tmp_path / f"model{FORMATS[name].suffix}"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"")
    if FORMATS[name].suffix:
        path = tmp_path / "file" / path.name
        path.parent.mkdir()
        path.write_bytes(b"")
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(ConfigError, match=rf"pip install 'kerasdl\[{FORMATS[name].extra}\]'"):
        runtimes.open(path)


def onnx_file(path, facts, size=("height", "width"), outputs=2):
    """A network without padding of its own: the mean of the channels, plus 1, times 1 and 2."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=[3], keepdims=1),
            helper.make_node("Add", ["mean", "one"], ["sum"]),
            helper.make_node("Mul", ["sum", "factors"], ["outputs"]),
        ],
        "toy",
        [helper.make_tensor_value_info("image", kind, ["batch", *size, 3])],
        [helper.make_tensor_value_info("outputs", kind, ["batch", *size, outputs])],
        [
            helper.make_tensor("one", kind, [1], [1.0]),
            helper.make_tensor("factors", kind, [outputs], [float(i + 1) for i in range(outputs)]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if facts is not None:
        helper.set_model_props(model, {"kerasdl": json.dumps(facts)})
    onnx.save(model, path)
    return path


def test_any_size_is_padded_to_the_stride_and_cropped_back(tmp_path, monkeypatch):
    runtime = runtimes.open(onnx_file(tmp_path / "m.onnx", FACTS))
    assert (runtime.size, runtime.stride) == (None, 4)
    seen = []
    loaded = runtime._loaded
    noting = loaded._replace(function=lambda x: (seen.append(x.shape), loaded.function(x))[1])
    monkeypatch.setattr(runtime, "_loaded", noting)
    x = numpy.random.default_rng(0).random((2, 6, 9, 3), "float32")
    found = runtime.outputs(x)
    assert seen == [(2, 8, 12, 3)]
    expected = (x.mean(axis=-1, keepdims=True) + 1) * numpy.array([1, 2], "float32")
    numpy.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_fixed_size_is_required(tmp_path):
    facts = {**FACTS, "size": [6, 8]}
    runtime = runtimes.open(onnx_file(tmp_path / "m.onnx", facts, (6, 8)))
    assert runtime.outputs(numpy.zeros((3, 6, 8, 3), "float32")).shape == (3, 6, 8, 2)
    with pytest.raises(ConfigError, match="takes images of 6x8, not 8x8"):
        runtime.outputs(numpy.zeros((1, 8, 8, 3), "float32"))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (None, "no metadata of kerasdl"),
        ({**FACTS, "size": [6, 8]}, "its metadata say"),
        ({**FACTS, "channels": 1}, "its metadata say"),
        (
            {**FACTS, "outputs": 1, "class_names": ["a"], "palette": [[0, 0, 0]]},
            "to 1 outputs",
        ),
    ],
)
def test_metadata_that_contradict_the_model(facts, message, tmp_path):
    with pytest.raises(ModelFileError, match=message):
        runtimes.open(onnx_file(tmp_path / "m.onnx", facts))


def test_one_flipped_bit_in_the_weights_is_noticed(tmp_path):
    path = onnx_file(tmp_path / "m.onnx", {**FACTS, "sha256": checksum.EMPTY})
    checksum.write(path, "", path)
    assert len(runtimes.open(path).metadata["sha256"]) == 64
    content = path.read_bytes()
    two = numpy.array([1, 2], "float32").tobytes()
    three = numpy.array([1, 3], "float32").tobytes()
    assert content.count(two) == 1
    path.write_bytes(content.replace(two, three))
    with pytest.raises(ModelFileError, match="does not match its checksum"):
        runtimes.open(path)


def test_the_checksum_of_two_files_and_of_a_folder(tmp_path):
    (tmp_path / "m.xml").write_bytes(b"<" + checksum.EMPTY.encode() + b">")
    (tmp_path / "m.bin").write_bytes(b"weights")
    expected = hashlib.sha256(b"<" + b"0" * 64 + b">" + b"weights").hexdigest()
    checksum.write(tmp_path / "m.xml", ".bin", tmp_path / "m.xml")
    assert (tmp_path / "m.xml").read_bytes() == b"<" + expected.encode() + b">"
    assert checksum.compute(tmp_path / "m.xml", ".bin", expected) == expected
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables" / "variables.index").write_bytes(b"index")
    assert checksum.compute(tmp_path, "") == hashlib.sha256(b"graphindex").hexdigest()


def test_outputs_that_are_not_finite_are_refused(tmp_path):
    runtime = runtimes.open(onnx_file(tmp_path / "m.onnx", FACTS))
    with pytest.raises(ModelFileError, match="outputs that are not finite"):
        runtime.outputs(numpy.full((1, 8, 8, 3), numpy.inf, "float32"))


PROGRAM = {"graph": {"nodes": [{"target": "torch.ops.aten.relu.default", "inputs": []}]}}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"data/weights/model.pt": b"pickle"}, "unexpected content"),
        ({"data/aotinductor/model/a.so": b""}, "unexpected content"),
        ({"data/weights/weight_0": b"A FLIPPED BIT"}, "does not match its checksum"),
        ({"data/sample_inputs/model.pt": b"pickle"}, "pickled inputs"),
        (
            {"data/weights/model_weights_config.json": {"config": {"w": {"use_pickle": True}}}},
            "pickled arrays",
        ),
        ({"models/model.json": {"expr_str": "__import__('os').system('x')"}}, "expression"),
        ({"models/model.json": {"expr_str": "chr(95)"}}, "expression"),
        (
            {"models/model.json": {"nodes": [{"target": "torch.hub.load", "inputs": []}]}},
            "calls 'torch.hub.load'",
        ),
        (
            {"models/model.json": {"nodes": [{"target": "_operator.methodcaller", "inputs": []}]}},
            "calls '_operator.methodcaller'",
        ),
    ],
)
def test_a_torch_archive_that_would_run_code_is_refused(members, message, tmp_path):
    needs("pt2")
    from kerasdl.backend.exported import pt2

    plain = {
        pt2.EXTRA: FACTS,
        pt2.PROGRAM: PROGRAM,
        pt2.CONFIGS[0]: {"config": {}},
        pt2.CONFIGS[1]: {"config": {}},
    }
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**plain, **members}.items():
            archive.writestr(
                f"model/{name}", content if isinstance(content, bytes) else json.dumps(content)
            )
    path.write_bytes(path.read_bytes().replace(b"A FLIPPED BIT", b"A FLIPPED bIT"))
    with pytest.raises(ModelFileError, match=message):
        runtimes.open(path)


def test_a_compressed_torch_archive_is_not_unpacked(tmp_path):
    needs("pt2")
    with zipfile.ZipFile(tmp_path / "model.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data/weights/weight_0", bytes(10**6))
    with pytest.raises(ModelFileError, match="compressed"):
        runtimes.open(tmp_path / "model.pt2")


def test_signals_are_heard_after_two_openvino_files(tmp_path):
    """Two cores, freed in the order in which they were made, made any signal end the process."""
    needs("openvino")
    import openvino
    from openvino import opset13

    x = opset13.parameter([-1, 4, 4, 3], numpy.float32, name="image")
    openvino.save_model(openvino.Model([opset13.relu(x)], [x]), tmp_path / "net.xml")
    load = registry.load(FORMATS["openvino"].load)
    first = load(tmp_path / "net.xml", lambda text: None)
    stack = signal_stack()
    second = load(tmp_path / "net.xml", lambda text: None)
    assert signal_stack() == stack  # of a second core it would be another
    del first, second
    assert signal_stack() == stack


def signal_stack():
    """Address of the memory in which this thread handles signals, of Linux' `sigaltstack`."""
    stack = (ctypes.c_void_p * 3)()  # of stack_t its first member, and enough for the others
    assert ctypes.CDLL(None).sigaltstack(None, stack) == 0
    return stack[0]


def test_one_thread_gives_the_same_as_all(tmp_path, monkeypatch):
    path = onnx_file(tmp_path / "m.onnx", FACTS)
    from kerasdl.runs.runtimes import onnx

    sessions, session = [], onnx.onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnx.onnxruntime,
        "InferenceSession",
        lambda *arguments, **options: (
            sessions.append(session(*arguments, **options)) or sessions[-1]
        ),
    )
    runtime = runtimes.open(path)
    x = numpy.random.default_rng(0).random((1, 6, 8, 3), "float32")
    single = runtime.single()
    numpy.testing.assert_allclose(single.outputs(x), runtime.outputs(x), rtol=1e-5, atol=1e-6)
    assert single.metadata is runtime.metadata
    threads = [each.get_session_options().intra_op_num_threads for each in sessions]
    assert threads == [0, 1]  # 0: all cores


@pytest.mark.parametrize("change", ["deleted", "damaged", "another model"])
def test_a_file_that_has_changed_is_not_opened_again(tmp_path, change):
    path = onnx_file(tmp_path / "m.onnx", {**FACTS, "sha256": checksum.EMPTY})
    checksum.write(path, "", path)
    runtime = runtimes.open(path)
    assert runtime.single() is not None
    if change == "deleted":
        path.unlink()
    elif change == "damaged":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        onnx_file(path, FACTS)
    assert runtime.single() is None
    assert runtime.outputs(numpy.zeros((1, 4, 4, 3), "float32"))[0, 0, 0].tolist() == [1, 2]
