"""Values of single keys of a `dataset.toml`, checked: colors, mask values, texts."""

import re

from kerasdl.core.errors import ConfigError, suggest

VOID_NAMES = ("void", "unlabelled", "unlabeled", "ignore", "ignored", "ignore_label")
IGNORE = "ignore"
UNKNOWN = 65535  # what a stored value becomes that is no class and not ignored
MOST_CLASSES = 255  # masks are uint8, and one value is kept for what is ignored
CHANNELS = ("red", "green", "blue", "alpha")


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


def ignore(value, path):
    """Mask values that are ignored. Raises ConfigError."""
    values = value if isinstance(value, list) else [value]
    if not all(type(item) is int and 0 <= item <= 65535 for item in values):
        raise ConfigError(
            f"'ignore_label' must be a mask value or a list of them, received {value!r}", path
        )
    return tuple(values)


def palette(value, names, path):
    """One color per class. Raises ConfigError."""
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


def mapping(table, key, names, path, stored, colors):
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


def threshold(values, path):
    """Gray value from which on masks are class 1, or None. Raises ConfigError."""
    value = values.get("threshold")
    if value is not None and not (type(value) is int and 1 <= value <= 255):
        raise ConfigError(f"'threshold' must be 1 to 255, received {value!r}", path)
    if value is not None and ("mask_values" in values or "label_mapping" in values):
        raise ConfigError("'threshold' and 'mask_values' exclude each other", path, "keep one")
    return value


def channel(values, path):
    """Name of a channel; empty where it is not given. Raises ConfigError."""
    value = text(values, "mask_channel", path)
    if value and value not in CHANNELS:
        error = suggest("mask_channel", value, CHANNELS)
        raise ConfigError(error.what, path, error.fix)
    return value


def text(values, key, path):
    """Text of a key; empty where it is not given. Raises ConfigError."""
    value = values.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"'{key}' must be text, received {value!r}", path)
    return value
