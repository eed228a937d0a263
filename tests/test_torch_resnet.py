"""ResNet-18 of torchvision and timm: the same outputs here, and clear words on what was taken."""

import json
import logging
import types

import keras  # noqa: F401 - so that it runs once per backend
import numpy
import pytest

import kerasdl
from kerasdl import models
from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.engine import transfer
from kerasdl.models import imagenet, resnet, torch_resnet
from kerasdl.runs import runfolder

torch = pytest.importorskip("torch")
from torch_fixtures import published_resnet18, random_resnet18  # noqa: E402

WIDTHS, CLASSES = (64, 8, 16, 8), 10


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """ResNet-18 with fewer filters: what is tested does not depend on their number."""
    before = resnet.STAGE_FILTERS
    resnet.STAGE_FILTERS = WIDTHS
    yield
    resnet.STAGE_FILTERS = before


@pytest.fixture(scope="module")
def network():
    return random_resnet18(WIDTHS, CLASSES)


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("torch") / "resnet18.pth"
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, path)
    return path


def state_of(network):
    return {name: value.numpy() for name, value in network.state_dict().items()}


def logits_here(weights, images):
    model = models.build("resnet18", images.shape[1:], CLASSES, stem="imagenet")
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name])
    return model.predict_on_batch(images)


def images_of(size):
    """A dark red one and a light blue one."""
    noise = numpy.random.default_rng(0).random((2, *size, 3), dtype="float32")
    return noise * numpy.array([[0.4, 0.1, 0.1], [0.5, 0.5, 1.0]], "float32")[:, None, None]


SIZES = [(33, 47), (64, 40)]


@pytest.mark.parametrize("size", SIZES)
def test_the_logits_are_those_of_pytorch(network, size, monkeypatch):
    """Without the folded normalization both are the same function of the normalized image."""
    monkeypatch.setattr(torch_resnet, "with_normalization", lambda weights: weights)
    x = images_of(size)
    with torch.no_grad():
        expected = network(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    found = logits_here(torch_resnet.convert(state_of(network)), x)
    assert numpy.ptp(expected, axis=0).min() > 0.01  # the images are told apart
    numpy.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_images_need_no_normalization(network):
    """With it folded in: exactly PyTorch's function if its images are padded with black."""
    x = images_of(SIZES[0])
    padded = numpy.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)))
    normalized = torch.from_numpy((padded - imagenet.MEAN) / imagenet.DEVIATION)
    with torch.no_grad():
        stem = torch.nn.functional.conv2d(
            normalized.permute(0, 3, 1, 2), network.conv1.weight, stride=2
        )
        expected = network.after_stem(stem).numpy()
    found = logits_here(torch_resnet.convert(state_of(network)), x)
    numpy.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def start(checkpoint, tmp_path, model, outputs, channels=3, **options):
    """A new model that starts from the checkpoint, and what init_weights.json says."""
    task = models.MODELS[model].tasks[-1 if channels == 1 else 0]
    config = kerasdl.Config(
        task=task, model=model, image_size=32, weights=str(checkpoint), model_args=options
    )
    built = models.build(model, (32, 32, channels), outputs, **options)
    with runfolder.acquire(tmp_path / "run", config) as folder:
        transfer.start(built, config, folder)
    return built, json.loads((tmp_path / "run" / "init_weights.json").read_text())


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_networks_of_the_libraries_give_the_same_outputs_here(library, tmp_path, monkeypatch):
    """From their file to the outputs, at full width; their images are padded with black."""
    theirs = published_resnet18(library, CLASSES)
    monkeypatch.setattr(resnet, "STAGE_FILTERS", (64, 128, 256, 512))
    torch.save(theirs.state_dict(), tmp_path / "a.pth")
    model, record = start(tmp_path / "a.pth", tmp_path, "resnet18", CLASSES, stem="imagenet")
    assert record["head"] is True and len(record["layers"]) == 40
    x = images_of((32, 32))
    padded = numpy.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)))
    normalized = torch.from_numpy((padded - imagenet.MEAN) / imagenet.DEVIATION)
    theirs.conv1.padding = (0, 0)
    with torch.no_grad():
        expected = theirs(normalized.permute(0, 3, 1, 2)).numpy()
    assert numpy.ptp(expected, axis=0).min() > 0.01  # the images are told apart
    numpy.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=1e-3, atol=1e-3)


def test_the_head_is_taken_with_as_many_classes(checkpoint, network, tmp_path, caplog):
    caplog.set_level(logging.INFO, "kerasdl")
    model, record = start(checkpoint, tmp_path, "resnet18", CLASSES, stem="imagenet")
    assert f"initial weights: 40 of 40 layers from {checkpoint}" in caplog.text
    assert "initialized too: the head (fc), 10 classes" in caplog.text
    kernel, bias = model.get_layer("logits").get_weights()
    numpy.testing.assert_array_equal(kernel.T, network.fc.weight.detach().numpy())
    numpy.testing.assert_array_equal(bias, network.fc.bias.detach().numpy())
    # What is frozen are the layers of the record: never the head.
    assert record["head"] is True and "logits" not in record["layers"]


def test_the_head_is_left_out_with_other_classes(checkpoint, tmp_path, caplog):
    caplog.set_level(logging.INFO, "kerasdl")
    _, record = start(checkpoint, tmp_path, "resnet18", 7, stem="imagenet")
    assert "left out: the head (fc), 10 classes there, 7 outputs here" in caplog.text
    assert record["head"] is False and len(record["layers"]) == 40


def test_dense_models_take_the_body(network, tmp_path, caplog):
    """Also for gray images, whose kernels are summed."""
    caplog.set_level(logging.INFO, "kerasdl")
    pytest.importorskip("safetensors.numpy").save_file(
        state_of(network), tmp_path / "a.safetensors"
    )
    model, _ = start(tmp_path / "a.safetensors", tmp_path, "unet-resnet18", 2, channels=1)
    assert "initial weights: 40 of 40 layers" in caplog.text
    assert "left out: the head (fc), 10 classes there, 2 outputs here" in caplog.text
    (kernel,) = model.get_layer("stem_convolution").get_weights()
    theirs = network.conv1.weight.detach().numpy() / imagenet.DEVIATION[:, None, None]
    numpy.testing.assert_allclose(kernel[:, :, 0], theirs.sum(axis=1).transpose(1, 2, 0), rtol=1e-5)


def test_other_networks_are_refused_in_one_line(network, checkpoint, tmp_path):
    state = network.state_dict()
    stem = state["conv1.weight"]
    for changes, said in (
        ({"layer1.0.conv3.weight": stem}, "not a ResNet-18 .* it has layer1.0.conv3.weight"),
        ({"layer4.1.bn2.running_var": None}, "layer4.1.bn2.running_var is missing"),
        ({"conv1.weight": stem[:, :1]}, r"color images, its shape is \(7, 7, 1, 64\)"),
        ({"bn1.weight": torch.ones(3)}, "conv1 and bn1 do not match"),
    ):
        changed = {name: each for name, each in {**state, **changes}.items() if each is not None}
        torch.save(changed, tmp_path / "a.pth")
        with pytest.raises(ModelFileError, match=f"{said}.*a.pth") as refused:
            transfer.start(None, types.SimpleNamespace(weights=str(tmp_path / "a.pth")), None)
        assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match=r"3, 64\) there and .*3, 8\) here.*filters"):
        start(checkpoint, tmp_path, "resnet18", 3, filters=8)
