"""Memory, throughput, start and tiles of `kerasdl predict`, each in processes of its own.

    python benchmarks/prediction.py memory [TASK OUTPUTS HEIGHT WIDTH] [--backend torch]
    python benchmarks/prediction.py throughput [--backend onnx]
    python benchmarks/prediction.py start [--backend torch] -- segment --run RUN
    python benchmarks/prediction.py agreement RUN IMAGES --backend torch

Networks are untrained U-Nets with 16 filters, built for 256x256; only `agreement` needs a run and
images larger than its training size. Memory is the largest resident set of the process, measured by
`resource.getrusage`; throughput is relative to the network alone, measured in the same process in
turn, because absolute times mean little on a busy machine. Adds a row to the JSON file.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import PIL.Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIZE = (256, 256)
MEMORY = (("segmentation", 21, (6048, 8064)), ("colorization", 313, (6048, 8064)),
          ("segmentation", 21, (2, 2000)), ("colorization", 313, (2, 2000)),
          ("segmentation", 150, (3000, 4000)))  # fmt: skip
IMAGES, IMAGE_SIZE, CLASSES = 64, (321, 481), 21
REPEATS = 5
OVERLAPS = (0.0, 0.25, 0.5)
AGREEMENT_IMAGES = 10


def network(task, outputs, work):
    """An untrained U-Net, as Keras' model or, for the backend onnx, as an exported file."""
    from kerasdl.engine.prediction import networks
    from kerasdl.engine.prediction.geometry import Training
    from kerasdl.tasks.prediction import Names

    palette = numpy.random.default_rng(0).integers(0, 256, (outputs, 3)).astype("uint8")
    names = Names(tuple(f"class {i}" for i in range(outputs)), palette)
    target = "ab" if task == "colorization" else ""
    facts = networks.Facts(task, names, target, outputs, Training(SIZE, "crop", (512, 683)), False)
    channels = 1 if target else 3
    if os.environ["KERASDL_BENCHMARK"] == "onnx":
        path = work / f"{task}-{outputs}.onnx"
        if not path.exists():
            export(path, channels, outputs)
        return Onnx(path), facts
    from kerasdl import backend, models

    backend.choose(os.environ["KERASDL_BENCHMARK"])
    model = models.build("unet", (*SIZE, channels), outputs)
    return networks.KerasNetwork(model, "unet", {}), facts


class Onnx:
    """A file of one size in onnxruntime."""

    size = SIZE

    def __init__(self, path):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def outputs(self, x):
        return self.session.run(None, {self.name: x})[0]


def export(path, channels, outputs):
    """Writes the U-Net as ONNX, in a process with torch."""
    code = (
        "import sys; from kerasdl import models\n"
        f"model = models.build('unet', ({SIZE[0]}, {SIZE[1]}, {channels}), {outputs})\n"
        f"model(__import__('numpy').zeros((1, {SIZE[0]}, {SIZE[1]}, {channels}), 'float32'))\n"
        f"model.export({str(path)!r}, format='onnx', verbose=False)"
    )
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)


def memory(work, task, outputs, height, width):
    """Peak memory and seconds of one image from file to files."""
    from kerasdl.engine.prediction.predictor import Predictor

    outputs, size = int(outputs), (int(height), int(width))
    predictor = Predictor(*network(task, outputs, work))
    loaded = peak()
    path = photo(work, size)
    began = time.monotonic()
    (found,) = predictor.run(path, work / f"out-{os.getpid()}", keep=False)
    if found.error:
        raise SystemExit(found.error)
    return {"peak_gib": peak(), "before_gib": loaded, "seconds": time.monotonic() - began}


def peak():
    """Largest resident set of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def photo(work, size, number=0):
    """A JPEG of smooth noise."""
    path = work / f"{size[0]}x{size[1]}-{number}.jpg"
    if not path.exists():
        coarse = numpy.random.default_rng(number).integers(0, 256, (24, 32, 3)).astype("uint8")
        PIL.Image.fromarray(coarse).resize(size[::-1], PIL.Image.Resampling.BICUBIC).save(path)
    return path


def throughput(work):
    """Seconds of all images, from files to files, beside those of the network alone."""
    from kerasdl.engine.prediction.predictor import Predictor

    made, facts = network("segmentation", CLASSES, work)
    facts = dataclasses.replace(facts, training=dataclasses.replace(facts.training, median=None,
                                                                    resize="stretch"))  # fmt: skip
    predictor = Predictor(made, facts)
    images = [photo(work, IMAGE_SIZE, number) for number in range(IMAGES)]
    x = numpy.random.default_rng(0).random((8, *SIZE, 3), "float32")
    found = {"network": [], "whole": []}
    for repeat in range(REPEATS + 1):
        began = spent()
        for _ in range(IMAGES // 8):
            made.outputs(x)
        middle = spent()
        results = list(predictor.run(images, work / f"out-{os.getpid()}-{repeat}", keep=False))
        assert not any(each.error for each in results)
        if repeat:  # the first compiles
            found["network"].append([b - a for a, b in zip(began, middle, strict=True)])
            found["whole"].append([b - a for a, b in zip(middle, spent(), strict=True)])
    pairs = list(zip(found["whole"], found["network"], strict=True))
    return {
        "images": IMAGES,
        "seconds": statistics.median(whole[0] for whole, _ in pairs),
        "network_seconds": statistics.median(alone[0] for _, alone in pairs),
        "ratio": statistics.median(whole[0] / alone[0] for whole, alone in pairs),
        "cpu_ratio": statistics.median(whole[1] / alone[1] for whole, alone in pairs),
    }


def spent():
    """Seconds on the clock, and of the processor in this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), usage.ru_utime + usage.ru_stime


def agreement(work, run, images):
    """Fraction of the pixels with the class of the image shown at once, at the same scale."""
    from kerasdl.data.images import read_image
    from kerasdl.engine import run as engine
    from kerasdl.engine.prediction.geometry import Tiling, plan

    found = {str(overlap): [] for overlap in OVERLAPS}
    for path in sorted(pathlib.Path(images).iterdir())[:AGREEMENT_IMAGES]:
        pixels = read_image(path)
        if not found["0.0"]:
            opened = engine.predictor(run)
            training = opened._computing.facts.training
        size = plan(pixels.shape[:2], training, None, Tiling(training.size)).size
        masks = {}
        for tiling in (Tiling(size), *(Tiling(training.size, overlap) for overlap in OVERLAPS)):
            opened._computing._tiling = tiling
            (masks[tiling],) = (each.mask for each in opened.run(pixels))
        whole, *tiled = masks.values()
        for overlap, mask in zip(OVERLAPS, tiled, strict=True):
            found[str(overlap)].append(float((mask == whole).mean()))
    return {key: statistics.mean(values) for key, values in found.items()} | {
        "tile": list(training.size), "shown_at": list(size), "images": AGREEMENT_IMAGES,
    }  # fmt: skip


def start(work, *words):
    """Seconds of the processor, and on the clock, that `kerasdl predict` takes for one image."""
    path, out = photo(work, IMAGE_SIZE), work / f"out-{os.getpid()}"
    command = [sys.executable, "-m", "kerasdl", "predict", *words[:1], str(path),
               "--out", str(out), *words[1:]]  # fmt: skip
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_seconds": cpu, "seconds": time.monotonic() - began}


CHILDREN = {f.__name__: f for f in (memory, throughput, agreement, start)}


def measured(backend, work, kind, *words):
    """The result of a child process."""
    environment = {**os.environ, "KERASDL_BENCHMARK": backend, "PYTHONPATH": str(ROOT)}
    if backend != "onnx":
        environment["KERAS_BACKEND"] = backend
    command = [sys.executable, __file__, "--child", kind, str(work), *map(str, words)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        return {"error": (run.stderr.strip().splitlines() or ["killed"])[-1]}
    return json.loads(run.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=sorted(CHILDREN))
    parser.add_argument("words", nargs="*", help="memory: TASK OUTPUTS HEIGHT WIDTH; agreement: "
                        "RUN IMAGES; start: TASK --run RUN, after --")  # fmt: skip
    parser.add_argument("--backend", default="onnx")
    parser.add_argument("--out", type=pathlib.Path,
                        default=ROOT / "benchmarks" / "results" / "prediction.json")  # fmt: skip
    arguments = parser.parse_args()
    cases = [arguments.words] if arguments.words or arguments.kind != "memory" else MEMORY
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else []
    with tempfile.TemporaryDirectory() as work:
        for case in cases:
            row = {
                "kind": arguments.kind,
                "case": " ".join(map(str, case)),
                "backend": arguments.backend,
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "load": os.getloadavg()[0],
                **measured(arguments.backend, pathlib.Path(work), arguments.kind, *case),
            }
            print(json.dumps(row), flush=True)
            known.append(row)
            arguments.out.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        kind, work, *words = sys.argv[2:]
        print(json.dumps(CHILDREN[kind](pathlib.Path(work), *words)))
    else:
        main()
