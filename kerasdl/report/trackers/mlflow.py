"""MLflow: one run on the server of MLFLOW_TRACKING_URI, continued after a resume."""

import logging
import math
import os
import re
import time

from kerasdl.report import runs
from kerasdl.runs import config as configuration
from kerasdl.runs.run import Run

EXPERIMENT = "kerasdl"  # unless MLFLOW_EXPERIMENT_NAME is set


class Tracker:
    """A run of MLflow.

    Args:
        path: The run folder.
        record: What trackers.json says: `id`, the run to continue.
    """

    def __init__(self, path, record):
        # By default the client tries a server that does not answer for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # one warning is enough
        import mlflow

        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient()
        if "id" in record:
            self._id = record["id"]
            self._client.update_run(self._id, status="RUNNING")
        else:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
            found = self._client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else self._client.create_experiment(name)
            made = self._client.create_run(experiment, run_name=path.resolve().name)
            self._id = made.info.run_id
            values = runs.flat(configuration.as_dict(Run(path).config))
            params = [mlflow.entities.Param(key, text) for key, text in values]
            self._client.log_batch(self._id, params=params)
        logged = self._client.get_metric_history(self._id, "epoch")
        self.sent = max((metric.step for metric in logged), default=0)

    def identity(self):
        """The run that a resumed training continues."""
        return {"id": self._id}

    def row(self, row):
        """One epoch."""
        self._metrics(row, row["epoch"])

    def results(self, scores, images, epochs):
        """Scores, figures and images of the finished run."""
        self._metrics({f"test_{name}": value for name, value in scores.items()}, epochs)
        for name, file in images.items():
            self._client.log_artifact(self._id, str(file), os.path.dirname(name))

    def close(self, error):
        """Ends the run with its status."""
        stopped = getattr(error, "exit_code", 1) >= 128
        status = "FINISHED" if error is None else "KILLED" if stopped else "FAILED"
        self._client.set_terminated(self._id, status)

    def _metrics(self, values, step):
        now = int(1000 * time.time())
        metrics = [
            self._entities.Metric(re.sub(r"[^\w\-. :/]", "_", name), value, now, step)
            for name, value in values.items()
            if math.isfinite(value)
        ]
        self._client.log_batch(self._id, metrics=metrics)
