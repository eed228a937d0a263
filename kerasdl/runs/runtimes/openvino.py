"""OpenVINO files (.xml with .bin), run by openvino; the metadata are in `rt_info`."""

import functools
import sys
import threading

from kerasdl.runs.runtimes.metadata import KEY


def library():
    """The module openvino, imported without its telemetry, which would report every import."""
    before = sys.modules.get("openvino_telemetry")
    if before is None:
        sys.modules["openvino_telemetry"] = None  # Python's marker for "cannot be imported"
    try:
        import openvino
    finally:
        if before is None:
            del sys.modules["openvino_telemetry"]
    return openvino


@functools.cache
def core():
    """The process' only `openvino.Core`, never freed.

    A core replaces the memory in which this thread handles signals. After two have been freed in
    the order in which they were made, the next signal would crash (docs/upstream.md, report 22).
    """
    return library().Core()


def load(path, accept):
    """Opens a file; see `kerasdl.runs.runtimes.Format.load`."""
    if not path.read_bytes().startswith(b"<?xml"):
        raise ValueError("no XML")  # OpenVINO would try the formats of other frameworks
    try:
        model = core().read_model(path)
        accept(model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None)
        # By default some processors compute in bfloat16.
        compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        # It begins with lines on where in OpenVINO's source the error was raised.
        places = ("Exception from", "Check ")
        lines = [line for line in str(error).splitlines() if not line.startswith(places)]
        raise ValueError(next(filter(str.strip, reversed(lines)), "unreadable")) from error
    lock = threading.Lock()  # it is called with one request at a time

    def run(x):
        with lock:
            return compiled(x)[0]

    return _shape(model.input().partial_shape), _shape(model.output().partial_shape), run


def _shape(dimensions):
    return tuple(None if each.is_dynamic else each.get_length() for each in dimensions)
