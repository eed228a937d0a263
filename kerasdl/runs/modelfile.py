"""Model files: plain Keras can open them; kerasdl itself reads only arrays from them.

A `.keras` file names the classes for Keras to instantiate, and Keras' `safe_mode` has been bypassed
repeatedly. So kerasdl ignores that part: `model.json` next to the file says which model it is, the
builder of that model builds it, and only the weights are read from the file.
"""

import contextlib
import io
import math
import pathlib
import stat
import warnings
import zipfile

import h5py
import keras
import numpy

from kerasdl import models
from kerasdl.backend.precision import for_inference
from kerasdl.core import files
from kerasdl.core.errors import KerasdlError, ModelFileError, first_line
from kerasdl.metrics.colors.targets import OUTPUTS
from kerasdl.models import blocks
from kerasdl.runs import names, sidecar

WEIGHTS = "model.weights.h5"
# Maximum size of each archive member.
MEMBERS = {"metadata.json": 64 * 2**10, "config.json": 5 * 2**20, WEIGHTS: 4 * 2**30}
MAX_RATIO = 100  # uncompressed to compressed; Keras itself stores without compression
MAX_OBJECTS = 100_000  # groups and arrays in the weights


def save_inference_model(model, path):
    """Saves a model without optimizer, loss and metrics, atomically; plain Keras can open it.

    Args:
        model: A built functional model.
        path: A path ending in `.keras`.

    Raises:
        WriteError: The file cannot be written; an old file is then unchanged.
    """
    # A new model around the same layers shares their weights and has no compiled parts.
    inference = keras.Model(model.input, model.output, name=model.name)
    with files.replacing(path, 4 * model.count_params()) as temporary:
        inference.save(temporary)


def open_model(path, precision=None):
    """Builds the model described by the `model.json` next to a file, with the file's weights.

    Args:
        path: A local `.keras` file.
        precision: Dtype policy to build it with; None: that of the training, or float32 on a
            device that would emulate it.

    Returns:
        The uncompiled model, and the content of `model.json`.

    Raises:
        ModelFileError: The file is missing, damaged, foreign or unsafe.
    """
    path = _local_file(path)
    with _arrays(path) as arrays:
        size = sum(array.size for array in arrays)
    facts = sidecar.read(path)
    target, outputs = facts.get("target"), facts["outputs"]
    if target is not None and outputs not in OUTPUTS.get(target, ()):
        raise ModelFileError(f"a model for target {target!r} does not have {outputs} outputs", path)
    trained = facts["precision"]
    with _policy(precision or for_inference(trained, keras.config.backend())):
        model = _build(facts, size, path)
    load_weights(model, path)
    return model, facts


def load_weights(model, path):
    """Loads the weights in a `.keras` file into a model of the same structure.

    Raises:
        ModelFileError: The file is missing, damaged, foreign or unsafe, or of another model.
    """
    with _arrays(_local_file(path)):
        pass  # checked
    try:
        with warnings.catch_warnings():
            # Keras only warns about layers that it does not load.
            warnings.simplefilter("error", UserWarning)
            # A model of the same layers without the optimizer, which Keras would load as well.
            keras.Model(model.input, model.output).load_weights(path)
    except Exception as error:  # damaged or crafted HDF5 can make Keras and h5py raise anything
        raise ModelFileError(
            f"the weights do not match {model.name} ({first_line(error)})", path
        ) from error
    for variable in model.weights:
        _require_finite(keras.ops.convert_to_numpy(variable), variable.path, path)


def read_weights(path):
    """The weights in a `.keras` file by layer name: {name: [array, ...]}.

    Nested layers are left out.

    Raises:
        ModelFileError: The file is missing, damaged, foreign or unsafe.
    """
    path = _local_file(path)
    found = {}
    with _arrays(path) as arrays:
        for array in arrays:
            # As Keras writes it: layers/conv2d_3/vars/0, and "vars" has the layer's name.
            parts = array.name.strip("/").split("/")
            name = array.parent.attrs.get("name")
            if len(parts) == 4 and parts[0] == "layers" and isinstance(name, str):
                found.setdefault(name, {})[parts[3]] = _require_finite(array[()], name, path)
    return {
        name: [values[key] for key in sorted(values, key=lambda key: (len(key), key))]
        for name, values in found.items()
    }


def check_archive(path):
    """Checks members, sizes and checksums of a `.keras` file without unpacking it.

    Raises:
        ModelFileError: Anything differs from what Keras writes.
    """
    with _archive(path) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted(MEMBERS):
            unexpected = [m.filename for m in members if m.filename not in MEMBERS]
            shown = repr(unexpected[0]) if unexpected else f"not exactly {', '.join(MEMBERS)}"
            raise ModelFileError(f"unexpected content of the archive ({shown})", path)
        for member in members:
            if member.file_size > MEMBERS[member.filename]:
                raise ModelFileError(
                    f"{member.filename} declares {member.file_size} bytes, "
                    f"at most {MEMBERS[member.filename]} allowed",
                    path,
                )
            if member.file_size > MAX_RATIO * max(member.compress_size, 1):
                raise ModelFileError(f"{member.filename} is a decompression bomb", path)
        damaged = archive.testzip()
        if damaged is not None:
            raise ModelFileError(f"damaged (bad checksum of {damaged})", path)


@contextlib.contextmanager
def _archive(path):
    """The file as an open archive; read errors become ModelFileError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise ModelFileError("no such model file", path) from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelFileError("damaged (not a complete archive)", path) from error
    except (OSError, RuntimeError, NotImplementedError) as error:
        # The last two: encrypted, unknown compression.
        raise ModelFileError(f"cannot be read ({error})", path) from error


@contextlib.contextmanager
def _arrays(path):
    """All arrays in the weights of a `.keras` file, as open HDF5 datasets, after every check.

    Links, arrays in other files and arrays that declare more data than the file holds are rejected.
    Keras rejects most of them too, but only after allocating up to 4 GiB for the latter.
    """
    check_archive(path)
    with _archive(path) as archive:
        weights = archive.read(WEIGHTS)
    with contextlib.ExitStack() as stack:
        try:
            content = stack.enter_context(h5py.File(io.BytesIO(weights), "r"))
            arrays = _plain_arrays(content, len(weights))
        except Exception as error:  # damaged or crafted HDF5 can make h5py raise anything
            raise ModelFileError(
                f"the weights are not plain arrays ({first_line(error)})", path
            ) from error
        yield arrays


def _plain_arrays(content, max_bytes):
    """The datasets of an HDF5 file. Raises ValueError for anything but plain groups and arrays."""
    arrays, groups, objects = [], [content], 0
    seen = {content}
    while groups:
        group = groups.pop()
        for name in group:
            objects += 1
            if objects > MAX_OBJECTS:
                raise ValueError("too many objects")
            kind = group.get(name, getlink=True)
            if not isinstance(kind, h5py.HardLink):
                raise ValueError(f"{group.name}/{name} is a {type(kind).__name__}")
            item = group[name]
            if isinstance(item, h5py.Group):
                # A group within itself would otherwise be walked up to the limit, for seconds.
                if item in seen:
                    raise ValueError(f"{group.name}/{name} is a second link to a group")
                seen.add(item)
                groups.append(item)
                continue
            if item.external or item.is_virtual or item.dtype.kind not in "biuf":
                raise ValueError(f"{item.name} is not an array in this file")
            arrays.append(item)
    if sum(array.size * array.dtype.itemsize for array in arrays) > max_bytes:
        raise ValueError("they declare more bytes than the file has")
    return arrays


def _build(facts, max_weights, path):
    """Builds the model of a `model.json`, up to a number of weights. Raises ModelFileError."""
    try:
        with _at_most(max_weights), blocks.undrawn():
            return models.build(
                facts["model"],
                (*facts["image_size"], facts["channels"]),
                facts["outputs"],
                **facts["model_args"],
            )
    except _TooLarge as error:
        raise ModelFileError(
            f"{names.SIDECAR} describes more weights than the {max_weights} in the file", path
        ) from error
    except Exception as error:  # builders raise anything for absurd options
        reason = error.what if isinstance(error, KerasdlError) else first_line(error)
        raise ModelFileError(
            f"the model that {names.SIDECAR} describes cannot be built ({reason})", path
        ) from error


class _TooLarge(Exception):
    """A model has more weights than allowed."""


def _at_most(weights):
    """Limits the number of weights of layers built within the block. Raises `_TooLarge`.

    Counted layer by layer before memory is allocated, so it holds for every builder.
    """
    left = weights

    def count(options):
        nonlocal left
        left -= math.prod(options.get("shape") or ())
        if left < 0:
            raise _TooLarge

    return blocks.adding(count)


@contextlib.contextmanager
def _policy(name):
    """Builds layers within the block with a dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _require_finite(values, name, path):
    """Returns the values. Raises ModelFileError if one is not finite."""
    if not numpy.isfinite(values).all():
        raise ModelFileError(f"the weights are not finite in {name}", path)
    return values


def _local_file(path):
    """Returns the path if it is a regular local `.keras` file."""
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
