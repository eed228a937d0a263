"""torch on a GPU: the recorded training step against the same step run call by call.

    KERAS_BACKEND=torch python benchmarks/gpu_step.py --out gpu_step.json

For each network: whether the weights after `--steps` steps are equal bit for bit, and images per
second of both. Without a GPU nothing is recorded, and both are the same.
"""

import argparse
import json
import logging
import pathlib
import sys
import time

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # also works without installation

from kerasdl import backend  # noqa: E402

CASES = (("resnet18", (32, 32), 128), ("resnet18", (32, 32), 256), ("unet", (360, 480), 8))


def train(model, image_size, batch_size, steps, precision, recorded):
    """Weights after some steps, and images per second of the second half of them."""
    import keras
    import torch

    from kerasdl.backend.tuning import torch_capture
    from kerasdl.tools.benchmark import subject

    capture = torch_capture.capture
    torch_capture.capture = capture if recorded else lambda model: None
    keras.utils.clear_session()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    keys = {"precision": precision, "jit_compile": "auto", "seed": 0, "steps": steps}
    job = {"model": model, "image_size": image_size, "batch_size": batch_size, **keys}
    cell = subject.Subject(job)
    cell.first_step()
    torch_capture.capture = capture

    class Clock(keras.callbacks.Callback):
        """Notes the time at the middle and at the end, when the GPU is done."""

        times = ()

        def on_train_batch_end(self, batch, logs=None):
            if batch in (steps // 2, steps):
                float(logs["loss"])
                self.times += (time.perf_counter(),)

    clock = Clock()
    cell.batches.set_epoch(1)
    from kerasdl.backend.distribution import feeding

    cell.model.fit(feeding.feed(cell.batches), shuffle=False, verbose=0, callbacks=[clock])
    seconds = clock.times[-1] - clock.times[0]
    memory = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0
    cell.batches.close()
    speed = batch_size * (steps - steps // 2) / seconds
    return cell.model.get_weights(), speed, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--small", action="store_true", help="tiny images, to try the script")
    arguments = parser.parse_args()
    logging.basicConfig()
    logging.getLogger("kerasdl").setLevel(logging.DEBUG)
    backend.start("torch")
    rows = []
    for model, image_size, batch_size in CASES:
        if arguments.small:
            image_size, batch_size = (32, 32), 4
        case = (model, image_size, batch_size, arguments.steps, arguments.precision)
        plain, slow, before = train(*case, recorded=False)
        graph, fast, after = train(*case, recorded=True)
        equal = all(numpy.array_equal(*pair) for pair in zip(plain, graph, strict=True))
        largest = max(float(numpy.abs(a - b).max()) for a, b in zip(plain, graph, strict=True))
        row = {"model": model, "image_size": image_size, "batch_size": batch_size}
        row |= {
            "call_by_call": round(slow),
            "recorded": round(fast),
            "ratio": round(fast / slow, 3),
        }
        row |= {"equal": equal, "largest_difference": largest}
        row |= {"memory_mib": [round(before), round(after)]}
        print(row, flush=True)
        rows.append(row)
        environment = backend.environment()
        document = {"command": sys.argv[1:], "environment": environment, "rows": rows}
        arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
