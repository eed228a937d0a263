"""ONNX files, run by onnxruntime; the metadata are in `metadata_props`."""

import onnxruntime

from kerasdl.runs.runtimes.metadata import KEY


def load(path, accept):
    """Opens a file; see `kerasdl.runs.runtimes.Format.load`."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; warnings are about graphs that nobody here edits
    # A thread that waits for others would take the processor from those that read and write images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        str(path), options, ["CPUExecutionProvider"], enable_fallback=0
    )  # a second try of the same provider, with a report on standard output
    accept(session.get_modelmeta().custom_metadata_map.get(KEY))
    (image,), (found,) = session.get_inputs(), session.get_outputs()
    return (
        _shape(image.shape),
        _shape(found.shape),
        lambda x: session.run([found.name], {image.name: x})[0],
    )


def _shape(dimensions):
    """Numbers as they are, names of dynamic axes as None."""
    return tuple(each if isinstance(each, int) else None for each in dimensions)
