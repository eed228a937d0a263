"""Kills a training run at random moments until it is finished, and compares it with one left alone.

    KERAS_BACKEND=jax python benchmarks/kill_soak.py --kills 50

Each life is a process of its own that gets SIGKILL after a random time, wherever it is: in an
epoch, in a save, in the start. The run starts anew, in another folder, whenever it has come to its
end. "Lost" are kills after which the run would not go on, had fewer finished epochs than before,
or ended otherwise than the run left alone (weights, optimizer, history, callbacks, best model: bit
by bit).
"""

import argparse
import faulthandler
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent.parent / name) for name in ("tests", ".")]

# The lives compile the same programs over and over.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp())
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import keras  # noqa: E402
import toy_run  # noqa: E402

from kerasdl import runfolder  # noqa: E402

HANGS = 1200  # seconds after which a life without a commit counts as lost


def start(out, epochs):
    """Forks one life; Keras is imported, but has not computed anything yet."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            toy_run.train(out, epochs=epochs)
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def finished_epochs(out):
    folders = runfolder.committed(out / "state")
    return int(folders[0].name.removeprefix("epoch-")) if folders else 0


def code_of(child, patience=HANGS):
    """Exit code of a life, or None if it is still going after so many seconds."""
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
    """Kills a life that has not ended by itself; returns its exit code."""
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # tells where a life hangs
    began = time.monotonic()

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        whole = folder / "whole"
        child = start(whole, options.epochs)
        start_up = next_commit(whole, child, 0)
        commits_began = time.monotonic()
        if code_of(child) != 0:
            raise SystemExit("the run left alone failed")
        per_epoch = (time.monotonic() - commits_began) / max(1, finished_epochs(whole) - 1)
        expected = toy_run.outcome(whole)

        lost, places, runs = [], {"start": 0, "training": 0, "save": 0}, 0
        kills = 0
        while kills < options.kills:
            runs += 1
            out = folder / f"killed-{runs}"
            while True:
                before = finished_epochs(out)
                child = start(out, options.epochs)
                if kills == options.kills:
                    code = code_of(child)
                elif generator.random() < 0.3:
                    code = code_of(child, start_up * generator.uniform(0.2, 1.0))
                else:
                    # Measured from a commit, so that a busy machine cannot keep a run from
                    # going on.
                    start_up = next_commit(out, child, before)
                    code = code_of(child, per_epoch * generator.uniform(0, 3))
                hangs = code is None and (kills == options.kills or start_up >= HANGS)
                if code is None:
                    code = kill(child)
                after = finished_epochs(out)
                if code == 0:
                    break
                kills += code == -signal.SIGKILL
                if code != -signal.SIGKILL or hangs or after < before:
                    what = "hangs" if hangs else f"exit code {code}"
                    lost.append(f"run {runs}: {what}, epoch {before} -> {after}")
                    break
                saving = any((out / "state").glob(".tmp-*"))
                place = "save" if saving else "training" if after > before else "start"
                places[place] += 1
                sys.stdout.write(f"\rkill {kills}: {place}, epoch {after}   ")
                sys.stdout.flush()
            if code == 0:
                received = toy_run.outcome(out)
                lost += [
                    f"run {runs}: {part} differs"
                    for part in expected
                    if received[part] != expected[part]
                ]

    where = ", ".join(f"{count} in the {place}" for place, count in places.items())
    sys.stdout.write(
        f"\r{keras.config.backend()}: {kills} kills ({where}), {runs} runs of up to "
        f"{options.epochs} epochs, {kills - len(lost)} survived, {len(lost)} lost, "
        f"{time.monotonic() - began:.0f} s\n"
    )
    for line in lost:
        sys.stdout.write(line + "\n")
    raise SystemExit(1 if lost else 0)


if __name__ == "__main__":
    main()
