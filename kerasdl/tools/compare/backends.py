"""`kerasdl compare backends`: measure in one process per backend, compare, publish.

A *job* is the input of a worker: config (all keys), dataset (names, palette, ignored labels),
model_file, build (whether to create that file first), inputs (.npz), backend, precision,
predictions (how often to time one), out (folder).

The *document* is the content of compare.json:

    kerasdl, command, verdict {agree, sentence, fastest}
    cases  [{name, task, model, model_args, data, split, samples, image_size, batch_size, steps,
             variants {"jax": result of the worker, or {"error"}},
             pairs    [results of `kerasdl.tools.compare.differences.pair`]}]

A variant is named after its backend, plus its precision unless that is float32.
"""

import json
import logging
import math
import pathlib
import shlex
import sys
import tempfile

import kerasdl
from kerasdl import backend as backends
from kerasdl.backend import PRECISIONS
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.runs import config as configuration
from kerasdl.runs import names as run_names
from kerasdl.tools import workers
from kerasdl.tools.compare import cases as subjects
from kerasdl.tools.compare import differences, processes, verdict

PREDICTIONS = 12  # predictions of one batch
COMPILING = 2  # first steps, which may still compile

logger = logging.getLogger("kerasdl")


def chosen_backends(names=()):
    """The backends to compare: those named, else all that are installed.

    Raises:
        ConfigError: One is unknown or not installed.
    """
    names = tuple(dict.fromkeys(names))
    for name in names:
        backends.require_installed(name)
    return names or tuple(backends.installed())


def chosen_precisions(names, config):
    """float32 first, then the other precisions named, or that of the run if none are named.

    "auto" may resolve differently on each backend, so it adds none here.
    """
    names = tuple(names) or (config.precision,)
    for name in names:
        if name not in PRECISIONS:
            raise suggest("precision", name, PRECISIONS)
    return tuple(dict.fromkeys(("float32", *(name for name in names if name != "auto"))))


def compare(cases, names, precisions=(), samples=64, steps=12, tolerance=None, measure=None):
    """Compares backends on some models.

    Args:
        cases: List of `kerasdl.tools.compare.cases.Case`.
        names: Backends.
        precisions: Precisions besides float32; empty: those of the cases' configurations.
        samples: Images to predict.
        steps: Steps of the short training.
        tolerance: Overrides {"logits", "gradient_step"} of float32, or one of them.
        measure: Function (job, folder) -> (result, arrays); `processes.measure` if None.

    Returns:
        The document, see the module docstring.

    Raises:
        ConfigError: There is nothing to compare with.
        DataError: The data cannot be used.
    """
    documents = []
    for case in cases:
        chosen = [(name, each) for each in chosen_precisions(precisions, case.config)
                  for name in names]  # fmt: skip
        if len(chosen) < 2:
            raise ConfigError(
                f"nothing to compare {', '.join(names) or 'no backend'} with",
                fix="pip install another backend, or name a second precision with --precision",
            )
        documents.append(
            _compare_one(case, chosen, samples, steps, tolerance, measure or processes.measure)
        )
    return {
        "kerasdl": kerasdl.__version__,
        "command": shlex.join(["kerasdl", *sys.argv[1:]]),
        "verdict": verdict.verdict(documents),
        "cases": documents,
    }


def _compare_one(case, chosen, samples, steps, tolerance, measure):
    """The document of one case."""
    config = case.config
    document = {
        "name": case.name,
        **{key: getattr(config, key) for key in ("task", "model", "model_args", "batch_size")},
        "image_size": list(config.image_size),
        "steps": steps,
    }
    measured = []
    with (
        workers.sigterm_as_exit(),
        tempfile.TemporaryDirectory(prefix="kerasdl-compare-") as folder,
    ):
        folder = pathlib.Path(folder)
        dataset = subjects.write_inputs(case, folder / "inputs.npz", samples, steps)
        document |= {"data": dataset["name"], "split": dataset["split"]}
        document["samples"] = dataset["samples"]
        built = folder / "model.keras"
        for number, (name, precision) in enumerate(chosen, 1):
            label = name if precision == "float32" else f"{name} {precision}"
            logger.info("%s: %s (%d of %d)", case.name, label, number, len(chosen))
            job = {
                "config": configuration.as_dict(config),
                "dataset": dataset,
                "model_file": str((case.model_file or built).resolve()),
                "build": case.model_file is None and not built.exists(),
                "inputs": str(folder / "inputs.npz"),
                "backend": name,
                "precision": precision,
                "predictions": PREDICTIONS,
            }
            result, arrays = measure(job, folder / label.replace(" ", "-"))
            if "error" in result:
                logger.warning("%s failed: %s", label, result["error"])
            else:
                result["step"] = differences.timing(result["step_seconds"], COMPILING)
                result["prediction"] = differences.timing(result["prediction_seconds"], 1)
            measured.append((label, result, arrays))
        complete = [each for each in measured if "error" not in each[1]]
        document["variants"] = {label: result for label, result, _ in measured}
        document["pairs"] = differences.pairs(document, complete, tolerance)
    return document


def publish(document, out, run=None):
    """Writes compare.json, compare.png and report.html.

    Args:
        document: The result of `compare`.
        out: Folder; created if missing.
        run: Run folder whose report gets the comparison as a section, or None.

    Returns:
        The path of the page.

    Raises:
        WriteError: A file cannot be written.
    """
    from kerasdl.report import backend_comparison_figures, backend_comparison_page

    out = pathlib.Path(out)
    files.make_folder(out)
    files.write_text(out / "compare.json", as_json(document) + "\n")
    backend_comparison_figures.comparison_figure(document, out / "compare.png")
    page = backend_comparison_page.write_page(out / run_names.REPORT, document)
    if run is not None:
        backend_comparison_page.insert(pathlib.Path(run) / run_names.REPORT, document)
    return page


def as_json(document):
    """The document as JSON text; values that are not finite become null."""
    return json.dumps(_finite(document), ensure_ascii=False, indent=1, allow_nan=False)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
