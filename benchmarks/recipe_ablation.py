"""The contribution of each piece of the fast recipe, and its time to accuracy against the study's.

    KERAS_BACKEND=tensorflow TF_NUM_INTRAOP_THREADS=1 taskset -c 1 \\
        python benchmarks/recipe_ablation.py --out ablation --seeds 3

Trains ResNet-18 on reduced scenes: with the recipe `study`, with `fast`, and with `fast` minus or
plus one piece at a time. Repeat the command to resume. Writes a table in Markdown and one JSON
file. Seconds are those of the epochs in history.csv, including validation and the first compilation
of each size, without imports and reports.

Time to accuracy: seconds until the validation accuracy first reaches the mean final test accuracy
of `study`, per run; a run that never reaches it has none.
"""

import argparse
import json
import pathlib
import statistics

import kerasdl
from kerasdl.core import files

REDUCED = {
    "task": "classification",
    "data": "scenes",
    "image_size": 32,
    "train_size": 1000,
    "validation_size": 300,
    "test_size": 1000,
    "batch_size": 32,
    "model_args": {"stem": "imagenet"},
}
# Without momentum, as in `kerasdl reproduce`: docs/architecture.md has the reason.
STUDY = {"recipe": "study", "momentum": 0.0}
FAST = {"recipe": "fast"}
PIECES = {
    "schedule (plateau)": {"lr_schedule": "plateau"},
    "schedule (cosine)": {"lr_schedule": "cosine"},
    "warm-up": {"warmup_epochs": 0.0},
    "Nesterov": {"nesterov": False},
    "label smoothing": {"label_smoothing": 0.0},
    "kernels only decay": {"decay_norm_and_bias": True},
    "average of weights": {"ema_decay": 0.0},
    "flip at test time": None,  # the same training, scored without
}
# What `fast` adds for photographs, long trainings, or larger images.
EXTRAS = {
    "flip and crop": {"augment_args": {"flip": True, "crop": 0.125}},
    "erasing": {"augment_args": {"random_erasing": 0.25}},
    "progressive sizes": {"progressive_sizes": [50, 75]},
}


def variants(study, fast):
    """Name -> values of the runs to train."""
    found = {"study": {**REDUCED, **STUDY, **study}, "fast": {**REDUCED, **FAST, **fast}}
    for piece, values in PIECES.items():
        if values is not None:
            found[f"fast less {piece}"] = {**found["fast"], **values}
    for piece, values in EXTRAS.items():
        found[f"fast with {piece}"] = {**found["fast"], **values}
    return found


def measure(folder):
    """Scores and learning curve of a finished run."""
    scores = json.loads((folder / "metrics.json").read_text())["scores"]
    rows = kerasdl.Run(folder).history
    seconds, course = 0.0, []
    for row in rows:
        seconds += row["seconds"]
        course.append((round(seconds, 2), row["val_accuracy"]))
    return {"accuracy": scores["accuracy"], "loss": scores["loss"], "course": course}


def without_flip(folder):
    """Test accuracy of a run of the fast recipe without test-time flip."""
    from kerasdl import tasks
    from kerasdl.engine import datasets, evaluation, run

    config = run.changed(kerasdl.Run(folder).config, test_time_flip=False)
    model = kerasdl.Run(folder).open_model()
    task = tasks.of(config)
    found = evaluation.evaluate(model, task, datasets.load(config), config, "test").document[
        "scores"
    ]
    return {**measure(folder), "accuracy": found["accuracy"], "loss": found["loss"]}


def time_to(course, accuracy):
    """Seconds until a validation accuracy is reached, or None."""
    return next((seconds for seconds, value in course if value >= accuracy), None)


def spread(values, factor=1.0, digits=1):
    """Mean and standard deviation as text."""
    values = [factor * value for value in values]
    if len(values) == 1:
        return f"{values[0]:.{digits}f} (one run)"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def table(results):
    """Markdown: one row per variant, differences from `fast` are paired by seed."""
    target = statistics.mean(run["accuracy"] for run in results["study"])
    lines = [
        f"Target: {target:.1%}, the mean final test accuracy of the recipe study.",
        "",
        "| recipe | test accuracy (%) | against fast | seconds in all | seconds to the target |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, runs in results.items():
        reached = [time_to(run["course"], target) for run in runs]
        there = [seconds for seconds in reached if seconds is not None]
        pairs = zip(runs, results["fast"], strict=False)
        gap = [one["accuracy"] - other["accuracy"] for one, other in pairs]
        lines.append(
            f"| {name} | {spread([run['accuracy'] for run in runs], 100)} "
            f"| {'' if name == 'fast' else spread(gap, 100)} "
            f"| {spread([run['course'][-1][0] for run in runs], digits=0)} "
            f"| {spread(there, digits=0) if there else 'never'}"
            f"{f' ({len(there)} of {len(runs)})' if there and len(there) < len(runs) else ''} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("recipe-ablation"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="only these variants")
    parser.add_argument("--study", type=json.loads, default={}, help="JSON: other keys for study")
    parser.add_argument("--fast", type=json.loads, default={}, help="JSON: other keys for fast")
    arguments = parser.parse_args()
    results = {}
    for seed in range(arguments.seeds):
        for name, values in variants(arguments.study, arguments.fast).items():
            if arguments.only and name not in arguments.only:
                continue
            folder = arguments.out / f"seed-{seed}" / name.replace(" ", "-")
            kerasdl.train(kerasdl.Config(**values, seed=seed), folder, quiet=True)
            results.setdefault(name, []).append(measure(folder))
            print(seed, name, results[name][-1], flush=True)
            if name == "fast":
                bare = without_flip(folder)
                results.setdefault("fast less flip at test time", []).append(bare)
        document = {
            "reduced": REDUCED,
            "study": {**STUDY, **arguments.study},
            "fast": {**FAST, **arguments.fast},
            "results": results,
        }
        path = arguments.out / "recipe_ablation.json"
        files.write_text(path, json.dumps(document, indent=1) + "\n")
    if {"study", "fast"} <= set(results):
        print(table(results))


if __name__ == "__main__":
    main()
