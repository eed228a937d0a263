"""Child of test_backends.py: opens model files and stores what they put out for stored inputs."""

import pathlib
import sys

import numpy

from kerasdl import backend

folder = pathlib.Path(sys.argv[1])
name = backend.choose()

import keras  # noqa: E402 (the backend is chosen first)

from kerasdl.runs import modelfile  # noqa: E402

inputs = numpy.load(folder / "inputs.npz")
outputs = {}
for path in sorted(folder.glob("*/best.keras")):
    model, _ = modelfile.open_model(path)
    # Not `predict`, which JAX would compile for each network, longer than all the rest takes.
    answer = model(inputs[path.parent.name], training=False)
    outputs[path.parent.name] = keras.ops.convert_to_numpy(answer)
numpy.savez(folder / f"outputs-{name}.npz", **outputs)
