"""A training on two replicas, for tests that compare it with one. Not a test itself.

    python tests/distributed_run.py '{"out": ..., "config": {...}, "stop": true}'
    torchrun --nproc-per-node 2 tests/distributed_run.py ...

With "stop" the last process gets SIGTERM in the second epoch. Each process writes its exit code to
`<out>-<rank>.txt`. TensorFlow gets two virtual processors; JAX takes them from XLA_FLAGS.
"""

import json
import os
import pathlib
import signal
import sys

import weight_draws

import kerasdl
from kerasdl import backend
from kerasdl.core.errors import KerasdlError
from kerasdl.engine import callbacks, publishing

if backend.choose("auto") == "tensorflow":
    import tensorflow

    processor = tensorflow.config.list_physical_devices("CPU")[0]
    tensorflow.config.set_logical_device_configuration(
        processor, [tensorflow.config.LogicalDeviceConfiguration()] * 2
    )

weight_draws.install()  # as for the run that this one is compared with
RANK = int(os.environ.get("RANK", 0))
LAST = RANK == int(os.environ.get("WORLD_SIZE", 1)) - 1


def stop_in_second_epoch(progress, epoch, logs=None):
    original(progress, epoch, logs)
    if epoch == 1 and LAST:
        os.kill(os.getpid(), signal.SIGTERM)


def train(out, config):
    """One training; its exit code. No report is drawn."""
    try:
        kerasdl.train(kerasdl.Config(**config), out, quiet=True)
    except KerasdlError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


publishing.finish = lambda path, *rest: (path / "metrics.json").write_text("{}")
original = callbacks.Progress.on_epoch_begin

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    codes = []
    for stop in job["stop"]:
        callbacks.Progress.on_epoch_begin = stop_in_second_epoch if stop else original
        codes.append(train(job["out"], job["config"]))
    pathlib.Path(f"{job['out']}-{RANK}.txt").write_text(json.dumps(codes))
    sys.exit(codes[-1])
