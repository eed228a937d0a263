"""Several runs at a time: who trains what, workers that die, signals, jobs of a cluster."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from kerasdl.backend import signals
from kerasdl.core.errors import ConfigError
from kerasdl.runs.config import Config, changed
from kerasdl.tools import jobs as launchers
from kerasdl.tools.jobs import processes, training
from kerasdl.tools.jobs.training import Job, Outcome, WorkerDied


def job(name, folder="out", **values):
    return Job(name, Config(**values), pathlib.Path(folder) / name)


class Scripted:
    """Workers that end each attempt as told: an `Outcome`, or a `WorkerDied` to raise."""

    size, interval = 2, 0.0

    def __init__(self, **script):
        self.script = {name: list(ends) for name, ends in script.items()}
        self.running, self.most, self.closed = 0, 0, False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.closed = True

    def submit(self, job):
        self.running += 1
        self.most = max(self.most, self.running)
        return job.label

    def done(self, handle):
        return True

    def result(self, handle):
        self.running -= 1
        end = self.script[handle].pop(0)
        if isinstance(end, Exception):
            raise end
        return end


def test_a_worker_that_dies_is_replaced_and_one_that_keeps_dying_fails_alone(caplog):
    workers = Scripted(
        a=[WorkerDied("lost"), Outcome()],
        b=[WorkerDied("lost")] * 9,
        c=[Outcome("DataError", "no images", 3)],
        d=[WorkerDied("cancelled", final=True)],
        e=[Outcome(warnings=("almost gray",))],
    )
    ended = {each.label: end for each, end in training.train(map(job, "abcde"), workers)}
    assert ended["a"] == Outcome() and ended["c"].exit_code == 3
    assert (ended["b"].error, ended["b"].exit_code) == ("WorkerDied", 5)
    assert len(workers.script["b"]) == 9 - training.ATTEMPTS
    assert ended["d"].exit_code == 143 and "attempt 1" in ended["d"].message
    assert "e: almost gray" in caplog.text
    assert workers.most == 2 and workers.closed


def test_finished_runs_are_not_submitted(monkeypatch):
    monkeypatch.setattr(training, "_is_finished", lambda each: each.label == "b")
    course = training.train(map(job, "abc"), Scripted(a=[Outcome()], c=[Outcome()]))
    assert {each.label: end for each, end in course} == dict.fromkeys("abc", Outcome())


def test_the_next_job_is_taken_when_there_is_room_for_it():
    """The next trial of a search depends on the ones that have ended."""
    taken = []

    def jobs():
        for name in "abcd":
            taken.append(name)
            yield job(name)

    course = training.train(jobs(), Scripted(**{name: [Outcome()] for name in "abcd"}))
    next(course)
    assert taken == ["a", "b"]
    assert len(list(course)) == 3 and taken == list("abcd")


@pytest.mark.parametrize(
    "config",
    [
        Config(**{"task": "segmentation", "data": "photos", "learning_rate": 0.5}),
        changed(Config(**{"model_args": {"filters": 8}, "recipe": "fast"}), epochs=3),
    ],
)
def test_a_worker_builds_the_same_configuration(config):
    again = processes.unpacked(processes.packed(Job("a", config, pathlib.Path("a")))).config
    assert again == config and again.given == config.given


def test_only_a_worker_prints_the_traceback_of_a_defect(monkeypatch, tmp_path, capfd):
    def train(*arguments, **options):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("kerasdl.engine.run.train", train)
    expected = f"defect in kerasdl: RuntimeError: two lines: {tmp_path / 'a'}"
    assert training.perform(job("a", tmp_path)) == Outcome("RuntimeError", expected, 1)
    assert capfd.readouterr().err == ""
    outcome = processes.work(processes.packed(job("a", tmp_path)))
    assert (outcome.message, outcome.warnings) == (expected, ())
    assert 'raise RuntimeError("two' in capfd.readouterr().err


EXTENSION = """
import json, multiprocessing, os, pathlib, time
if multiprocessing.parent_process() or "SUBMITIT_EXECUTOR" in os.environ:
    here = pathlib.Path(__file__)
    with here.with_suffix(".log").open("a") as log:
        threads = os.environ.get("OMP_NUM_THREADS")
        facts = {"cores": sorted(os.sched_getaffinity(0)), "threads": threads}
        print(json.dumps({**facts, "pid": os.getpid()}), file=log)
    print("noise")
    if here.stem.startswith("dies"):
        os.kill(os.getpid(), 9)
    if here.stem.startswith("sleeps"):
        time.sleep(60)
    raise ValueError("own defect")
"""


def extended(folder, name):
    """A job whose extension runs in the worker only, and what it noted there."""
    path = folder / f"{name}.py"
    path.write_text(EXTENSION)
    return job(name, folder, extensions=[str(path)]), path.with_suffix(".log")


def noted(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.process
def test_processes_share_the_cores_and_die_alone(tmp_path, capfd):
    (dying, dead), (failing, log) = (extended(tmp_path, name) for name in ("dies", "fails"))
    workers = launchers.workers(tmp_path, 2)
    course = training.train([dying, failing], workers, quiet=True)
    ended = {each.label: outcome for each, outcome in course}
    assert ended["dies"].error == "WorkerDied" and "jobs/process-" in ended["dies"].message
    assert len(noted(dead)) == training.ATTEMPTS
    assert ended["fails"].exit_code == 2 and "own defect" in ended["fails"].message
    mine = sorted(os.sched_getaffinity(0))
    cores = [each["cores"] for each in (noted(dead)[0], noted(log)[0])]
    half = max(1, len(mine) // 2)
    assert cores == [mine[:half], (mine[half : 2 * half] or mine)]
    assert noted(log)[0]["threads"] == str(half)
    assert "noise" in "".join(path.read_text() for path in tmp_path.glob("jobs/*.log"))
    assert "noise" not in capfd.readouterr().out


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.process
def test_a_signal_ends_the_workers(tmp_path):
    sleeping, log = extended(tmp_path, "sleeps")

    def interrupt():
        while not (log.exists() and log.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(signals.Stopped) as caught:
        list(training.train([sleeping], launchers.workers(tmp_path, 2), quiet=True))
    thread.join()
    assert caught.value.exit_code == 130
    assert not alive(noted(log)[0]["pid"])


def test_gpus_are_shared_out(monkeypatch):
    monkeypatch.setattr("kerasdl.backend.machine.gpus", lambda: ["A", "B"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    shown = [processes._settings(place, 3)[1]["CUDA_VISIBLE_DEVICES"] for place in range(3)]
    assert shown == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert processes._settings(1, 2)[1]["CUDA_VISIBLE_DEVICES"] == "7"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # hidden by the user
    assert "CUDA_VISIBLE_DEVICES" not in processes._settings(0, 2)[1]


def test_what_cannot_be_launched_is_refused(monkeypatch, tmp_path):
    assert launchers.workers(tmp_path) is None and launchers.workers(tmp_path, 1) is None
    with pytest.raises(ConfigError, match="known: local, slurm"):
        launchers.workers(tmp_path, 2, "pbs")
    with pytest.raises(ConfigError, match="add --launcher slurm"):
        launchers.workers(tmp_path, 2, "local", ["partition=gpu"])
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match="sbatch and srun"):
        launchers.workers(tmp_path, 2, "slurm")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'kerasdl\[slurm\]'"):
        launchers.workers(tmp_path, 2, "slurm")


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    """A cluster whose jobs submitit runs on this machine; options are those of SLURM."""
    submitit = pytest.importorskip("submitit")

    known = submitit.SlurmExecutor._valid_parameters()

    class Local(submitit.LocalExecutor):
        def update_parameters(self, **parameters):
            unknown = parameters.keys() - known
            if unknown:
                raise ValueError(f"Unavailable parameter(s): {sorted(unknown)}\nValid: ...")
            self.told = parameters

    monkeypatch.setattr(submitit, "SlurmExecutor", Local)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return lambda *options: launchers.workers(tmp_path, None, "slurm", options)


def test_options_of_slurm(cluster):
    made = cluster("partition=gpu", "time=90")
    told = made._executor.told
    assert (told["partition"], told["time"], made.size) == ("gpu", 90, launchers.SLURM_JOBS)
    with pytest.raises(ConfigError, match="--slurm: Unavailable.*'partion'.*partition"):
        cluster("partion=gpu")
    with pytest.raises(ConfigError, match="minutes"):
        cluster("time=1:00:00")
    with pytest.raises(ConfigError, match="not of the form key=value"):
        cluster("gpu")
    with pytest.raises(ConfigError, match="'job_name' is set by kerasdl"):
        cluster("job_name=mine")


@pytest.fixture
def controller(monkeypatch):
    """Answers of squeue, (code, text) each, the last one forever; gives the commands seen."""
    commands = []

    def script(*answers):
        answers = list(answers)

        def run(words, **options):
            commands.append(words[0])
            if words[0] == "scancel":
                return subprocess.CompletedProcess(words, 0, "", "")
            code, text = answers.pop(0) if len(answers) > 1 else answers[0]
            return subprocess.CompletedProcess(words, code, text, "Unable to\ncontact" * code)

        monkeypatch.setattr("subprocess.run", run)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        return commands

    return script


def test_jobs_are_canceled_until_the_controller_says_that_there_are_none(
    cluster, controller, caplog
):
    commands = controller((1, ""), (0, "17 RUNNING\n"), (1, ""), (0, ""))
    assert cluster()._cancel("--name=x") is True
    assert commands == ["scancel", "squeue"] * 4 and caplog.text == ""


def test_a_controller_that_does_not_answer_is_not_waited_for(cluster, controller, caplog):
    commands = controller((0, "17 RUNNING\n"), (1, ""))
    assert cluster()._cancel("--name=x") is True
    assert len(commands) == 2 * (1 + 10)
    (line,) = caplog.messages
    assert "may still run (squeue failed: Unable to contact)" in line and "--name=x" in line


def test_jobs_that_do_not_end_are_told(cluster, controller, caplog):
    commands = controller((0, "17 RUNNING\n18 PENDING\n"))
    assert cluster()._cancel("--name=x") is True
    assert len(commands) == 2 * 600 and "(2 left after 600 s)" in caplog.text


@pytest.mark.process
def test_a_job_of_a_cluster_returns_its_outcome(cluster, tmp_path, monkeypatch):
    workers = cluster()
    monkeypatch.setattr(workers, "_cancel", lambda which: False)
    failing, log = extended(tmp_path, "fails")
    ((_, outcome),) = training.train([failing], workers, quiet=True)
    assert outcome.exit_code == 2 and "own defect" in outcome.message
    assert len(noted(log)) == 1


def test_a_job_that_slurm_stops_has_no_result_and_is_submitted_again(monkeypatch):
    pytest.importorskip("submitit")
    from kerasdl.tools.jobs import slurm

    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setattr(processes, "work", lambda job: Outcome("Stopped", "by SIGTERM", 143))
    training_job = slurm.Training({"label": "a"})
    with pytest.raises(SystemExit) as caught:
        training_job()
    assert caught.value.code == 143 and waited == [slurm.GRACE]
    limit = Outcome("UncompletedJobError", "defect in kerasdl: timed out too many times", 1)
    monkeypatch.setattr(processes, "work", lambda job: limit)
    assert training_job() == Outcome("TimeLimit", "the time limit was reached 21 times", 5)
    again = training_job.checkpoint()
    assert again.function is training_job
