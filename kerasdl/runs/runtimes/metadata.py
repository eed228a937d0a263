"""What an exported file says about itself: JSON under the key "kerasdl", checked as foreign data.

It holds what prediction needs and nothing is ever run, imported or opened because of it:

| key | value |
|---|---|
| format, kerasdl | version of this table, version of kerasdl |
| task, target, loss | what the model was trained for |
| model, model_args, stride | which model it is, and the pixels per side of its coarsest feature |
| channels, outputs | last axis of input and output |
| normalization | what the input is, such as "RGB from 0 to 1" |
| image_size, resize | height and width of training, "crop" or "stretch" to them |
| size | [height, width] the file takes, or null: any multiple of the stride |
| test_time_flip | whether predictions are averaged with those of the flipped image |
| precision | of the weights: float32, float16 or int8 |
| sha256 | checksum of the file, see `checksum.py`; "" in PT2 archives |
| class_names, palette | class names, and their colors in masks |
| data, license, median_size | the training data: name, license, median height and width |
"""

import json
import re

from kerasdl.core.errors import ModelFileError
from kerasdl.runs import fields
from kerasdl.tasks import TASKS

KEY = "kerasdl"
FORMAT = 1  # incremented whenever an older kerasdl could misread the metadata
MAX_BYTES = 2**20
MAX_SIDE = 2**16
MAX_AREA = 2**24  # of what the network sees at once: a wrong size must not fill the memory
MAX_FACTOR = 64  # between the sizes of the images and those in training, as in --scale
MAX_TEXT = 4096
PRECISIONS = ("float32", "float16", "int8")
NOT_OURS = "no metadata of kerasdl in the file"
FIX = "give a file written by `kerasdl export`"


def dumps(facts):
    """The metadata as one line of JSON. Raises ModelFileError if `loads` would not accept it."""
    text = json.dumps({"format": FORMAT, **facts}, ensure_ascii=False, allow_nan=False)
    loads(text, None)
    return text


def loads(text, path):
    """The checked metadata, a dict with all keys of the table.

    Args:
        text: What was found in the file: text, bytes, or None.
        path: The file, for messages.

    Raises:
        ModelFileError: There is none, or an entry is missing or invalid.
    """
    if not text:
        raise ModelFileError(NOT_OURS, path, FIX)
    if len(text) > MAX_BYTES:
        raise ModelFileError(f"the metadata are larger than {MAX_BYTES} bytes", path)
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the metadata are damaged ({error})", path) from error
    if not isinstance(facts, dict) or not fields.integer(facts.get("format"), 1, 2**31):
        raise ModelFileError(NOT_OURS, path, FIX)
    if facts["format"] > FORMAT:
        raise ModelFileError("written by a later kerasdl", path, "upgrade kerasdl")
    facts = {**DEFAULTS, **facts}
    for key, check in CHECKS.items():
        if key not in facts or not check(facts[key]):
            raise ModelFileError(f"'{key}' of the metadata is missing or invalid", path)
    _check_together(facts, path)
    return {key: facts[key] for key in CHECKS}


def _check_together(facts, path):
    """Raises ModelFileError unless sizes fit, and classes, colors and target are the task's."""
    task, outputs = TASKS[facts["task"]], facts["outputs"]
    pairs = zip(facts["image_size"], facts["median_size"] or facts["image_size"], strict=True)
    # Images are enlarged from one to the other; making them smaller costs nothing.
    if any(want > MAX_FACTOR * have for want, have in pairs):
        raise ModelFileError("'median_size' of the metadata is far below 'image_size'", path)
    if facts["target"] not in ("", *task.targets):
        raise ModelFileError(f"a model for {task.name} has no target {facts['target']!r}", path)
    if task.classes and len(facts["class_names"]) != outputs:
        raise ModelFileError(
            f"{outputs} outputs, but {len(facts['class_names'])} class names", path
        )
    if task.annotation == "mask" and (len(facts["palette"]) != outputs or outputs > 256):
        raise ModelFileError(f"{outputs} outputs, but {len(facts['palette'])} colors", path)


def _text(value):
    return fields.text(value, MAX_TEXT)


def _size(value):
    return fields.integers(value, 2, 1, MAX_SIDE)


def _shown(value):
    return _size(value) and value[0] * value[1] <= MAX_AREA


# Key -> check of its value.
CHECKS = {
    "kerasdl": _text,
    "task": fields.one_of(TASKS),
    "target": _text,
    "loss": _text,
    "model": _text,
    "model_args": fields.options,
    "stride": lambda value: fields.integer(value, 1, MAX_SIDE),
    "channels": lambda value: fields.integer(value, 1, 2**16),
    "outputs": lambda value: fields.integer(value, 1, 2**16),
    "normalization": _text,
    "image_size": _shown,
    "resize": fields.one_of(("crop", "stretch")),
    "size": lambda value: value is None or _shown(value),
    "test_time_flip": lambda value: isinstance(value, bool),
    "precision": fields.one_of(PRECISIONS),
    "sha256": lambda value: _text(value) and re.fullmatch("|[0-9a-f]{64}", value) is not None,
    "class_names": lambda value: fields.items(value, _text),
    "palette": lambda value: fields.items(value, lambda color: fields.integers(color, 3, 0, 255)),
    "data": _text,
    "license": _text,
    "median_size": lambda value: value is None or _size(value),
}
# Entries that may be left out.
DEFAULTS = {
    "target": "",
    "loss": "",
    "sha256": "",
    "class_names": (),
    "palette": (),
    "data": "",
    "license": "",
    "median_size": None,
}
