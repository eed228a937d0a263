"""Runs trained one after another, by several processes of this machine, or by SLURM."""

from kerasdl.core.errors import ConfigError

LAUNCHERS = ("local", "slurm")
SLURM_JOBS = 16  # jobs in the queue at a time, if --jobs does not say


def workers(folder, jobs=None, launcher="local", options=()):
    """What trains the runs besides this process; None: this process does.

    Args:
        folder: Folder of the runs; the output of the workers goes to `jobs` in it.
        jobs: Runs at a time; 1 if None, with SLURM 16.
        launcher: One of `LAUNCHERS`.
        options: Assignments "key=value" for SLURM, such as "partition=gpu".

    Raises:
        ConfigError: The launcher is unknown or cannot be used here, or an option is wrong.
    """
    if launcher not in LAUNCHERS:
        raise ConfigError(f"unknown launcher '{launcher}'", fix=f"known: {', '.join(LAUNCHERS)}")
    if launcher == "slurm":
        from kerasdl.tools.jobs import slurm

        return slurm.Cluster(folder, jobs or SLURM_JOBS, options)
    if options:
        raise ConfigError("--slurm without --launcher slurm", fix="add --launcher slurm")
    if (jobs or 1) == 1:
        return None
    from kerasdl.tools.jobs import processes

    return processes.Processes(folder, jobs)
