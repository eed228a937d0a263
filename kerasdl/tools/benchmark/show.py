"""The benchmark as tables in the terminal."""

import rich.box
import rich.table

from kerasdl.backend import BACKENDS

PRECISION_NAMES = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
COLUMNS = ("backend", "median", "quartiles", "best", "ratio", "best", "first s", "MiB", "wait")


def table(rows, image_size):
    """The rows of one model and batch size as a table, fastest first.

    Args:
        rows: The result of `kerasdl.tools.benchmark.results.summarize`.
        image_size: (height, width).
    """
    model, batch_size = rows[0]["model"], rows[0]["batch_size"]
    made = rich.table.Table(
        title=f"{model}, {image_size[0]}x{image_size[1]} images, batch {batch_size}",
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for number, heading in enumerate(COLUMNS):
        made.add_column(heading, justify="right" if number else "left", no_wrap=True)
    good = [row for row in rows if "error" not in row]
    good.sort(key=lambda row: -row["images_per_second"]["median"])
    for row in good:
        made.add_row(*cells(row), style=None if row["backend"] in BACKENDS else "dim")
    return made


def cells(row):
    """The texts of one row."""
    speed = row["images_per_second"]
    return (
        label(row),
        _number(speed["median"]),
        f"{_number(speed['low'])}-{_number(speed['high'])}",
        _number(speed["best"]),
        f"{row['ratio_median']:.2f}" if "ratio_median" in row else "",
        f"{row['ratio_best']:.2f}" if "ratio_best" in row else "",
        f"{row['first_step_seconds']:.1f}",
        "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**20:,.0f}",
        f"{row['waiting']:.0%}" if row["backend"] in BACKENDS else "",
    )


def label(row):
    """A cell as text: "torch float32", "tensorflow bfloat16 jit", "Loop float32"."""
    words = [_name(row["backend"]), PRECISION_NAMES.get(row["precision"], row["precision"])]
    if row["jit_compile"] != "auto":
        words.append({"on": "jit", "off": "no jit"}[row["jit_compile"]])
    return " ".join(words)


def failures(rows):
    """One line per cell that could not be measured."""
    return [
        f"{row['model']}, batch {row['batch_size']}, {label(row)}: {row['error']}"
        for row in rows
        if "error" in row
    ]


def notes(rows):
    """Notes on the columns."""
    lines = ["median, quartiles, best: images per second; first s: seconds of the first step"]
    compared = dict.fromkeys(_name(row["ratio_to"]) for row in rows if "ratio_to" in row)
    if compared:
        lines.append(
            f"ratio, best: speed relative to {' or '.join(compared)}, same precision and rounds"
        )
    lines.append(
        "MiB: peak memory of the process, or of the GPU; wait: time spent waiting for data"
    )
    return lines


def advice(entry, file):
    """The recommendation and where it is stored, as lines."""
    lines = []
    if entry["backend"]:
        lines.append(f"recommended: --backend {entry['backend']}")
    for backend, precision in entry["precisions"].items():
        if backend == entry["backend"]:
            lines[-1] += f" --precision {precision}"
        else:
            lines.append(f"with --backend {backend}: --precision {precision}")
    if file is not None:
        lines.append(f"stored for --backend auto --precision auto: {file}")
    return lines


def _name(backend):
    """A backend, or the class of a reference "FILE.py:CLASS"."""
    return backend.rpartition(":")[2]


def _number(value):
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
