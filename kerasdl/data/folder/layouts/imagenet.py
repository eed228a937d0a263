"""ImageNet (ILSVRC): `train/n01440764/*.JPEG` and a flat `val/` whose labels are in a list.

    LOC_val_solution.csv                            ImageId,PredictionString "n03995372 85 1 ..."
    val.txt                                         name and index (synsets in order) or synset
    imagenet_2012_validation_synset_labels.txt      one synset per line, images in order
    ILSVRC2012_validation_ground_truth.txt          one ILSVRC2012_ID per line; needs meta.mat
    val/val_annotations.txt                         name and synset (Tiny ImageNet, val/images/)

The ids of the last one do not follow the order of the synsets: `meta.mat` of the development kit
tells which is which. With `val/n*/` the set is plain class folders.
"""

import re

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import Reading, common, pairing
from kerasdl.data.inspect.findings import counted, listing

TITLE = "ImageNet"
SYNSET = re.compile(r"n\d{8}$")
DEVKIT = "ILSVRC2012_devkit_t12/data"
SOLUTION = "LOC_val_solution.csv"
INDEXED = "val.txt"
TINY = "val/val_annotations.txt"
SYNSETS = "imagenet_2012_validation_synset_labels.txt"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
PLACES = ("", "ILSVRC/ImageSets/CLS-LOC", "ImageSets/CLS-LOC", DEVKIT, "meta", "caffe_ilsvrc12")


def matches(location):
    """Whether `train/` holds folders named as synsets and `val/` nothing but images."""
    return bool(_bases(location.tree))


def read(location, annotation):
    """The synsets as classes, and the images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    base = common.one_base(reading, _bases(tree), TITLE)
    if base is None:
        return reading
    train, val = common.join(base, "train"), _flat(tree, base)
    if annotation == "none":
        common.images_only(reading, {"train": train, "validation": val})
        reading.summary = f"{TITLE}: images of train/ and val/"
        return reading
    names = tree.children(train)
    labels = {name: label for label, name in enumerate(names)}
    reading.splits["train"] = [
        reading.entry(f"{train}/{name}", labels[name.partition("/")[0]])
        for name in tree.below(train)
        if "/" in name
    ]
    reading.class_names = tuple(names)
    try:
        source, truth = _truth(reading, base, names, tree.within(val))
    except DataError as error:
        reading.error(error.what, error.path or val, error.fix)
        return reading
    unlisted = [name for name in tree.within(val) if pairing.stem(name) not in truth]
    if unlisted:
        what = f"{counted(len(unlisted), 'image')} without a label: {listing(unlisted)}"
        reading.error(what, source, "add their lines, or remove them", skippable=True)
    unknown = sorted(set(truth.values()) - labels.keys())
    if unknown:
        what = f"labels that no folder of {train}/ has: {listing(unknown)}"
        reading.error(what, source, "add the folders, or correct the list")
        return reading
    reading.splits["validation"] = [
        reading.entry(f"{val}/{name}", labels[truth[pairing.stem(name)]])
        for name in tree.within(val)
        if pairing.stem(name) in truth
    ]
    reading.summary = f"{TITLE}: {len(names)} synsets, labels of the flat val/ from {source}"
    return reading


def _bases(tree):
    found = common.bases(tree, "train", "val", depth=3)  # ILSVRC/Data/CLS-LOC/ of Kaggle
    return [base for base in found if _is_so(tree, base)]


def _is_so(tree, base):
    names = tree.children(common.join(base, "train"))
    return bool(names and _flat(tree, base)) and all(map(SYNSET.match, names))


def _flat(tree, base):
    """The folder of validation images without folders of their classes; None if there is none."""
    val = common.join(base, "val")
    if tree.children(val) == ["images"]:
        val += "/images"
    return val if tree.count(val) and not tree.children(val) else None


def _truth(reading, base, names, images):
    """The list that was used, and the synset of every validation image by its stem."""
    for file, of in (
        (SOLUTION, _from_solution),
        (INDEXED, _from_indices),
        (TINY, _from_tiny),
        (SYNSETS, _from_synsets),
        (TRUTH, _from_ids),
    ):
        for place in dict.fromkeys((*PLACES, base)):
            source = common.join(place, file)
            if common.has(reading.tree.documents, source):
                return source, of(reading, source, names, images)
    raise DataError(
        "images without labels: val/ has no folders, and there is no list",
        fix=f"add {SOLUTION}, {INDEXED} or {SYNSETS}, or sort val/ into folders",
    )


def _from_solution(reading, source, names, images):
    rows = common.read_table(reading, source)
    if rows and not {"ImageId", "PredictionString"} <= rows[0].keys():
        raise DataError("columns are not ImageId and PredictionString", source)
    return {row["ImageId"]: row["PredictionString"].partition(" ")[0] for row in rows}


def _from_indices(reading, source, names, images):
    truth = {}
    for row in common.read_rows(reading, source):
        if len(row) != 2:
            raise DataError(f"line '{' '.join(row)}' is not a name and a class", source)
        name, label = row
        if label.isdigit() and int(label) < len(names):
            label = names[int(label)]
        truth[pairing.stem(name.rsplit("/", 1)[-1])] = label
    return truth


def _from_tiny(reading, source, names, images):
    rows = common.read_rows(reading, source)
    return {pairing.stem(row[0]): row[1] for row in rows if len(row) > 1}


def _from_synsets(reading, source, names, images):
    return _in_order(source, images, [row[0] for row in common.read_rows(reading, source)])


def _from_ids(reading, source, names, images):
    for place in (source.rpartition("/")[0], DEVKIT, ""):
        path = reading.tree.root / common.join(place, "meta.mat")
        if path.is_file():
            break
    else:
        raise DataError(
            "its numbers are ILSVRC2012_ID, which do not follow the order of the folders",
            source,
            f"add meta.mat of the development kit to it, or {SYNSETS}",
        )
    synsets = common.read_mat(path, "synsets")
    by_id = {str(int(one["ILSVRC2012_ID"].item())): one["WNID"].item() for one in synsets}
    ids = [row[0] for row in common.read_rows(reading, source)]
    return _in_order(source, images, [by_id.get(number, number) for number in ids])


def _in_order(source, images, labels):
    if len(labels) != len(images):
        raise DataError(
            f"{len(labels)} lines for {len(images)} images",
            source,
            "the lines belong to all images in the order of their names",
        )
    return dict(zip(map(pairing.stem, sorted(images)), labels, strict=True))
