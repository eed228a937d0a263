"""A training step with the optimizers of kerasdl against one with Keras' own, as a ratio of times.

    for backend in tensorflow jax torch; do
        KERAS_BACKEND=$backend python benchmarks/optimizers.py --out optimizers.jsonl
    done

`sgd` is `engine.optimizers.SGD` (coupled decay, update in few passes) against Keras' SGD with the
same momentum and its decoupled decay; `adamw` is what `engine.optimizers.build` returns, Keras'
class, against that class: a control that shows the noise. Two models that are equal but for the
optimizer train in turn, block by block; each ratio is one of neighboring blocks, below 1 where
kerasdl is faster. Wall time depends on other load, time of the processor less so.
"""

import argparse
import json
import statistics
import sys
import time

from kerasdl import backend

backend.choose()  # with the settings that training has, before Keras is imported

import keras  # noqa: E402
import numpy  # noqa: E402

from kerasdl import losses, models  # noqa: E402
from kerasdl.backend import machine  # noqa: E402
from kerasdl.engine import step  # noqa: E402
from kerasdl.runs.config import Config  # noqa: E402

CLASSES = 10
# Model -> its configuration: small images and batches, so that the update is much of a step.
MODELS = {
    "resnet18": {"task": "classification", "model_args": {"stem": "imagenet"}, "batch_size": 8},
    "unet": {"task": "segmentation", "model_args": {"filters": 16}, "batch_size": 4},
}
IMAGE_SIZE = 32
PLAIN = {
    "sgd": lambda config: keras.optimizers.SGD(
        config.learning_rate, config.momentum, weight_decay=config.weight_decay
    ),
    "adamw": lambda config: keras.optimizers.AdamW(
        config.learning_rate, weight_decay=config.weight_decay
    ),
}


def prepare(name, optimizer, ours):
    """A compiled model and a random batch."""
    config = Config(
        model=name, optimizer=optimizer, learning_rate=1e-3, image_size=IMAGE_SIZE, **MODELS[name]
    )
    keras.utils.set_random_seed(0)
    model = models.build(name, (*config.image_size, 3), CLASSES, **config.model_args)
    step.assemble(model, config, losses.build(config.loss))
    if not ours:
        model.compile(PLAIN[optimizer](config), losses.build(config.loss))
    step.tune(model, config)
    random = numpy.random.default_rng(0)
    images = random.random((config.batch_size, *config.image_size, 3), dtype="float32")
    shape = (config.batch_size, *(config.image_size if config.task == "segmentation" else ()))
    return model, images, random.integers(0, CLASSES, shape).astype("uint8")


def block(prepared, steps):
    """Wall and processor seconds of a block of steps."""
    model, images, targets = prepared
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        loss = model.train_on_batch(images, targets)
    float(numpy.ravel(loss)[0])
    return time.perf_counter() - wall, time.process_time() - processor


def measure(name, optimizer, steps, rounds):
    """Ratios of the blocks of each round, kerasdl to Keras: wall, processor."""
    ready = {ours: prepare(name, optimizer, ours) for ours in (True, False)}
    for each in ready.values():
        block(each, 2)  # compiles
    ratios = []
    for turn in range(rounds):
        # Reversed every other round, so that drift cancels out.
        order = (True, False) if turn % 2 else (False, True)
        seconds = {ours: block(ready[ours], steps) for ours in order}
        ratios.append([a / b for a, b in zip(seconds[True], seconds[False], strict=True)])
    return [list(each) for each in zip(*ratios, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="steps of a block")
    parser.add_argument("--rounds", type=int, default=12, help="pairs of blocks")
    parser.add_argument("--out", help="file to append one JSON line per model and optimizer to")
    arguments = parser.parse_args()
    for optimizer in PLAIN:
        for name in MODELS:
            wall, processor = measure(name, optimizer, arguments.steps, arguments.rounds)
            row = {
                "command": " ".join(["python", *sys.argv]),
                "machine": machine.description(),
                **backend.environment(),
                "model": name,
                "optimizer": optimizer,
                "rounds": arguments.rounds,
            }
            for kind, values in (("wall", wall), ("processor", processor)):
                low, middle, high = statistics.quantiles(values, n=4)
                row[kind] = {"median": middle, "quartiles": [low, high], "ratios": values}
                print(f"{keras.config.backend()} {name} {optimizer}: {kind} time "
                      f"{middle:.2f} ({low:.2f} to {high:.2f}) of Keras'", flush=True)  # fmt: skip
            if arguments.out:
                with open(arguments.out, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
            keras.utils.clear_session()


if __name__ == "__main__":
    main()
