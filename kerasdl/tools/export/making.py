"""Makes an export: model opened, file written and proved, and only then given its name."""

import contextlib
import dataclasses
import logging
import pathlib
import shutil
import tempfile
from typing import Any

from kerasdl import backend, models, tasks
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, KerasdlError, first_line
from kerasdl.runs import runtimes
from kerasdl.runs.run import Run
from kerasdl.runs.runtimes import checksum, metadata
from kerasdl.tasks import TASKS
from kerasdl.tools.export import layouts

CALIBRATION_IMAGES = 100

logger = logging.getLogger("kerasdl")


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
    images: int = 200

    @property
    def precision(self) -> str:
        """Precision of the weights."""
        return "int8" if self.int8 else "float16" if self.half else "float32"


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
        if kind.checksum:
            checksum.write(written, kind.companion, writing.metadata_file(written))
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
        "sha256": checksum.EMPTY if runtimes.FORMATS[request.format].checksum else "",
        "class_names": facts.get("class_names") or [],
        "palette": facts.get("palette") or [],
        "data": facts.get("data") or "",
        "license": facts.get("license") or "",
        "median_size": run.median_size and list(run.median_size),
    }


def _free(model, config, facts):
    """The same model for images of any size."""
    try:
        return models.resized(model, config.model, (None, None), facts["model_args"])
    except Exception as error:  # builders of extensions may need sizes
        raise ConfigError(
            f"{config.model} cannot be built for any size ({first_line(error)})",
            fix="leave out --dynamic",
        ) from error


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
