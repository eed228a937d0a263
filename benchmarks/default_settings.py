"""How close the recipe `auto` comes to a search, in equal time, on data sets of many kinds.

    python benchmarks/default_settings.py make --shared DATA --work sets
    KERAS_BACKEND=torch OMP_NUM_THREADS=1 taskset -c 0 \\
        python benchmarks/default_settings.py run --work sets --out results.jsonl
    python benchmarks/default_settings.py table --out results.jsonl

`run` trains `auto`, `study` and `fast` with three seeds each, and `TRIALS` random configurations
with seed 0 on every set; the trial that is best on the validation split is repeated with the other
seeds. Each training may take the set's seconds of processor time (one thread), from building the
model to its last epoch, not counting the measurement of its steps; `auto` plans with `--time`, the
others get the epochs that fit. All use the same image size and model, reduced so that seconds on
one core show something. Scores are those of the test split; the search looks at the validation
split only. Every run is one line of the results, and a run that is there is not repeated.
`--variant '{"batch_size": 8}'` adds `auto` with other values, on which its rules are based.

The rules of `auto` were made on the sets of `RULES`; `HELD_OUT` was looked at afterwards.
"""

import argparse
import dataclasses
import json
import logging
import math
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess
import tempfile
import time
import types

import numpy
import PIL.Image

SEEDS, TRIALS = 3, 15
VALIDATION = 0.2  # of the time of a training, at most
CLASSIFICATION = {"task": "classification", "image_size": 16, "model_args": {"filters": 8}}
UNET = {"model": "unet", "model_args": {"filters": 8, "depth": 3}}
SEGMENTATION = {"task": "segmentation", **UNET}
COLORS = {"task": "colorization", **UNET, "image_size": 32}
RULES = {
    "camvid-small": ({**SEGMENTATION, "image_size": [32, 48]}, 12),
    "cifar10-500": (CLASSIFICATION, 6),
    "scenes-segmentation-200": ({**SEGMENTATION, "image_size": 32}, 12),
    "scenes-colorization-200": (COLORS, 8),
    "small-objects": ({**SEGMENTATION, "image_size": 64}, 12),
    "twenty-images": ({**SEGMENTATION, "image_size": [32, 48]}, 12),
    "bangla": (CLASSIFICATION, 6),
    "imbalanced": (CLASSIFICATION, 6),
    "scenes-classification-4000": (CLASSIFICATION, 6),
    "camvid": ({**SEGMENTATION, "image_size": [96, 128]}, 60),
}
HELD_OUT = {
    "cifar10-5000": (CLASSIFICATION, 6),
    "scenes-classification-200": (CLASSIFICATION, 6),
    "scenes-segmentation-4000": ({**SEGMENTATION, "image_size": 32}, 12),
    "devanagari": (CLASSIFICATION, 6),
    "scenes-colorization-4000": (COLORS, 8),
    "telugu": (CLASSIFICATION, 6),
    "cifar10-50000": (CLASSIFICATION, 40),
}
SETS = {**RULES, **HELD_OUT}
SCORES = {"classification": "accuracy", "segmentation": "mean_iou", "colorization": "psnr"}


# Data


def make(shared, work):
    """Writes all sets below `work`: .npz files, or folders of images at their training size."""
    work.mkdir(parents=True, exist_ok=True)
    _cifar(shared, work)
    _cmaterdb(shared, work)
    _camvid(shared, work)
    _scenes(work)
    _small_objects(work / "small-objects")


def _halved(images):
    """Half the size, by means of 2x2 pixels."""
    count, height, width, channels = images.shape
    blocks = images.reshape(count, height // 2, 2, width // 2, 2, channels)
    return blocks.mean((2, 4)).round().astype("uint8")


def _arrays(path, **parts):
    parts = {name: (_halved(x), y) for name, (x, y) in parts.items()}
    numpy.savez(path, **{f"{axis}_{name}": value[k] for name, value in parts.items()
                         for k, axis in enumerate("xy")})  # fmt: skip


def _cifar(shared, work):
    subprocess.run(["python", shared / "unpack.py", shared / "cifar10.tar", "--npz",
                    work / "cifar10-50000.npz"], check=True)  # fmt: skip
    full = numpy.load(work / "cifar10-50000.npz")
    x, y = full["x_train"], full["y_train"].ravel()
    test = full["x_test"][:1000], full["y_test"][:1000].ravel()
    order = numpy.random.default_rng(0).permutation(len(x))
    rest, kept = order[:300], order[300:]
    for size in (500, 5000):
        parts = {"train": kept[:size], "validation": rest}
        _arrays(work / f"cifar10-{size}.npz", test=test,
                **{name: (x[part], y[part]) for name, part in parts.items()})  # fmt: skip
    # Exponentially fewer images of each class, 1000 to 10 (Cui et al. 2019), balanced test split.
    counts = [round(1000 * 0.01 ** (label / 9)) for label in range(10)]
    long_tail = numpy.concatenate([kept[y[kept] == k][:count] for k, count in enumerate(counts)])
    _arrays(work / "imbalanced.npz", train=(x[long_tail], y[long_tail]),
            validation=(x[rest], y[rest]), test=test)  # fmt: skip


def _cmaterdb(shared, work):
    for name in ("bangla", "devanagari", "telugu"):
        parts = {}
        for part, split in (("training", "train"), ("testing", "test")):
            (path,) = (shared / "tfds_cmaterdb" / name).glob(f"*{part}*.npz")
            arrays = numpy.load(path)
            parts[split] = arrays["images"], arrays["labels"].ravel()
        _arrays(work / f"{name}.npz", **parts)


def _camvid(shared, work):
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(shared / "camvid.tar", folder)
        (root,) = (path.parent for path in pathlib.Path(folder).rglob("images"))
        for path in sorted(root.glob("*/*/*.*")):
            part = path.relative_to(root)
            masks = part.parts[0] == "masks"
            for name, size in (("camvid", (128, 96)), ("camvid-small", (48, 32))):
                filter_ = PIL.Image.Resampling.NEAREST if masks else PIL.Image.Resampling.BOX
                out = (work / name / part).with_suffix(".png")
                out.parent.mkdir(parents=True, exist_ok=True)
                PIL.Image.open(path).resize(size, filter_).save(out)
        classes = (root / "classes.txt").read_text()
    shutil.copytree(work / "camvid-small", work / "twenty-images", dirs_exist_ok=True)
    for name in ("camvid", "camvid-small", "twenty-images"):
        (work / name / "classes.txt").write_text(classes)
    for kind in ("images", "masks"):
        files = sorted((work / "twenty-images" / kind / "train").iterdir())
        for path in set(files) - set(files[:: len(files) // 20][:20]):
            path.unlink()


def _scenes(work):
    import kerasdl.data
    from kerasdl import Config

    sizes = {"train_size": 4000, "validation_size": 200, "test_size": 500}
    config = Config(task="segmentation", data="scenes", image_size=32, **sizes)
    masked, labeled = (kerasdl.data.load(config, kind) for kind in ("mask", "label"))
    for count in (200, 4000):
        numbers = {name: range(len(split)) for name, split in masked.splits.items()}
        numbers["train"] = range(count)
        parts = {}
        for name, split in labeled.splits.items():
            samples = [split[k] for k in numbers[name]]
            images = numpy.stack([sample.image for sample in samples])
            parts[name] = images, numpy.array([sample.label for sample in samples])
        _arrays(work / f"scenes-classification-{count}.npz", **parts)
        for name, split in masked.splits.items():
            for k in numbers[name]:
                sample = split[k]
                _pair(work / f"scenes-segmentation-{count}", name, k, sample.image, sample.mask)
                _pair(work / f"scenes-colorization-{count}", name, k, sample.image)
        text = "\n".join(masked.class_names)
        (work / f"scenes-segmentation-{count}" / "classes.txt").write_text(text)


def _pair(root, split, number, image, mask=None):
    for kind, array in (("images", image), ("masks", mask)):
        if array is not None:
            path = root / kind / split / f"{number:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(array).save(path)


def _small_objects(root):
    """Dark ellipses of 2 to 5 pixels on a mottled ground with scratches, 300 images of 64x64."""
    random_ = numpy.random.default_rng(1)
    rows, columns = numpy.mgrid[:64, :64]
    for split, count in (("train", 300), ("val", 60), ("test", 150)):
        for number in range(count):
            coarse = random_.normal(0, 1, (8, 8)).repeat(8, 0).repeat(8, 1)
            ground = 150 + 18 * coarse + random_.normal(0, 12, (64, 64))
            mask = numpy.zeros((64, 64), "uint8")
            for _ in range(random_.integers(1, 5)):
                y, x = random_.integers(6, 58, 2)
                a, b = random_.uniform(1.2, 2.8, 2)
                inside = ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 <= 1
                ground[inside] -= random_.uniform(35, 70)
                mask[inside] = 1
            for row in random_.integers(0, 64, random_.integers(0, 3)):  # not objects
                ground[row] -= 45
            image = ground[..., None] + numpy.array([8, 0, -8])
            _pair(root, split, number, image.clip(0, 255).astype("uint8"), mask)
    (root / "classes.txt").write_text("ground\nspot\n")


# Runs


def source(work, name):
    """The `data` of a set."""
    path = work / f"{name}.npz"
    return str(path if path.exists() else work / name)


def trial(name, number):
    """Keys of a random configuration; the same for the same set and number."""
    draw = random.Random(f"{name} {number}")
    pixel = SETS[name][0]["task"] != "classification"
    keys = {
        "learning_rate": 10 ** draw.uniform(-2, -0.3),
        "batch_size": draw.choice((4, 8, 16, 32) if pixel else (8, 16, 32, 64, 128)),
        "lr_schedule": draw.choice(("onecycle", "onecycle", "cosine")),
        "weight_decay": 10 ** draw.uniform(-5, -2.7),
        "nesterov": True,
        "decay_norm_and_bias": False,
        "test_time_flip": draw.random() < 0.5,
        "augment": draw.choice(("auto", "auto", "none")),
        "warmup": draw.choice((0.05, 0.2, 0.4)),
        "horizon": draw.choice((0.0, 0.02, 0.05, 0.2)),
    }
    task = SETS[name][0]["task"]
    if task == "classification":
        keys["label_smoothing"] = draw.choice((0.0, 0.1))
    if task == "segmentation":
        keys["loss"] = draw.choice(("crossentropy", "crossentropy+dice", "dice"))
    if task != "colorization":
        keys["monitor"] = f"val_{SCORES[task]}"
    if task != "colorization" and keys.get("loss") != "dice":
        keys["class_weights"] = draw.choice(("none", "none", "auto"))
    if keys["test_time_flip"]:
        keys["augment_args"] = {"flip": True}
    return keys


class Session:
    """Trains on one set within its seconds of processor time."""

    def __init__(self, work, name):
        from kerasdl.engine import datasets, planning, publishing

        # One clock for all: other programs on the machine take no processor time of this one.
        planning.time = types.SimpleNamespace(perf_counter=time.process_time)
        measure = planning.measure
        planning.MEASURED_SECONDS = 1.0
        # Neither measuring nor scores are counted, for no recipe.
        planning.measure = lambda *args: dataclasses.replace(measure(*args), end=0.0, took=0.0)
        publishing.finish = self._finish
        self.name, self.seconds = name, SETS[name][1]
        self.values = {**SETS[name][0], "data": source(work, name), "precision": "float32"}
        self.dataset = datasets.load(self._config({}))
        self.times, self.found = {}, {}

    def _config(self, keys):
        from kerasdl import Config

        return Config(**{**self.values, **keys})

    def run(self, kind, seed):
        """Trains and scores; returns what the results keep."""
        from kerasdl.engine import run

        keys = self._keys(kind, seed)
        began = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            run.train(self._config(keys), pathlib.Path(folder) / "run", quiet=True)
        took = self.trained - began
        return {"set": self.name, "kind": kind, "seed": seed, "keys": self.decided,
                "seconds": round(took, 1), **self.found}  # fmt: skip

    def _keys(self, kind, seed):
        if kind.startswith("auto"):
            changed = json.loads(kind.removeprefix("auto") or "{}")
            return {"recipe": "auto", "time_budget": float(self.seconds), "seed": seed, **changed}
        if kind in ("study", "fast"):
            keys = {"recipe": kind, "seed": seed}
            return {**keys, **self._fitting(keys)}
        keys = {**trial(self.name, int(kind.removeprefix("trial-"))), "seed": seed}
        warmup, horizon = keys.pop("warmup"), keys.pop("horizon")
        keys = {"recipe": "study", **keys, "progressive_sizes": []}
        keys |= self._fitting(keys)
        steps = keys["epochs"] * (keys["steps_per_epoch"] or self._pass(keys["batch_size"]))
        keys["warmup_epochs"] = round(warmup * keys["epochs"], 3)
        if horizon:
            keys["ema_decay"] = round(max(0.0, 1 - 1 / (horizon * steps)), 4)
        return keys

    def _pass(self, batch_size):
        return math.ceil(len(self.dataset.splits["train"]) / batch_size)

    def _fitting(self, keys):
        """`epochs` and `steps_per_epoch` that fit.

        Epochs are passes over the data, but 60 at most, and a fifth of the time is validation.
        """
        from kerasdl.engine import planning

        config = self._config(keys)
        key = config.batch_size, config.loss
        if key not in self.times:
            self.times[key] = planning.measure(config, self.dataset)
        times, one = self.times[key], self._pass(config.batch_size)
        sizes = [(size / 100) ** 2 for size in (*config.progressive_sizes, 100)]
        # What an epoch takes in the mean over the sizes, relative to full size.
        left = (self.seconds - times.start) / statistics.mean(sizes)
        fitting = int(left / (one * times.step + times.validation))
        most = max(1, min(60, int(VALIDATION * left / times.validation)))
        if 1 <= fitting <= most:
            return {"epochs": max(fitting, len(sizes)), "steps_per_epoch": 0}
        epochs = max(len(sizes), min(most, fitting))
        steps = int((left / epochs - times.validation) / times.step)
        return {"epochs": epochs, "steps_per_epoch": max(1, steps)}

    def _finish(self, path, config, task, dataset):
        """In place of reports: the scores on both splits."""
        from kerasdl.engine import evaluation
        from kerasdl.runs.config import as_dict, changed
        from kerasdl.runs.run import Run

        self.trained = time.process_time()
        model, spec = Run(path).open_model(), task.spec
        scored = changed(config, batch_size=128)  # only faster
        self.found = {
            split: {name: score for name, score in evaluation.evaluate(
                model, task, dataset, scored, split).document["scores"].items()
                if name in spec.headline}
            for split in ("validation", "test")
        }  # fmt: skip
        defaults = as_dict(self._config({"recipe": "study"}))
        self.decided = {
            key: value for key, value in as_dict(config).items()
            if value != defaults[key] and key not in ("recipe", "seed", "data", "time_budget")
        }  # fmt: skip


def run(work, out, sets, kinds, seeds, commit, variants=()):
    """Adds the missing runs of some sets to the results."""
    logging.getLogger("kerasdl").setLevel(logging.ERROR)
    for name in sets:
        session, lines = None, read(out)
        recipes = ("auto", "study", "fast")
        wanted = [(kind, 0) for kind in (*recipes, *(f"trial-{n}" for n in range(TRIALS)))]
        wanted += [(kind, seed) for seed in range(1, seeds) for kind in recipes]
        wanted += [(f"auto {keys}", seed) for keys in variants for seed in range(seeds)]
        done = {(line["kind"], line["seed"]) for line in lines if line["set"] == name}
        for step in range(len(wanted) + 1):
            if step == len(wanted):  # all trials are there: the best one with the other seeds
                if not {(f"trial-{number}", 0) for number in range(TRIALS)} <= done:
                    continue
                best = best_trial([line for line in read(out) if line["set"] == name])
                left = [(best, seed) for seed in range(1, seeds)]
            else:
                left = [wanted[step]]
            for kind, seed in left:
                if (kind, seed) in done or not any(kind.startswith(each) for each in kinds):
                    continue
                session = session or Session(work, name)
                result = session.run(kind, seed)
                done.add((kind, seed))
                stamp = {"backend": os.environ.get("KERAS_BACKEND", ""), "commit": commit,
                         "machine": platform.machine()}  # fmt: skip
                with out.open("a") as stream:
                    stream.write(json.dumps({**result, **stamp}) + "\n")
                print(name, kind, seed, result["test"], f"{result['seconds']} s", flush=True)


def read(path):
    """The results so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def best_trial(lines):
    """The trial of a set that is best on the validation split."""
    trials = [line for line in lines if line["kind"].startswith("trial") and line["seed"] == 0]
    return max(trials, key=lambda line: line["validation"][score_of(line["set"])] or 0)["kind"]


def score_of(name):
    """The score by which a set is judged."""
    return SCORES[SETS[name][0]["task"]]


# Table


def table(out):
    """Markdown: test score of each recipe, mean and per seed, and its ratio to the best found."""
    lines, text = read(out), []
    for title, sets in (("Sets that the rules were made on", RULES), ("Held out", HELD_OUT)):
        text += [f"\n{title}:\n", "| set | score | auto | study | fast | search | auto / best |",
                 "|---|---|---:|---:|---:|---:|---:|"]  # fmt: skip
        ratios = []
        for name in sets:
            mine = [line for line in lines if line["set"] == name]
            kinds = ["auto", "study", "fast"]
            if sum(line["kind"].startswith("trial") for line in mine) >= TRIALS:
                kinds.append(best_trial(mine))
            score = score_of(name)
            found = {kind: [line["test"][score] for line in mine if line["kind"] == kind]
                     for kind in kinds}  # fmt: skip
            means = {kind: statistics.mean(values) for kind, values in found.items() if values}
            if "auto" not in means:
                continue
            cells = [_cell(found.get(kind), score) for kind in (*kinds, "", "")[:4]]
            ratio = "–"
            if len(kinds) == 4:  # without a search the best is not known
                ratios.append(means["auto"] / max(means.values()))
                ratio = f"{ratios[-1]:.3f}"
            text.append(f"| {name} | {score} | {' | '.join(cells)} | {ratio} |")
        if ratios:
            text.append(f"\nMean {statistics.mean(ratios):.3f}, lowest {min(ratios):.3f}.")
    return "\n".join(text)


def _cell(values, score):
    if not values:
        return ""
    factor = 1 if score == "psnr" else 100
    seeds = ", ".join(f"{factor * value:.1f}" for value in values)
    return f"{factor * statistics.mean(values):.1f} ({seeds})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("make", "run", "table"))
    parser.add_argument("--shared", type=pathlib.Path, help="folder of the real data")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("sets"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("default_settings.jsonl"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--kinds", default="auto,study,fast,trial")
    parser.add_argument("--variant", action="append", default=[], help="keys over auto, JSON")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="fewer, to begin with")
    parser.add_argument("--commit", default="", help="noted with each run")
    options = parser.parse_args()
    if options.action == "make":
        make(options.shared, options.work)
    elif options.action == "run":
        sets = [name for name in options.sets.split(",") if name in SETS]
        kinds = options.kinds.split(",")
        run(options.work.absolute(), options.out, sets, kinds, options.seeds, options.commit,
            options.variant)  # fmt: skip
    else:
        print(table(options.out))


if __name__ == "__main__":
    main()
