"""Data sets by name: the embedded `scenes`, a folder or .npz file, or `tfds:NAME`.

`SOURCES` says everything about each kind that can be said without NumPy. The first source that
matches what the user wrote is the one; a folder has the layout that its files show.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasdl.core import files, registry
from kerasdl.core.errors import ConfigError, DataError, suggest
from kerasdl.data.location import Location
from kerasdl.data.sources import ANNOTATIONS, SOURCES, SourceSpec, path_name

if TYPE_CHECKING:
    from kerasdl.data.base import Dataset, Settings
    from kerasdl.data.inspect.check import Report

__all__ = ["ANNOTATIONS", "SOURCES", "Location", "SourceSpec", "path_name"]

_WAYS_ON = {
    "label": ("no class per image", "use --task segmentation or colorization"),
    "mask": ("no masks", "use --task classification or colorization"),
}
_PLAIN = 'or, if the folder is something else, put into dataset.toml: layout = "folders"'


def locate(text: str | os.PathLike, annotation: str | None = None) -> Location:
    """Where a data set lies and, as `source`, what kind it is.

    Args:
        text: What the user wrote.
        annotation: "label", "mask" or "none" where it is known what the samples must hold.

    Raises:
        DataError: There is no such data set, it does not hold the annotation, or its files could
            mean two things.
        ConfigError: The folder's dataset.toml is wrong.
    """
    location = Location(text)
    named = _by_text(location)
    if named is None:
        _require_path(location)
        named = _layout(location, annotation)
    location.source = named
    return location


def load(config: "Settings", annotation: str, location: Location | None = None) -> "Dataset":
    """The data set that a configuration names.

    Args:
        config: Its key `data` names the set, the others are the settings of `SourceSpec.load`.
        annotation: What its samples must hold: "label", "mask" or "none".
        location: What `locate` gave, if it was called before.

    Returns:
        `kerasdl.data.base.Dataset`; its splits hold at most `train_size`, `validation_size` and
        `test_size` samples where these are set.

    Raises:
        DataError: There is no such data set, or it cannot be used so as it is.
    """
    location = location or locate(config.data, annotation)
    return registry.load(location.source.load)(location, annotation, config)


def check(
    config: "Settings",
    annotation: str,
    quick: bool = False,
    location: Location | None = None,
    dataset: "Dataset | None" = None,
) -> "Report":
    """`kerasdl.data.inspect.check.Report` of the data set that a configuration names.

    Nothing that is wrong with the data raises; it becomes a finding.

    Args:
        config: As for `load`.
        annotation: What its samples must hold: "label", "mask" or "none".
        quick: Only what takes moments.
        location, dataset: What `locate` and `load` gave, if they were called before.
    """
    from kerasdl.data.inspect import check as checking

    return checking.check(config, annotation, quick, location, dataset)


def require(text: str) -> None:
    """Raises DataError unless there is a path of that name or a source that needs none."""
    location = Location(text)
    source = _by_text(location)
    if source is None or source.files:
        _require_path(location)


def short_name(text: str) -> str:
    """Name of a data set for run folders: "scenes", "camvid", "cifar10"."""
    location = Location(text)
    source = _by_text(location)
    return path_name(location) if source is None else registry.load(source.short_name)(location)


def on_disk(text: str) -> str | None:
    """Absolute path of a data set that lies on the disk, None for others."""
    location = Location(text)
    source = _by_text(location)
    return str(location.path) if source is None or source.files else None


def absolute(text: str) -> str:
    """The text with a path that exists made absolute, so that it means the same everywhere."""
    path = on_disk(text)
    return path if path is not None and os.path.exists(path) else text


def annotations(text: str) -> tuple[str, ...]:
    """What the samples of a data set seem to hold, the most telling first.

    Layouts know; plain folders hold masks where there is a mask folder, labels where there are
    other folders, else images alone. A path that does not exist counts as labels.
    """
    location = Location(text)
    source = _by_text(location)
    if source is not None:
        return source.annotations
    if not location.is_folder:
        return ANNOTATIONS
    source = _layout(location, None)
    if source is not SOURCES["folders"]:
        return source.annotations
    from kerasdl.data.folder.layouts import folders

    return folders.annotations(location)


def is_drawn(text: str) -> bool:
    """Whether the images are drawn at the size asked for instead of read."""
    source = _by_text(Location(text))
    return source is not None and source.drawn


def forms() -> tuple[str, ...]:
    """How data sets are written on the command line, for help."""
    return tuple(dict.fromkeys(source.form for source in SOURCES.values()))


def _by_text(location: Location) -> SourceSpec | None:
    """The source that the text alone tells, or None: a folder."""
    for source in SOURCES.values():
        if not source.layout and registry.load(source.matches)(location):
            return source
    return None


def _require_path(location: Location) -> None:
    """Raises DataError unless the path exists."""
    if location.path.exists():
        return
    if location.path.name == location.text and not location.path.suffix:
        error = suggest("data", location.text, forms())
        raise DataError(error.what, fix=f"{error.fix}; there is no folder of that name either")
    raise DataError("no such file or folder", location.path)


def _layout(location: Location, annotation: str | None) -> SourceSpec:
    """The layout of a folder. Raises DataError if two could be meant."""
    from kerasdl.data.folder import nested

    found = _layout_here(location, annotation)
    if found is SOURCES["folders"] or location.file.describes_folders:
        inner = nested.inner(location.tree, location.file)
        if inner is not None:
            location.enter(inner)
            return _layout_here(location, annotation)
    return found


def _layout_here(location: Location, annotation: str | None) -> SourceSpec:
    """The layout of a folder as it lies, without a look into its only folder."""
    plain = SOURCES["folders"]
    file = location.file
    layouts = {source.name: source for source in SOURCES.values() if source.layout}
    if file.layout:
        if file.layout not in layouts:
            error = suggest("layout", file.layout, layouts)
            raise ConfigError(error.what, file.path, error.fix)
        return _serving(location, layouts[file.layout], annotation)
    if file.labels_csv and annotation != "mask":
        return layouts["tables"]
    if file.describes_folders:
        return plain
    found = [
        source
        for source in layouts.values()
        if source is not plain and registry.load(source.matches)(location)
    ]
    passed = {name for source in found for name in source.over}
    found = [source for source in found if source.name not in passed]
    if annotation is not None:
        found = [source for source in found if annotation in source.annotations] or found
    if len(found) > 1:
        lines = " or ".join(f'layout = "{source.name}" ({source.label})' for source in found)
        raise DataError(
            "the folder can be read in two ways", location.path, f"put into dataset.toml: {lines}"
        )
    return _serving(location, found[0], annotation) if found else plain


def _serving(location: Location, source: SourceSpec, annotation: str | None) -> SourceSpec:
    """The source, if its samples hold the annotation. Raises DataError with the way on."""
    if annotation is None or annotation in source.annotations:
        return source
    what, fix = _WAYS_ON[annotation]
    raise DataError(f"{source.label}: {what}", location.path, f"{fix}, {_PLAIN}")


def read_class_weights(path: str | os.PathLike[str], class_names: Sequence[str]) -> list[float]:
    """One weight per class from a TOML file of lines `class name = weight`.

    Raises:
        ConfigError: The file cannot be read, names an unknown class or leaves one out, or a weight
            is not a number of 0 or more.
    """
    values = files.read_toml(path)
    for name in values:
        if name not in class_names:
            raise suggest("class", name, class_names)
    missing = [name for name in class_names if name not in values]
    if missing:
        raise ConfigError(
            f"no weight for class '{missing[0]}'", path, f'add the line "{missing[0]}" = 1.0'
        )
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise ConfigError(f"the weight of class '{name}' is {value!r}", path, "0 or more")
    return [float(values[name]) for name in class_names]
