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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="resnet18")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--outputs", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    backend.choose("auto")
    from kerasdl import models
    from kerasdl.engine import optimizers
    from kerasdl.runs import checkpoint, config, runfolder
    from kerasdl.runs import restore as resume

    model = models.build(
        options.model, (options.image_size, options.image_size, 3), options.outputs
    )
    model.compile(optimizers.SGD(0.1, 0.9, 1e-5), "mse")
    with (
        tempfile.TemporaryDirectory() as path,
        runfolder.acquire(path, config.Config(**{})) as folder,
    ):
        state = checkpoint.RunState(folder, seed=0)
        state.set_model(model)
        state.set_params({"epochs": options.repeat + 1})
        state.restore(model)
        times = {"commit": [], "best model": []}
        for epoch in range(options.repeat):
            state.on_epoch_begin(epoch)
            state.rows = [*state.rows, {"epoch": epoch + 1}]
            began = time.perf_counter()
            state._commit(epoch + 1)
            times["commit"].append(time.perf_counter() - began)
            began = time.perf_counter()
            resume.write_best(folder, model, {"epoch": epoch + 1, "value": 0.0})
            times["best model"].append(time.perf_counter() - began)
        sizes = {
            "commit": runfolder.epoch_folder(folder.checkpoints, 1) / "model.keras",
            "best model": folder.file("best.keras"),
        }
        for name, seconds in times.items():
            print(
                f"{backend.environment()['backend']} {options.model}, "
                f"{model.count_params() / 1e6:.1f} million parameters: {name} "
                f"{statistics.median(seconds):.2f} s (from {min(seconds):.2f} to "
                f"{max(seconds):.2f}), {sizes[name].stat().st_size / 1e6:.0f} MB"
            )


if __name__ == "__main__":
    main()
