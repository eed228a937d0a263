"""Scores of one run as a table in the terminal."""

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
