"""Real kills of real processes: the survivor equals a run that was never interrupted."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.process, pytest.mark.backend]

HERE = pathlib.Path(__file__).parent

# One run suffers all of it, one life after the other: (place, exit code, workers). The number of
# workers changes on the way, because no batch may depend on it.
CHAIN = (
    ("best:1", -9, 2),  # before best.keras is replaced: the first one is still missing
    ("batch:2:3", -9, 2),  # in the middle of an epoch
    ("best-record:2", -9, 2),  # best.keras is new, best.json still old
    ("folder:4", -9, 1),  # the temporary folder is made
    ("model:4", -9, 3),  # the model is written, the state is not
    ("rename:4", -9, 2),  # all is written, nothing is committed
    ("renamed:4", -9, 2),  # committed, but history and best model not yet copied
    ("term:5:2", 143, 2),
    ("int:5:1", 130, 1),
    ("twice:5:2", -15, 2),  # the second signal does not wait for the batch
)


def run(lives, cache):
    """Runs toy_run.py in a fresh interpreter; returns the exit codes and its stderr."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
        "JAX_COMPILATION_CACHE_DIR": str(cache),  # the lives compile the same programs
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "toy_run.py"), json.dumps(lives)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="lives are forked")
def test_a_run_killed_again_and_again_equals_an_uninterrupted_one(tmp_path):
    import toy_run

    whole, killed = tmp_path / "whole", tmp_path / "killed, 'ä'"
    lives = [{"out": str(killed), "kill": place, "workers": n} for place, _, n in CHAIN]
    codes, messages = run([{"out": str(whole)}, *lives], tmp_path / "cache")
    assert codes == [0, *(code for _, code, _ in CHAIN)], messages
    stopped = [line for line in messages.splitlines() if line.startswith("error: ")]
    assert stopped == [
        f"error: stopped by SIGTERM: {killed} (repeat the command to resume)",
        f"error: stopped by SIGINT: {killed} (repeat the command to resume)",
    ]

    # The newest state is cut to half; the last life is a process that shares nothing with the
    # ones before, and it finds the one before the newest.
    newest = killed / "checkpoints" / "epoch-00004" / "model.keras"
    os.truncate(newest, newest.stat().st_size // 2)
    codes, messages = run([{"out": str(killed)}], tmp_path / "cache")
    assert codes == [0], messages
    assert "damaged state" in messages and "resuming after epoch 3" in messages
    assert (killed / "checkpoints" / "damaged-epoch-00004").is_dir()

    expected, received = toy_run.outcome(whole), toy_run.outcome(killed)
    for part in expected:
        assert received[part] == expected[part], part
    assert received["leftovers"] == []
    # The callbacks had something to forget: the rate was lowered, and the counters have moved.
    assert len({row["learning_rate"] for row in received["rows"]}) > 1
    assert any(stored["fields"]["wait"] for stored in received["state"]["callbacks"])
