"""The runs below a folder at a glance, read without Keras and without running extensions."""

import dataclasses
import json
import math
import os
import pathlib
import re
import time
import typing

from kerasdl import data
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, KerasdlError, ModelFileError, first_line
from kerasdl.metrics import spec as score_of
from kerasdl.runs import lock as runlock
from kerasdl.runs import names
from kerasdl.runs.run import Run, below
from kerasdl.runs.runfolder import committed, epoch_number
from kerasdl.tasks import TASKS

SORTS = ("path", "task", "model", "data", "score", "epochs", "state", "age", "size")
STATES = ("running", "finished", "interrupted", "failed", "damaged")


@dataclasses.dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        path: Its folder, relative to the folder that was searched if it is below it.
        state: One of `STATES`.
        reason: Why it failed or what is damaged, else "".
        score: Name of the main score; `val_...` until the run is finished, "" without any.
        value: Its value, of the best model or the best epoch so far.
        epochs, planned: Finished epochs, and how many it was started with.
        changed: When it last changed, in seconds since 1970.
        size: Bytes of all its files.
    """

    path: str
    task: str
    model: str
    data: str
    score: str
    value: float | None
    epochs: int
    planned: int
    state: str
    reason: str
    changed: float
    size: int


def rows(folder: str | os.PathLike[str], sort: str = "path") -> list[Row]:
    """The runs below a folder.

    Args:
        folder: The folder; a run folder is its own only row.
        sort: One of `SORTS`: scores best first within each score, age newest first, size and epochs
            largest first, all others by name.

    Raises:
        ModelFileError: There is no such folder.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise ModelFileError("no such folder", root)
    found = [_row(path, root) for path in below(root)]
    orders: dict[str, typing.Callable[[Row], typing.Any]] = {
        "path": lambda row: [
            (len(part), part) if part.isdigit() else (0, part)
            for part in re.split(r"(\d+)", row.path)
        ],
        "score": _by_score,
        "state": lambda row: STATES.index(row.state),
        "epochs": lambda row: -row.epochs,
        "age": lambda row: -row.changed,
        "size": lambda row: -row.size,
    }
    return sorted(found, key=orders.get(sort, lambda row: getattr(row, sort)))


def clean(path: str | os.PathLike[str]) -> None:
    """Removes the weights in the checkpoints of a finished run.

    The newest state.json stays, by which a repeated `train` sees that the run is finished. No
    epochs can be added any more.

    Raises:
        WriteError: Another process uses the run, or a file cannot be removed.
    """
    path = pathlib.Path(path)
    lock = runlock.acquire(path)
    try:
        for file in removable(path):
            files.remove(file)
    except OSError as error:
        raise files.cannot_write(path, error) from error
    finally:
        lock.release()


def removable(path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The files and folders that `clean` removes."""
    folder = pathlib.Path(path) / names.CHECKPOINTS
    newest, *older = committed(folder) or [folder]
    arrays = (newest / names.STATE_MODEL, newest / names.STATE_AVERAGE)
    return [file for file in (*arrays, *older, *folder.glob("damaged-*")) if file.exists()]


def size(path: str | os.PathLike[str]) -> int:
    """Bytes of a file, or of all files below a folder."""
    path = pathlib.Path(path)
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in inside if not file.is_dir())


def _row(path: pathlib.Path, root: pathlib.Path) -> Row:
    run, reason = Run(path), ""
    try:
        values = files.read_toml(path / names.CONFIG)
    except ConfigError as error:
        values, reason = {}, error.what
    done = committed(path / names.CHECKPOINTS)
    state = "damaged" if reason else _state(run)
    if state == "failed":
        reason = _failure(path)
    score, value = _score(run, values.get("task"))
    name = str(values.get("data", ""))
    return Row(
        path=str(path.relative_to(root)) if path != root else str(path),
        task=str(values.get("task", "")),
        model=str(values.get("model", "")),
        data=data.short_name(name) if name else "",
        score=score,
        value=value,
        epochs=epoch_number(done[0]) if done else 0,
        planned=values.get("epochs", 0),
        state=state,
        reason=reason,
        changed=_changed(path),
        size=size(path),
    )


def _state(run: Run) -> str:
    if runlock.held(run.path):
        return "running"
    if run.finished:
        return "finished"
    return "failed" if (run / names.FAILURE).exists() else "interrupted"


def _failure(path: pathlib.Path) -> str:
    try:
        return str(json.loads((path / names.FAILURE).read_text(encoding="utf-8"))["error"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return first_line(error)


def _score(run: Run, task: typing.Any) -> tuple[str, float | None]:
    """Name and value of the main score; until the run is finished that of its best epoch so far."""
    if task not in TASKS:
        return "", None
    name = TASKS[task].headline[0]
    try:
        if run.finished:
            return name, run.scores.get(name)
        reached = [row[f"val_{name}"] for row in run.history if f"val_{name}" in row]
    except KerasdlError:
        return "", None
    choose = min if score_of(name).better == "lower" else max
    return (f"val_{name}", choose(reached)) if reached else ("", None)


def _changed(path: pathlib.Path) -> float:
    """When a run last changed: its scores, its newest checkpoint or its configuration."""
    for name in (names.METRICS, names.FAILURE, names.HISTORY, names.CONFIG, names.DATA):
        if (path / name).exists():
            return (path / name).stat().st_mtime
    return time.time()


def _by_score(row: Row) -> typing.Any:
    if row.value is None or not math.isfinite(row.value):
        return (1, "", 0.0)
    plain = row.score.removeprefix("val_")
    return (0, plain, row.value if score_of(plain).better == "lower" else -row.value)
