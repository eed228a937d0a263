"""Published sets in the forms that circulate beside the original one."""

import layout_sets
import PIL.Image
import pytest
from data_fixtures import load, save
from layout_fixtures import block, masks_of, palette, photo, read, write
from test_real_world import check, errors, refused


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
