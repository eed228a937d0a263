"""What the blocks of steps say: images per second, ratios to the plain loop, the recommendation."""

import datetime
import math
import statistics

from kerasdl.backend import BACKENDS, machine
from kerasdl.tools.benchmark.cells import PLAIN

WORTH_ROUNDING = 1.1  # bfloat16 is recommended where it is faster than float32 by this factor
TIE = 1.03  # backends closer than this are equally fast; the first of BACKENDS is then taken
ADVISED = ("float32", "mixed_bfloat16")


def summarize(measured):
    """Adds the numbers people read to the cells of one group.

    Per step, images per second = batch size / seconds: `best`, `median`, and `low` and `high`,
    the quartiles. `waiting` is the share of the time spent waiting for data. `ratio_median` is
    the median over the rounds of (median of this cell's block / median of the plain loop's block
    of the same round), `ratio_best` that of the best steps; of several plain loops in the same
    precision the faster one counts.

    Args:
        measured: What `processes.measure` gave.

    Returns:
        The same mappings with these keys, and without `blocks` and `first`.
    """
    rows = []
    for cell in measured:
        row = {
            key: cell[key] for key in ("model", "batch_size", "backend", "precision", "jit_compile")
        }
        if "error" in cell:
            rows.append({**row, "error": cell["error"]})
            continue
        seconds = [each for block in cell["blocks"] for each in block["step_seconds"]]
        rates = sorted(cell["batch_size"] / each for each in seconds)
        low, median, high = _quartiles(rates)
        waited = sum(block["waited_seconds"] for block in cell["blocks"])
        row |= {
            "images_per_second": {"best": rates[-1], "median": median, "low": low, "high": high},
            "steps": len(rates),
            "waiting": min(1.0, waited / sum(seconds)),
            "import_seconds": cell["first"]["import_seconds"],
            "first_step_seconds": cell["first"]["first_step_seconds"],
            "peak_bytes": cell["blocks"][-1]["peak_bytes"],
            "parameters": cell["first"]["parameters"],
        }
        plain = _reference(measured, cell["precision"])
        if plain is not None and cell["backend"] != PLAIN:
            pairs = zip(cell["blocks"], plain["blocks"], strict=True)
            row["ratio_median"] = statistics.median(
                statistics.median(theirs["step_seconds"]) / statistics.median(ours["step_seconds"])
                for ours, theirs in pairs
            )
            row["ratio_best"] = _best_seconds(plain) / min(seconds)
        rows.append(row)
    return rows


def recommend(rows, installed):
    """The entry for `kerasdl.backend.recommendation`, from rows with and without `error`.

    A backend counts with `jit_compile` as it is by default and only where it was measured without
    error in every group. Its precision is mixed_bfloat16 if the geometric mean over the groups
    of its speed-up over float32 is `WORTH_ROUNDING` or more. The recommended backend is the one
    with the highest geometric mean of images per second in its precision.

    Args:
        rows: What `summarize` gave, all groups together.
        installed: Names of the installed backends.

    Returns:
        {"backend": name or None, "precisions": {backend: precision}, "machine", "measured"};
        the backend is None unless all installed ones were measured, and a precision is there only
        where both were.
    """
    groups = sorted({(row["model"], row["batch_size"]) for row in rows})
    speeds = {}
    for backend in BACKENDS:
        for precision in ADVISED:
            found = [
                row["images_per_second"]["median"]
                for row in rows
                if (row["backend"], row["precision"]) == (backend, precision)
                and row["jit_compile"] == "auto"
                and "error" not in row
            ]
            if len(found) == len(groups) and found:
                speeds[backend, precision] = statistics.geometric_mean(found)
    precisions, candidates = {}, {}
    for backend in installed:
        plain, rounded = (speeds.get((backend, precision)) for precision in ADVISED)
        if plain and rounded:
            worth = rounded >= WORTH_ROUNDING * plain
            precisions[backend] = "mixed_bfloat16" if worth else "float32"
            candidates[backend] = rounded if worth else plain
        elif plain:
            candidates[backend] = plain
    tried = {row["backend"] for row in rows if row["jit_compile"] == "auto"} - {PLAIN}
    backend = None
    if candidates and set(installed) <= tried:
        fastest = max(candidates.values())
        backend = next(
            name for name in BACKENDS if candidates.get(name, -math.inf) * TIE >= fastest
        )
    return {
        "backend": backend,
        "precisions": precisions,
        "machine": machine.description(),
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _reference(measured, precision):
    """The faster plain loop of that precision, or None."""
    plain = [
        cell
        for cell in measured
        if (cell["backend"], cell["precision"]) == (PLAIN, precision) and "error" not in cell
    ]
    return min(plain, key=_best_seconds, default=None)


def _best_seconds(cell):
    return min(min(block["step_seconds"]) for block in cell["blocks"])


def _quartiles(values):
    return statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
