import errno
import json
import os
import shutil

import filelock
import pytest

from kerasdl.core import files
from kerasdl.core.errors import ConfigError, DataError, WriteError
from kerasdl.runs import config, runfolder

fcntl = pytest.importorskip("fcntl")  # locks and rights are those of POSIX

SETTINGS = config.Config(**{"epochs": 4})


def finish(folder, epoch, stopped_by=None):
    """Pretends that so many epochs are committed."""
    state = runfolder.epoch_folder(folder.checkpoints, epoch)
    state.mkdir(parents=True)
    (state / "state.json").write_text(json.dumps({"epoch": epoch, "stopped_by": stopped_by}))
    (state / "model.keras").touch()


def acquire_and_release(path, settings=SETTINGS, epoch=0, **options):
    with runfolder.acquire(path, settings, "data 1", {"train": 12}, **options) as folder:
        if epoch:
            finish(folder, epoch)


def test_a_new_folder_holds_the_configuration(tmp_path):
    with runfolder.acquire(tmp_path / "a" / "b", SETTINGS, "data 1") as folder:
        assert folder.status == "new"
        assert config.Config(**files.read_toml(folder.file("config.toml"))) == SETTINGS
        assert json.loads(folder.file("running.json").read_text())["pid"] == os.getpid()
    assert sorted(os.listdir(tmp_path / "a" / "b")) == ["config.toml", "data.json", "lock"]


@pytest.mark.parametrize(
    ("epoch", "stopped_by", "status"),
    [
        (3, None, "resume"),
        (4, "epochs", "finished"),
        (2, "early_stopping", "finished"),
    ],
)
def test_status_follows_from_the_newest_state(tmp_path, epoch, stopped_by, status):
    with runfolder.acquire(tmp_path, SETTINGS) as folder:
        finish(folder, 1)
        finish(folder, epoch, stopped_by)
    with runfolder.acquire(tmp_path, SETTINGS) as folder:
        assert folder.status == status


def test_more_epochs_continue_a_finished_run_and_fewer_are_refused(tmp_path):
    acquire_and_release(tmp_path, epoch=4)
    with runfolder.acquire(tmp_path, config.Config(**{"epochs": 6}), "data 1") as folder:
        assert folder.status == "resume"
    with pytest.raises(ConfigError, match="epochs: 6 -> 5"):
        runfolder.acquire(tmp_path, config.Config(**{"epochs": 5}), "data 1")


def test_repeating_the_command_leaves_the_files_of_a_finished_run_alone(tmp_path):
    acquire_and_release(tmp_path, epoch=4)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    acquire_and_release(tmp_path)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


def test_a_run_without_a_finished_epoch_takes_a_corrected_configuration(tmp_path):
    acquire_and_release(tmp_path)
    corrected = config.Config(**{"epochs": 4, "momentum": 0.5})
    with runfolder.acquire(tmp_path, corrected, "data 1") as folder:
        assert config.Config(**files.read_toml(folder.file("config.toml"))) == corrected
        folder.file("best.keras").write_bytes(b"")
    with pytest.raises(ConfigError, match="momentum: 0.5 -> 0.9"):
        runfolder.acquire(tmp_path, SETTINGS)


def test_another_configuration_is_refused_with_every_key_that_differs(tmp_path):
    acquire_and_release(tmp_path, epoch=1)
    other = config.Config(**{"epochs": 4, "momentum": 0.5, "image_size": 32, "workers": 7})
    with pytest.raises(ConfigError) as caught:
        runfolder.acquire(tmp_path, other)
    assert "image_size: [64, 64] -> [32, 32], momentum: 0.9 -> 0.5" in str(caught.value)
    assert "workers" not in str(caught.value)  # changes no result
    assert "--overwrite" in caught.value.fix
    assert caught.value.exit_code == 2
    acquire_and_release(tmp_path)  # the lock of the refused claim is free again


def test_a_run_without_its_configuration_is_not_continued_with_another(tmp_path):
    acquire_and_release(tmp_path, epoch=2)
    (tmp_path / "config.toml").unlink()
    with pytest.raises(ConfigError, match="configuration is missing.*--overwrite"):
        runfolder.acquire(tmp_path, config.Config(**{"seed": 3}), "data 1")
    acquire_and_release(tmp_path, overwrite=True)


@pytest.mark.parametrize("damage", [os.remove, lambda path: path.write_text("[" * 100_000)])
def test_a_run_without_its_record_of_the_data_asks(tmp_path, damage):
    acquire_and_release(tmp_path, epoch=2)
    damage(tmp_path / "data.json")
    with pytest.raises(DataError, match="missing or damaged.*data.json.*--allow-data-change"):
        runfolder.acquire(tmp_path, SETTINGS, "data 1")
    acquire_and_release(tmp_path, allow_data_change=True)
    acquire_and_release(tmp_path)


def test_overwrite_removes_the_run_and_nothing_else(tmp_path):
    acquire_and_release(tmp_path, epoch=2)
    for name in ("best.keras", "history.csv", "my notes.txt"):
        (tmp_path / name).write_text("old")
    other = config.Config(**{"epochs": 1})
    with runfolder.acquire(tmp_path, other, "data 2", overwrite=True) as folder:
        assert folder.status == "new"
    assert sorted(os.listdir(tmp_path)) == ["config.toml", "data.json", "lock", "my notes.txt"]


@pytest.mark.parametrize("last", ["best.keras", "config.toml", "data.json"])
def test_overwrite_cut_short_can_be_repeated(tmp_path, monkeypatch, last):
    acquire_and_release(tmp_path, epoch=2)
    for name in ("best.keras", "splits.json"):
        (tmp_path / name).write_text("old")
    remove = files.remove

    def killed(path):
        if path.name == last:
            raise KeyboardInterrupt
        remove(path)

    monkeypatch.setattr(files, "remove", killed)
    with pytest.raises(KeyboardInterrupt):
        runfolder.acquire(tmp_path, config.Config(**{"epochs": 1}), overwrite=True)
    monkeypatch.undo()
    # What is left is still known as a run, with its old configuration and no state.
    with runfolder.acquire(tmp_path, config.Config(**{"epochs": 1}), overwrite=True) as folder:
        assert folder.status == "new"
        assert not folder.file("best.keras").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_someone_else_is_refused_untouched(tmp_path, overwrite):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "config.toml").write_text('title = "of another program"')
    with pytest.raises(ConfigError, match="not belong to a run, such as 'README.md'"):
        runfolder.acquire(tmp_path, SETTINGS, overwrite=overwrite)
    assert sorted(os.listdir(tmp_path)) == ["README.md", "config.toml"]


def test_a_damaged_configuration_names_its_file(tmp_path):
    acquire_and_release(tmp_path)
    (tmp_path / "config.toml").write_text("epochs = ")
    with pytest.raises(ConfigError, match="damaged.*config.toml.*--overwrite"):
        runfolder.acquire(tmp_path, SETTINGS)


def test_changed_data_are_refused_with_counts_unless_allowed(tmp_path):
    acquire_and_release(tmp_path, epoch=1)
    changed = {"fingerprint": "data 2", "num_samples": {"train": 13}}
    with pytest.raises(DataError, match="train 12 -> 13.*--allow-data-change") as caught:
        runfolder.acquire(tmp_path, SETTINGS, **changed)
    assert caught.value.exit_code == 3
    with runfolder.acquire(tmp_path, SETTINGS, **changed, allow_data_change=True) as folder:
        assert folder.status == "resume"
    runfolder.acquire(
        tmp_path, SETTINGS, **changed
    ).close()  # from now on the new data are the run's


def test_data_may_change_while_nothing_is_trained(tmp_path):
    acquire_and_release(tmp_path)
    runfolder.acquire(tmp_path, SETTINGS, "data 2").close()


def test_the_output_may_not_lie_inside_the_data(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigError, match="inside the data") as caught:
        runfolder.acquire(tmp_path / "data" / "run", SETTINGS, data_path=tmp_path / "data")
    assert caught.value.exit_code == 2
    assert os.listdir(tmp_path / "data") == []
    runfolder.acquire(tmp_path / "database", SETTINGS, data_path=tmp_path / "data").close()


def test_a_second_run_on_the_folder_is_told_who_has_it(tmp_path):
    with runfolder.acquire(tmp_path, SETTINGS):
        with pytest.raises(WriteError, match=f"in use by pid {os.getpid()} on host") as caught:
            runfolder.acquire(tmp_path, SETTINGS)
        assert caught.value.exit_code == 6
    runfolder.acquire(tmp_path, SETTINGS).close()


def test_any_holder_of_the_lock_counts(tmp_path):
    acquire_and_release(tmp_path)
    with open(tmp_path / "lock", "rb+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(WriteError, match="in use by another process"):
            runfolder.acquire(tmp_path, SETTINGS)


@pytest.mark.filterwarnings("ignore")  # filelock itself warns of ENOSYS
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_without_locks_a_file_stands_for_the_lock(tmp_path, monkeypatch, caplog, number):
    def missing(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", missing)
    with runfolder.acquire(tmp_path, SETTINGS):
        with pytest.raises(WriteError, match=f"in use by pid {os.getpid()}"):
            runfolder.acquire(tmp_path, SETTINGS)
    if number == errno.ENOLCK:
        assert "no locks" in caplog.text


def test_the_output_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(WriteError, match="file"):
            runfolder.acquire(path, SETTINGS)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_noticed_at_once(tmp_path, monkeypatch, number):
    def refuse(self, content):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(type(tmp_path), "write_bytes", refuse)
    with pytest.raises(WriteError, match="choose a writable folder") as caught:
        runfolder.acquire(tmp_path / "run", SETTINGS)
    assert caught.value.exit_code == 6


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WriteError):
        runfolder.acquire(tmp_path / "run", SETTINGS)


def test_too_little_space_is_noticed_before_training(tmp_path, monkeypatch):
    with runfolder.acquire(tmp_path, SETTINGS) as folder:
        usage = shutil.disk_usage(tmp_path)._replace(free=29_999_999)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(WriteError, match="31 MB needed, 30 MB free"):
            folder.require_space(1_020_000)
        folder.require_space(999_999)  # 2.5 x 12 bytes each


@pytest.mark.parametrize(
    "name", ["with spaces", "Größe 图像", 'it\'s "quoted"', "-leading", "x" * 200, "a,b;c"]
)
def test_any_name_of_a_folder(tmp_path, name):
    with runfolder.acquire(tmp_path / name, SETTINGS) as folder:
        folder.write_json("metrics.json", {"name": name})
        assert json.loads(folder.file("metrics.json").read_text())["name"] == name


def test_epochs_are_ordered_by_number_not_by_time(tmp_path):
    for number, seconds in ((9, 300), (10, 200), (11, 100)):
        folder = runfolder.epoch_folder(tmp_path, number)
        folder.mkdir()
        os.utime(folder, (seconds, seconds))
    (tmp_path / "damaged-epoch-00012").mkdir()
    names = [folder.name for folder in runfolder.committed(tmp_path)]
    assert names == ["epoch-00011", "epoch-00010", "epoch-00009"]


def test_the_lock_is_the_library_s(tmp_path):
    # The kernel frees an flock when its process dies; a lock file of our own would go stale.
    with runfolder.acquire(tmp_path, SETTINGS):
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(tmp_path / "lock", timeout=0).acquire()
