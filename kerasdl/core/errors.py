"""Errors a user can fix: one line with what is wrong, the path and the fix, and an exit code.

Exit codes: 0 done, 1 defect in kerasdl, 2 usage or configuration, 3 data (or backends that differ),
4 model file, 5 training failed, 6 write error, 130 and 143 stopped by a signal.
"""

import difflib
import os
from collections.abc import Iterable


class KerasdlError(Exception):
    """An error with its fix; prints as `what: path (fix)`.

    Args:
        what: What is wrong, without a period at the end.
        path: The file or folder concerned, if any.
        fix: What the user can do about it, if anything is known.
    """

    exit_code = 1

    def __init__(
        self, what: str, path: str | os.PathLike[str] | None = None, fix: str | None = None
    ):
        super().__init__(what)
        self.what = what
        self.path = path
        self.fix = fix

    def __str__(self) -> str:
        text = self.what
        if self.path is not None:
            text += f": {self.path}"
        if self.fix:
            text += f" ({self.fix})"
        return text


class ConfigError(KerasdlError, ValueError):
    """A wrong name, key, type or value (exit code 2)."""

    exit_code = 2


class DataError(KerasdlError):
    """Data that cannot be used as it is (exit code 3)."""

    exit_code = 3


class ModelFileError(KerasdlError):
    """A model file or run state that is damaged, foreign or unsafe (exit code 4)."""

    exit_code = 4


class TrainingFailed(KerasdlError):
    """Training ended early: loss not finite, out of memory, a worker failed (exit code 5)."""

    exit_code = 5


class WriteError(KerasdlError):
    """An output cannot be written: disk full, read-only, locked (exit code 6)."""

    exit_code = 6


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its class if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def suggest(kind: str, name: object, choices: Iterable[str]) -> ConfigError:
    """Error for an unknown name, with the closest known one.

    Args:
        kind: What the name stands for, such as "model".
        name: The name received.
        choices: The known names.
    """
    close = difflib.get_close_matches(str(name), list(choices), n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return ConfigError(f"unknown {kind} '{name}'", fix=f"{hint}known: {', '.join(choices)}")
