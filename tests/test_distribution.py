"""Two replicas do what one does: virtual devices on JAX and TensorFlow, processes on torch."""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy
import pytest

import kerasdl
from kerasdl.backend import distribution
from kerasdl.backend.distribution.group import MainProcessFailed
from kerasdl.backend.distribution.together import StopTogether
from kerasdl.backend.signals import StopOnSignal, Stopped
from kerasdl.core.errors import ConfigError, WriteError
from kerasdl.engine import publishing, run
from kerasdl.runs import config, runfolder

HERE = pathlib.Path(__file__).parent
BACKEND = keras.config.backend()
PER_PROCESS = BACKEND == "torch"

# Ignored labels and Dice make the loss more than a mean over images; 9 validation images are
# no multiple of two; batch norm is in every block. Not seed 0: its gradient hangs on rounding (one
# device alone gets losses 1e-5 apart when the images of each batch come in reverse order).
CONFIG = {
    "seed": 1,
    "task": "segmentation",
    "image_size": 16,
    "train_size": 21,
    "validation_size": 9,
    "test_size": 2,
    "batch_size": 8,
    "epochs": 2,
    "loss": "crossentropy+dice",
    "ignore_labels": [0],
    "model_args": {"filters": 2, "depth": 1},
}


def start(job, out):
    """Runs the job on two replicas; the exit codes of its processes, one list per process."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2",
        "OMP_NUM_THREADS": "1",
    }
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *(launch if PER_PROCESS else []), HERE / "distributed_run.py",
         json.dumps(job)],
        env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    files = sorted(out.parent.glob(f"{out.name}-*.txt"))
    assert files, done.stderr
    return [json.loads(path.read_text()) for path in files], done.stderr


def weights(path):
    """Every float array in a `.keras` file, optimizer and statistics included."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        stream = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(stream, "r") as content:
        content.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def rows(path):
    with open(path / "history.csv", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.process
def test_two_replicas_stopped_and_resumed_equal_one(tmp_path, monkeypatch):
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    job = {"out": str(shared), "config": {**CONFIG, "distribute": "data"}}
    if PER_PROCESS:
        codes, messages = start({**job, "stop": [True]}, shared)
        assert codes == [[143], [143]], messages
        assert messages.count(f"error: stopped by SIGTERM: {shared}") == 2
        assert [path.name for path in runfolder.committed(shared / "checkpoints")] == [
            "epoch-00001"
        ]
        codes, messages = start({**job, "stop": [False]}, shared)
        assert codes == [[0], [0]], messages
    else:
        codes, messages = start({**job, "stop": [True, False]}, shared)
        assert codes == [[143, 0]], messages

    # One process that leaves out the sample that two replicas cannot share: the last of a pass.
    monkeypatch.setattr(publishing, "finish", lambda path, *rest: (path / "metrics.json").touch())
    monkeypatch.setattr(distribution.Group, "training", {"replicas": 2})
    run.train(kerasdl.Config(**CONFIG), alone, quiet=True)

    for name in ("checkpoints/epoch-00002/model.keras", "best.keras"):
        expected, received = weights(alone / name), weights(shared / name)
        assert received.keys() == expected.keys()
        for key, value in expected.items():
            numpy.testing.assert_allclose(received[key], value, rtol=1e-4, atol=1e-5, err_msg=key)
    assert any("moving" in key or "vars/3" in key for key in expected)
    for expected, received in zip(rows(alone), rows(shared), strict=True):
        for name in ("loss", "val_mean_iou", "val_pixel_accuracy", "learning_rate"):
            assert float(received[name]) == pytest.approx(float(expected[name]), rel=1e-4), name
        # A mean of batch means: the last validation batch is cut elsewhere on two of the engines.
        assert float(received["val_loss"]) == pytest.approx(
            float(expected["val_loss"]), rel=1e-4 if BACKEND == "jax" else 2e-2
        )

    names = {str(path.relative_to(shared)) for path in shared.rglob("*") if path.is_file()}
    assert names == {str(path.relative_to(alone)) for path in alone.rglob("*") if path.is_file()}
    environment = json.loads((shared / "environment.json").read_text())
    assert (environment["replicas"], environment["processes"]) == (2, 2 if PER_PROCESS else 1)


class Pair(distribution.Group):
    """Two processes of which the other one always says `other`."""

    replicas = processes = 2

    def __init__(self, rank=0, other=()):
        self.rank = rank
        self.other = other

    def sum(self, numbers):
        return [a + b for a, b in zip(numbers, self.other, strict=True)]


def test_the_failure_of_the_process_that_writes_is_that_of_all():
    def fail():
        raise WriteError("disk full")

    with pytest.raises(WriteError, match="disk full"):
        Pair(0, [0]).run_on_main(fail)
    with pytest.raises(MainProcessFailed, match="process 0 ended with exit code 6") as caught:
        Pair(1, [6]).run_on_main(fail)
    assert caught.value.exit_code == 6
    assert Pair(0, [0]).run_on_main(lambda: "made") == "made"
    assert Pair(1, [0]).run_on_main(lambda: "made") is None
    assert Pair(1, [0]).main_first(lambda: "own") == "own"


def test_processes_with_another_run_folder_are_refused():
    with pytest.raises(ConfigError, match="do not have the same run folder"):
        Same(0).require_same(1, [numpy.ones(2)], "same")
    with pytest.raises(ConfigError, match="do not have the same first weights"):
        Same(1).require_same(0, [numpy.full(2, 0.9)], "same")


class Same(Pair):
    """The other process is at epoch 0 and holds the weights 1, 1; `asked` counts what it told."""

    def __init__(self, rank):
        super().__init__(rank)
        self.asked = 0

    def sum(self, numbers):
        self.asked += 1
        theirs = (numbers[0], 0, 2.0)[self.asked - 1]
        return [numbers[0] + theirs]


def test_a_signal_or_a_bad_loss_of_one_process_reaches_the_other():
    stop = StopOnSignal("runs/a")
    logs = {"loss": 1.0}
    StopTogether(Pair(other=[3.0, 0, 0]), stop).on_train_batch_end(0, logs)
    assert logs == {"loss": 2.0}
    StopTogether(Pair(other=[float("nan"), 0, 0]), stop).on_train_batch_end(0, logs)
    assert numpy.isnan(logs["loss"])
    with pytest.raises(Stopped, match="stopped by SIGTERM: runs/a") as caught:
        StopTogether(Pair(other=[0, 0, 1]), stop).on_test_batch_end(0)
    assert caught.value.exit_code == 143


def test_a_followed_folder_is_never_written(tmp_path):
    folder = runfolder.ReadOnlyRunFolder(tmp_path / "run", config.Config(**{"epochs": 2}))
    with folder:
        folder.write_json("environment.json", {})
        folder.require_space(10**15)
    assert folder.status == "new"
    assert list(tmp_path.iterdir()) == []


def test_torchrun_without_distribute_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="torchrun started 2 processes.*add --distribute data"):
        with distribution.start("none", "torch"):
            pass


@pytest.mark.parametrize(
    ("backend", "variables", "message"),
    [
        ("torch", {"RANK": None}, "needs one process per device .torchrun --nproc-per-node"),
        ("jax", {"JAX_NUM_PROCESSES": "2"}, "must all be set"),
        ("tensorflow", {"TF_CONFIG": "worker"}, "TF_CONFIG is not the JSON"),
    ],
)
def test_wrong_environments_are_refused(backend, variables, message, monkeypatch):
    if backend != BACKEND:
        pytest.skip("another backend")
    for name, value in variables.items():
        monkeypatch.delenv(name, False) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        with distribution.start("data", backend):
            pass


def test_a_batch_that_devices_cannot_share_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(distribution.Group, "training", {"replicas": 3})
    with pytest.raises(ConfigError, match="3 devices cannot share a batch of 8 equally.*such as 9"):
        run.train(kerasdl.Config(**CONFIG), tmp_path / "run", quiet=True)
    with pytest.raises(ConfigError, match="unknown distribute 'model'"):
        kerasdl.Config(distribute="model")
