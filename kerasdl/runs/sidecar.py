"""`model.json`: metadata of a model file, as plain values, from which its model is rebuilt.

`kerasdl.runs.modelfile` builds what it describes, so everything in it is checked.
"""

import json
import pathlib

from kerasdl import models
from kerasdl.backend import PRECISIONS
from kerasdl.core import files
from kerasdl.core.errors import ModelFileError
from kerasdl.runs import names
from kerasdl.tasks import TASKS

# Incremented whenever an older kerasdl could misread the file.
FORMAT = 1
MAX_BYTES = 2**20
MAX_OPTION = 4096  # maximum number in the options of a model: filters, depth, levels
MAX_OPTIONS = 64  # maximum number of options of a model, and of items of one


def write(path, sidecar):
    """Writes `model.json`, the metadata from which a model is rebuilt.

    Args:
        path: The model file, or its folder.
        sidecar: Mapping of plain JSON types: `task`, `model`, `model_args` fully resolved,
            `outputs`, `channels`, `image_size` and `precision` of the model are required;
            `class_names`, `palette`, `ignore_labels`, `target` if the task has them.

    Raises:
        ModelFileError: `open_model` would not accept the content.
        WriteError: The file cannot be written.
    """
    path = _path(path)
    sidecar = {"format": FORMAT, **sidecar}
    _check(sidecar, path)
    files.write_json(path, sidecar)


def _path(path):
    path = pathlib.Path(path)
    return (path.parent if path.is_file() else path) / names.SIDECAR


def read(path):
    """The checked content of the `model.json` of a model file or folder. Raises ModelFileError."""
    path = _path(path)
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ModelFileError(f"larger than {MAX_BYTES} bytes", path)
        sidecar = json.loads(content)
    except FileNotFoundError:
        raise ModelFileError(
            f"no {names.SIDECAR} next to the model, so it cannot be built",
            path,
            "copy it along with the model",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"damaged ({error})", path) from error
    _check(sidecar, path)
    return sidecar


def _check(sidecar, path):
    """Raises ModelFileError for the first entry that is missing or invalid."""
    if not isinstance(sidecar, dict):
        raise ModelFileError("not a JSON object", path)
    written = sidecar.get("format")
    if type(written) is not int or written < 1:
        raise ModelFileError("'format' is missing", path, "kerasdl train rewrites it")
    if written > FORMAT:
        raise ModelFileError("written by a later kerasdl", path, "upgrade kerasdl")
    for key, check in _REQUIRED.items():
        if not check(sidecar.get(key)):
            raise ModelFileError(f"'{key}' is missing or invalid", path)
    for key, check in _OPTIONAL.items():
        if key in sidecar and not check(sidecar[key]):
            raise ModelFileError(f"'{key}' is invalid", path)
    outputs, classes = sidecar["outputs"], sidecar.get("class_names")
    if classes and outputs != len(classes):
        raise ModelFileError(f"{outputs} outputs, but {len(classes)} class names", path)


def _all(values, check):
    return isinstance(values, list | tuple) and all(check(value) for value in values)


def _integer(value, low, high):
    return type(value) is int and low <= value <= high


def _integers(values, length, low, high):
    return _all(values, lambda value: _integer(value, low, high)) and len(values) == length


def _is_options(value):
    return (
        isinstance(value, dict)
        and len(value) <= MAX_OPTIONS
        and all(isinstance(key, str) for key in value)
        and all(_is_option(item) for item in value.values())
    )


def _is_option(value):
    """Whether a value may be passed to a builder: text, a bounded number, a short list of these."""
    if isinstance(value, list | tuple):
        return len(value) <= MAX_OPTIONS and all(
            not isinstance(item, list | tuple) and _is_option(item) for item in value
        )
    if isinstance(value, bool | str) or value is None:
        return True
    return isinstance(value, int | float) and abs(value) <= MAX_OPTION  # NaN is not


def _one_of(choices):
    return lambda value: isinstance(value, str) and value in choices


# Entry -> check of its value. Bounds are generous: the number of weights is checked separately.
_REQUIRED = {
    "task": _one_of(TASKS),
    "model": _one_of(models.MODELS),
    "model_args": _is_options,
    "outputs": lambda value: _integer(value, 1, 2**16),
    "channels": lambda value: _integer(value, 1, 2**16),
    "image_size": lambda value: _integers(value, 2, 1, 8192),
    "precision": _one_of([name for name in PRECISIONS if name != "auto"]),
}
_OPTIONAL = {
    "class_names": lambda value: _all(value, lambda name: isinstance(name, str)),
    "palette": lambda value: _all(value, lambda color: _integers(color, 3, 0, 255)),
    "target": lambda value: isinstance(value, str),
    "ignore_labels": lambda value: _all(value, lambda label: type(label) is int),
}
