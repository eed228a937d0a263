"""Writes a model in each format, with its metadata.

Every writer is a function (`Job`, path). It may raise anything that a converter raises.
"""

import dataclasses
import pathlib
import tempfile

import numpy

from kerasdl.runs.runtimes.metadata import KEY


@dataclasses.dataclass(frozen=True)
class Job:
    """What is written.

    Attributes:
        model: The Keras model, on the backend of the format.
        size: (height, width), or (None, None).
        metadata: Text for the key "kerasdl".
        precision: "float32", "float16" or "int8".
        images: Calibration images, float32 (N, H, W, C); needed for int8.
    """

    model: object
    size: tuple
    metadata: str
    precision: str = "float32"
    images: numpy.ndarray | None = None

    @property
    def half(self):
        """Whether kernels are stored as float16."""
        return self.precision == "float16"


def onnx(job, path):
    """One file; float16 kernels are cast to float32 when it is loaded."""
    import onnx as library

    from kerasdl.backend.exported import onnx as exported

    exported.write(job.model, job.size, path)
    if job.images is not None:
        _quantize(path, job.images)
    model = library.load(path)
    if job.half:
        _halve(model.graph)
    library.helper.set_model_props(model, {KEY: job.metadata})
    model.doc_string = ""
    library.checker.check_model(model, full_check=True)
    library.save(model, path)


def _halve(graph):
    """Stores kernels as float16, followed by a cast, which the runtime does once."""
    import onnx as library

    for tensor in graph.initializer:
        if tensor.data_type != library.TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name = tensor.name
        values = library.numpy_helper.to_array(tensor).astype("float16")
        tensor.CopyFrom(library.numpy_helper.from_array(values, f"{name}_float16"))
        cast = library.helper.make_node("Cast", [tensor.name], [name], to=library.TensorProto.FLOAT)
        graph.node.insert(0, cast)


def _quantize(path, images):
    """Replaces a file by one with int8 weights and activations."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from kerasdl.backend.exported.onnx import INPUT

    class Images(quantization.CalibrationDataReader):
        """One image at a time."""

        def __init__(self):
            self.rest = iter(images)

        def get_next(self):
            image = next(self.rest, None)
            return None if image is None else {INPUT: image[None]}

    with tempfile.TemporaryDirectory() as folder:
        prepared = pathlib.Path(folder) / "prepared.onnx"
        # Its symbolic shapes fail for dynamic sizes, and quantization does not need them.
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared, path, Images(), quant_format=quantization.QuantFormat.QDQ, per_channel=True
        )


def openvino(job, path):
    """Two files, .xml and .bin, by way of ONNX, which OpenVINO reads itself."""
    from kerasdl.backend.exported import onnx as exported
    from kerasdl.runs.runtimes import openvino as runtime

    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "model.onnx"
        exported.write(job.model, job.size, source)
        model = runtime.core().read_model(source)
    model.set_rt_info(job.metadata, [KEY])
    runtime.library().save_model(model, path, compress_to_fp16=job.half)


def saved_model(job, path):
    """A folder."""
    from kerasdl.backend.exported import saved_model as exported

    exported.write(job.model, job.size, path, job.metadata)


def litert(job, path):
    """One file, with the metadata in a named buffer."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from kerasdl.backend.exported import litert as exported

    content = exported.convert(job.model, job.size, job.half, job.images)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = numpy.frombuffer(job.metadata.encode(), "uint8")
    entry.name, entry.buffer = KEY.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())


def pt2(job, path):
    """One archive."""
    from kerasdl.backend.exported import pt2 as exported

    exported.write(job.model, job.size, path, job.metadata, job.half)


def metadata_file(path: pathlib.Path) -> pathlib.Path:
    """Where in a written file or folder the metadata are."""
    from kerasdl.backend.exported import saved_model as exported

    return path / exported.METADATA if path.is_dir() else path


WRITERS = {
    "onnx": onnx,
    "saved_model": saved_model,
    "litert": litert,
    "openvino": openvino,
    "pt2": pt2,
}
