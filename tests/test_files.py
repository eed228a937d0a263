import errno
import os

import pytest

from kerasdl.core import files
from kerasdl.core.errors import WriteError


def test_a_new_file_replaces_the_old_one_and_nothing_is_left(tmp_path):
    path = tmp_path / "history.csv"
    files.write_text(path, "old")
    files.write_text(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert os.listdir(tmp_path) == ["history.csv"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file_and_no_temporary_one(tmp_path, monkeypatch, call):
    path = tmp_path / "best.keras"
    files.write_text(path, "old")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(WriteError, match="No space left on device.*best.keras.*free some space"):
        files.write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["best.keras"]


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), replace(*names)))
    files.write_text(tmp_path / "file", "text")
    assert done == ["sync", "rename", "sync"]  # content, name, folder


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "2.5 MB needed"),
        (errno.EFBIG, "free some space"),
        (errno.EROFS, "choose a writable folder"),
        (errno.EACCES, "--out"),
        (errno.ENOENT, "was the folder removed"),
    ],
)
def test_the_mend_fits_the_cause(number, words):
    error = files.cannot_write("run", OSError(number, os.strerror(number)), 2_500_000)
    assert error.exit_code == 6
    assert words in str(error)
    assert "\n" not in str(error)
