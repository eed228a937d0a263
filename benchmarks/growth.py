"""Time and memory against the amount of work, with the exponent of the growth.

    python benchmarks/growth.py [AXIS ...] [--scale 0.1]

Each axis is measured at four sizes, each size in a process of its own, by the processor's time of
one thread, which other work on the machine hardly changes. The exponent is that of a power law
through the four sizes (log-log), and through the last two, where fixed costs matter least: 1 is
proportional, 2 is quadratic. `--scale` reduces all sizes, for a trial. Writes
`benchmarks/results/growth.json` and `.md`, and `docs/figures/growth.png`.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

import checkout
import growth_work

ROOT = pathlib.Path(__file__).resolve().parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
              "TF_NUM_INTEROP_THREADS": "1", "KERAS_BACKEND": "torch"}  # fmt: skip

# A function of growth_work and its four sizes.
AXES = {
    "files": (1_000, 10_000, 100_000, 500_000),
    "pairs": (1_000, 10_000, 50_000, 200_000),
    "drawn": (1_000, 4_000, 16_000, 64_000),
    "one_class": (1_000, 4_000, 16_000, 64_000),
    "image_side": (64, 160, 400, 1024),
    "classes": (2, 10, 40, 150),
    "classes_fcn": (2, 10, 40, 150),
    "batch": (2, 8, 32, 128),
    "filters": (8, 16, 32, 64),
    "runs": (10, 40, 150, 500),
    "epochs": (10, 100, 1_000, 10_000),
}
LEAST = {
    "image_side": 32,
    "classes": 2,
    "classes_fcn": 2,
    "batch": 2,
    "filters": 2,
    "runs": 4,
    **dict.fromkeys(("files", "pairs", "drawn", "one_class"), 200),
}


def apart(axis, size):
    """One measurement in a process of its own."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, "--measure", axis, str(size)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        raise SystemExit(f"{axis} {size}: {run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def exponent(sizes, values):
    """Slope of a straight line through the logarithms (least squares); None with a zero."""
    if min(values) <= 0:
        return None
    x, y = [math.log(each) for each in sizes], [math.log(each) for each in values]
    return statistics.linear_regression(x, y).slope


def summary(axis, sizes, found):
    """Rows of the table: the values at each size, and both exponents."""
    rows = []
    for measure in found[0]:
        values = [each[measure] for each in found]
        rows.append(
            {
                "axis": axis,
                "measure": measure,
                "sizes": sizes,
                "values": values,
                "exponent": exponent(sizes, values),
                "last_exponent": exponent(sizes[-2:], values[-2:]),
            }
        )
    return rows


def markdown(rows):
    """The rows as a table."""
    lines = [
        "| work | measure | at | values | exponent | of the last two |",
        "|---|---|---|---|--:|--:|",
    ]
    for row in rows:
        unit = row["measure"].endswith("bytes") or row["measure"] == "memory"
        values = ", ".join(f"{v / 2**20:.1f}" if unit else f"{v:.3g}" for v in row["values"])
        slopes = [
            "–" if row[key] is None else f"{row[key]:.2f}" for key in ("exponent", "last_exponent")
        ]
        at = ", ".join(f"{each:,}" for each in row["sizes"])
        kind = "MiB" if unit else "s"
        lines.append(f"| {row['axis']} | {row['measure']} ({kind}) | {at} | {values} | "
                     f"{slopes[0]} | {slopes[1]} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def draw(rows, path):
    """One panel per axis, logarithmic; the thin line is proportional to the work."""
    from matplotlib.figure import Figure

    axes = list(dict.fromkeys(row["axis"] for row in rows))
    figure = Figure(figsize=(12, 2.8 * -(-len(axes) // 3)), dpi=110, layout="constrained")
    for place, axis in enumerate(axes, 1):
        panel = figure.add_subplot(-(-len(axes) // 3), 3, place)
        for row in rows:
            if row["axis"] == axis and "bytes" not in row["measure"] and row["measure"] != "memory":
                panel.loglog(row["sizes"], row["values"], "o-", markersize=3, label=row["measure"])
        low, high = panel.get_ylim()
        sizes = next(row["sizes"] for row in rows if row["axis"] == axis)
        panel.plot(sizes, [low * size / sizes[0] for size in sizes], color="0.7", linewidth=0.8)
        panel.set_ylim(low, high)
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.set_xticks([], minor=True)
        panel.tick_params(labelsize=8)
        panel.set_title(axis.replace("_", " "), fontsize=9)
        panel.legend(fontsize=6)
    figure.supylabel("CPU seconds", fontsize=9)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("axes", nargs="*", help=f"of {', '.join(AXES)}; all if none is named")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "benchmarks/results/growth")
    figure = ROOT / "docs" / "figures" / "growth.png"
    parser.add_argument("--figure", type=pathlib.Path, default=figure)
    arguments = parser.parse_args()
    known = arguments.out.with_suffix(".json")
    rows = json.loads(known.read_text())["rows"] if known.exists() else []
    for axis in arguments.axes or AXES:
        least = LEAST.get(axis, 10)
        sizes = [max(least, int(size * arguments.scale)) for size in AXES[axis]]
        found = summary(axis, sizes, [apart(axis, size) for size in sizes])
        rows = [row for row in rows if row["axis"] != axis] + found
        rows.sort(key=lambda row: list(AXES).index(row["axis"]))
        print(markdown(found), flush=True)
        machine = {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(),
                   "python": platform.python_version(), "load": os.getloadavg()[0]}  # fmt: skip
        for row in found:
            row["commit"] = checkout.commit()
        document = {"command": "python benchmarks/growth.py", "machine": machine, "rows": rows}
        known.write_text(json.dumps(document, indent=1) + "\n")
        heading = f"`{document['command']}`, one thread of {machine['system']}, Python"
        heading = f"{heading} {machine['python']}\n\n"
        arguments.out.with_suffix(".md").write_text(heading + markdown(rows))
        draw(rows, arguments.figure)


def measure(axis, size):
    """Prints one measurement."""
    with tempfile.TemporaryDirectory() as work:
        found = getattr(growth_work, axis)(int(size), pathlib.Path(work))
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        main()
