"""The folder of one run: locked by one process, checked against the configuration.

`kerasdl.runs.names` lists its files; `kerasdl.runs.checkpoint` describes the checkpoints.
"""

import contextlib
import json
import logging
import os
import pathlib
import re
import shutil

from kerasdl.core import files
from kerasdl.core.errors import ConfigError, DataError, KerasdlError, WriteError, first_line
from kerasdl.runs import config as configuration
from kerasdl.runs import lock as runlock
from kerasdl.runs import names
from kerasdl.runs.run import Run

# A resumed run may use another backend or other devices; it is then not bit-exact, which is a
# warning, not an error.
NOTED_KEYS = ("backend", "distribute")

# Bytes of a checkpoint per parameter: float32 weight and two optimizer slots (Adam).
CHECKPOINT_BYTES_PER_PARAMETER = 12
# Two checkpoints are kept and a third is being written while the best model is saved.
CHECKPOINTS_NEEDED = 2.5

SIGNAL_CODES = 128  # exit codes from here on are those of signals

logger = logging.getLogger("kerasdl")


class RunFolder:
    """An acquired run folder; a context manager that releases it at its end.

    Attributes:
        path: The folder.
        config: Configuration of this run.
        status: "new" (no finished epoch), "resume", or "finished" (nothing left to train).
        checkpoints: Where `kerasdl.runs.checkpoint` keeps the state of the newest epochs.
    """

    def __init__(self, path, config, lock):
        self.path = pathlib.Path(path)
        self.config = config
        self.checkpoints = self.path / names.CHECKPOINTS
        self.status = training_status(self.checkpoints, config.epochs)
        self._lock = lock

    def file(self, name):
        """Path of a file of this run."""
        return self.path / name

    def write_text(self, name, text):
        """Writes a text file of the run atomically. Raises WriteError."""
        files.write_text(self.path / name, text)

    def write_json(self, name, value):
        """Writes a JSON file of the run atomically. Raises WriteError."""
        self.write_text(name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def require_space(self, num_parameters):
        """Raises WriteError if the disk has no space for checkpoints of a model of that size."""
        needed = CHECKPOINTS_NEEDED * CHECKPOINT_BYTES_PER_PARAMETER * num_parameters
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise WriteError(
                f"not enough space: {needed / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free",
                self.path,
                "free some space, or choose another disk with --out",
            )

    def close(self):
        """Releases the folder for other processes."""
        with contextlib.suppress(OSError):  # it only names the lock's holder
            files.remove(self.path / names.HOLDER)
        self._lock.release()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        # A signal only interrupts a run.
        if isinstance(error, Exception) and getattr(error, "exit_code", 1) < SIGNAL_CODES:
            with contextlib.suppress(KerasdlError):  # the error itself says more
                self.write_json(names.FAILURE, {"error": first_line(error)})
        self.close()


class ReadOnlyRunFolder(RunFolder):
    """The folder of a run that another process has acquired: read, never written."""

    def __init__(self, path, config):
        super().__init__(path, config, lock=None)

    def write_text(self, name, text):
        pass

    def require_space(self, num_parameters):
        pass

    def close(self):
        pass


def acquire(
    path,
    config,
    fingerprint="",
    num_samples=None,
    overwrite=False,
    allow_data_change=False,
    data_path=None,
):
    """Acquires a run folder for this process: creates it, locks it, checks its content.

    Args:
        path: The folder; it and its parents are created if missing.
        config: Configuration of the run; `kerasdl.runs.config.RESUMABLE_KEYS` may differ from the
            stored one, except that the number of epochs may only grow.
        fingerprint: Hash over the data's list of samples.
        num_samples: Mapping of split names to their number of samples, for messages.
        overwrite: Remove the run that is there (only the files kerasdl wrote) and start over.
        allow_data_change: Resume although the data differ from those at the start.
        data_path: Folder of the data, if they are files; the run must not be inside it.

    Returns:
        A `RunFolder`, to be used as a context manager.

    Raises:
        ConfigError: The folder holds another configuration or foreign files, or is inside the data.
        DataError: The data changed since the run was started.
        WriteError: The folder cannot be written or another process uses it.
    """
    path = pathlib.Path(path)
    if data_path is not None and path.resolve().is_relative_to(pathlib.Path(data_path).resolve()):
        raise ConfigError(
            "the output folder is inside the data", path, "choose a folder outside with --out"
        )
    _make(path)
    _refuse_foreign_files(path)
    lock = runlock.acquire(path)
    try:
        if overwrite:
            _clear(path)
        compare_config(path, config)
        data = {"fingerprint": fingerprint, "samples": dict(num_samples or {})}
        if not allow_data_change:
            compare_data(path, **data)
        folder = RunFolder(path, config, lock)
        for name, text in (
            (names.DATA, json.dumps(data, indent=1) + "\n"),
            (names.CONFIG, configuration.dump(config)),
        ):
            # Files that are up to date are not rewritten, so a finished run stays untouched.
            if _read_text(path / name) != text:
                folder.write_text(name, text)
        folder.write_json(names.HOLDER, runlock.holder())
        files.remove(path / names.FAILURE)
    except BaseException:
        lock.release()
        raise
    return folder


def committed(checkpoints):
    """Folders of the committed epochs, newest first, by number, not by time."""
    try:
        found = os.listdir(checkpoints)
    except (FileNotFoundError, NotADirectoryError):
        return []
    numbers = sorted(
        (int(match[1]) for name in found if (match := re.fullmatch(r"epoch-(\d+)", name))),
        reverse=True,
    )
    return [epoch_folder(checkpoints, number) for number in numbers]


def epoch_folder(checkpoints, number):
    """Folder of the state after `number` epochs."""
    return pathlib.Path(checkpoints) / f"epoch-{number:05d}"


def epoch_number(path):
    """Number of finished epochs in the state of that folder: the inverse of `epoch_folder`."""
    return int(pathlib.Path(path).name.removeprefix("epoch-"))


def training_status(checkpoints, epochs):
    """ "new", "resume" or "finished", from the newest committed state."""
    folders = committed(checkpoints)
    if not folders:
        return "new"
    try:
        state = json.loads(_read_text(folders[0] / names.STATE) or "")
        finished = state["stopped_by"] == "early_stopping" or state["epoch"] >= epochs
    except (ValueError, KeyError, TypeError, RecursionError):
        return "resume"  # damaged: decided when the previous one is loaded
    return "finished" if finished else "resume"


def _make(path):
    """Creates the folder and checks that it is writable."""
    if path.exists() and not path.is_dir():
        raise WriteError("the output is a file", path, "choose a folder with --out")
    files.make_folder(path)
    probe = path / (files.TEMPORARY_PREFIX + "probe")
    try:
        probe.write_bytes(b"kerasdl")
        probe.unlink()
    except OSError as error:
        raise files.cannot_write(path, error) from error


def _refuse_foreign_files(path):
    """A folder without a run must be empty except for traces of an interrupted `acquire`."""
    # Many programs have a config.toml; only ours have data.json and checkpoints next to it.
    with_config = (path / names.CONFIG).exists()
    with_data = '"fingerprint"' in (_read_text(path / names.DATA) or "")
    if with_config + with_data + bool(committed(path / names.CHECKPOINTS)) >= 2:
        return
    known = {names.LOCK, f"{names.LOCK}.soft", names.HOLDER, names.DATA}
    foreign = sorted(
        name for name in os.listdir(path) if name not in known and not name.startswith(".")
    )
    if foreign:
        raise ConfigError(
            f"the output folder holds files that do not belong to a run, such as '{foreign[0]}'",
            path,
            "choose an empty or new folder with --out",
        )


def _clear(path):
    """Removes what kerasdl wrote into a run folder, and nothing else."""
    try:
        for name in names.ALL:
            files.remove(path / name)
    except OSError as error:
        raise files.cannot_write(path / name, error) from error


def compare_config(path, config):
    """Raises ConfigError that lists the keys in which the stored configuration differs.

    A missing folder or configuration matches any, and so does a run that never finished an epoch,
    so that a rejected configuration can be corrected.
    """
    path = pathlib.Path(path)
    file = path / names.CONFIG
    if not file.exists():
        if committed(path / names.CHECKPOINTS):
            raise ConfigError(
                "the run's configuration is missing", file, "restore it, or start over: --overwrite"
            )
        return
    try:
        stored = configuration.as_dict(Run(path).config)
    except KerasdlError as error:
        raise ConfigError(
            f"the run's configuration is damaged: {error.what}", file, "start over: --overwrite"
        ) from error
    if not committed(path / names.CHECKPOINTS) and not any(
        (path / name).exists() for name in (names.BEST_MODEL, names.METRICS)
    ):
        return
    differences = []
    for key, value in configuration.as_dict(config).items():
        allowed = key in configuration.RESUMABLE_KEYS or key in NOTED_KEYS
        if value == stored[key] or (allowed and key != "epochs"):
            continue
        if key == "epochs" and value > stored[key] and configuration.can_extend(config):
            _require_weights(path)
            continue
        differences.append(f"{key}: {stored[key]!r} -> {value!r}")
    if differences:
        raise ConfigError(
            f"the folder holds a run with another configuration, {', '.join(differences)}",
            path,
            "start over with --overwrite, or choose another --out",
        )


def _require_weights(path):
    """Raises ConfigError if `clean` removed the weights of the checkpoints."""
    newest = committed(path / names.CHECKPOINTS)[:1]
    if newest and not (newest[0] / names.STATE_MODEL).exists():
        raise ConfigError(
            "the checkpoints of this run were removed, so no epochs can be added",
            path,
            "start over with --overwrite, or train another run with --weights of this one",
        )


def compare_data(path, fingerprint, samples):
    """Raises DataError if a run that has finished epochs was started with other data.

    Args:
        path: The run folder.
        fingerprint, samples: As `fingerprint` and `num_samples` of `acquire`.
    """
    path = pathlib.Path(path)
    try:
        stored = json.loads(_read_text(path / names.DATA) or "")
        same, before = stored["fingerprint"] == fingerprint, dict(stored["samples"])
    except (ValueError, KeyError, TypeError, RecursionError):
        same, before = False, None
    if same or not committed(path / names.CHECKPOINTS):
        return
    if before is None:
        raise DataError(
            "the record of the run's data is missing or damaged",
            path / names.DATA,
            "if the data are the same: --allow-data-change, else start over with --overwrite",
        )
    counts = ", ".join(
        f"{name} {before.get(name, 0)} -> {samples.get(name, 0)}" for name in {**before, **samples}
    )
    raise DataError(
        f"the data changed since this run was started{f', samples: {counts}' if counts else ''}",
        path,
        "resume anyway with --allow-data-change, or start over with --overwrite",
    )


def _read_text(path):
    """Content of a text file, or None if it cannot be read."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
