"""The cost of a commit after an epoch: seconds and megabytes for a model.

KERAS_BACKEND=torch python benchmarks/commit_cost.py resnet18 --image-size 64
"""

import argparse
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from kerasdl import backend  # noqa: E402


def measure(name, image_size, outputs, repeat):
    """Seconds of commits, of copies of the best model and of plain `model.save`, and their bytes.

    Returns:
        {"commit": [seconds, ...], "best model": ..., "save": ..., "bytes": {name: number},
        "parameters": number}.
    """
    backend.choose("auto")
    from kerasdl import models
    from kerasdl.engine import optimizers
    from kerasdl.runs import checkpoint, config, runfolder
    from kerasdl.runs import restore as resume

    model = models.build(name, (image_size, image_size, 3), outputs)
    model.compile(optimizers.SGD(0.1, 0.9, 1e-5), "mse")
    found = {"commit": [], "best model": [], "save": []}

    def timed(kind, function, *arguments):
        began = time.perf_counter()
        function(*arguments)
        found[kind].append(time.perf_counter() - began)

    with (
        tempfile.TemporaryDirectory() as path,
        runfolder.acquire(pathlib.Path(path) / "run", config.Config(**{})) as folder,
    ):
        state = checkpoint.RunState(folder, seed=0)
        state.set_model(model)
        state.set_params({"epochs": repeat + 1})
        state.restore(model)
        plain = pathlib.Path(path) / "plain.keras"
        for epoch in range(repeat):
            state.on_epoch_begin(epoch)
            state.rows = [*state.rows, {"epoch": epoch + 1}]
            timed("commit", state._commit, epoch + 1)
            timed("best model", resume.write_best, folder, model, {"epoch": epoch + 1, "value": 0})
            timed("save", model.save, plain)
        files = {
            "commit": runfolder.epoch_folder(folder.checkpoints, 1) / "model.keras",
            "best model": folder.file("best.keras"),
            "save": plain,
        }
        sizes = {kind: file.stat().st_size for kind, file in files.items()}
    return {**found, "bytes": sizes, "parameters": model.count_params()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="resnet18")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--outputs", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    found = measure(options.model, options.image_size, options.outputs, options.repeat)
    for name, size in found["bytes"].items():
        seconds = found[name]
        print(
            f"{backend.environment()['backend']} {options.model}, "
            f"{found['parameters'] / 1e6:.1f} million parameters: {name} "
            f"{statistics.median(seconds):.2f} s (from {min(seconds):.2f} to "
            f"{max(seconds):.2f}), {size / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
