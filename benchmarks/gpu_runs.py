"""All full-size configurations, for a machine with one GPU and little time.

    python benchmarks/gpu_runs.py --cifar10 cifar10.npz --camvid camvid --out gpu --minutes 28

With `--jobs 4` four of them share the GPU, which a single run does not keep busy.

Each run is its own process, so that none leaks memory or takes the others down. When time is up the
runs in progress get SIGTERM and stop with their last epoch committed: the same command, on the same
machine or on another one with the folder copied, resumes. gpu_runs.json is rewritten after each
run. `--trial` runs only a few steps of each, to check on any machine that they work.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # also works from a copy without installation

from kerasdl.core import files  # noqa: E402

CONFIGS = ROOT / "configs"
# In order of importance, in case there is no time for all.
NAMES = (
    "classification_resnet18_cifar10_fast",
    "classification_resnet18_cifar10",
    "segmentation_unet_camvid",
    "segmentation_fcn8_camvid",
    "segmentation_fcn16_camvid",
    "segmentation_fcn32_camvid",
    "segmentation_unet_resnet18_camvid",
    "colorization_unet_cifar10",
    "colorization_unet_plain_cifar10",
    "colorization_unet_camvid",
    "colorization_unet_plain_camvid",
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
GRACE_SECONDS = 60  # from SIGTERM to SIGKILL, which loses at most the current epoch


def command(name, folder, data, seed, trial):
    """Arguments of the process that trains one configuration."""
    path = CONFIGS / f"{name}.toml"
    values = files.read_toml(path)
    extra = dict(TRIAL) if trial else {}
    if values["recipe"] == "study":
        extra.pop("warmup_epochs", None)
    found = [sys.executable, "-m", "kerasdl", "train", values["task"], "--config", str(path)]
    found += ["--data", str(data), "--out", str(folder), "--seed", str(seed), "--json"]
    for key, value in extra.items():
        found += ["--set", f"{key}={value}"]
    return found


def run(arguments, deadline, log):
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
    parser.add_argument("--minutes", type=float, default=28.0)
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=NAMES, choices=NAMES, metavar="NAME")
    parser.add_argument("--trial", action="store_true", help="a few steps of each")
    arguments = parser.parse_args()
    deadline = time.monotonic() + 60 * arguments.minutes
    arguments.out.mkdir(parents=True, exist_ok=True)

    def measure(seed, name):
        data = arguments.cifar10 if "cifar10" in name else arguments.camvid
        result = {"config": name, "seed": seed, "trial": arguments.trial}
        if time.monotonic() >= deadline:
            return result | {"status": "not begun"}
        folder = arguments.out / f"seed-{seed}" / name
        folder.parent.mkdir(exist_ok=True)
        started = time.monotonic()
        with open(folder.with_suffix(".log"), "a", encoding="utf-8") as log:
            code, document = run(command(name, folder, data, seed, arguments.trial), deadline, log)
        status = "finished" if code == 0 else f"stopped or failed, exit code {code}"
        result |= {"status": status, "seconds_of_this_call": round(time.monotonic() - started, 1)}
        if document is not None:
            result |= {key: document[key] for key in ("scores", "baseline", "samples")}
            environment = (folder / "environment.json").read_text(encoding="utf-8")
            result["environment"] = json.loads(environment)
        print(f"{name}, seed {seed}: {status}, {result['seconds_of_this_call']} s", flush=True)
        return result

    wanted = [
        (seed, name)
        for seed, name in itertools.product(range(arguments.seeds), arguments.only)
        if (arguments.cifar10 if "cifar10" in name else arguments.camvid)
    ]
    results = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for result in concurrent.futures.as_completed(pool.submit(measure, *w) for w in wanted):
            results.append(result.result())
            files.write_text(arguments.out / "gpu_runs.json", json.dumps(results, indent=1) + "\n")
    return 0 if all(result["status"] == "finished" for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
