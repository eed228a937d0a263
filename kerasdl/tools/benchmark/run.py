"""`kerasdl benchmark` from its axes to its document."""

import itertools

import rich.console

import kerasdl
from kerasdl import backend as backends
from kerasdl.backend import machine, recommendation
from kerasdl.core.errors import TrainingFailed
from kerasdl.tools.benchmark import cells, processes, results, show


def benchmark(axes, job, rounds, keep=True, log=None, start=None):
    """Measures all cells and recommends a backend and a precision for each.

    Args:
        axes: Arguments of `kerasdl.tools.benchmark.cells.plan`.
        job: steps, image_size, seed, timeout and extensions.
        rounds: Blocks of steps per cell.
        keep: Whether to store the recommendation for `auto`.
        log: Called with progress messages, or None.
        start: See `kerasdl.tools.benchmark.processes.measure`.

    Returns:
        {"kerasdl", "machine", "image_size", "steps", "rounds", "rows", "recommendation", "kept"};
        "kept" is the path of the file or None.

    Raises:
        ConfigError: An axis has an unknown value.
        TrainingFailed: No cell could be measured.
        WriteError: The recommendation cannot be stored.
    """
    planned = cells.plan(**axes)
    rows = []
    for _, group in itertools.groupby(planned, key=lambda cell: cell.group):
        measured = processes.measure(list(group), job, rounds, log or (lambda text: None), start)
        rows += results.summarize(measured)
    if all("error" in row for row in rows):
        raise TrainingFailed(f"nothing could be measured: {show.failures(rows)[0]}")
    entry = results.recommend(rows, backends.installed())
    file = None
    if keep and (entry["backend"] or entry["precisions"]):
        file = str(recommendation.write(entry))
    return {
        "kerasdl": kerasdl.__version__,
        "machine": machine.description(),
        "image_size": job["image_size"],
        "steps": job["steps"],
        "rounds": rounds,
        "rows": rows,
        "recommendation": entry,
        "kept": file,
    }


def show_document(document, console=None):
    """Prints the tables, what failed and what is recommended."""
    console = console or rich.console.Console(highlight=False)
    console.print(document["machine"])
    rows = document["rows"]
    for _, group in itertools.groupby(rows, key=lambda row: (row["model"], row["batch_size"])):
        group = list(group)
        if not all("error" in row for row in group):
            console.print(show.table(group, document["image_size"]))
    for line in (*show.failures(rows), *show.notes(rows)):
        console.print(line, soft_wrap=True)
    for line in show.advice(document["recommendation"], document["kept"]):
        console.print(line, soft_wrap=True)
