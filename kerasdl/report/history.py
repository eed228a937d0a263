"""Facts from the rows of a history: the score's column, the best epoch, rate changes."""

import math

from kerasdl.report import names
from kerasdl.tasks import TASKS


def column(rows, name):
    """Values of one column, one per row; NaN where missing."""
    return [math.nan if row.get(name) is None else float(row[name]) for row in rows]


def has(rows, name):
    """Whether any row holds a finite value in column `name`."""
    return any(math.isfinite(value) for value in column(rows, name))


def curve_scores(rows):
    """Names of the scores to draw, of those recorded: the first headline score of the task, then
    those of extensions."""
    headlines = (name for spec in TASKS.values() for name in spec.headline if name != "loss")
    added = [name for name, spec in names.METRICS.items() if spec.per_image is not None]
    first = [name for name in headlines if _recorded(rows, name)][:1]
    return [*first, *(name for name in added if name not in first and _recorded(rows, name))]


def _recorded(rows, name):
    return has(rows, name) or has(rows, f"val_{name}")


def best_epoch(rows, monitor="val_loss"):
    """Epoch with the best value of `monitor` (the first of ties); None if it was not recorded."""
    lower = names.score(monitor).better == "lower"
    best = None
    for row, value in zip(rows, column(rows, monitor), strict=True):
        if not math.isfinite(value):
            continue
        if best is None or (value < best[0] if lower else value > best[0]):
            best = (value, row["epoch"])
    return None if best is None else best[1]


def rate_changes(rows):
    """Epochs whose learning rate differs from that of the previous one: [(epoch, rate), ...]."""
    changes = []
    for previous, row in zip(rows, rows[1:], strict=False):
        before, after = previous.get("learning_rate"), row.get("learning_rate")
        if before is None or after is None or math.isclose(before, after, rel_tol=1e-6):
            continue
        changes.append((row["epoch"], after))
    return changes
