"""Exports of every model in every format that the backend under test writes, and their proof."""

import importlib.util
import json

import click.testing
import keras
import numpy
import pytest

import kerasdl
from kerasdl import models
from kerasdl.backend.exported import saved_model
from kerasdl.cli import export as command
from kerasdl.core.errors import ConfigError, DataError, ModelFileError
from kerasdl.engine import datasets
from kerasdl.models import resnet
from kerasdl.runs import runtimes
from kerasdl.runs.runtimes import FORMATS, metadata
from kerasdl.tasks import TASKS
from kerasdl.tools.export import layouts, proof, run, writing

ENGINE = keras.config.backend()
HERE = [
    name
    for name, kind in FORMATS.items()
    if kind.backend == ENGINE
    and all(
        importlib.util.find_spec(module)
        for module in (kind.module, *run.WRITERS.get(name, ()))
    )
]  # fmt: skip
pytestmark = pytest.mark.skipif(not HERE, reason=f"{ENGINE} writes no format")


@pytest.fixture
def small_bodies(monkeypatch):
    """ResNet-18 with one block per stage and an eighth of the filters."""
    monkeypatch.setattr(resnet, "STAGE_BLOCKS", (1, 1, 1, 1))
    monkeypatch.setattr(resnet.residual_stages, "__defaults__", (8,))


def build(name, size, channels, outputs, **options):
    """A model whose outputs are neither constant nor tiny."""
    model = models.build(name, (*size, channels), outputs, **options)
    generator = numpy.random.default_rng(0)
    for weight in model.weights:
        if "variance" in weight.path or "gamma" in weight.path:
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
    return model


def facts(name, size, channels, outputs, options, precision="float32"):
    task = models.MODELS[name].tasks[0] if channels == 3 else "colorization"
    classes = outputs if TASKS[task].classes else 0
    return metadata.dumps(
        {
            "kerasdl": "0.2.0",
            "task": task,
            "model": name,
            "model_args": options,
            "stride": models.stride(name, options, (64, 64)),
            "channels": channels,
            "outputs": outputs,
            "normalization": "RGB from 0 to 1",
            "image_size": [64, 64],
            "resize": "crop",
            "size": None if None in size else list(size),
            "test_time_flip": False,
            "precision": precision,
            "class_names": [f"class {i}, \u00e9 & <b>" for i in range(classes)],
            "palette": [[i, 0, 0] for i in range(classes)],
        }
    )


def written(tmp_path, format, model, size, text, precision="float32", images=None):
    path = tmp_path / f"model{FORMATS[format].suffix}"
    writing.WRITERS[format](writing.Job(model, size, text, precision, images), path)
    return runtimes.open(path)


def difference(model, runtime, size, channels, batch=2):
    """Largest difference relative to the largest output of the model."""
    x = numpy.random.default_rng(1).random((batch, *size, channels), "float32")
    expected = keras.ops.convert_to_numpy(model(x, training=False))
    found = runtime.outputs(x)
    assert found.shape == expected.shape and found.dtype == "float32"
    return numpy.abs(found - expected).max() / numpy.abs(expected).max()


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_in_every_format_at_any_size(name, small_bodies, tmp_path):
    options = {"unet": {"filters": 2, "depth": 2}, "resnet18": {"filters": 2}}.get(name, {})
    options = models.resolved(name, (64, 64), options)
    model = build(name, (None, None), 3, 4, **options)
    stride = models.stride(name, options, (64, 64))
    text = facts(name, (None, None), 3, 4, options)
    for format in HERE:
        runtime = written(tmp_path, format, model, (None, None), text)
        assert runtime.metadata["class_names"][3] == "class 3, \u00e9 & <b>"
        for batch, size in ((1, (2 * stride, 3 * stride)), (3, (4 * stride, 2 * stride))):
            assert difference(model, runtime, size, 3, batch) < 1e-5, (format, size)


@pytest.mark.parametrize("format", HERE)
def test_a_fixed_size_that_is_padded_and_cropped(format, tmp_path):
    options = {"filters": 2, "depth": 2}
    model = build("unet", (18, 21), 1, 2, **options)
    runtime = written(tmp_path, format, model, (18, 21), facts("unet", (18, 21), 1, 2, options))
    assert (runtime.size, runtime.format.name) == ((18, 21), format)
    assert difference(model, runtime, (18, 21), 1, batch=1) < 1e-5
    with pytest.raises(ConfigError, match="takes images of 18x21"):
        runtime.outputs(numpy.zeros((1, 20, 20, 1), "float32"))


@pytest.mark.parametrize("format", HERE)
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_smaller_weights(format, precision, tmp_path):
    if not getattr(FORMATS[format], {"float16": "half"}.get(precision, precision)):
        pytest.skip("not possible")
    options = {"filters": 16, "depth": 1}
    model = build("unet", (16, 16), 3, 4, **options)
    images = numpy.random.default_rng(2).random((8, 16, 16, 3), "float32")
    sizes = {}
    for each in ("float32", precision):
        text = facts("unet", (16, 16), 3, 4, options, each)
        calibrated = images if each == "int8" else None
        runtime = written(tmp_path, format, model, (16, 16), text, each, calibrated)
        weights = runtime.path.with_suffix(FORMATS[format].companion or FORMATS[format].suffix)
        sizes[each] = weights.stat().st_size
    # Kernels: 9 (3*16 + 16*16 + 16*32 + 32*32 + 32*16 + 16*16) + 4*32*16 + 16*4 = 25,584 numbers;
    # where they are cast back, the description of the network grows.
    saved = sizes["float32"] - sizes[precision]
    assert saved > {"float16": 1.7, "int8": 2.1}[precision] * 25_584
    found = difference(model, runtime, (16, 16), 3)
    assert 1e-6 < found < {"float16": 5e-3, "int8": 0.3}[precision]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run."""
    config = kerasdl.Config(
        task="segmentation", model="unet", model_args={"filters": 2, "depth": 2}, image_size=18,
        train_size=8, validation_size=4, test_size=10, batch_size=4, epochs=1,
    )  # fmt: skip
    return kerasdl.train(config, tmp_path_factory.mktemp("runs") / "my run", quiet=True)


@pytest.mark.parametrize("format", HERE)
def test_an_export_is_proved_with_the_scores_of_the_run(trained, format, tmp_path):
    out = tmp_path / f"deep/model{FORMATS[format].suffix}"
    document = json.loads(json.dumps(kerasdl.export(trained, format, out)))
    assert document["failed"] == [] and document["difference"] < 1e-5
    assert (document["images"], document["split"], document["size"]) == (10, "test", [18, 18])
    for kind in ("run", "file"):
        for name, score in document["scores"].items():
            assert score[kind] == pytest.approx(trained.scores[name], abs=1e-4), name
        assert document["milliseconds"][kind] > 0
    facts = runtimes.open(out).metadata
    assert facts["class_names"] == list(trained.class_names)
    assert facts["palette"] == trained.sidecar["palette"]
    assert [path for path in out.parent.iterdir() if path.name.startswith(".tmp")] == []
    with pytest.raises(ConfigError, match="exists already"):
        kerasdl.export(trained, format, out)
    require_same_predictions(trained, out)
    require_damage_is_noticed(out, FORMATS[format].companion)


def require_same_predictions(run, path):
    """Of an image at the size of the training, and of one in tiles."""
    generator = numpy.random.default_rng(0)
    images = [generator.integers(0, 256, (18, width, 3)).astype("uint8") for width in (18, 30)]
    both = (kerasdl.predict(each, images) for each in (run, path))
    for expected, found in zip(*both, strict=True):
        assert len(expected.fractions) > 1
        assert (found.mask == expected.mask).mean() > 0.99  # rounding decides between equal classes
        assert found.fractions == pytest.approx(expected.fractions, abs=0.01)


def require_damage_is_noticed(path, companion):
    """Flips a bit of the weights, and cuts them short: one line each."""
    weights = path.with_suffix(companion) if companion else path
    if path.is_dir():
        (weights,) = path.glob("variables/variables.data*")
    content = weights.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (bytes(flipped), content[: len(content) // 2]):
        weights.write_bytes(damaged)
        with pytest.raises(ModelFileError) as caught:
            runtimes.open(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("format", [name for name in HERE if FORMATS[name].int8])
def test_int8_is_calibrated_on_the_validation_images(trained, format, monkeypatch, tmp_path):
    # Trained on eight images, the classes are almost equal.
    monkeypatch.setitem(proof.TOLERANCES, "int8", proof.Tolerance(1.0, 0.3, 1.0))
    jobs, write = [], writing.WRITERS[format]
    monkeypatch.setitem(
        writing.WRITERS, format, lambda job, path: jobs.append(job) or write(job, path)
    )
    out = tmp_path / f"model{FORMATS[format].suffix}"
    document = kerasdl.export(trained, format, out, int8=True)
    assert (document["precision"], document["images"]) == ("int8", 10)
    assert 1e-4 < document["difference"] < 1  # it is not float32
    assert runtimes.open(out).metadata["precision"] == "int8"
    split = datasets.load(trained.config).splits["validation"]
    expected = numpy.stack([split[index].image for index in range(4)])
    (job,) = jobs
    numpy.testing.assert_allclose(job.images, expected / 255, atol=1e-6)


def test_a_served_export_of_any_size_replaces_an_earlier_one(trained, tmp_path):
    earlier = tmp_path / "my_run" / "1" / saved_model.METADATA
    earlier.parent.mkdir(parents=True)
    earlier.write_text("{}")
    options = {"layout": "triton", "images": 3, "dynamic": True}
    with pytest.raises(ConfigError, match="exists already"):
        kerasdl.export(trained, HERE[0], tmp_path, **options)
    document = kerasdl.export(trained, HERE[0], tmp_path, overwrite=True, **options)
    assert (document["images"], document["size"]) == (3, None)
    place = tmp_path / "my_run" / "1" / layouts.LAYOUTS["triton"][HERE[0]]
    assert runtimes.open(place).size is None
    assert "dims: [-1, -1, 3]" in (tmp_path / "my_run" / "config.pbtxt").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["my_run"]


def test_a_file_that_differs_gets_no_name(trained, monkeypatch, tmp_path):
    def write(job, path):
        if path.suffix:
            path.write_bytes(b"")
        else:
            for name in ("saved_model.pb", "variables/index", "assets.extra/kerasdl.json"):
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).touch()

    found = {
        "difference": 0.5, "agreement": 1.0, "worse": None, "failed": ["difference"],
        "tolerance": {"difference": 1e-4},
    }  # fmt: skip
    monkeypatch.setitem(writing.WRITERS, HERE[0], write)
    monkeypatch.setattr(runtimes, "open", lambda path: None)
    monkeypatch.setattr(proof, "prove", lambda *arguments: found)
    with pytest.raises(run.ExportDiffers, match="largest output 0.5, allowed 0.0001") as caught:
        kerasdl.export(trained, HERE[0], tmp_path / f"model{FORMATS[HERE[0]].suffix}")
    assert caught.value.exit_code == 3 and caught.value.document["failed"] == ["difference"]
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_is_noticed():
    compared = proof.Comparison()
    expected = numpy.array([[0.0, 4.0], [3.0, 1.0]])
    compared.update(expected, numpy.array([[0.0, 4.0], [1.0, 2.0]]))
    # The largest difference is 2 of 4; one of two classes is the same.
    task = kerasdl.tasks.of(kerasdl.Config(task="classification", model="resnet18"))
    scores = {"accuracy": {"run": 0.8, "file": 0.6}}
    found = proof._verdict(task, compared, scores, "float32")
    assert (found["difference"], found["agreement"]) == (0.5, 0.5)
    assert found["worse"] == pytest.approx(0.25)
    assert found["failed"] == ["difference", "agreement", "worse"]
    compared.update(expected, numpy.full((2, 2), numpy.nan))
    assert "difference" in proof._verdict(task, compared, {}, "int8")["failed"]


def test_without_data_noise_is_compared(trained, monkeypatch):
    def gone(config):
        raise DataError("no such folder", "/data")

    monkeypatch.setattr("kerasdl.engine.datasets.load", gone)
    model = trained.open_model()

    class Runtime:
        """The model itself, off by a quarter."""

        size = (18, 18)
        metadata = {"precision": "float32", "class_names": []}

        def outputs(self, x):
            return 1.25 * numpy.asarray(model.predict_on_batch(x))

    task = kerasdl.tasks.of(trained.config)
    found = proof.prove(model, Runtime(), task, trained.config, "test", 200)
    assert found["difference"] == pytest.approx(0.25) and found["failed"] == ["difference"]
    assert (found["scores"], found["split"], found["agreement"]) == ({}, "noise", 1.0)
    assert "no such folder: /data" in found["note"]
    able = [name for name in HERE if FORMATS[name].int8]
    with pytest.raises(DataError, match="no such folder"):
        kerasdl.export(trained, able[0], int8=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "onxx"], "unknown format 'onxx'.*did you mean 'onnx'"),
        (["--format", "saved_model", "--half"], "--half is not possible for saved_model"),
        (["--format", "pt2", "--int8"], "--int8 is not possible for pt2 .*onnx, litert"),
        (["--format", "onnx", "--int8", "--half"], "either --half or --int8"),
        (["--format", "pt2", "--layout", "triton"], "--layout triton is not for pt2"),
        (["--format", "onnx", "--layout", "torchserve"], "unknown layout 'torchserve'"),
        (["--format", "onnx", "--out", "model.pb"], r"ends with \.onnx: model\.pb"),
    ],
)
def test_what_a_format_cannot_be_takes_one_line(trained, arguments, message):
    result = click.testing.CliRunner().invoke(command.export, [str(trained), *arguments])
    assert isinstance(result.exception, ConfigError)
    with pytest.raises(ConfigError, match=message):
        raise result.exception


def test_a_folder_of_others_is_not_replaced(trained, tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ConfigError, match="not a folder that kerasdl exported"):
        kerasdl.export(trained, "saved_model", tmp_path / "photos", overwrite=True)
    with pytest.raises(ModelFileError, match="not a run folder"):
        kerasdl.export(tmp_path, "onnx")


def test_a_missing_converter_names_its_extra(trained, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda m: None if m == "onnx" else real(m))
    with pytest.raises(ConfigError, match=r"written with onnx.*pip install 'kerasdl\[export\]'"):
        kerasdl.export(trained, "onnx")


@pytest.mark.process
@pytest.mark.skipif(ENGINE != "tensorflow", reason="once is enough")
def test_a_format_of_another_backend_takes_a_process_of_its_own(trained, tmp_path):
    for module in ("torch", *run.WRITERS["onnx"]):
        pytest.importorskip(module)
    document = kerasdl.export(trained, "onnx", tmp_path / "model.onnx", images=4)
    assert document["backend"] == "torch" and keras.config.backend() == "tensorflow"
    assert runtimes.open(tmp_path / "model.onnx").size == (18, 18)
