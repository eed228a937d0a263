"""LiteRT (TensorFlow Lite) files, run by ai-edge-litert; the metadata are a named buffer."""

import threading

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from kerasdl import backend
from kerasdl.backend import machine
from kerasdl.runs.runtimes.metadata import KEY


def load(path, accept):
    """Opens a file; see `kerasdl.runs.runtimes.Format.load`."""
    content = path.read_bytes()
    # The interpreter verifies the file; only then can it be read as a flatbuffer.
    interpreter = Interpreter(model_content=content, num_threads=machine.num_cores())
    accept(_metadata(content))
    (image,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    lock = threading.Lock()  # an interpreter has one set of tensors
    allocated = None

    def run(x):
        nonlocal allocated
        with lock:
            if allocated != x.shape:
                interpreter.resize_tensor_input(image["index"], x.shape)
                with backend.silenced():  # the first time it says which delegate it has
                    interpreter.allocate_tensors()
                allocated = x.shape
            interpreter.set_tensor(image["index"], x)
            interpreter.invoke()
            return interpreter.get_tensor(found["index"])

    return _shape(image), _shape(found), run


def _shape(details):
    return tuple(None if side < 0 else int(side) for side in details["shape_signature"])


def _metadata(content):
    """The bytes of our entry of the file's metadata, or None."""
    model = schema.Model.GetRootAs(content, 0)
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        if entry.Name() == KEY.encode():
            buffer = model.Buffers(entry.Buffer())
            return buffer.DataAsNumpy().tobytes() if buffer.DataLength() else None
    return None
