"""`kerasdl sweep`."""

import json
import shlex
import sys

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import (
    backend_option,
    config_options,
    given,
    jobs_options,
    json_option,
    task_argument,
)


@click.command()
@task_argument
@click.option(
    "--grid", "assignments_grid", multiple=True, required=True, metavar="KEY=VALUE,VALUE,...",
    help="Values to try for a configuration key or a model option. Repeatable.",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True,
              help="Runs per combination.")  # fmt: skip
@config_options
@backend_option
@click.option("--out", type=click.Path(), help="Folder of the sweep; the runs go below it.")
@click.option("--dry-run", is_flag=True, help="Check everything, list the runs, train none.")
@jobs_options
@json_option
@common_options
@click.pass_obj
def sweep(settings, task, assignments_grid, seeds, config_file, assignments, backend, out,
          dry_run, jobs, launcher, slurm_options, as_json, **flags):  # fmt: skip
    """Train every combination of a grid with several seeds and compare them.

    \b
    Finished runs are kept; repeat the command to resume; a failed run does not stop the
    others. All combinations are compared with the first one.

    \b
    Values are separated by commas and read as in --set; a list stands in brackets:
      --grid 'skips=all,none,[1,2]'

    \b
    Examples:
      kerasdl sweep segmentation --grid 'skips=all,none,[1,2]' --grid filters=8,16
      kerasdl sweep colorize --grid 'skips=all,none,[2,3,4],[1,3,4]' --seeds 5
      kerasdl sweep segment --grid model=unet,fcn8 --grid learning_rate=0.1,0.03 --dry-run
      kerasdl sweep segment --grid filters=8,16 --jobs 2
      kerasdl sweep segment --grid filters=8,16 --launcher slurm --slurm partition=gpu
    """
    from kerasdl import backend as backends
    from kerasdl.tools import jobs as launchers
    from kerasdl.tools.jobs import training
    from kerasdl.tools.sweep import plan as sweeps

    common = given(task, config_file, assignments, backend, flags)
    backends.choose(common.get("backend", "auto"))
    plan = sweeps.plan(common, assignments_grid, seeds, out)
    if dry_run:
        listed = [str(folder) for _, _, folder in plan.runs]
        click.echo(json.dumps(listed) if as_json else "\n".join(listed))
        return
    quiet = settings.get("quiet", False)
    at_once = jobs and min(jobs, len(plan.runs))
    workers = launchers.workers(plan.out, at_once, launcher, slurm_options)
    finished, failures = sweeps.train(plan, quiet, workers)
    if finished:
        from kerasdl.tools.sweep import folder as sweepfolder

        command = shlex.join(["kerasdl", *sys.argv[1:]])
        document, tables = sweepfolder.publish(plan, finished, failures, command)
        _show(document, tables, plan, as_json)
    if failures:
        raise training.RunsFailed(failures, len(plan.runs))


def _show(document, shown, plan, as_json):
    if as_json:
        click.echo(json.dumps({"out": str(plan.out), **document}, ensure_ascii=False, indent=1))
        return
    import rich.console

    from kerasdl.report import tables

    console = rich.console.Console()
    scores, *differences = shown
    for table in (tables.upright(scores), *differences):
        console.print(tables.as_rich(table))
    click.echo(f"page: {plan.out / 'report.html'}")
