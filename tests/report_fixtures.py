"""Documents of runs that never were, for the tests of the report room."""

import csv
import json

import numpy

from kerasdl.report import stored
from kerasdl.runs import config as configuration

HOSTILE = "<script>alert(1)</script>"
CLASSES = ["house", "tree", HOSTILE]


def scores(task="classification", model="resnet18", seed=0, skips=None, **values):
    """A scores document as a run folder holds it."""
    return {
        "kerasdl": "0.1.0",
        "task": task,
        "model": model,
        "model_args": {"skips": skips} if skips else {},
        "data": "scenes",
        "split": "test",
        "samples": 1200,
        "seed": seed,
        "scores": values,
        "baseline": {"accuracy": 0.1, "psnr": 23.5, "ssim": 0.8, "chroma_error": 12.0},
        "definitions": {name: f"how {name} is computed" for name in values},
        "class_names": [],
    }


def history_rows(score="accuracy", epochs=6, drop=4):
    return [
        {
            "epoch": epoch,
            "learning_rate": 0.1 if epoch < drop else 0.01,
            "loss": 1.0 / epoch,
            "val_loss": 1.2 / epoch if epoch < 6 else 0.9,
            score: 0.5 + 0.05 * epoch,
            f"val_{score}": 0.4 + 0.05 * epoch,
        }
        for epoch in range(1, epochs + 1)
    ]


def image(value=10):
    return numpy.full((8, 8, 3), value, "uint8")


def run_document(seed=0, learning_rate=0.1):
    document = scores(accuracy=0.95, loss=0.2, seed=seed)
    document["scores"].update({f"accuracy/{name}": 0.8 for name in CLASSES})
    document["definitions"].update({f"accuracy/{name}": "as accuracy" for name in CLASSES})
    document["class_names"] = CLASSES
    document["confusion_matrix"] = [[8, 2, 0], [1, 9, 0], [0, 0, 0]]
    return {
        "scores": document,
        "history": history_rows(),
        "config": {"seed": seed, "learning_rate": learning_rate, "image_size": [64, 48]},
        "defaults": {"seed": 0, "learning_rate": 0.1, "image_size": [64, 64]},
        "environment": {"python": "3.11.2", "backend": {"name": "jax"}},
        "backend": "jax",
        "seconds": 125,
        "command": 'kerasdl train classification --out "a & b"',
        "calibration": [
            {"low": 0.0, "high": 0.5, "count": 0, "confidence": 0.0, "accuracy": 0.0},
            {"low": 0.5, "high": 1.0, "count": 10, "confidence": 0.9, "accuracy": 0.8},
        ],
        "images": {
            "columns": ["input"],
            "best": [("test/1: house", [image()])],
            "worst": [("test/2: house & tree", [numpy.zeros((8, 8), "uint8")])],
        },
    }


def run_folder(path, config, values, seconds=1.5, finished=True):
    """A run folder as `kerasdl train` leaves it, without a model; needs no Keras."""
    document = {
        **scores(config.task, config.model, config.seed, **values),
        "model_args": config.model_args,
        "data": config.data,
    }
    path.mkdir(parents=True)
    (path / "config.toml").write_text(configuration.dump(config))
    (path / "data.json").write_text('{"fingerprint": "f", "samples": {}}')
    (path / "environment.json").write_text('{"backend": "torch", "python": "3.11.2"}')
    rows = [{**row, "seconds": seconds} for row in history_rows("mean_iou")]
    with (path / "history.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    if finished:
        stored.write(path, run_extras(document))
        (path / "metrics.json").write_text(json.dumps(document))
    return path


def run_extras(document):
    row = [image(value) for value in (0, 100, 200)]
    return {
        "calibration": None,
        "parameters": 1234,
        "source": "drawn",
        "license": "CC0",
        "legend": [("tree", numpy.array([0, 158, 115], "uint8"))],
        "images": {
            "columns": ["input", "truth", "prediction"],
            "best": [(f"test/1: {document['seed']}", row)],
            "worst": [("test/2: 12.0% of pixels right", row)],
        },
    }
