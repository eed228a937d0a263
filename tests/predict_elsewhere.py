"""Child of test_backends.py: opens model files and stores what they put out for stored inputs."""

import pathlib
import sys

import numpy

from kerasdl import backend

folder = pathlib.Path(sys.argv[1])
name = backend.choose()

from kerasdl import modelfile  # noqa: E402 (the backend is chosen first)

inputs = numpy.load(folder / "inputs.npz")
outputs = {
    path.stem: numpy.asarray(
        modelfile.load_architecture_and_weights(path).predict_on_batch(inputs[path.stem])
    )
    for path in sorted(folder.glob("*.keras"))
}
numpy.savez(folder / f"outputs-{name}.npz", **outputs)
