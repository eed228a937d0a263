import io
import json
import os
import stat
import zipfile

import h5py
import keras
import numpy
import pytest

from kerasdl.core.errors import ModelFileError, WriteError
from kerasdl.runs import modelfile, modelsize

SIDECAR = {
    "task": "classification",
    "class_names": ["cat", "dog", "élan"],
    "palette": [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
    "image_size": [8, 8],
}


def build():
    """Each layer class that kerasdl's networks use."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    regularizer = keras.regularizers.L2(1e-4)
    x = layers.ZeroPadding2D(1)(inputs)
    x = layers.Conv2D(4, 3, strides=2, kernel_regularizer=regularizer, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = skip = layers.ReLU()(x)
    x = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    x = layers.Add()([x, skip])
    x = layers.Concatenate()([x, skip])
    x = layers.Dropout(0.2)(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.Conv2DTranspose(4, 2, strides=2, kernel_initializer="he_normal")(x)
    x = layers.Activation("relu")(layers.Cropping2D(1)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="toy")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good model file with its sidecar."""
    path = tmp_path_factory.mktemp("good") / "best.keras"
    modelfile.save_inference_model(build(), path)
    modelfile.write_sidecar(path, SIDECAR)
    return path


def altered(good, tmp_path, config=None, weights=None, members=None, compression=0):
    """A copy of the good file with parts exchanged; `members` are added or replace all."""
    with zipfile.ZipFile(good) as archive:
        content = {name: archive.read(name) for name in modelfile.MEMBERS}
    if config is not None:
        content["config.json"] = json.dumps(config(json.loads(content["config.json"]))).encode()
    if weights is not None:
        content["model.weights.h5"] = weights(content["model.weights.h5"])
    content.update(members or {})
    path = tmp_path / "crafted.keras"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    (tmp_path / modelfile.SIDECAR).write_bytes((good.parent / modelfile.SIDECAR).read_bytes())
    return path


def refuse(path, match):
    with pytest.raises(ModelFileError, match=match) as caught:
        modelfile.open_model(path)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


def test_the_file_gives_back_model_and_sidecar(good):
    model, sidecar = modelfile.open_model(good)
    assert sidecar == SIDECAR
    assert model.name == "toy"
    images = numpy.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    plain = keras.saving.load_model(good)  # as a user without kerasdl would
    assert not plain.compiled
    numpy.testing.assert_array_equal(
        model.predict(images, verbose=0), plain.predict(images, verbose=0)
    )


def test_a_compiled_model_is_saved_without_its_compiled_parts(good, tmp_path):
    model = modelfile.open_model(good)[0]
    model.compile("adam", "mse")
    model.fit(numpy.ones((2, 8, 8, 3)), numpy.ones((2, 3)), verbose=0)
    modelfile.save_inference_model(model, tmp_path / "best.keras")
    with zipfile.ZipFile(tmp_path / "best.keras") as archive:
        assert sorted(archive.namelist()) == sorted(modelfile.MEMBERS)
        assert not json.loads(archive.read("config.json")).get("compile_config")
        assert b"adam" not in archive.read("model.weights.h5")
    assert model.compiled  # the model in training is not touched
    for before, after in zip(
        model.get_weights(),
        modelfile.load_architecture_and_weights(tmp_path / "best.keras").get_weights(),
        strict=True,
    ):
        numpy.testing.assert_array_equal(before, after)


def test_a_failed_save_keeps_the_old_model(good, tmp_path, monkeypatch):
    path = tmp_path / "best.keras"
    path.write_bytes(good.read_bytes())
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on the size of files stands for a full disk: the write fails half way.
    resource.setrlimit(resource.RLIMIT_FSIZE, (good.stat().st_size // 2, hard))
    try:
        with pytest.raises(WriteError, match="MB needed.*free some space"):
            modelfile.save_inference_model(build(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == good.read_bytes()
    assert os.listdir(tmp_path) == ["best.keras"]


def test_missing_and_foreign_paths(tmp_path, good):
    refuse(tmp_path / "none.keras", "no such model file")
    refuse(tmp_path, "not a file")
    refuse("hf://user/model.keras", "only local files")
    refuse("https://example.org/a.keras", "only local files")
    for suffix in (".h5", ".pt", ".npz", ""):
        other = tmp_path / f"model{suffix}"
        other.write_bytes(good.read_bytes())
        refuse(other, "not a .keras file")
    os.mkfifo(tmp_path / "pipe.keras")
    refuse(tmp_path / "pipe.keras", "not a file")  # and it does not wait for a writer


@pytest.mark.parametrize("size", [0, 10, 0.5, -1])
def test_truncated_and_empty_files(good, tmp_path, size):
    content = good.read_bytes()
    length = int(len(content) * size) if isinstance(size, float) else size
    (tmp_path / "cut.keras").write_bytes(content[:length])
    refuse(tmp_path / "cut.keras", "damaged .not a complete archive")


def test_one_flipped_byte(good, tmp_path):
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flipped.keras").write_bytes(content)
    refuse(tmp_path / "flipped.keras", "bad checksum of model.weights.h5")


LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}},
    "registered_name": None,
}


def replace_layer(new):
    def change(config):
        layer = config["config"]["layers"][3]
        layer.update(new)
        return config

    return change


def set_in_layer(**values):
    """Changes the configuration of the first convolution."""

    def change(config):
        layers = config["config"]["layers"]
        next(item for item in layers if item["class_name"] == "Conv2D")["config"].update(values)
        return config

    return change


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


CRAFTED = {
    "Lambda layer": (replace_layer(LAMBDA), "keras.layers.Lambda"),
    "class of another module": (
        replace_layer({"module": "subprocess", "class_name": "Popen"}),
        "subprocess.Popen",
    ),
    "allowed class name, other module": (replace_layer({"module": "os"}), "os.BatchNorm"),
    "TFSMLayer": (replace_layer({"class_name": "TFSMLayer"}), "keras.layers.TFSMLayer"),
    "registered name trick": (
        replace_layer({"registered_name": "builtins>exec"}),
        "BatchNormalization.builtins>exec",
    ),
    "keras.config function as activation": (
        set_in_layer(activation=function("keras.config", "set_epsilon")),
        "activation",
    ),
    "keras.utils function as initializer": (
        set_in_layer(kernel_initializer=function("keras.utils", "get_file")),
        "keras.utils.function",
    ),
    "activation by unknown name": (set_in_layer(activation="os.getcwd"), "activation 'os.getcwd'"),
    "regularizer by name": (
        set_in_layer(kernel_regularizer="OrthogonalRegularizer"),
        "regularizer",
    ),
    "constraint class": (
        set_in_layer(
            kernel_constraint={
                "module": "keras.constraints",
                "class_name": "MaxNorm",
                "config": {},
                "registered_name": None,
            }
        ),
        "keras.constraints.MaxNorm",
    ),
    "object in an argument of a node": (
        replace_layer({"inbound_nodes": [{"args": [LAMBDA], "kwargs": {}}]}),
        "keras.layers.Lambda",
    ),
    "tensor from a file": (
        set_in_layer(kernel_initializer={"class_name": "__numpy__", "config": {"value": [1]}}),
        "__numpy__",
    ),
    "module without class": (set_in_layer(extra={"module": "os", "config": {}}), "'os'"),
    "path as layer name": (set_in_layer(name="../../outside"), "name '../../outside'"),
    "unknown dtype": (set_in_layer(dtype="object"), "dtype 'object'"),
    "whole model of another class": (
        lambda config: {**config, "class_name": "Sequential"},
        "not a functional",
    ),
    "nested too deeply": (
        set_in_layer(extra=json.loads("[" * 70 + "]" * 70)),
        "nested too deeply",
    ),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_crafted_configurations_are_refused_before_keras_reads_them(
    good, tmp_path, monkeypatch, kind
):
    change, match = CRAFTED[kind]
    path = altered(good, tmp_path, config=change)
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("Keras was asked"))
    refuse(path, match)


def test_a_configuration_nested_beyond_the_parser(good, tmp_path):
    text = b"[" * 200_000 + b"]" * 200_000
    refuse(altered(good, tmp_path, members={"config.json": text}), "nested too deeply")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_a_configuration_that_is_none(good, tmp_path, text):
    refuse(altered(good, tmp_path, members={"config.json": text}), "config.json|read|functional")


def of_layer(kind, **values):
    """Changes the configuration of the first layer of a class."""

    def change(config):
        layers = config["config"]["layers"]
        next(item for item in layers if item["class_name"] == kind)["config"].update(values)
        return config

    return change


def built_for(channels):
    """Changes the shape for which the first convolution is built."""

    def change(config):
        layers = config["config"]["layers"]
        layer = next(item for item in layers if item["class_name"] == "Conv2D")
        layer["build_config"] = {"input_shape": [None, 10, 10, channels]} if channels else {}
        return config

    return change


def many_layers(config):
    config["config"]["layers"] *= 80
    return config


TOO_LARGE = {
    "units": (of_layer("Dense", units=10**10), "units 10000000000, at most"),
    "filters within the limit": (of_layer("Conv2D", filters=60_000), "declares 16.* weights"),
    "channels within the limit": (built_for(60_000), "declares 21.* weights"),
    "no shape to build for": (built_for(None), "not the form"),
    "window": (of_layer("Conv2D", kernel_size=[10**5, 10**5]), "kernel_size"),
    "window by a word": (of_layer("Conv2D", kernel_size="33"), "not the form"),
    "border": (of_layer("ZeroPadding2D", padding=[[10**9, 0], [0, 0]]), "padding"),
    "upsampling": (of_layer("UpSampling2D", size=[10**9, 10**9]), "size"),
    "input": (of_layer("InputLayer", batch_shape=[None, 10**9, 8, 3]), "batch_shape"),
    "batch": (of_layer("InputLayer", batch_shape=[10**9, 8, 8, 3]), "fixed batch size"),
    "low-rank weights": (of_layer("Dense", lora_rank=5), "lora_rank"),
    "other order of axes": (of_layer("Conv2D", data_format="channels_first"), "data format"),
    "layers": (many_layers, "layers, allowed are 1000"),
    "layers that are none": (lambda config: {**config, "config": {"layers": 5}}, "not the form"),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_more_memory_than_the_file_can_fill_is_never_taken(good, tmp_path, monkeypatch, kind):
    change, match = TOO_LARGE[kind]
    path = altered(good, tmp_path, config=change)
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("Keras was asked"))
    refuse(path, match)


def test_each_allowed_layer_has_its_weights_counted():
    layers = {name for module, name in modelfile.ALLOWED if module == "keras.layers"}
    assert layers == modelsize.WITHOUT_WEIGHTS | set(modelsize.WEIGHTS)


def test_counted_weights_are_those_of_keras(good):
    model = modelfile.open_model(good)[0]
    biases = sum(layer.bias.shape[0] for layer in model.layers if getattr(layer, "use_bias", False))
    config = json.loads(modelfile.check_archive(good))
    weights = model.count_params() - biases
    modelsize.check_size(config, 2 * weights)
    with pytest.raises(ModelFileError, match=f"declares {weights} weights"):
        modelsize.check_size(config, 2 * weights - 1)


def test_compile_config_is_never_looked_at(good, tmp_path):
    def change(config):
        return {**config, "compile_config": {"loss": function("os", "getcwd")}}

    model, _ = modelfile.open_model(altered(good, tmp_path, config=change))
    assert not model.compiled


def link_entry():
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    "members",
    [
        {"../x": b""},
        {"/etc/x": b""},
        {"assets/vocabulary.txt": b""},
        {link_entry(): b"/etc/passwd"},
        {"metadata.json": None},
        {f"member {number}": b"" for number in range(10_000)},
    ],
    ids=["parent", "absolute", "extra", "link", "missing", "many"],
)
def test_only_the_three_members_are_allowed(good, tmp_path, members):
    refuse(altered(good, tmp_path, members=members), "unexpected content")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(good, tmp_path):
    path = altered(good, tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", b"{}")
    refuse(path, "unexpected content")


def test_sizes_are_limited(good, tmp_path, monkeypatch):
    bomb = altered(
        good, tmp_path, members={"model.weights.h5": bytes(10**6)}, compression=zipfile.ZIP_DEFLATED
    )
    refuse(bomb, "bomb")
    large = altered(good, tmp_path, members={"config.json": b" " * (5 * 2**20 + 1)})
    refuse(large, "config.json declares 5242881 bytes, allowed are 5242880")
    monkeypatch.setitem(modelfile.MAX_MEMBER_BYTES, "model.weights.h5", 100)
    refuse(good, "model.weights.h5 declares")


def dataset(content):
    """Path within the HDF5 file of the first convolution's kernel."""
    found = []
    content.visititems(
        lambda name, item: found.append(name) if getattr(item, "ndim", 0) == 4 else None
    )
    return found[0]


def rewrite(how):
    def change(data):
        stream = io.BytesIO(data)
        with h5py.File(stream, "r+") as content:
            how(content, dataset(content))
        return stream.getvalue()

    return change


def external_link(content, name):
    del content[name]
    content[name] = h5py.ExternalLink("/etc/hostname", "/x")


def soft_link(content, name):
    content.move(name, "elsewhere")
    content[name] = h5py.SoftLink("/elsewhere")


def external_storage(content, name):
    shape = content[name].shape
    del content[name]
    content.create_dataset(name, shape, "float32", external=[("/etc/hostname", 0, 4096)])


def virtual(content, name):
    layout = h5py.VirtualLayout(content[name].shape, "float32")
    layout[...] = h5py.VirtualSource("/etc/hostname", "x", content[name].shape)
    del content[name]
    content.create_virtual_dataset(name, layout)


def shape_bomb(content, name):
    del content[name]
    content.create_dataset(name, (2**40,), "float32", chunks=(1024,))


def wrong_shape(content, name):
    del content[name]
    content[name] = numpy.zeros((1, 1, 3, 4), "float32")


def not_finite(content, name):
    content[name][0, 0, 0, 0] = numpy.nan


@pytest.mark.parametrize(
    "how", [external_link, soft_link, external_storage, virtual, shape_bomb, wrong_shape]
)
def test_weights_that_are_not_plain_arrays_of_the_right_shape(good, tmp_path, how):
    # Keras refuses these (since 3.15.1); the test shows should that ever change.
    refuse(altered(good, tmp_path, weights=rewrite(how)), "cannot be loaded")


def test_weights_that_are_not_finite(good, tmp_path):
    refuse(altered(good, tmp_path, weights=rewrite(not_finite)), "not finite in conv2d")


def test_the_sidecar_is_required_and_checked(good, tmp_path):
    path = altered(good, tmp_path)
    sidecar = tmp_path / modelfile.SIDECAR
    for content, match in (
        (b"{", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"[]", "not a JSON object"),
        (b'{"task": "poetry"}', "unknown task 'poetry'"),
        (b'{"task": "classification", "class_names": "cat"}', "'class_names'"),
        (b'{"task": "classification", "palette": [[1, 2]]}', "'palette'"),
        (b'{"task": "classification", "palette": [[1, 2, 256]]}', "'palette'"),
        (b'{"task": "classification", "image_size": [8, true]}', "'image_size'"),
        (b'{"task": "classification", "class_names": ["a", "b"]}', "3 outputs.*2 classes"),
        (b" " * 2**21, "larger than"),
    ):
        sidecar.write_bytes(content)
        refuse(path, match)
    sidecar.unlink()
    refuse(path, "no model.json beside the model")


def test_a_sidecar_that_could_not_be_read_back_is_not_written(tmp_path):
    with pytest.raises(ModelFileError, match="'palette'"):
        modelfile.write_sidecar(tmp_path, {**SIDECAR, "palette": [[0.5, 0, 0]]})
    assert os.listdir(tmp_path) == []
