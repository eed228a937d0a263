"""The optional `dataset.toml` (or `classes.txt`) at the top of a data folder.

All keys are optional. `names`, `nc`, `path`, `train`, `val`, `test`, `label_mapping` and
`ignore_label` mean what they mean in an Ultralytics data file, so that they can be copied (as
TOML):

    names = ["background", "cat"]        # or a table: names = { 0 = "background", 1 = "cat" }
    nc = 2                               # number of names, compared with them
    palette = ["#000000", [220, 20, 60]] # one color per class: for drawing and for color masks
    ignore_label = 255                   # stored mask value(s) left out of loss and metrics
    mask_values = { 0 = 0, 255 = 1 }     # stored value or "#rrggbb" = class index, name or "ignore"
    label_mapping = { 7 = 0, 8 = 1 }     # the same for values; may be used instead
    path = "."                           # where train, val and test start, within this folder
    train = "images/train"               # folders of images, where the names are unusual
    val = "images/val"
    test = "images/test"
    images = "photos"                    # folder of images and folder of masks, within this one
    masks = "annotations/trimaps"
    image_suffix = "_leftImg8bit"        # what the names of the files end with, before ".png"
    mask_suffix = "_gtFine_labelIds"
    split_files = { train = "train.txt", val = "val.txt" }  # lists of names
    labels_csv = "labels.csv"            # table: file, label and perhaps split
    image_column = "Photo"               # its columns, where their names are unusual
    label_column = "Animal"
    split_column = "Part"
    threshold = 128                      # masks from this gray value on are class 1, below it 0
    mask_channel = "alpha"               # red, green, blue or alpha: where the masks hold values
    layout = "voc"                       # the layout by name, where the files could mean two
    license = "CC BY 4.0"
    source = "https://example.org/cats"

With `mask_values` every stored value that is not named is an error. A `classes.txt` holds one name
per line, in the order of the class indices; a last line such as "void" or "Unlabeled" names the
value that is ignored and is no class.
"""

import dataclasses
import pathlib
import tomllib

from kerasdl.core.errors import ConfigError, suggest
from kerasdl.data.folder import dataset_values
from kerasdl.data.folder.dataset_values import VOID_NAMES

FILE_NAME = "dataset.toml"
NAMES_FILE = "classes.txt"
COLUMN_KEYS = ("image_column", "label_column", "split_column")
KEYS = (
    "names",
    "nc",
    "palette",
    "ignore_label",
    "mask_values",
    "label_mapping",
    "path",
    "train",
    "val",
    "test",
    "license",
    "source",
    "layout",
    "images",
    "masks",
    "image_suffix",
    "mask_suffix",
    "split_files",
    "labels_csv",
    *COLUMN_KEYS,
    "threshold",
    "mask_channel",
)
SPLIT_KEYS = {"train": "train", "val": "validation", "test": "test"}


@dataclasses.dataclass(frozen=True)
class DatasetFile:
    """What the owner of a data folder says about it.

    Attributes:
        path: The file read, or None where there is none.
        names: Class names in the order of the indices; empty if not named.
        palette: One (red, green, blue) per class; empty if not given.
        ignore: Stored mask values that are left out of loss and metrics.
        values: Stored mask value -> class index, or "ignore".
        colors: Color (red, green, blue) in a mask -> class index, or "ignore".
        folders: Folder of images, relative to the data folder, per split; empty if not named.
        license: License or terms of use.
        source: Where the data come from.
        layout: Name of the layout to read the folder by; empty: the one its files show.
        images, masks: Folders of images and masks; empty: by their usual names.
        image_suffix, mask_suffix: What their names end with, before the file's suffix.
        split_files: List of names per split, relative to the data folder.
        labels_csv: Table of labels, relative to the data folder.
        columns: Column of the table per key of `COLUMN_KEYS`.
        threshold: Masks from this gray value on are class 1; None: the values count.
        channel: Channel of the masks that holds the values; empty: all of them together.
    """

    path: pathlib.Path | None = None
    names: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    ignore: tuple[int, ...] = ()
    values: dict[int, int | str] = dataclasses.field(default_factory=dict)
    colors: dict[tuple[int, int, int], int | str] = dataclasses.field(default_factory=dict)
    folders: dict[str, str] = dataclasses.field(default_factory=dict)
    license: str = ""
    source: str = ""
    layout: str = ""
    images: str = ""
    masks: str = ""
    image_suffix: str = ""
    mask_suffix: str = ""
    split_files: dict[str, str] = dataclasses.field(default_factory=dict)
    labels_csv: str = ""
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    threshold: int | None = None
    channel: str = ""

    @property
    def describes_folders(self):
        """Whether it says itself where the samples lie, so that no layout is looked for."""
        named = (self.images, self.masks, self.image_suffix, self.mask_suffix, self.labels_csv)
        return any(named) or bool(self.folders) or bool(self.split_files)

    @property
    def describes_classes(self):
        """Whether it says what the values of masks mean."""
        said = (self.names, self.values, self.colors, self.channel)
        return any(said) or self.threshold is not None


def read(folder):
    """DatasetFile of a data folder. Raises ConfigError naming the file and the key."""
    folder = pathlib.Path(folder)
    names, ignore = read_names(folder / NAMES_FILE)
    path = folder / FILE_NAME
    if not path.is_file():
        return DatasetFile(path=None, names=names, ignore=ignore)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", path) from error
    except OSError as error:
        raise ConfigError(f"file cannot be read: {error.strerror}", path) from error
    return _parse(values, path, names, ignore)


def read_names(path):
    """Class names and ignored values from a file with one name per line; both may be empty."""
    if not path.is_file():
        return (), ()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"class names cannot be read: {error}", path) from error
    names = [line.strip() for line in lines if line.strip()]
    ignore = ()
    if len(names) > 1 and names[-1].casefold() in VOID_NAMES:
        # An ignored name before the last keeps its index, or all others would change theirs.
        ignore = (len(names) - 1,)
        names = names[:-1]
    return _checked_names(names, path), ignore


def _parse(values, path, names, ignore):
    """DatasetFile from the mapping that a file holds; `names` and `ignore` come from elsewhere."""
    for key in values:
        if key not in KEYS:
            error = suggest("key", key, KEYS)
            raise ConfigError(error.what, path, error.fix)
    if "names" in values:
        names, ignore = _names(values["names"], path), ()
    if values.get("nc", len(names)) != len(names):
        raise ConfigError(
            f"'nc' is {values['nc']!r}, but there are {len(names)} names", path, "leave 'nc' out"
        )
    if "ignore_label" in values:
        ignore = dataset_values.ignore(values["ignore_label"], path)
    stored, colors = {}, {}
    for key in ("label_mapping", "mask_values"):
        dataset_values.mapping(values.get(key, {}), key, names, path, stored, colors)
    palette = dataset_values.palette(values.get("palette", []), names, path)
    folders = {}
    base = dataset_values.text(values, "path", path) or "."
    if ".." in base.split("/") or base.startswith("/"):
        raise ConfigError(
            f"'path' must lie within the data folder, received {base!r}",
            path,
            "leave it out: folders are relative to dataset.toml",
        )
    for key, split in SPLIT_KEYS.items():
        if key in values:
            folders[split] = _inside(base, dataset_values.text(values, key, path), key, path)
    return DatasetFile(
        path=path,
        names=names,
        palette=palette,
        ignore=ignore,
        values=stored,
        colors=colors,
        folders=folders,
        license=dataset_values.text(values, "license", path),
        source=dataset_values.text(values, "source", path),
        layout=dataset_values.text(values, "layout", path),
        images=_inside(".", dataset_values.text(values, "images", path), "images", path),
        masks=_inside(".", dataset_values.text(values, "masks", path), "masks", path),
        image_suffix=dataset_values.text(values, "image_suffix", path),
        mask_suffix=dataset_values.text(values, "mask_suffix", path),
        split_files=_split_files(values.get("split_files", {}), path),
        labels_csv=_inside(
            ".", dataset_values.text(values, "labels_csv", path), "labels_csv", path
        ),
        columns={
            key: dataset_values.text(values, key, path) for key in COLUMN_KEYS if key in values
        },
        threshold=dataset_values.threshold(values, path),
        channel=dataset_values.channel(values, path),
    )


def _split_files(table, path):
    """List of names per split from the table `split_files`."""
    if not isinstance(table, dict) or not table.keys() <= SPLIT_KEYS.keys():
        raise ConfigError(
            "'split_files' must be a table of train, val and test",
            path,
            'such as { train = "train.txt", val = "val.txt" }',
        )
    return {
        SPLIT_KEYS[key]: _inside(
            ".", dataset_values.text(table, key, path), f"split_files.{key}", path
        )
        for key in table
    }


def _inside(base, folder, key, path):
    """Relative folder of a split; outside the data folder nothing is read."""
    parts = [part for part in (*base.split("/"), *folder.split("/")) if part not in ("", ".")]
    if ".." in parts or folder.startswith("/"):
        raise ConfigError(
            f"'{key}' must lie within the data folder, received {folder!r}",
            path,
            "give the folder relative to dataset.toml, without '..'",
        )
    return "/".join(parts)


def _checked_names(names, path):
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"'names' must be a list of texts, received {names!r}", path)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"class name '{repeated[0]}' is given twice", path)
    return tuple(names)


def _names(value, path):
    """Names from a list, or from a table index = name whose indices are 0, 1, 2, ..."""
    if isinstance(value, dict):
        expected = [str(index) for index in range(len(value))]
        if sorted(value) != sorted(expected):
            raise ConfigError(
                f"the indices of 'names' must be 0 to {len(value) - 1}, received "
                + ", ".join(value),
                path,
            )
        value = [value[index] for index in expected]
    if not isinstance(value, list):
        raise ConfigError(f"'names' must be a list of texts, received {value!r}", path)
    return _checked_names(value, path)
