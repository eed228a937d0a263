"""ONNX files, run by onnxruntime; the metadata are in `metadata_props`."""

import onnxruntime

from kerasdl.runs.runtimes.metadata import KEY


def load(path, accept):
    """Opens a file; see `kerasdl.runs.runtimes.Format.load`."""
    session = _session(path)
    accept(session.get_modelmeta().custom_metadata_map.get(KEY))
    (image,), (found,) = session.get_inputs(), session.get_outputs()

    def function(session):
        return lambda x: session.run([found.name], {image.name: x})[0]

    return (
        _shape(image.shape),
        _shape(found.shape),
        function(session),
        lambda: function(_session(path, intra_op_num_threads=1)),
    )


def _session(path, **settings):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; warnings are about graphs that nobody here edits
    # A thread that waits for others would take the processor from those that read and write images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, value in settings.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(
        str(path), options, ["CPUExecutionProvider"], enable_fallback=0
    )  # a second try of the same provider, with a report on standard output


def _shape(dimensions):
    """Numbers as they are, names of dynamic axes as None."""
    return tuple(each if isinstance(each, int) else None for each in dimensions)
