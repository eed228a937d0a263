"""Restores the newest valid checkpoint and repairs the copies made from it."""

import contextlib
import json
import logging
import math
import os
import zipfile

import keras
import numpy

import kerasdl
from kerasdl.core import files
from kerasdl.core.errors import ModelFileError, first_line
from kerasdl.runs import history, modelfile, names
from kerasdl.runs.runfolder import committed, epoch_folder, epoch_number

# Incremented whenever an older kerasdl could misread a state.
STATE_FORMAT = 1

# Everything these callbacks modify during training, as of Keras 3.15; checked by a test.
CALLBACK_FIELDS = {
    "ReduceLROnPlateau": ("best", "wait", "cooldown_counter"),
    "WarmupThenPlateau": ("best", "wait", "cooldown_counter"),
    "EarlyStopping": ("best", "wait", "stopped_epoch", "best_epoch"),
}
STOPPED_BY = (None, "epochs", "early_stopping")

logger = logging.getLogger("kerasdl")


class NewerState(ModelFileError):
    """The state was written by a later kerasdl."""


def load_latest_valid(checkpoints, model, callbacks=(), average=None):
    """Loads the newest valid state into the model and its average, if there is a state.

    Damaged newer states are renamed.

    Args:
        checkpoints: Folder of the committed states.
        model: The compiled model.
        callbacks: Class names of the callbacks whose fields the state must have.
        average: The averaged weights of the model, or None.

    Returns:
        The state, or None if there is none.
    """
    candidates = committed(checkpoints)
    damaged = []
    for candidate in candidates:
        try:
            state = _load(candidate, model, callbacks, average)
            break
        except NewerState:
            raise
        except Exception as error:  # damaged files make zipfile, h5py and Keras raise anything
            damaged.append((candidate, error))
    else:
        if candidates:
            reasons = "; ".join(f"{path.name}: {first_line(error)}" for path, error in damaged)
            raise ModelFileError(
                f"the run has no valid checkpoint ({reasons})",
                checkpoints,
                "start over: --overwrite",
            )
        return None
    for path, error in damaged:
        aside = _free_name(path.with_name(f"damaged-{path.name}"))
        try:
            os.rename(path, aside)
        except OSError as failure:
            raise files.cannot_write(path, failure) from failure
        logger.warning(
            "damaged state: %s (%s; renamed to %s, resuming after epoch %d)",
            path,
            first_line(error),
            aside.name,
            state["epoch"],
        )
    return state


def complete(folder):
    """Whether the newest state is valid and finished, and the copies made from it are up to date.

    Otherwise `load_latest_valid` and `repair` have work to do.

    Raises:
        ModelFileError: A later kerasdl wrote the state.
    """
    if folder.status != "finished":
        return False
    try:
        state = _read_state(committed(folder.checkpoints)[0])
    except NewerState:
        raise
    except ModelFileError:
        return False
    record = _read_best_record(folder) or {}
    return (
        state["best"] is not None
        and record.get("epoch") == state["best"]["epoch"]
        and _history_is(folder, history.Texts().csv(state["rows"]))
    )


def repair(folder, state, model, mode="min"):
    """Updates best.keras, best.json and history.csv if they do not match the state.

    Matching files are not touched. Also call it for a finished run: it may have been killed between
    the last commit and the copies.

    Args:
        folder: The acquired `RunFolder`.
        state: The state to match.
        model: A model of the run; its weights are restored afterwards.
        mode: "min" or "max", the direction of the monitored value.

    Returns:
        The best epoch and its value as a dict, or None.
    """
    write_history(folder, history.Texts().csv(state["rows"]))
    best = state["best"]
    record = _read_best_record(folder)
    if record is not None and record["epoch"] > state["epoch"]:
        # The newest state was damaged and its epoch is trained again; its best model is intact.
        if better(record["value"], best, mode):
            return {"epoch": record["epoch"], "value": record["value"]}
    if best is None or (record is not None and record["epoch"] == best["epoch"]):
        return best
    source = epoch_folder(folder.checkpoints, best["epoch"]) / names.STATE_AVERAGE
    if not source.exists():
        source = source.with_name(names.STATE_MODEL)
    if source.exists():
        with _weights_of(source, model):
            write_best(folder, model, best)
        return best
    if zipfile.is_zipfile(folder.file(names.BEST_MODEL)):
        if record is None:
            _write_best_record(folder, best)
        return best
    logger.warning(
        "the best model (epoch %d) is missing or damaged: %s (the next epoch becomes the best)",
        best["epoch"],
        folder.file(names.BEST_MODEL),
    )
    return None


@contextlib.contextmanager
def _weights_of(path, model):
    """Gives the model the weights of a file within the block. Raises ModelFileError."""
    # Copies: torch would return a view of its memory.
    own = [numpy.array(value) for value in model.get_weights()]
    try:
        modelfile.load_weights(model, path)
        yield
    finally:
        model.set_weights(own)


def write_best(folder, model, best):
    """Writes best.keras, then its record; `repair` handles a kill in between."""
    modelfile.save_inference_model(model, folder.file(names.BEST_MODEL))
    _write_best_record(folder, best)


def write_history(folder, text):
    """history.csv: one header, one row per epoch; rewritten from the state, never appended to."""
    if not _history_is(folder, text):
        folder.write_text(names.HISTORY, text)


def better(value, best, mode):
    """Whether a value is finite and improves on the best so far."""
    if not math.isfinite(value):
        return False
    if best is None:
        return True
    return value < best["value"] if mode == "min" else value > best["value"]


def note_changes(state, replicas=1):
    """Warns about changes after which resuming is not bit-exact."""
    before = state.get("replicas", 1)
    if before != replicas:
        logger.warning("replicas %s -> %s: resuming, but not bit-exactly", before, replicas)
    for name, now in versions().items():
        before = state["versions"].get(name)
        if name != "kerasdl" and before != now:
            logger.warning("%s %s -> %s: resuming, but not bit-exactly", name, before, now)


def versions():
    return {
        "kerasdl": kerasdl.__version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }


def number(value):
    return float(keras.ops.convert_to_numpy(value))


def _load(folder, model, callbacks, average):
    """Reads one state and loads its weights and optimizer; raises if anything is invalid."""
    state = _read_state(folder)
    stored = [entry["class"] for entry in state["callbacks"]]
    if stored != list(callbacks):
        raise ModelFileError(f"the state belongs to other callbacks ({', '.join(stored)})", folder)
    weights = folder / names.STATE_MODEL
    modelfile.check_archive(weights)
    model.load_weights(weights)  # only arrays, including the optimizer's
    iterations = int(number(model.optimizer.iterations))
    if iterations != state["iterations"]:
        # Keras skips an optimizer that does not match and continues with a fresh one.
        raise ModelFileError(
            f"the optimizer is at step {iterations}, the state says {state['iterations']}", folder
        )
    if average is not None:
        with _weights_of(folder / names.STATE_AVERAGE, model):
            average.start(model)
    return state


def _read_state(folder):
    """Content of a state.json with its fields checked."""
    path = folder / names.STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format"] > STATE_FORMAT:
            versions = state.get("versions")
            writer = versions.get("kerasdl") if isinstance(versions, dict) else None
            raise NewerState(
                f"the state was written by kerasdl {writer or 'of a later version'}, "
                f"this is kerasdl {kerasdl.__version__}",
                path,
                "upgrade kerasdl",
            )
        valid = _fits(state, epoch_number(folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"damaged state ({first_line(error)})", path) from error
    if not valid:
        raise ModelFileError("damaged state (inconsistent fields)", path)
    return state


def _fits(state, epoch):
    """Whether a state's fields are consistent; wrong types may raise."""
    best = state["best"]
    return (
        state["epoch"] == epoch
        and [row["epoch"] for row in state["rows"]] == list(range(1, epoch + 1))
        and all(_is_number(value) for row in state["rows"] for value in row.values())
        and (best is None or (type(best["epoch"]) is int and _is_number(best["value"])))
        and state["stopped_by"] in STOPPED_BY
        and type(state["iterations"]) is int
        and all(isinstance(text, str) for text in state["versions"].values())
        and all(_is_kept(entry["class"], entry["fields"]) for entry in state["callbacks"])
    )


def _is_kept(name, fields):
    """Whether these are exactly the fields of a callback; nothing else may be set on it."""
    return set(fields) == set(CALLBACK_FIELDS[name]) and all(
        value is None or _is_number(value) for value in fields.values()
    )


def _is_number(value):
    return type(value) in (int, float)


def _read_best_record(folder):
    """Content of best.json if best.keras matches it, else None."""
    try:
        record = json.loads(folder.file(names.BEST_RECORD).read_text(encoding="utf-8"))
        same = files.sha256(folder.file(names.BEST_MODEL)) == record["sha256"]
        return record if same and {"epoch", "value"} <= set(record) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write_best_record(folder, best):
    digest = files.sha256(folder.file(names.BEST_MODEL))
    folder.write_json(names.BEST_RECORD, {**best, "sha256": digest})


def _history_is(folder, text):
    path = folder.file(names.HISTORY)
    return path.exists() and path.read_bytes() == text.encode()


def _free_name(path):
    """The path, or the first of path-2, path-3, ... that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
