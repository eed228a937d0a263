"""Data as people have them: cases from public bug reports, each with the value that is right."""

import os
import re
import shutil
import tomllib

import numpy
import PIL.Image
import pytest
from data_fixtures import image, load, save

from kerasdl import data
from kerasdl.core.errors import DataError
from kerasdl.engine import datasets
from kerasdl.runs.config import Config
from kerasdl.tools import datashow

COUNT = 12


def disc(seed, height=48, width=64, inside=1):
    """uint8 mask: 0 and a disc of `inside`, at a place drawn from the seed."""
    row, column = numpy.random.default_rng(seed).integers(14, 34, 2)
    y, x = numpy.mgrid[:height, :width]
    return ((y - row) ** 2 + (x - column) ** 2 < 100).astype("uint8") * numpy.uint8(inside)


def photo(seed):
    return image(seed, 48, 64)


def discs(root, images="images", masks="masks", mask_name="{}.png", draw=disc, count=COUNT):
    for index in range(count):
        save(photo(index), root / images / f"{index}.jpg")
        save(draw(index), root / masks / mask_name.format(index))
    return root


def check(root, task=None, **values):
    return datashow.check({"data": str(root), **values}, task)


def errors(report):
    return [finding for finding in report.findings if finding.severity == "error"]


def lines_of(fix):
    """Lines of TOML that a fix offers, in order."""
    pattern = r'\b([a-z_]+) = (\{[^}]*\}|\[[^\]]*\]|"[^"]*"|\d+)'
    return [f"{key} = {value}" for key, value in re.findall(pattern, fix)]


def paste(root, *lines):
    path = root / "dataset.toml"
    before = path.read_text() if path.exists() else ""
    path.write_text(before + "\n".join(lines) + "\n")
    tomllib.loads(path.read_text())


def shares(root, **values):
    """Fraction of pixels per class over all samples, as kerasdl loads them."""
    dataset = load(root, "segmentation", validation_split=0.0, test_split=0.0, **values)
    split = dataset.splits["train"]
    masks = [split[index].mask for index in range(len(split))]
    counts = sum(numpy.bincount(mask.ravel(), minlength=256) for mask in masks)
    return counts[: len(dataset.class_names)] / sum(mask.size for mask in masks)


def true_share():
    """Fraction of the discs' pixels, counted without kerasdl."""
    return float(numpy.mean([disc(index) for index in range(COUNT)]))


def refused(root, task=None):
    """The error of the check, after a look that training refuses as well."""
    report = check(root, task)
    first = errors(report)[0]
    with pytest.raises(DataError):
        config = Config(task=report.task, data=str(root))
        dataset = datasets.load(config)
        found = datasets.check(config, True, None, dataset)
        if errors(found):
            raise errors(found)[0].as_error()
    return first


# A. Silently wrong


@pytest.mark.parametrize("names", [None, ("a", "b")])
@pytest.mark.parametrize("value", [0, 1, 255])
def test_masks_of_a_single_class_are_refused(tmp_path, names, value):
    discs(tmp_path, draw=lambda index: numpy.full((48, 64), value, "uint8"))
    if names:
        paste(tmp_path, f"names = {list(names)}".replace("'", '"'))
    first = refused(tmp_path)
    assert "class" in first.what or "255" in first.what


def test_a_second_class_in_the_last_mask_only_is_found_by_the_quick_check(tmp_path):
    discs(tmp_path, draw=lambda index: disc(index) * (index == 5), count=80)
    paste(tmp_path, 'names = ["a", "b"]')
    report = datashow.check({"data": str(tmp_path)}, "segmentation", quick=True)
    assert not report.failed


def palette_png(indices, palette, path):
    stored = PIL.Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    stored.putpalette(palette)
    save(stored, path)


def test_palettes_that_differ_are_refused_and_both_readings_mean_what_they_say(tmp_path):
    discs(tmp_path)
    for index in range(COUNT):
        drawn = disc(index)
        path = tmp_path / "masks" / f"{index}.png"
        if index % 2:
            palette_png(drawn, [0, 0, 0, 255, 255, 255], path)
        else:
            palette_png(1 - drawn, [255, 255, 255, 0, 0, 0], path)
    first = refused(tmp_path)
    assert "palettes differ" in first.what
    by_color, by_index = lines_of(first.fix)
    paste(tmp_path, by_color)
    assert shares(tmp_path)[1] == pytest.approx(true_share())
    assert not check(tmp_path).failed
    (tmp_path / "dataset.toml").unlink()
    paste(tmp_path, by_index)
    expected = numpy.mean([disc(i) if i % 2 else 1 - disc(i) for i in range(COUNT)])
    assert shares(tmp_path)[1] == pytest.approx(expected)


def test_several_mask_folders_are_asked_for(tmp_path):
    discs(tmp_path, masks="mask")
    for index in range(COUNT):
        save(disc(index + 50), tmp_path / "manual" / f"{index}.png")
    first = refused(tmp_path, "segmentation")
    offered = lines_of(first.fix)
    assert sorted(offered) == ['masks = "manual"', 'masks = "mask"']
    paste(tmp_path, 'masks = "manual"')
    expected = numpy.mean([disc(index + 50) for index in range(COUNT)])
    assert shares(tmp_path)[1] == pytest.approx(expected)


def test_another_folder_of_photographs_is_no_mask_folder(tmp_path):
    discs(tmp_path)
    for index in range(COUNT):
        save(photo(index + 90), tmp_path / "images_small" / f"{index}.jpg")
    assert not check(tmp_path, "segmentation").failed


def resized(index, method=PIL.Image.Resampling.BICUBIC):
    return PIL.Image.fromarray(disc(index, inside=255)).resize((300, 225), method)


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("method", ["BICUBIC", "BILINEAR", "LANCZOS"])
def test_interpolated_masks_are_refused_with_a_threshold(tmp_path, names, method):
    for index in range(COUNT):
        save(image(index, 225, 300), tmp_path / "images" / f"{index}.png")
        drawn = resized(index, PIL.Image.Resampling[method])
        save(drawn, tmp_path / "masks" / f"{index}.png")
    if names:
        paste(tmp_path, 'names = ["background", "disc"]')
    first = refused(tmp_path)
    assert lines_of(first.fix) == ["threshold = 128"]
    paste(tmp_path, "threshold = 128")
    stored = [numpy.asarray(resized(i, PIL.Image.Resampling[method])) for i in range(COUNT)]
    expected = numpy.mean([mask >= 128 for mask in stored])
    assert not check(tmp_path).failed
    assert shares(tmp_path)[1] == pytest.approx(expected)


def test_split_folders_one_level_deeper(tmp_path):
    for split in ("seg_train", "seg_test"):
        for label, name in enumerate(("buildings", "forest", "glacier")):
            for index in range(4):
                save(photo(100 * label + index), tmp_path / split / split / name / f"{index}.jpg")
    for index in range(4):
        save(photo(index), tmp_path / "seg_pred" / "seg_pred" / f"{index}.jpg")
    dataset = load(tmp_path)
    assert dataset.class_names == ("buildings", "forest", "glacier")
    assert len(dataset.splits["train"]) + len(dataset.splits["validation"]) == 12
    assert len(dataset.splits["test"]) == 12
    assert not check(tmp_path).failed


def test_folds_that_all_hold_the_same_folders_are_asked_about(tmp_path):
    for fold in ("fold1", "fold2"):
        for label, name in enumerate(("cat", "dog")):
            for index in range(3):
                save(photo(10 * label + index), tmp_path / fold / name / f"{index}.jpg")
    first = refused(tmp_path)
    train, validation, names = lines_of(first.fix)
    paste(tmp_path, train, validation)
    assert load(tmp_path).class_names == ("cat", "dog")
    (tmp_path / "dataset.toml").unlink()
    paste(tmp_path, names)
    assert load(tmp_path).class_names == ("fold1", "fold2")


def test_masks_beside_images_in_class_folders_are_left_out(tmp_path):
    for name in ("benign", "malignant", "normal"):
        for index in range(1, 6):
            save(photo(index), tmp_path / name / f"{name} ({index}).png")
            save(disc(index), tmp_path / name / f"{name} ({index})_mask.png")
    dataset = load(tmp_path)
    assert sum(len(split) for split in dataset.splits.values()) == 15
    assert not any("_mask" in n for split in dataset.splits.values() for n in split.names())


@pytest.mark.parametrize(
    ("images", "masks", "mask_name"),
    [
        ("frames", "annotation", "{}.png"),
        ("Images", "Masks", "{}.png"),
        ("input", "GroundTruth", "{}_segmentation.png"),
        ("a", "b", "{}.png"),
    ],
)
def test_images_and_masks_are_not_two_classes(tmp_path, images, masks, mask_name):
    discs(tmp_path, images, masks, mask_name)
    report = check(tmp_path)
    if report.task == "segmentation" and not report.failed:
        assert shares(tmp_path)[1] == pytest.approx(true_share())
    asked = refused(tmp_path, "classification")
    assert "mask" in asked.what
    if "names = " in asked.fix:
        *keys, names = lines_of(asked.fix)
        paste(tmp_path, *keys)
        assert check(tmp_path).task == "segmentation" and not check(tmp_path).failed
        assert shares(tmp_path)[1] == pytest.approx(true_share())
        (tmp_path / "dataset.toml").unlink()
        paste(tmp_path, names)
        assert load(tmp_path).class_names == tuple(sorted((images, masks)))


@pytest.mark.parametrize("masks", ["Masks", "SegmentationClass", "gtFine", "annotations/trimaps"])
def test_colorization_leaves_masks_out(tmp_path, masks):
    discs(tmp_path, "Images", masks)
    dataset = load(tmp_path, "colorization")
    names = [name for split in dataset.splits.values() for name in split.names()]
    assert sorted(names) == sorted(f"Images/{index}.jpg" for index in range(COUNT))


def test_colorization_leaves_colored_labels_beside_images_out(tmp_path):
    for index in range(COUNT):
        save(photo(index), tmp_path / f"{index}.png")
        save(photo(index + 50), tmp_path / f"{index}_color.png")
        save(disc(index), tmp_path / f"{index}_instanceIds.png")
    dataset = load(tmp_path, "colorization")
    assert sum(len(split) for split in dataset.splits.values()) == COUNT


# C. Advice


def as_jpeg(array):
    import io

    stream = io.BytesIO()
    PIL.Image.fromarray(array).save(stream, "JPEG", quality=75)
    return PIL.Image.open(stream)


def test_jpeg_masks_of_two_classes_lead_to_a_threshold(tmp_path):
    discs(tmp_path, mask_name="{}.jpg", draw=lambda index: disc(index, inside=255))
    first = refused(tmp_path)
    assert "JPEG" in first.what and lines_of(first.fix) == ["threshold = 128"]
    paste(tmp_path, "threshold = 128")
    assert not check(tmp_path).failed
    assert shares(tmp_path)[1] == pytest.approx(true_share(), abs=0.002)


def test_jpeg_masks_saved_as_png_lead_to_a_threshold_not_to_many_classes(tmp_path):
    discs(tmp_path)
    for index in range(COUNT):
        drawn = numpy.asarray(as_jpeg(disc(index, inside=255)))
        save(drawn, tmp_path / "masks" / f"{index}.png")
    first = refused(tmp_path)
    assert lines_of(first.fix) == ["threshold = 128"]
    paste(tmp_path, "threshold = 128")
    assert shares(tmp_path)[1] == pytest.approx(true_share(), abs=0.002)


def test_jpeg_masks_of_many_classes_are_not_advised_a_threshold(tmp_path):
    discs(tmp_path, mask_name="{}.jpg", draw=lambda index: disc(index) * 3 + disc(index + 7) * 2)
    assert not lines_of(refused(tmp_path).fix)


def test_lossy_webp_masks_are_refused(tmp_path):
    discs(tmp_path)
    for index in range(COUNT):
        save(disc(index), tmp_path / "masks" / f"{index}.png", format="WEBP", quality=50)
    assert "WEBP" in refused(tmp_path).what


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_labels_in_the_alpha_channel(tmp_path, mode):
    def draw(index):
        white = PIL.Image.new(mode[:-1], (64, 48), "white")
        white.putalpha(PIL.Image.fromarray(disc(index, inside=255)))
        return white

    discs(tmp_path, draw=draw)
    for _ in range(2):  # the channel, then what its values mean
        paste(tmp_path, *lines_of(refused(tmp_path).fix))
    assert "alpha" in (tmp_path / "dataset.toml").read_text()
    assert not check(tmp_path).failed
    assert shares(tmp_path)[1] == pytest.approx(true_share())


def test_check_refuses_masks_of_ignored_values_only(tmp_path):
    discs(tmp_path, draw=lambda index: numpy.full((48, 64), 255, "uint8"))
    paste(tmp_path, "ignore_label = 255")
    assert "nothing but the ignored value" in refused(tmp_path).what


def test_check_refuses_too_few_images_to_divide(tmp_path):
    for name in ("cat", "dog"):
        save(photo(len(name)), tmp_path / name / "a.jpg")
    assert "too few" in refused(tmp_path).what


def test_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    discs(tmp_path / "x")
    assert not datashow.check({"data": "~/x"}, quick=True).failed
    assert data.absolute("~/x") == str(tmp_path / "x")
    assert data.absolute("scenes") == "scenes"


# D. Keys


@pytest.mark.parametrize(
    ("images", "masks", "name", "lines"),
    [
        ("photos", "drawn/trimaps", "{}.png", ['images = "photos"', 'masks = "drawn/trimaps"']),
        ("images", "masks", "{}_gtFine_ids.png", ['mask_suffix = "_gtFine_ids"']),
        ("images", "masks", "m_{}.png", []),
        ("images", "masks", "{}.jpg.png", []),
        ("Images", "Masks", "{}.png", []),
    ],
)
def test_folders_and_endings_by_key_or_by_themselves(tmp_path, images, masks, name, lines):
    discs(tmp_path, images, masks, name)
    paste(tmp_path, *lines)
    assert not check(tmp_path, "segmentation").failed
    assert shares(tmp_path)[1] == pytest.approx(true_share())


def test_lists_of_names_divide(tmp_path):
    discs(tmp_path)
    (tmp_path / "t.txt").write_text("\ufeff" + "\n".join(str(index) for index in range(8)))
    (tmp_path / "v.txt").write_text("8.jpg\nimages/9.jpg\n")
    paste(tmp_path, 'split_files = { train = "t.txt", val = "v.txt" }')
    dataset = load(tmp_path, "segmentation")
    assert dataset.splits["train"].names() == [f"images/{index}.jpg" for index in range(8)]
    assert dataset.splits["validation"].names() == ["images/8.jpg", "images/9.jpg"]
    (tmp_path / "v.txt").write_text("77\n")
    assert "77" in refused(tmp_path, "segmentation").what


def test_table_of_labels(tmp_path):
    for index in range(COUNT):
        save(photo(index), tmp_path / "all" / f"{index}.jpg")
    rows = [f"{index}.jpg,{'cat' if index % 3 else 'dog'}" for index in range(COUNT)]
    (tmp_path / "what.csv").write_text("\ufefffile,label\n" + "\n".join(rows))
    paste(tmp_path, 'labels_csv = "what.csv"')
    dataset = load(tmp_path, validation_split=0.0, test_split=0.0)
    split = dataset.splits["train"]
    found = dict(zip(split.names(), split.labels().tolist(), strict=True))
    assert dataset.class_names == ("cat", "dog")
    assert found == {f"all/{index}.jpg": int(index % 3 == 0) for index in range(COUNT)}


def test_hidden_folders_are_skipped(tmp_path):
    discs(tmp_path)
    for name in (".ipynb_checkpoints", "__MACOSX", ".thumbnails"):
        shutil.copytree(tmp_path / "images", tmp_path / "images" / name)
    assert sum(len(s) for s in load(tmp_path, "colorization").splits.values()) == COUNT


def test_four_channels_that_are_not_transparency(tmp_path):
    from kerasdl.data import images

    array = numpy.dstack([photo(3), numpy.zeros((48, 64), "uint8")])
    infrared = save(PIL.Image.frombytes("RGBX", (64, 48), array.tobytes()), tmp_path / "a.tif")
    assert (images.read_image(infrared) == array[..., :3]).all()
    transparent = save(PIL.Image.fromarray(array), tmp_path / "b.tif")
    assert (images.read_image(transparent) == 255).all()


def test_multi_picture_jpeg(tmp_path):
    discs(tmp_path)
    several = PIL.Image.fromarray(photo(3))
    several.save(
        tmp_path / "images" / "3.jpg", format="MPO", save_all=True, append_images=[several]
    )
    assert not check(tmp_path).failed
    assert not check(tmp_path, "colorization").failed


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
def test_names_are_text(tmp_path):
    names = ("[bold red]x", "<script>alert(1)<", "a|b", "c\x1b[31md")
    for place, name in enumerate(names):
        for index in range(3):
            save(photo(10 * place + index), tmp_path / name / f"{index}.jpg")
    dataset = load(tmp_path)
    assert "[bold red]x" in dataset.class_names and "c\\x1b[31md" in dataset.class_names
    assert "\x1b" not in "".join(check(tmp_path).lines())
