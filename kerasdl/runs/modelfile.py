"""Model files that can name only the layers kerasdl builds; anything else is refused unread.

Keras' `safe_mode` is a list of what is forbidden, and ways around it have been found again and
again. Here a list of what is allowed is applied to `config.json` before Keras sees the file. This
is no sandbox for hostile files, but it closes the way from a name in a file to code.
"""

import json
import pathlib
import re
import stat
import zipfile

import keras
import numpy

from kerasdl.core import files
from kerasdl.core.errors import ModelFileError
from kerasdl.metrics.colors.targets import OUTPUTS
from kerasdl.runs import modelsize
from kerasdl.tasks import TASKS

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
SIDECAR = "model.json"

MAX_MEMBER_BYTES = {
    "metadata.json": 64 * 2**10,
    "config.json": 5 * 2**20,
    "model.weights.h5": 4 * 2**30,
}
MAX_RATIO = 100  # uncompressed to compressed; Keras itself stores without compression
MAX_DEPTH = 64
MAX_SIDECAR_BYTES = 2**20

_BY_MODULE = {
    "keras.src.models.functional": ("Functional",),
    "keras": ("DTypePolicy",),
    "keras.layers": (
        "Activation",
        "Add",
        "BatchNormalization",
        "Concatenate",
        "Conv2D",
        "Conv2DTranspose",
        "Cropping2D",
        "Dense",
        "Dropout",
        "GlobalAveragePooling2D",
        "InputLayer",
        "MaxPooling2D",
        "ReLU",
        "UpSampling2D",
        "ZeroPadding2D",
    ),
    "keras.initializers": (
        "Constant",
        "GlorotUniform",
        "HeNormal",
        "Ones",
        "VarianceScaling",
        "Zeros",
    ),
    "keras.regularizers": ("L2",),
}
ALLOWED = frozenset((module, name) for module, names in _BY_MODULE.items() for name in names)
ACTIVATIONS = frozenset(("linear", "relu", "sigmoid", "softmax"))
DTYPES = frozenset(
    ("float32", "float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16", "int32")
)
_RESOLVED_KEYS = re.compile(r"_(initializer|regularizer|constraint)$")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")


def save_inference_model(model, path):
    """Saves a model without optimizer, loss and metrics, atomically; plain Keras can open it.

    Args:
        model: A built functional model.
        path: Ends in `.keras`.

    Raises:
        WriteError: If the file cannot be written; an old file then stays as it was.
    """
    # A new model around the same layers shares their weights and has no compiled parts.
    inference = keras.Model(model.input, model.output, name=model.name)
    with files.replacing(path, 4 * model.count_params()) as temporary:
        inference.save(temporary)


def write_sidecar(path, sidecar):
    """Writes what a model file cannot hold (task, classes, palette, size) as `model.json` beside.

    Args:
        path: The model file, or the folder it lies in.
        sidecar: Mapping of plain JSON types; `task` is required.

    Raises:
        ModelFileError: If the content is not what `open_model` would accept.
        WriteError: If the file cannot be written.
    """
    path = _sidecar_path(path)
    _check_sidecar(sidecar, path)
    files.write_text(path, json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n")


def open_model(path):
    """Opens a model that kerasdl wrote, and the `model.json` beside it.

    Args:
        path: A local `.keras` file.

    Returns:
        The uncompiled model, and the sidecar as a dict.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign or unsafe.
    """
    path = _local_file(path)
    model = load_architecture_and_weights(path)
    sidecar_path = _sidecar_path(path)
    sidecar = _read_sidecar(sidecar_path)
    names = sidecar.get("class_names") or ()
    if names and model.output_shape[-1] != len(names):
        raise ModelFileError(
            f"the model has {model.output_shape[-1]} outputs, {SIDECAR} names {len(names)} classes",
            path,
        )
    target = sidecar.get("target", "rgb")
    if sidecar["task"] == "colorization" and model.output_shape[-1] not in OUTPUTS[target]:
        raise ModelFileError(
            f"the model has {model.output_shape[-1]} outputs, the target {target} of {SIDECAR} has "
            f"{' or '.join(map(str, OUTPUTS[target]))}",
            path,
        )
    return model, sidecar


def load_architecture_and_weights(path):
    """The uncompiled model in a `.keras` file, after every check. Raises ModelFileError."""
    path = _local_file(path)
    config = check_config(check_archive(path), path)
    with zipfile.ZipFile(path) as archive:
        modelsize.check_size(config, archive.getinfo("model.weights.h5").file_size, path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # damaged or crafted HDF5 can make Keras and h5py raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelFileError(f"the model cannot be loaded: {reason}", path) from error
    for variable in model.weights:
        if not numpy.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise ModelFileError(f"the weights are not finite in {variable.path}", path)
    return model


def check_archive(path):
    """Checks members, sizes and checksums of a `.keras` file without unpacking it.

    Returns:
        The content of its `config.json`, as text.

    Raises:
        ModelFileError: If anything differs from what Keras writes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sorted(member.filename for member in members) != sorted(MEMBERS):
                unexpected = [m.filename for m in members if m.filename not in MEMBERS]
                shown = repr(unexpected[0]) if unexpected else f"not exactly {', '.join(MEMBERS)}"
                raise ModelFileError(f"unexpected content of the archive ({shown})", path)
            for member in members:
                if member.file_size > MAX_MEMBER_BYTES[member.filename]:
                    raise ModelFileError(
                        f"{member.filename} declares {member.file_size} bytes, "
                        f"allowed are {MAX_MEMBER_BYTES[member.filename]}",
                        path,
                    )
                if member.file_size > MAX_RATIO * max(member.compress_size, 1):
                    raise ModelFileError(f"{member.filename} is a decompression bomb", path)
            damaged = archive.testzip()
            if damaged is not None:
                raise ModelFileError(f"damaged (bad checksum of {damaged})", path)
            return archive.read("config.json").decode("utf-8")
    except FileNotFoundError:
        raise ModelFileError("no such model file", path) from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelFileError("damaged (not a complete archive)", path) from error
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
        # ValueError: text that is not UTF-8; the last two: encrypted, unknown compression.
        raise ModelFileError(f"cannot be read ({error})", path) from error


def check_config(text, path=None):
    """The parsed `config.json`; ModelFileError if it names anything that kerasdl never builds."""
    try:
        config = json.loads(text)
    except RecursionError:
        raise ModelFileError("config.json is nested too deeply", path) from None
    except ValueError as error:
        raise ModelFileError(f"config.json is not JSON ({error})", path) from error
    if not isinstance(config, dict) or config.get("class_name") != "Functional":
        raise ModelFileError("not a functional Keras model", path)
    # Loss, metrics and optimizer are never restored: the model is loaded with compile=False.
    config.pop("compile_config", None)
    _walk(config, path, 0)
    return config


def _walk(value, path, depth):
    if depth > MAX_DEPTH:
        raise ModelFileError("config.json is nested too deeply", path)
    if isinstance(value, list):
        for item in value:
            _walk(item, path, depth + 1)
    elif isinstance(value, dict):
        if "class_name" in value or "module" in value:
            _check_object(value, path)
        for key, item in value.items():
            _check_entry(key, item, path)
            _walk(item, path, depth + 1)


def _check_object(value, path):
    """Checks one serialized object: module, class and registered name must all be as expected."""
    module, name = value.get("module"), value.get("class_name")
    registered = value.get("registered_name")
    if name == "__keras_tensor__" and module is None and registered is None:
        return  # the place of a tensor in the graph; it has no code
    # Keras looks a registered name up before the module, so it must not say anything else.
    known = isinstance(name, str) and isinstance(module, str) and (module, name) in ALLOWED
    if not known or registered not in (None, name) or not isinstance(value.get("config"), dict):
        entry = ".".join(str(part) for part in (module, name, registered) if part is not None)
        raise ModelFileError(
            f"the model names '{entry[:200]}', which kerasdl never builds",
            path,
            "open only models that kerasdl made",
        )


def _check_entry(key, item, path):
    """Checks the strings that Keras would resolve to functions, classes or file names."""
    if key == "activation":
        bad = item is not None and not (isinstance(item, str) and item in ACTIVATIONS)
    elif key == "dtype":
        bad = isinstance(item, str) and item not in DTYPES
    elif key == "name":
        bad = not (isinstance(item, str) and _NAME.fullmatch(item))
    elif _RESOLVED_KEYS.search(key):
        bad = not (item is None or isinstance(item, dict))
    else:
        bad = False
    if bad:
        raise ModelFileError(
            f"the model has {key} {str(item)[:200]!r}, which kerasdl never writes",
            path,
            "open only models that kerasdl made",
        )


def _local_file(path):
    """The path, if it is a regular local `.keras` file."""
    text = str(path)
    if "://" in text or text.startswith("hf:"):
        raise ModelFileError("only local files are opened", text, "download it first")
    path = pathlib.Path(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise ModelFileError("no such model file", path) from None
        raise ModelFileError(f"cannot be read ({error.strerror})", path) from error
    if not stat.S_ISREG(mode):
        raise ModelFileError("not a file", path, "give a .keras file")
    if path.suffix != ".keras":
        raise ModelFileError("not a .keras file", path, "give a .keras file made by kerasdl")
    return path


def _sidecar_path(path):
    path = pathlib.Path(path)
    return (path if path.is_dir() else path.parent) / SIDECAR


def _read_sidecar(path):
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_SIDECAR_BYTES + 1)
        if len(content) > MAX_SIDECAR_BYTES:
            raise ModelFileError(f"larger than {MAX_SIDECAR_BYTES} bytes", path)
        sidecar = json.loads(content)
    except FileNotFoundError:
        raise ModelFileError(
            f"no {SIDECAR} beside the model, so its task and classes are unknown",
            path,
            "copy it together with the model",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"damaged ({error})", path) from error
    _check_sidecar(sidecar, path)
    return sidecar


def _check_sidecar(sidecar, path):
    """Raises ModelFileError for the first entry of a sidecar that is missing or misshapen."""
    if not isinstance(sidecar, dict):
        raise ModelFileError("not a JSON object", path)
    if sidecar.get("task") not in TASKS:
        raise ModelFileError(f"unknown task {sidecar.get('task')!r}", path)
    checks = {
        "class_names": lambda value: _all(value, lambda name: isinstance(name, str)),
        "palette": lambda value: _all(value, lambda color: _integers(color, 3, 0, 255)),
        "target": lambda value: value in OUTPUTS,
        "image_size": lambda value: _integers(value, 2, 1, 8192),
        "ignore_labels": lambda value: _all(value, lambda label: type(label) is int),
    }
    for key, check in checks.items():
        if key in sidecar and not check(sidecar[key]):
            raise ModelFileError(f"'{key}' has not the expected form", path)


def _all(values, check):
    return isinstance(values, list | tuple) and all(check(value) for value in values)


def _integers(values, length, low, high):
    return _all(values, lambda value: type(value) is int and low <= value <= high) and (
        len(values) == length
    )
