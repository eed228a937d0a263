"""What pretrained weights bring to FCN-8s on CamVid, reduced to what two cores can train.

    KERAS_BACKEND=tensorflow TF_NUM_INTRAOP_THREADS=1 taskset -c 1 \\
        python benchmarks/transfer_camvid.py --camvid camvid --out transfer --seeds 3

Trains ResNet-18 on scenes once, or uses the run given with `--weights`, then FCN-8s on a part of
CamVid from scratch, from these weights, and with them frozen. Repeat the command to resume.
Writes a table in Markdown and one JSON file.
"""

import argparse
import json
import pathlib
import statistics

import kerasdl
from kerasdl.core import files
from kerasdl.runs import config as configuration

CLASSIFIER = {
    "task": "classification",
    "recipe": "fast",
    "data": "scenes",
    "image_size": 64,
    "train_size": 1000,
    "validation_size": 200,
    "test_size": 500,
    "batch_size": 32,
    "epochs": 16,
    "model_args": {"stem": "imagenet"},
}
REDUCED = {
    "task": "segmentation",
    "recipe": "fast",
    "model": "fcn8",
    "image_size": "90x120",
    "ignore_labels": [11],
    "train_size": 100,
    "validation_size": 25,
    "test_size": 100,
    "batch_size": 8,
    "epochs": 8,
    "learning_rate": 0.05,
    "progressive_sizes": [],
}


def variants(weights, origin):
    """Name -> what differs from `REDUCED`; `origin` names what the weights were trained on."""
    return {
        "from scratch": {},
        f"from {origin}": {"weights": str(weights)},
        f"from {origin}, frozen": {"weights": str(weights), "freeze": True},
    }


def table(results):
    """Markdown: mean IoU and pixel accuracy, mean and standard deviation over the seeds."""
    lines = ["| start | mean IoU (%) | pixel accuracy (%) | seconds |", "|---|---:|---:|---:|"]
    for name, runs in results.items():
        cells = []
        for key, factor in (("mean_iou", 100), ("pixel_accuracy", 100), ("seconds", 1)):
            values = [factor * run[key] for run in runs]
            deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else " (one run)"
            cells.append(f"{statistics.mean(values):.1f}{deviation}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camvid", type=pathlib.Path, required=True)
    parser.add_argument(
        "--weights", type=pathlib.Path, help="run to start from; else one is trained"
    )
    parser.add_argument("--origin", default="scenes", help="what the weights were trained on")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("transfer-camvid"))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    weights = arguments.weights or arguments.out / "weights"
    if arguments.weights is None:
        kerasdl.train(kerasdl.Config(**CLASSIFIER), weights, quiet=True)
    document = json.loads((weights / "metrics.json").read_text())
    print("weights:", document["scores"]["accuracy"], flush=True)
    results = {}
    for seed in range(arguments.seeds):
        for name, values in variants(weights, arguments.origin).items():
            folder = arguments.out / f"seed-{seed}" / name.replace(",", "").replace(" ", "-")
            config = kerasdl.Config(**REDUCED, **values, data=str(arguments.camvid), seed=seed)
            kerasdl.train(config, folder, quiet=True)
            scores = json.loads((folder / "metrics.json").read_text())["scores"]
            seconds = sum(row["seconds"] for row in kerasdl.Run(folder).history)
            found = {"mean_iou": scores["mean_iou"], "pixel_accuracy": scores["pixel_accuracy"]}
            results.setdefault(name, []).append({**found, "seconds": round(seconds, 1)})
            print(seed, name, results[name][-1], flush=True)
        files.write_text(
            arguments.out / "transfer_camvid.json",
            json.dumps(
                {
                    "weights": {
                        **configuration.as_dict(kerasdl.Run(weights).config),
                        "accuracy": document["scores"]["accuracy"],
                    },
                    "reduced": REDUCED,
                    "results": results,
                },
                indent=1,
            )
            + "\n",
        )
    print(table(results))


if __name__ == "__main__":
    main()
