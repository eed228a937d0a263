"""Training and prediction beside what people would use instead, on the same files.

    VENV/bin/python benchmarks/peers.py training [--model resnet18 ...] [--rounds 4]
    VENV/bin/python benchmarks/peers.py command [--model resnet18]
    VENV/bin/python benchmarks/peers.py prediction

training    images per second of whole epochs, in turns: every peer is a process of its own and
            trains an epoch while the others wait; quartiles over the epochs, the ratio to the
            fastest peer epoch by epoch, memory, seconds from the start to the end of the first step
command     seconds of a command that trains three epochs: start, training, validation, saving (and
            with kerasdl the check of the data, the test scores and the report)
prediction  images per second for 1, 64 and 1,000 files, start included and not

The network, the files (PNG, made here), flip, crop by 4 pixels and batch are the same; each peer
reads with its own input pipeline. `peers-requirements.txt` says how to make VENV. Peers that are
not installed are left out and named. Adds to `benchmarks/results/peers.json` and writes `peers.md`
from all of it.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import checkout
import peer_data

from kerasdl.backend import machine
from kerasdl.tools import workers
from kerasdl.tools.benchmark import cells, processes

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "peers.json"
OURS = ("kerasdl", "kerasdl-uncached", "kerasdl-onnx")
PEERS = (  # name, backend
    ("kerasdl", "torch"), ("kerasdl", "tensorflow"), ("kerasdl", "jax"),
    ("kerasdl-uncached", "torch"), ("lightning", "torch"), ("lightning-smp", "torch"),
    ("fastai", "torch"), ("ultralytics", "torch"), ("keras-dataset", "tensorflow"),
    ("keras-pydataset", "tensorflow"), ("keras-pydataset", "torch"), ("keras-pydataset", "jax"),
)  # fmt: skip
PREDICTORS = (
    ("kerasdl", "torch"), ("kerasdl", "tensorflow"), ("kerasdl-onnx", "torch"),
    ("lightning", "torch"), ("keras-predict", "tensorflow"), ("onnxruntime", "torch"),
)  # fmt: skip
NEEDS = {  # modules besides those of kerasdl itself
    "lightning": ("lightning", "torchvision"), "fastai": ("fastai", "torchvision"),
    "lightning-smp": ("lightning", "segmentation_models_pytorch"),
    "ultralytics": ("ultralytics", "torchvision"), "onnxruntime": ("onnxruntime",),
    "kerasdl-onnx": ("onnxruntime",),
}  # fmt: skip
MODELS = ("resnet18", "unet", "fcn8", "unet-resnet18")
COUNTS = (1, 64, 1000)
COMMAND_EPOCHS = 3


@dataclasses.dataclass(frozen=True)
class Cell:
    """One peer with one network; what `processes.measure` measures."""

    peer: str
    model: str
    backend: str
    precision: str
    batch_size: int = peer_data.BATCH

    @property
    def task(self):
        return "classification" if self.model == "resnet18" else "segmentation"


def planned(peers, model, precision, only=None):
    """The cells of a network whose peers are installed and can train it, and those left out."""
    found, missing = [], []
    for name, backend in peers:
        if only and name not in only:
            continue
        if (name == "lightning-smp") != (model == "unet-resnet18") and name in (
            "lightning", "lightning-smp", "fastai", "ultralytics",
        ):  # fmt: skip
            continue
        if name == "ultralytics" and model != "resnet18":
            continue
        absent = [each for each in NEEDS.get(name, ()) if importlib.util.find_spec(each) is None]
        if absent:
            missing.append(f"{name}: {', '.join(absent)} not installed")
        else:
            found.append(Cell(name, model, backend, precision))
    return found, missing


def training(root, options):
    """Rows of all networks and precisions."""
    rows, missing = [], []
    for model in options.model:
        for precision in options.precision or cells.quick_precisions():
            wanted, absent = planned(PEERS, model, precision, options.peer)
            missing += absent
            job = {"timeout": options.timeout}

            def start(cell, job):
                job = {**job, **dataclasses.asdict(cell), "task": cell.task}
                job["data"] = str(root / cell.task)
                return workers.Worker("peer_training:work", job, cell.backend, job["timeout"])

            measured = processes.measure(wanted, job, options.rounds, log, start)
            rows += compared(measured, [options.images] * len(wanted))
    return rows, missing


def prediction(root, options):
    """Rows of all numbers of images."""
    prepared = prepare(root)
    files = [str(path) for path, _ in peer_data.files(root / "classification", "train")]
    rows, missing = [], []
    for count in COUNTS:
        wanted, missing = planned(PREDICTORS, "resnet18", "float32", options.peer)
        images = [files[each % len(files)] for each in range(count)]

        def start(cell, job, images=images):
            job = {**job, **dataclasses.asdict(cell), **prepared, "images": images}
            return workers.Worker("peer_prediction:work", job, cell.backend, job["timeout"])

        measured = processes.measure(
            wanted, {"timeout": options.timeout}, options.rounds, log, start
        )
        rows += [{"images": count, **row} for row in compared(measured, [count] * len(wanted))]
    return rows, missing


def prepare(root):
    """A trained ResNet-18 as run, model file and ONNX file."""
    run = root / "run"
    cell = Cell("kerasdl", "resnet18", "torch", "float32")
    shell(kerasdl_command(root, cell, run, 1), "torch")
    onnx = root / "resnet18.onnx"
    shell([sys.executable, "-m", "kerasdl", "export", str(run), "--format", "onnx", "--out",
           str(onnx)], "torch")  # fmt: skip
    return {"run": str(run), "model": str(run / "best.keras"), "onnx": str(onnx)}


def command(root, options):
    """Seconds of a command of three epochs, in alternating order."""
    rows, missing = [], []
    for model in options.model:
        wanted, absent = planned(PEERS, model, "float32", options.peer)
        missing += absent
        spent = {cell: [] for cell in wanted}
        errors = {}
        for turn in range(options.rounds):
            for cell in wanted[:: -1 if turn % 2 else 1]:
                log(f"{cell.peer} on {cell.backend}, {model}: command {turn + 1}")
                line = own_command(root, cell, turn)
                began = time.perf_counter()
                try:
                    shell(line, cell.backend)
                except subprocess.CalledProcessError as error:
                    errors[cell] = (error.stderr.strip().splitlines() or ["killed"])[-1]
                    continue
                spent[cell].append(time.perf_counter() - began)
        for cell, seconds in spent.items():
            row = dataclasses.asdict(cell)
            found = {"error": errors[cell]} if cell in errors else {"seconds": quartiles(seconds)}
            rows.append({**row, **found})
    return rows, missing


def own_command(root, cell, turn):
    if cell.peer in OURS:
        return kerasdl_command(root, cell, root / f"{cell.peer}-{cell.backend}-{turn}", None)
    job = {**dataclasses.asdict(cell), "task": cell.task, "data": str(root / cell.task)}
    return [sys.executable, __file__, "--train", json.dumps(job)]


def kerasdl_command(root, cell, out, epochs):
    """`kerasdl train` with the settings of the peers."""
    import tomli_w
    from peer_training import settings

    job = {**dataclasses.asdict(cell), "task": cell.task, "data": str(root / cell.task)}
    file = out.with_suffix(".toml")
    file.write_text(tomli_w.dumps(settings(job)))
    words = ["train", cell.task, "--config", str(file), "--out", str(out), "--overwrite"]
    epochs = ["--epochs", str(epochs or COMMAND_EPOCHS)]
    return [sys.executable, "-m", "kerasdl", *words, *epochs, "--quiet"]


def shell(line, backend):
    subprocess.run(line, check=True, capture_output=True, text=True,
                   env={**os.environ, "KERAS_BACKEND": backend})  # fmt: skip


def compared(measured, images):
    """One row per cell: quartiles of images per second, and the ratio to the best peer."""
    for cell, count in zip(measured, images, strict=True):
        cell["rates"] = [count / block["seconds"] for block in cell["blocks"]]
    good = [cell for cell in measured if "error" not in cell]
    peers = [cell for cell in good if cell["peer"] not in OURS]
    best = max(peers, key=lambda cell: statistics.median(cell["rates"]), default=None)
    rows = []
    for cell in measured:
        row = {key: cell[key] for key in ("peer", "model", "backend", "precision", "batch_size")}
        if "error" in cell:
            rows.append({**row, "error": cell["error"]})
            continue
        first, last = cell["first"], cell["blocks"][-1]
        row["images_per_second"] = quartiles(cell["rates"])
        if best is not None:
            row["ratio_to"] = f"{best['peer']} on {best['backend']}"
            pairs = zip(cell["rates"], best["rates"], strict=True)
            row["ratio"] = quartiles([ours / theirs for ours, theirs in pairs])
        row["peak_bytes"] = last["peak_bytes"]
        row |= {key: value for key, value in first.items() if key not in ("seconds", "peak_bytes")}
        rows.append(row)
    return rows


def quartiles(values):
    """Lower quartile, median, upper quartile."""
    several = values if len(values) > 1 else values * 2
    low, median, high = statistics.quantiles(several, n=4, method="inclusive")
    return {"low": low, "median": median, "high": high}


def markdown(document):
    """All results as tables."""
    parts = [f"# Beside peers\n\n{document['machine']}\n"]
    for kind, found in document["results"].items():
        runs = [
            f"`{run['command']}`, {run['when']}, commit {run['commit']}, "
            f"load {run['load']:.1f} at the end.\n"
            for run in found["runs"]
        ]
        parts += [f"## {kind.capitalize()}\n", *runs]
        columns, line = TABLES[kind]
        parts.append("\n".join([
            "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns),
            *("| " + " | ".join(line(row)) + " |" for row in found["rows"]),
        ]) + "\n")  # fmt: skip
        parts += [f"Left out: {each}.\n" for each in found["missing"]]
    return "\n".join(parts)


def spread(found, digits=1):
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"


def subject(row):
    note = f", {row['note']}" if "note" in row else ""  # of rows older than the code
    return [row["model"], row["precision"], f"{row['peer']} on {row['backend']}{note}"]


def measured_or(row, texts):
    """The cells of a row, or the error in the first of them."""
    return [*subject(row), *([row["error"]] if "error" in row else texts(row))]


TABLES = {
    "training": (
        ("model", "precision", "", "images/s: median (quartiles)", "to the best peer",
         "first step (s)", "memory (MiB)"),
        lambda row: measured_or(row, lambda row: [
            spread(row["images_per_second"]), spread(row["ratio"], 2) if "ratio" in row else "",
            f"{row['first_step_seconds']:.1f}", f"{row['peak_bytes'] / 2**20:.0f}",
        ]),
    ),
    "command": (
        ("model", "precision", "", f"{COMMAND_EPOCHS} epochs (s): median (quartiles)"),
        lambda row: measured_or(row, lambda row: [spread(row["seconds"])]),
    ),
    "prediction": (
        ("model", "precision", "", "images", "images/s: median (quartiles)", "to the best peer",
         "images/s with the start", "memory (MiB)"),
        lambda row: measured_or(row, lambda row: [
            f"{row['images']:,}", spread(row["images_per_second"]),
            spread(row["ratio"], 2) if "ratio" in row else "",
            f"{row['images'] / row['since_start']:.1f}", f"{row['peak_bytes'] / 2**20:.0f}",
        ]),
    ),
}  # fmt: skip


def log(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=TABLES)
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--peer", action="append", help="only these; repeatable")
    parser.add_argument("--precision", action="append", choices=cells.MEASURED_PRECISIONS)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--images", type=int, default=320, help="training images: an epoch")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    options = parser.parse_args()
    options.model = options.model or list(MODELS)
    os.environ["PYTHONPATH"] = f"{ROOT / 'benchmarks'}{os.pathsep}{ROOT}"
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        os.environ.setdefault("YOLO_CONFIG_DIR", folder)
        peer_data.make(root, options.images)
        kinds = {"training": training, "command": command, "prediction": prediction}
        rows, missing = kinds[options.kind](root, options)
    document = json.loads(options.out.read_text()) if options.out.exists() else {"results": {}}
    if not machine.bfloat16_in_hardware() and not options.precision:
        missing.append("bfloat16: this processor has no instructions for it")
    document["machine"] = machine.description()
    found = document["results"].setdefault(options.kind, {"runs": [], "rows": [], "missing": []})
    made = {row["model"] for row in rows}
    found["rows"] = [row for row in found["rows"] if row["model"] not in made] + rows
    found["missing"] = list(dict.fromkeys([*found["missing"], *missing]))
    words = " ".join(["python", "benchmarks/peers.py", *sys.argv[1:]])
    found["runs"] = [run for run in found["runs"] if run["command"] != words]
    found["runs"].append(
        {
            "command": words,
            "when": time.strftime("%Y-%m-%d"),
            "commit": checkout.commit(),
            "load": os.getloadavg()[0],
        }
    )
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    options.out.with_suffix(".md").write_text(markdown(document))
    print(markdown(document))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        import peer_training

        job = json.loads(sys.argv[2])
        peer_training.TRAININGS[job["peer"]](job, peer_training.NoClock(), COMMAND_EPOCHS)
    else:
        main()
