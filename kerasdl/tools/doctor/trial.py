"""The process of one backend: python -m kerasdl.tools.doctor.trial BACKEND

Imports the backend, asks a small network with fixed weights, and trains it for one step. One JSON
line on standard output.
"""

import json
import os
import sys
import time

from kerasdl import backend
from kerasdl.core.errors import KerasdlError

SIZE, CLASSES, BATCH = 16, 3, 4


def main(name):
    """Tries the backend and says what came of it."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the frameworks print is no answer
    try:
        answer = trial(name)
    except KerasdlError as error:
        answer = {"error": str(error)}
    except BaseException as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        answer = {"error": f"{type(error).__name__}: {reason}"}
    answers.write(json.dumps(answer) + "\n")
    answers.close()


def trial(name):
    """Devices, version, and what a U-Net answers before and after a step of training."""
    began = time.perf_counter()
    backend.choose(name)
    backend.prepare(0)
    backend.without_tensor_float_32()
    import numpy

    from kerasdl import losses, models
    from kerasdl.backend import tuning
    from kerasdl.engine.optimizers import SGD

    imported = time.perf_counter()
    network = models.build("unet", (SIZE, SIZE, 3), CLASSES, filters=4, depth=1)
    generator = numpy.random.default_rng(0)
    network.set_weights(
        [
            generator.normal(0, 0.2, w.shape)
            if len(w.shape) > 1
            else generator.uniform(0.5, 1, w.shape)
            for w in network.weights
        ]
    )
    x = generator.random((BATCH, SIZE, SIZE, 3), dtype="float32")
    y = generator.integers(0, CLASSES, (BATCH, SIZE, SIZE)).astype("int32")
    before = numpy.asarray(network.predict_on_batch(x))
    network.compile(SGD(0.1, 0.9, 1e-5), losses.build("crossentropy"))
    network.optimizer.build(network.trainable_variables)
    tuning.tune(network)
    loss = float(network.train_on_batch(x, y))
    after = numpy.asarray(network.predict_on_batch(x))
    environment = backend.environment()
    return {
        "versions": environment["versions"],
        "devices": environment["devices"],
        "import_seconds": imported - began,
        "seconds": time.perf_counter() - imported,
        "loss": loss,
        "before": [float(value) for value in before[0, ::5, ::5].ravel()],
        "after": [float(value) for value in after[0, ::5, ::5].ravel()],
    }


if __name__ == "__main__":
    main(sys.argv[1])
