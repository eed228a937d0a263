"""Labels in a CSV table: `train.csv` + `train/`, HAM10000_metadata.csv + HAM10000_images_part_1/.

One column names the file (with its suffix or without), one the class, and perhaps one the split.
Tables named train, val and test are the splits; a table without labels (Kaggle's test.csv) is left
out. One column per class with a single 1 in each row (ISIC 2018 task 3) is read as well. Where two
columns could be the class and do not say the same, the user is asked.
"""

import collections
import re
import unicodedata

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, pairing, relations, splits
from kerasdl.data.folder.layouts.splits import SPLIT_NAMES
from kerasdl.data.inspect.findings import counted, listing

TITLE = "labels in a CSV table"
SUFFIXES = (".csv", ".tsv")
IMAGE_COLUMNS = (
    "image image_id image_name imageid filename file_name file filepath file_path path image_path "
    "img img_name id id_code fname images"
).split()
LABEL_COLUMNS = (
    "label labels class class_name classname label_name category target breed diagnosis dx species "
    "class_id classid label_id"
).split()
SPLIT_COLUMNS = ("split", "set", "subset", "partition")
LEFT_OUT = re.compile(r"sample_?submission", re.IGNORECASE)
NO_CLASS = ("", "nan")  # as pandas reads and writes an empty cell
FLAGS = {"0", "1", "0.0", "1.0"}
MOST_DOCUMENTS = 12
LOOKED_AT = 20  # rows that tell what the columns hold
SEPARATORS = "|;, "  # between the classes of an image that has several


def matches(location):
    """Whether a table at the top, or one folder below, has a column of files and one of classes.

    Images with masks that have such a table are read for their masks.
    """
    folders = splits.split_folders(Reading(location.tree), location.file, "mask")
    masks = any(splits.mask_folder(location.tree, folder) for folder in folders.values())
    return not masks and bool(_tables(location))


def read(location, annotation):
    """The classes of the table, and all images for colorization."""
    reading = Reading(location.tree)
    if annotation == "none":
        common.images_only(reading, splits.split_folders(reading, location.file, annotation))
        reading.summary = f"{TITLE}, not needed: {common.splits_of(reading.splits)}"
        return reading
    rows, sources = [], _tables(location)
    for source in sources:
        try:
            rows += [(source, *row) for row in _rows(reading, source, location.file)]
        except DataError as error:
            reading.error(error.what, source, error.fix)
    names = sorted({label for _, _, label, _ in rows}, key=_order)
    labels = {name: index for index, name in enumerate(names)}
    missing = collections.defaultdict(list)
    chosen = {}
    find = _finder(location.tree)
    for source, file, label, split in rows:
        found = find(file, split)
        if found is None:
            missing[source].append(file)
        elif chosen.setdefault(found, (label, split)) != (label, split):
            what = f"'{file}' is in the table twice, with another class or split"
            reading.error(what, source, "remove one of the lines")
    for found, (label, split) in chosen.items():
        reading.splits.setdefault(split, []).append(reading.entry(found, labels[label]))
    if list(reading.splits) == ["train"]:
        # Kaggle's train.csv: the images with labels are all there is to divide.
        reading.splits = {UNDIVIDED: reading.splits["train"]}
    for source, files in missing.items():
        reading.error(
            f"{counted(len(files), 'file')} of the table not found, or more than one of the name: "
            f"{listing(files)}",
            source,
            "add the images, or remove the lines",
            skippable=True,
        )
    unlisted = len(location.tree.images) - len(chosen)
    if chosen and unlisted:
        common.note(reading, f"{counted(unlisted, 'image')} in no table left out")
    if len(reading.splits) > 1 and UNDIVIDED in reading.splits:
        reading.error("tables with and without a split", sources[0], "name them train, val, test")
    reading.class_names = tuple(names)
    found_in = f"{len(names)} classes from {reading.summary}; " if rows else ""
    reading.summary = f"{TITLE}: {found_in}{common.splits_of(reading.splits)}"
    return reading


def _tables(location):
    """Names of the tables with labels whose images do not lie in folders of their classes."""
    tree = location.tree
    if location.file.labels_csv:
        return [location.file.labels_csv]
    found = candidates(tree)
    if not found or len(found) > MOST_DOCUMENTS:
        return []
    folders = {name.rsplit("/", 1)[-1] for name in tree.folders if tree.count(name)}
    return [
        name
        for name in found
        if _has_labels(common.head(location.tree, name), folders, location.file)
    ]


def candidates(tree) -> list[str]:
    """Names of the tables at the top and one folder below, without samples of submissions."""
    found = [name for name in tree.documents if name.lower().endswith(SUFFIXES)]
    return [name for name in found if name.count("/") < 2 and not LEFT_OUT.search(name)]


def _has_labels(head, folders, file):
    lines = head.splitlines()
    if len(head) >= common.HEAD:
        lines.pop()  # cut in the middle
    try:
        table = common.rows_of(lines)
        images, labels = _columns(table, file)
    except DataError:
        return False
    values = {row[label] for row in table for label in labels}
    return bool(images and labels) and not values & folders


def _columns(table, file):
    """Columns that may name the file, and those that may be the class; both may be empty.

    Raises DataError if dataset.toml names one that is not there.
    """
    keys = [key for key in table[0] if key] if table else []
    for key, column in file.columns.items():
        if column not in keys:
            raise DataError(
                f"no column '{column}', only {listing(keys, 20)}", fix=f"correct '{key}'"
            )
    named = file.columns.get("image_column"), file.columns.get("label_column")
    images = [key for key in keys if key.lower() in IMAGE_COLUMNS and key != named[1]]
    images = [named[0]] if named[0] else images
    if named[1]:
        return images, [named[1]]
    labels = [key for key in keys if key.lower() in LABEL_COLUMNS and key not in images]
    return images, labels or _flags(table, images)


def _unknown_columns(tree, table):
    """DataError about a table of which dataset.toml must name the columns."""
    keys, find = [key for key in table[0] if key], _finder(tree)
    if any(find(key, None) for key in keys):
        fix = "add a line such as: image,label"
        return DataError("the first line names no columns, but a file", fix=fix)
    files = [key for key in keys if any(find(row[key], None) for row in table[:LOOKED_AT])]
    others = " or ".join(f'label_column = "{key}"' for key in keys if key not in files)
    lines = (
        f'image_column = "{files[0]}" and {others}'
        if files
        else "image_column = ..., label_column = ..."
    )
    what = f"no usual names of columns for files and classes: {listing(keys, 20)}"
    return DataError(what, fix=f"put into dataset.toml: {lines}")


def _flags(table, images):
    """The columns of a table with one column of 0 and 1 per class; empty if it has another form."""
    keys = [key for key in table[0] if key and key not in images] if table else []
    if len(keys) < 2 or not all(row[key] in FLAGS for row in table for key in keys):
        return []
    return keys


def _rows(reading, source, file):
    """(file, class, split) of each row of a table."""
    table = common.read_table(reading, source)
    images, labels = _columns(table, file)
    if not images or not labels:
        raise _unknown_columns(reading.tree, table)
    column, classes = _classes(table, labels, file)
    usual = next((key for key in table[0] if key.lower() in SPLIT_COLUMNS), None)
    split_column = file.columns.get("split_column", usual)
    folder, _, last = source.lower().rpartition("/")
    words = re.findall(r"[a-z]+", f"{last} {folder}")
    split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), UNDIVIDED)
    image = _file_column(reading.tree, table, images, split)
    reading.summary += f"{', ' if reading.summary else ''}{column} of {source}"
    rows = []
    for row, label in zip(table, classes, strict=True):
        if split_column:
            split = SPLIT_NAMES.get(row[split_column].lower())
            if split is None:
                raise DataError(
                    f"split '{row[split_column]}' is none of train, val, test",
                    fix=f"correct the column '{split_column}'",
                )
        rows.append((row[image], label, split))
    return rows


def _classes(table, labels, file):
    """Column and the class of each row. Raises DataError if two columns tell different ones."""
    if "label_column" not in file.columns and not any(
        label.lower() in LABEL_COLUMNS for label in labels
    ):
        flags = [[label for label in labels if float(row[label])] for row in table]
        several = next((place for place, names in enumerate(flags) if len(names) != 1), None)
        if several is not None:
            what = f"row {several + 2} is in {len(flags[several])} classes, 1 is expected"
            raise DataError(what, fix="leave the row out")
        return "columns", [names[0] for names in flags]
    columns = {label: [row[label] for row in table] for label in labels}
    first, *others = columns.values()
    for other in others:
        pairs = len(set(zip(first, other, strict=True)))
        if not pairs == len(set(first)) == len(set(other)):
            names = " and ".join(f"'{label}'" for label in labels)
            lines = " or ".join(f'label_column = "{label}"' for label in labels)
            raise DataError(
                f"the columns {names} could be the class", fix=f"put into dataset.toml: {lines}"
            )
    empty = next((place for place, value in enumerate(first) if value.lower() in NO_CLASS), None)
    if empty is not None:
        raise DataError(f"row {empty + 2} has no class", fix="add it or remove the row")
    if any("." in value and value.replace(".", "").isdigit() for value in first):
        what = f"the column '{labels[0]}' holds measurements, no classes"
        raise DataError(what, fix="name another one in dataset.toml: label_column = ...")
    if "label_column" not in file.columns:
        _ask_about_values(labels[0], first)
    # Columns that say the same: names rather than numbers.
    return min(columns.items(), key=lambda item: all(value.isdigit() for value in item[1]))


def _ask_about_values(column, values):
    """Raises DataError where a column seems to hold several classes per row, or no classes."""
    known = dict.fromkeys(values)  # a set in the order of the rows
    for value in known:
        for separator in SEPARATORS:
            parts = [part.strip() for part in value.split(separator)]
            if len(parts) > 1 and any(part in known for part in parts) and all(parts):
                if separator == " " and not all(part in known for part in parts):
                    continue
                what = (
                    f"row {values.index(value) + 2} has several classes: '{value}', 1 is expected"
                )
                fix = "leave such rows out, or, if each combination is a class, put into "
                raise DataError(what, fix=f'{fix}dataset.toml: label_column = "{column}"')
    if len(values) > LOOKED_AT and 2 * len(known) > len(values):
        what = f"the column '{column}' holds {len(known)} values in {len(values)} rows"
        fix = "name another column in dataset.toml, or this one if these are classes: "
        raise DataError(what, fix=f'{fix}label_column = "{column}"')


def _file_column(tree, table, images, split):
    """The column that names the files. Raises DataError if two name different ones."""
    find = _finder(tree)
    head = table[:LOOKED_AT]
    found = {key: [find(row[key], split) for row in head] for key in images}
    sound = [key for key, files in found.items() if any(files)]
    if len({tuple(found[key]) for key in sound}) > 1:
        names = " and ".join(f"'{key}'" for key in sound)
        lines = " or ".join(f'image_column = "{key}"' for key in sound)
        fix = f"put into dataset.toml: {lines}"
        raise DataError(f"the columns {names} name different files", fix=fix)
    return (sound or images)[0]


def _finder(tree):
    """Function (name, split) -> the file of a name, with suffix or without, or None."""
    by_stem = collections.defaultdict(list)
    for file in tree.images:
        by_stem[pairing.stem(file.rsplit("/", 1)[-1])].append(file)

    def find(name, split):
        name = unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))
        if common.has(tree.images, name):
            return name
        parts = name.split("/")
        tails = ("/".join(parts[start:]) for start in range(1, len(parts) - 1))
        if found := next((tail for tail in tails if common.has(tree.images, tail)), None):
            return found
        folders, _, last = name.rpartition("/")
        stem = pairing.stem(last) if relations.has_image_suffix(last) else last
        same, named = by_stem.get(last) or by_stem.get(stem, []), _splits_in(folders)
        if named:  # train/a.jpg is not test/a.jpg
            same = [file for file in same if (_splits_in(file.rpartition("/")[0]) or named) & named]
        if len(same) > 1:
            same = [file for file in same if file.endswith("/" + name)] or [
                file
                for file in same
                if any(SPLIT_NAMES.get(part.lower()) == split for part in file.split("/")[:-1])
            ]
        return same[0] if len(same) == 1 else None

    return find


def tells_classes(tree, names: list[str]) -> str | None:
    """The table that lists the images and may hold their classes, which class folders do not.

    Some column finds files, another one repeats words or flags, and none holds the names of the
    class folders.
    """
    found = candidates(tree)
    if not found or len(found) > MOST_DOCUMENTS:
        return None
    find = _finder(tree)
    return next((name for name in found if _may_tell(tree, name, find, set(names))), None)


def _may_tell(tree, name, find, classes):
    lines = common.head(tree, name).splitlines()[: LOOKED_AT + 1]
    try:
        table = common.rows_of(lines)
    except DataError:
        return False
    columns = {key: [row[key] or "" for row in table] for key in (table[0] if table else ()) if key}
    files = [key for key, cells in columns.items() if any(find(cell, None) for cell in cells)]
    if not files or any(classes & {*cells} for cells in columns.values()):
        return False
    others = [cells for key, cells in columns.items() if key not in files]
    others = [cells for cells in others if not {*map(str.lower, cells)} & SPLIT_NAMES.keys()]
    return any(
        1 < len({*cells}) <= len(cells) / 2
        and all(cell in FLAGS | {"", "-1.0"} or cell.isalpha() for cell in cells)
        for cells in others
    )


def _splits_in(folders):
    """The splits that the names of some folders say."""
    return {SPLIT_NAMES[part] for part in folders.lower().split("/") if part in SPLIT_NAMES}


def _order(name):
    """Numbers by their value, then names by code point."""
    return (0, int(name), "") if name.isdigit() else (1, 0, name)
