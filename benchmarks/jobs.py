"""How much faster a sweep is with `--jobs 2` than with one job, on two cores.

    python benchmarks/jobs.py --backend tensorflow --repeats 3 --out benchmarks/results/jobs.json

Trains the same runs (U-Nets with 8 filters, four seeds) in turn with one job, which uses both
cores, and with two, of one core each; every sweep is a fresh process in a fresh folder. The ratio
compares neighboring sweeps, so that a busy machine slows down both. `training` leaves out start and
evaluation: the sum of the epochs' times with one job, with two that of the slower half.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from kerasdl.backend import machine
from kerasdl.runs.run import Run, below

SEEDS = 4


def sweep(jobs, arguments, folder):
    """Seconds of a sweep of four runs in all, and of their epochs."""
    command = [
        sys.executable, "-m", "kerasdl", "sweep", arguments.task, "--grid", "filters=8",
        "--seeds", str(SEEDS), "--jobs", str(jobs), "--backend", arguments.backend,
        "--out", str(folder), "--quiet", "--batch-size", "16", "--epochs", str(arguments.epochs),
        "--image-size", str(arguments.image_size),
        *(word for value in (f"train_size={arguments.samples}", "validation_size=32",
                             "test_size=32", "model_args.depth=3") for word in ("--set", value)),
    ]  # fmt: skip
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    # Seeds alternate between the two processes.
    times = [sum(row["seconds"] for row in Run(path).history) for path in below(folder)]
    parts = [sum(times[place::jobs]) for place in range(jobs)]
    return {"all": round(seconds, 2), "training": round(max(parts), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", default="segmentation")
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--samples", type=int, default=320)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    pairs = []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as folder:
            one, two = (sweep(jobs, arguments, pathlib.Path(folder, str(jobs))) for jobs in (1, 2))
        ratios = {key: round(one[key] / two[key], 3) for key in one}
        pairs.append(
            {"one": one, "two": two, "ratio": ratios, "load": round(os.getloadavg()[0], 1)}
        )
        print(json.dumps(pairs[-1]), flush=True)
    document = {
        "command": ["python", *sys.argv],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{machine.cpu_name()}, {len(cores)} cores, {platform.system()}",
        "pairs": pairs,
        "median_ratio": {
            key: statistics.median(pair["ratio"][key] for pair in pairs)
            for key in ("all", "training")
        },
    }
    print(f"median ratio: {document['median_ratio']}")
    if arguments.out:
        arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
