"""Folders of existing model servers, and how a finished export gets its name.

- `triton`: NVIDIA Triton Inference Server, a model repository: NAME/config.pbtxt, NAME/1/FILE.
- `tf-serving`: TensorFlow Serving, NAME/1 with a SavedModel.
"""

import json
import os
import pathlib
import re
import shutil

from kerasdl.backend.exported import onnx, saved_model
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.tasks import TASKS

CONFIG = "config.pbtxt"
MARK = "# Written by kerasdl export.\n"
MAX_BATCH = 32

# Layout -> format -> name of the file or folder in NAME/1; "": the folder itself.
LAYOUTS = {
    "triton": {
        "onnx": "model.onnx",
        "openvino": "model.xml",
        "saved_model": "model.savedmodel",
    },
    "tf-serving": {"saved_model": ""},
}
# Format -> what Triton calls that which runs it.
TRITON_BACKENDS = {
    "onnx": 'backend: "onnxruntime"',
    "openvino": 'backend: "openvino"',
    "saved_model": 'platform: "tensorflow_savedmodel"',
}


def require(layout, kind):
    """Raises ConfigError unless a server with this layout takes the format."""
    if layout not in LAYOUTS:
        raise suggest("layout", layout, LAYOUTS)
    if kind.name not in LAYOUTS[layout]:
        raise ConfigError(
            f"--layout {layout} is not for {kind.name}",
            fix=f"--format {' or '.join(LAYOUTS[layout])}",
        )


def model_name(folder):
    """Name of a model on a server: that of the run folder, in letters that every server takes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", pathlib.Path(folder).resolve().name) or "model"


def is_export(folder):
    """Whether a folder is one that `publish` has made."""
    config = folder / CONFIG
    if config.is_file():
        return config.read_text(encoding="utf-8", errors="replace").startswith(MARK)
    return any(path for part in ("", "*/") for path in folder.glob(f"{part}{saved_model.METADATA}"))


def publish(written, out, kind, layout, described):
    """Moves an export to its place; until then an earlier one there is whole.

    Args:
        written: The file or folder, on the same file system.
        out: Its final path; with a layout the folder of the model.
        kind: Its `kerasdl.runs.runtimes.Format`.
        layout: A key of `LAYOUTS`, or "".
        described: Its metadata.
    """
    if layout:
        written = _served(written, out.name, kind, layout, described)
    if written.is_dir():
        _replace_folder(written, out)
    else:
        if kind.companion:  # first, because the other names the export
            os.replace(written.with_suffix(kind.companion), out.with_suffix(kind.companion))
        files.sync_file(written)
        os.replace(written, out)
    files.sync_folder(out.parent)


def _replace_folder(written, out):
    if out.exists():
        os.replace(out, written.with_name("earlier"))
    os.replace(written, out)


def _served(written, name, kind, layout, described):
    """The folder that a server reads, beside what was written."""
    folder = written.parent / "served"
    folder.mkdir()
    inside = LAYOUTS[layout][kind.name]
    place = folder / "1" / inside
    if inside:
        place.parent.mkdir()
    if kind.companion:
        shutil.move(written.with_suffix(kind.companion), place.with_suffix(kind.companion))
    shutil.move(written, place)
    if layout == "triton":
        per_pixel = TASKS[described["task"]].annotation != "label"
        text = triton_config(name, kind.name, described, per_pixel)
        files.write_text(folder / CONFIG, text)
    return folder


def triton_config(name, kind, described, per_pixel):
    """Text of config.pbtxt: Triton's `ModelConfig`, where -1 is any size and the batch is implied.

    Args:
        name: Name of the model.
        kind: Name of its format.
        described: Its metadata.
        per_pixel: Whether there are outputs for each pixel.
    """
    height, width = described["size"] or (-1, -1)
    outputs = [described["outputs"]]
    if per_pixel:
        outputs = [height, width, *outputs]
    image = [height, width, described["channels"]]
    return f"""{MARK}name: {json.dumps(name)}
{TRITON_BACKENDS[kind]}
max_batch_size: {MAX_BATCH}
input {{ name: "{onnx.INPUT}" data_type: TYPE_FP32 dims: {image} }}
output {{ name: "{onnx.OUTPUT}" data_type: TYPE_FP32 dims: {outputs} }}
dynamic_batching {{ }}
"""
