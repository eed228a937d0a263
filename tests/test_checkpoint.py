"""The run state, driven by hand: `fit` is only simulated, except in the last tests."""

import contextlib
import copy
import errno
import json
import logging
import math
import os
import shutil
import zipfile

import keras
import numpy
import pytest

from kerasdl.backend import signals
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, ModelFileError, TrainingFailed, WriteError
from kerasdl.engine.callbacks import StopOnBadLoss
from kerasdl.runs import checkpoint, config, modelfile, runfolder
from kerasdl.runs import restore as resume

LOSSES = (3.0, 1.5, 2.0, 1.75)  # of epoch 1, 2, ...: the second one is best


def build():
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Dropout(0.5, seed=1)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="logits")(x), name="toy")
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "mse")
    return model


def plateau(**options):
    return keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=2, mode="min", **options)


class Run:
    """One life of a run: a claimed folder, a model and its state."""

    def __init__(self, path, epochs=20, **options):
        self.folder = runfolder.acquire(path, config.Config(**{"epochs": epochs}), "data")
        self.model = build()
        self.state = checkpoint.RunState(self.folder, seed=5, **options)
        self.state.set_model(self.model)
        self.state.set_params({"epochs": epochs})

    def __enter__(self):
        self.first = self.state.restore(self.model)
        return self

    def __exit__(self, *exception):
        self.folder.close()

    def train(self, losses, stop=False):
        """Pretends to train: each epoch's weights are its number."""
        self.state.on_train_begin()
        for epoch, loss in enumerate(losses, len(self.state.rows)):
            self.state.on_epoch_begin(epoch)
            self.model.set_weights(
                [numpy.full(w.shape, epoch + 1) for w in self.model.get_weights()]
            )
            self.model.optimizer.iterations.assign(10 * (epoch + 1))
            logs = {"loss": 9.0, "val_loss": loss}
            for callback in self.state.callbacks:
                callback.set_model(self.model)
                callback.on_epoch_end(epoch, logs)
            self.model.stop_training = stop
            self.state.on_epoch_end(epoch, logs)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder after four epochs; tests work on copies."""
    path = tmp_path_factory.mktemp("trained") / "run"
    with Run(path) as run:
        run.train(LOSSES)
    return path


@pytest.fixture
def copied(trained, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(trained, path)
    return path


def weights_of(path):
    """The number of the epoch that a saved model belongs to."""
    layers = modelfile.read_weights(path).values()
    return {int(value) for arrays in layers for array in arrays for value in array.ravel()}


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change_state(folder, **values):
    path = folder / "state.json"
    state = json.loads(path.read_text())
    state.update(values)
    path.write_text(json.dumps(state))


SETS_A_METHOD = {"class": "EarlyStopping", "fields": {"on_epoch_end": 1}}
OTHER_CALLBACK = {
    "class": "ReduceLROnPlateau",
    "fields": {"best": 1.5, "wait": 0, "cooldown_counter": 0},
}


def test_what_four_epochs_leave(trained):
    names = sorted(os.listdir(trained))
    assert (
        names == "best.json best.keras checkpoints config.toml data.json history.csv lock".split()
    )
    assert sorted(os.listdir(trained / "checkpoints")) == ["epoch-00003", "epoch-00004"]
    assert sorted(os.listdir(trained / "checkpoints" / "epoch-00004")) == [
        "model.keras",
        "state.json",
    ]
    lines = (trained / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,seconds,learning_rate,loss,val_loss"
    rows = [line.split(",") for line in lines[1:]]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert [row[2] for row in rows] == ["0.5"] * 4
    assert [float(row[4]) for row in rows] == list(LOSSES)
    record = json.loads((trained / "best.json").read_text())
    assert record == {
        "epoch": 2,
        "value": 1.5,
        "sha256": files.sha256(trained / "best.keras"),
    }
    assert weights_of(trained / "best.keras") == {2}


def test_best_opens_in_plain_keras_without_an_optimizer(trained):
    assert not keras.saving.load_model(trained / "best.keras").compiled
    with zipfile.ZipFile(trained / "best.keras") as archive:
        assert sorted(archive.namelist()) == sorted(modelfile.MEMBERS)


def test_resume_gives_back_epoch_weights_optimizer_and_rows(copied):
    shutil.copytree(copied / "checkpoints" / "epoch-00003", copied / "checkpoints" / ".tmp-00005")
    asked = []
    with Run(copied, set_epoch=asked.append) as run:
        assert run.first == 4
        assert asked == [4]  # Keras reads a batch before the first epoch begins
        assert {int(w.ravel()[0]) for w in run.model.get_weights()} == {4}
        assert int(keras.ops.convert_to_numpy(run.model.optimizer.iterations)) == 40
        assert not (copied / "checkpoints" / ".tmp-00005").exists()
        run.train((1.0,))
        assert weights_of(copied / "best.keras") == {5}
    assert [row["epoch"] for row in run.state.rows] == [1, 2, 3, 4, 5]
    assert sorted(os.listdir(copied / "checkpoints")) == ["epoch-00004", "epoch-00005"]


def test_an_empty_folder_starts_at_the_beginning(tmp_path):
    with Run(tmp_path) as run:
        assert run.first == 0


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.keras", cut),
        ("model.keras", flip),
        ("model.keras", os.remove),
        ("state.json", cut),
        ("state.json", os.remove),
        ("state.json", lambda path: path.write_text("[]")),
        ("state.json", lambda path: path.write_text("[" * 100_000)),
        ("state.json", lambda path: change_state(path.parent, rows=["a", "b", "c", "d"])),
        ("state.json", lambda path: change_state(path.parent, best={"epoch": "2", "value": 1.5})),
        ("state.json", lambda path: change_state(path.parent, versions=[1])),
        ("state.json", lambda path: change_state(path.parent, stopped_by="the weather")),
        ("state.json", lambda path: change_state(path.parent, callbacks=[SETS_A_METHOD])),
        ("state.json", lambda path: change_state(path.parent, callbacks=[OTHER_CALLBACK])),
    ],
)
def test_a_damaged_state_is_set_aside_and_the_one_before_is_used(copied, caplog, name, damage):
    newest = copied / "checkpoints" / "epoch-00004"
    damage(newest / name)
    with Run(copied) as run:
        assert run.folder.status == "resume"
        assert run.first == 3
        assert {int(w.ravel()[0]) for w in run.model.get_weights()} == {3}
        assert str(newest) in caplog.text and "resuming after epoch 3" in caplog.text
        run.train((1.75,))  # commits epoch 4 again
    assert sorted(os.listdir(copied / "checkpoints")) == [
        "damaged-epoch-00004",
        "epoch-00003",
        "epoch-00004",
    ]


def test_a_state_damaged_twice_gets_two_names(copied):
    (copied / "checkpoints" / "damaged-epoch-00004").mkdir()
    cut(copied / "checkpoints" / "epoch-00004" / "model.keras")
    with Run(copied):
        assert (copied / "checkpoints" / "damaged-epoch-00004-2").is_dir()


def test_without_a_whole_state_nothing_is_overwritten(copied):
    for number in (3, 4):
        cut(copied / "checkpoints" / f"epoch-0000{number}" / "model.keras")
    with pytest.raises(ModelFileError, match="epoch-00004.*epoch-00003.*--overwrite") as caught:
        Run(copied).__enter__()
    assert caught.value.exit_code == 4
    assert sorted(os.listdir(copied / "checkpoints")) == ["epoch-00003", "epoch-00004"]


def test_a_fresh_optimizer_is_never_taken_for_the_old_one(copied, caplog):
    change_state(copied / "checkpoints" / "epoch-00004", iterations=41)
    with Run(copied) as run:
        assert run.first == 3
    assert "the optimizer is at step 40, the state says 41" in caplog.text


def test_a_state_of_a_later_kerasdl_is_left_alone(copied):
    newest = copied / "checkpoints" / "epoch-00004"
    change_state(newest, format=resume.STATE_FORMAT + 1, versions={"kerasdl": "99.0"})
    with pytest.raises(ModelFileError, match=r"by kerasdl 99\.0, this is kerasdl \d") as caught:
        Run(copied).__enter__()
    assert caught.value.exit_code == 4
    assert newest.is_dir()


def test_a_state_of_a_later_kerasdl_need_not_say_which(copied):
    newest = copied / "checkpoints" / "epoch-00004"
    change_state(newest, format=resume.STATE_FORMAT + 1, versions=None, epoch="four")
    with pytest.raises(ModelFileError, match="later version"):
        Run(copied).__enter__()
    assert newest.is_dir()


@pytest.mark.parametrize("damage", [cut, lambda path: change_state(path.parent, rows=None)])
def test_a_finished_run_with_a_damaged_state_is_not_taken_for_complete(copied, damage):
    with Run(copied) as run:
        run.train((0.5,), stop=True)
    with runfolder.acquire(copied, config.Config(**{"epochs": 20}), "data") as folder:
        assert resume.complete(folder)
    damage(copied / "checkpoints" / "epoch-00005" / "state.json")
    with runfolder.acquire(copied, config.Config(**{"epochs": 20}), "data") as folder:
        assert not resume.complete(folder)
    with Run(copied) as run:
        assert run.first == 4


def test_a_finished_run_without_its_best_model_is_not_complete(copied):
    with Run(copied) as run:
        run.train((5.0,), stop=True)
    (copied / "best.keras").unlink()
    with runfolder.acquire(copied, config.Config(**{"epochs": 20}), "data") as folder:
        assert not resume.complete(folder)


@pytest.mark.parametrize("key", ["keras", "backend"])
def test_other_versions_go_on_and_say_so(copied, caplog, key):
    versions = {**resume.versions(), key: "old"}
    change_state(copied / "checkpoints" / "epoch-00004", versions=versions)
    with Run(copied) as run:
        assert run.first == 4
    assert f"{key} old -> {resume.versions()[key]}: resuming, but not bit-exactly" in caplog.text


def test_callbacks_get_their_counters_back_after_they_reset_themselves(tmp_path):
    def callbacks():
        return plateau(cooldown=1), keras.callbacks.EarlyStopping(patience=9, mode="min")

    before = callbacks()
    with Run(tmp_path, callbacks=before) as run:
        run.train((3.0, 1.5, 2.0, 2.0, 2.0))
    after = callbacks()
    with Run(tmp_path, callbacks=after) as run:
        for callback in after:
            callback.on_train_begin()
        run.state.on_train_begin()
    for old, new in zip(before, after, strict=True):
        for name in checkpoint.CALLBACK_FIELDS[type(old).__name__]:
            assert getattr(new, name) == getattr(old, name), name
    # By hand: best in epoch 2; the rate falls after two more, then one epoch of cool-down passes.
    assert (after[0].best, after[0].wait, after[0].cooldown_counter) == (1.5, 1, 0)
    assert (after[1].best, after[1].wait, after[1].best_epoch) == (1.5, 3, 1)
    assert [row["learning_rate"] for row in run.state.rows] == [0.5, 0.5, 0.5, 0.5, 0.25]


def test_the_callbacks_have_no_state_that_is_not_kept():
    # Constants since construction; a Keras that adds a field makes this fail, so that it is kept.
    settings = {
        "ReduceLROnPlateau": "factor min_lr patience verbose cooldown",
        "EarlyStopping": "patience verbose baseline restore_best_weights best_weights "
        "start_from_epoch",
    }
    common = {"monitor", "mode", "min_delta", "monitor_op", "_model", "params"}
    for callback in (plateau(), keras.callbacks.EarlyStopping()):
        name = type(callback).__name__
        callback.on_train_begin()
        kept = set(checkpoint.CALLBACK_FIELDS[name])
        assert set(vars(callback)) == kept | set(settings[name].split()) | common


@pytest.mark.parametrize(
    "callback",
    [keras.callbacks.History(), keras.callbacks.EarlyStopping(restore_best_weights=True)],
)
def test_callbacks_whose_state_is_unknown_are_refused(callback):
    with pytest.raises((TypeError, ValueError), match="History|best.keras"):
        checkpoint.RunState(None, 0, callbacks=[callback])


def test_all_randomness_of_an_epoch_follows_from_seed_and_epoch(tmp_path):
    def drawn(run, epoch):
        run.state.on_epoch_begin(epoch)
        dropped = run.model(numpy.ones((4, 2, 2, 1)), training=True)
        return keras.ops.convert_to_numpy(dropped).tolist(), numpy.random.random()

    with Run(tmp_path / "a") as first, Run(tmp_path / "b") as second:
        ones = [numpy.ones(w.shape) for w in first.model.get_weights()]
        first.model.set_weights(ones)
        second.model.set_weights(ones)
        expected = [drawn(first, epoch) for epoch in (0, 1, 2)]
        assert [drawn(second, epoch) for epoch in (2, 0)] == [expected[2], expected[0]]
        assert expected[0] != expected[1] != expected[2]


def test_seeds_differ_for_neighbors():
    seeds = {checkpoint.derived_seed(s, e, k) for s in range(9) for e in range(9) for k in range(9)}
    assert len(seeds) == 9**3
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_nan_is_never_best_and_fools_no_plateau(tmp_path):
    reduce = plateau()
    with Run(tmp_path, callbacks=[reduce]) as run:
        run.train((math.nan, 4.0, math.nan, 3.0))
        assert run.state.best == {"epoch": 4, "value": 3.0}
        assert reduce.best == 3.0  # Keras alone: NaN for ever after the first epoch
    assert weights_of(tmp_path / "best.keras") == {4}
    assert (tmp_path / "history.csv").read_text().splitlines()[1].endswith(",nan")


def test_the_largest_value_can_be_best(tmp_path):
    with Run(tmp_path, mode="max") as run:
        run.train((1.0, 3.0, 2.0))
        assert run.state.best == {"epoch": 2, "value": 3.0}


def test_a_monitor_that_is_not_logged_is_named(tmp_path):
    with Run(tmp_path, monitor="val_mean_iou") as run:
        with pytest.raises(ConfigError, match="'val_mean_iou'.*known: loss, val_loss"):
            run.train((1.0,))


def test_weights_that_are_not_finite_are_not_committed(copied):
    before = files.sha256(copied / "best.keras")
    with Run(copied) as run:
        run.state.on_train_begin()
        run.state.on_epoch_begin(4)
        run.model.set_weights([numpy.full(w.shape, numpy.inf) for w in run.model.get_weights()])
        with pytest.raises(TrainingFailed, match="not finite after epoch 5") as caught:
            run.state.on_epoch_end(4, {"val_loss": 0.1})
    assert caught.value.exit_code == 5
    assert sorted(os.listdir(copied / "checkpoints")) == ["epoch-00003", "epoch-00004"]
    assert files.sha256(copied / "best.keras") == before


def test_a_full_disk_costs_only_the_epoch(copied):
    resource = pytest.importorskip("resource")
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Run(copied) as run:
        # A limit on the size of files stands for a full disk: the model is cut off half way.
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            with pytest.raises(WriteError, match="MB needed.*free some space") as caught:
                run.train((0.5,))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.exit_code == 6
        before[copied / "running.json"] = run.folder.file("running.json").read_bytes()
        assert before == {p: p.read_bytes() for p in copied.rglob("*") if p.is_file()}
    with Run(copied) as run:
        assert run.first == 4


def test_a_disk_that_turns_read_only_is_told_once(copied, monkeypatch):
    """The clearing up fails as well, and must not hide what happened."""

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    with Run(copied) as run:
        monkeypatch.setattr(os, "rename", refuse)
        monkeypatch.setattr(files, "remove", refuse)
        with pytest.raises(WriteError, match="Read-only.*choose a writable folder") as caught:
            run.train((0.5,))
    assert caught.value.exit_code == 6
    monkeypatch.undo()
    with Run(copied) as run:  # the lock is free, and what was left is cleared away
        assert run.first == 4
        assert sorted(os.listdir(copied / "checkpoints")) == ["epoch-00003", "epoch-00004"]


def test_a_folder_removed_while_running_is_noticed_and_not_made_again(tmp_path):
    with Run(tmp_path / "run") as run:
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(WriteError, match="was the folder removed"):
            run.train((1.0,))
        assert not (tmp_path / "run").exists()


class Killed(BaseException):
    """Stands for SIGKILL in the middle of a call."""


def killed_at(monkeypatch, name, after):
    """Lets the process "die" when a file takes its final name."""
    replace = os.replace

    def dying(source, target):
        if os.path.basename(target) != name:
            return replace(source, target)
        if after:
            replace(source, target)
        raise Killed

    monkeypatch.setattr(os, "replace", dying)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["best.keras", "best.json", "history.csv"])
@pytest.mark.parametrize("finished", [False, True])
def test_a_kill_after_the_commit_is_repaired(copied, monkeypatch, name, after, finished):
    with Run(copied) as run:
        killed_at(monkeypatch, name, after)
        with pytest.raises(Killed):
            run.train((0.5,), stop=finished)
        monkeypatch.undo()
    assert weights_of(copied / "best.keras") <= {2, 5}  # old or new, always whole
    with Run(copied) as run:
        assert run.folder.status == ("finished" if finished else "resume")
        assert not resume.complete(run.folder) or finished
    assert weights_of(copied / "best.keras") == {5}
    assert json.loads((copied / "best.json").read_text())["epoch"] == 5
    assert len((copied / "history.csv").read_text().splitlines()) == 6


class Hundred:
    """An average whose weights are those of the model plus a hundred."""

    def start(self, model):
        self.model = model

    @contextlib.contextmanager
    def in_place(self):
        own = [numpy.array(value) for value in self.model.get_weights()]
        self.model.set_weights([value + 100 for value in own])
        yield
        self.model.set_weights(own)


def test_what_is_repaired_after_a_kill_is_the_averaged_model(tmp_path, monkeypatch):
    path = tmp_path / "run"
    with Run(path, average=Hundred()) as run:
        run.train((3.0,))
        assert weights_of(path / "best.keras") == {101}
        killed_at(monkeypatch, "best.keras", after=False)
        with pytest.raises(Killed):
            run.train((1.0,))
        monkeypatch.undo()
    assert weights_of(path / "best.keras") == {101}
    with Run(path, average=Hundred()) as run:
        assert (run.first, run.state.best) == (2, {"epoch": 2, "value": 1.0})
    assert weights_of(path / "best.keras") == {102}


@pytest.mark.parametrize("mode", ["min", "max"])
def test_of_two_equal_epochs_the_first_is_best(tmp_path, mode):
    path = tmp_path / "run"
    with Run(path, mode=mode) as run:
        run.train((2.0, 2.0))
    assert weights_of(path / "best.keras") == {1}
    with Run(path, mode=mode) as run:
        run.train((2.0,))
        assert run.state.best == {"epoch": 1, "value": 2.0}
    assert weights_of(path / "best.keras") == {1}


def test_repair_touches_nothing_that_is_right(copied):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    with Run(copied) as run:
        assert run.state.best == {"epoch": 2, "value": 1.5}
    assert before == {p: p.stat().st_mtime_ns for p in copied.rglob("*") if p.is_file()}


def test_the_best_model_survives_the_loss_of_its_state(copied):
    with Run(copied) as run:
        run.train((0.5,))
    cut(copied / "checkpoints" / "epoch-00005" / "model.keras")
    with Run(copied) as run:
        assert run.first == 4
        assert run.state.best == {"epoch": 5, "value": 0.5}
        run.train((1.0,))  # not as good as what is there already
    assert weights_of(copied / "best.keras") == {5}
    assert json.loads((copied / "best.json").read_text())["value"] == 0.5


def test_a_best_model_that_is_gone_is_said_and_found_anew(copied, caplog):
    cut(copied / "best.keras")
    with Run(copied) as run:
        assert "the best model (epoch 2) is missing or damaged" in caplog.text
        run.train((1.6,))
    assert weights_of(copied / "best.keras") == {5}


def test_an_early_stop_is_the_end_also_for_more_epochs(copied):
    with Run(copied) as run:
        run.train((2.0,), stop=True)
    for epochs in (20, 40):
        with runfolder.acquire(copied, config.Config(**{"epochs": epochs}), "data") as folder:
            assert folder.status == "finished"


def test_more_epochs_go_on_with_the_next_row(tmp_path):
    with Run(tmp_path, epochs=2) as run:
        run.train((2.0, 1.0))
    with Run(tmp_path, epochs=3) as run:
        assert (run.folder.status, run.first) == ("resume", 2)
        run.train((0.5,))
    assert [row["epoch"] for row in run.state.rows] == [1, 2, 3]
    with runfolder.acquire(tmp_path, config.Config(**{"epochs": 3}), "data") as folder:
        assert folder.status == "finished"


def test_a_signal_during_a_save_lets_the_save_complete(copied, monkeypatch):
    fsync = os.fsync

    def interrupted(handle):
        if not sent:
            sent.append(os.kill(os.getpid(), signals.SIGNALS[1]))
        fsync(handle)

    sent = []
    with Run(copied) as run, signals.StopOnSignal() as stop:
        monkeypatch.setattr(os, "fsync", interrupted)
        run.train((0.5,))
        with pytest.raises(signals.Stopped):
            stop.on_epoch_begin(5)
    assert sent
    assert weights_of(copied / "checkpoints" / "epoch-00005" / "model.keras") == {5}
    assert weights_of(copied / "best.keras") == {5}


def test_fit_before_restore_is_refused(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(RuntimeError, match="restore"):
        run.state.on_train_begin()
    run.folder.close()


def test_a_loss_that_explodes_keeps_the_last_epoch_and_the_best_model(copied):
    before = {path: path.read_bytes() for path in copied.rglob("*.keras")}
    with Run(copied) as run:
        run.model.optimizer.learning_rate = 1e30
        with pytest.raises(TrainingFailed, match="the loss became (nan|inf) in epoch 5, batch"):
            run.model.fit(
                numpy.ones((8, 2, 2, 1)),
                numpy.ones(8),
                validation_data=(numpy.ones((2, 2, 2, 1)), numpy.ones(2)),
                batch_size=2,
                initial_epoch=run.first,
                epochs=6,
                shuffle=False,
                verbose=0,
                callbacks=[StopOnBadLoss(), run.state],
            )
    assert before == {path: path.read_bytes() for path in copied.rglob("*.keras")}


def test_the_state_is_plain_json_and_floats_are_exact(copied):
    with Run(copied) as run:
        run.train((1 / 3,))
    text = (copied / "checkpoints" / "epoch-00005" / "state.json").read_text()
    assert json.loads(text)["rows"][-1]["val_loss"] == 1 / 3
    rows = copy.deepcopy(run.state.rows)
    with Run(copied) as run:
        assert run.state.rows == rows


def test_warnings_go_to_the_log_of_kerasdl(copied, caplog):
    cut(copied / "checkpoints" / "epoch-00004" / "model.keras")
    with Run(copied):
        records = [record for record in caplog.records if record.name == "kerasdl"]
    assert [record.levelno for record in records] == [logging.WARNING]
