"""Ten ratios that must not get worse, compared with stored ones; exit code 1 if one did.

    python benchmarks/guard.py            # a few minutes on two quiet cores
    python benchmarks/guard.py --store    # measure and replace benchmarks/results/guard.json
    python benchmarks/guard.py --only "start of help" --only listing

Every ratio is of two things measured in turn on this machine: kerasdl and what it is compared with,
so that the speed of the machine cancels out. Its tolerance is relative. A ratio that is worse than
stored by more than that is measured a second time before it counts.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "results" / "guard.json"
REFERENCE = f"{ROOT / 'benchmarks' / 'reference_loop.py'}:Loop"
ROUNDS, STEPS = 6, 4


@dataclasses.dataclass(frozen=True)
class Ratio:
    """What is measured.

    Attributes:
        name: For the table.
        measure: Function that returns this ratio, or several by name.
        better: "higher" or "lower".
        tolerance: By which fraction it may be worse.
    """

    name: str
    measure: str
    better: str
    tolerance: float


RATIOS = (
    Ratio("ResNet-18 on torch / plain loop", "resnet18", "higher", 0.1),
    Ratio("ResNet-18 on tensorflow / plain loop", "resnet18", "higher", 0.1),
    Ratio("ResNet-18 on jax / plain loop", "resnet18", "higher", 0.1),
    Ratio("U-Net on torch / plain loop", "unet", "higher", 0.1),
    Ratio("U-Net on tensorflow / plain loop", "unet", "higher", 0.1),
    Ratio("batches / fastest other pipeline", "pipeline", "higher", 0.2),
    Ratio("step with metrics / without", "metrics", "lower", 0.1),
    Ratio("commit of an epoch / model.save", "commit", "lower", 0.3),
    Ratio("start of help / start of Python", "start", "lower", 0.2),
    Ratio("listing 20,000 files / 2,000", "listing", "lower", 0.3),
)


def network(model, backends):
    """Training steps per second relative to the plain loop, as `kerasdl benchmark` measures."""
    from kerasdl.tools.benchmark import cells, processes, results

    planned = cells.plan(
        backend=backends, model=(model,), batch_size=(32,), precision=("float32",),
        reference=(REFERENCE,),
    )  # fmt: skip
    job = {"steps": STEPS, "image_size": [64, 64], "seed": 0, "timeout": 120, "extensions": []}
    rows = results.summarize(processes.measure(planned, job, ROUNDS))
    failed = [f"{row['backend']}: {row['error']}" for row in rows if "error" in row]
    if failed:
        raise SystemExit(f"{model}: {failed[0]}")
    return [next(row["ratio_median"] for row in rows if row["backend"] == b) for b in backends]


def resnet18():
    return network("resnet18", ("torch", "tensorflow", "jax"))


def unet():
    return network("unet", ("torch", "tensorflow"))


def pipeline():
    """Batches from arrays, per core, relative to the fastest of tf.data and torch."""
    import input_pipeline

    names = ("kerasdl", "tf_data_whole_batches", "torch_whole_batches")
    rows = input_pipeline.compare(input_pipeline.Arrays(), names, 3, 0.7)
    return [rows["kerasdl"]["ratio_per_core"][0]]


def metrics():
    """A training step of a segmenter with metrics, relative to one without, in processor time."""
    import metric_cost

    seconds = metric_cost.measure("segmentation", 64, 16, 3, 5)
    pairs = zip(seconds["validation only"], seconds["none"], strict=True)
    return [statistics.median(ours[1] / plain[1] for ours, plain in pairs)]


def commit():
    """Seconds of the commit of a ResNet-18, relative to those of Keras' own `model.save`."""
    import commit_cost

    found = commit_cost.measure("resnet18", 64, 10, 5)
    return [
        statistics.median(
            ours / plain for ours, plain in zip(found["commit"], found["save"], strict=True)
        )
    ]


def start():
    """Processor time of `kerasdl --help`, relative to that of a Python that does nothing."""
    help_, plain = ["-m", "kerasdl", "--help"], ["-c", "pass"]
    ratios = []
    for _ in range(5):
        spent = []
        for words in (help_, plain):
            began = os.times()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            after = os.times()
            spent.append(after.children_user - began.children_user
                         + after.children_system - began.children_system)  # fmt: skip
        ratios.append(spent[0] / spent[1])
    return [statistics.median(ratios)]


def listing():
    """Processor time to list and load ten times as many files."""
    import growth_work

    ratios = []
    for _ in range(3):
        spent = []
        for count in (20_000, 2_000):
            with tempfile.TemporaryDirectory() as work:
                found = growth_work.files(count, pathlib.Path(work))
            spent.append(found["list"] + found["load"])
        ratios.append(spent[0] / spent[1])
    return [statistics.median(ratios[1:])]  # the first has imports in it


def apart(measure):
    """The ratios of one function, measured in a process of its own."""
    path = os.pathsep.join((str(ROOT / "benchmarks"), str(ROOT)))
    environment = {"KERAS_BACKEND": "tensorflow", **os.environ, "PYTHONPATH": path}
    line = [sys.executable, __file__, "--measure", measure]
    run = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        raise SystemExit(f"{measure}: {(run.stderr.strip().splitlines() or ['killed'])[-1]}")
    return json.loads(run.stdout.splitlines()[-1])


def measured(names):
    """{name: value} of some ratios, each function once."""
    found = {}
    for measure in dict.fromkeys(each.measure for each in RATIOS if each.name in names):
        began = time.monotonic()
        values = apart(measure)
        same = [each.name for each in RATIOS if each.measure == measure]
        found |= {name: value for name, value in zip(same, values, strict=True) if name in names}
        print(f"{measure}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found


def worse(ratio, value, stored):
    """By which fraction a value is worse than the stored one; negative if it is better."""
    return 1 - value / stored if ratio.better == "higher" else value / stored - 1


def regressions(found, stored):
    """Names of the ratios that are worse than stored by more than their tolerance."""
    return [
        ratio.name
        for ratio in RATIOS
        if ratio.name in found and ratio.name in stored
        and worse(ratio, found[ratio.name], stored[ratio.name]) > ratio.tolerance
    ]  # fmt: skip


def show(found, stored, failed):
    """The table, one line per ratio."""
    for ratio in RATIOS:
        if ratio.name in found:
            known = f"{stored[ratio.name]:7.2f}" if ratio.name in stored else "    new"
            mark = "WORSE" if ratio.name in failed else ""
            print(f"{ratio.name:38} {found[ratio.name]:7.2f}  stored {known}  "
                  f"{ratio.better} is better, within {ratio.tolerance:.0%}  {mark}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", action="store_true", help="replace the stored ratios")
    parser.add_argument("--only", action="append", help="part of a name; repeatable")
    options = parser.parse_args()
    from kerasdl.backend import machine

    names = [
        ratio.name for ratio in RATIOS
        if not options.only or any(part in ratio.name for part in options.only)
    ]  # fmt: skip
    document = json.loads(STORED.read_text()) if STORED.exists() else {"ratios": {}}
    stored = document["ratios"]
    found = measured(names)
    if options.store:
        document = {
            "command": "python benchmarks/guard.py --store",
            "machine": machine.description(),
            "load": os.getloadavg()[0],
            "ratios": {**stored, **found},
        }
        STORED.write_text(json.dumps(document, indent=1) + "\n")
        show(found, {}, ())
        return 0
    failed = regressions(found, stored)
    if failed:
        again = measured(failed)
        for ratio in RATIOS:
            if ratio.name in failed:
                choose = max if ratio.better == "higher" else min
                found[ratio.name] = choose(found[ratio.name], again[ratio.name])
        failed = regressions(found, stored)
    show(found, stored, failed)
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(globals()[sys.argv[2]]()))
    else:
        sys.exit(main())
