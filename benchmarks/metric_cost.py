"""How much longer a training step takes with metrics than without.

    KERAS_BACKEND=tensorflow python benchmarks/metric_cost.py [segmentation colorization ...]

Trains the same model in short blocks of steps, in turn without metrics, with the metrics as
kerasdl uses them (expensive ones measured in validation only) and with all of them measured at
every step. Prints the median and quartiles over the rounds of the ratio of neighboring blocks, in
wall time and in CPU time, which is less affected by other load, and the ratio of the fastest
blocks, which is affected least. The project's limit is 1.05 for the metrics as kerasdl uses
them.
"""

import argparse
import statistics
import time

from kerasdl import backend  # noqa: E402

backend.choose()  # with the settings that training has, before Keras is imported

import keras  # noqa: E402
import numpy  # noqa: E402

from kerasdl import losses, models, tasks  # noqa: E402
from kerasdl.backend import tuning  # noqa: E402
from kerasdl.engine import datasets  # noqa: E402
from kerasdl.metrics.base import ExpensiveMetricsInValidationOnly  # noqa: E402
from kerasdl.runs import config  # noqa: E402

# task -> model, channels of the input, loss
TASKS = {
    "classification": ("resnet18", 3, "crossentropy"),
    "segmentation": ("unet", 3, "crossentropy"),
    "colorization": ("unet", 1, "l1"),
}
VARIANTS = ("none", "validation only", "every step")


def prepare(task, variant, size, samples):
    """A compiled model, its callbacks and a random batch for one variant."""
    keras.utils.set_random_seed(0)
    name, channels, loss = TASKS[task]
    dataset = datasets.load(config.Config(**{"task": task}))
    outputs = 3 if task == "colorization" else len(dataset.class_names)
    metrics = tasks.of(config.Config(task=task)).metrics(dataset)
    model = models.build(name, (size, size, channels), outputs)
    metrics = [] if variant == "none" else metrics
    model.compile(keras.optimizers.SGD(0.01, 0.9), losses.build(loss), metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    tuning.tune(model)
    callbacks = []
    if variant == "validation only":
        callbacks.append(ExpensiveMetricsInValidationOnly(metrics))
    random = numpy.random.default_rng(0)
    images = random.random((samples, size, size, channels), dtype="float32")
    shapes = {"classification": (), "segmentation": (size, size)}
    if task in shapes:
        targets = random.integers(0, outputs, (samples, *shapes[task])).astype("uint8")
    else:
        targets = random.random((samples, size, size, 3), dtype="float32")
    return model, callbacks, images, targets


def block_times(prepared, batch_size):
    """Wall and CPU seconds for one pass over the batches of a variant."""
    model, callbacks, images, targets = prepared
    wall, processor = time.perf_counter(), time.process_time()
    model.fit(images, targets, batch_size=batch_size, callbacks=callbacks, shuffle=False, verbose=0)
    return time.perf_counter() - wall, time.process_time() - processor


def measure(task, size, batch_size, steps, rounds):
    """Wall and CPU seconds of the blocks of every variant, one list per variant."""
    ready = {v: prepare(task, v, size, batch_size * steps) for v in VARIANTS}
    for prepared in ready.values():
        block_times(prepared, batch_size)  # compiles
    seconds = {variant: [] for variant in VARIANTS}
    for turn in range(rounds):
        # Reversed every other round, so that drift cancels out.
        for variant in VARIANTS[:: 1 if turn % 2 else -1]:
            seconds[variant].append(block_times(ready[variant], batch_size))
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=", ".join(TASKS))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4, help="steps per block")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(f"{keras.backend.backend()}, {arguments.size}x{arguments.size} images, ", end="")
    print(f"batch {arguments.batch_size}, {arguments.rounds} rounds of {arguments.steps} steps")
    for task in arguments.tasks:
        options = (arguments.size, arguments.batch_size, arguments.steps, arguments.rounds)
        seconds = measure(task, *options)
        step = statistics.median(wall for wall, _ in seconds["none"]) / arguments.steps
        print(f"{task}: {1000 * step:.0f} ms per step without metrics")
        for variant in VARIANTS[1:]:
            pairs = list(zip(seconds[variant], seconds["none"], strict=True))
            for index, clock in enumerate(("wall", "CPU")):
                ratios = [with_them[index] / without[index] for with_them, without in pairs]
                low, middle, high = statistics.quantiles(ratios, n=4)
                print(f"  measured {variant}, {clock} time: ", end="")
                print(f"ratio {middle:.3f} (quartiles {low:.3f}-{high:.3f}), ", end="")
                quickest = [min(s[index] for s in seconds[v]) for v in (variant, "none")]
                print(f"quickest blocks {quickest[0] / quickest[1]:.3f}", flush=True)


if __name__ == "__main__":
    main()
