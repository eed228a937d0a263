"""Trackers: what they are sent, nothing twice, and that no failure stops a training."""

import glob
import json
import sys
import types

import pytest
from report_fixtures import history_rows, image, run_folder

from kerasdl.core.errors import ConfigError
from kerasdl.report import canvas, trackers
from kerasdl.runs import config as configuration
from kerasdl.runs import names

ROWS = [{**row, "seconds": 1.5} for row in history_rows("mean_iou", epochs=4)]


@pytest.fixture
def run(tmp_path):
    """A finished run of six epochs with one figure."""
    config = configuration.Config(**{"task": "segmentation", "image_size": 8, "epochs": 6})
    path = run_folder(tmp_path / "run", config, {"mean_iou": 0.25, "iou/sky": None})
    (path / names.FIGURES).mkdir(exist_ok=True)
    (path / names.FIGURES / "curves.png").write_bytes(canvas.image_png(image()))
    return path


class Recorder:
    """Stands for a tracker: keeps what it is sent; a `record` makes it go on."""

    made = []

    def __init__(self, path, record):
        self.sent = record.get("epochs", 0)
        self.epochs, self.found, self.ended = [], None, None
        Recorder.made.append(self)

    def identity(self):
        return {"id": "a"}

    def row(self, row):
        self.epochs.append(row["epoch"])

    def results(self, scores, images, epochs):
        self.found = (scores, list(images), epochs)

    def close(self, error):
        self.ended = error


@pytest.fixture
def recorders(monkeypatch):
    monkeypatch.setattr(Recorder, "made", [])
    module = types.SimpleNamespace(Tracker=Recorder)
    monkeypatch.setitem(sys.modules, "kerasdl.report.trackers.wandb", module)
    return Recorder.made


def test_nothing_is_sent_twice_after_a_resume(run, recorders):
    stop = RuntimeError("killed")
    with pytest.raises(RuntimeError), trackers.Session(run, ["wandb"]) as session:
        session.rows(ROWS[:2])
        raise stop
    with trackers.Session(run, ["wandb"]) as session:
        session.rows(ROWS[:3])
        session.rows(ROWS)
        session.results()
    first, second = recorders
    assert (first.epochs, second.epochs) == ([1, 2], [3, 4])
    assert (first.ended, second.ended) == (stop, None)
    # A score that could not be measured is left out.
    scores, images, epochs = second.found
    assert (scores, epochs) == ({"mean_iou": 0.25}, 6)
    assert "figures/curves" in images
    with trackers.Session(run, ["wandb"]) as session:
        session.results()
    assert len(recorders) == 2


def test_a_finished_run_can_be_sent_later(run, recorders):
    with trackers.Session(run, ["wandb"]) as session:
        session.results()
    assert recorders[0].epochs == [1, 2, 3, 4, 5, 6]
    record = json.loads((run / names.TRACKERS).read_text())["wandb"]
    assert record == {"id": "a", "epochs": 6, "results": True}


@pytest.mark.parametrize("method", ["__init__", "row", "results", "close"])
def test_a_failure_is_one_warning(run, recorders, monkeypatch, caplog, method):
    def fail(*arguments):
        raise ConnectionError("no route to host\nsecond line")

    monkeypatch.setattr(Recorder, method, fail)
    with trackers.Session(run, ["wandb"]) as session:
        session.rows(ROWS[:1])
        session.rows(ROWS)
        session.results()
    assert [record.getMessage() for record in caplog.records] == [
        "wandb failed, training continues without it: no route to host"
    ]


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs the package mlflow \(pip install 'kerasdl\[mlf"):
        trackers.require(["mlflow"])


def test_every_choice_of_the_key_has_a_module():
    folder = trackers.__path__[0]
    modules = {path.rpartition("/")[2][:-3] for path in glob.glob(f"{folder}/*.py")}
    assert modules - {"__init__"} == set(configuration.LOGS)


def test_event_files_hold_each_epoch_once_without_tensorflow(run):
    pytest.importorskip("tensorboard")
    loaded = "tensorflow" in sys.modules
    for rows in (ROWS[:2], ROWS):
        with trackers.Session(run, ["tensorboard"]) as session:
            session.rows(rows)
    with trackers.Session(run, ["tensorboard"]) as session:
        session.results()
    assert ("tensorflow" in sys.modules) == loaded
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = {}
    for kind in ("train", "validation", "test"):
        (file,) = glob.glob(f"{run}/tensorboard/{kind}/*")
        for event in EventFileLoader(file).Load():
            for value in event.summary.value:
                found.setdefault((kind, value.tag), []).append((event.step, value))
    assert [step for step, _ in found["train", "loss"]] == [1, 2, 3, 4, 5, 6]
    third = found["validation", "mean_iou"][2][1]
    assert (third.simple_value or third.tensor.float_val[0]) == pytest.approx(0.55)
    assert ("train", "configuration") in found
    assert found["test", "figures/curves"][0][0] == 6
    assert ("test", "iou/sky") not in found


def resumed_and_finished(path, name):
    """Sends two epochs, is killed, goes on to the end and sends the results."""
    with pytest.raises(RuntimeError), trackers.Session(path, [name]) as session:
        session.rows(ROWS[:2])
        raise RuntimeError("killed")
    with trackers.Session(path, [name]) as session:
        session.rows(ROWS)
        session.results()


def test_an_mlflow_run_is_continued_with_each_epoch_once(run, tmp_path, monkeypatch):
    """In files, as MLflow wrote them before it had servers: no server, no network."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    resumed_and_finished(run, "mlflow")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("kerasdl").experiment_id
    (found,) = client.search_runs([experiment])
    assert found.info.status == "FINISHED" and found.info.run_name == "run"
    losses = client.get_metric_history(found.info.run_id, "val_loss")
    assert [(each.step, each.value) for each in losses] == [
        (row["epoch"], pytest.approx(row["val_loss"])) for row in ROWS
    ]
    scores = client.get_metric_history(found.info.run_id, "test_mean_iou")
    assert [(each.step, each.value) for each in scores] == [(6, 0.25)]
    assert found.data.params["task"] == "segmentation" and found.data.params["epochs"] == "6"
    figures = {each.path for each in client.list_artifacts(found.info.run_id, "figures")}
    assert "figures/curves.png" in figures


def wandb_records(path):
    """The records of an offline run: a log in LevelDB's format, blocks of 32 KiB after a header."""
    from wandb.proto import wandb_internal_pb2

    data, place, whole = path.read_bytes(), 7, b""
    while place < len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        size, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or its last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def test_an_offline_wandb_run_is_continued_with_each_epoch_once(run, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_X_DISABLE_STATS", "WANDB_X_DISABLE_META", "WANDB_DISABLE_GIT"):
        monkeypatch.setenv(name, "true")  # faster
    resumed_and_finished(run, "wandb")
    wandb.teardown()  # as at the end of a process: a service writes the files
    rows, ids, keys, summary = [], set(), set(), {}
    for file in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        for record in wandb_records(file):
            if record.HasField("history"):
                items = {"/".join(each.nested_key) or each.key: json.loads(each.value_json)
                         for each in record.history.item}  # fmt: skip
                rows += [items] if "val_loss" in items else []
            elif record.HasField("run"):
                ids.add(record.run.run_id)
                keys |= {each.key for each in record.run.config.update}
            elif record.HasField("summary"):
                summary |= {"/".join(each.nested_key) or each.key: each.value_json
                            for each in record.summary.update}  # fmt: skip
    assert [(row["epoch"], row["val_loss"]) for row in rows] == [
        (row["epoch"], pytest.approx(row["val_loss"])) for row in ROWS
    ]
    assert ids == {json.loads((run / names.TRACKERS).read_text())["wandb"]["id"]}
    assert {"task", "epochs", "learning_rate"} <= keys
    assert summary["test/mean_iou"] == "0.25"
    assert list(run.glob("wandb/offline-run-*/files/media/images/figures/curves*.png"))
