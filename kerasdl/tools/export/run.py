"""`export`: options checked, model opened, file written, proved, and only then given its name."""

import contextlib
import dataclasses
import importlib.util
import json
import logging
import os
import pathlib
import shutil
import sys
import tempfile
from typing import Any

from kerasdl import backend, models, tasks
from kerasdl.core import errors, extensions, files
from kerasdl.core.errors import ConfigError, KerasdlError, ModelFileError, first_line
from kerasdl.runs import names, runtimes
from kerasdl.runs.run import Run
from kerasdl.runs.runtimes import metadata
from kerasdl.tasks import TASKS
from kerasdl.tools import workers
from kerasdl.tools.export import layouts

IMAGES = 200  # test images of the proof, at most
CALIBRATION_IMAGES = 100

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

logger = logging.getLogger("kerasdl")


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


@dataclasses.dataclass(frozen=True)
class Request:
    """What to export, as the user says it; see `export`."""

    run: str
    format: str
    out: str
    dynamic: bool = False
    half: bool = False
    int8: bool = False
    layout: str = ""
    images: int = IMAGES

    @property
    def precision(self) -> str:
        """Precision of the weights."""
        return "int8" if self.int8 else "float16" if self.half else "float32"


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
        run: The `Run`, or the path of its folder.
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
    opened = Run(run)
    kind = runtimes.FORMATS.require(format)
    check_options(kind, half, int8, layout)
    _ = opened.best_model, opened.config
    opened.require_consistent()
    _require_installed(kind)
    request = Request(str(run), format, "", dynamic, half, int8, layout, images)
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
    if "failed" in result:
        raise getattr(errors, result["failed"])(result["what"], result["path"], result["fix"])
    return result


def work(job: dict[str, Any]):
    """The worker's side: yields the document, or an error with its class."""
    backend.choose()
    extensions.replace(job["extensions"])
    try:
        yield make(Request(**job["request"]))
    except KerasdlError as error:
        path = None if error.path is None else str(error.path)
        yield {"failed": type(error).__name__, "what": error.what, "path": path, "fix": error.fix}


def make(request: Request) -> dict[str, Any]:
    """Writes and proves an export on the backend that Keras runs on; the document of `export`.

    The file gets its name only if nothing in the document has `failed`.
    """
    import keras

    from kerasdl.runs import modelfile
    from kerasdl.tools.export import proof, writing

    run, kind = Run(request.run), runtimes.FORMATS[request.format]
    config = run.config
    task = tasks.of(config)
    backend.without_tensor_float_32()
    out = pathlib.Path(request.out)
    with keras.device("cpu"), _temporary_folder(out) as folder:
        model, facts = modelfile.open_model(run.best_model, precision="float32")
        described = describe(run, facts, request)
        job = writing.Job(
            _free(model, config, facts) if request.dynamic else model,
            (None, None) if request.dynamic else tuple(facts["image_size"]),
            metadata.dumps(described),
            request.precision,
            proof.calibration(task, config, CALIBRATION_IMAGES) if request.int8 else None,
        )
        written = folder / (f"model{kind.suffix}" if kind.suffix else "model")
        try:
            writing.WRITERS[kind.name](job, written)
        except (KerasdlError, OSError):
            raise
        except Exception as error:  # converters raise anything
            logger.debug("export failed", exc_info=True)
            raise ConfigError(
                f"{kind.backend} cannot export this model as {kind.label} ({first_line(error)})",
                run.path,
                "another --format",
            ) from error
        runtime = runtimes.open(written)
        found = proof.prove(model, runtime, task, config, "test", request.images)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        document = {
            "run": request.run,
            "file": request.out,
            "format": kind.name,
            "precision": request.precision,
            "size": described["size"],
            "bytes": size,
            "backend": kind.backend,
            "task": task.name,
            "model": config.model,
            **found,
        }
        if not document["failed"]:
            layouts.publish(written, out, kind, request.layout, described)
    return document


def describe(run: Run, facts: dict[str, Any], request: Request) -> dict[str, Any]:
    """The metadata of an export, see `kerasdl.runs.runtimes.metadata`."""
    import kerasdl

    config, task = run.config, TASKS[run.config.task]
    target = config.target or next(iter(task.targets), "")
    return {
        "kerasdl": kerasdl.__version__,
        "task": task.name,
        "target": target,
        "loss": config.loss,
        "model": config.model,
        "model_args": facts["model_args"],
        "stride": models.stride(config.model, facts["model_args"], facts["image_size"]),
        "channels": facts["channels"],
        "outputs": facts["outputs"],
        "normalization": task.inputs[target],
        "image_size": list(facts["image_size"]),
        "resize": config.resize,
        "size": None if request.dynamic else list(facts["image_size"]),
        "test_time_flip": config.test_time_flip,
        "precision": request.precision,
        "class_names": facts.get("class_names") or [],
        "palette": facts.get("palette") or [],
        "data": facts.get("data") or "",
        "license": facts.get("license") or "",
        "median_size": _median_size(run),
    }


def _median_size(run: Run) -> list[int] | None:
    """Median height and width of the images before they were resized, if known."""
    try:
        return json.loads((run / names.REPORT_DATA).read_text(encoding="utf-8"))["median_size"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _free(model, config, facts):
    """The same model for images of any size."""
    try:
        free = models.build(
            config.model, (None, None, facts["channels"]), facts["outputs"], **facts["model_args"]
        )
    except Exception as error:  # builders of extensions may need sizes
        raise ConfigError(
            f"{config.model} cannot be built for any size ({first_line(error)})",
            fix="leave out --dynamic",
        ) from error
    free.set_weights(model.get_weights())
    return free


@contextlib.contextmanager
def _temporary_folder(out: pathlib.Path):
    """A folder beside the result, so that a rename is enough; removed in any case."""
    files.make_folder(out.parent)
    folder = None
    try:
        folder = tempfile.mkdtemp(prefix=files.TEMPORARY_PREFIX, dir=out.parent)
        yield pathlib.Path(folder)
    except OSError as error:
        raise files.cannot_write(out, error) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
