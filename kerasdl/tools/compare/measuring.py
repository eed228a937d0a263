"""Measurements of a model on one backend: outputs, scores, a gradient step, a training, times.

Imported in a worker process, after its backend was chosen.
"""

import dataclasses
import time

import keras
import numpy

from kerasdl import backend, tasks
from kerasdl.backend import memory
from kerasdl.data.base import Dataset
from kerasdl.engine import evaluation, fitting, step
from kerasdl.runs import config as configuration
from kerasdl.runs import modelfile, sidecar
from kerasdl.tools.compare import exact

LAYER_SAMPLES = 2  # images for which the output of every layer is kept
LAYER_VALUES = 2**19  # maximum values kept per layer; larger outputs are subsampled
# Too small to change a float32 step, but makes the optimizer store the step. As a difference of
# weights it would include their rounding errors, which exceed a small step of a trained model.
LEAST_MOMENTUM = 1e-9


def measure(job):
    """Everything compared for one backend at one precision.

    Args:
        job: See `kerasdl.tools.compare.backends`.

    Returns:
        A mapping of JSON types and a mapping of arrays:
        `outputs` (N, ...), `step_I` and, at float32, `exact_I` for each trainable weight,
        `statistics_I` for each other one, `layer_I` for each layer, flat.
    """
    config = configuration.Config(**job["config"])
    momentum = max(config.momentum, LEAST_MOMENTUM)
    config = dataclasses.replace(config, optimizer="sgd", optimizer_args={}, momentum=momentum)
    task = tasks.of(config)
    dataset = _dataset(job["dataset"])
    backend.without_tensor_float_32()
    if job["build"]:
        backend.prepare(config.seed, "float32", config.deterministic)
        modelfile.save_inference_model(fitting.build(config, task, dataset), job["model_file"])
        facts = {**fitting.sidecar(config, task, dataset), "precision": "float32"}
        sidecar.write(job["model_file"], facts)
    backend.prepare(config.seed, job["precision"], config.deterministic)
    after_import = memory.peak_bytes()
    model, _ = modelfile.open_model(job["model_file"], job["precision"])
    initial = model.get_weights()
    inputs = {
        kind: [task.prepare(*batch) for batch in _batches(job["inputs"], kind, config.batch_size)]
        for kind in ("test", "train")
    }
    loss = evaluation.loss_of(task, config, dataset)
    result, arrays = _outputs(model, task, dataset, loss, inputs["test"])
    loss = evaluation.loss_of(task, config, dataset, label_smoothing=config.label_smoothing)
    result["prediction_seconds"] = _times(
        lambda: model.predict_on_batch(inputs["test"][0][0]), job["predictions"]
    )
    training = list(dithered(inputs["train"], config.seed))
    trained, steps = _training(model, config, loss, training)
    result |= trained
    arrays |= steps
    result |= {
        "backend": job["backend"],
        "precision": job["precision"],
        "parameters": model.count_params(),
        "memory": {
            "after_import": after_import,
            "peak": memory.peak_bytes(),
            "device": memory.device_peak_bytes(),
        },
        "environment": backend.environment(),
    }
    model.set_weights(initial)
    result["layers"], outputs = _layers(model, inputs["test"][0][0][:LAYER_SAMPLES])
    if job["precision"] == "float32":  # last, as it changes the whole process
        momenta = exact.step(model, config, loss, training[0], initial)
        arrays |= _numbered("exact", momenta)
    return result, arrays | outputs


def dithered(batches, seed):
    """The batches with noise of up to half a gray level, +-1/510, on their inputs.

    Drawn images have areas of uniform color, where all values in a pooling window are equal up to
    rounding, even in float64. The noise, below 8-bit resolution, breaks the ties.
    """
    generator = numpy.random.default_rng(seed)
    for x, y in batches:
        yield x + (generator.random(x.shape, dtype="float32") - 0.5) / 255, y


def _batches(path, kind, size):
    """(images, labels, masks) of each batch."""
    with numpy.load(path) as stored:
        parts = [stored.get(f"{kind}_{name}") for name in ("images", "labels", "masks")]
    for start in range(0, len(parts[0]), size):
        yield tuple(None if part is None else part[start : start + size] for part in parts)


def _outputs(model, task, dataset, loss, batches):
    """Outputs and scores of the unmodified model; the time of its first prediction."""
    scorer = task.scorer(dataset, loss)
    outputs, first = [], None
    for x, y in batches:
        started = time.perf_counter()
        batch_outputs = numpy.asarray(model.predict_on_batch(x), dtype="float32")
        first = first or time.perf_counter() - started
        scorer.update(y, batch_outputs)
        outputs.append(batch_outputs)
    scores = {name: _plain(value) for name, value in scorer.result()[0].items()}
    return {"scores": scores, "first_prediction_seconds": first}, {
        "outputs": numpy.concatenate(outputs)
    }


def _training(model, config, loss, batches):
    """A short training from the model's weights, with its first step in detail."""
    step.assemble(model, config, loss)
    step.tune(model, config)
    losses, seconds, arrays = [], [], {}
    for number, (x, y) in enumerate(batches):
        # Keras would return the mean over all batches so far.
        model.reset_metrics()
        started = time.perf_counter()
        losses.append(_plain(model.train_on_batch(x, y)))
        seconds.append(time.perf_counter() - started)
        if number == 0:
            # With float16 Keras wraps the optimizer to scale the loss.
            optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
            arrays |= _numbered("step", optimizer.momentums)
            arrays |= _numbered("statistics", model.non_trainable_weights)
    return {
        "losses": losses,
        "step_seconds": seconds,
        "weights": [weight.path for weight in model.trainable_weights],
    }, arrays


def _layers(model, x):
    """Names of the layers in the order of computation, and their outputs for a few images."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    inside = keras.Model(model.inputs, [layer.output for layer in layers])
    outputs = inside.predict_on_batch(x)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    kept = {f"layer_{number}": thinned(output) for number, output in enumerate(outputs)}
    return [{"name": layer.name, "kind": type(layer).__name__} for layer in layers], kept


def thinned(values, maximum=LAYER_VALUES):
    """Flat float32 values, every k-th of them if there are more than `maximum`.

    k is odd, so that all channels are sampled: their number is mostly a power of two.
    """
    values = numpy.asarray(values).astype("float32").ravel()
    return values[:: -(-values.size // maximum) | 1]


def _times(function, repeats):
    """Seconds of each call."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return seconds


def _numbered(name, variables):
    return {
        f"{name}_{number}": numpy.asarray(keras.ops.convert_to_numpy(variable), dtype="float32")
        for number, variable in enumerate(variables)
    }


def _plain(value):
    """A float for JSON, which has no NaN."""
    return float(value) if numpy.isfinite(value) else None


def _dataset(known):
    """The metadata of the data set, without samples."""
    return Dataset(
        known["name"],
        {},
        tuple(known["class_names"]),
        tuple(tuple(color) for color in known["palette"]),
        tuple(known["ignore_labels"]),
    )
