"""Results of workers that never ran, for the tests of `kerasdl compare backends`."""

import numpy

LAYERS = [
    {"name": "convolution", "kind": "Conv2D"},
    {"name": "norm", "kind": "BatchNormalization"},
    {"name": "logits", "kind": "Conv2D"},
]


def worker(backend="jax", precision="float32", seconds=0.1, apart=0.0, step_apart=0.0):
    """(result, arrays) of a worker whose logits and step are off by a little.

    Logits: one sample, two classes, [1, 2 + apart]. Step: [3, 4 + step_apart], of length 5.
    """
    result = {
        "backend": backend,
        "precision": precision,
        "scores": {"accuracy": 0.5, "loss": 0.25 + apart},
        "losses": [1.0, 0.8, 0.5 + apart],
        "step_seconds": [9.0, 5.0, seconds, seconds, seconds],
        "prediction_seconds": [1.0, 0.01, 0.01],
        "first_prediction_seconds": 2.0,
        "weights": ["convolution/kernel", "logits/bias"],
        "layers": LAYERS,
        "parameters": 10,
        "memory": {"after_import": 5e8, "peak": 6e8, "device": None},
        "environment": {"backend": backend, "processors": 2},
    }
    arrays = {
        "outputs": numpy.array([[1.0, 2.0 + apart]]),
        "step_0": numpy.array([3.0]),
        "step_1": numpy.array([4.0 + step_apart]),
        "exact_0": numpy.array([3.0]),
        "exact_1": numpy.array([4.0 + step_apart]),
        "statistics_0": numpy.array([1.0]),
        "layer_0": numpy.array([1.0, -4.0]),
        "layer_1": numpy.array([1.0, 2.0 + apart]),
        "layer_2": numpy.array([1.0, 2.0 + apart]),
    }
    return result, arrays


def measuring(**workers):
    """A stand-in for `processes.measure`: per backend arguments of `worker`, or an error."""

    def measure(job, folder):
        found = workers[job["backend"]]
        if isinstance(found, str):
            return {"error": found}, {}
        return worker(job["backend"], job["precision"], **found)

    return measure
