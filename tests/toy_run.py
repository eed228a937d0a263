"""A toy run through kerasdl's own pieces, for tests that kill it. Not a test itself.

    python tests/toy_run.py '[{"out": "run", "kill": "batch:3:2"}, {"out": "run"}]'

Each entry is one life: a process of its own, forked before Keras has computed anything, so that
the import is paid once. Exit codes are printed as one JSON list; negative ones are signals.
An entry {"truncate": FILE} cuts a file to half between two lives.
"""

import io
import json
import os
import pathlib
import signal
import sys
import warnings
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as every kerasdl process has it

import h5py
import keras
import numpy

from kerasdl import backend
from kerasdl.backend import signals
from kerasdl.core.errors import KerasdlError
from kerasdl.data.pipeline import batches
from kerasdl.engine import failures
from kerasdl.engine.callbacks import StopOnBadLoss
from kerasdl.runs import checkpoint, config, runfolder

SIZE = 8
CLASSES = 3


class ToySource:
    """Noise images of which the mean color tells the class, mostly."""

    def __init__(self, count, seed):
        generator = numpy.random.default_rng(seed)
        self.labels = generator.integers(0, CLASSES, count).astype("int32")
        self.images = generator.integers(0, 200, (count, SIZE, SIZE, 3)).astype("uint8")
        self.images[numpy.arange(count), :, :, self.labels] //= 2

    def __len__(self):
        return len(self.labels)

    def take(self, indices):
        return self.images[indices], self.labels[indices], None


def prepare(images, labels, masks):
    return images.astype("float32") / 255.0, labels


def build():
    """A network with everything that has hidden state: batch norm, dropout, momentum."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, name="logits")(x), name="toy")
    model.compile(
        keras.optimizers.SGD(0.2, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class KillAt(keras.callbacks.Callback):
    """Ends this process at a named place: "batch:3:2", "rename:4", ... (epochs from 1)."""

    def __init__(self, place):
        super().__init__()
        self.place, *numbers = place.split(":")
        self.epoch, self.batch = [*map(int, numbers), 0, 0][:2]
        self.now = 0
        for owner, name, after in {
            "folder": [(pathlib.Path, "mkdir", True)],
            "model": [(pathlib.Path, "write_text", False)],
            "rename": [(os, "rename", False)],
            "renamed": [(os, "rename", True)],
            "best": [(os, "replace", False)],
            "best-record": [(os, "replace", True)],
        }.get(self.place, ()):
            self._patch(owner, name, after)

    def _patch(self, owner, name, after):
        original = getattr(owner, name)

        def patched(path, *arguments, **options):
            target = str(arguments[0] if name in ("rename", "replace") else path)
            wanted = {
                "mkdir": f".tmp-{self.epoch:05d}",
                "write_text": "state.json",
                "rename": f"epoch-{self.epoch:05d}",
                "replace": "best.keras",
            }[name]
            # Not every epoch has a new best model, so "best" waits for the next one that has.
            due = self.now >= self.epoch if name == "replace" else self.now == self.epoch
            here = due and target.endswith(wanted)
            if here and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(path, *arguments, **options)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, patched)

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        sent = {
            "batch": (signal.SIGKILL,),
            "term": (signal.SIGTERM,),
            "int": (signal.SIGINT,),
            "twice": (signal.SIGTERM, signal.SIGTERM),
        }.get(self.place, ())
        if (self.now, batch + 1) == (self.epoch, self.batch):
            for number in sent:
                os.kill(os.getpid(), number)


def train(out, kill="", epochs=8, workers=2, samples=22, deterministic=True):
    """One life: claims the folder and trains until the end or until it is killed."""
    seed = 7
    settings = config.Config(
        **{"epochs": epochs, "workers": workers, "batch_size": 4, "seed": seed, "image_size": SIZE}
    )
    with (
        runfolder.acquire(out, settings, "toy") as folder,
        signals.StopOnSignal(folder.path) as stop,
        batches.Batches(
            ToySource(samples, 1), prepare, batch_size=4, seed=seed, workers=workers
        ) as data,
        batches.Batches(
            ToySource(12, 2), prepare, batch_size=4, shuffle=False, workers=workers
        ) as validation,
        failures.training_errors(folder.path, 4, settings.image_size),
    ):
        backend.prepare(seed, deterministic=deterministic)
        model = build()
        folder.require_space(model.count_params())
        kept = [
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, mode="min"),
            keras.callbacks.EarlyStopping(patience=4, mode="min"),
        ]
        state = checkpoint.RunState(folder, seed, callbacks=kept, set_epoch=data.set_epoch)
        first = state.restore(model)
        if folder.status == "finished":
            return folder.status
        model.fit(
            data,
            validation_data=validation,
            initial_epoch=first,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[stop, KillAt(kill), StopOnBadLoss(), *kept, state],
        )
        return folder.status


def outcome(run):
    """All that two equal runs must have in common, bit for bit, read from their folders."""
    run = pathlib.Path(run)
    newest = runfolder.committed(run / "checkpoints")[0]
    state = json.loads((newest / "state.json").read_text())
    best = json.loads((run / "best.json").read_text())
    history = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
    return {
        "rows": [{**row, "seconds": 0} for row in state["rows"]],
        "state": {key: state[key] for key in ("epoch", "iterations", "stopped_by", "callbacks")},
        "best": [state["best"], {key: best[key] for key in ("epoch", "value")}],
        "history": [row[:1] + row[2:] for row in history],
        "weights and optimizer": weights(newest / "model.keras"),
        "best weights": weights(run / "best.keras"),
        "leftovers": [str(path) for path in run.rglob(".tmp-*")],
    }


def weights(path):
    """Every array in a `.keras` file as bytes."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        stream = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(stream, "r") as content:
        content.visititems(
            lambda name, item: (
                found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def live(life):
    """Forks one life and returns its exit code, negative if a signal ended it."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        train(**life)
        code = 0
    except KerasdlError as error:
        sys.stderr.write(f"error: {error}\n")
        code = error.exit_code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def main():
    warnings.simplefilter("ignore", RuntimeWarning)
    codes = []
    for life in json.loads(sys.argv[1]):
        if "truncate" in life:
            os.truncate(life["truncate"], os.path.getsize(life["truncate"]) // 2)
        else:
            codes.append(live(life))
    sys.stdout.write(json.dumps(codes) + "\n")


if __name__ == "__main__":
    main()
