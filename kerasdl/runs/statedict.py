"""Reads the arrays of a PyTorch state dict, from `.safetensors` or `torch.save`, without PyTorch.

What `torch.save` writes is a program for Python's unpickler, which can call any function. It is not
run: its instructions are read one by one, and only those that make dicts, lists, tuples, numbers
and arrays are carried out, here, so that no code of the file's choice is ever called. PyTorch's
own reader would have to be installed beside TensorFlow and JAX as well, and its CUDA builds end the
process beside TensorFlow.
"""

import io
import math
import pathlib
import pickletools  # a disassembler: it imports and calls nothing that a file names
import struct
import zipfile
from typing import Any, NamedTuple

import numpy

from kerasdl.core.errors import ConfigError, KerasdlError, ModelFileError, first_line

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
MAX_BYTES = 4 * 2**30
MAX_INSTRUCTIONS = 1_000_000  # ResNet-18 takes 4000
WRAPPERS = ("state_dict", "model", "model_state_dict")  # where training programs put the state dict

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # of files by PyTorch before 1.6
BFLOAT16 = "bfloat16"  # NumPy has no such type
DTYPES = {
    "torch BFloat16Storage": BFLOAT16,
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "i1",
    "torch ByteStorage": "u1",
    "torch BoolStorage": "?",
}
DICT = "collections OrderedDict"
TENSOR = "torch._utils _rebuild_tensor_v2"
PARAMETER = "torch._utils _rebuild_parameter"

Arrays = dict[str, numpy.ndarray]


class _Name(str):
    """A function or class that the file names; never looked up."""


class _Storage(NamedTuple):
    dtype: str
    key: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: pathlib.Path) -> Arrays:
    """The arrays of a state dict by name.

    Args:
        path: A `.safetensors` file, or one written by `torch.save`; a state dict, or a dict that
            holds one as `state_dict`, `model` or `model_state_dict`.

    Raises:
        ModelFileError: The file is missing, damaged or unsafe, or holds more than arrays.
        ConfigError: The package safetensors is missing.
    """
    try:
        if not path.is_file():
            raise ModelFileError("no such model file", path)
        if path.stat().st_size > MAX_BYTES:
            raise ModelFileError(f"larger than {MAX_BYTES / 2**30:.0f} GiB", path)
        if path.suffix == ".safetensors":
            return _finite(_safetensors(path))
        content = io.BytesIO(path.read_bytes())
        saved = _zip if zipfile.is_zipfile(content) else _legacy
        content.seek(0)
        return _finite(saved(content))
    except KerasdlError as error:
        raise type(error)(error.what, error.path or path, error.fix) from error
    except Exception as error:  # of a damaged or crafted file
        raise ModelFileError(
            f"damaged, or not a state dict of PyTorch ({first_line(error)})", path
        ) from error


def _safetensors(path: pathlib.Path) -> Arrays:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise ConfigError(
            "a .safetensors file needs the package safetensors", path,
            "pip install 'kerasdl[safetensors]'",
        ) from None  # fmt: skip
    return load_file(path)


def _zip(content: io.BytesIO) -> Arrays:
    """The format since PyTorch 1.6: FOLDER/data.pkl, the program, and FOLDER/data/KEY, bytes."""
    with zipfile.ZipFile(content) as archive:
        members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise ValueError("compressed, as torch.save does not do")
        order = members.get("byteorder")
        if order is not None and archive.read(order) != b"little":
            raise ValueError("not little-endian")
        if sum(member.file_size for member in members.values()) > content.getbuffer().nbytes:
            raise ValueError("its members declare more bytes than it has")
        tensors = _tensors(_run(io.BytesIO(archive.read(members["data.pkl"]))))
        keys = {tensor.storage.key for tensor in tensors.values()}
        stored = {key: archive.read(members[f"data/{key}"]) for key in keys}
    return _arrays(tensors, stored)


def _legacy(content: io.BytesIO) -> Arrays:
    """The format before PyTorch 1.6: programs in a row, then the bytes of each storage."""
    if content.getbuffer()[:1] != b"\x80" or _run(content) != LEGACY_MAGIC:
        raise ValueError("not written by torch.save, or by PyTorch before 0.4")
    _run(content)  # the version
    _run(content)  # facts about the machine
    storages: list[_Storage] = []
    tensors = _tensors(_run(content, storages))
    sizes = {each.key: _plain(each.dtype).itemsize for each in storages}
    stored = {}
    for key in map(_key, _run(content)):
        (count,) = struct.unpack("<q", content.read(8))
        stored[key] = content.read(max(0, count) * sizes[key])
    return _arrays(tensors, stored)


def _run(stream: io.BytesIO, storages: list[_Storage] | None = None) -> Any:
    """What the program at the position of the stream makes. Raises for all but plain values.

    Args:
        stream: Left at the end of the program.
        storages: Gets each reference to the bytes of a tensor.
    """
    stack: list[Any] = []
    marks: list[list[Any]] = []
    memo: dict[int, Any] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count > MAX_INSTRUCTIONS:
            raise ValueError("too long")
        match opcode.name:
            case "PROTO":
                pass
            case "MARK":
                marks.append(stack)
                stack = []
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"D": dict, "L": list, "T": tuple}[opcode.name[6]]())
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(argument)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [stack.pop() for _ in range(int(opcode.name[5]))]
                stack.append(tuple(reversed(items)))
            case "TUPLE" | "SETITEMS" | "APPENDS":
                items, stack = stack, marks.pop()
                _collect(opcode.name, stack, items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][_key(key)] = value
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "GLOBAL":
                stack.append(_named(argument))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
                if storages is not None:
                    storages.append(stack[-1])
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_call(stack.pop(), arguments))
            case "BUILD":
                stack.pop()  # attributes of a dict, such as the version of each layer
            case "STOP":
                return stack.pop()
            case _:
                raise ModelFileError(f"unexpected instruction {opcode.name} in the file")
    raise EOFError("it ends early")


def _collect(kind: str, stack: list[Any], items: list[Any]) -> None:
    """Puts items into a new tuple, or into the dict or list on the stack."""
    if kind == "TUPLE":
        stack.append(tuple(items))
    elif kind == "SETITEMS":
        stack[-1].update(zip(map(_key, items[::2]), items[1::2], strict=True))
    else:
        stack[-1].extend(items)


def _key(value: Any) -> Any:
    """A key of a dict: a text, or a stand-in for any other key, because no array has one.

    Hashing nested tuples could take forever.
    """
    return value if type(value) is str else object()


def _named(argument: str) -> _Name:
    """A name that a state dict needs. Raises ModelFileError for any other."""
    if argument not in (DICT, TENSOR, PARAMETER, *DTYPES):
        shown = argument.replace(" ", ".")
        if shown.startswith("torch.") and shown.endswith("Storage"):
            raise ModelFileError(f"it holds {shown}, which no layer takes", fix="save as float32")
        raise ModelFileError(
            f"the file is more than arrays, it names {shown}",
            fix="save the state dict alone: torch.save(model.state_dict(), ...)",
        )
    return _Name(argument)


def _call(function: Any, arguments: Any) -> Any:
    """What one of the known functions makes; they are not called."""
    if isinstance(function, _Name):
        if function == DICT and arguments == ():
            return {}
        if function == TENSOR:
            storage, offset, shape, strides = arguments[:4]
            return _Tensor(storage, offset, shape, strides)
        if function == PARAMETER:
            return arguments[0]
    raise ModelFileError("the file calls a function that makes no array")


def _storage(reference: Any) -> _Storage:
    """The reference to the bytes of a tensor: ("storage", type, key, device, count)."""
    kind, dtype, key, *rest = reference
    if (
        kind != "storage"
        or type(key) is not str
        or not isinstance(dtype, _Name)
        or any(each is not None for each in rest[2:])
    ):
        raise ValueError("unknown reference")
    return _Storage(DTYPES[dtype], key)


def _tensors(value: Any) -> dict[str, _Tensor]:
    """The tensors of the state dict in what the file holds, by name."""
    for key in WRAPPERS:
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__}, not a dict")
    found = {
        name: each
        for name, each in value.items()
        if isinstance(name, str) and isinstance(each, _Tensor)
    }
    if not found:
        raise ValueError("no tensors in it")
    return found


def _arrays(tensors: dict[str, _Tensor], stored: dict[str, bytes]) -> Arrays:
    """The arrays of the tensors. Raises ValueError if they share bytes so as to be larger."""
    found = {name: _array(each, stored[each.storage.key]) for name, each in tensors.items()}
    if sum(each.nbytes for each in found.values()) > 2 * sum(map(len, stored.values())):
        raise ValueError("its tensors repeat their bytes")
    return found


def _finite(arrays: Arrays) -> Arrays:
    """The arrays. Raises ModelFileError if one has a value that is not finite."""
    for name, array in arrays.items():
        if not numpy.isfinite(array).all():
            raise ModelFileError(f"the weights are not finite in {name}")
    return arrays


def _plain(dtype: str) -> numpy.dtype:
    """The type of the bytes of a storage."""
    return numpy.dtype("<u2" if dtype == BFLOAT16 else dtype)


def _array(tensor: _Tensor, data: bytes) -> numpy.ndarray:
    """The tensor's array. Raises ValueError if it reaches beyond its bytes, or repeats them."""
    flat = numpy.frombuffer(data, _plain(tensor.storage.dtype))
    if tensor.storage.dtype == BFLOAT16:  # the upper half of a float32
        flat = (flat.astype("<u4") << 16).view("<f4")
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("a size is no natural number")
    if len(tensor.shape) != len(tensor.strides) or 0 in tensor.shape:
        raise ValueError("an empty tensor")
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((side - 1) * stride for side, stride in steps)
    if last >= flat.size or math.prod(tensor.shape) > flat.size:
        raise ValueError("a tensor is larger than its bytes")
    strides = [stride * flat.itemsize for stride in tensor.strides]
    return numpy.lib.stride_tricks.as_strided(
        flat[tensor.offset :], tensor.shape, strides, writeable=False
    )
