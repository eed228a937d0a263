"""Time and memory against the amount of work, with the exponent of the growth.

    python benchmarks/growth.py [AXIS ...] [--scale 0.1]

Each axis is measured at four sizes, each size in a process of its own, by the processor's time of
one thread, which other work on the machine hardly changes. The exponent is that of a power law
through the four sizes (log-log), and through the last two, where fixed costs matter least: 1 is
proportional, 2 is quadratic. `--scale` reduces all sizes, for a trial. Writes
`benchmarks/results/growth.json`, `.md` and `.png`.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
              "TF_NUM_INTEROP_THREADS": "1", "KERAS_BACKEND": "torch"}  # fmt: skip
STEPS = 3  # after one to warm up
COMMITS = 5


def spend(function, *arguments):
    """Seconds of the processor that a call takes, and what it returns."""
    began = time.process_time()
    result = function(*arguments)
    return time.process_time() - began, result


def files(count, work):
    """Images in 100 class folders: listing, quick check, memory of the list, first batch."""
    import data_scaling

    data = data_scaling.make(work, count, masks=False)
    found = data_scaling.measure(data, "classification", time.process_time)
    return {key: found[key] for key in ("list", "load", "check", "first_batch")} | {
        "memory": found["grown_bytes"]
    }


def pairs(count, work):
    """The same for images with masks; a file each."""
    import data_scaling

    data = data_scaling.make(work, count // 2, masks=True)
    found = data_scaling.measure(data, "segmentation", time.process_time)
    return {key: found[key] for key in ("list", "load", "check")} | {"memory": found["grown_bytes"]}


def drawn(count, work):
    """Images whose names end as those of masks, without masks, for colorization."""
    import data_scaling

    data = data_scaling.make(work, count, masks=False)
    for path in data.rglob("*.png"):
        path.rename(path.with_stem(f"{path.stem}_mask"))
    found = data_scaling.measure(data, "colorization", time.process_time)
    return {key: found[key] for key in ("list", "load", "check")}


def one_class(count, work):
    """Masks that all hold one class: the quick check looks for a second."""
    import data_scaling

    data = data_scaling.make(work, count // 2, masks=True, classes=1)
    return {"check": data_scaling.measure(data, "segmentation", time.process_time)["check"]}


def step(batch=2, side=64, classes=10, filters=8, model="unet"):
    """A training step with metrics, a batch from the pipeline, and memory."""
    from kerasdl import backend

    backend.choose("torch")
    import numpy

    from kerasdl import models, tasks
    from kerasdl.data.pipeline.transforms import Augmentation, uniforms
    from kerasdl.engine import evaluation
    from kerasdl.engine import step as steps
    from kerasdl.runs.config import Config
    from kerasdl.tasks import TASKS

    config = Config(task="segmentation", model=model, batch_size=batch, image_size=(side, side))
    dataset = Classes(classes)
    task = tasks.of(config)
    random = numpy.random.default_rng(0)
    images = random.integers(0, 256, (batch, side, side, 3), dtype="uint8")
    masks = random.integers(0, classes, (batch, side, side), dtype="uint8")
    augment = Augmentation(TASKS["segmentation"].augmentation, {}, masks=True)
    table = uniforms(0, 0, numpy.arange(batch), augment.columns)
    options = {"filters": filters} if model == "unet" else {}
    network = models.build(model, (side, side, 3), classes, **options)
    steps.assemble(
        network, config, evaluation.loss_of(task, config, dataset), task.metrics(dataset)
    )
    steps.tune(network)
    x, y = task.prepare(images, None, masks)
    network.train_on_batch(x, y)
    found = {"step": [], "batch": [], "predict": []}
    for _ in range(STEPS):
        found["batch"].append(
            spend(lambda: task.prepare(images, None, augment.apply(images, masks, table)[1]))[0]
        )
        found["step"].append(spend(network.train_on_batch, x, y)[0])
        found["predict"].append(spend(network.predict_on_batch, x)[0])
    return {name: statistics.median(each) for name, each in found.items()} | {"memory": peak()}


class Classes:
    """What losses and metrics ask of a data set."""

    def __init__(self, classes):
        self.class_names = tuple(f"class {each}" for each in range(classes))
        self.ignore_labels = ()
        self.palette = ((0, 0, 0),) * classes


def batch(count, work):
    return step(batch=count)


def image_side(side, work):
    return step(batch=1, side=side, filters=4)


def classes(count, work):
    return step(classes=count)


def classes_fcn(count, work):
    return step(classes=count, model="fcn8")


def filters(count, work):
    return step(filters=count)


def runs(count, work):
    """Pages, tables and lists of runs that are copies of one small run with other settings."""
    from kerasdl import backend

    backend.choose("torch")
    from kerasdl.report import document as documents
    from kerasdl.report import grouping, html, runs
    from kerasdl.runs import overview
    from kerasdl.runs.run import find
    from kerasdl.tools.sweep import folder as sweepfolder
    from kerasdl.tools.sweep import plan as sweeps

    plan, first = copies(count, work)
    found = {"list": spend(overview.rows, plan.out)[0]}
    found["find"] = spend(find, [plan.out])[0]
    rates = [f"learning_rate={','.join(f'{0.001 * (n + 1):g}' for n in range(count // 2))}"]
    found["plan"] = spend(sweeps.plan, first, rates, 2, work / "planned")[0]
    read = [{**documents.read(path), "run": str(path)} for _, _, path in plan.runs]
    found["read"] = spend(lambda: [documents.read(path) for _, _, path in plan.runs])[0]
    labeled = runs.with_distinct_labels(read)
    found["tables"] = spend(grouping.printed, labeled)[0]
    page = work / "page.html"
    found["page"] = spend(html.write_group_report, page, read, "runs", False)[0]
    finished = [(cell, path) for cell, _, path in plan.runs]
    found["sweep"] = spend(sweepfolder.publish, plan, finished, [])[0]
    return found | {"page_bytes": page.stat().st_size, "memory": peak()}


def copies(count, work):
    """A plan of a sweep whose run folders are copies of one trained run; its configuration."""
    import kerasdl
    from kerasdl.core import files as atomic
    from kerasdl.runs import config as configuration
    from kerasdl.runs import names
    from kerasdl.tools.sweep import plan as sweeps

    tiny = {"task": "segmentation", "model": "unet", "model_args": {"filters": 2, "depth": 1},
            "image_size": [16, 16], "epochs": 2, "batch_size": 8, "train_size": 16,
            "validation_size": 8, "test_size": 8}  # fmt: skip
    source = work / "source"
    kerasdl.train(configuration.Config(**tiny), source, quiet=True)
    shutil.rmtree(source / names.CHECKPOINTS)
    metrics = json.loads((source / names.METRICS).read_text())
    rates = [f"learning_rate={','.join(f'{0.001 * (n + 1):g}' for n in range(count // 2))}"]
    plan = sweeps.plan(tiny, rates, 2, work / "sweep")
    for number, (_, config, path) in enumerate(plan.runs):
        shutil.copytree(source, path)
        atomic.write_text(path / names.CONFIG, configuration.dump(config))
        scores = {name: value and value * (1 + number % 7 / 100)
                  for name, value in metrics["scores"].items()}  # fmt: skip
        (path / names.METRICS).write_text(json.dumps({**metrics, "scores": scores}))
    return plan, tiny


def epochs(count, work):
    """Commit, resume and page of a run that already has so many epochs."""
    import kerasdl
    from kerasdl import backend

    backend.choose("torch")
    from kerasdl import models
    from kerasdl.engine import optimizers
    from kerasdl.report import document as documents
    from kerasdl.report import html
    from kerasdl.runs import checkpoint, names, runfolder
    from kerasdl.runs import config as configuration

    model = models.build("unet", (16, 16, 3), 4, filters=2, depth=1)
    model.compile(optimizers.SGD(0.1, 0.9, 1e-5), "mse")
    values = {name: 0.123456789 for name in ("loss", "val_loss", "val_mean_iou", "learning_rate")}
    with runfolder.acquire(work / "run", configuration.Config()) as folder:
        state = checkpoint.RunState(folder, seed=0)
        state.set_model(model)
        state.set_params({"epochs": 2 * count})
        state.restore(model)
        state.on_train_begin()
        state.rows = [{"epoch": n + 1, "seconds": 1.0, **values} for n in range(count)]
        spent = []
        for number in range(count, count + COMMITS):
            state.on_epoch_begin(number)
            spent.append(spend(state.on_epoch_end, number, dict(values))[0])
        found = {"commit": statistics.median(spent)}
        size = (runfolder.committed(folder.checkpoints)[0] / names.STATE).stat().st_size
        resumed = checkpoint.RunState(folder, seed=0)
        found["resume"] = spend(resumed.restore, model)[0]
    tiny = configuration.Config(task="segmentation", model="unet",
                                model_args={"filters": 2, "depth": 1}, image_size=(16, 16),
                                epochs=1, batch_size=8, train_size=8, validation_size=8,
                                test_size=8)  # fmt: skip
    kerasdl.train(tiny, work / "scored", quiet=True)
    document = {**documents.read(work / "scored"), "history": state.rows}
    found["page"] = spend(html.write_run_report, work / "page.html", document)[0]
    return found | {"state_bytes": size, "memory": peak()}


def peak():
    from kerasdl.backend import memory

    return memory.peak_bytes()


# name -> (function, sizes, what the exponent of 1 means, exponents that are so by nature)
AXES = {
    "files": (files, (1_000, 10_000, 100_000, 500_000)),
    "pairs": (pairs, (1_000, 10_000, 50_000, 200_000)),
    "drawn": (drawn, (1_000, 4_000, 16_000, 64_000)),
    "one_class": (one_class, (1_000, 4_000, 16_000, 64_000)),
    "image_side": (image_side, (64, 160, 400, 1024)),
    "classes": (classes, (2, 10, 40, 150)),
    "classes_fcn": (classes_fcn, (2, 10, 40, 150)),
    "batch": (batch, (2, 8, 32, 128)),
    "filters": (filters, (8, 16, 32, 64)),
    "runs": (runs, (10, 40, 150, 500)),
    "epochs": (epochs, (10, 100, 1_000, 10_000)),
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
        panel.set_title(axis.replace("_", " "), fontsize=9)
        panel.legend(fontsize=6)
    figure.supylabel("seconds of the processor", fontsize=9)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("axes", nargs="*", help=f"of {', '.join(AXES)}; all if none is named")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "benchmarks/results/growth")
    arguments = parser.parse_args()
    known = arguments.out.with_suffix(".json")
    rows = json.loads(known.read_text())["rows"] if known.exists() else []
    for axis in arguments.axes or AXES:
        least = LEAST.get(axis, 10)
        sizes = [max(least, int(size * arguments.scale)) for size in AXES[axis][1]]
        found = summary(axis, sizes, [apart(axis, size) for size in sizes])
        rows = [row for row in rows if row["axis"] != axis] + found
        rows.sort(key=lambda row: list(AXES).index(row["axis"]))
        print(markdown(found), flush=True)
        machine = {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(),
                   "python": platform.python_version(), "load": os.getloadavg()[0]}  # fmt: skip
        document = {"command": "python benchmarks/growth.py", "machine": machine, "rows": rows}
        known.write_text(json.dumps(document, indent=1) + "\n")
        arguments.out.with_suffix(".md").write_text(markdown(rows))
        draw(rows, arguments.out.with_suffix(".png"))


def measure(axis, size):
    """Prints one measurement."""
    with tempfile.TemporaryDirectory() as work:
        found = AXES[axis][0](int(size), pathlib.Path(work))
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        main()
