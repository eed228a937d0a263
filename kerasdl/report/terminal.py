"""Tables in the terminal: scores, predictions, runs; the progress of long predictions."""

import collections
import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import rich.box
import rich.console
import rich.filesize
import rich.table
import rich.text

from kerasdl.report import names

INTERVALS = "Interval: over other test images (bootstrap); the spread over seeds comes on top."
WIDE = 1000  # of a line in a file: one run, one line


def show_scores(document, console=None):
    """Prints the scores of a scores document with their baseline.

    Args:
        document: Scores document; "run" in it names the folder.
        console: A `rich.console.Console`; standard output if None.
    """
    console = console or rich.console.Console()
    baseline = names.baseline(document["task"])
    table = rich.table.Table(
        title=rich.text.Text(
            f"{names.run_label(document)} on {document['data']}: "
            f"{document['samples']} {document['split']} images"
        ),
        title_justify="left",
    )
    table.add_column("score")
    table.add_column("value", justify="right")
    intervals = document.get("intervals") or {}
    if intervals:
        table.add_column("95 % interval", justify="right")
    table.add_column(baseline, justify="right")
    for name, value in document["scores"].items():
        other = document["baseline"].get(name)
        between = [names.interval(name, intervals.get(name))] if intervals else []
        table.add_row(
            rich.text.Text(names.heading(name)),
            names.number(name, value),
            *between,
            "" if other is None else names.number(name, other),
        )
    console.print(table)
    if intervals:
        console.print(INTERVALS, highlight=False, style="dim")
    if "run" in document:
        console.print(f"run: {document['run']}", soft_wrap=True, highlight=False, markup=False)


def show_predictions(found, console=None):
    """Prints the predictions of several runs side by side, one row per image.

    Args:
        found: Name of a run -> its `kerasdl.engine.prediction.Prediction`s, all of the same images.
        console: A `rich.console.Console`; standard output if None.
    """
    console = console or rich.console.Console()
    table = rich.table.Table("image")
    for name in found:
        table.add_column(rich.text.Text(name))
    for row in zip(*found.values(), strict=True):
        texts = ["error" if each.error is not None else each.text for each in row]
        table.add_row(*map(rich.text.Text, (row[0].name, *texts)))
    console.print(table)
    for name, each_run in found.items():
        folders = sorted({path for each in each_run for path in each.files.values()})
        if folders:
            console.print(f"{name}: {folders[0]}", soft_wrap=True, highlight=False, markup=False)


@contextlib.contextmanager
def tile_progress(quiet: bool = False) -> "Iterator[Callable[[str, int, int], None] | None]":
    """A bar on standard error for images that are predicted in tiles; None off a terminal.

    Yields:
        Function (name of the image, tiles computed, all tiles), or None.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    import rich.markup
    import rich.progress

    with rich.progress.Progress(
        "{task.description}", rich.progress.BarColumn(bar_width=24),
        rich.progress.MofNCompleteColumn(), "tiles", rich.progress.TimeRemainingColumn(),
        console=rich.console.Console(stderr=True), transient=True,
    ) as bar:  # fmt: skip
        tasks: dict[str, rich.progress.TaskID] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(rich.markup.escape(name), total=total)
            bar.update(tasks[name], completed=done, visible=done < total)

        yield show


STYLES = {"finished": "green", "running": "cyan", "interrupted": "yellow"}


def show_runs(rows, console=None):
    """Prints a list of runs, the reasons of failures, and a line that counts them.

    Args:
        rows: List of `kerasdl.runs.overview.Row`.
        console: A `rich.console.Console`; standard output if None.
    """
    console = console or rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    table = _runs_table(rows)
    if console.measure(table, options=console.options.update(width=WIDE)).maximum > console.width:
        table = _runs_table(rows, narrow=True)
    console.print(table)
    for row in rows:
        if row.reason:
            console.print(rich.text.Text(f"{row.path} {row.state}: {row.reason}"), soft_wrap=True)
    counts = collections.Counter(row.state for row in rows)
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    total = rich.filesize.decimal(sum(row.size for row in rows))
    console.print(f"{len(rows)} run{'s' * (len(rows) != 1)}: {told}; {total}")


def _runs_table(rows, narrow=False):
    """One line per run; task, model and data go below its name in a narrow terminal."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    facts = () if narrow else ("task", "model", "data")
    table.add_column("run", overflow="fold", min_width=16)
    for heading in (*facts, "main score", "state", "epoch", "age", "size"):
        right = heading in ("epoch", "age", "size")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    now = time.time()
    for row in rows:
        name = rich.text.Text(row.path)
        told = [rich.text.Text(text) for text in (row.task, row.model, row.data)]
        if narrow:
            name.append(f"\n{row.task} {row.model} {row.data}", style="dim")
        table.add_row(
            name,
            *(() if narrow else told),
            rich.text.Text(_score(row)),
            rich.text.Text(row.state, STYLES.get(row.state, "red")),
            f"{row.epochs}/{row.planned}",
            _age(now - row.changed),
            rich.filesize.decimal(row.size),
        )
    return table


def _score(row):
    """The main score with its unit; of a run that is not finished the best so far in validation."""
    if not row.score:
        return names.ABSENT
    prefix = "val " if row.score.startswith("val_") else ""
    return f"{prefix}{names.score(row.score).label} {names.number(row.score, row.value, unit=True)}"


def _age(seconds):
    """Seconds as one rounded number: "50 s", "3 min", "2 h", "5 d"."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
