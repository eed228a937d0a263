"""Workers that are jobs of a SLURM cluster, through submitit.

SLURM requeues jobs that it preempts or whose node fails, and submitit those that reach their time
limit: a job that starts again resumes the run in its folder. Jobs that die are submitted again.
"""

import dataclasses
import hashlib
import importlib.util
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import time

from kerasdl.core.errors import ConfigError, first_line
from kerasdl.runs import config as configuration
from kerasdl.tools.jobs import processes
from kerasdl.tools.jobs.training import WorkerDied

MINUTES = 240  # time limit of a job, if not set
REQUEUES = 20  # after as many time limits a job has failed
GRACE = 600  # seconds; SLURM ends or requeues a job that it has sent SIGTERM long before
QUEUE_FAILURES = 10  # of squeue in a row, after which jobs are no longer waited for

logger = logging.getLogger("kerasdl")


class Cluster:
    """Jobs of a cluster as a context manager, which cancels those left.

    Attributes:
        size: Jobs in the queue at a time.
        interval: Seconds between two looks at them.
    """

    interval = 1.0

    def __init__(self, folder, size, options=()):
        if importlib.util.find_spec("submitit") is None:
            raise ConfigError(
                "--launcher slurm needs the package submitit", fix="pip install 'kerasdl[slurm]'"
            )
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise ConfigError(
                "--launcher slurm needs the commands sbatch and srun",
                fix="log in to a node of the cluster, or use --jobs on this machine",
            )
        import submitit

        self.size = size
        folder = pathlib.Path(folder).absolute()
        self._name = f"kerasdl-{hashlib.sha256(str(folder).encode()).hexdigest()[:10]}"
        self._executor = submitit.SlurmExecutor(folder / "jobs", max_num_timeout=REQUEUES)
        try:
            self._executor.update_parameters(
                **{"job_name": self._name, "time": MINUTES, **_parsed(options)}
            )
        except ValueError as error:
            raise ConfigError(
                f"--slurm: {first_line(error)}",
                fix="known are the options of sbatch, with underscores: partition, cpus_per_task, "
                "gpus_per_node, mem, time (minutes), account, qos, constraint, ...",
            ) from None
        self._jobs = {}

    def __enter__(self):
        # A command that was killed leaves jobs that hold the folders of their runs.
        if self._cancel(f"--name={self._name}"):
            logger.info("jobs of an earlier command are canceled and resumed")
        return self

    def __exit__(self, *exception):
        if self._jobs:
            self._cancel(f"--name={self._name}")

    def submit(self, job):
        """Submits a `Job`; returns a handle."""
        import submitit

        try:
            handle = self._executor.submit(Training(processes.packed(job)))
        except submitit.core.utils.FailedJobError as error:
            lines = str(error).strip().splitlines()
            raise ConfigError(f"sbatch refused the job: {lines[-1]}", fix="see --slurm") from None
        self._jobs[handle.job_id] = handle
        return handle

    def done(self, handle):
        """Whether the job of a handle has ended."""
        return handle.done()

    def result(self, handle):
        """The `Outcome` of a run that has ended. Raises WorkerDied."""
        import submitit

        del self._jobs[handle.job_id]
        try:
            return handle.result()
        except submitit.core.utils.FailedJobError as error:  # not one of a training
            lines = [line for line in str(error).splitlines() if "Error: " in line]
            reason = lines[-1] if lines else first_line(error)
            raise WorkerDied(f"SLURM job {handle.job_id} failed: {reason}") from None
        except submitit.core.utils.UncompletedJobError:
            state = handle.get_info(mode="force").get("State", "UNKNOWN")
            raise WorkerDied(
                f"SLURM job {handle.job_id} ended as {state} (see {handle.paths.stderr})",
                final=state.startswith("CANCELLED"),
            ) from None

    def _cancel(self, which):
        """Cancels jobs of this user and waits for their end; whether there were any."""
        mine, found, left, failed = f"--user={os.getuid()}", False, [], 0
        queue = ["squeue", "--noheader", mine, which]
        for _ in range(int(GRACE / self.interval)):
            # Each time: the controller may have been busy, or a job requeued at its time limit.
            subprocess.run(["scancel", mine, which], capture_output=True, check=False)
            answer = subprocess.run(queue, capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                failed, left = 0, answer.stdout.splitlines()
                found = found or bool(left)
                if not left:
                    return found
            else:
                failed += 1
                if failed == QUEUE_FAILURES:
                    reason = "squeue failed: " + " ".join(answer.stderr.split())
                    break
            time.sleep(self.interval)
        else:
            reason = f"{len(left)} left after {GRACE} s"
        logger.warning("canceled jobs may still run (%s); see squeue %s %s", reason, mine, which)
        return found


class Training:
    """The function of a job: trains a packed job; called again by a job that was requeued."""

    def __init__(self, job):
        self.job = job

    def __call__(self):
        outcome = processes.work(self.job)
        if outcome.error == "Stopped":
            # SIGTERM announces the end of this job, or of this attempt: not a result.
            time.sleep(GRACE)
            sys.exit(outcome.exit_code)
        if outcome.error == "UncompletedJobError":  # raised by submitit at the last time limit
            text = f"the time limit was reached {REQUEUES + 1} times"
            return dataclasses.replace(outcome, error="TimeLimit", message=text, exit_code=5)
        return outcome

    def checkpoint(self):
        """What submitit submits again at the time limit; the run folder holds the state."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _parsed(options):
    """{key: value} from "key=value" texts, values as in --set."""
    found = configuration.override({}, options)
    if "job_name" in found:
        raise ConfigError("--slurm: 'job_name' is set by kerasdl, which finds its jobs by it")
    if not isinstance(found.get("time", MINUTES), int):
        raise ConfigError("--slurm: 'time' must be an integer: minutes")
    return found
