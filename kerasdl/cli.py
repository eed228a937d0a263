"""The command line: words to a configuration, one call, words back; imports no framework."""

import json
import logging
import sys

import click

from kerasdl import __version__
from kerasdl import config as configuration
from kerasdl.errors import ConfigError, KerasdlError
from kerasdl.options import (
    TaskName,
    Words,
    backend_option,
    common_options,
    config_options,
    json_option,
    resolve,
    run_option,
    task_argument,
)


@click.group(cls=Words, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kerasdl")
@common_options
@click.pass_context
def cli(context):
    """Train, evaluate and use image networks on TensorFlow, JAX or PyTorch.

    \b
    TASK is classification, segmentation or colorization
    (classify, segment and colorize mean the same).

    \b
    Examples:
      kerasdl train segmentation --model fcn32
      kerasdl evaluate colorize
      kerasdl predict segment photos/ --out masks/
      kerasdl reproduce --quick
    """
    context.ensure_object(dict)


@cli.command()
@task_argument
@config_options
@backend_option
@click.option("--out", type=click.Path(), help="The run folder itself.")
@click.option("--resume", type=click.Path(), help="Go on with the run in this folder.")
@click.option("--overwrite", is_flag=True, help="Remove the run that is in the folder.")
@click.option("--allow-data-change", is_flag=True, help="Go on although the data changed.")
@json_option
@common_options
@click.pass_obj
def train(settings, task, config_file, assignments, backend, out, resume, overwrite,
          allow_data_change, as_json, **flags):  # fmt: skip
    """Train a network; repeated, the command goes on where it was interrupted.

    \b
    Examples:
      kerasdl train classification
      kerasdl train segmentation --model fcn32 --epochs 40
      kerasdl train colorize --set model_args.skips=none --out saved_models/plain
      kerasdl train segment --data photos/ --image-size 360x480
    """
    from kerasdl import run

    if resume:
        if out or config_file:
            raise ConfigError("--resume takes its configuration from the folder", resume)
        stored = configuration.as_dict(run.read_config(resume))
        values = configuration.override(stored, assignments)
        values |= {key: value for key, value in flags.items() if value is not None}
        config = configuration.make(values if backend is None else {**values, "backend": backend})
        if config.task != task:
            raise ConfigError(f"the run is one of {config.task}, not {task}", resume)
        out = resume
    else:
        config = resolve(task, config_file, assignments, backend, flags)
    quiet = settings.get("quiet", False)
    path = run.train(config, out, overwrite, allow_data_change, quiet=quiet)
    document = json.loads((path / "scores.json").read_text(encoding="utf-8"))
    show_scores({"run": str(path), **document}, as_json)


@cli.command()
@task_argument
@run_option
@click.option("--split", type=click.Choice(["test", "validation", "train"]), default="test")
@click.option("--data", help="Other data than those of the run, with the same classes.")
@click.option("--batch-size", type=click.IntRange(1), help="Another batch size.")
@backend_option
@json_option
@common_options
def evaluate(task, run, split, data, batch_size, backend, as_json):
    """Score the best model of a run.

    \b
    Examples:
      kerasdl evaluate colorize
      kerasdl evaluate segmentation --run saved_models/segmentation-unet-scenes --json
    """
    from kerasdl import run as rooms

    run = chosen_run(task, run, backend)
    show_scores(rooms.evaluate(run, split, data, batch_size), as_json)


@cli.command()
@task_argument
@click.argument("images", nargs=-1, required=True, type=click.Path())
@run_option
@click.option("--out", type=click.Path(), help="Folder for masks or coloured pictures.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True,
              help="Classification: how many classes to name.")  # fmt: skip
@backend_option
@json_option
@common_options
def predict(task, images, run, out, overwrite, top, backend, as_json):
    """Predict for pictures or folders of pictures of any size.

    Classification names classes and probabilities; segmentation writes the mask and an overlay,
    colorization the coloured picture, at the picture's own size, below --out (default:
    predictions).

    \b
    Examples:
      kerasdl predict classify cat.jpg dog.jpg
      kerasdl predict segment photos/ --out masks/
    """
    from kerasdl import run as rooms

    run = chosen_run(task, run, backend)
    if out is None and task != "classification":
        out = "predictions"
    found = rooms.predict(run, list(images), out, overwrite, top)
    if out is not None:
        from kerasdl.prediction import write_index

        write_index(found, out)
    if as_json:
        click.echo(json.dumps([each.as_dict() for each in found], ensure_ascii=False, indent=1))
    else:
        for each in found:
            if each.error is None:
                click.echo(prediction_line(each))
    bad = [each for each in found if each.error is not None]
    for each in bad:
        click.echo(f"error: {each.error}", err=True)
    if bad:
        sys.exit(3)


@cli.command()
@click.option("--quick", is_flag=True, help="Few pictures and epochs: minutes, not an hour.")
@click.option("--out", type=click.Path(), default="saved_models/reproduce", show_default=True)
@click.option("--seeds", type=click.IntRange(1), help="Runs per network (default 3, quick 1).")
@click.option("--data", default="scenes", show_default=True, help="Data with masks.")
@click.option("--config", "config_file", type=click.Path(), help="TOML file: another recipe.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key.")
@backend_option
@json_option
@common_options
@click.pass_obj
def reproduce(settings, quick, out, seeds, data, config_file, assignments, backend, as_json):
    """Train all networks of the report and compare: two tables, three figures, one page.

    Networks that are trained already are not trained again; interrupted, the command goes on.

    \b
    Examples:
      kerasdl reproduce --quick
      kerasdl reproduce --seeds 3 --backend torch
    """
    from kerasdl import reproduction

    values = configuration.override(
        configuration.read(config_file) if config_file else {}, assignments
    )
    page, documents = reproduction.reproduce(
        out, quick, seeds, {**values, "data": data}, backend, quiet=settings.get("quiet", False)
    )
    if as_json:
        click.echo(json.dumps({"page": str(page), "runs": documents}, ensure_ascii=False))
    else:
        reproduction.show(documents)
        click.echo(f"page: {page}")


@cli.group("config", cls=Words)
def config_group():
    """Show configurations."""


@config_group.command("show")
@task_argument
@config_options
@backend_option
@json_option
@common_options
def config_show(task, config_file, assignments, backend, as_json, **flags):
    """Print the configuration a training would have, as TOML.

    \b
    Example:
      kerasdl config show segmentation --model fcn8 --set model_args.stem=small
    """
    config = resolve(task, config_file, assignments, backend, flags)
    if as_json:
        click.echo(json.dumps(configuration.as_dict(config), indent=1))
    else:
        click.echo(configuration.dump(config), nl=False)


@cli.group("data", cls=Words)
def data_group():
    """Look at data sets and check them."""


@data_group.command("show")
@click.argument("name", metavar="DATA", default="scenes")
@click.option("--task", type=TaskName(), default="segmentation", show_default=True)
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="train")
@click.option("--count", type=click.IntRange(1, 400), default=64, show_default=True)
@click.option("--image-size", help="HEIGHTxWIDTH; default: 64x64 for scenes, else as stored.")
@click.option("--masks/--no-masks", default=False, help="Draw masks beside the pictures.")
@click.option("--augmented", is_flag=True, help="As training sees them, epoch after epoch.")
@click.option("--baselines", is_flag=True, help="Also print what trivial methods reach.")
@click.option("--out", type=click.Path(), help="The PNG file; default: DATA-sheet.png.")
@common_options
def data_show(name, task, split, count, image_size, masks, augmented, baselines, out):
    """Draw a contact sheet of a data set.

    \b
    Examples:
      kerasdl data show scenes --baselines
      kerasdl data show photos/ --masks --out sheet.png
    """
    from kerasdl import datashow

    config = {"task": task, "data": name}
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
@json_option
@common_options
def data_check(name, task, quick, sheet, assignments, as_json):
    """Find what is wrong with data before training does; nothing is changed.

    One line per finding: what, where, the probable cause and the mend. Exit code 3 if something
    must be mended.

    \b
    Examples:
      kerasdl data check photos/ --task segmentation
      kerasdl data check scenes --json
    """
    from kerasdl import datashow

    values = configuration.override({"data": name}, assignments)
    report = datashow.check(values, task, quick)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=1))
    else:
        for line in report.lines():
            click.echo(line)
    if sheet:
        config = {**values, "task": report.task}
        for line in datashow.show(config, "train", 64, report.task == "segmentation", out=sheet):
            click.echo(line, err=True)
    if report.failed:
        sys.exit(3)


@cli.command()
@click.option("--image-size", default="64x64", show_default=True, help="HEIGHTxWIDTH.")
@click.option("--outputs", type=click.IntRange(1), default=10, show_default=True)
@backend_option
@json_option
@common_options
def models(image_size, outputs, backend, as_json):
    """List the networks: parameters, operations, stride, options."""
    from kerasdl import backend as backends
    from kerasdl import summary

    backends.choose(backend or "auto")
    size = configuration.make({"image_size": image_size}).image_size
    rows = summary.summary(size, outputs)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        summary.show(rows, size, outputs)


def chosen_run(task, run, backend):
    """The run folder to use, and the backend fixed."""
    from kerasdl import backend as backends
    from kerasdl import run as rooms

    if run is None:
        run = rooms.newest(task)
        click.echo(f"run: {run}", err=True)
    elif rooms.read_config(run).task != task:
        raise ConfigError(f"the run is one of {rooms.read_config(run).task}, not {task}", run)
    backends.choose(backend or "auto")
    return run


def show_scores(document, as_json):
    """Scores on stdout: JSON, or a table with the baseline beside them."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    from kerasdl.report import terminal

    terminal.show_scores(document)


def prediction_line(found):
    """One prediction as a line of text."""
    if found.classes is not None:
        said = ", ".join(f"{name} {probability:.1%}" for name, probability in found.classes)
    elif found.shares is not None:
        said = ", ".join(f"{name} {share:.1%}" for name, share in list(found.shares.items())[:5])
    else:
        said = "coloured"
    files = "  -> " + ", ".join(found.files.values()) if found.files else ""
    return f"{found.name}: {said}{files}"


def main(arguments=None):
    """Runs the command line and exits with the documented code."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("kerasdl").setLevel(logging.INFO)
    try:
        sys.exit(cli.main(arguments, prog_name="kerasdl", standalone_mode=False) or 0)
    except KerasdlError as error:
        fail(error, error.exit_code, debug)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        fail(error.format_message(), 2, debug)
    except BrokenPipeError:
        # The reader of our output went away, such as `head`; that is no error of ours.
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        fail(f"defect in kerasdl: {type(error).__name__}: {error}", 1, debug)


def fail(message, code, debug):
    """One line on standard error and the exit code; the traceback only with --debug."""
    if debug:
        import traceback

        traceback.print_exc()
    lines = " ".join(str(message).split())
    click.echo(f"error: {lines}", err=True)
    sys.exit(code)
