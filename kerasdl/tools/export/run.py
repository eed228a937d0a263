"""`export`: checks what is asked for, and has it made on the backend that the format needs."""

import dataclasses
import importlib.util
import os
import pathlib
import sys
from typing import Any

from kerasdl import backend
from kerasdl.core import errors, extensions
from kerasdl.core.errors import ConfigError, KerasdlError, ModelFileError
from kerasdl.runs import hub, names, runtimes
from kerasdl.runs.run import Run
from kerasdl.tools import workers
from kerasdl.tools.export import layouts
from kerasdl.tools.export.making import Request, make

IMAGES = 200  # test images of the proof, at most

# Format -> modules that write it besides its backend, all from the extra `export`.
WRITERS = {
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
    "litert": ("flatbuffers", "ai_edge_litert"),
}

# What can fail -> how it is called.
MEASURES = {
    "difference": "largest difference relative to the largest output",
    "agreement": "fraction of equal classes",
    "worse": "relative loss of score",
}


class ExportDiffers(KerasdlError):
    """The file's outputs are not those of the run (exit code 3); `document` has the numbers."""

    exit_code = 3

    def __init__(self, document: dict[str, Any]):
        found = "; ".join(
            f"{name} {document[key]:.2g}, allowed {document['tolerance'][key]:g}"
            for key, name in MEASURES.items()
            if key in document["failed"]
        )
        super().__init__(
            f"the {document['format']} file differs from the run ({found}), nothing was written",
            document["file"],
            "another --format, or without --int8 and --half",
        )
        self.document = document


def export(
    run: str | os.PathLike[str],
    format: str,
    out: str | os.PathLike[str] | None = None,
    *,
    dynamic: bool = False,
    half: bool = False,
    int8: bool = False,
    layout: str = "",
    overwrite: bool = False,
    images: int = IMAGES,
) -> dict[str, Any]:
    """Exports the best model of a run as a file that needs neither Keras nor kerasdl.

    The file is run by its own runtime on test images and compared with the run before it gets its
    name. Where Keras already runs on another backend than the format needs, that takes a process of
    its own.

    Args:
        run: The `Run`, or the path of its folder, or "hf:USER/NAME".
        format: One of `kerasdl.runs.runtimes.FORMATS`.
        out: The file; for SavedModel and a layout the folder. Default: in the run folder.
        dynamic: Whether height and width are free (multiples of the stride).
        half: Whether kernels are float16.
        int8: Whether weights and activations are int8, calibrated on validation images.
        layout: "triton" or "tf-serving": the folder that this server reads; "": a file.
        overwrite: Whether an earlier export may be replaced.
        images: Number of test images at most.

    Returns:
        What was compared: difference, agreement, scores and times, for JSON.

    Raises:
        ConfigError: The format cannot do it, or something is not installed.
        ExportDiffers: The file differs from the run beyond the tolerance.
        ModelFileError: The run has no model.
    """
    if out is None and hub.is_remote(run):
        raise ConfigError("the export of a run on the hub needs an output path", run, "--out")
    opened = Run(run)
    kind = runtimes.FORMATS.require(format)
    check_options(kind, half, int8, layout)
    _ = opened.config, opened.best_model
    opened.require_consistent()
    _require_installed(kind)
    request = Request(str(opened), format, "", dynamic, half, int8, layout, images)
    target = pathlib.Path(out) if out is not None else default_path(request)
    if layout:
        target /= layouts.model_name(opened.path)
    _check_target(target, kind, layout, overwrite)
    request = dataclasses.replace(request, out=str(target))
    keras = sys.modules.get("keras")
    if keras is None or keras.config.backend() == kind.backend:
        backend.choose(kind.backend)
        document = make(request)
    else:
        document = _in_worker(request, kind.backend)
    if document["failed"]:
        raise ExportDiffers(document)
    return document


def check_options(kind: runtimes.Format, half: bool, int8: bool, layout: str) -> None:
    """Raises ConfigError for what a format cannot be."""
    if half and int8:
        raise ConfigError("either --half or --int8", fix="leave one out")
    for wanted, able, flag in ((half, "half", "--half"), (int8, "int8", "--int8")):
        if wanted and not getattr(kind, able):
            others = [f.name for f in runtimes.FORMATS.values() if getattr(f, able)]
            raise ConfigError(
                f"{flag} is not possible for {kind.name}", fix=f"--format {', '.join(others)}"
            )
    if layout:
        layouts.require(layout, kind)


def default_path(request: Request) -> pathlib.Path:
    """Where an export goes without --out: `exported` in the run folder."""
    folder = pathlib.Path(request.run) / names.EXPORTED
    if request.layout:
        return folder / request.layout
    parts = ["model" if runtimes.FORMATS[request.format].suffix else request.format]
    parts += ["dynamic"] if request.dynamic else []
    parts += [request.precision] if request.precision != "float32" else []
    return folder / ("-".join(parts) + runtimes.FORMATS[request.format].suffix)


def _check_target(path: pathlib.Path, kind: runtimes.Format, layout: str, overwrite: bool) -> None:
    """Raises ConfigError for a wrong suffix, and for something that must not be replaced."""
    suffix = "" if layout else kind.suffix
    if suffix and path.suffix != suffix:
        raise ConfigError(f"a {kind.label} file ends with {suffix}", path, f"--out NAME{suffix}")
    parts = [path, *([path.with_suffix(kind.companion)] if suffix and kind.companion else [])]
    there = [part for part in parts if part.exists()]
    if there and not overwrite:
        raise ConfigError("the export exists already", there[0], "--overwrite or another --out")
    if any(part.is_dir() and (suffix or not layouts.is_export(part)) for part in there):
        raise ConfigError("not a folder that kerasdl exported", path, "another --out")


def _require_installed(kind: runtimes.Format) -> None:
    """Raises ConfigError unless backend, converter and runtime of a format can be imported."""
    if importlib.util.find_spec(kind.backend) is None:
        raise ConfigError(
            f"{kind.label} files are written by {kind.backend}, which is not installed",
            fix=f"pip install 'kerasdl[{kind.backend},export]'",
        )
    for module in WRITERS.get(kind.name, ()):
        if importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"{kind.label} files are written with {module}, which is not installed",
                fix="pip install 'kerasdl[export]'",
            )
    runtimes.require_installed(kind)


def _in_worker(request: Request, engine: str) -> dict[str, Any]:
    """`make` in a process of its own, on another backend."""
    job = {"request": dataclasses.asdict(request), "extensions": list(extensions.replacements())}
    with workers.Worker("kerasdl.tools.export.run:work", job, engine) as worker:
        try:
            result = worker.read()
        except workers.WorkerFailed as error:
            raise ModelFileError(f"the export failed ({error})", request.run) from error
    if "raised" in result:
        raise getattr(errors, result["raised"])(result["what"], result["path"], result["fix"])
    return result


def work(job: dict[str, Any]):
    """The worker's side: yields the document, or an error with its class."""
    backend.choose()
    extensions.replace(job["extensions"])
    try:
        yield make(Request(**job["request"]))
    except KerasdlError as error:
        path = None if error.path is None else str(error.path)
        yield {"raised": type(error).__name__, "what": error.what, "path": path, "fix": error.fix}
