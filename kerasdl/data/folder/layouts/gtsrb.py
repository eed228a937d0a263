"""GTSRB, the German traffic signs, as published and as on Kaggle.

As published: `Final_Training/Images/00014/*.ppm` with a `GT-00014.csv` in each folder (separated by
semicolons), `Final_Test/Images/*.ppm` with `GT-final_test.csv`, which may lie elsewhere. On Kaggle:
`Train.csv` and `Test.csv`, whose column Path is relative to them. The classes are the numbers of
the signs; test images without a table are left out.
"""

import re

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import Reading, common
from kerasdl.data.inspect.findings import counted, listing

TITLE = "GTSRB"
TABLES = {"train": "Train.csv", "test": "Test.csv"}
CLASS_TABLE = re.compile(r"(.*/)?(\d{5})/GT-\2\.csv")
TEST_TABLE = re.compile(r"(.*/)?GT-final_test\.csv")
TEST_FOLDERS = ("Final_Test", "Online-Test", "Test")
ROI = re.compile(r"\bRoi\.X1\b.*\bClassId\b.*\bPath\b")


def matches(location):
    """Whether there are the tables: Train.csv of the Kaggle form, or GT-00000.csv."""
    return bool(_bases(location.tree)) or any(map(CLASS_TABLE.match, location.tree.documents))


def read(location, annotation):
    """The classes of the tables, and all images for colorization."""
    tree = location.tree
    reading = Reading(tree)
    bases = _bases(tree)
    listed = _of_kaggle(reading, bases) if bases else _as_published(reading)
    numbers = sorted({label for rows in listed.values() for _, label in rows})
    for split, rows in listed.items():
        reading.splits[split] = [
            reading.entry(file, None if annotation == "none" else numbers.index(label))
            for file, label in rows
        ]
    reading.class_names = tuple(map(str, numbers))
    reading.summary = f"{TITLE}: {len(numbers)} signs, {common.splits_of(reading.splits)}"
    left_out = len(tree.images) - sum(map(len, listed.values()))
    if left_out:
        common.note(reading, f"{counted(left_out, 'image')} in no table left out")
    return reading


def _bases(tree):
    """Folders with a Train.csv of the Kaggle form."""
    names = (common.join(base, TABLES["train"]) for base in ("", *tree.folders))
    found = (name for name in names if common.has(tree.documents, name))
    return [
        name.rpartition("/")[0]
        for name in found
        if name.count("/") <= common.MOST_DEPTH and ROI.search(common.head(tree, name))
    ]


def _of_kaggle(reading, bases):
    """(image, class) per split from Train.csv and Test.csv."""
    base = common.one_base(reading, bases, TITLE)
    listed = {}
    for split, name in TABLES.items() if base is not None else ():
        table = common.join(base, name)
        if common.has(reading.tree.documents, table):
            rows = _rows(reading, table, "Path")
            listed[split] = _found(
                reading, table, [(common.join(base, path), number) for path, number in rows]
            )
    return listed


def _as_published(reading):
    """(image, class) per split from the tables of the class folders and that of the test images."""
    tree = reading.tree
    listed = {"train": []}
    for table in filter(CLASS_TABLE.match, tree.documents):
        folder = table.rpartition("/")[0]
        rows = [(f"{folder}/{path}", number) for path, number in _rows(reading, table, "Filename")]
        listed["train"] += _found(reading, table, rows)
    table = next(filter(TEST_TABLE.match, tree.documents), None)
    if table is None:
        return listed
    beside = table.rpartition("/")[0]
    folders = [name for name in tree.folders if {*name.split("/")} & {*TEST_FOLDERS}]
    folders = [name for name in (beside, *folders) if tree.within(name)]
    rows = [
        (common.join(folder, path), number)
        for path, number in _rows(reading, table, "Filename")
        for folder in folders[:1]
    ]
    if folders:
        listed["test"] = _found(reading, table, rows)
    return listed


def _rows(reading, table, column):
    """(file, class) of each row; empty, with an error, if the table has another form."""
    try:
        rows = common.read_table(reading, table)
        return [(row[column], int(row["ClassId"])) for row in rows]
    except DataError as error:
        reading.error(error.what, table, error.fix)
    except (KeyError, ValueError):
        what = f"no columns '{column}' and 'ClassId' with a file and a number in each row"
        reading.error(what, table, "download it again")
    return []


def _found(reading, table, rows):
    """The rows whose files are there; an error about the others."""
    missing = [file for file, _ in rows if not common.has(reading.tree.images, file)]
    if missing:
        what = f"{counted(len(missing), 'file')} of the table not found: {listing(missing)}"
        reading.error(what, table, "add the images, or remove the lines", skippable=True)
    absent = set(missing)
    return [row for row in rows if row[0] not in absent]
