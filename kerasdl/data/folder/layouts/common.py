"""What several layouts share: finding where a set starts, its lists, tables and masks in files."""

import bisect
import csv
import dataclasses
import functools
import json
import math
import os

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data import images
from kerasdl.data.folder import mask_advice, mask_depth
from kerasdl.data.folder.layouts import SPLITS, Entry, Reading
from kerasdl.data.inspect.findings import Finding, counted, listing, printable

MOST_DEPTH = 2  # folders above the one that a data set starts in, such as VOCdevkit/VOC2012
_MOST_VALUES = 10**6  # of a list in a MATLAB file
HEAD = 65536  # bytes of a document that tell what it is


def bases(tree, *markers: str, depth: int = MOST_DEPTH) -> list[str]:
    """Folders that hold all of some folders, such as "VOCdevkit/VOC2012"; "" is the root."""
    first = markers[0]
    found = [""] if has(tree.folders, first) else []
    for name in tree.folders:
        if name.endswith("/" + first) and name.count("/") - first.count("/") <= depth:
            found.append(name[: -len(first) - 1])
    return [base for base in found if all(has(tree.folders, join(base, m)) for m in markers)]


def has(names: list[str], name: str) -> bool:
    """Whether a sorted list holds a name."""
    place = bisect.bisect_left(names, name)
    return place < len(names) and names[place] == name


def join(*parts: str) -> str:
    """Parts of a name below the root with "/" between them; empty ones are left out."""
    return "/".join(part for part in parts if part)


def documents(tree, folder: str, ending: str = "") -> list[str]:
    """Names of the documents directly in a folder that end so."""
    start = folder + "/" if folder else ""
    first = bisect.bisect_left(tree.documents, start)
    last = bisect.bisect_left(tree.documents, folder + "0") if folder else len(tree.documents)
    names = tree.documents[first:last]
    return [name for name in names if name.endswith(ending) and "/" not in name[len(start) :]]


def one_base(reading: Reading, found: list[str], title: str) -> str | None:
    """The only folder in which the data set starts; None, with an error, if there are several."""
    if len(found) == 1:
        return found[0]
    lines = " or ".join(f"--data {reading.tree.root / base}" for base in found)
    reading.error(f"{len(found)} data sets of the form {title}", "", f"name one of them: {lines}")
    return None


def note(reading: Reading, what: str, name: str = "", fix: str = "") -> None:
    """Adds a note about a file or folder, named relative to the root."""
    path = printable(reading.tree.root / name)
    reading.findings.append(Finding("note", what, path, fix=fix))


def unserved_test(reading: Reading, folder: str) -> None:
    """Notes that a test folder has no annotations, and that it may stay where it is."""
    what = f"{counted(reading.tree.count(folder), 'image')} without masks left out"
    note(reading, what, folder, "`kerasdl predict` reads them")


def listed(
    reading: Reading,
    list_name: str,
    names: list[str],
    found: dict[str, str],
    masks: dict[str, str] | None,
    places: tuple[str, str],
) -> list[Entry]:
    """Entries of the names of a list; what the folders lack becomes a finding.

    Args:
        reading: Where findings go.
        list_name: The list, for messages.
        names: Its names.
        found: Image per name.
        masks: Mask per name, or None where none are wanted.
        places: Folders of images and of masks, for messages.
    """
    unseen = [name for name in names if name not in found]
    bare = [name for name in names if name in found and masks is not None and name not in masks]
    for missing, kind, place in ((unseen, "image", places[0]), (bare, "mask", places[1])):
        if missing:
            reading.error(
                f"{counted(len(missing), 'name')} of the list without {kind}: {listing(missing)}",
                list_name,
                f"add the {kind}s to {place}/, or remove the lines",
                skippable=True,
            )
    left_out = {*unseen, *bare}
    return [
        reading.entry(found[name], mask=None if masks is None else masks[name])
        for name in dict.fromkeys(names)
        if name not in left_out
    ]


def read_json(reading: Reading, name: str, hook=None):
    """Content of a JSON file, or None with an error."""
    try:
        text = (reading.tree.root / name).read_text(encoding="utf-8-sig")
        return json.loads(text, object_hook=hook)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        reading.error(
            f"not a JSON file that can be read: {str(error).splitlines()[0]}",
            name,
            "export or download it again",
        )
        return None


def read_rows(reading: Reading, name: str) -> list[list[str]]:
    """Words of the lines of a text file; empty lines and those after "#" are left out."""
    text = _read_text(reading, name)
    lines = (line.strip() for line in text.splitlines())
    return [line.split() for line in lines if line and not line.startswith("#")]


def read_table(reading: Reading, name: str) -> list[dict[str, str]]:
    """Rows of a CSV (or TSV, or semicolon) file by the names of their columns, stripped.

    Raises DataError if it is empty or has a line with too few or too many cells.
    """
    try:
        content = (reading.tree.root / name).read_bytes()
        text = content.decode(_encoding(content))
        if "\0" in text:
            raise UnicodeError("UTF-16 without a byte order mark")
    except OSError as error:
        raise DataError(
            f"table cannot be read: {error.strerror}", reading.tree.root / name
        ) from error
    except UnicodeError as error:
        what = "table is neither UTF-8 nor UTF-16 text"
        raise DataError(what, reading.tree.root / name, "save it as UTF-8") from error
    table = rows_of(text.splitlines())
    short = next((row for row in table if None in row or None in row.values()), None)
    if short is not None:
        what = f"line {table.index(short) + 2} has not as many cells as the first line"
        raise DataError(what, reading.tree.root / name, "correct the line")
    if not table:
        fix = "the first line names the columns"
        raise DataError("table is empty", reading.tree.root / name, fix)
    return table


def _encoding(content):
    """UTF-8, or UTF-16 where the byte order mark says so (Excel's "Unicode text")."""
    return "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


def rows_of(lines: list[str]) -> list[dict[str, str]]:
    """Rows of a table by the names of its columns; cells too many are under the key None."""
    delimiter = max(",;\t|", key=lines[0].count) if lines else ","
    rows = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        return [
            {key: value.strip() if isinstance(value, str) else value for key, value in row.items()}
            for row in rows
        ]
    except csv.Error as error:
        raise DataError(f"not a table: {error}") from error


def read_mat(path, key: str):
    """An array of a MATLAB file, flat. Raises DataError naming the file."""
    from scipy import io

    fix = "download the file again"
    try:
        sizes = {name: math.prod(shape) for name, shape, _ in io.whosmat(path)}
        # A damaged file may claim any size.
        if 0 < sizes.get(key, 0) <= _MOST_VALUES:
            return numpy.ravel(io.loadmat(path, variable_names=[key])[key])
    except Exception as error:  # the parser raises what it meets
        raise DataError(f"not a MATLAB file: {error}", path, fix) from error
    raise DataError(f"no array '{key}' of a sensible size", path, fix)


def _read_text(reading, name):
    try:
        return (reading.tree.root / name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reading.error(f"file cannot be read: {error}", name, "save it as UTF-8")
        return ""


def head(tree, name: str) -> str:
    """The first kilobytes of a document, to tell its format; empty if it cannot be read."""
    try:
        with open(tree.root / name, "rb") as file:
            start = file.read(HEAD)
            return start.decode(_encoding(start), "replace").lstrip("\ufeff")
    except OSError:
        return ""


def size_of(path: str) -> int:
    """Bytes of a file; -1 if there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


class FileMask:
    """A black and white mask in one or several files, drawn over each other.

    White is the class 1. JPEG, which blurs edges, is cut at half the range; other files hold
    nothing but 0 and 255 (or 0 and 1), by their colors, whatever the order of a palette is.

    Attributes:
        root: The data folder.
        files: Names of the files relative to it.
        threshold: Gray values from this one on are white; None: as above.
    """

    __slots__ = ("files", "root", "threshold")

    def __init__(self, root: str, *files: str, threshold: int | None = None):
        self.root = root
        self.files = files
        self.threshold = threshold

    def told(self, file):
        """The mask by what dataset.toml says of values: a threshold, or a meaning of its own."""
        if file.threshold is not None:
            return FileMask(self.root, *self.files, threshold=file.threshold)
        own = file.values or file.colors or file.channel
        return self.files[0] if own and len(self.files) == 1 else self

    @property
    def path(self) -> str:
        """The first file, for messages."""
        return os.path.join(self.root, self.files[0])

    @property
    def fingerprint_text(self) -> str:
        """Names and sizes of the files."""
        sizes = (size_of(os.path.join(self.root, file)) for file in self.files)
        return " ".join(f"{file} {size}" for file, size in zip(self.files, sizes, strict=True))

    def read(self) -> numpy.ndarray:
        """0 and 1, uint8 (height, width). Raises DataError naming the file at fault."""
        paths = (os.path.join(self.root, file) for file in self.files)
        parts = [_black_and_white(path, self.threshold) for path in paths]
        shapes = {part.shape for part in parts}
        if len(shapes) > 1:
            raise DataError("masks of one image differ in size", os.path.join(self.root, self.path))
        return functools.reduce(numpy.maximum, parts)


def _black_and_white(path, threshold=None):
    with images.open_image(path) as image:
        images.require_single(image, path)
        exact, indexed = image.format != "JPEG", image.mode == "P"
        deep = mask_depth.is_deep(image, path)
        image.load()
        upright = images.turn_upright(image, images.orientation_of(image))
        if deep:
            upright = mask_depth.whole(upright, path)
        gray = numpy.asarray(upright.convert("L"))
    if threshold is not None:
        return (gray >= threshold).astype("uint8")
    values = set(numpy.unique(gray).tolist())
    if exact and values <= {0, 1} and not indexed:
        return gray
    if exact and not values <= {0, 255}:
        smoothed = (
            f", or {mask_advice.THRESHOLD_LINE}" if min(values) < 64 and max(values) > 191 else ""
        )
        raise DataError(
            f"mask is not black and white: it holds {listing(sorted(values))}",
            path,
            "make it again from its source, without smoothing" + smoothed,
        )
    return (gray >= 128).astype("uint8")


def black_and_white(reading: Reading, entries: list[Entry]) -> list[Entry]:
    """The entries with their mask files read as black and white."""
    for entry in entries:
        entry.mask = FileMask(reading.tree.base, entry.mask)
    return entries


def images_only(reading: Reading, folders: dict[str, str]) -> None:
    """Fills in the samples without annotations from a folder per split."""
    for split, folder in folders.items():
        if reading.tree.count(folder):
            names = reading.tree.below(folder)
            reading.splits[split] = [reading.entry(join(folder, name)) for name in names]


def splits_of(splits) -> str:
    """The splits of a reading as text: "splits train, validation", or "no splits"."""
    named = [name for name in SPLITS if name in splits]
    return f"splits {', '.join(named)}" if named else "no splits"


def without(tree, left_out: set[str]):
    """The tree without some images."""
    kept = [name for name in tree.images if name not in left_out]
    return dataclasses.replace(tree, images=kept)
