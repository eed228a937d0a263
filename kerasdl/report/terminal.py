"""Tables in the terminal: the scores of one run, and a list of runs."""

import collections
import time

import rich.box
import rich.console
import rich.filesize
import rich.table
import rich.text

from kerasdl.report import names

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
    table.add_column(baseline, justify="right")
    for name, value in document["scores"].items():
        other = document["baseline"].get(name)
        table.add_row(
            rich.text.Text(names.heading(name)),
            names.number(name, value),
            "" if other is None else names.number(name, other),
        )
    console.print(table)
    if "run" in document:
        console.print(f"run: {document['run']}", soft_wrap=True, highlight=False, markup=False)


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
