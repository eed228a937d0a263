"""The words of `--grid`: which values a sweep tries, and what the runs are called.

    KEY=VALUE,VALUE,...      values separated by commas
    KEY=VALUE;VALUE;...      separated by semicolons, where a value itself holds commas

A value is read as TOML, else as text, as in `--set`. Where the key takes a list of numbers, such as
`skips`, neighboring numbers between commas are one list: `skips=all,none,1,2` is "all", "none" and
[1, 2]. That is what a shell leaves of `skips=all,none,"1,2"`, whose quotes it removes. Several
lists: `skips=1,2;3,4`, `skips=[1,2],[3,4]`, or the option repeated.
"""

import dataclasses
import hashlib
import json
import re
import tomllib
import typing

from kerasdl.core.errors import ConfigError
from kerasdl.runs.config import Config

# Options of networks whose value is a list of numbers; other lists are written in brackets.
LIST_OPTIONS = ("skips",)


def parse(assignments):
    """{key: [value, ...]} from the words of `--grid`; a key given again adds its values.

    Raises:
        ConfigError: An assignment is not of the form key=values, or a value is empty.
    """
    grid = {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        key = key.strip()
        if not separator or not key:
            raise ConfigError(f"'{assignment}' is not of the form key=value,value")
        known = grid.setdefault(key, [])
        for value in values(key, text):
            if value not in known:
                known.append(value)
    return grid


def values(key, text):
    """The values that a text such as "all,none,1,2" stands for, see the head of this module."""
    is_list = takes_list(key)
    separator = ";" if len(split(text, ";")) > 1 else ","
    found, number_list = [], None
    for part in split(text, separator):
        if not part:
            raise ConfigError(f"an empty value in the grid '{key}={text}'")
        value = _value(part)
        if not is_list:
            found.append(value)
            continue
        if isinstance(value, str) and re.fullmatch(r"\d+(\s*,\s*\d+)*", value):
            value = [int(number) for number in value.split(",")]  # "1,2" in quotes, or between ;
        elif type(value) is int:
            value = [value]
            if separator == "," and found and found[-1] is number_list:
                number_list += value
                continue
            number_list = value
        found.append(value)
    return found


def split(text, separator):
    """Parts of a text between separators that stand outside of brackets and quotes."""
    parts, quote, depth, start = [], "", 0, 0
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def takes_list(key):
    """Whether the key's values are lists of numbers."""
    field = Config.__dataclass_fields__.get(key)
    # An image size is two numbers too, but one stands for both, and two are written 48x64.
    if field is not None and key != "image_size":
        return typing.get_origin(field.type) is tuple
    return key.rpartition(".")[2] in LIST_OPTIONS


def _value(part):
    try:
        return tomllib.loads(f"value = {part}")["value"]
    except tomllib.TOMLDecodeError:
        return part


@dataclasses.dataclass(frozen=True)
class Cell:
    """One combination of the grid's values; its runs differ in the seed only.

    Attributes:
        name: Name of its folder, such as "skips-none".
        label: Name for people, such as "skips none".
        settings: {key as written: value}.
        values: Configuration keys and values, the seed left out.
    """

    name: str
    label: str
    settings: dict
    values: dict


def folder_name(settings):
    """Folder of a cell: "skips-1-2_model-unet"; a hash is added where a value was shortened."""
    parts = []
    for key, value in settings.items():
        told = "-".join(map(str, value)) if isinstance(value, list) else str(value)
        clean = re.sub(r"[^A-Za-z0-9.+-]+", "-", told).strip("-.")[:40]
        if clean != told:
            exact = json.dumps(value, sort_keys=True, default=str)
            clean = f"{clean}-{hashlib.sha256(exact.encode()).hexdigest()[:6]}".lstrip("-")
        parts.append(f"{key.rpartition('.')[2]}-{clean}")
    return "_".join(parts)
