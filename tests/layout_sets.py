"""Builders of tiny data sets by the name of their layout, in exactly their published form."""

import numpy
from layout_fixtures import block, palette, photo, save, write
from scipy import io

from kerasdl.data.folder.masks import default_palette

VOC_PALETTE = default_palette(256)


def voc(root):
    """Six images in two lists; the border of each object is 255."""
    for index in range(6):
        photo(root / f"JPEGImages/2007_{index:06d}.jpg", index)
        mask = block(index + 1)
        mask[3, 4:12] = 255
        for folder, values in (("SegmentationClass", mask), ("SegmentationObject", mask % 2)):
            save(palette(values, VOC_PALETTE), root / f"{folder}/2007_{index:06d}.png")
        write(root / f"Annotations/2007_{index:06d}.xml", "<annotation/>")
    names = [f"2007_{index:06d}" for index in range(6)]
    lists = root / "ImageSets/Segmentation"
    write(lists / "train.txt", "\n".join(names[:4]) + "\n")
    write(lists / "val.txt", "\n".join(names[4:]) + "\n")
    write(lists / "trainval.txt", "\n".join(names) + "\n")
    write(root / "ImageSets/Main/train.txt", "2007_000009\n")
    return root


def pets(root):
    """Two breeds with four images each, trimaps of 1, 2 and 3."""
    rows = []
    for number, breed in ((1, "Abyssinian"), (2, "american_bulldog")):
        for index in range(1, 5):
            name = f"{breed}_{index}"
            photo(root / f"images/{name}.jpg", 10 * number + index)
            mask = block(1, 2)
            mask[3] = 3
            save(mask, root / f"annotations/trimaps/{name}.png")
            save(mask, root / f"annotations/trimaps/._{name}.png")
            write(root / f"annotations/xmls/{name}.xml", "<annotation/>")
            rows.append(f"{name} {number} {number} 1")
    write(root / "images/Abyssinian_1.mat", "")
    write(root / "annotations/list.txt", "#Image CLASS-ID SPECIES BREED ID\n" + "\n".join(rows))
    write(root / "annotations/trainval.txt", "\n".join(rows[:3] + rows[4:7]) + "\n")
    write(root / "annotations/test.txt", "\n".join((rows[3], rows[7])) + "\n")
    return root


def cityscapes(root):
    """Label ids 0 to 33 in a row each, two cities, and the empty masks of a test city."""
    for split, city, count in (("train", "aachen", 3), ("val", "lindau", 2), ("test", "bonn", 1)):
        for index in range(count):
            frame = f"{city}_{index:06d}_000019"
            photo(root / f"leftImg8bit/{split}/{city}/{frame}_leftImg8bit.png", index)
            mask = numpy.zeros((12, 16), "uint8")
            if split != "test":
                mask.ravel()[:34] = range(34)
            labels = root / f"gtFine/{split}/{city}/{frame}_gtFine"
            save(mask, labels.with_name(f"{labels.name}_labelIds.png"))
            save(mask[..., None].repeat(3, 2), labels.with_name(f"{labels.name}_color.png"))
            save(mask.astype("uint16") * 1000, labels.with_name(f"{labels.name}_instanceIds.png"))
            write(labels.with_name(f"{labels.name}_polygons.json"), {})
    return root


def ade20k(root):
    """Values 0, 1 and 150."""
    for split, frame, count in (("training", "train", 4), ("validation", "val", 2)):
        for index in range(count):
            name = f"ADE_{frame}_{index:08d}"
            photo(root / f"images/{split}/{name}.jpg", index)
            mask = block(1)
            mask[0, 0] = 150
            save(mask, root / f"annotations/{split}/{name}.png")
    write(root / "objectInfo150.txt", "Idx\tRatio\tTrain\tVal\tStuff\tName\n")
    write(root / "sceneCategories.txt", "ADE_train_00000000 airport\n")
    return root


def floodnet(root):
    """Three splits; water, and grass in a corner."""
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for index in range(count):
            photo(root / f"{split}/{split}-org-img/{6000 + index}.jpg", index)
            mask = block(5)
            mask[0, 0] = 9
            save(mask, root / f"{split}/{split}-label-img/{6000 + index}_lab.png")
    return root


def loveda(root):
    """Two areas in two splits, and a test split without masks; no data in a corner."""
    for split, count in (("Train", 4), ("Val", 2), ("Test", 2)):
        for place, area in enumerate(("Rural", "Urban")):
            for index in range(count):
                photo(root / f"{split}/{area}/images_png/{index}.png", 10 * place + index)
                mask = block(7, 1 + place)
                mask[0, 0] = 0
                if split != "Test":
                    save(mask, root / f"{split}/{area}/masks_png/{index}.png")
    return root


def uavid(root):
    """Three sequences: a moving car on a road."""
    for split, sequence, count in (("train", 1, 4), ("train", 2, 4), ("val", 16, 2)):
        for index in range(count):
            folder = root / f"uavid_{split}/seq{sequence}"
            photo(folder / f"Images/{100 * index:06d}.png", 10 * sequence + index)
            colors = numpy.array([[128, 64, 128], [64, 0, 128]], "uint8")[block(1)]
            save(colors, folder / f"Labels/{100 * index:06d}.png")
    photo(root / "uavid_test/seq21/Images/000000.png", 99)
    return root


def dsb2018(root):
    """Eight images, each with a mask of its block and one of a corner."""
    for index in range(8):
        name = f"{index:064x}"
        photo(root / f"stage1_train/{name}/images/{name}.png", index)
        corner = block(0)
        corner[0, 0] = 255
        for number, mask in enumerate((block(255), corner)):
            save(mask, root / f"stage1_train/{name}/masks/{number:064x}.png")
    photo(root / f"stage1_test/{9:064x}/images/{9:064x}.png", 9)
    write(root / "stage1_train_labels.csv", "ImageId,EncodedPixels\n0,1 2\n")
    return root


CAMVID_ROW = {"Sky": (128, 128, 128), "Wall": (64, 192, 0), "Building": (128, 0, 0)}


def camvid_colors():
    """Color mask: sky above, a wall and a building, and void in a corner."""
    colors = numpy.zeros((12, 16, 3), "uint8")
    colors[:6] = CAMVID_ROW["Sky"]
    colors[6:, :8] = CAMVID_ROW["Wall"]
    colors[6:, 8:] = CAMVID_ROW["Building"]
    colors[11, 15] = 0
    return colors


def camvid(root):
    """Eight scenes of `camvid_colors`."""
    for index in range(8):
        name = f"0001TP_{index:06d}"
        photo(root / f"701_StillsRaw_full/{name}.png", index)
        save(camvid_colors(), root / f"LabeledApproved_full/{name}_L.png")
    return root


def classdict(root):
    """CamVid of Kaggle: the scenes of `camvid` in three splits and a table of colors."""
    rows = ["name,r,g,b", *(f"{name},{r}, {g}, {b}" for name, (r, g, b) in CAMVID_ROW.items())]
    write(root / "class_dict.csv", "\n".join((*rows, "Void,0,0,0")) + "\n")
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for index in range(count):
            name = f"0001TP_{index:06d}"
            photo(root / f"{split}/{name}.png", index)
            save(camvid_colors(), root / f"{split}_labels/{name}_L.png")
    return root


def codes(root):
    """CamVid of fast.ai: Sky and Wall with Void between them."""
    for index in range(8):
        photo(root / f"images/0001TP_{index:06d}.png", index)
        mask = block(2)
        mask[0, 0] = 1
        save(mask, root / f"labels/0001TP_{index:06d}_P.png")
    write(root / "codes.txt", "Sky\nVoid\nWall\n")
    write(root / "valid.txt", "0001TP_000002.png\n0001TP_000005.png\n")
    return root


def segnet(root):
    """The same scenes as `camvid`, as SegNet stores them: indices, void as 11."""
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for index in range(count):
            name = f"0001TP_{index:06d}.png"
            photo(root / split / name, index)
            mask = numpy.zeros((12, 16), "uint8")
            mask[6:] = 1
            mask[11, 15] = 11
            save(mask, root / f"{split}annot" / name)
    return root


def carvana(root):
    """Black and white GIF masks, and test images without masks."""
    for index in range(1, 9):
        name = f"00087a6bd4dc_{index:02d}"
        photo(root / f"train/{name}.jpg", index)
        save(palette(block(1), [(0, 0, 0), (255, 255, 255)]), root / f"train_masks/{name}_mask.gif")
        photo(root / f"test/0004d4463b50_{index:02d}.jpg", 50 + index)
    return root


def isic(root):
    """Training and validation with masks, test without."""
    for split, count in (("Training", 4), ("Validation", 2), ("Test", 2)):
        for index in range(count):
            name = f"ISIC_{index:07d}"
            photo(root / f"ISIC2018_Task1-2_{split}_Input/{name}.jpg", index)
            if split != "Test":
                truth = root / f"ISIC2018_Task1_{split}_GroundTruth"
                save(block(255), truth / f"{name}_segmentation.png")
        write(root / f"ISIC2018_Task1-2_{split}_Input/LICENSE.txt", "CC-0")
    return root


def kvasir(root):
    """JPEG masks, whose edges are blurred."""
    for index in range(8):
        name = f"cju0qkwl35piu0993l0dewei{index}.jpg"
        photo(root / "images" / name, index)
        save(block(255)[..., None].repeat(3, 2), root / "masks" / name, quality=60)
    write(root / "kavsir_bboxes.json", {})
    return root


def drive(root):
    """Vessels, fields of view, and a second observer for the test images."""
    for folder, first, count in (("training", 21, 6), ("test", 1, 2)):
        for number in range(first, first + count):
            name = f"{number:02d}"
            photo(root / f"{folder}/images/{name}_{folder}.tif", number)
            save(block(255), root / f"{folder}/1st_manual/{name}_manual1.gif")
            save(block(0, 255), root / f"{folder}/mask/{name}_{folder}_mask.gif")
            if folder == "test":
                save(block(0, 255), root / f"{folder}/2nd_manual/{name}_manual2.gif")
    return root


def beside(root):
    """BUSI: masks in the class folders, one image with two of them."""
    for place, name in enumerate(("benign", "malignant", "normal")):
        for index in range(1, 5):
            stem = root / name / f"{name} ({index})"
            photo(stem.with_name(f"{stem.name}.png"), 10 * place + index)
            mask = block(0 if name == "normal" else 255)
            save(mask, stem.with_name(f"{stem.name}_mask.png"))
    second = block(0)
    second[0, 0] = 255
    save(second, root / "benign/benign (2)_mask_1.png")
    return root


def sisters(root):
    """`1.jpg` and `mask_1.png` in two folders."""
    for index in range(8):
        photo(root / f"images/{index}.jpg", index)
        save(block(1), root / f"masks/mask_{index}.png")
    return root


def roboflow(root):
    """Masks beside the images, their values in _classes.csv."""
    for split, count in (("train", 4), ("valid", 2), ("test", 2)):
        for index in range(count):
            name = f"street_{index}_jpg.rf.0123abcd{index}"
            photo(root / split / f"{name}.jpg", index)
            save(block(2), root / split / f"{name}_mask.png")
        write(root / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, car\n2, tree\n")
    return root


def imagenet(root):
    """Two synsets, a flat val/ with val.txt."""
    for place, synset in enumerate(("n01440764", "n01443537")):
        for index in range(4):
            photo(root / f"train/{synset}/{synset}_{index}.JPEG", 10 * place + index)
    for index in range(1, 4):
        photo(root / f"val/ILSVRC2012_val_{index:08d}.JPEG", 30 + index)
    lines = [f"ILSVRC2012_val_{index:08d}.JPEG {index % 2}" for index in range(1, 4)]
    write(root / "val.txt", "\n".join(lines) + "\n")
    return root


def tables(root):
    """HAM10000: two parts of images and one table."""
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for index in range(10):
        name = f"ISIC_{index:07d}"
        photo(root / f"HAM10000_images_part_{1 + index % 2}/{name}.jpg", index)
        rows.append(f"HAM_{index:07d},{name},{'nv' if index < 6 else 'mel'},histo,80.0,male,scalp")
    write(root / "HAM10000_metadata.csv", "\n".join(rows) + "\n")
    return root


def gtsrb(root, suffix=".png"):
    """The form of Kaggle: class folders for training, a flat Test/, a table for each."""
    head = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path"
    rows = {"Train": [head], "Test": [head], "Meta": ["Path,ClassId,ShapeId,ColorId,SignId"]}
    for number, other in ((2, 20), (10, 2), (20, 10)):
        for index in range(3):
            path = f"Train/{number}/{number:05d}_00000_{index:05d}{suffix}"
            photo(root / path, 10 * number + index)
            rows["Train"].append(f"16,12,5,5,11,7,{number},{path}")
        photo(root / f"Test/{number:05d}{suffix}", 500 + number)
        rows["Test"].append(f"16,12,5,5,11,7,{other},Test/{number:05d}{suffix}")
        photo(root / f"Meta/{number}{suffix}", 600 + number)
        rows["Meta"].append(f"Meta/{number}{suffix},{number},0,0,1.1")
    for name, lines in rows.items():
        write(root / f"{name}.csv", "\n".join(lines) + "\n")
    return root


def food101(root):
    """Two dishes, splits from meta/."""
    train, test = [], []
    for place, name in enumerate(("apple_pie", "waffles")):
        for index in range(5):
            photo(root / f"images/{name}/{index}.jpg", 10 * place + index)
            (test if index == 4 else train).append(f"{name}/{index}")
    write(root / "meta/train.txt", "\n".join(train) + "\n")
    write(root / "meta/test.txt", "\n".join(test) + "\n")
    write(root / "meta/classes.txt", "apple_pie\nwaffles\n")
    return root


def cub(root):
    """Two species, ten images by number."""
    images, labels, training = [], [], []
    names = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
    for number in range(1, 11):
        name = names[number % 2]
        photo(root / f"images/{name}/bird_{number:04d}.jpg", number)
        images.append(f"{number} {name}/bird_{number:04d}.jpg")
        labels.append(f"{number} {number % 2 + 1}")
        training.append(f"{number} {int(number < 9)}")
    for name, lines in (
        ("images.txt", images),
        ("image_class_labels.txt", labels),
        ("train_test_split.txt", training),
        ("classes.txt", [f"{index + 1} {name}" for index, name in enumerate(names)]),
    ):
        write(root / name, "\n".join(lines) + "\n")
    return root


def flowers(root):
    """Three classes, ten images, the published splits in MATLAB files."""
    for number in range(1, 11):
        photo(root / f"jpg/image_{number:05d}.jpg", number)
    io.savemat(root / "imagelabels.mat", {"labels": [1 + number % 3 for number in range(10)]})
    splits = {"trnid": [10, 1, 2, 3, 4, 5], "valid": [6, 7], "tstid": [8, 9]}
    io.savemat(root / "setid.mat", splits)
    return root


RECTANGLE = [4, 3, 12, 3, 12, 9, 4, 9]  # the corners of `layout_fixtures.BLOCK`, x and y
CORNERS = [[4, 3], [12, 3], [12, 9], [4, 9]]


def coco_document(names, annotations=None):
    """COCO file of some images, each with one rectangle of the category 18 if not told else."""
    listed = [
        {"id": 100 + place, "file_name": name, "height": 12, "width": 16}
        for place, name in enumerate(names)
    ]
    if annotations is None:
        annotations = [
            {
                "id": place,
                "image_id": 100 + place,
                "category_id": 18,
                "segmentation": [RECTANGLE],
                "area": 48,
                "iscrowd": 0,
                "bbox": [4, 3, 8, 6],
            }
            for place in range(len(names))
        ]
    categories = [
        {"id": 18, "name": "dog", "supercategory": "animal"},
        {"id": 1, "name": "person", "supercategory": "person"},
    ]
    info = {"description": "COCO 2017 Dataset", "year": 2017}
    return {"info": info, "images": listed, "annotations": annotations, "categories": categories}


def coco(root):
    """Instances of two splits beside their images, and files that are not read."""
    for split, count in (("train2017", 4), ("val2017", 2)):
        names = [f"{index:012d}.jpg" for index in range(count)]
        for index, name in enumerate(names):
            photo(root / split / name, index)
        write(root / f"annotations/instances_{split}.json", coco_document(names))
        write(root / f"annotations/captions_{split}.json", {"annotations": []})
        write(root / f"annotations/person_keypoints_{split}.json", {"annotations": []})
    return root


def labelme_document(name, shapes):
    """LabelMe file of an image; shapes are (label, kind, points)."""
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": [
            {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}
            for label, kind, points in shapes
        ],
        "imagePath": name,
        "imageData": None,
        "imageHeight": 12,
        "imageWidth": 16,
    }


def labelme(root):
    """A polygon in each of eight images."""
    for index in range(8):
        photo(root / f"{index}.jpg", index)
        shapes = [("dog" if index % 2 else "cat", "polygon", CORNERS)]
        write(root / f"{index}.json", labelme_document(f"{index}.jpg", shapes))
    return root


def cvat_document(images):
    """CVAT file; images are (name, text of the elements within)."""
    body = "".join(
        f'<image id="{place}" name="{name}" width="16" height="12">{inner}</image>'
        for place, (name, inner) in enumerate(images)
    )
    labels = "".join(
        f"<label><name>{name}</name><color>#fa3253</color><attributes></attributes></label>"
        for name in ("road", "car")
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
        f"<meta><task><id>7</id><labels>{labels}</labels></task></meta>{body}</annotations>"
    )


CVAT_POLYGON = (
    '<polygon label="car" source="manual" occluded="0" '
    'points="4.00,3.00;12.00,3.00;12.00,9.00;4.00,9.00" z_order="0"></polygon>'
)


def cvat(root):
    """A polygon in each of eight images."""
    for index in range(8):
        photo(root / f"images/{index}.jpg", index)
    listed = [(f"{index}.jpg", CVAT_POLYGON) for index in range(8)]
    write(root / "annotations.xml", cvat_document(listed))
    return root


LABELSTUDIO_POLYGON = {
    "original_width": 16,
    "original_height": 12,
    "image_rotation": 0,
    "value": {
        "points": [[25, 25], [75, 25], [75, 75], [25, 75]],
        "closed": True,
        "polygonlabels": ["car"],
    },
    "id": "wKd0",
    "from_name": "label",
    "to_name": "image",
    "type": "polygonlabels",
    "origin": "manual",
}


def labelstudio_task(number, results):
    """One task of an export."""
    return {
        "id": number,
        "annotations": [
            {"id": number, "completed_by": 1, "result": results, "was_cancelled": False}
        ],
        "data": {"image": f"/data/upload/1/0a1b2c3d-{number}.jpg"},
        "predictions": [],
    }


def labelstudio(root):
    """A polygon in each of eight images, which have the names they were uploaded with."""
    for index in range(8):
        photo(root / f"images/{index}.jpg", index)
    tasks = [labelstudio_task(index, [LABELSTUDIO_POLYGON]) for index in range(8)]
    write(root / "project-1-at-2024-05-01-10-00-abcdef01.json", tasks)
    return root


def yolo(root):
    """Polygons of the class 1 in three splits, as Roboflow exports them."""
    for split, count in (("train", 4), ("valid", 2), ("test", 2)):
        for index in range(count):
            photo(root / f"{split}/images/{index}.jpg", index)
            line = "1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
            write(root / f"{split}/labels/{index}.txt", line)
    write(root / "data.yaml", "train: ../train/images\nnc: 2\nnames: ['cat', 'dog']\n")
    return root
