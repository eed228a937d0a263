"""Data sets by name: the embedded `scenes`, a folder or .npz file, or `tfds:NAME`."""

import pathlib

from kerasdl.core import files
from kerasdl.core.errors import ConfigError, DataError, suggest

SOURCES = ("scenes", "FOLDER", "FILE.npz", "tfds:NAME[/CONFIG][:VERSION]")


def load(config):
    """The data set a configuration names.

    Returns:
        `kerasdl.data.base.Dataset`; its splits hold at most `train_size`, `validation_size` and
        `test_size` samples where these are set.

    Raises:
        DataError: There is no such data set, or it cannot be used for the task as it is.
    """
    if config.data == "scenes":
        from kerasdl.data.scenes import dataset as scenes

        return scenes.load(
            task=config.task,
            train_size=config.train_size,
            validation_size=config.validation_size,
            test_size=config.test_size,
            image_size=config.image_size,
        )
    if config.data.startswith("tfds:"):
        from kerasdl.data.tfds import dataset as tfds

        return tfds.load(config.data.removeprefix("tfds:"), config.task, config)
    require(config.data)
    path = pathlib.Path(config.data).expanduser()
    if path.suffix == ".npz":
        from kerasdl.data import arrays

        return arrays.load(path, config.task, config)
    from kerasdl.data.folder import dataset as folder

    return folder.load(path, config.task, config)


def require(data):
    """Raises DataError unless `data` is a path that exists, or the name of a set that has none."""
    if data == "scenes" or data.startswith("tfds:"):
        return
    path = pathlib.Path(data).expanduser()
    if path.exists():
        return
    if path.name == data and not path.suffix:
        error = suggest("data", data, SOURCES)
        raise DataError(error.what, fix=f"{error.fix}; there is no folder of that name either")
    raise DataError("no such file or folder", path)


def short_name(data):
    """Name of a data set for run folders: "scenes", "camvid", "cifar10"."""
    if data.startswith("tfds:"):
        return data.removeprefix("tfds:").partition(":")[0].replace("/", "-")
    return pathlib.Path(data).expanduser().resolve().stem or "data"


def read_class_weights(path, class_names):
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
