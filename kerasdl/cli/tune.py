"""`kerasdl tune`."""

import json
import shlex
import sys

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import (
    backend_option,
    complete_assignment,
    config_options,
    given,
    jobs_options,
    json_option,
    task_argument,
)
from kerasdl.runs import checks


@click.command()
@task_argument
@click.option(
    "--space", "assignments_space", multiple=True, required=True, metavar="KEY=VALUES",
    shell_complete=complete_assignment,
    help="Values to choose from: LOW..HIGH, LOW..HIGH:log or VALUE,VALUE,... Repeatable.",
)  # fmt: skip
@click.option("--trials", type=click.IntRange(1), default=30, show_default=True,
              help="Number of trials, those of earlier commands included.")  # fmt: skip
@click.option("--timeout", metavar="TIME",
              help="Start no trial after this time, such as 8h or 30m.")  # fmt: skip
@click.option("--prune/--no-prune", default=True, show_default=True,
              help="End trials early whose validation scores fall behind the others.")  # fmt: skip
@config_options
@backend_option
@click.option("--out", type=click.Path(), help="Folder of the search; the runs go below it.")
@jobs_options
@json_option
@common_options
@click.pass_obj
def tune(settings, task, assignments_space, trials, timeout, prune, config_file, assignments,
         backend, out, jobs, launcher, slurm_options, as_json, **flags):  # fmt: skip
    """Search for the best values of configuration keys on the validation split.

    Optuna chooses the values of each trial by the scores of those before. All trials have one
    seed. Repeat the command to resume, with more --trials to go on.

    \b
    Examples:
      kerasdl tune segmentation --space learning_rate=1e-3..0.3:log --space filters=8,16,32
      kerasdl tune classify --data photos/ --space optimizer=sgd,adamw --trials 50 --jobs 2
      kerasdl tune colorize --space loss=l1,l2 --space nesterov=true,false --timeout 2h
    """
    from kerasdl import backend as backends
    from kerasdl.tools import jobs as launchers
    from kerasdl.tools.jobs import training
    from kerasdl.tools.tune import plan as plans

    seconds = checks.seconds("--timeout", timeout) if timeout else None
    common = given(task, config_file, assignments, backend, flags)
    backends.choose(common.get("backend", "auto"))
    plan = plans.plan(common, assignments_space, trials, out, prune)
    workers = launchers.workers(plan.out, jobs and min(jobs, plan.trials), launcher, slurm_options)
    from kerasdl.tools.tune import folder, search

    study, failures = search.run(plan, workers, seconds, settings.get("quiet", False))
    if search.finished(study):
        command = shlex.join(["kerasdl", *sys.argv[1:]])
        _show(folder.publish(plan, study, command), plan, as_json)
    if failures:
        raise training.RunsFailed(failures, plan.trials, "repeat the command for further trials")
    search.require_finished(study)


def _show(document, plan, as_json):
    if as_json:
        click.echo(json.dumps({"out": str(plan.out), **document}, ensure_ascii=False, indent=1))
        return
    import rich.console

    from kerasdl.report import search_page, tables

    rich.console.Console().print(tables.as_rich(search_page.table(document, most=10)))
    click.echo(f"best: trial {document['best']}, kerasdl train {plan.base.task} --config "
               f"{shlex.quote(str(plan.out / 'best.toml'))}")  # fmt: skip
    click.echo(f"page: {plan.out / 'report.html'}")
