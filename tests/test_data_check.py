"""`check`: each problem of rows 60 to 95 becomes a finding with its place, cause and fix."""

import dataclasses
import json
import os
import shutil

import numpy
import PIL.Image
import pytest
from data_fixtures import (
    class_folder,
    content,
    image,
    mask,
    mask_folder,
    save,
    split_class_folder,
    tree_hash,
)

from kerasdl.data import arrays
from kerasdl.data.base import Dataset
from kerasdl.data.inspect import check as checking
from kerasdl.data.inspect.check import MOST_LINES
from kerasdl.data.location import Location
from kerasdl.engine import datasets
from kerasdl.runs import config
from kerasdl.tools import datashow


def check(source, task, settings=None, quick=False):
    values = config.as_dict(settings) if settings else {}
    return datasets.check(config.Config(**{**values, "task": task, "data": str(source)}), quick)


def check_dataset(dataset, task="classification", quick=False):
    """Report about a data set in memory."""
    settings = config.Config(**{"task": task, "data": "memory.npz"})
    return checking.check_samples(Location("memory.npz"), "label", settings, quick, dataset)


def findings(report, kind, severity=None):
    return [
        finding
        for finding in report.findings
        if finding.kind == kind and severity in (None, finding.severity)
    ]


def only(report, kind, severity=None):
    """The one finding of a kind."""
    (finding,) = findings(report, kind, severity)
    return finding


def test_a_clean_folder_has_no_errors_and_right_statistics(tmp_path):
    root = mask_folder(tmp_path, 4, splits=("train", "val"))
    before = tree_hash(root)
    report = check(root, "segmentation")
    assert not report.failed and report.count("warning") == 0
    assert report.statistics["samples"] == {"train": 4, "validation": 4}
    assert report.statistics["sizes"]["median"] == [32, 32]
    counted = sum((mask(index) == 1).sum() for index in range(4)) / (4 * 32 * 32)
    assert report.statistics["pixel_fractions"]["train"]["thing"] == pytest.approx(
        counted, abs=1e-6
    )
    assert "ready to train" in report.lines()[-1]
    assert tree_hash(root) == before


def test_the_report_is_plain_json(tmp_path):
    root = class_folder(tmp_path)
    (root / "cat" / "00.png").write_bytes(b"")
    (root / ".hidden").write_bytes(b"")
    report = json.loads(json.dumps(check(root, "classification").as_dict()))
    assert report["failed"] and report["errors"] == 1
    first = report["findings"][0]
    assert first["severity"] == "error" and first["path"].endswith("00.png")
    assert set(first) == {"severity", "kind", "path", "what", "cause", "fix"}
    assert report["statistics"]["ignored_files"] == 1


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("task", ["classification", "segmentation", "colorization"])
def test_no_data(tmp_path, task, quick):
    report = check(tmp_path / "nothing", task, quick=quick)
    assert report.failed and "no such file or folder" in report.findings[0].what
    report = check(tmp_path, task, quick=quick)
    assert report.failed and "expected" in report.findings[0].fix


def test_rows_60_to_62_every_bad_file_has_its_line(tmp_path):
    root = class_folder(tmp_path)
    whole = content(image(0, 64, 64), "JPEG")
    (root / "cat" / "a.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "cat" / "b.png").write_bytes(content(image(0), "PNG")[:-30])
    (root / "dog" / "c.jpg").write_text("<html>404</html>")
    report = check(root, "classification")
    bad = findings(report, "unreadable", "error")
    assert [finding.path[-5:] for finding in bad] == ["a.jpg", "b.png", "c.jpg"]
    assert all(finding.fix for finding in bad)
    assert report.statistics["unreadable"] == 3
    # The quick check reads heads only, and finds what a head can tell.
    quick = check(root, "classification", quick=True)
    assert [finding.path[-5:] for finding in findings(quick, "unreadable")] == ["c.jpg"]


def test_rows_63_65_69_71_what_is_accepted_is_counted(tmp_path):
    root = class_folder(tmp_path)
    (root / "cat" / "a.jpg").write_bytes(content(image(50), "PNG"))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    save(image(51), root / "cat" / "b.png", exif=exif)
    frames = [PIL.Image.fromarray(image(seed)) for seed in (52, 53)]
    save(frames[0], root / "cat" / "c.gif", save_all=True, append_images=frames[1:])
    save(PIL.Image.new("RGBA", (32, 32), (1, 2, 3, 0)), root / "cat" / "d.png")
    report = check(root, "classification")
    assert not report.failed
    statistics = report.statistics
    counts = ("suffix_differs", "turned_by_exif", "animated", "transparent")
    assert [statistics[key] for key in counts] == [1, 1, 1, 1]
    assert only(report, "suffix").path.endswith("a.jpg")
    assert only(report, "exif").path.endswith("b.png")
    assert only(report, "blank", "warning").path.endswith("d.png")  # row 70


def test_small_images_among_larger_ones(tmp_path):
    root = class_folder(tmp_path)
    save(image(50, 1, 40), root / "cat" / "thin.png")
    assert only(check(root, "classification"), "small", "warning").path.endswith("thin.png")


def test_many_bad_files_are_all_in_json_and_few_on_screen(tmp_path):
    root = class_folder(tmp_path, (30, 6))
    for path in (root / "cat").iterdir():
        path.write_bytes(b"")
    report = check(root, "classification")
    assert len(findings(report, "unreadable")) == 30
    lines = report.lines()
    assert sum("file is empty" in line for line in lines) == MOST_LINES
    assert any("10 more of kind 'unreadable'" in line for line in lines)


def test_duplicates(tmp_path):
    root = split_class_folder(tmp_path, {"train": 4, "val": 2})
    shutil.copy(root / "train" / "cat" / "00.png", root / "train" / "cat" / "copy.png")
    shutil.copy(root / "train" / "cat" / "01.png", root / "val" / "cat" / "leak.png")
    # The same pixels in another file format are the same image.
    save(image(102), root / "train" / "cat" / "was_a_dog.bmp")
    report = check(root, "classification")
    assert not report.failed
    assert "copy.png" in only(report, "duplicate", "warning").what
    leak = only(report, "duplicate-split", "warning")
    assert "train and validation" in leak.what and "leak.png" in leak.what
    both = only(report, "duplicate-class", "warning")
    assert "cat and dog" in both.what and "was_a_dog.bmp" in both.what


def test_values_of_all_masks_in_one_finding(tmp_path):
    root = mask_folder(tmp_path, classes=3, names=("a", "b", "c"))
    for index, value in ((2, 7), (5, 9)):
        wrong = mask(index, classes=3)
        wrong[4, 4] = value
        save(wrong, root / "masks" / f"{index:02d}.png")
    for quick in (True, False):
        finding = only(check(root, "segmentation", quick=quick), "mask-values", "error")
        assert "2 masks hold 7, 9" in finding.what and "0 to 2" in finding.what
        assert finding.path.endswith("02.png")


def test_void_without_ignore_label(tmp_path):
    root = mask_folder(tmp_path)
    void = mask(3)
    void[5] = 255
    save(void, root / "masks" / "03.png")
    assert "ignore_label = 255" in only(check(root, "segmentation"), "mask-values").fix
    settings = config.Config(**{"task": "segmentation", "ignore_labels": [255]})
    report = check(root, "segmentation", settings)
    assert not report.failed
    fraction = report.statistics["pixel_fractions"]["all"]["(ignored)"]
    assert fraction == pytest.approx(32 / (12 * 32 * 32), abs=1e-6)


@pytest.mark.parametrize("quick", [True, False])
def test_mask_of_another_size(tmp_path, quick):
    root = mask_folder(tmp_path)
    save(mask(0, 16, 32), root / "masks" / "03.png")
    finding = only(check(root, "segmentation", quick=quick), "mask-size", "error")
    assert "32x16" in finding.what and "32x32" in finding.what and "03.jpg" in finding.what


def test_mask_made_before_the_image_was_turned(tmp_path):
    root = mask_folder(tmp_path)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    save(image(3, 20, 32), root / "images" / "03.jpg", exif=exif)
    save(mask(3, 20, 32), root / "masks" / "03.png")
    assert "EXIF" in only(check(root, "segmentation"), "mask-size", "error").cause


def test_pairs(tmp_path):
    root = mask_folder(tmp_path)
    (root / "masks" / "04.png").unlink()
    (root / "images" / "05.jpg").unlink()
    for quick in (True, False):
        what = [finding.what for finding in check(root, "segmentation", quick=quick).findings]
        assert "1 image without a mask: 04" in what
        assert "1 mask without an image: 05" in what


def test_one_color_mask_among_others_and_one_wrong_value(tmp_path):
    root = mask_folder(tmp_path)
    save(image(0)[mask(2)][:, :, 0], root / "masks" / "02.png")
    wrong = mask(5)
    wrong[1, 1] = 37
    save(wrong, root / "masks" / "05.png")
    colored, value = findings(check(root, "segmentation"), "mask-values", "error")
    assert colored.path.endswith("02.png") and "other 11 masks" in colored.cause
    assert value.path.endswith("05.png") and "mask holds 37 (" in value.what
    assert "other 10 masks" in value.cause and "correct these" in value.fix


def test_unknown_colors(tmp_path):
    root = mask_folder(tmp_path)
    colored = numpy.array([[0, 0, 0], [128, 0, 0]], "uint8")
    for index in range(12):
        save(colored[mask(index)], root / "masks" / f"{index:02d}.png")
    finding = only(check(root, "segmentation"), "mask-values", "error")
    assert "12 masks hold" in finding.what and "#800000" in finding.what
    (root / "dataset.toml").write_text(
        'names = ["a", "b"]\n' + finding.fix.partition("indices: ")[2]
    )
    report = check(root, "segmentation")
    assert not report.failed
    counted = sum((mask(index) == 1).mean() for index in range(12)) / 12
    assert report.statistics["pixel_fractions"]["all"]["b"] == pytest.approx(counted, abs=1e-6)


@pytest.mark.parametrize("quick", [True, False])
def test_jpeg_masks(tmp_path, quick):
    root = mask_folder(tmp_path)
    save(mask(3), root / "masks" / "03.png", format="JPEG")
    finding = only(check(root, "segmentation", quick=quick), "mask-unreadable", "error")
    assert "JPEG" in finding.what and finding.path.endswith("03.png")


@pytest.mark.parametrize("names", [("a", "b"), ()])
def test_black_and_white_masks_and_their_fix(tmp_path, names):
    root = mask_folder(tmp_path, names=names)
    for index in range(12):
        save(mask(index) * 255, root / "masks" / f"{index:02d}.png")
    finding = only(check(root, "segmentation"), "mask-values", "error")
    assert finding.fix.endswith("mask_values = { 0 = 0, 255 = 1 }") and "binary" in finding.cause
    (root / "dataset.toml").write_text(finding.fix.partition("dataset.toml: ")[2])
    assert not check(root, "segmentation").failed


def test_binary_masks_whose_foreground_is_ignored(tmp_path):
    root = mask_folder(tmp_path)
    for index in range(12):
        save(mask(index) * 255, root / "masks" / f"{index:02d}.png")
    (root / "dataset.toml").write_text('names = ["a", "thing"]\nignore_label = 255\n')
    finding = only(check(root, "segmentation"), "balance", "warning")
    assert "without a pixel" in finding.what and "thing" in finding.what


def test_mask_of_nothing_but_ignored(tmp_path):
    root = mask_folder(tmp_path, names=("a", "b", "void"))
    save(numpy.full((32, 32), 2, "uint8"), root / "masks" / "03.png")
    report = check(root, "segmentation")
    assert not report.failed
    finding = only(report, "mask-empty", "warning")
    assert finding.what.startswith("1 mask ") and finding.path.endswith("03.png")


def test_gray_images_for_colorization(tmp_path):
    root = class_folder(tmp_path)
    save(image(0)[:, :, 0], root / "cat" / "gray.png")
    report = check(root, "colorization")
    assert not report.failed and report.statistics["gray"] == 1
    assert only(report, "gray", "warning").path.endswith("gray.png")
    for path in root.rglob("*.png"):
        save(image(int(path.stem, 36))[:, :, 0], path)
    assert "all images are gray" in only(check(root, "colorization"), "gray", "error").what
    assert not findings(check(root, "classification"), "gray")


def test_rows_55_and_92_to_94_structure(tmp_path):
    root = class_folder(tmp_path, (3, 3, 3), ("käfer", "ka\u0308fer", "dog"))
    save(image(80), root / "loose.png")
    (root / "empty").mkdir()
    os.symlink(root / "gone.png", root / "dog" / "dangling.png")
    report = check(root, "classification")
    said = " | ".join(finding.what for finding in findings(report, "structure", "error"))
    for part in ("look the same", "beside the class folders", "'empty' has no training"):
        assert part in said
    warned = [finding.what for finding in findings(report, "structure", "warning")]
    assert any("leads nowhere" in what for what in warned)


def test_balance_of_classes(tmp_path):
    report = check(class_folder(tmp_path, (44, 4)), "classification")
    assert report.statistics["per_class"] == {"all": {"cat": 44, "dog": 4}}
    few, ratio = findings(report, "balance")
    assert few.severity == "warning" and "dog (4)" in few.what
    assert ratio.severity == "note" and "11 times" in ratio.what and "auto" in ratio.fix


def test_hardly_any_pixels_of_a_class(tmp_path):
    root = mask_folder(tmp_path, names=("a", "b", "c"))
    rare = mask(0)
    rare[0, 0] = 2
    save(rare, root / "masks" / "00.png")
    rare, ratio = findings(check(root, "segmentation"), "balance")
    assert "c (0.01%)" in rare.what and ratio.severity == "note"


def test_wrong_dataset_toml_is_a_finding(tmp_path):
    root = mask_folder(tmp_path)
    (root / "dataset.toml").write_text("nmaes = []")
    report = check(root, "segmentation")
    assert report.failed and "did you mean 'names'" in report.findings[0].fix


def test_other_data_sets_are_checked_through_their_samples(tmp_path):
    path = tmp_path / "data.npz"
    images = image(0, 80, 4).reshape(20, 4, 4, 3)
    images[7] = images[3]
    numpy.savez(path, images=images, labels=numpy.arange(20) % 2)
    settings = config.Config(**{"validation_split": 0.0, "test_split": 0.0})
    report = check(path, "classification", settings)
    assert not report.failed and report.statistics["samples"] == {"train": 20}
    assert "all/00003, all/00007" in only(report, "duplicate").what
    assert check(path, "classification", quick=True).statistics["samples"]["train"] == 16
    assert check(path, "segmentation").failed


def test_labels_outside_the_classes_of_a_data_set():
    images = image(0, 32, 4).reshape(8, 4, 4, 3)
    split = arrays.ArraySplit(images, numpy.array([0, 1, 2, 0, 1, 2, 0, 1], "int32"), "abcdefgh")
    dataset = Dataset("x", {"train": split}, ("a", "b", "c"))
    assert not check_dataset(dataset).failed
    dataset = dataclasses.replace(dataset, class_names=("a", "b"))
    assert "labels 2 are outside 0 to 1" in only(check_dataset(dataset), "label").what


@pytest.mark.parametrize("task", ["classification", "segmentation", "colorization"])
@pytest.mark.parametrize("quick", [True, False])
def test_inputs_are_never_changed(tmp_path, task, quick):
    root = mask_folder(tmp_path)
    (root / "images" / "03.jpg").write_bytes(content(image(3), "JPEG")[:500])
    before = tree_hash(root)
    check(root, task, quick=quick)
    assert tree_hash(root) == before


def test_balance_counts_all_samples_though_few_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "QUICK_HEADERS", 4)
    report = check(class_folder(tmp_path, (12, 12)), "classification", quick=True)
    assert report.statistics["samples"] == {"all": 24}
    assert report.statistics["per_class"]["all"] == {"cat": 12, "dog": 12}
    assert not findings(report, "balance")


def test_quick_look_at_other_data_sets_tells_no_balance():
    images = numpy.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=numpy.uint8)
    split = arrays.ArraySplit(images, numpy.arange(60) // 6, [str(index) for index in range(60)])
    names = tuple("abcdefghij")
    report = check_dataset(Dataset("tiny", {"train": split}, names), quick=True)
    assert not findings(report, "balance") and report.statistics["samples"] == {"train": 60}
    report = check_dataset(Dataset("tiny", {"train": split}, names))
    assert "fewer than 10" in only(report, "balance").what


def test_split_folders_of_images_and_masks_are_no_classes(tmp_path):
    for split in ("train", "test"):
        mask_folder(tmp_path / split, 2)
    report = check(tmp_path, "classification")
    assert "images and masks, not class folders" in report.findings[0].what
    assert datashow.check({"data": str(tmp_path)}, quick=True).task == "segmentation"


def test_file_of_ultralytics_is_mentioned_until_it_is_copied(tmp_path):
    root = mask_folder(tmp_path, 4)
    (root / "dataset.toml").unlink(missing_ok=True)
    (root / "data.yaml").write_text("names: [background, thing]")
    assert any("data.yaml is not read" in line for line in check(root, "segmentation").lines())
    (root / "dataset.toml").write_text('nc = 2\nnames = ["background", "thing"]')
    report = check(root, "segmentation")
    assert not report.failed and not any("data.yaml" in line for line in report.lines())


@pytest.mark.parametrize(
    ("line", "message"),
    [("nc = 3", "'nc' is 3, but there are 2 names"), ('path = "/data"', "'path' must lie within")],
)
def test_keys_of_ultralytics_are_compared(tmp_path, line, message):
    root = mask_folder(tmp_path, 2)
    (root / "dataset.toml").write_text(f'names = ["background", "thing"]\n{line}\n')
    assert message in check(root, "segmentation").findings[0].what


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_damaged_bytes_never_do_more_than_make_a_finding(tmp_path, kind):
    """Bytes overwritten at places drawn from a seed, in image and mask alike."""
    root = mask_folder(tmp_path, 12)
    random = numpy.random.default_rng(5)
    files = sorted((root / "images").iterdir()) + sorted((root / "masks").iterdir())
    for path in files:
        data = bytearray(content(image(1)[..., 0] % 2, kind))
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(0, 256)
        path.write_bytes(bytes(data[: random.integers(1, len(data) + 1)]))
    report = check(root, "segmentation")
    assert report.failed
    assert all("\n" not in line for line in report.lines())
