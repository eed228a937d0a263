"""Every model in every export format: the file against the run it was made from.

    python benchmarks/export_proof.py --work FOLDER --out benchmarks/results/export_proof

Trains one short run per model on the built-in data, exports each in every format (float32; some
also in float16 and int8), and collects what `kerasdl export` proves. Repeat the command to go on
where it was stopped. Writes OUT.json and OUT.md. The runs are too short to be good; what counts
is the agreement. Times are of this machine, whatever else it was doing.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys

from kerasdl.backend import machine
from kerasdl.runs.runtimes import FORMATS

SHORT = {
    "data": "scenes",
    "image_size": 32,
    "train_size": 32,
    "validation_size": 16,
    "test_size": 16,
    "batch_size": 16,
    "epochs": 2,
}
RUNS = {
    "resnet18": {"task": "classification", "model": "resnet18", "learning_rate": 0.02},
    "fcn32": {"task": "segmentation", "model": "fcn32"},
    "fcn16": {"task": "segmentation", "model": "fcn16"},
    "fcn8": {"task": "segmentation", "model": "fcn8"},
    "unet": {"task": "segmentation", "model": "unet"},
    "unet-resnet18": {"task": "segmentation", "model": "unet-resnet18"},
    "unet-ab": {"task": "colorization", "model": "unet", "target": "ab"},
}
MORE = ("unet",)  # also for any size, and in float16 and int8
PRECISIONS = {"float32": {}, "float16": {"half": True}, "int8": {"int8": True}}


def cells():
    """(run, format, precision, dynamic) of everything that is exported."""
    for name in RUNS:
        for format in FORMATS:
            yield name, format, "float32", False
    for name in MORE:
        for format, kind in FORMATS.items():
            yield name, format, "float32", True
            for precision, able in (("float16", kind.half), ("int8", kind.int8)):
                if able:
                    yield name, format, precision, False


def work(folder, engine):
    """Trains what is missing and exports the formats of one backend; one JSON file per cell."""
    import kerasdl
    from kerasdl.tools.export.run import ExportDiffers

    for name, values in RUNS.items():
        if not kerasdl.Run(folder / name).finished:
            kerasdl.train(kerasdl.Config(**SHORT, **values), folder / name, quiet=True)
    for name, format, precision, dynamic in cells():
        path = folder / f"{name}-{format}-{precision}-{dynamic}.json"
        if FORMATS[format].backend != engine or path.exists():
            continue
        try:
            document = kerasdl.export(
                folder / name, format, overwrite=True, dynamic=dynamic, **PRECISIONS[precision]
            )
        except ExportDiffers as error:
            document = error.document
        document |= {"run": name, "file": pathlib.Path(document["file"]).name}
        path.write_text(json.dumps(document))
        print(name, format, precision, dynamic, f"{document['difference']:.1e}", flush=True)


def table(documents):
    """The proof as a table in Markdown."""
    lines = [
        "| run | format | weights | size | difference | same class | score, run | file "
        "| ms per image, run | file | kB | |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for found in documents:
        name, score = next(iter(found["scores"].items()))
        agreement = found["agreement"]
        lines.append(
            f"| {found['run']} | {found['format']} | {found['precision']} "
            f"| {'fixed' if found['size'] else 'any'} | {found['difference']:.1e} "
            f"| {'' if agreement is None else f'{agreement:.2%}'} "
            f"| {name} {score['run']:.4f} | {score['file']:.4f} "
            f"| {found['milliseconds']['run']:.1f} | {found['milliseconds']['file']:.1f} "
            f"| {found['bytes'] / 1000:.0f} | {', '.join(found['failed']) or 'good'} |"
        )
    return "\n".join(lines)


def main():
    """Runs the backends one after the other, then collects what they left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--engine", help="for the processes that this script starts")
    options = parser.parse_args()
    if options.engine:
        return work(options.work, options.engine)
    options.work.mkdir(parents=True, exist_ok=True)
    for engine in sorted({kind.backend for kind in FORMATS.values()}):
        command = [sys.executable, __file__, *sys.argv[1:], "--engine", engine]
        subprocess.run(command, env={**os.environ, "KERAS_BACKEND": engine}, check=True)
    documents = [
        json.loads((options.work / f"{name}-{format}-{precision}-{dynamic}.json").read_text())
        for name, format, precision, dynamic in cells()
    ]
    header = {
        "command": "python benchmarks/export_proof.py --work FOLDER --out OUT",
        "machine": f"{machine.cpu_name()}, {machine.num_cores()} cores, {platform.system()}",
        "configuration": SHORT,
        "documents": documents,
    }
    options.out.with_suffix(".json").write_text(json.dumps(header, indent=1) + "\n")
    worst = max(d["difference"] for d in documents if d["precision"] == "float32")
    options.out.with_suffix(".md").write_text(
        f"# Exports against their runs\n\n`{header['command']}`, {header['machine']}. Short runs "
        f"({SHORT['epochs']} epochs on {SHORT['train_size']} images of {SHORT['image_size']}x"
        f"{SHORT['image_size']}), {SHORT['test_size']} test images. Difference: the largest, "
        f"relative to the largest output; {worst:.1e} at most in float32. The machine was busy "
        f"with other work: times only tell orders of magnitude.\n\n{table(documents)}\n"
    )


if __name__ == "__main__":
    main()
