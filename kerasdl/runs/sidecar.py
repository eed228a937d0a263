"""`model.json`: metadata of a model file, as plain values, from which its model is rebuilt.

`kerasdl.runs.modelfile` builds what it describes, so everything in it is checked.
"""

import json
import pathlib

from kerasdl import models
from kerasdl.backend import PRECISIONS
from kerasdl.core import files
from kerasdl.core.errors import ModelFileError
from kerasdl.runs import fields, names
from kerasdl.tasks import TASKS

# Incremented whenever an older kerasdl could misread the file.
FORMAT = 1
MAX_BYTES = 2**20


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


# Entry -> check of its value. Bounds are generous: the number of weights is checked separately.
_REQUIRED = {
    "task": fields.one_of(TASKS),
    "model": fields.one_of(models.MODELS),
    "model_args": fields.options,
    "outputs": lambda value: fields.integer(value, 1, 2**16),
    "channels": lambda value: fields.integer(value, 1, 2**16),
    "image_size": lambda value: fields.integers(value, 2, 1, 8192),
    "precision": fields.one_of([name for name in PRECISIONS if name != "auto"]),
}
_OPTIONAL = {
    "class_names": lambda value: fields.items(value, lambda name: isinstance(name, str)),
    "palette": lambda value: fields.items(value, lambda color: fields.integers(color, 3, 0, 255)),
    "target": lambda value: isinstance(value, str),
    "ignore_labels": lambda value: fields.items(value, lambda label: type(label) is int),
}
