"""Tries one backend: imports it, runs a small model with fixed weights, trains one step."""

import time

from kerasdl import backend

SIZE, CLASSES, BATCH = 16, 3, 4


def work(name):
    """The worker's side, see `kerasdl.tools.workers`."""
    yield trial(name)


def trial(name):
    """Devices, version, and a U-Net's outputs before and after one training step."""
    began = time.perf_counter()
    backend.choose(name)
    backend.prepare(0)
    backend.without_tensor_float_32()
    import numpy

    from kerasdl import losses, models
    from kerasdl.engine import step
    from kerasdl.runs import config as configuration

    imported = time.perf_counter()
    model = models.build("unet", (SIZE, SIZE, 3), CLASSES, filters=4, depth=1)
    generator = numpy.random.default_rng(0)
    model.set_weights(
        [
            generator.normal(0, 0.2, w.shape)
            if len(w.shape) > 1
            else generator.uniform(0.5, 1, w.shape)
            for w in model.weights
        ]
    )
    x = generator.random((BATCH, SIZE, SIZE, 3), dtype="float32")
    y = generator.integers(0, CLASSES, (BATCH, SIZE, SIZE)).astype("int32")
    before = numpy.asarray(model.predict_on_batch(x))
    config = configuration.Config(**{"task": "segmentation"})
    step.assemble(model, config, losses.build("crossentropy"))
    step.tune(model, config)
    loss = float(model.train_on_batch(x, y))
    after = numpy.asarray(model.predict_on_batch(x))
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
