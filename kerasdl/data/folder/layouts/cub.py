"""Caltech-UCSD Birds 200-2011: `images/CLASS/*.jpg` and lists of numbers.

images.txt               1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
image_class_labels.txt   1 1
train_test_split.txt     1 0 (0: test, 1: train)
classes.txt              1 001.Black_footed_Albatross
"""

from kerasdl.data.folder.layouts import Reading, common
from kerasdl.data.inspect.findings import counted, listing

CUB = ("images.txt", "image_class_labels.txt", "train_test_split.txt")


def matches(location):
    """Whether there are `images/` and the three lists."""
    return bool(_bases(location.tree))


def read(location, annotation):
    """The birds' species as classes, training and test images from train_test_split.txt."""
    tree = location.tree
    reading = Reading(tree)
    base = common.one_base(reading, _bases(tree), "CUB-200-2011")
    if base is None:
        return reading
    files, classes, training = (_by_number(reading, common.join(base, name)) for name in CUB)
    names = _by_number(reading, common.join(base, "classes.txt"))
    numbers = sorted(set(classes.values()), key=lambda number: (len(number), number))
    labels = {number: label for label, number in enumerate(numbers)}
    missing = []
    for number, file in files.items():
        name = common.join(base, "images", file)
        if not common.has(tree.images, name):
            missing.append(file)
        elif number not in classes or training.get(number) not in ("0", "1"):
            source = CUB[1] if number not in classes else CUB[2]
            reading.error(f"nothing about image {number}", common.join(base, source), "add a line")
            break
        else:
            split = "train" if training[number] == "1" else "test"
            entry = reading.entry(name, labels[classes[number]])
            reading.splits.setdefault(split, []).append(entry)
    if missing:
        what = f"{counted(len(missing), 'image')} of the list not found: {listing(missing)}"
        source = common.join(base, CUB[0])
        reading.error(what, source, "add them, or remove their lines", skippable=True)
    reading.class_names = tuple(names.get(number, f"class_{number}") for number in numbers)
    reading.summary = f"CUB-200-2011: {len(numbers)} classes, splits from {CUB[2]}"
    return reading


def _bases(tree):
    return [
        base
        for base in common.bases(tree, "images")
        if all(common.has(tree.documents, common.join(base, name)) for name in CUB)
    ]


def _by_number(reading, name):
    """Second word of each line by its first; empty, with an error, where a line has others."""
    if not common.has(reading.tree.documents, name):
        return {}
    rows = common.read_rows(reading, name)
    if any(len(row) != 2 for row in rows):
        reading.error("lines are not a number and a value", name, "download the list again")
        return {}
    return dict(rows)
