"""PT2 archives of `torch.export`, run by torch; the metadata are an extra file.

`torch.export.load` unpickles some members and evaluates symbolic sizes as Python. Archives with
such members are refused before torch sees them; what we write has none.
"""

import json
import re
import zipfile

from kerasdl import backend
from kerasdl.backend.exported import onnx
from kerasdl.core.errors import ModelFileError

EXTRA = "extra/kerasdl"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
PROGRAM = "models/model.json"
MEMBERS = re.compile(
    r"data/(weights/weight|constants/tensor)_\d+|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id|alignment)"
)
# A size: symbols, numbers, and these functions of sympy and torch.
SYMBOL = re.compile(r"Symbol\('[su]\d+'(?:, \w+=True)*\)")
SIZE = re.compile(
    r"(?:[su]?\d+|Mod|FloorDiv|CeilDiv|Max|Min|Mul|Add|Pow|Integer|Rational|[-+*/(), ])*"
)
TARGET = re.compile(
    r"torch\.ops\.aten\.(?!from_file)[\w.]+"
    r"|_operator\.(?!attrgetter|methodcaller)\w+"
    r"|torch\.sym_(?:max|min|not|int|float)|math\.\w+"
)


def load(path, accept):
    """Opens a file; see `kerasdl.runs.runtimes.Format.load`."""
    _check(path, accept)
    import torch

    with backend.silenced():  # it warns with a traceback of what it raises anyway
        program = torch.export.load(str(path))
    module = program.module()

    def run(x):
        with torch.inference_mode():
            return module(torch.from_numpy(x)).numpy()

    (image,) = (
        node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
    )
    (output,) = (node for node in program.graph.nodes if node.op == "output")
    return _shape(image), _shape(output.args[0][0]), run


def _shape(node):
    return tuple(each if isinstance(each, int) else None for each in node.meta["val"].shape)


def _check(path, accept):
    """Reads the metadata; raises ModelFileError for anything that torch would run."""
    with zipfile.ZipFile(path) as archive:
        if any(info.compress_type for info in archive.infolist()):
            raise ModelFileError("the archive is compressed, unlike those of torch", path)
        if damaged := archive.testzip():  # torch does not look at the checksums
            raise ModelFileError(f"damaged: {damaged} does not match its checksum", path)
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        accept(archive.read(names[EXTRA]) if EXTRA in names else None)
        known = {EXTRA, SAMPLE_INPUTS, PROGRAM, *CONFIGS}
        odd = [name for name in names if name not in known and not MEMBERS.fullmatch(name)]
        if odd:
            raise ModelFileError(f"unexpected content of the archive ({odd[0]!r})", path)
        if SAMPLE_INPUTS in names and archive.getinfo(names[SAMPLE_INPUTS]).file_size:
            raise ModelFileError("the archive holds pickled inputs", path)
        for name in (*CONFIGS, PROGRAM):
            _check_values(json.loads(archive.read(names[name])), path)


def _check_values(value, path):
    """Raises ModelFileError for pickles, expressions and functions that are not arithmetic."""
    if isinstance(value, list):
        for each in value:
            _check_values(each, path)
    elif isinstance(value, dict):
        if value.get("use_pickle"):
            raise ModelFileError("the archive holds pickled arrays", path)
        text = value.get("expr_str")
        if isinstance(text, str) and not SIZE.fullmatch(SYMBOL.sub("s0", text)):
            raise ModelFileError(f"the archive holds the expression {text[:60]!r}", path)
        target = value.get("target")
        if isinstance(target, str) and "inputs" in value and not TARGET.fullmatch(target):
            raise ModelFileError(f"the archive calls {target[:60]!r}", path)
        for each in value.values():
            _check_values(each, path)


def write(model, size, path, metadata, half):
    """Writes a model on the torch backend, with dynamic batch; see `kerasdl.backend.exported.onnx`.

    Args:
        model: A `keras.Model` for one input (H, W, C).
        size: (height, width), or (None, None).
        path: The file.
        metadata: Text to store.
        half: Whether kernels are stored as float16.
    """
    import torch

    dynamic = torch.export.Dim.DYNAMIC
    axes = {0: dynamic} if None not in size else {0: dynamic, 1: dynamic, 2: dynamic}
    with torch.no_grad():
        program = torch.export.export(
            onnx.forward(model, registered=False),
            (onnx.example(model, size),),
            dynamic_shapes=(axes,),
            strict=False,
        )
    if half:
        _halve(program)
    program._example_inputs = None  # would be pickled
    torch.export.save(program, str(path), extra_files={EXTRA.partition("/")[2]: metadata})


def _halve(program):
    """Stores the kernels of a program as float16; it casts them back."""
    import torch

    constants = program.graph_signature.inputs_to_lifted_tensor_constants
    for node in [node for node in program.graph.nodes if node.name in constants]:
        kernel = program.constants[constants[node.name]]
        if kernel.dtype != torch.float32 or kernel.ndim < 2:
            continue
        value = node.meta["val"]
        program.constants[constants[node.name]] = kernel.half()
        with program.graph.inserting_before(_first_use(node)):
            cast = program.graph.call_function(
                torch.ops.aten._to_copy.default, (node,), {"dtype": torch.float32}
            )
        cast.meta["val"] = value
        node.meta["val"] = value.half()
        node.replace_all_uses_with(cast, lambda user, cast=cast: user is not cast)
    program.graph.lint()
    program.graph_module.recompile()


def _first_use(node):
    """The first node of a graph that uses another."""
    return next(other for other in node.graph.nodes if other in node.users)
