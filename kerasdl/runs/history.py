"""The rows of a history as text, for state.json and history.csv."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]


class Texts:
    """Rows as JSON and CSV; one that is there is not encoded again when others follow.

    A run writes its whole history after every epoch. Encoding it each time would take time that
    grows with the square of the number of epochs. Rows are only ever appended.
    """

    def __init__(self) -> None:
        self._json: list[str] = []
        self._columns: list[str] = []
        self._csv: list[str] = []

    def json(self, rows: Rows) -> str:
        """The rows as a JSON array, one row per line."""
        self._json += [json.dumps(row) for row in rows[len(self._json) :]]
        return "[\n" + ",\n".join(self._json) + "\n]" if self._json else "[]"

    def csv(self, rows: Rows) -> str:
        """The rows below one header; a value that a row lacks is empty."""
        new = rows[len(self._csv) :]
        columns = list(dict.fromkeys([*self._columns, *(name for row in new for name in row)]))
        if columns != self._columns:  # the lines before lack a column
            self._columns, self._csv, new = columns, [], rows
        self._csv += [_line([row.get(name, "") for name in columns]) for row in new]
        return _line(columns) + "".join(self._csv)


def _line(values: Sequence[Any]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(values)
    return stream.getvalue()
