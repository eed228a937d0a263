"""`kerasdl push`."""

import click

from kerasdl.cli.group import common_options


@click.command()
@click.argument("run", type=click.Path())
@click.argument("name", metavar="USER/NAME")
@click.option("--public", is_flag=True, help="Let others see it; a new repository is private "
              "otherwise.")  # fmt: skip
@common_options
def push(run, name, public):
    """Upload a finished run to the Hugging Face hub, with its model card.

    Sent are the best model, configuration, history, scores, report and figures; not the checkpoints
    and not the names of the data's files. config.toml names the folder of the data, and the report
    shows some of its images. The run is then hf:USER/NAME wherever a run is taken.

    \b
    Examples:
      kerasdl push saved_models/segmentation-unet-scenes ada/unet-scenes
      kerasdl predict segment photos/ --run hf:ada/unet-scenes
    """
    from kerasdl.runs import hub
    from kerasdl.runs.run import Run

    opened = Run(run)
    _ = opened.metrics, opened.best_model  # it is finished
    click.echo(hub.push(opened.path, name, public))
