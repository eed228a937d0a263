"""Memory, throughput, start and tiles of `kerasdl predict`, each in processes of its own.

    python benchmarks/prediction.py memory [TASK OUTPUTS HEIGHT WIDTH] [--backend torch]
    python benchmarks/prediction.py throughput --work FOLDER [--backend torch]
    python benchmarks/prediction.py start --work FOLDER [--backend torch]
    python benchmarks/prediction.py agreement --work FOLDER [--backend torch]

FOLDER is kept between calls: it holds a U-Net with 16 filters, trained for a few minutes at 256x256
on the built-in scenes, its export to ONNX, and scenes of other sizes. The networks of `memory` are
untrained. Memory is the largest resident set of the process, measured by `resource.getrusage`.
Throughput and start are medians of turns, and relative to the network alone and to the imports
alone, because seconds mean little on a busy machine. Adds a row to the JSON file.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import checkout
import numpy
import PIL.Image

from kerasdl.backend import machine

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIZE = (256, 256)
MEMORY = (("segmentation", 21, 6048, 8064), ("colorization", 313, 6048, 8064),
          ("segmentation", 21, 2, 2000), ("colorization", 313, 2, 2000),
          ("segmentation", 150, 3000, 4000))  # fmt: skip
TRAINED = {"task": "segmentation", "model": "unet", "data": "scenes", "image_size": SIZE[0],
           "train_size": 96, "validation_size": 8, "test_size": 8, "batch_size": 8,
           "epochs": 6}  # fmt: skip
IMAGES, IMAGE_SIZE = 64, (321, 481)
LARGE_IMAGES, LARGE_SIZE = 4, (768, 1024)
OVERLAPS = (0.0, 0.25, 0.5)


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


def prepare(work):
    """The run, its ONNX file, and folders of scenes, in FOLDER, where they are missing."""
    import kerasdl
    from kerasdl.data.scenes.dataset import SceneSplit

    if not kerasdl.Run(work / "run").finished:
        kerasdl.train(kerasdl.Config(**TRAINED), work / "run", quiet=True)
    if not (work / "run.onnx").exists():
        kerasdl.export(work / "run", "onnx", work / "run.onnx", images=8)
    for name, count, size in (
        ("images", IMAGES, IMAGE_SIZE),
        ("large", LARGE_IMAGES, LARGE_SIZE),
    ):
        (work / name).mkdir(exist_ok=True)
        for number, image in enumerate(SceneSplit("test", count, size).take(range(count))[0]):
            PIL.Image.fromarray(image).save(work / name / f"{number:02d}.jpg", quality=90)
    return {}


def model(work):
    """The model to predict with: the ONNX file or, for a backend, the run."""
    return work / ("run.onnx" if os.environ["KERASDL_BENCHMARK"] == "onnx" else "run")


def alone(work):
    """Function (x) -> outputs: the network as its own users would run it."""
    if os.environ["KERASDL_BENCHMARK"] == "onnx":
        return Onnx(work / "run.onnx").outputs
    import kerasdl

    return kerasdl.Run(work / "run").open_model().predict_on_batch


def throughput(work):
    """Seconds of all images, from files to files, beside those of the network alone."""
    from kerasdl.engine import run as engine

    predictor = engine.predictor(model(work))
    network = alone(work)
    x = numpy.random.default_rng(0).random((IMAGES, *SIZE, 3), "float32")
    found = []
    batch = fastest(network, x)
    for repeat in range(turns() + 1):
        began = spent()
        through(network, x, batch)
        middle = spent()
        out = work / f"out-{os.getpid()}-{repeat}"
        results = list(predictor.run(work / "images", out, keep=False))
        ended = spent()
        assert not any(each.error for each in results)
        found.append([(b - a, c - b) for a, b, c in zip(began, middle, ended, strict=True)])
    found = found[1:]  # the first compiles
    return {
        "images": IMAGES,
        "network_batch": batch,
        "seconds": statistics.median(clock[1] for clock, _ in found),
        "network_seconds": statistics.median(clock[0] for clock, _ in found),
        "ratios": [clock[1] / clock[0] for clock, _ in found],
        "ratio": statistics.median(clock[1] / clock[0] for clock, _ in found),
        "cpu_ratio": statistics.median(cpu[1] / cpu[0] for _, cpu in found),
    }


BATCHES = (1, 2, 4, 8)


def through(network, x, batch):
    """All images in batches."""
    for first in range(0, IMAGES, batch):
        network(x[first : first + batch])


def fastest(network, x):
    """The batch size with which the network alone is fastest; the best of two turns each."""
    seconds = {}
    for _ in range(3):  # the first compiles
        for batch in BATCHES:
            began = time.monotonic()
            through(network, x, batch)
            seconds.setdefault(batch, []).append(time.monotonic() - began)
    return min(BATCHES, key=lambda batch: min(seconds[batch][1:]))


def turns():
    """How often everything is measured, after a first turn that does not count."""
    return int(os.environ["KERASDL_TURNS"])


def spent():
    """Seconds on the clock, and of the processor in this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), usage.ru_utime + usage.ru_stime


def agreement(work):
    """Fraction of the pixels with the class of the image shown at once, at the same scale."""
    from kerasdl.engine import run as engine
    from kerasdl.engine.prediction.geometry import Tiling

    masks = {}
    for name, tiling in (
        ("whole", Tiling(LARGE_SIZE, scale=1.0)),
        *((str(overlap), Tiling(SIZE, overlap, 1.0)) for overlap in OVERLAPS),
    ):
        predictor = engine.predictor(work / "run", tiling)
        masks[name] = [each.mask for each in predictor.run(work / "large")]
    return {
        name: float((numpy.stack(each) == numpy.stack(masks["whole"])).mean())
        for name, each in masks.items()
    } | {"tile": SIZE, "shown_at": LARGE_SIZE, "images": LARGE_IMAGES}


IMPORTS = {"onnx": "onnxruntime, numpy, PIL.Image", "torch": "torch, keras",
           "tensorflow": "tensorflow, keras", "jax": "jax, keras"}  # fmt: skip
# `kerasdl train` until its first step begins or ends.
TRAIN = """
import os, sys
from kerasdl.cli.main import main
from kerasdl.engine import run
real = run._train
def patched(*arguments):
    import keras
    class End(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            if sys.argv[1] == "begin":
                os._exit(0)
        def on_train_batch_end(self, batch, logs=None):
            os._exit(0)
    fit = keras.Model.fit
    keras.Model.fit = lambda model, *given, callbacks, **options: fit(
        model, *given, callbacks=[*callbacks, End()], **options
    )
    return real(*arguments)
run._train = patched
main(sys.argv[2:])
"""


def start(work):
    """Seconds of the whole command for one image, and of the imports alone, in turns."""
    words = ["segment", work / "images" / "00.jpg", "--run", model(work), "--overwrite"]
    commands = {
        "predict": ["-m", "kerasdl", "predict", *words, "--out", work / f"out-{os.getpid()}"],
        "imports": ["-c", f"import {IMPORTS[os.environ['KERASDL_BENCHMARK']]}"],
    }
    if os.environ["KERASDL_BENCHMARK"] != "onnx":
        train = ["train", "segment", "--out", work / f"run-{os.getpid()}", "--overwrite"]
        commands |= {f"train_{to}": ["-c", TRAIN, to, *train] for to in ("begin", "step")}
    found = {name: [] for name in commands}
    for _ in range(turns() + 1):
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.monotonic()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            seconds = time.monotonic() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            found[name].append((seconds, cpu))
    return {
        f"{name}_{kind}": statistics.median(each[index] for each in turns[1:])
        for name, turns in found.items()
        for index, kind in enumerate(("seconds", "cpu_seconds"))
    }


CHILDREN = {f.__name__: f for f in (memory, throughput, agreement, start, prepare)}


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
    parser.add_argument("kind", choices=[name for name in CHILDREN if name != "prepare"])
    parser.add_argument("words", nargs="*", help="memory: TASK OUTPUTS HEIGHT WIDTH")
    parser.add_argument("--backend", default="onnx", help="onnx (default) or a Keras backend")
    parser.add_argument("--work", type=pathlib.Path, help="FOLDER; default: a temporary one")
    parser.add_argument("--out", type=pathlib.Path,
                        default=ROOT / "benchmarks" / "results" / "prediction.json")  # fmt: skip
    parser.add_argument("--turns", default="5", help="of throughput and start (default: 5)")
    arguments = parser.parse_args()
    os.environ["KERASDL_TURNS"] = arguments.turns
    is_memory = arguments.kind == "memory"
    cases = [arguments.words] if arguments.words or not is_memory else MEMORY
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else []
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or pathlib.Path(temporary)
        work.mkdir(exist_ok=True)
        if not is_memory and "error" in (made := measured("torch", work, "prepare")):
            parser.error(made["error"])
        for case in cases:
            row = {
                "kind": arguments.kind,
                "case": " ".join(map(str, case)),
                "backend": arguments.backend,
                "command": f"python benchmarks/prediction.py {arguments.kind}",
                **({} if is_memory else {"turns": int(arguments.turns)}),
                "machine": f"{machine.cpu_name()}, {machine.num_cores()} cores",
                "commit": checkout.commit(),
                "load": os.getloadavg()[0],
                **measured(arguments.backend, work, arguments.kind, *case),
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
