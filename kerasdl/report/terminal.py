"""Scores and predictions as tables in the terminal, and the progress of long predictions."""

import contextlib
import sys
from collections.abc import Callable, Iterator

import rich.console
import rich.table
import rich.text

from kerasdl.report import names

INTERVALS = "Interval: over other test images (bootstrap); the spread over seeds comes on top."


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
