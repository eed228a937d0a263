"""PT2 archives of `torch.export`, run by torch; the metadata are an extra file.

`torch.export.load` unpickles some members and evaluates symbolic sizes as Python. Archives with
such members are refused before torch sees them; what we write has none.
"""

import json
import re
import zipfile

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
SIZE = re.compile(r"(?:[su]?\d+|Mod|FloorDiv|CeilDiv|Max|Min|Integer|[-+*/(), ])*")
TARGET = re.compile(
    r"torch\.ops\.aten\.(?!from_file)[\w.]+"
    r"|_operator\.(?!attrgetter|methodcaller)\w+"
    r"|torch\.sym_(?:max|min|not|int|float)|math\.\w+"
)


def load(path, accept):
    """Opens a file; see `kerasdl.runs.runtimes.Format.load`."""
    _check(path, accept)
    import torch

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
