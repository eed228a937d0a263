"""All layouts alike: found by name, ready to train, images alone, refusals, inputs unchanged."""

import layout_sets
import PIL.Image
import pytest
from data_fixtures import tree_hash
from layout_fixtures import block, files_of, layout_of, photo, read, save, settings, write

from kerasdl import data
from kerasdl.core.errors import DataError

MASKS = (
    "voc pets cityscapes ade20k floodnet loveda uavid dsb2018 camvid classdict codes segnet "
    "carvana isic kvasir drive beside sisters roboflow coco labelme cvat labelstudio yolo"
).split()
LABELS = "pets imagenet tables food101 gtsrb cub flowers beside".split()
CASES = [(name, "mask") for name in MASKS] + [(name, "label") for name in LABELS]


@pytest.mark.parametrize(("name", "annotation"), CASES)
def test_what_is_recognized_is_ready_and_loads(tmp_path, name, annotation):
    root = getattr(layout_sets, name)(tmp_path / name)
    before = tree_hash(root)
    config = settings(root, annotation)
    assert layout_of(root, annotation) == name
    report = data.check(config, annotation)
    lines = [finding.line() for finding in report.findings]
    assert not report.failed, lines
    (summary,) = [finding.what for finding in report.findings if finding.kind == "layout"]
    dataset = data.load(config, annotation)
    assert dataset.summary == summary
    assert len(dataset.splits["train"]) and len(dataset.splits["validation"])
    sample = dataset.splits["train"][0]
    assert sample.image.shape == (12, 16, 3)
    if annotation == "mask":
        allowed = {*range(len(dataset.class_names)), *dataset.ignore_labels}
        assert sample.mask.shape == (12, 16) and set(sample.mask.ravel().tolist()) <= allowed
    else:
        assert 0 <= sample.label < len(dataset.class_names)
    assert tree_hash(root) == before


@pytest.mark.parametrize(("name", "annotation"), CASES)
def test_a_layout_is_found_one_and_two_folders_below(tmp_path, name, annotation):
    getattr(layout_sets, name)(tmp_path / "an archive" / name)
    for root in (tmp_path / "an archive", tmp_path):
        assert layout_of(root, annotation) == name
        assert sum(map(len, files_of(read(root, annotation)).values())) > 2


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_images_alone_are_no_masks(tmp_path, name):
    root = getattr(layout_sets, name)(tmp_path / name)
    files = [file for part in files_of(read(root, "none")).values() for file in part]
    assert files and len(set(files)) == len(files)
    drawn = ("mask", "label", "gtfine", "trimap", "segmentation", "annot", "manual", "superpixel")
    assert not [file for file in files if any(word in file.lower() for word in drawn)]


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_what_a_layout_cannot_give_is_refused_with_the_way_on(tmp_path, name):
    root = getattr(layout_sets, name)(tmp_path / name)
    for annotation in {"mask", "label"} - set(data.SOURCES[name].annotations):
        with pytest.raises(DataError, match="use --task") as caught:
            data.locate(str(root), annotation)
        assert "\n" not in str(caught.value) and str(root) in str(caught.value)


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_recognizing_opens_no_image(tmp_path, name, monkeypatch):
    root = getattr(layout_sets, name)(tmp_path / name)
    monkeypatch.setattr(PIL.Image, "open", None)
    for file in root.rglob("*"):
        if file.suffix.lower() in (".jpg", ".png", ".tif", ".gif", ".jpeg"):
            file.write_bytes(b"")
    annotation = next(annotation for case, annotation in CASES if case == name)
    assert layout_of(root, annotation) == name


def _plain(root, *names):
    for name in names:
        if "mask" in name or "annot" in name or "label" in name:
            save(block(1), root / name)
        else:
            photo(root / name)
    return root


@pytest.mark.parametrize(
    ("names", "annotation"),
    [
        (("cat/a.jpg", "dog/a.jpg"), "label"),
        (("train/cat/a.jpg", "train/dog/a.jpg", "val/cat/a.jpg"), "label"),
        (("images/a.jpg", "images/b.jpg"), "label"),
        (("images/a.jpg", "masks/a.png"), "mask"),
        (("images/a.jpg", "masks/a_mask.png"), "mask"),
        (("train/images/a.jpg", "train/masks/a.png"), "mask"),
        (("images/train/a.jpg", "labels/train/a.png"), "mask"),
        (("images/a.jpg", "annotations/a.png"), "mask"),
        (("JPEGImages/a.jpg", "other/a.jpg"), "label"),
        (("jpg/a.jpg", "png/a.jpg"), "label"),
        (("gtFine/a.jpg", "coarse/a.jpg"), "label"),
        (("test_mask/a.jpg", "train_mask/a.jpg"), "label"),
    ],
)
def test_plain_folders_are_taken_for_no_published_set(tmp_path, names, annotation):
    assert layout_of(_plain(tmp_path, *names), annotation) == "folders"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', "[1, 2]", "\ufeff{}", '{"images": 3}'])
def test_any_json_or_csv_beside_class_folders_changes_nothing(tmp_path, text):
    _plain(tmp_path, "cat/a.jpg", "dog/a.jpg")
    for name in ("a.json", "annotations.json", "labels.csv", "annotations.xml", "data.yaml"):
        write(tmp_path / name, text)
    assert layout_of(tmp_path, "label") == "folders"


def test_train_says_which_layout_was_recognized(tmp_path, caplog, without_artifacts):
    import kerasdl
    from kerasdl.engine import run

    root = layout_sets.labelme(tmp_path / "data")
    given = {"data": str(root), "epochs": 1, "image_size": 32, "batch_size": 4, "augment": "none"}
    config = kerasdl.Config(task="segmentation", model_args={"filters": 2, "depth": 1}, **given)
    with caplog.at_level("INFO", logger="kerasdl"):
        run.train(config, tmp_path / "run")
    assert "LabelMe: 3 classes with background, no splits" in caplog.messages
