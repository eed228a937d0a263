import io
import json
import os
import stat
import zipfile

import h5py
import keras
import numpy
import pytest

from kerasdl import models
from kerasdl.backend import precision
from kerasdl.core.errors import ModelFileError, WriteError
from kerasdl.runs import modelfile, names, sidecar

FACTS = {
    "format": 1,
    "task": "segmentation",
    "model": "unet",
    "model_args": {"filters": 2, "depth": 1},
    "outputs": 3,
    "channels": 3,
    "image_size": [8, 8],
    "precision": "float32",
    "class_names": ["cat", "dog", "élan"],
    "palette": [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
}


def build():
    return models.build("unet", (8, 8, 3), 3, filters=2, depth=1)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good model file with its sidecar."""
    path = tmp_path_factory.mktemp("good") / "best.keras"
    modelfile.save_inference_model(build(), path)
    sidecar.write(path, FACTS)
    return path


def altered(good, tmp_path, config=None, weights=None, members=None, compression=0, facts=()):
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
    (tmp_path / names.SIDECAR).write_text(json.dumps({**FACTS, **dict(facts)}))
    return path


def refuse(path, match, read=modelfile.open_model):
    with pytest.raises(ModelFileError, match=match) as caught:
        read(path)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


def test_the_file_gives_back_model_and_sidecar(good):
    model, facts = modelfile.open_model(good)
    assert facts == FACTS
    images = numpy.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    plain = keras.saving.load_model(good)  # as a user without kerasdl would
    assert not plain.compiled
    numpy.testing.assert_array_equal(
        model.predict(images, verbose=0), plain.predict(images, verbose=0)
    )


def test_weights_that_are_read_are_not_drawn_before(good, monkeypatch):
    def draw(*_, **__):
        raise AssertionError("drawn")

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", draw)
    model, _ = modelfile.open_model(good)
    models.resized(model, "unet", (16, 16), FACTS["model_args"])
    with pytest.raises(AssertionError, match="drawn"):
        build()


@pytest.mark.parametrize(
    ("capability", "computed"), [((8, 0), "bfloat16"), ((7, 5), "float32")], ids=["has", "lacks"]
)
def test_a_model_is_built_with_the_precision_it_was_trained_with(
    good, tmp_path, monkeypatch, capability, computed
):
    """If the device has it: the GPU, here."""
    monkeypatch.setattr(precision, "gpu_capability", lambda backend: capability)
    path = altered(good, tmp_path, facts={"precision": "mixed_bfloat16"})
    model, _ = modelfile.open_model(path)
    assert model.get_layer("down1_1_convolution").compute_dtype == computed
    assert keras.config.dtype_policy().name == "float32"
    for asked, found in (("mixed_bfloat16", "bfloat16"), ("float32", "float32")):
        model, _ = modelfile.open_model(path, asked)
        assert model.get_layer("down1_1_convolution").compute_dtype == found


def test_a_compiled_model_is_saved_without_its_compiled_parts(good, tmp_path):
    model = modelfile.open_model(good)[0]
    model.compile("adam", "mse")
    model.fit(numpy.ones((2, 8, 8, 3)), numpy.ones((2, 8, 8, 3)), verbose=0)
    modelfile.save_inference_model(model, tmp_path / "best.keras")
    with zipfile.ZipFile(tmp_path / "best.keras") as archive:
        assert sorted(archive.namelist()) == sorted(modelfile.MEMBERS)
        assert not json.loads(archive.read("config.json")).get("compile_config")
        assert b"adam" not in archive.read("model.weights.h5")
    assert model.compiled  # the model in training is not touched
    read = modelfile.read_weights(tmp_path / "best.keras")
    assert set(read) == {layer.name for layer in model.layers if layer.weights}
    for name, arrays in read.items():
        for before, after in zip(model.get_layer(name).get_weights(), arrays, strict=True):
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


def layer_is(new):
    def change(config):
        config["config"]["layers"][3].update(new)
        return config

    return lambda content: json.dumps(change(json.loads(content))).encode()


CRAFTED = {
    "Lambda layer": layer_is(LAMBDA),
    "class of another module": layer_is({"module": "subprocess", "class_name": "Popen"}),
    "registered name": layer_is({"registered_name": "builtins>exec"}),
    "object in an argument": layer_is({"inbound_nodes": [{"args": [LAMBDA], "kwargs": {}}]}),
    "path as layer name": layer_is({"config": {"name": "../../outside"}}),
    "large layer": layer_is({"class_name": "Dense", "config": {"units": 10**10}}),
    "nested beyond the parser": lambda content: b"[" * 200_000 + b"]" * 200_000,
    "not JSON": lambda content: b"\xff\xfe",
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_what_a_file_tells_keras_to_build_is_never_read(good, tmp_path, monkeypatch, kind):
    def asked(*arguments, **options):
        pytest.fail("Keras was asked to build what the file names")

    with zipfile.ZipFile(good) as archive:
        config = CRAFTED[kind](archive.read("config.json"))
    path = altered(good, tmp_path, members={"config.json": config})
    for name in ("load_model", "deserialize_keras_object"):
        monkeypatch.setattr(keras.saving, name, asked)
    monkeypatch.setattr("keras.src.saving.saving_lib.deserialize_keras_object", asked)
    model, _ = modelfile.open_model(path)
    expected = modelfile.read_weights(good)
    assert modelfile.read_weights(path).keys() == expected.keys()
    numpy.testing.assert_array_equal(
        model.get_layer("logits").get_weights()[0], expected["logits"][0]
    )


# The good file has 521 weights: 9*3*2 + 9*2*2 (down1) + 9*2*4 + 9*4*4 (bottom) + 4*4*2 + 2
# (upsampling) + 9*4*2 + 9*2*2 (up1) + 2*3 + 3 (logits) + 4 for each of 16 normalized filters.
TOO_LARGE = {
    "filters": {"model_args": {"filters": 4096, "depth": 1}},
    "depth": {"model_args": {"filters": 2, "depth": 8}},
    "outputs": {"outputs": 2**16, "class_names": []},
    "channels": {"channels": 2**16},
    "another model": {"model": "fcn32", "model_args": {}, "outputs": 2**16, "class_names": []},
    "one filter more": {"model_args": {"filters": 3, "depth": 1}},
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_more_weights_than_the_file_has_are_never_given_memory(good, tmp_path, monkeypatch, kind):
    taken = []
    original = keras.layers.Layer.add_weight

    def add_weight(layer, *arguments, **options):
        taken.append(numpy.prod(options["shape"], dtype="float64"))
        return original(layer, *arguments, **options)

    monkeypatch.setattr(keras.layers.Layer, "add_weight", add_weight)
    path = altered(good, tmp_path, facts=TOO_LARGE[kind])
    refuse(path, "describes more weights than the 521 in the file")
    assert sum(taken) <= 521
    assert keras.layers.Layer.add_weight is add_weight  # the count ends with the build


@pytest.mark.parametrize(
    "facts",
    [
        {"model_args": {"filters": 1, "depth": 1}},
        {"model_args": {"filters": 2, "depth": 1, "skips": "none"}},
        {"outputs": 2, "class_names": []},
    ],
)
def test_a_smaller_model_than_the_file_s_is_refused(good, tmp_path, facts):
    refuse(altered(good, tmp_path, facts=facts), "the weights do not match unet")


@pytest.mark.parametrize(
    "options",
    [{"filters": 0}, {"filters": -1}, {"filters": 2.5}, {"filters": "many"}, {"filters": None},
     {"filters": [2]}, {"depth": True}, {"depth": 4096}, {"skips": {}},
     {"skips": [[1]]}, {"skips": [99]},
     {"filters": 4097}, {"filters": 10**30}, {"depth": float("nan")}, {"skips": [1] * 65},
     {"input_shape": [8, 8, 3]}, {"outputs": 3}, {"units": 2}, {f"k{n}": 1 for n in range(65)}],
    ids=str,
)  # fmt: skip
def test_options_that_no_builder_takes_are_refused(good, tmp_path, options):
    refuse(altered(good, tmp_path, facts={"model_args": options}), "cannot be built|'model_args'")


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
    refuse(large, "config.json declares 5242881 bytes, at most 5242880 allowed")
    monkeypatch.setitem(modelfile.MEMBERS, "model.weights.h5", 100)
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
    content.create_dataset(name, (2**20,), "float32", chunks=(1024,))


def cycle(content, name):
    content["layers/again"] = content["layers"]


def text(content, name):
    del content[name]
    content[name] = "4.0"


def wrong_shape(content, name):
    del content[name]
    content[name] = numpy.zeros((1, 1, 3, 4), "float32")


def not_finite(content, name):
    content[name][0, 0, 0, 0] = numpy.nan


PLAIN = {
    external_link: "is a ExternalLink",
    soft_link: "is a SoftLink",
    external_storage: "not an array in this file",
    virtual: "not an array in this file",
    text: "not an array in this file",
    shape_bomb: "declare more bytes than the file has",
    cycle: "layers/again is a second link to a group",
}


@pytest.mark.parametrize("read", [modelfile.open_model, modelfile.read_weights])
@pytest.mark.parametrize("how", PLAIN)
def test_weights_that_are_not_plain_arrays(good, tmp_path, how, read):
    path = altered(good, tmp_path, weights=rewrite(how))
    refuse(path, f"the weights are not plain arrays .*{PLAIN[how]}", read)


def test_objects_in_the_weights_are_limited(good, monkeypatch):
    monkeypatch.setattr(modelfile, "MAX_OBJECTS", 5)
    refuse(good, "the weights are not plain arrays .*too many objects")


def test_weights_that_are_no_hdf5(good, tmp_path):
    path = altered(good, tmp_path, weights=lambda data: b"no" + data[2:])
    refuse(path, "the weights are not plain arrays")


def test_weights_of_a_wrong_shape(good, tmp_path):
    refuse(altered(good, tmp_path, weights=rewrite(wrong_shape)), "more weights|do not match unet")


def test_weights_that_are_not_finite(good, tmp_path):
    path = altered(good, tmp_path, weights=rewrite(not_finite))
    refuse(path, "not finite in down1_1_convolution")
    refuse(path, "not finite in down1_1_convolution", modelfile.read_weights)


def without(key):
    return {name: value for name, value in FACTS.items() if name != key}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"{", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"[]", "not a JSON object"),
        (b" " * 2**21, "larger than"),
        *((without(key), f"'{key}'") for key in list(FACTS)[:8]),
        ({**FACTS, "format": 2}, "later kerasdl.*upgrade"),
        ({**FACTS, "format": "1"}, "'format'"),
        ({**FACTS, "task": "poetry"}, "'task'"),
        ({**FACTS, "task": []}, "'task'"),
        ({**FACTS, "model": "os.system"}, "'model'"),
        ({**FACTS, "outputs": 3.0}, "'outputs'"),
        ({**FACTS, "outputs": 10**10}, "'outputs'"),
        ({**FACTS, "channels": 0}, "'channels'"),
        ({**FACTS, "image_size": [8, True]}, "'image_size'"),
        ({**FACTS, "image_size": [8, 10**9]}, "'image_size'"),
        ({**FACTS, "precision": "auto"}, "'precision'"),
        ({**FACTS, "class_names": "cat"}, "'class_names'"),
        ({**FACTS, "class_names": ["a", "b"]}, "3 outputs.*2 class names"),
        ({**FACTS, "palette": [[1, 2]]}, "'palette'"),
        ({**FACTS, "palette": [[1, 2, 256]]}, "'palette'"),
        ({**FACTS, "ignore_labels": [0.5]}, "'ignore_labels'"),
        ({**FACTS, "target": "ab"}, "target 'ab' does not have 3 outputs"),
        ({**FACTS, "target": "xyz"}, "target 'xyz'"),
    ],
)
def test_the_sidecar_is_checked(good, tmp_path, content, match):
    path = altered(good, tmp_path)
    if isinstance(content, dict):
        content = json.dumps(content).encode()
    (tmp_path / names.SIDECAR).write_bytes(content)
    refuse(path, match)


def test_the_sidecar_is_required_except_for_bare_weights(good, tmp_path):
    path = altered(good, tmp_path)
    (tmp_path / names.SIDECAR).unlink()
    refuse(path, "no model.json next to the model")
    assert modelfile.read_weights(path).keys() == modelfile.read_weights(good).keys()


def test_a_sidecar_that_could_not_be_read_back_is_not_written(tmp_path):
    with pytest.raises(ModelFileError, match="'palette'"):
        sidecar.write(tmp_path, {**FACTS, "palette": [[0.5, 0, 0]]})
    assert os.listdir(tmp_path) == []
