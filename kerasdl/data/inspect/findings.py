"""What a look at a data set has found: severity, place, probable cause and the fix."""

import dataclasses
import os
import unicodedata

from kerasdl.core.errors import DataError

FIELDS = ("severity", "kind", "path", "what", "cause", "fix")
UNSEEN = ("Cc", "Zl", "Zp")  # categories of characters that are shown by their number
TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
SEVERITIES = ("error", "warning", "note")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing a person should know about the data.

    Attributes:
        severity: "error" must be fixed before training, "warning" should be looked at, "note" is
            for information.
        what: What was found.
        path: File or folder concerned; the first of several.
        cause: The probable cause, where one is known.
        fix: What to do: an option, or a line to paste into `dataset.toml`.
        kind: One word for programs and for grouping, such as "unreadable".
        skippable: Whether leaving the file out (`skip_invalid`) is a fix too.
    """

    severity: str
    what: str
    path: str = ""
    cause: str = ""
    fix: str = ""
    kind: str = "structure"
    skippable: bool = False

    def as_dict(self):
        """The finding as plain JSON types."""
        values = {key: getattr(self, key) for key in FIELDS}
        return {**values, "path": printable(self.path)}

    def line(self):
        """The finding as one line of text: `severity: what: path (cause; fix)`."""
        text = f"{self.severity}: {self.what}"
        if self.path:
            text += f": {printable(self.path)}"
        hints = "; ".join(hint for hint in (self.cause, self.fix) if hint)
        return f"{text} ({hints})" if hints else text

    def as_error(self, others=0):
        """The finding as the DataError that stops a run.

        Args:
            others: How many further errors there are; the fix then names the command that lists
                them.
        """
        hints = [hint for hint in (self.cause, self.fix) if hint]
        if others:
            hints.append(f"and {others} more: `kerasdl data check` lists them")
        return DataError(self.what, printable(self.path) or None, "; ".join(hints) or None)


def raise_first(findings, skip_invalid=False):
    """Raises DataError for the first error; with `skip_invalid` not for single files."""
    errors = [
        finding
        for finding in findings
        if finding.severity == "error" and not (skip_invalid and finding.skippable)
    ]
    if errors:
        raise errors[0].as_error(len(errors) - 1)


def listing(names, most=5):
    """The first few of some names as text, such as "a, b, c and 4 more"."""
    names = list(names)
    text = ", ".join(str(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def counted(count, noun):
    """A number with its noun, such as "1 image" and "3 images"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(name):
    """A file name as text that any terminal and file can hold.

    Bytes without meaning become \\xNN; so do control characters and those that turn the direction
    of writing, which a terminal would obey.
    """
    name = os.fspath(name)
    if name.isascii() and name.isprintable():
        return name
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        char.encode("unicode_escape").decode()
        if char in TURNING or unicodedata.category(char) in UNSEEN
        else char
        for char in text
    )
