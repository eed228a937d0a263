"""What to do about mask values and colors that are no class: cause and fix as texts."""

from kerasdl.data.folder.dataset_values import IGNORE, MOST_CLASSES, UNKNOWN

MOST_LISTED = 12
THRESHOLD_LINE = "put into dataset.toml: threshold = 128"


def explain_values(values, rule):
    """What is wrong with some stored values, the probable cause and the fix, as three texts."""
    outside = [
        value for value, to in zip(values, rule.targets(values), strict=True) if to == UNKNOWN
    ]
    what = f"mask holds {_numbers(outside)} (all values: {_numbers(values)})"
    what += f", allowed: {_allowed(rule)}"
    if rule.values:
        lines = ", ".join(f'{value} = "ignore"' for value in outside[:MOST_LISTED])
        return what, "mask_values leaves them out", f"add to mask_values: {lines}"
    used = [value for value in values if value not in rule.ignore]
    if used in ([0, 255], [255]) and rule.classes in (None, 2):
        cause = "a binary mask stored as black and white"
        return what, cause, "put into dataset.toml: mask_values = { 0 = 0, 255 = 1 }"
    if outside == [255]:
        cause = "255 usually marks pixels without a class"
        return what, cause, "put into dataset.toml: ignore_label = 255"
    if rule.classes and used == list(range(1, rule.classes + 1)):
        pairs = ", ".join(f"{value} = {value - 1}" for value in used)
        return what, "classes counted from 1", f"put into dataset.toml: mask_values = {{ {pairs} }}"
    # Where a value above 0 is a class index already, a new numbering would mix up the classes.
    spread = [value for value in used if value] == [value for value in outside if value > 0]
    if spread and rule.classes and len(used) == rule.classes <= MOST_LISTED:
        pairs = ", ".join(f"{value} = {index}" for index, value in enumerate(used))
        cause = "classes stored as spread gray values"
        return what, cause, f"put into dataset.toml: mask_values = {{ {pairs} }}"
    if outside == [rule.classes]:
        cause = f"{rule.classes} names, but {rule.classes + 1} values"
        return what, cause, f"name class {rule.classes}, or put ignore_label = {rule.classes}"
    if len(used) > 4 and used[0] < 64 and used[-1] >= 192 and rule.classes in (None, 2):
        return what, "a black and white mask that was smoothed", THRESHOLD_LINE
    if len(values) > 64:
        cause = "a gray image instead of a mask, or a mask resized with interpolation"
        return what, cause, "make the mask again from its source"
    cause = "more classes than names, or values that mean something else"
    return what, cause, "name all classes, or list the values in mask_values of dataset.toml"


def explain_colors(colors, rule):
    """What is wrong with packed colors outside the table, probable cause and fix, as texts."""
    names = [f"#{color:06x}" for color in colors[:MOST_LISTED]]
    more = f" and {len(colors) - len(names)} more" if len(colors) > len(names) else ""
    what = f"mask holds the color{'s' if len(colors) > 1 else ''} {', '.join(names)}{more}"
    if len(colors) > MOST_CLASSES:
        cause = "a photograph, or a color mask that was smoothed or stored with loss"
        return what, cause, "make the mask again from its source, without interpolation"
    start = 1 + max((target for target in rule.colors.values() if target != IGNORE), default=-1)
    pairs = ", ".join(f'"{name}" = {start + index}' for index, name in enumerate(names))
    if rule.colors:
        what += ", which no class has"
        return what, "", f'add to mask_values of dataset.toml, such as {pairs}, or = "ignore"'
    fix = f"put into dataset.toml, with your indices: mask_values = {{ {pairs} }}"
    return what, "classes stored as colors", fix


def _allowed(rule):
    if rule.values:
        text = _numbers(sorted(rule.values))
    else:
        last = (rule.classes or MOST_CLASSES + 1) - 1
        text = f"0 to {last}" if last else "0"
    return text + "".join(f" and {value} (ignored)" for value in rule.ignore)


def _numbers(values):
    text = ", ".join(str(value) for value in values[:MOST_LISTED])
    return text + (f" and {len(values) - MOST_LISTED} more" if len(values) > MOST_LISTED else "")
