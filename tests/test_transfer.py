"""Backbones: which weights are taken, what is said, what stays frozen, and exact continuation."""

import json
import logging
import shutil

import keras
import numpy
import pytest
import toy_run

import kerasdl
from kerasdl import models
from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.engine import run, transfer
from kerasdl.models import imagenet, resnet
from kerasdl.runs import modelfile, runfolder


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """ResNet-18 with a few filters: what is tested does not depend on their number."""
    before = resnet.STAGE_FILTERS
    resnet.STAGE_FILTERS = (64, 8, 8, 8)
    yield
    resnet.STAGE_FILTERS = before


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A bare model file of a classifier whose weights are all different from each other."""
    folder = tmp_path_factory.mktemp("weights")
    model = models.build("resnet18", (32, 32, 3), 10, stem="imagenet")
    generator = numpy.random.default_rng(3)
    limits = {1: (0.5, 1.0), 2: (-0.1, 0.1), 4: (-0.1, 0.1)}  # vectors: variances among them
    model.set_weights([generator.uniform(*limits[w.ndim], w.shape) for w in model.get_weights()])
    modelfile.save_inference_model(model, folder / "best.keras")
    return folder


TINY = {
    "task": "segmentation",
    "image_size": 32,
    "train_size": 6,
    "validation_size": 2,
    "test_size": 2,
    "batch_size": 3,
    "epochs": 2,
    "learning_rate": 0.01,
}


@pytest.mark.parametrize(("name", "stem"), [("fcn8", "imagenet"), ("unet-resnet18", "small")])
def test_every_layer_of_the_body_is_taken(name, stem):
    source = models.build("resnet18", (32, 32, 3), 10, stem=stem)
    target = models.build(name, (40, 48, 3), 5, stem=stem)
    heads = [w for w in target.weights if "stage" not in w.path.split("/")[0]]
    copied, refused, body = transfer.copy_weights(transfer.weights_of(source), target)
    # 1 stem, 8 blocks of 2, 3 shortcuts: 20 convolutions, each with its normalization.
    assert len(copied) == len(body) == 40 and not refused and heads
    theirs = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        if layer.name in copied:
            for one, other in zip(
                layer.get_weights(), theirs[layer.name].get_weights(), strict=True
            ):
                numpy.testing.assert_array_equal(one, other)
        elif layer.weights:
            assert layer.name not in theirs or layer.name == "logits"


def test_the_features_are_those_of_the_backbone(classifier):
    weights = modelfile.read_weights(classifier / "best.keras")
    source = models.build("resnet18", (32, 32, 3), 10, stem="imagenet")
    modelfile.load_weights(source, classifier / "best.keras")
    target = models.build("unet-resnet18", (32, 32, 3), 5)
    transfer.copy_weights(weights, target)
    x = numpy.random.default_rng(0).random((2, 32, 32, 3), dtype="float32")
    deepest = [
        keras.Model(m.input, m.get_layer("stage4_block2_relu").output).predict_on_batch(x)
        for m in (source, target)
    ]
    numpy.testing.assert_allclose(*deepest, rtol=1e-5)


def test_a_gray_network_sees_what_the_backbone_sees_in_the_gray_image(classifier):
    weights = modelfile.read_weights(classifier / "best.keras")
    source = models.build("resnet18", (32, 32, 3), 10, stem="imagenet")
    modelfile.load_weights(source, classifier / "best.keras")
    target = models.build("fcn32", (32, 32, 1), 3)
    copied, refused, _ = transfer.copy_weights(weights, target)
    assert len(copied) == 40 and not refused
    gray = numpy.random.default_rng(0).random((2, 32, 32, 1), dtype="float32")
    found = [
        keras.Model(m.input, m.get_layer("stem_relu").output).predict_on_batch(x)
        for m, x in ((source, numpy.repeat(gray, 3, axis=-1)), (target, gray))
    ]
    numpy.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


def test_a_run_with_a_frozen_backbone(classifier, tmp_path, without_artifacts, caplog):
    """Weights and statistics of the body stay; continued in parts, without the backbone's file."""
    backbone = shutil.copytree(classifier, tmp_path / "weights")
    values = {**TINY, "model": "fcn32", "weights": str(backbone), "freeze": True}
    with caplog.at_level(logging.INFO, "kerasdl"):
        kerasdl.train(kerasdl.Config(**values), tmp_path / "whole", quiet=True)
    assert f"initial weights: 40 of 40 layers from {backbone}" in caplog.text
    record = json.loads((tmp_path / "whole" / "init_weights.json").read_text())
    assert len(record["layers"]) == 40 and record["refused"] == []
    before = modelfile.read_weights(backbone / "best.keras")
    newest = runfolder.committed(tmp_path / "whole" / "checkpoints")[0] / "model.keras"
    after = modelfile.read_weights(newest)
    for name in record["layers"]:
        for one, other in zip(after[name], before[name], strict=True):
            numpy.testing.assert_array_equal(one, other)

    first = kerasdl.Config(**{**values, "epochs": 1})
    kerasdl.train(first, tmp_path / "parts", quiet=True)
    shutil.rmtree(backbone)
    (tmp_path / "parts" / "metrics.json").unlink()
    kerasdl.train(run.changed(first, epochs=2), tmp_path / "parts", quiet=True)
    whole, parts = (toy_run.outcome(tmp_path / name) for name in ("whole", "parts"))
    assert parts["weights and optimizer"] == whole["weights and optimizer"]
    assert parts["rows"] == whole["rows"]


def test_a_backbone_that_is_not_frozen_is_trained(classifier, tmp_path, without_artifacts):
    values = {**TINY, "model": "fcn32", "epochs": 1, "weights": str(classifier / "best.keras")}
    kerasdl.train(kerasdl.Config(**values), tmp_path / "run", quiet=True)
    after = modelfile.read_weights(tmp_path / "run" / "best.keras")
    before = modelfile.read_weights(classifier / "best.keras")
    kernels = [weights["stage4_block2_2_convolution"][0] for weights in (before, after)]
    change = numpy.abs(kernels[0] - kernels[1]).max()
    assert 0 < change < 0.1  # a new network's kernel has a deviation of sqrt(2 / 72) = 0.17


def start(model, backbone, tmp_path, **options):
    tmp_path = tmp_path / str(len(list(tmp_path.iterdir())))
    values = {
        **TINY,
        "task": models.MODELS[model].tasks[0],
        "model": model,
        "model_args": options,
        "weights": str(backbone),
    }
    config = kerasdl.Config(**values)
    with runfolder.acquire(tmp_path / "run", config) as folder:
        transfer.start(models.build(model, (32, 32, 3), 4, **options), config, folder)


def test_other_shapes_are_said(classifier, tmp_path, caplog):
    start("fcn32", classifier, tmp_path, stem="small")
    assert (
        "stem_convolution is (7, 7, 3, 64) in the weights, (3, 3, 3, 64) here; set model_args.stem"
        in (caplog.text)
    )


def test_what_is_no_backbone_is_refused(classifier, tmp_path):
    with pytest.raises(ConfigError, match="no layer that unet could use.*unet-resnet18"):
        start("unet", classifier, tmp_path)
    with pytest.raises(ConfigError, match=r"3, 64\) there and .*3, 8\) here.*filters"):
        start("resnet18", classifier, tmp_path, stem="imagenet", filters=8)
    with pytest.raises(ModelFileError, match="the run has no best model yet"):
        start("fcn32", tmp_path, tmp_path)
    with pytest.raises(ModelFileError, match="no such model file"):
        start("fcn32", tmp_path / "none.keras", tmp_path)
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(ModelFileError, match="damaged"):
        start("fcn32", tmp_path / "text.keras", tmp_path)


def test_imagenet_without_keras_hub_or_network(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", None)
    with pytest.raises(ConfigError, match="come from keras-hub.*pip install keras-hub"):
        start("fcn32", "imagenet", tmp_path)


SIZE = 33


def hub_name(name):
    """The reverse of `imagenet.our_name`, written down from keras-hub's sources."""
    kind = {"convolution": "conv", "norm": "bn"}.get(name.rpartition("_")[2])
    if name.startswith("stem_") and kind:
        return f"conv1_{kind}"
    if name.startswith("stage") and kind:
        stage, block, place = name.split("_")[:3]
        number = {"1": 1, "2": 2, "shortcut": 0}[place]
        return f"stack{int(stage[5:]) - 1}_block{int(block[5:]) - 1}_{number}_{kind}"
    return name


@pytest.fixture(scope="module")
def backbone(narrow):
    """A network with keras-hub's names and random weights, and the same one with our names."""
    ours = models.build("resnet18", (SIZE, SIZE, 3), 1, stem="imagenet")
    body = keras.Model(ours.input, ours.get_layer("stage4_block2_relu").output)
    body.set_weights(random_weights(body))
    theirs = keras.models.clone_model(
        body,
        clone_function=lambda layer: type(layer).from_config(
            {**layer.get_config(), "name": hub_name(layer.name)}
        ),
    )
    theirs.set_weights(body.get_weights())
    return theirs, body


def random_weights(model):
    generator = numpy.random.default_rng(5)
    limits = {1: (0.5, 1.0), 4: (-0.1, 0.1)}
    return [generator.uniform(*limits[w.ndim], w.shape) for w in model.get_weights()]


def assert_stems_alike(backbone, converted):
    """The converted stem on x gives what the backbone's gives on the normalized x."""
    x = numpy.random.default_rng(0).random((2, SIZE, SIZE, 3), dtype="float32")
    theirs = keras.Model(backbone.input, backbone.get_layer("conv1_bn").output)
    # At another size than 64x64: the layers of the stem anew around another input.
    ours = inputs = keras.Input((SIZE, SIZE, 3))
    for name in ("stem_padding", "stem_convolution", "stem_norm"):
        ours = converted.get_layer(name)(ours)
    found = keras.Model(inputs, ours).predict_on_batch(x)
    expected = theirs.predict_on_batch((x - imagenet.MEAN) / imagenet.DEVIATION)
    # The outermost two rows and columns see the border.
    numpy.testing.assert_allclose(found[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=2e-5)
    assert numpy.abs(found - expected).max() > 1e-3


def test_conversion_folds_the_normalization_into_the_stem(backbone):
    theirs, body = backbone
    converted = imagenet.convert(theirs)
    assert_stems_alike(theirs, converted)
    for layer in body.layers:
        if layer.weights and not layer.name.startswith("stem"):
            found = converted.get_layer(layer.name).get_weights()
            for one, other in zip(found, layer.get_weights(), strict=True):
                numpy.testing.assert_array_equal(one, other)


def test_another_network_is_not_converted(backbone):
    theirs, _ = backbone
    half = keras.Model(theirs.input, theirs.get_layer("stack2_block0_1_bn").output)
    with pytest.raises(ConfigError, match="not those of ResNet-18, such as stage3_block1_2_conv"):
        imagenet.convert(half)


def test_conversion_of_keras_hub_itself(monkeypatch):
    """Random weights of the real ResNetBackbone; where keras-hub is installed."""
    keras_hub = pytest.importorskip("keras_hub")
    filters = [64, 64, 128, 128]
    monkeypatch.setattr(resnet, "STAGE_FILTERS", tuple(filters))
    theirs = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=filters,
        stackwise_num_blocks=[2, 2, 2, 2], stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block", image_shape=(SIZE, SIZE, 3),
    )  # fmt: skip
    theirs.set_weights(random_weights(theirs))
    converted = imagenet.convert(theirs)
    assert_stems_alike(theirs, converted)
    # Without the folded normalization both are the same function, borders included.
    target = models.build("resnet18", (SIZE, SIZE, 3), 1, stem="imagenet")
    transfer.copy_weights(transfer.weights_of(converted), target)
    for ours, hub in (("stem_convolution", "conv1_conv"), ("stem_norm", "conv1_bn")):
        target.get_layer(ours).set_weights(theirs.get_layer(hub).get_weights())
    body = keras.Model(target.input, target.get_layer("stage4_block2_relu").output)
    x = numpy.random.default_rng(1).random((2, SIZE, SIZE, 3), dtype="float32")
    numpy.testing.assert_allclose(
        body.predict_on_batch(x), theirs.predict_on_batch(x), rtol=1e-3, atol=1e-5
    )
