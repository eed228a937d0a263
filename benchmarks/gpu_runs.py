"""All full-size configurations one after the other, for a machine with one GPU and little time.

    python benchmarks/gpu_runs.py --cifar10 cifar10.npz --camvid camvid --out gpu --minutes 28

Each run is a process of its own, so that none leaves memory behind or takes the others down. At
the end of the time the run in progress is told to stop (SIGTERM), which it does with its last epoch
committed: the same command, there or on the next machine with the folder copied, goes on exactly.
After each run gpu_runs.json is written anew. `--trial` takes a few steps of each instead, to see on
any machine that they work.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import time

from kerasdl import config as configuration
from kerasdl import files

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"
# In the order of their worth, should the time not suffice for all.
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
    "warmup_epochs": 0.5,
    "train_size": 4,
    "validation_size": 2,
    "test_size": 2,
    "batch_size": 2,
    "precision": "float32",
}
GRACE_SECONDS = 60  # from SIGTERM to SIGKILL, which loses no more than the epoch


def command(name, folder, data, seed, trial):
    """Arguments of the process that trains one configuration."""
    path = CONFIGS / f"{name}.toml"
    values = configuration.read(path)
    extra = dict(TRIAL) if trial else {}
    if values["recipe"] == "report":
        extra.pop("warmup_epochs", None)
    found = [sys.executable, "-m", "kerasdl", "train", values["task"], "--config", str(path)]
    found += ["--data", str(data), "--out", str(folder), "--seed", str(seed), "--json"]
    for key, value in extra.items():
        found += ["--set", f"{key}={value}"]
    return found


def run(arguments, deadline):
    """Runs a process until its end or the deadline; (exit code, its JSON document or None)."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
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
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=NAMES, choices=NAMES, metavar="NAME")
    parser.add_argument("--trial", action="store_true", help="a few steps of each")
    arguments = parser.parse_args()
    deadline = time.monotonic() + 60 * arguments.minutes
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in range(arguments.seeds):
        for name in arguments.only:
            data = arguments.cifar10 if "cifar10" in name else arguments.camvid
            if data is None:
                continue
            if time.monotonic() >= deadline:
                results.append({"config": name, "seed": seed, "status": "not begun"})
                continue
            folder = arguments.out / f"seed-{seed}" / name
            started = time.monotonic()
            code, document = run(command(name, folder, data, seed, arguments.trial), deadline)
            status = "finished" if code == 0 else f"stopped or failed, exit code {code}"
            result = {"config": name, "seed": seed, "status": status, "trial": arguments.trial}
            result["seconds_of_this_call"] = round(time.monotonic() - started, 1)
            if document is not None:
                result |= {key: document[key] for key in ("scores", "baseline", "samples")}
                environment = (folder / "environment.json").read_text(encoding="utf-8")
                result["environment"] = json.loads(environment)
            results.append(result)
            print(f"{name}, seed {seed}: {status}, {result['seconds_of_this_call']} s", flush=True)
            files.write_text(arguments.out / "gpu_runs.json", json.dumps(results, indent=1) + "\n")
    return 0 if all(result["status"] == "finished" for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
