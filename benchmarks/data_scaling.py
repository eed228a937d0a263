"""How long large data sets take until training can start, and how much memory their lists take.

    python benchmarks/data_scaling.py [--images 200000] [--pairs 50000] [--out FILE.json]

Makes a set of class folders and one of images and masks out of hard links to a few tiny files, in a
temporary folder, and measures in a fresh process each: load, quick check, and the first batch, with
a warm cache of the file system; and by how much the process grows beyond that of a set of 100.
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time

import numpy
import PIL.Image

KINDS = 50  # different files that the others are links to


def make(root, count, masks, classes=2):
    """A set of `count` images in 100 class folders, or of `count` images with masks."""
    random = numpy.random.default_rng(0)
    originals = root / "originals"
    originals.mkdir(parents=True)
    for kind in range(KINDS):
        pixels = random.integers(0, 256, (8, 8, 3), dtype=numpy.uint8)
        PIL.Image.fromarray(pixels).save(originals / f"image{kind}.png")
        drawn = (numpy.arange(64).reshape(8, 8) // 8 > kind % 7).astype(numpy.uint8) % classes
        PIL.Image.fromarray(drawn).save(originals / f"mask{kind}.png")
    data = root / "data"
    for index in range(count):
        folder = data / ("images" if masks else f"class_{index % 100:03d}")
        if index < 100:
            folder.mkdir(parents=True, exist_ok=True)
            (data / "masks").mkdir(exist_ok=True) if masks else None
        name = f"sample_{index:07d}.png"
        os.link(originals / f"image{index % KINDS}.png", f"{folder}/{name}")
        if masks:
            os.link(originals / f"mask{index % KINDS}.png", f"{data}/masks/{name}")
    if masks:
        (data / "dataset.toml").write_text('names = ["background", "thing"]\n')
    return data


def measure(path, task, clock=time.perf_counter):
    """Seconds of each step and the growth of memory in bytes, in this process."""
    from kerasdl.data.pipeline.source import Source
    from kerasdl.engine import datasets
    from kerasdl.runs.config import Config

    config = Config(task=task, data=str(path), image_size=(8, 8))
    before, started = _memory(), clock()
    location = datasets.locate(config)
    listed = clock()
    dataset = datasets.load(config, location)
    loaded = clock()
    grown = _memory() - before
    report = datasets.check(config, True, location, dataset)
    checked = clock()
    split = dataset.splits["train"]
    Source(split, (8, 8), cache_megabytes=0).take(numpy.arange(32))
    return {
        "samples": sum(len(part) for part in dataset.splits.values()),
        "list": listed - started,
        "load": loaded - listed,
        "check": checked - loaded,
        "first_batch": clock() - checked,
        "total": clock() - started,
        "grown_bytes": grown,
        "failed": report.failed,
    }


def _memory():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def apart(path, task):
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", str(path), task]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def main():
    """Makes the sets, measures them and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=50_000)
    parser.add_argument("--out", default="benchmarks/results/data_scaling.json")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for task, count, files in (
            ("classification", options.images, 1),
            ("segmentation", options.pairs, 2),
        ):
            masks = files == 2
            small = apart(make(pathlib.Path(folder) / f"{task}-small", 400, masks), task)
            data = make(pathlib.Path(folder) / task, count, masks)
            apart(data, task)  # the first listing, which warms the cache
            found = apart(data, task)
            grown = found["grown_bytes"] - small["grown_bytes"]
            found |= {"task": task, "files": count * files, "bytes_per_file": grown / count / files}
            results.append(found)
            print(json.dumps(found))
    machine = {
        "processors": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "others": "the machine was busy with other work",
    }
    pathlib.Path(options.out).write_text(
        json.dumps({"machine": machine, "results": results}, indent=1) + "\n", encoding="utf-8"
    )


def _processor():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return next(
            line.split(":")[1].strip() for line in text.splitlines() if "model name" in line
        )
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
