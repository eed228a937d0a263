"""Weights & Biases: one run, offline where there is no API key, continued after a resume."""

import logging
import os
import uuid

from kerasdl.runs import config as configuration
from kerasdl.runs.run import Run

PROJECT = "kerasdl"  # unless WANDB_PROJECT is set

logger = logging.getLogger("kerasdl")


class Tracker:
    """A run of Weights & Biases.

    Args:
        path: The run folder; files of an offline run go into its folder `wandb`.
        record: What trackers.json says: `id`, the run to continue, and its number of `epochs`.
    """

    def __init__(self, path, record):
        import wandb

        self._image = wandb.Image
        self._id = record.get("id") or uuid.uuid4().hex[:8]
        mode = os.environ.get("WANDB_MODE")
        if mode is None and not wandb.login(prompt=False):
            mode = "offline"
            logger.info("wandb: no API key; upload later with: wandb sync %s", path / "wandb")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=path.resolve().name,
            id=self._id,
            resume="allow",
            mode=mode,
            dir=str(path),
            config=configuration.as_dict(Run(path).config),
            settings=wandb.Settings(console="off", silent=True, init_timeout=30),
        )
        self.sent = record.get("epochs", 0)

    def identity(self):
        """The run that a resumed training continues."""
        return {"id": self._id}

    def row(self, row):
        """One epoch."""
        self._run.log(row, step=row["epoch"])

    def results(self, scores, images, epochs):
        """Scores, figures and images of the finished run."""
        self._run.summary.update({f"test/{name}": value for name, value in scores.items()})
        shown = {name: self._image(str(file)) for name, file in images.items()}
        self._run.log(shown, step=epochs)

    def close(self, error):
        """Ends the run."""
        self._run.finish(exit_code=0 if error is None else 1)
