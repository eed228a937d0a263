"""Published sets in the forms that circulate beside the original one."""

import itertools
import shutil

import layout_sets
import PIL.Image
import pytest
from data_fixtures import load, save
from layout_fixtures import block, files_of, masks_of, notes_of, palette, photo, read, write
from test_real_world import check, errors, lines_of, paste, refused

from kerasdl import data


@pytest.mark.parametrize("mode", ["P", "RGB"])
def test_voc_masks_mean_the_same_as_rgb(tmp_path, mode):
    layout_sets.voc(tmp_path)
    by_index = masks_of(read(tmp_path))
    for path in tmp_path.glob("SegmentationClass/*.png"):
        PIL.Image.open(path).convert(mode).save(path)
    assert not errors(check(tmp_path, "segmentation"))
    assert masks_of(read(tmp_path)) == by_index
    assert by_index["train"]["JPEGImages/2007_000000.jpg"][3][4] == 255


def test_voc_of_labelme_has_its_own_names(tmp_path):
    for index in range(6):
        photo(tmp_path / f"JPEGImages/{index}.jpg", index)
        colored = palette(block(1 + index % 2), layout_sets.VOC_PALETTE)
        save(colored, tmp_path / f"SegmentationClass/{index}.png")
    write(tmp_path / "class_names.txt", "__ignore__\n_background_\nred car\nwheel\n")
    assert not errors(check(tmp_path, "segmentation"))
    assert load(tmp_path, "segmentation").class_names == ("_background_", "red car", "wheel")


def test_carvana_in_high_quality(tmp_path):
    layout_sets.carvana(tmp_path)
    (tmp_path / "train").rename(tmp_path / "train_hq")
    assert not errors(check(tmp_path, "segmentation"))
    mask = load(tmp_path, "segmentation").splits["train"][0].mask
    assert (mask == block(1)).all()


def test_imagenet_as_kaggle_unpacks_it(tmp_path):
    layout_sets.imagenet(tmp_path / "ILSVRC/Data/CLS-LOC")
    (tmp_path / "ILSVRC/Data/CLS-LOC/val.txt").unlink()
    truth = ["n01440764", "n01443537", "n01440764"]
    rows = [f"ILSVRC2012_val_{i:08d},{name} 1 2 3 4" for i, name in enumerate(truth, 1)]
    write(tmp_path / "LOC_val_solution.csv", "\n".join(["ImageId,PredictionString", *rows]))
    write(tmp_path / "LOC_sample_submission.csv", "ImageId,PredictionString\n")
    assert not errors(check(tmp_path, "classification"))
    dataset = load(tmp_path)
    split = dataset.splits["validation"]
    found = [dataset.class_names[split[index].label] for index in range(len(split))]
    assert found == truth


def test_floodnet_has_ten_classes(tmp_path):
    layout_sets.floodnet(tmp_path)
    reading = read(tmp_path)
    assert len(reading.class_names) == 10 and reading.class_names[5] == "water"
    expected = block(5)
    expected[0, 0] = 9
    found = masks_of(reading)
    assert found["test"]["test/test-org-img/6001.jpg"] == expected.tolist()
    assert {split: len(part) for split, part in found.items()} == {
        **{"train": 4, "validation": 2, "test": 2}
    }


def test_loveda_ignores_0_and_has_no_test_masks(tmp_path):
    reading = read(layout_sets.loveda(tmp_path))
    assert reading.class_names[0] == "background" and reading.class_names[6] == "agriculture"
    found = masks_of(reading)
    assert {split: len(part) for split, part in found.items()} == {"train": 8, "validation": 4}
    expected = block(6, 1)
    expected[0, 0] = 255
    assert found["validation"]["Val/Urban/images_png/1.png"] == expected.tolist()
    assert any("test: 4 images without masks left out" in line for line in notes_of(reading))


def test_uavid_is_read_by_color(tmp_path):
    reading = read(layout_sets.uavid(tmp_path))
    assert reading.class_names[2] == "road" and reading.class_names[5] == "moving car"
    found = masks_of(reading)
    assert found["train"]["uavid_train/seq2/Images/000300.png"] == block(5, 2).tolist()
    assert {split: len(part) for split, part in found.items()} == {"train": 8, "validation": 2}


def test_all_masks_of_an_image_are_drawn_over_each_other(tmp_path):
    layout_sets.dsb2018(tmp_path)
    expected = block(1)
    expected[0, 0] = 1
    reading = read(tmp_path)
    assert reading.class_names == ("background", "nucleus")
    found = masks_of(reading)["all"]
    assert len(found) == 8 and all(mask == expected.tolist() for mask in found.values())
    assert any("1 image without masks left out" in line for line in notes_of(reading))
    inner = read(tmp_path / "stage1_train")
    assert len(inner.splits["all"]) == 8 and len(files_of(read(tmp_path, "none"))["all"]) == 9


def sequences(root, splits=("train", "val"), labels="Labels", name="{}"):
    """Two sequences per split, images and masks of one frame in each differ."""
    truth = {}
    for place, (split, part) in enumerate(itertools.product(splits, ("a", "b"))):
        for index in range(6):
            folder = "/".join(filter(None, (split, f"flight_{part}")))
            photo(root / folder / f"Images/{index}.jpg", 10 * place + index)
            mask = block(1)
            mask[0, : place + 1] = 1
            save(mask, root / folder / labels / f"{name.format(index)}.png")
            truth[f"{folder}/Images/{index}.jpg"] = mask.tolist()
    return truth


def test_pairs_of_folders_at_any_depth(tmp_path):
    truth = sequences(tmp_path, name="{}_gt")
    assert data.annotations(str(tmp_path))[0] == "mask"
    assert not errors(check(tmp_path, "segmentation"))
    found = masks_of(read(tmp_path))
    assert found["train"] | found["validation"] == truth
    assert len(found["train"]) == 12
    only = files_of(read(tmp_path, "none"))
    assert sorted(only["train"]) == sorted(found["train"])


def test_pairs_of_folders_with_two_folders_of_masks_are_asked_about(tmp_path):
    truth = sequences(tmp_path, ("",))
    for path in sorted(tmp_path.glob("*/Labels/*")):
        save(block(0, 1), path.parents[1] / "gt" / path.name)
    lines = lines_of(refused(tmp_path, "segmentation").fix)
    assert lines == ['masks = "Labels"', 'masks = "gt"']
    paste(tmp_path, lines[0])
    assert not errors(check(tmp_path, "segmentation"))
    assert masks_of(read(tmp_path))["all"] == truth


def test_pairs_of_folders_with_two_masks_per_image_are_asked_about(tmp_path):
    truth = sequences(tmp_path, ("",), name="{}_first")
    for path in sorted(tmp_path.glob("*/Labels/*")):
        save(block(0, 1), path.with_name(path.name.replace("first", "second")))
    lines = lines_of(refused(tmp_path, "segmentation").fix)
    assert lines == ['mask_suffix = "_first"', 'mask_suffix = "_second"']
    paste(tmp_path, lines[0])
    assert not errors(check(tmp_path, "segmentation"))
    assert masks_of(read(tmp_path))["all"] == truth


@pytest.mark.parametrize("fault", ["mask", "image", "folder", "split"])
def test_faults_of_pairs_of_folders_are_named(tmp_path, fault):
    sequences(tmp_path)
    if fault == "folder":
        shutil.rmtree(tmp_path / "train/flight_a/Labels")
    elif fault == "split":
        sequences(tmp_path, ("",))
    else:
        folder = "Labels" if fault == "mask" else "Images"
        next((tmp_path / "train/flight_a" / folder).iterdir()).unlink()
    expected = {"mask": "without a mask", "image": "without an image", "folder": "no masks for"}
    expected["split"] = "with and without a split"
    assert expected[fault] in refused(tmp_path, "segmentation").what


def test_ade20k_in_full_leads_to_the_benchmark(tmp_path):
    for split, folder in (("train", "training"), ("val", "validation")):
        for index in range(4):
            stem = f"images/ADE/{folder}/urban/street/ADE_{split}_{index:08d}"
            photo(tmp_path / f"{stem}.jpg", index)
            save(block(30)[..., None].repeat(3, 2), tmp_path / f"{stem}_seg.png")
            save(block(40), tmp_path / f"{stem}_parts_1.png")
            save(block(255), tmp_path / f"{stem}/instance_000_ADE_{split}_{index:08d}.png")
    error = refused(tmp_path, "segmentation")
    assert "ADE20K, full" in error.what and "ADEChallengeData2016" in error.fix
    assert not errors(check(tmp_path, "colorization"))
    files = [entry.file for part in read(tmp_path, "none").splits.values() for entry in part]
    assert len(files) == 8 and all(name.endswith(".jpg") for name in files)


@pytest.mark.parametrize(("name", "suffix"), [("carvana", ".gif"), ("sisters", ".tif")])
def test_a_mask_file_of_several_images_is_refused(tmp_path, name, suffix):
    getattr(layout_sets, name)(tmp_path)
    path = next(path for path in sorted(tmp_path.rglob("*mask*")) if path.is_file())
    pages = [PIL.Image.fromarray(values) for values in (block(255), block(0, 255))]
    path.unlink()
    pages[0].save(path.with_suffix(suffix), save_all=True, append_images=pages[1:])
    assert "mask file with 2 images" in refused(tmp_path, "segmentation").what
