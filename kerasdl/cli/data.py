"""`kerasdl data`."""

import json
import sys

import click

from kerasdl.cli.group import SuggestingGroup, common_options
from kerasdl.cli.options import TaskName, download_option, json_option
from kerasdl.runs import config as configuration
from kerasdl.tasks import TASKS


@click.group("data", cls=SuggestingGroup)
def data_group():
    """Look at data sets and check them."""


@data_group.command("show")
@click.argument("name", metavar="DATA", default="scenes")
@click.option("--task", type=TaskName(), default="segmentation", show_default=True)
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="train")
@click.option("--count", type=click.IntRange(1, 400), default=64, show_default=True)
@click.option("--image-size", help="HEIGHTxWIDTH; default: 64x64 for scenes, else as stored.")
@click.option("--masks/--no-masks", default=False, help="Draw masks beside the images.")
@click.option("--augmented", is_flag=True, help="As training sees them, epoch after epoch.")
@click.option("--baselines", is_flag=True, help="Also print what trivial methods reach.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key.")
@click.option("--out", type=click.Path(), help="The PNG file; default: DATA-sheet.png.")
@download_option
@common_options
def data_show(name, task, split, count, image_size, masks, augmented, baselines, assignments, out,
              download):  # fmt: skip
    """Draw a contact sheet of a data set.

    \b
    Examples:
      kerasdl data show scenes --baselines
      kerasdl data show photos/ --masks --out sheet.png
      kerasdl data show photos/ --augmented --set augment_args.rotate=15
    """
    from kerasdl.tools import datashow

    config = configuration.override({"task": task, "data": name}, assignments)
    if download is not None:
        config["download"] = download
    if image_size:
        config["image_size"] = image_size
    for line in datashow.show(config, split, count, masks, augmented, baselines, out):
        click.echo(line)


@data_group.command("check")
@click.argument("name", metavar="DATA")
@click.option("--task", type=TaskName(), help="Default: guessed from the layout.")
@click.option("--quick", is_flag=True, help="The cheap part, which train runs first.")
@click.option("--sheet", type=click.Path(), help="Also draw a contact sheet with masks: a PNG.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key.")
@download_option
@json_option
@common_options
def data_check(name, task, quick, sheet, assignments, download, as_json):
    """Find what is wrong with data before training does; nothing is changed.

    One line per finding: what, where, the probable cause and the fix. Exit code 3 if something
    must be fixed.

    \b
    Examples:
      kerasdl data check photos/ --task segmentation
      kerasdl data check scenes --json
      kerasdl data check tfds:cifar10 --download
    """
    from kerasdl.tools import datashow

    values = configuration.override({"data": name}, assignments)
    if download is not None:
        values["download"] = download
    report = datashow.check(values, task, quick)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=1))
    else:
        for line in report.lines():
            click.echo(line)
    if sheet:
        config = {**values, "task": report.task}
        for line in datashow.show(
            config, "train", 64, TASKS[report.task].annotation == "mask", out=sheet
        ):
            click.echo(line, err=True)
    if report.failed:
        sys.exit(3)


@data_group.command("convert")
@click.argument("name", metavar="SRC")
@click.argument("out", metavar="OUT", type=click.Path())
@click.option("--task", type=TaskName(), help="Default: guessed from the layout.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key.")
@download_option
@common_options
def data_convert(name, out, task, assignments, download):
    """Write any readable data set as plain folders; SRC is never changed.

    Class folders, or images/ and masks/, with a dataset.toml. Images are copied as they are, masks
    become PNG files whose values are the class indices.

    \b
    Examples:
      kerasdl data convert VOCdevkit/ voc-plain/ --task segmentation
      kerasdl data convert coco/ plain/ --set skip_invalid=true
    """
    from kerasdl.tools import datashow

    values = configuration.override({"data": name}, assignments)
    if download is not None:
        values["download"] = download
    click.echo(datashow.convert(values, out, task))
