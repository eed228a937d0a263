"""Worker processes: answers in turn, and every way to end is one line."""

import json
import os
import subprocess
import sys

import pytest

from kerasdl.tools import workers

pytestmark = pytest.mark.process


def test_answers_come_when_they_are_asked_for():
    with workers.Worker("builtins:iter", [{"a": 1}, {"b": 2}], "torch") as worker:
        assert (worker.read(), worker.turn()) == ({"a": 1}, {"b": 2})
        with pytest.raises(workers.WorkerFailed, match="^ended with code 0$"):
            worker.turn()


@pytest.mark.parametrize(
    ("work", "job", "message"),
    [
        ("builtins:int", "x", "ValueError: invalid literal"),
        ("sys:exit", 3, "SystemExit: 3"),
        ("os:_exit", 7, "ended with code 7"),
        ("signal:raise_signal", 9, "ended by SIGKILL, probably out of memory"),
        ("signal:raise_signal", 6, "ended by SIGABRT"),
        ("kerasdl.backend:choose", "jaxx", "unknown backend 'jaxx'"),
    ],
)
def test_a_worker_that_fails_says_so_in_one_line(work, job, message):
    with workers.Worker(work, job, "torch") as worker:
        with pytest.raises(workers.WorkerFailed, match=message) as caught:
            worker.read()
    assert "\n" not in str(caught.value)


def test_a_worker_that_takes_too_long_is_ended():
    with workers.Worker("time:sleep", 60, "torch", timeout=0.1) as worker:
        with pytest.raises(workers.WorkerTimeout, match="longer than 0.1 s"):
            worker.read()
        assert worker._process.returncode is not None


def test_a_missing_program_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(workers.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(workers.WorkerFailed, match="process cannot be started"):
        workers.Worker("builtins:iter", [], "torch")


def test_a_worker_ends_with_its_parent():
    process = subprocess.Popen(
        [sys.executable, "-m", "kerasdl.tools.workers"], stdin=subprocess.PIPE
    )
    order = json.dumps({"work": "time:sleep", "job": 60})
    process.stdin.write(f"{order}\n".encode())
    process.stdin.close()  # as when the parent is killed
    assert process.wait(timeout=30) == 0


def test_sigterm_ends_the_worker_too(monkeypatch, tmp_path):
    program = tmp_path / "worker"
    # Not at once: until the parent knows its worker, it cannot end it.
    program.write_text("#!/bin/sh\nsleep 0.5\nkill -TERM $PPID\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(workers.sys, "executable", str(program))
    with pytest.raises(SystemExit) as caught, workers.sigterm_as_exit():
        with workers.Worker("builtins:iter", [], "torch") as worker:
            worker.read()
    assert caught.value.code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(worker._process.pid, 0)
