"""TensorFlow Datasets: tiny sets built here, read without TensorFlow and without the network."""

import dataclasses
import errno
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import types
from typing import NamedTuple

import numpy
import pytest
from PIL import Image

from kerasdl.core.errors import DataError, WriteError
from kerasdl.data.tfds import builder as tfds_builder
from kerasdl.data.tfds import dataset as tfds
from kerasdl.engine import datasets
from kerasdl.runs import config as config_module

library = pytest.importorskip(
    "tensorflow_datasets", reason="needs tensorflow-datasets: pip install kerasdl[tfds]"
)
COUNTS = {"train": 20, "test": 6}


def read(name, task, config):
    return datasets.load(dataclasses.replace(config, task=task, data=f"tfds:{name}"))


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    stream.seek(0)
    return stream


def image(split, index, channels):
    """Gray images hold the index; color images (index, 7, 9)."""
    if channels == 1:
        return numpy.full((8, 6), index, dtype=numpy.uint8)
    return numpy.full((8, 6, 3), (index, 7, 9), dtype=numpy.uint8)


class Tiny(library.core.GeneratorBasedBuilder, skip_registration=True):
    """What the sets below have in common."""

    VERSION = library.core.Version("1.0.0")
    FEATURES = {}
    SPLITS = ("train", "test")

    def _info(self):
        return library.core.DatasetInfo(
            builder=self,
            features=library.features.FeaturesDict(self.FEATURES),
            license="for tests",
            disable_shuffling=True,
        )

    def _split_generators(self, manager):
        return {split: self._generate_examples(split) for split in self.SPLITS}

    def _generate_examples(self, split):
        for index in range(COUNTS.get(split, 4)):
            yield index, {key: self.value(key, split, index) for key in self.FEATURES}

    def value(self, key, split, index):
        if key == "segmentation_mask":
            mask = numpy.tile(numpy.array([[1, 2, 3]], numpy.uint8), (8, 2))
            mask[0, 0] = 255 if "Void" in type(self).__name__ else 1
            return png(mask)
        if key == "label":
            return -1 if split == "test" and "Unlabeled" in type(self).__name__ else index % 2
        return png(image(split, index, self.FEATURES[key].shape[2]))


def feature_image(channels=3):
    return library.features.Image(shape=(None, None, channels), encoding_format="png")


CLASSES = library.features.ClassLabel(names=["cat", "dog"])


class KerasdlColor(Tiny):
    FEATURES = {"image": feature_image(), "label": CLASSES}


class KerasdlGray(Tiny):
    FEATURES = {"image": feature_image(1), "label": CLASSES}
    SPLITS = ("train",)


class KerasdlDivided(Tiny):
    FEATURES = {"image": feature_image(), "label": CLASSES}
    SPLITS = ("train", "validation", "test")


class KerasdlUnlabeled(Tiny):
    FEATURES = {"image": feature_image(), "label": CLASSES}


class KerasdlMasks(Tiny):
    FEATURES = {"image": feature_image(), "segmentation_mask": feature_image(1)}


class KerasdlVoid(Tiny):
    FEATURES = {"image": feature_image(), "segmentation_mask": feature_image(1)}


class KerasdlOdd(Tiny):
    FEATURES = {"image": feature_image(), "label": CLASSES}
    SPLITS = ("everything", "test")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Folder with the prepared sets."""
    folder = tmp_path_factory.mktemp("tfds")
    for kind in (
        KerasdlColor,
        KerasdlGray,
        KerasdlDivided,
        KerasdlUnlabeled,
        KerasdlMasks,
        KerasdlVoid,
        KerasdlOdd,
    ):
        kind(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Every attempt to connect fails, and fails the test even if the error is swallowed."""
    attempts = []

    def refuse(*arguments, **options):
        attempts.append(arguments)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert not attempts


@pytest.fixture
def load(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))

    def loader(name, task="classification", **settings):
        settings = {"task": task, "data": f"tfds:{name}", **settings}
        return read(name, task, config_module.Config(**settings))

    return loader


def test_classification_reads_images_labels_and_names(load):
    data = load("kerasdl_color")
    assert data.name == "kerasdl_color"
    assert data.class_names == ("cat", "dog")
    assert data.license == "for tests"
    assert data.source == "tfds:kerasdl_color/1.0.0"
    assert {split: len(samples) for split, samples in data.splits.items()} == {
        "train": 18,
        "validation": 2,
        "test": 6,
    }
    sample = data.splits["test"][5]
    assert sample.image.dtype == numpy.uint8
    assert sample.image.shape == (8, 6, 3)
    assert sample.image[3, 3].tolist() == [5, 7, 9]
    assert sample.label == 1
    assert sample.mask is None
    assert data.splits["test"].name(5) == "kerasdl_color/1.0.0 test[5]"
    assert data.splits["test"].names()[:1] == ["kerasdl_color/1.0.0 test[0]"]
    assert data.splits["test"].labels().tolist() == [0, 1, 0, 1, 0, 1]


def test_several_samples_at_once_are_those_read_one_by_one(load):
    split = load("kerasdl_masks", "segmentation").splits["train"]
    for sample, index in zip(split.__getitems__([4, 0, 11]), [4, 0, 11], strict=True):
        assert (sample.image == split[index].image).all()
        assert (sample.mask == split[index].mask).all()


def test_version_may_be_named(load):
    assert load("kerasdl_color:1.0.0").splits["test"][3].label == 1


def test_missing_validation_is_a_seeded_share_of_train(load):
    def members(**settings):
        data = load("kerasdl_color", validation_split=0.25, **settings)
        return {
            split: [int(s.image[0, 0, 0]) for s in data.splits[split]]
            for split in ("train", "validation")
        }

    first = members(split_seed=1)
    assert len(first["validation"]) == 5
    assert sorted(first["train"] + first["validation"]) == list(range(20))
    assert members(split_seed=1) == first
    assert members(split_seed=2) != first


def test_validation_split_of_the_set_is_used(load):
    data = load("kerasdl_divided")
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [20, 4, 6]


def test_gray_images_become_rgb_and_a_lone_train_split_is_divided_in_three(load):
    data = load("kerasdl_gray", validation_split=0.2, test_split=0.3)
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [10, 4, 6]
    seen = []
    for split in data.splits.values():
        for sample in split:
            assert sample.image.shape == (8, 6, 3)
            assert (sample.image == sample.image[0, 0, 0]).all()
            seen.append(int(sample.image[0, 0, 0]))
    assert sorted(seen) == list(range(20))


def test_sizes_are_limited_by_the_configuration(load):
    data = load("kerasdl_color", train_size=7, test_size=3)
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [7, 2, 3]


def test_fingerprint_tells_sets_and_divisions_apart(load):
    first = load("kerasdl_color").fingerprint
    assert load("kerasdl_color").fingerprint == first
    assert load("kerasdl_color", split_seed=5).fingerprint != first
    assert load("kerasdl_divided").fingerprint != first


def test_colorization_needs_images_only(load):
    data = load("kerasdl_masks", "colorization")
    assert data.class_names == ()
    assert data.splits["test"][2].mask is None
    assert data.splits["test"][2].label is None
    assert data.splits["test"].labels() is None


def test_masks_without_names_have_as_many_classes_as_values(load):
    data = load("kerasdl_masks", "segmentation")
    assert data.class_names == ("class_0", "class_1", "class_2", "class_3")
    assert len(data.palette) == 4
    sample = data.splits["train"][0]
    assert sample.mask.dtype == numpy.uint8
    assert sample.mask[4].tolist() == [1, 2, 3, 1, 2, 3]


def test_void_is_an_error_until_it_is_ignored(load):
    with pytest.raises(DataError, match=r"values up to 255 .*ignore_labels = \[255\]"):
        load("kerasdl_void", "segmentation")
    data = load("kerasdl_void", "segmentation", ignore_labels=[255])
    assert data.class_names == ("class_0", "class_1", "class_2", "class_3")
    assert data.ignore_labels == (255,)
    assert data.splits["test"][1].mask[0].tolist() == [255, 2, 3, 1, 2, 3]


def test_value_without_a_class_names_the_sample(load):
    split = load("kerasdl_void", "segmentation", ignore_labels=[255]).splits["test"]
    split.rule = tfds.masks.MaskRule(4)
    with pytest.raises(DataError, match=r"mask holds 255, allowed are 0 to 3: .* test\[1\]"):
        split[1]


def renamed(folder, old, new, version):
    """Copy of a prepared set under the name of a known one."""
    target = folder / new / version
    target.mkdir(parents=True)
    for file in (folder / old / "1.0.0").iterdir():
        content = file.read_bytes()
        if file.suffix == ".json":
            content = content.replace(old.encode(), new.encode()).replace(
                b"1.0.0", version.encode()
            )
        (target / file.name.replace(old, new)).write_bytes(content)


def test_pet_masks_are_moved_from_1_to_3_to_0_to_2(load, prepared):
    renamed(prepared, "kerasdl_masks", "oxford_iiit_pet", "9.9.9")
    data = load("oxford_iiit_pet:9.9.9", "segmentation")
    assert data.class_names == ("pet", "background", "border")
    assert data.splits["train"][0].mask[4].tolist() == [0, 1, 2, 0, 1, 2]


def test_unknown_name_gets_three_close_names(load):
    with pytest.raises(DataError) as caught:
        load("cifar11")
    assert caught.value.exit_code == 3
    assert "no set 'cifar11'" in caught.value.what
    assert "cifar10" in caught.value.fix
    assert caught.value.fix.count(" or ") == 2
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cmaterdb/banglaa", "no config 'banglaa' .configs: bangla, devanagari, telugu"),
        ("cmaterdb/bangla:9.0.0", "no version 9.0.0 .versions: 1.0.0"),
        ("mnist/small", "no config 'small' .it has no configs"),
        ("huggingface:mnist", "does not name a set .write tfds:NAME"),
        ("", "does not name a set"),
        ("../etc", "does not name a set"),
    ],
)
def test_wrong_names_say_what_there_is(load, name, message):
    with pytest.raises(DataError, match=message):
        load(name)


def test_set_that_is_not_prepared_says_how_to_prepare_it(load, prepared):
    with pytest.raises(DataError) as caught:
        load("mnist")
    assert caught.value.exit_code == 3
    assert "not prepared" in caught.value.what
    assert "tfds:mnist --download" in caught.value.fix
    assert str(caught.value.path).startswith(str(prepared))
    assert not (prepared / "mnist").exists()


def test_leftover_of_an_interrupted_preparation_is_not_a_set(load, prepared):
    leftover = prepared / "fashion_mnist" / "incomplete.ABCDEF_3.0.1"
    leftover.mkdir(parents=True)
    (leftover / "fashion_mnist-train.array_record-00000-of-00001").write_bytes(b"half")
    with pytest.raises(DataError, match="not prepared"):
        load("fashion_mnist")


class Builder:
    """Stands for a builder whose preparation fails."""

    data_path = pathlib.Path("sets/mnist/3.0.1")

    def __init__(self, error, url_infos=None):
        self.error = error
        self.url_infos = url_infos

    def is_prepared(self):
        return False

    def download_and_prepare(self, download_config):
        assert download_config.try_download_gcs is False
        sys.stdout.write("Downloading and preparing")
        raise self.error


class NonMatchingChecksumError(Exception):
    """Has the name of the exception of TFDS."""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), WriteError, "No space .*TFDS_DATA_DIR"),
        (OSError(errno.EACCES, "Permission denied"), WriteError, "Permission denied"),
        (ConnectionError("refused"), DataError, "refused.*TFDS_DATA_DIR"),
        (NonMatchingChecksumError("Artifact x\nhas"), DataError, "Artifact x:.*delete it from"),
        (ModuleNotFoundError("no", name="tensorflow"), DataError, "module 'tensorflow'"),
        (AssertionError("Manual files"), DataError, "Manual files"),
    ],
)
def test_failed_preparation_is_one_line(monkeypatch, load, capsys, error, kind, message):
    monkeypatch.setattr(library, "builder", lambda name, **options: Builder(error))
    with pytest.raises(kind, match=message) as caught:
        load("mnist", download=True)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""  # standard output belongs to results


class Info(NamedTuple):
    """What TFDS has registered about a file."""

    filename: str


ADDRESSES = {
    "https://one.example/a.gz": Info("a.gz"),
    "http://two.example:8080/b.gz": Info("b.gz"),
    "ftp://three.example/c.gz": Info("c.gz"),
}


@pytest.fixture
def network(monkeypatch, tmp_path):
    """A network with the hosts that are put into the set; the list names who was asked for."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds_builder.urllib.request, "getproxies", dict)
    builder = Builder(ConnectionError("downloads begin"), ADDRESSES)
    monkeypatch.setattr(library, "builder", lambda name, **options: builder)
    there, asked = set(), []

    def connect(address, timeout):
        asked.append(address)
        if address[0] not in there:
            raise socket.gaierror("name not known")
        return io.BytesIO()

    monkeypatch.setattr(tfds_builder.socket, "create_connection", connect)
    return there, asked


def test_download_without_a_network_ends_before_tfds_begins(load, network):
    _, asked = network
    with pytest.raises(DataError, match="no connection to one.example or two.example") as caught:
        load("mnist", download=True)
    assert asked == [("one.example", 443), ("two.example", 8080)]
    for fix in ("data check tfds:mnist --download", "TFDS_DATA_DIR", "--no-download"):
        assert fix in caught.value.fix


def test_download_begins_where_one_host_answers(load, network):
    there, _ = network
    there.add("two.example")
    with pytest.raises(DataError, match="downloads begin"):
        load("mnist", download=True)


def test_files_that_are_there_need_no_network(load, network, tmp_path):
    """One was put there by hand, the other comes from an earlier attempt."""
    manual = tmp_path / "downloads" / "manual" / "a.gz"
    manual.parent.mkdir(parents=True)
    manual.touch()
    earlier = tmp_path / "downloads" / "mnist" / "b.gz.INFO"
    earlier.parent.mkdir()
    earlier.write_text(json.dumps({"urls": ["http://two.example:8080/b.gz"]}))
    (earlier.parent / "torn.INFO").write_text("{")
    with pytest.raises(DataError, match="downloads begin"):
        load("mnist", download=True)
    assert network[1] == []


def test_download_prepares_for_random_access(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    config = config_module.Config(**{"data": "tfds:kerasdl_color", "download": True})
    monkeypatch.setattr(
        library,
        "builder",
        lambda name, try_gcs, **options: KerasdlColor(**options),
    )
    assert len(read("kerasdl_color", "classification", config).splits["test"]) == 6
    info = json.loads((tmp_path / "kerasdl_color/1.0.0/dataset_info.json").read_text())
    assert info["fileFormat"] == "array_record"


def test_prepared_without_random_access_says_how_to_convert(load, monkeypatch):
    class Info:
        def available_file_formats(self):
            return {library.core.FileFormat.TFRECORD}

    class Stored:
        info = Info()
        data_path = pathlib.Path("sets/mnist/3.0.1")

        def is_prepared(self):
            return True

    monkeypatch.setattr(library, "builder", lambda name, **options: Stored())
    with pytest.raises(DataError, match="tfrecord.*tfds convert_format --dataset_version_dir"):
        load("mnist")


def test_missing_split_lists_what_there_is(load):
    with pytest.raises(DataError, match="no split 'train' .splits: everything, test"):
        load("kerasdl_odd")


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        (
            "kerasdl_color",
            "segmentation",
            r"a mask.*features: image \(Image\), label \(ClassLabel\)",
        ),
        ("kerasdl_masks", "classification", "a class label.*segmentation_mask"),
    ],
)
def test_missing_feature_lists_what_there_is(load, name, task, message):
    with pytest.raises(DataError, match=message):
        load(name, task)


def test_test_split_without_labels_is_left_out(load):
    assert set(load("kerasdl_unlabeled").splits) == {"train", "validation"}
    assert set(load("kerasdl_unlabeled", "colorization").splits) == {"train", "validation", "test"}


def test_damaged_file_names_the_sample(load, prepared, tmp_path, monkeypatch):
    renamed(prepared, "kerasdl_color", "kerasdl_damaged", "1.0.0")
    for file in (prepared / "kerasdl_damaged" / "1.0.0").glob("*-test.array_record*"):
        content = bytearray(file.read_bytes())
        content[len(content) // 3 : -len(content) // 3] = b"\0" * (2 * len(content) // 3)
        file.write_bytes(content)
    with pytest.raises(
        DataError, match=r"kerasdl_damaged/1.0.0 (test\[\d\]).*prepare the set again"
    ):
        load("kerasdl_damaged:1.0.0").splits["test"].__getitems__(range(6))


def test_images_of_other_types():
    name = "some sample"
    deep = numpy.array([[[0], [255], [256], [65535]]], dtype=numpy.uint16)
    assert tfds._rgb(deep, name)[0, :, 0].tolist() == [0, 0, 1, 255]
    # half transparent black over white: 255 * (255 - 128) / 255 = 127
    half = numpy.array([[[0, 0, 0, 128], [9, 8, 7, 255], [9, 8, 7, 0]]], dtype=numpy.uint8)
    assert tfds._rgb(half, name)[0].tolist() == [[127] * 3, [9, 8, 7], [255] * 3]
    with pytest.raises(DataError, match="float32.*some sample"):
        tfds._rgb(numpy.zeros((2, 2, 3), "float32"), name)


def test_missing_package_says_what_to_install(monkeypatch, load):
    def absent(name):
        raise ModuleNotFoundError("no", name=name)

    monkeypatch.setattr(tfds_builder, "importlib", types.SimpleNamespace(import_module=absent))
    with pytest.raises(DataError, match=r"pip install kerasdl\[tfds\]"):
        load("mnist")


@pytest.mark.process
def test_reading_loads_no_framework(prepared):
    program = (
        "import sys; from kerasdl import data; from kerasdl.runs import config;"
        "d = data.load(config.Config(**{'data': 'tfds:kerasdl_color'}), 'label');"
        "d.splits['train'][0]; d.splits['train'].labels();"
        "sys.exit(' '.join({'tensorflow', 'jax', 'torch', 'keras'} & set(sys.modules)) or 0)"
    )
    environment = {**os.environ, "TFDS_DATA_DIR": str(prepared)}
    environment.pop("KERAS_BACKEND", None)
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=pathlib.Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stderr) == (0, "")


CMATERDB = pathlib.Path(os.environ.get("KERASDL_TEST_DATA", "absent")) / "tfds_cmaterdb"


@pytest.mark.skipif(
    not CMATERDB.is_dir(), reason="set KERASDL_TEST_DATA to the folder that holds tfds_cmaterdb"
)
@pytest.mark.parametrize(
    ("name", "counts"),
    [("bangla", (4500, 500, 1000)), ("devanagari", (2250, 250, 500)), ("telugu", (2250, 250, 500))],
)
def test_cmaterdb_with_its_registered_checksums(name, counts, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    builder = library.builder(
        f"cmaterdb/{name}", data_dir=tmp_path, file_format="array_record", try_gcs=False
    )
    settings = library.download.DownloadConfig(
        manual_dir=CMATERDB / name, try_download_gcs=False, force_checksums_validation=True
    )
    builder.download_and_prepare(download_config=settings)
    config = config_module.Config(**{"data": f"tfds:cmaterdb/{name}"})
    data = read(f"cmaterdb/{name}", "classification", config)
    assert tuple(len(data.splits[split]) for split in ("train", "validation", "test")) == counts
    assert data.class_names == tuple("0123456789")
    # the test images are the published arrays, in an order of TFDS
    with numpy.load(CMATERDB / name / "testing-images.npz") as published:
        images, labels = published["images"], published["labels"]
    expected = sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )
    found = sorted((sample.image.tobytes(), sample.label) for sample in data.splits["test"])
    assert found == expected
