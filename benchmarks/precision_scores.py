"""Whether training in mixed precision reaches the scores of float32, within the spread over seeds.

    KERAS_BACKEND=torch python benchmarks/precision_scores.py [--seeds 3]

Trains a small U-Net on `scenes` with the same seeds in float32 and in the other precision, and
prints a Markdown table: mean and sample standard deviation over the seeds of the test scores, and
the difference of the means in standard errors, sqrt(s1^2/n + s2^2/n). Speed is not measured: a CPU
without the instructions only emulates bfloat16.
"""

import argparse
import json
import math
import pathlib
import statistics
import tempfile

from kerasdl.engine import run
from kerasdl.runs import config

SCORES = ("mean_iou", "pixel_accuracy", "loss")


def scores(precision, seed, arguments, folder):
    """Test scores of one training."""
    values = {
        "task": "segmentation", "image_size": arguments.image_size, "precision": precision,
        "seed": seed, "epochs": arguments.epochs, "batch_size": 16, "train_size": arguments.samples,
        "validation_size": 32, "test_size": 200,
        "model_args": {"filters": 8, "depth": 3},
    }  # fmt: skip
    path = run.train(config.Config(**values), folder / f"{precision}-{seed}", quiet=True)
    return json.loads((path / "metrics.json").read_text(encoding="utf-8"))["scores"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--samples", type=int, default=320)
    parser.add_argument("--image-size", type=int, default=32)
    arguments = parser.parse_args()
    found = {"float32": [], arguments.precision: []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            for precision, each in found.items():
                each.append(scores(precision, seed, arguments, pathlib.Path(folder)))
    names = list(found)
    print(f"| score | {names[0]} | {names[1]} | difference in standard errors |")
    print("|---|---|---|---|")
    for score in SCORES:
        columns = [[each[score] for each in found[name]] for name in names]
        means = [statistics.fmean(column) for column in columns]
        spreads = [statistics.stdev(column) for column in columns]
        error = math.sqrt(sum(spread**2 for spread in spreads) / arguments.seeds)
        cells = [f"{m:.4f} ± {s:.4f}" for m, s in zip(means, spreads, strict=True)]
        print(f"| {score} | {cells[0]} | {cells[1]} | {(means[1] - means[0]) / error:+.2f} |")


if __name__ == "__main__":
    main()
