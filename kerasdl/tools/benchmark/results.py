"""Results from the blocks of steps: images per second, ratios, the recommendation."""

import datetime
import math
import statistics

from kerasdl.backend import BACKENDS, machine

WORTH_ROUNDING = 1.1  # bfloat16 is recommended where it is faster than float32 by this factor
TIE = 1.03  # backends closer than this are equally fast; the first of BACKENDS is chosen
ADVISED = ("float32", "mixed_bfloat16")


def summarize(measured):
    """Adds the reported numbers to the cells of one group.

    Per step, images per second = batch size / seconds: `best`, `median`, and `low` and `high`,
    the quartiles. `waiting` is the fraction of the time spent waiting for data. `ratio_median` is
    the median over the rounds of (median step of the cell compared with / median step of this cell,
    in the same round), `ratio_best` the ratio of the best steps. `ratio_to` names the cell compared
    with: the faster reference at the same precision, or else the first backend.

    Args:
        measured: The result of `processes.measure`.

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
        compared = _compared_with(measured, cell["precision"])
        if cell["backend"] in BACKENDS and cell is not compared:
            pairs = zip(cell["blocks"], compared["blocks"], strict=True)
            row["ratio_to"] = compared["backend"]
            row["ratio_median"] = statistics.median(
                statistics.median(theirs["step_seconds"]) / statistics.median(ours["step_seconds"])
                for ours, theirs in pairs
            )
            row["ratio_best"] = _best_seconds(compared) / min(seconds)
        rows.append(row)
    return rows


def recommend(rows, installed):
    """The entry for `kerasdl.backend.recommendation`, from rows with and without `error`.

    A backend counts with the default `jit_compile`, and only if it was measured without error in
    every group. Its precision is mixed_bfloat16 if the geometric mean over the groups of its
    speed-up over float32 is `WORTH_ROUNDING` or more. The recommended backend is the one with the
    highest geometric mean of images per second in its precision.

    Args:
        rows: The results of `summarize` for all groups.
        installed: Names of the installed backends.

    Returns:
        {"backend": name or None, "precisions": {backend: precision}, "machine", "measured"};
        the backend is None unless all installed ones were measured; a precision is included only if
        both were measured.
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
    tried = {row["backend"] for row in rows if row["jit_compile"] == "auto"}
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


def _compared_with(measured, precision):
    """The faster reference at that precision, or else the first backend."""
    good = [cell for cell in measured if cell["precision"] == precision and "error" not in cell]
    references = [cell for cell in good if cell["backend"] not in BACKENDS]
    return min(references, key=_best_seconds, default=good[0])


def _best_seconds(cell):
    return min(min(block["step_seconds"]) for block in cell["blocks"])


def _quartiles(values):
    return statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
