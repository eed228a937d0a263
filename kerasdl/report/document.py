"""Reads run folders for reports, without Keras."""

import shlex

from kerasdl.metrics.images import ImageScores
from kerasdl.report import stored
from kerasdl.runs import config as configuration
from kerasdl.runs import names
from kerasdl.runs.run import Run


def read(path, scores=None):
    """Reads a run folder into a run document; see `kerasdl.report.html`.

    Args:
        path: The run folder.
        scores: Metrics document, if that file is not written yet.

    Raises:
        ModelFileError: The folder holds no finished run, or a damaged one.
    """
    run = Run(path)
    config = run.config
    defaults = configuration.Config(**{"task": config.task, "model": config.model})
    return {
        "scores": run.metrics if scores is None else scores,
        "image_scores": ImageScores.read(run / names.IMAGE_SCORES),
        "history": run.history,
        "samples": run.samples,
        "config": configuration.as_dict(config),
        "defaults": configuration.as_dict(defaults),
        "environment": run.environment,
        "backend": run.environment["backend"],
        "precision": config.precision,
        "seconds": sum(row["seconds"] for row in run.history),
        # Relative to the parent folder: a page or card may be published without local paths.
        "command": shlex.join(
            [
                "kerasdl",
                "train",
                config.task,
                "--config",
                f"{run.path.resolve().name}/{names.CONFIG}",
            ]
        ),  # fmt: skip
        **stored.read(run.path),
    }
