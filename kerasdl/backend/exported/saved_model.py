"""SavedModel folders, run by TensorFlow; the metadata are a file in `assets.extra`."""

import pathlib

from kerasdl import backend
from kerasdl.core.errors import ModelFileError

METADATA = pathlib.Path("assets.extra") / "kerasdl.json"  # TensorFlow leaves this folder to others
SIGNATURE = "serving_default"
INPUT, OUTPUT = "image", "outputs"


def load(path, accept):
    """Opens a folder; see `kerasdl.runs.runtimes.Format.load`."""
    stored = path / METADATA
    accept(stored.read_bytes() if stored.is_file() else None)
    with backend.silenced():
        import tensorflow

        model = tensorflow.saved_model.load(str(path))
    signature = model.signatures.get(SIGNATURE)
    if signature is None or set(signature.structured_outputs) != {OUTPUT}:
        raise ModelFileError(f"no signature '{SIGNATURE}' with the output '{OUTPUT}'", path)

    def run(x):
        return signature(**{INPUT: tensorflow.constant(x)})[OUTPUT].numpy()

    # The signature belongs to the model, which must outlive this function.
    run.model = model
    image = signature.structured_input_signature[1][INPUT]
    return tuple(image.shape), tuple(signature.structured_outputs[OUTPUT].shape), run


def write(model, size, path, metadata=None):
    """Writes a model on the TensorFlow backend, with dynamic batch.

    Args:
        model: A `keras.Model` for one input (H, W, C).
        size: (height, width), or (None, None).
        path: The folder.
        metadata: Text to store.
    """
    import keras
    import tensorflow

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        SIGNATURE,
        lambda image: {OUTPUT: model(image, training=False)},
        input_signature=[
            tensorflow.TensorSpec((None, *size, model.input_shape[-1]), "float32", name=INPUT)
        ],
    )
    with backend.silenced():
        archive.write_out(str(path), verbose=False)
    if metadata is not None:
        (path / METADATA).parent.mkdir()
        (path / METADATA).write_text(metadata, encoding="utf-8")
