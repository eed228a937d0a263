"""Memory, throughput, start and tiles of `kerasdl predict`, each in processes of its own.

    python benchmarks/prediction.py [memory] [throughput] [start] [agreement RUN IMAGES]
        [--backends torch,tensorflow,onnx] [--out benchmarks/results/prediction.json]

Networks are untrained U-Nets with 16 filters, built for 256x256; only `agreement` needs a run and
images larger than its training size. Memory is the largest resident set of the process, measured by
`resource.getrusage`; throughput is relative to the network alone, measured in the same process in
turn, because absolute times mean little on a busy machine. Adds to the JSON file and writes the
table beside it.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
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
    predictor = Predictor(made, facts)
    images = [photo(work, IMAGE_SIZE, number) for number in range(IMAGES)]
    size = (256, 384)  # what an image of 321x481 is shown as
    if made.size:
        facts.training.__dict__["resize"] = "stretch"  # a file of one size takes no other
        size = SIZE
    x = numpy.random.default_rng(0).random((8, *size, 3), "float32")
    found = {"whole": [], "network": []}
    for repeat in range(REPEATS + 1):
        began = time.monotonic()
        for _ in range(IMAGES // 8):
            made.outputs(x)
        middle = time.monotonic()
        results = list(predictor.run(images, work / f"out-{os.getpid()}-{repeat}", keep=False))
        assert not any(each.error for each in results)
        if repeat:  # the first compiles
            found["network"].append(middle - began)
            found["whole"].append(time.monotonic() - middle)
    ratios = [w / n for w, n in zip(found["whole"], found["network"], strict=True)]
    return {**{k: statistics.median(v) for k, v in found.items()},
            "ratio": statistics.median(ratios), "ratios": ratios}  # fmt: skip


def child(kind, work, *arguments):
    os.environ.setdefault("KERASDL_BENCHMARK", "torch")
    print(json.dumps({"memory": memory, "throughput": throughput}[kind](work, *arguments)))


def started(backend, work, *words):
    """The result of a child process."""
    environment = {**os.environ, "KERASDL_BENCHMARK": backend, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--child", *map(str, (words[0], work, *words[1:]))]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        return {"error": run.stderr.strip().splitlines()[-1]}
    return json.loads(run.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(sys.argv[2], pathlib.Path(sys.argv[3]), *sys.argv[4:])
