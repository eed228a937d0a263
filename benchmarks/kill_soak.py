"""Kills a training run at random moments until it is finished; compares it with an undisturbed one.

    KERAS_BACKEND=jax python benchmarks/kill_soak.py --kills 50
    KERAS_BACKEND=jax python benchmarks/kill_soak.py --kills 15 --command

Each life is a process that gets SIGKILL after a random time, wherever it is: at its start, in an
epoch, in a save, in the report. When a run is finished, a new one starts in another folder. "Lost"
are kills after which the run would not resume, had fewer finished epochs than before, or ended
differently from the undisturbed run (weights, optimizer, history, callbacks, best model, scores:
bit by bit).

A life is a fork that trains the toy run of tests/toy_run.py, or with `--command` a fresh
interpreter that runs `kerasdl train segmentation` with augmentation, two workers, plateau and early
stopping.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

# All lives compile the same programs.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp())
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import toy_run  # noqa: E402

from kerasdl import backend  # noqa: E402
from kerasdl.runs import runfolder  # noqa: E402

HANGS = 1200  # seconds after which a life without a commit counts as lost
COMMAND = (
    "train segmentation --image-size 32 --batch-size 8 --learning-rate 0.5 --set train_size=44 "
    "--set validation_size=10 --set test_size=10 --set model_args.filters=4 "
    "--set model_args.depth=2 --set workers=2 --set plateau_patience=1 --set plateau_factor=0.5 "
    "--set early_stopping_patience=2"
)


class Toy:
    """The toy run, forked: Keras is imported, but has not computed anything yet."""

    epochs = 40

    def start(self, out, resume):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                toy_run.train(out, epochs=self.epochs)
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        return child

    def outcome(self, out):
        return toy_run.outcome(out)


class Command:
    """The user's command, in its own interpreter."""

    epochs = 15

    def start(self, out, resume):
        words = [sys.executable, "-m", "kerasdl", *COMMAND.split(), "--epochs", str(self.epochs)]
        if resume:
            words = [sys.executable, "-m", "kerasdl", "train", "segmentation", "--resume", str(out)]
        else:
            words += ["--out", str(out)]
        log = os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return os.posix_spawn(
                sys.executable,
                words,
                {**os.environ, "PYTHONPATH": str(ROOT)},
                file_actions=[(os.POSIX_SPAWN_DUP2, log, number) for number in (1, 2)],
            )
        finally:
            os.close(log)

    def outcome(self, out):
        scores = json.loads((out / "metrics.json").read_text())
        return {**toy_run.outcome(out), "scores": scores}


def finished_epochs(out):
    folders = runfolder.committed(out / "checkpoints")
    return int(folders[0].name.removeprefix("epoch-")) if folders else 0


def trained(out, epochs):
    return runfolder.training_status(out / "checkpoints", epochs) == "finished"


def code_of(child, patience=HANGS):
    """Exit code of a life, or None if it is still running after so many seconds."""
    end = time.monotonic() + patience
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def next_commit(out, child, epoch):
    """Seconds until more than `epoch` epochs are committed, or until the life has ended."""
    began = time.monotonic()
    while finished_epochs(out) <= epoch and time.monotonic() - began < HANGS:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.002)
    return time.monotonic() - began


def kill(child):
    """Kills a life that has not ended on its own; returns its exit code."""
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def leave_alone(kind, out):
    """Lets a run finish; returns seconds until its first commit, per epoch, at the end."""
    child = kind.start(out, resume=False)
    start_up = next_commit(out, child, 0)
    began = now = time.monotonic()
    while not trained(out, kind.epochs):
        next_commit(out, child, finished_epochs(out))
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        now = time.monotonic()
    if code_of(child) != 0:
        raise SystemExit(f"the undisturbed run failed: see {out}.log")
    per_epoch = (now - began) / max(1, finished_epochs(out) - 1)
    return start_up, per_epoch, time.monotonic() - now


def place_of(kind, out, before):
    """Where a kill hit, as far as the folder shows."""
    if any((out / "checkpoints").glob(".tmp-*")):
        return "save"
    if trained(out, kind.epochs):
        return "end"
    return "training" if finished_epochs(out) > before else "start"


def soak(kind, kills, generator, folder):
    """Kills runs; returns the kills per place, the number of runs and what was lost."""
    whole = folder / "whole"
    start_up, per_epoch, at_the_end = leave_alone(kind, whole)
    expected = kind.outcome(whole)
    lost, places, runs, done = [], dict.fromkeys(("start", "training", "save", "end"), 0), 0, 0
    while done < kills:
        runs += 1
        out = folder / f"killed, {runs}"
        while True:
            before = finished_epochs(out)
            child = kind.start(out, resume=before and generator.random() < 0.5)
            if done == kills:
                code = code_of(child)
            elif generator.random() < 0.3:
                code = code_of(child, start_up * generator.uniform(0.2, 1.0))
            else:
                # Measured from a commit, so that a run makes progress even on a busy machine.
                start_up = next_commit(out, child, before)
                pause = at_the_end if trained(out, kind.epochs) else 3 * per_epoch
                code = code_of(child, pause * generator.uniform(0, 1))
            hangs = code is None and (done == kills or start_up >= HANGS)
            if code is None:
                code = kill(child)
            after = finished_epochs(out)
            if code == 0:
                break
            done += code == -signal.SIGKILL
            if code != -signal.SIGKILL or hangs or after < before:
                what = "hangs" if hangs else f"exit code {code}"
                lost.append(f"run {runs}: {what}, epoch {before} -> {after}")
                break
            place = place_of(kind, out, before)
            places[place] += 1
            if sys.stderr.isatty():
                sys.stderr.write(f"\rkill {done}: {place}, epoch {after}   ")
        if code == 0:
            received = kind.outcome(out)
            lost += [
                f"run {runs}: {part} differs"
                for part in expected
                if received[part] != expected[part]
            ]
    return places, runs, lost, len(expected["rows"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--command", action="store_true", help="kerasdl train, not the toy")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kind = Command() if options.command else Toy()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        places, runs, lost, epochs = soak(
            kind, options.kills, random.Random(options.seed), pathlib.Path(folder)
        )
    environment = backend.environment()
    versions = [f"{name} {version}" for name, version in environment["versions"].items()]
    where = ", ".join(f"{count} in the {place}" for place, count in places.items() if count)
    print(f"{environment['system']}, Python {environment['python']}, {', '.join(versions)}")
    print(f"{type(kind).__name__.lower()}: kerasdl {COMMAND}" if options.command else "toy run")
    print(
        f"{environment['backend']}: {options.kills} kills ({where}), {runs} runs of {epochs} "
        f"epochs, {options.kills - len(lost)} survived, {len(lost)} lost, "
        f"{time.monotonic() - began:.0f} s"
    )
    for line in lost:
        print(line)
    raise SystemExit(1 if lost else 0)


if __name__ == "__main__":
    main()
