"""Parses `--grid`: the values a sweep tries, and the names of its runs.

    KEY=VALUE,VALUE,...

A value is read as TOML, else as text, as in `--set`; commas within brackets or quotes do not
separate: `skips=all,none,[1,2]` is "all", "none" and [1, 2].
"""

import dataclasses
import hashlib
import json
import re
import tomllib

from kerasdl.core.errors import ConfigError


def parse(assignments):
    """{key: [value, ...]} from the arguments of `--grid`; repeating a key adds values.

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
    """The values in a text such as "all,none,[1,2]"."""
    parts = _split(text)
    if "" in parts:
        raise ConfigError(f"empty value in the grid '{key}={text}'")
    return [_value(part) for part in parts]


def _split(text):
    """Parts of a text between commas outside brackets and quotes."""
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
        elif character == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def _value(part):
    try:
        return tomllib.loads(f"value = {part}")["value"]
    except tomllib.TOMLDecodeError:
        return part


@dataclasses.dataclass(frozen=True)
class Cell:
    """One combination of the grid's values; its runs differ only in the seed.

    Attributes:
        name: Name of its folder, such as "skips-none".
        label: Display name, such as "skips none".
        settings: {key as written: value}.
        values: Configuration keys and values, the seed left out.
    """

    name: str
    label: str
    settings: dict
    values: dict


def folder_name(settings):
    """Folder of a cell: "skips-1-2_model-unet"; with a hash if a value was shortened."""
    parts = []
    for key, value in settings.items():
        text = "-".join(map(str, value)) if isinstance(value, list) else str(value)
        clean = re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-.")[:40]
        if clean != text:
            exact = json.dumps(value, sort_keys=True, default=str)
            clean = f"{clean}-{hashlib.sha256(exact.encode()).hexdigest()[:6]}".lstrip("-")
        parts.append(f"{key.rpartition('.')[2]}-{clean}")
    return "_".join(parts)
