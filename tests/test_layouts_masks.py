"""Published segmentation sets: every mask against one made by hand, names, void, splits."""

import layout_sets
import numpy
import PIL.Image
import pytest
from layout_fixtures import (
    BLOCK,
    block,
    errors_of,
    files_of,
    labels_of,
    layout_of,
    masks_of,
    notes_of,
    only_error,
    palette,
    photo,
    read,
    save,
    write,
)

from kerasdl.core.errors import DataError
from kerasdl.data.folder import masks


def test_voc_masks_are_indices_and_the_border_is_ignored(tmp_path):
    reading = read(layout_sets.voc(tmp_path))
    assert not errors_of(reading)
    expected = block(3)
    expected[3, 4:12] = 255
    found = masks_of(reading)
    assert found["train"]["JPEGImages/2007_000002.jpg"] == expected.tolist()
    assert sorted(found) == ["train", "validation"]
    assert list(found["validation"]) == [f"JPEGImages/2007_00000{index}.jpg" for index in (4, 5)]
    assert reading.class_names[:3] == ("background", "aeroplane", "bicycle")
    assert len(reading.class_names) == 21 and reading.ignore == (255,)
    assert "21 classes, 255 ignored" in reading.summary and "train.txt, val.txt" in reading.summary


def test_voc_within_vocdevkit_is_found_and_two_years_are_asked_about(tmp_path):
    layout_sets.voc(tmp_path / "VOCdevkit/VOC2012")
    reading = read(tmp_path)
    assert "VOCdevkit/VOC2012/JPEGImages/2007_000000.jpg" in files_of(reading)["train"]
    layout_sets.voc(tmp_path / "VOCdevkit/VOC2007")
    line = only_error(tmp_path)
    assert "VOC2007" in line and "VOC2012" in line


def test_voc_list_with_names_that_have_no_image_or_mask(tmp_path):
    root = layout_sets.voc(tmp_path)
    (root / "JPEGImages/2007_000001.jpg").unlink()
    (root / "SegmentationClass/2007_000002.png").unlink()
    reading = read(root)
    first, second = errors_of(reading)
    assert "1 name of the list without image: 2007_000001" in first and "train.txt" in first
    assert "1 name of the list without mask: 2007_000002" in second
    assert len(reading.splits["train"]) == 2


def test_voc_augmented_masks_train_where_only_their_list_is(tmp_path):
    root = layout_sets.voc(tmp_path)
    lists = root / "ImageSets/Segmentation"
    (lists / "train.txt").rename(lists / "trainaug.txt")
    for index in range(6):
        save(block(7), root / f"SegmentationClassAug/2007_{index:06d}.png")
    found = masks_of(read(root))
    assert found["train"]["JPEGImages/2007_000000.jpg"] == block(7).tolist()


def test_voc_without_lists_takes_the_images_that_have_masks(tmp_path):
    root = layout_sets.voc(tmp_path)
    for name in ("train", "val", "trainval"):
        (root / f"ImageSets/Segmentation/{name}.txt").unlink()
    photo(root / "JPEGImages/2008_000000.jpg")
    reading = read(root)
    assert not errors_of(reading) and len(files_of(reading)["all"]) == 6


def test_voc_of_cvat_has_the_colors_of_its_label_map(tmp_path):
    for index in range(4):
        photo(tmp_path / f"JPEGImages/{index}.jpg", index)
        colored = numpy.zeros((12, 16, 3), "uint8")
        colored[BLOCK] = (10, 20, 30)
        save(colored, tmp_path / f"SegmentationClass/{index}.png")
    names = "\n".join("0123")
    write(tmp_path / "ImageSets/Segmentation/default.txt", names)
    write(tmp_path / "labelmap.txt", "# label:color\nbackground:0,0,0::\ntraffic cone:10,20,30::\n")
    reading = read(tmp_path)
    assert reading.class_names == ("background", "traffic cone")
    assert masks_of(reading)["all"]["JPEGImages/0.jpg"] == block(1).tolist()


def test_pets_trimaps_are_pet_background_and_border(tmp_path):
    reading = read(layout_sets.pets(tmp_path))
    assert not errors_of(reading)
    expected = block(0, 1)
    expected[3] = 2
    found = masks_of(reading)
    assert found["test"]["images/Abyssinian_4.jpg"] == expected.tolist()
    assert len(found["train"]) == 6 and len(found["test"]) == 2
    assert reading.class_names == ("pet", "background", "border")


def test_border_of_pets_is_ignored_where_dataset_toml_says_so(tmp_path):
    root = layout_sets.pets(tmp_path)
    write(
        root / "dataset.toml",
        'names = ["pet", "background"]\nmask_values = { 1 = 0, 2 = 1, 3 = "ignore" }\n',
    )
    reading = read(root)
    expected = block(0, 1)
    expected[3] = 255
    assert masks_of(reading)["test"]["images/Abyssinian_4.jpg"] == expected.tolist()
    assert reading.class_names == ("pet", "background")


def test_pets_breeds_come_from_the_lists(tmp_path):
    reading = read(layout_sets.pets(tmp_path), "label")
    assert reading.class_names == ("Abyssinian", "american_bulldog")
    assert labels_of(reading)["test"] == {
        "images/Abyssinian_4.jpg": "Abyssinian",
        "images/american_bulldog_4.jpg": "american_bulldog",
    }


def test_pets_without_lists_of_splits_use_list_txt(tmp_path):
    root = layout_sets.pets(tmp_path)
    (root / "annotations/trainval.txt").unlink()
    assert len(files_of(read(root, "label"))["all"]) == 8
    write(root / "annotations/list.txt", "Abyssinian_1\n")
    assert "names no class" in only_error(root, "label")


def test_cityscapes_label_ids_become_train_ids(tmp_path):
    reading = read(layout_sets.cityscapes(tmp_path))
    assert not errors_of(reading)
    name = "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
    row = numpy.ravel(masks_of(reading)["train"][name])
    # Written off the table of the benchmark: 7 road, 8 sidewalk, 11 building, ... 33 bicycle.
    kept = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11}
    kept |= {25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    assert row[:34].tolist() == [kept.get(value, 255) for value in range(34)]
    assert reading.class_names[13] == "car" and reading.palette[13] == (0, 0, 142)
    assert {split: len(part) for split, part in reading.splits.items()} == {
        "train": 3,
        "validation": 2,
    }
    assert any("test cities" in line for line in notes_of(reading))


def test_cityscapes_train_ids_are_taken_as_they_are(tmp_path):
    root = layout_sets.cityscapes(tmp_path)
    for path in sorted(root.rglob("*_labelIds.png")):
        mask = block(18)
        mask[0] = 255
        save(mask, path.with_name(path.name.replace("labelIds", "labelTrainIds")))
        path.unlink()
    reading = read(root)
    name = "leftImg8bit/val/lindau/lindau_000001_000019_leftImg8bit.png"
    expected = block(18)
    expected[0] = 255
    assert masks_of(reading)["validation"][name] == expected.tolist()


def test_cityscapes_with_colors_only_is_refused(tmp_path):
    root = layout_sets.cityscapes(tmp_path)
    for path in root.rglob("*_labelIds.png"):
        path.unlink()
    assert "no _gtFine_labelIds.png" in only_error(root)


def test_ade20k_counts_from_one_and_ignores_zero(tmp_path):
    reading = read(layout_sets.ade20k(tmp_path))
    assert not errors_of(reading)
    expected = block(0, 255)
    expected[0, 0] = 149
    assert masks_of(reading)["train"]["images/training/ADE_train_00000000.jpg"] == expected.tolist()
    assert len(reading.class_names) == len(set(reading.class_names)) == 150
    assert (reading.class_names[0], reading.class_names[149]) == ("wall", "flag")
    assert len(reading.splits["validation"]) == 2


def test_folders_named_as_those_of_ade20k_are_none_without_its_names(tmp_path):
    for index in range(4):
        photo(tmp_path / f"images/training/{index}.jpg", index)
        save(block(1), tmp_path / f"annotations/training/{index}.png")
    assert layout_of(tmp_path) == "folders"


def test_camvid_colors_are_classes_and_void_is_ignored(tmp_path):
    reading = read(layout_sets.camvid(tmp_path))
    assert not errors_of(reading)
    names = reading.class_names
    assert len(names) == 31 and "Void" not in names
    expected = numpy.full((12, 16), names.index("Sky"))
    expected[6:, :8], expected[6:, 8:] = names.index("Wall"), names.index("Building")
    expected[11, 15] = 255
    assert masks_of(reading)["all"]["701_StillsRaw_full/0001TP_000003.png"] == expected.tolist()


def test_camvid_grouped_is_the_form_of_segnet(tmp_path):
    raw = layout_sets.camvid(tmp_path / "raw")
    write(raw / "dataset.toml", 'layout = "camvid11"\n')
    grouped, segnet = read(raw), read(layout_sets.segnet(tmp_path / "segnet"))
    assert grouped.class_names == segnet.class_names
    expected = numpy.zeros((12, 16), int)
    expected[6:] = 1  # a wall is a building
    first = masks_of(grouped)["all"]["701_StillsRaw_full/0001TP_000000.png"]
    second = masks_of(segnet)["train"]["train/0001TP_000000.png"]
    for mask, void in ((first, 255), (second, 11)):
        expected[11, 15] = void
        assert mask == expected.tolist()


def test_every_color_of_camvid_is_in_one_group():
    from kerasdl.data.folder.layouts import camvid, camvid11

    grouped = [name for members in camvid11.GROUPS.values() for name in members.split()]
    assert sorted([*grouped, "Void"]) == sorted(camvid.COLORS)
    assert len(set(camvid.COLORS.values())) == 32


def test_label_colors_of_camvid_name_the_colors(tmp_path):
    root = layout_sets.camvid(tmp_path)
    lines = "128 128 128\tSky\n64 192 0\t\tWall\n128 0 0 Big Building\n0 0 0 Void\n"
    write(root / "label_colors.txt", lines)
    assert read(root).class_names == ("Sky", "Wall", "Big Building")
    write(root / "label_colors.txt", "128 128 Sky\n")
    assert "no color in line" in only_error(root)


def test_class_dict_names_the_colors(tmp_path):
    reading = read(layout_sets.classdict(tmp_path))
    assert not errors_of(reading) and layout_of(tmp_path) == "classdict"
    assert reading.class_names == ("Sky", "Wall", "Building")
    expected = numpy.zeros((12, 16), int)
    expected[6:, :8], expected[6:, 8:], expected[11, 15] = 1, 2, 255
    found = masks_of(reading)
    assert found["validation"]["val/0001TP_000001.png"] == expected.tolist()
    assert {split: len(part) for split, part in found.items()} == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }
    write(tmp_path / "class_dict.csv", "name,r,g,b\nSky,128,128\n")
    assert "line 2 has not as many cells" in only_error(tmp_path)
    write(tmp_path / "class_dict.csv", "name,r,g,b\nSky,128,128,sky\n")
    assert "not a name and r, g, b" in only_error(tmp_path)


def test_codes_of_fastai_are_line_numbers_and_void_is_ignored(tmp_path):
    reading = read(layout_sets.codes(tmp_path))
    assert not errors_of(reading) and reading.class_names == ("Sky", "Wall")
    expected = block(1)
    expected[0, 0] = 255
    found = masks_of(reading)
    assert found["validation"]["images/0001TP_000005.png"] == expected.tolist()
    assert len(found["train"]) == 6 and len(found["validation"]) == 2
    write(tmp_path / "valid.txt", "0001TP_000009.png\n")
    assert "1 image of the annotations not found" in errors_of(read(tmp_path))[0]


def test_deepglobe_images_and_masks_in_one_folder(tmp_path):
    for index in range(4):
        photo(tmp_path / f"train/{index}_sat.jpg", index)
        colored = numpy.zeros((12, 16, 3), "uint8")
        colored[BLOCK] = (0, 255, 255)
        save(colored, tmp_path / f"train/{index}_mask.png")
    write(tmp_path / "class_dict.csv", "name,r,g,b\nurban_land,0,255,255\nunknown,0,0,0\n")
    reading = read(tmp_path)
    assert not errors_of(reading) and reading.class_names == ("urban_land",)
    assert masks_of(reading)["train"]["train/0_sat.jpg"] == block(0, 255).tolist()
    assert files_of(read(tmp_path, "none"))["train"] == [f"train/{i}_sat.jpg" for i in range(4)]


def test_carvana_masks_are_read_by_color_and_test_is_left_out(tmp_path):
    root = layout_sets.carvana(tmp_path)
    # The order of a palette means nothing: here white comes first.
    turned = palette(1 - block(1), [(255, 255, 255), (0, 0, 0)])
    save(turned, root / "train_masks/00087a6bd4dc_01_mask.gif")
    reading = read(root)
    assert not errors_of(reading)
    for name in ("00087a6bd4dc_01", "00087a6bd4dc_02"):
        assert masks_of(reading)["all"][f"train/{name}.jpg"] == block(1).tolist()
    assert len(reading.splits["all"]) == 8
    assert any("8 images without masks left out" in line for line in notes_of(reading))
    assert reading.class_names == ("background", "car")


def test_train_and_train_masks_of_other_names_are_not_carvana(tmp_path):
    photo(tmp_path / "train/a.jpg")
    save(block(1), tmp_path / "train_masks/a_mask.png")
    assert layout_of(tmp_path) == "folders"


def test_isic_segmentation_pairs_and_splits(tmp_path):
    reading = read(layout_sets.isic(tmp_path))
    assert not errors_of(reading)
    found = masks_of(reading)
    assert {split: len(part) for split, part in found.items()} == {"train": 4, "validation": 2}
    name = "ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg"
    assert found["train"][name] == block(1).tolist()
    assert any("2 images without masks left out" in line for line in notes_of(reading))


def test_superpixels_of_isic_2017_are_no_images(tmp_path):
    for index in range(4):
        data = tmp_path / "ISIC-2017_Training_Data"
        photo(data / f"ISIC_{index}.jpg", index)
        photo(data / f"ISIC_{index}_superpixels.png", 9)
        truth = tmp_path / "ISIC-2017_Training_Part1_GroundTruth"
        save(block(255), truth / f"ISIC_{index}_segmentation.png")
    reading = read(tmp_path)
    assert not errors_of(reading) and len(reading.splits["train"]) == 4
    assert len(files_of(read(tmp_path, "none"))["train"]) == 4


def test_isic_with_a_further_folder_within(tmp_path):
    root = layout_sets.isic(tmp_path)
    for folder in sorted(root.iterdir()):
        inner = folder / folder.name
        inner.mkdir()
        for path in [path for path in folder.iterdir() if path != inner]:
            path.rename(inner / path.name)
    reading = read(root)
    assert not errors_of(reading) and len(reading.splits["train"]) == 4


def test_isic_without_truth_is_refused(tmp_path):
    photo(tmp_path / "ISIC2018_Task1-2_Training_Input/ISIC_0.jpg")
    assert "ISIC2018_Task1_Training_GroundTruth/" in only_error(tmp_path)


def test_kvasir_jpeg_masks_are_cut_at_128(tmp_path):
    root = layout_sets.kvasir(tmp_path)
    with PIL.Image.open(root / "masks/cju0qkwl35piu0993l0dewei0.jpg") as stored:
        assert len(set(numpy.ravel(stored).tolist())) > 2  # the edges are blurred
    reading = read(root)
    assert not errors_of(reading)
    found = masks_of(reading)["all"]
    assert found["images/cju0qkwl35piu0993l0dewei0.jpg"] == block(1).tolist()
    assert reading.class_names == ("background", "polyp")


def test_drive_takes_the_vessels_never_the_field_of_view(tmp_path):
    reading = read(layout_sets.drive(tmp_path))
    assert not errors_of(reading)
    found = masks_of(reading)
    assert found["train"]["training/images/21_training.tif"] == block(1).tolist()
    assert found["test"]["test/images/02_test.tif"] == block(1).tolist()
    assert len(found["train"]) == 6
    assert any("second observer" in line for line in notes_of(reading))


def test_drive_test_without_vessels_is_left_out(tmp_path):
    root = layout_sets.drive(tmp_path)
    for path in (root / "test/1st_manual").iterdir():
        path.unlink()
    reading = read(root)
    assert list(reading.splits) == ["train"]
    assert any("2 images without masks" in line for line in notes_of(reading))


def test_busi_masks_of_one_image_are_united(tmp_path):
    reading = read(layout_sets.beside(tmp_path))
    assert not errors_of(reading)
    found = masks_of(reading)["all"]
    united = block(1)
    united[0, 0] = 1
    assert found["benign/benign (2).png"] == united.tolist()
    assert found["malignant/malignant (1).png"] == block(1).tolist()
    assert not numpy.any(found["normal/normal (3).png"])
    assert len(found) == 12 and reading.class_names == ("background", "lesion")


def test_busi_classes_have_no_masks_among_their_images(tmp_path):
    reading = read(layout_sets.beside(tmp_path), "label")
    assert not errors_of(reading)
    assert reading.class_names == ("benign", "malignant", "normal")
    assert len(files_of(reading)["all"]) == 12
    assert not any("mask" in file for file in files_of(read(tmp_path, "none"))["all"])


def test_lgg_patients_are_folders(tmp_path):
    for index in range(1, 5):
        stem = f"TCGA_CS_4941_19960909_{index}"
        photo(tmp_path / f"TCGA_CS_4941_19960909/{stem}.tif", index)
        save(block(255), tmp_path / f"TCGA_CS_4941_19960909/{stem}_mask.tif")
    reading = read(tmp_path)
    assert reading.class_names == ("background", "tumor")
    name = "TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1.tif"
    assert masks_of(reading)["all"][name] == block(1).tolist()


@pytest.mark.parametrize(
    "ending", ["_mask", "-mask", ".mask", "_gt", "_label", "_segmentation", "_seg"]
)
def test_masks_beside_their_images_by_their_ending(tmp_path, ending):
    for index in range(4):
        photo(tmp_path / f"{index}.jpg", index)
        save(block(1), tmp_path / f"{index}{ending}.png")
    reading = read(tmp_path)
    assert layout_of(tmp_path) == "beside" and not errors_of(reading)
    assert files_of(reading)["all"] == [f"{index}.jpg" for index in range(4)]


def test_masks_named_as_the_whole_file_of_their_image(tmp_path):
    for index in range(4):
        photo(tmp_path / f"{index}.jpg", index)
        save(block(2), tmp_path / f"{index}.jpg.png")
    reading = read(tmp_path)
    reading.class_names = ("a", "b", "c")
    assert masks_of(reading)["all"]["3.jpg"] == block(2).tolist()


def test_image_without_a_mask_beside_it_is_named(tmp_path):
    root = layout_sets.beside(tmp_path)
    (root / "normal/normal (4)_mask.png").unlink()
    assert "1 image without a mask: normal (4)" in only_error(root)


def test_images_whose_names_only_look_like_masks_are_images(tmp_path):
    for name in ("with_mask", "without_mask"):
        for index in range(3):
            photo(tmp_path / f"{name}/{name}_{index}.jpg", index)
            photo(tmp_path / f"{name}/face_{index}_mask.jpg", 10 + index)
    assert layout_of(tmp_path, "label") == "folders"
    assert len(files_of(read(tmp_path, "label"))["all"]) == 12


def test_masks_in_a_sister_folder_named_after_the_image(tmp_path):
    reading = read(layout_sets.sisters(tmp_path))
    reading.class_names = ("background", "thing")
    assert masks_of(reading)["all"]["images/7.jpg"] == block(1).tolist()
    for index in range(8):
        path = tmp_path / f"masks/mask_{index}.png"
        path.rename(tmp_path / f"masks/{index}.jpg.png")
    reading = read(tmp_path)
    assert not errors_of(reading) and len(reading.splits["all"]) == 8


def test_masks_of_the_same_names_are_plain_folders(tmp_path):
    for index in range(4):
        photo(tmp_path / f"images/mask_{index}.jpg", index)
        save(block(1), tmp_path / f"masks/mask_{index}.png")
    assert layout_of(tmp_path) == "folders"


def test_roboflow_masks_have_the_names_of_classes_csv(tmp_path):
    reading = read(layout_sets.roboflow(tmp_path))
    assert not errors_of(reading)
    assert reading.class_names == ("background", "car", "tree")
    found = masks_of(reading)
    assert found["train"]["train/street_0_jpg.rf.0123abcd0.jpg"] == block(2).tolist()
    assert {split: len(part) for split, part in found.items()} == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }
    write(tmp_path / "valid/_classes.csv", "Pixel Value, Class\n0, background\n1, car\n")
    assert "other classes" in only_error(tmp_path)


def test_mask_that_is_not_black_and_white_is_refused(tmp_path):
    root = layout_sets.isic(tmp_path)
    truth = "ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png"
    save(block(128), root / truth)
    reading = read(root)
    with pytest.raises(DataError, match="not black and white: it holds 0, 128") as caught:
        masks.read_mask(reading.splits["train"][0].mask_source(), masks.rule_for(reading))
    assert str(caught.value.path) == str(root / truth)
