"""Checks of JSON values in files that may come from anyone: types, bounds, lengths."""

import math

MAX_OPTION = 4096  # maximum number in the options of a model: filters, depth, levels
MAX_OPTIONS = 64  # maximum number of options of a model, and of items of one


def items(value, check):
    """Whether a value is a list whose items all pass a check."""
    return isinstance(value, list | tuple) and all(check(item) for item in value)


def integer(value, low, high):
    """Whether a value is an integer (no boolean) between two limits."""
    return type(value) is int and low <= value <= high


def integers(value, length, low, high):
    """Whether a value is a list of `length` integers between two limits."""
    return items(value, lambda item: integer(item, low, high)) and len(value) == length


def text(value, longest):
    """Whether a value is text of at most `longest` characters."""
    return isinstance(value, str) and len(value) <= longest


def one_of(choices):
    """A check whether a value is one of some texts."""
    return lambda value: isinstance(value, str) and value in choices


def options(value):
    """Whether a value is a table of options that may be passed to the builder of a model."""
    return (
        isinstance(value, dict)
        and len(value) <= MAX_OPTIONS
        and all(isinstance(key, str) for key in value)
        and all(_option(item) for item in value.values())
    )


def _option(value):
    """Whether a value is text, a bounded number, or a short list of these."""
    if isinstance(value, list | tuple):
        return len(value) <= MAX_OPTIONS and all(
            not isinstance(item, list | tuple) and _option(item) for item in value
        )
    if isinstance(value, bool | str) or value is None:
        return True
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) <= MAX_OPTION
