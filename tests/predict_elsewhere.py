"""Child of test_backends.py: opens model files and stores what they put out for stored inputs."""

import pathlib
import sys

import numpy

from kerasdl import backend


def narrow_stages(inputs, stem):
    """The stages of an FCN, with an eighth of the filters: every layer, and less to wait for."""
    from kerasdl.models import resnet

    return resnet.residual_stages(inputs, stem, 8)


def main(folder):
    name = backend.choose()
    import keras

    from kerasdl.models import fcn
    from kerasdl.runs import modelfile

    fcn.residual_stages = narrow_stages
    inputs = numpy.load(folder / "inputs.npz")
    outputs = {}
    for path in sorted(folder.glob("*/best.keras")):
        model, _ = modelfile.open_model(path)
        # Not `predict`, which JAX would compile for each network, longer than all the rest takes.
        answer = model(inputs[path.parent.name], training=False)
        outputs[path.parent.name] = keras.ops.convert_to_numpy(answer)
    numpy.savez(folder / f"outputs-{name}.npz", **outputs)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
