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
import re
import tomllib

from kerasdl.core.errors import ConfigError, suggest

FILE_NAME = "dataset.toml"
NAMES_FILE = "classes.txt"
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
    "threshold",
    "mask_channel",
)
CHANNELS = ("red", "green", "blue", "alpha")
VOID_NAMES = ("void", "unlabelled", "unlabeled", "ignore", "ignored", "ignore_label")
SPLIT_KEYS = {"train": "train", "val": "validation", "test": "test"}
IGNORE = "ignore"
MOST_CLASSES = 255  # masks are uint8, and one value is kept for what is ignored


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


def parse_color(value):
    """(red, green, blue) from "#rrggbb", "r,g,b" or [r, g, b]; None if it is no color."""
    if isinstance(value, str):
        if re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            return tuple(bytes.fromhex(value[1:]))
        value = [int(part) for part in value.split(",") if part.strip().isdigit()]
    if not isinstance(value, list) or len(value) != 3:
        return None
    if not all(type(part) is int and 0 <= part <= 255 for part in value):
        return None
    return tuple(value)


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
        ignore = _ignore(values["ignore_label"], path)
    stored, colors = {}, {}
    for key in ("label_mapping", "mask_values"):
        _mapping(values.get(key, {}), key, names, path, stored, colors)
    palette = _palette(values.get("palette", []), names, path)
    folders = {}
    base = _text(values, "path", path) or "."
    if ".." in base.split("/") or base.startswith("/"):
        raise ConfigError(
            f"'path' must lie within the data folder, received {base!r}",
            path,
            "leave it out: folders are relative to dataset.toml",
        )
    for key, split in SPLIT_KEYS.items():
        if key in values:
            folders[split] = _inside(base, _text(values, key, path), key, path)
    return DatasetFile(
        path=path,
        names=names,
        palette=palette,
        ignore=ignore,
        values=stored,
        colors=colors,
        folders=folders,
        license=_text(values, "license", path),
        source=_text(values, "source", path),
        layout=_text(values, "layout", path),
        images=_inside(".", _text(values, "images", path), "images", path),
        masks=_inside(".", _text(values, "masks", path), "masks", path),
        image_suffix=_text(values, "image_suffix", path),
        mask_suffix=_text(values, "mask_suffix", path),
        split_files=_split_files(values.get("split_files", {}), path),
        labels_csv=_inside(".", _text(values, "labels_csv", path), "labels_csv", path),
        threshold=_threshold(values, path),
        channel=_channel(values, path),
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
        SPLIT_KEYS[key]: _inside(".", _text(table, key, path), f"split_files.{key}", path)
        for key in table
    }


def _threshold(values, path):
    value = values.get("threshold")
    if value is not None and not (type(value) is int and 1 <= value <= 255):
        raise ConfigError(f"'threshold' must be 1 to 255, received {value!r}", path)
    if value is not None and ("mask_values" in values or "label_mapping" in values):
        raise ConfigError("'threshold' and 'mask_values' exclude each other", path, "keep one")
    return value


def _channel(values, path):
    value = _text(values, "mask_channel", path)
    if value and value not in CHANNELS:
        error = suggest("mask_channel", value, CHANNELS)
        raise ConfigError(error.what, path, error.fix)
    return value


def _text(values, key, path):
    value = values.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"'{key}' must be text, received {value!r}", path)
    return value


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
    if len(names) > MOST_CLASSES:
        raise ConfigError(f"at most {MOST_CLASSES} classes, received {len(names)}", path)
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


def _ignore(value, path):
    values = value if isinstance(value, list) else [value]
    if not all(type(item) is int and 0 <= item <= 65535 for item in values):
        raise ConfigError(
            f"'ignore_label' must be a mask value or a list of them, received {value!r}", path
        )
    return tuple(values)


def _palette(value, names, path):
    colors = [parse_color(item) for item in value] if isinstance(value, list) else [None]
    if None in colors:
        raise ConfigError(
            f"'palette' must be a list of colors, received {value!r}",
            path,
            'write each color as "#rrggbb" or [red, green, blue]',
        )
    if colors and names and len(colors) != len(names):
        raise ConfigError(f"'palette' has {len(colors)} colors for {len(names)} classes", path)
    return tuple(colors)


def _mapping(table, key, names, path, stored, colors):
    """Adds the entries of `mask_values` or `label_mapping` to `stored` and `colors`."""
    if not isinstance(table, dict):
        raise ConfigError(f"'{key}' must be a table, such as {{ 0 = 0, 255 = 1 }}", path)
    for source, target in table.items():
        if isinstance(target, str) and target in names:
            target = names.index(target)
        elif isinstance(target, str) and target.casefold() in (IGNORE, *VOID_NAMES):
            target = IGNORE
        elif type(target) is int and (target == -1 or (target == 255 and len(names) < 255)):
            target = IGNORE
        if target != IGNORE and not (type(target) is int and 0 <= target < MOST_CLASSES):
            raise ConfigError(
                f"'{key}' gives {source} = {target!r}, which is no class",
                path,
                'give a class index, a class name or "ignore"',
            )
        if names and target != IGNORE and target >= len(names):
            raise ConfigError(
                f"'{key}' gives {source} = {target}, but the {len(names)} classes are "
                f"0 to {len(names) - 1}",
                path,
            )
        color = parse_color(source)
        if color is not None:
            colors[color] = target
        elif source.isdigit() and int(source) <= 65535:
            stored[int(source)] = target
        else:
            raise ConfigError(
                f"'{key}' holds '{source}', which is neither a value nor a color",
                path,
                'write values as 0 to 65535 and colors as "#rrggbb"',
            )
