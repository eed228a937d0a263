"""Experiment trackers: what a run folder holds, sent to TensorBoard, MLflow or Weights & Biases.

A module of this package has one class, `Tracker`, for one tracker. It is imported when a
configuration asks for it. trackers.json in the run folder says what each tracker has been sent, so
that nothing is sent twice after a resume.
"""

import importlib
import importlib.util
import json
import logging
import pathlib

from kerasdl.core import files
from kerasdl.core.errors import ConfigError, KerasdlError, first_line
from kerasdl.runs import names
from kerasdl.runs.run import Run

logger = logging.getLogger("kerasdl")


def require(trackers):
    """Raises ConfigError naming the first package that is missing, and how to install it."""
    for name in trackers:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"--log {name} needs the package {name}", fix=f"pip install 'kerasdl[{name}]'"
            )


class Session:
    """The trackers of one training; a context manager. Their failures are warnings.

    Args:
        path: The run folder.
        trackers: Their names; none is opened before there is something to send.
    """

    def __init__(self, path, trackers=()):
        self.path = pathlib.Path(path)
        self._sent = _read(self.path)
        self._waiting = list(trackers)
        self._open = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for name in list(self._open):
            self._attempt(name, lambda tracker: tracker.close(error))

    def rows(self, rows):
        """Sends the epochs that have not been sent yet; call it after their commit.

        Args:
            rows: All rows of the history so far.
        """
        self._start(rows)
        for name in list(self._open):
            self._attempt(name, lambda tracker: self._send(tracker, rows))

    def results(self):
        """Sends the scores, figures and images of the finished run, unless that was done."""
        self._waiting = [each for each in self._waiting if not self._record(each).get("results")]
        if not (self._waiting or self._open):
            return
        run = Run(self.path)
        if self._waiting:
            self.rows(run.history)
        images = sorted((self.path / names.FIGURES).rglob("*.png"))
        named = {str(each.relative_to(self.path).with_suffix("")): each for each in images}
        scores = {name: each for name, each in run.scores.items() if each is not None}
        for name in list(self._open):
            self._attempt(name, lambda tracker: tracker.results(scores, named, len(run.history)))
            if name in self._open:
                self._note(name, results=True)

    def _start(self, rows):
        waiting, self._waiting = self._waiting, []
        for name in waiting:
            try:
                module = importlib.import_module(f"kerasdl.report.trackers.{name}")
                self._open[name] = module.Tracker(self.path, self._record(name))
                self._note(name, **self._open[name].identity())
            except Exception as error:
                self._give_up(name, error)

    def _send(self, tracker, rows):
        for row in rows[tracker.sent :]:
            tracker.row(row)
        tracker.sent = len(rows)

    def _attempt(self, name, action):
        tracker = self._open[name]
        try:
            action(tracker)
            self._note(name, epochs=tracker.sent)
        except Exception as error:  # those of another project, down to its network
            self._give_up(name, error)

    def _give_up(self, name, error):
        self._open.pop(name, None)
        logger.warning("%s failed, training continues without it: %s", name, first_line(error))

    def _record(self, name):
        return self._sent.setdefault(name, {})

    def _note(self, name, **values):
        record = self._record(name)
        if any(record.get(key) != value for key, value in values.items()):
            record |= values
            try:
                files.write_json(self.path / names.TRACKERS, self._sent)
            except KerasdlError as error:
                logger.warning("%s", error)


def _read(path):
    """What has been sent, by tracker; a damaged record counts as none."""
    try:
        found = json.loads((path / names.TRACKERS).read_text(encoding="utf-8"))
        return {name: dict(record) for name, record in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
