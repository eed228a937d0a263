"""LiteRT files, converted by TensorFlow from a Keras model on the TensorFlow backend."""

import pathlib
import tempfile

from kerasdl import backend
from kerasdl.backend.exported import saved_model


def convert(model, size, half=False, images=None):
    """The content of a .tflite file, with dynamic batch.

    Args:
        model: A `keras.Model` for one input (H, W, C).
        size: (height, width), or (None, None).
        half: Whether weights are stored as float16.
        images: Float32 (N, H, W, C) to calibrate int8 with, or None.
    """
    import tensorflow

    with tempfile.TemporaryDirectory() as folder, backend.silenced():
        path = pathlib.Path(folder) / "model"
        saved_model.write(model, size, path)
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(path))
        if half or images is not None:
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        if half:
            converter.target_spec.supported_types = [tensorflow.float16]
        if images is not None:
            converter.representative_dataset = lambda: ([image[None]] for image in images)
        return converter.convert()
