"""All full-size configurations, for a machine with one GPU and little time.

    python benchmarks/gpu_runs.py --cifar10 cifar10.npz --camvid camvid --out gpu --jobs 5

The first run has the GPU to itself, so that its seconds mean something; then `--jobs` of them share
it, which a single run does not keep busy.

Each run is its own process, so that none leaks memory or takes the others down. When time is up the
runs in progress get SIGTERM and stop with their last epoch committed: the same command, on the same
machine or on another one with the folder copied, resumes. gpu_runs.json is rewritten after each
run, and all but large weights is packed into gpu_runs.tar.gz. `--trial` runs only a few steps
of each, to check on any machine that they work.
"""

import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # also works from a copy without installation

from kerasdl.core import files  # noqa: E402

CONFIGS = ROOT / "configs"
FAST = "classification_resnet18_cifar10_fast"
# (configuration, seed, further arguments) in order of importance, in case there is no time for all.
RUNS = (
    (FAST, 0, ()),
    (FAST, 1, ()),
    (FAST, 2, ()),
    (FAST, 0, ("--set", "model_args.filters=16")),
    ("classification_resnet18_cifar10", 0, ()),
    ("segmentation_unet_camvid", 0, ()),
    ("segmentation_unet_resnet18_camvid", 0, ()),
    ("segmentation_fcn8_camvid", 0, ()),
    ("segmentation_fcn16_camvid", 0, ()),
    ("segmentation_fcn32_camvid", 0, ()),
    ("segmentation_unet_resnet18_camvid", 0, ("--weights", f"seed-0/{FAST}")),
    ("segmentation_unet_camvid", 0, ("--set", "class_weights=auto")),
    ("segmentation_unet_camvid", 0, ("--set", "model_args.filters=64")),
    ("colorization_unet_cifar10", 0, ()),
    ("colorization_unet_plain_cifar10", 0, ()),
    ("colorization_unet_cifar10", 0, ("--set", "target=ab")),
    ("colorization_unet_camvid", 0, ()),
    ("colorization_unet_plain_camvid", 0, ()),
    ("colorization_unet_camvid", 0, ("--set", "target=ab")),
)
TRIAL = {
    "epochs": 1,
    "steps_per_epoch": 2,
    "warmup_epochs": 0.5,
    "train_size": 4,
    "validation_size": 2,
    "test_size": 2,
    "batch_size": 2,
    "precision": "float32",
}
# JAX would preallocate most of the GPU's memory and leave none for the other runs.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
LARGEST = 4 * 2**20  # bytes of a file that is packed
GRACE_SECONDS = 60  # from SIGTERM to SIGKILL, which loses at most the current epoch


def title(run):
    """Name of the folder of a run."""
    name, seed, extra = run
    words = [word for word in extra if not word.startswith("--")]
    return f"seed-{seed}/" + "-".join([name, *words]).replace("=", "_").replace("/", "_")


def command(run, data, out, trial):
    """Arguments of the process that trains one configuration."""
    name, seed, extra = run
    path = CONFIGS / f"{name}.toml"
    values = files.read_toml(path)
    changes = dict(TRIAL) if trial else {}
    if values["recipe"] == "study":
        changes.pop("warmup_epochs", None)
    found = [sys.executable, "-m", "kerasdl", "train", values["task"], "--config", str(path)]
    found += ["--data", str(data), "--out", str(out / title(run)), "--seed", str(seed), "--json"]
    for word, before in zip(extra, ("", *extra), strict=False):
        found.append(str(out / word) if before == "--weights" else word)
    for key, value in changes.items():
        found += ["--set", f"{key}={value}"]
    return found


def execute(arguments, deadline, log):
    """Runs a process until its end or the deadline; (exit code, its JSON document or None)."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**ENVIRONMENT, **os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
    )
    try:
        output, _ = process.communicate(timeout=max(1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        try:
            output, _ = process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
    return process.returncode, json.loads(output) if process.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", type=pathlib.Path, help="the .npz file; without: no CIFAR-10")
    parser.add_argument("--camvid", type=pathlib.Path, help="the folder; without: no CamVid")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gpu-runs"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--only", nargs="*", default=[], metavar="TEXT", help="runs with it")
    parser.add_argument("--trial", action="store_true", help="a few steps of each")
    arguments = parser.parse_args()
    deadline = time.monotonic() + 60 * arguments.minutes
    arguments.out.mkdir(parents=True, exist_ok=True)

    def measure(run):
        result = {"run": title(run), "config": run[0], "trial": arguments.trial}
        if time.monotonic() >= deadline:
            return result | {"status": "not begun"}
        data = arguments.cifar10 if "cifar10" in run[0] else arguments.camvid
        words = command(run, data, arguments.out, arguments.trial)
        folder = arguments.out / title(run)
        folder.parent.mkdir(exist_ok=True)
        started = time.monotonic()
        with open(f"{folder}.log", "a", encoding="utf-8") as log:
            code, document = execute(words, deadline, log)
        seconds = round(time.monotonic() - started, 1)
        status = "finished" if code == 0 else f"stopped or failed, exit code {code}"
        result |= {"command": words[2:], "status": status, "seconds_of_this_call": seconds}
        if (folder / "history.csv").exists():
            with open(folder / "history.csv", encoding="utf-8") as file:
                result["history"] = [
                    {key: float(f"{float(value):.6g}") for key, value in row.items()}
                    for row in csv.DictReader(file)
                ]
        if document is not None:
            result |= {**document["scores"], "baseline": document["baseline"]}
            environment = (folder / "environment.json").read_text(encoding="utf-8")
            result["environment"] = json.loads(environment)
        print(f"{title(run)}: {status}, {seconds} s", flush=True)
        return result

    results = []

    def keep(result):
        results.append(result)
        grouped = {}
        for each in sorted(results, key=lambda each: each["run"]):
            grouped.setdefault(each["run"].partition("/")[2], []).append(each)
        document = {"command": sys.argv, "runs": grouped}
        files.write_text(arguments.out / "gpu_runs.json", json.dumps(document, indent=1) + "\n")

    wanted = [
        run
        for run in RUNS
        if (arguments.cifar10 if "cifar10" in run[0] else arguments.camvid)
        and (not arguments.only or any(text in title(run) for text in arguments.only))
    ]
    keep(measure(wanted[0]))
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for result in concurrent.futures.as_completed(pool.submit(measure, w) for w in wanted[1:]):
            keep(result.result())
    pack(arguments.out)
    return 0 if all(result["status"] == "finished" for result in results) else 1


def pack(out):
    """Everything but checkpoints and large files as one archive."""
    with tarfile.open(out / "gpu_runs.tar.gz", "w:gz") as archive:
        for path in sorted(out.rglob("*")):
            if "checkpoints" not in path.parts and path.is_file() and path.suffix != ".gz":
                if path.stat().st_size < LARGEST:
                    archive.add(path, path.relative_to(out))


if __name__ == "__main__":
    sys.exit(main())
