"""`kerasdl predict`."""

import json
import os
import sys

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import (
    backend_option,
    chosen_run,
    json_option,
    named_runs,
    task_argument,
    tile_options,
)
from kerasdl.core.errors import ConfigError
from kerasdl.tasks import TASKS

STDIN = "-"


@click.command()
@task_argument
@click.argument("images", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--run", "runs", multiple=True, type=click.Path(),
              help="Run folder, hf:USER/NAME, or a file of kerasdl export; default: the newest "
              "finished run of the task. Several are compared: each has a subfolder of its "
              "name.")  # fmt: skip
@click.option("--out", type=click.Path(), help="Folder for masks or colorized images.")
@click.option("--overwrite", is_flag=True, help="Replace existing results.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True,
              help="Classification: number of classes to list.")  # fmt: skip
@click.option("--saturation", type=click.FloatRange(0), default=1.0, metavar="FACTOR",
              help="Colorization: factor of the chroma; 0 is gray, default 1.")  # fmt: skip
@tile_options
@backend_option
@json_option
@common_options
def predict(
    task, images, runs, out, overwrite, top, saturation, tile, overlap, scale, backend, as_json
):
    """Predict for images of any size.

    Classification prints classes with probabilities. Segmentation writes the mask and an overlay,
    colorization the colorized image, at the size of the input, to --out (default: predictions).
    IMAGES are files, folders, quoted patterns, videos, or - for an image on standard input, whose
    result goes to standard output.

    \b
    Examples:
      kerasdl predict classify cat.jpg dog.jpg
      kerasdl predict segment photos/ --out masks/
      kerasdl predict segment 'photos/**/*.jpg' --run unet --run fcn8
      kerasdl predict segment photos/ --run model.onnx
      kerasdl predict colorize old.jpg --saturation 1.3
      kerasdl predict segment clip.mp4
      kerasdl predict segment - < photo.jpg > mask.png
    """
    from kerasdl.engine.prediction.geometry import Tiling

    tiling = Tiling(tile, overlap, scale)
    if STDIN in images:
        if len(images) > 1 or len(runs) > 1 or out is not None:
            raise ConfigError(
                "- is one image for one run, and its result goes to standard output",
                fix="leave out --out and the other images and runs",
            )
        _predict_stdin(task, runs[0] if runs else None, backend, tiling, top, saturation, as_json)
        return
    out = out or TASKS[task].default_out or None
    named = _named(runs)
    # All first: a bad one ends the command before anything is written.
    predictors = {
        name: _predictor(task, run, backend, tiling, top, saturation) for name, run in named.items()
    }
    found = {}
    for name, predictor in predictors.items():
        folder = out if out is None or len(named) == 1 else os.path.join(out, name)
        found[name] = _predict(predictor, images, folder, overwrite, as_json or len(named) > 1)
    if as_json:
        listed = [
            {"run": name, "predictions": [each.as_dict() for each in each_run]}
            for name, each_run in found.items()
        ]
        plain = listed if len(named) > 1 else listed[0]["predictions"]
        click.echo(json.dumps(plain, ensure_ascii=False, indent=1))
    elif len(named) > 1:
        from kerasdl.report import terminal

        terminal.show_predictions(found)
    bad = [each.error for each_run in found.values() for each in each_run if each.error is not None]
    for error in bad:
        click.echo(f"error: {error}", err=True)
    if bad:
        sys.exit(3)


def _predict(predictor, images, out, overwrite, silent):
    """Predictions of one run, printed one by one unless `silent`."""
    from kerasdl.engine.prediction import write_index
    from kerasdl.report import terminal

    found = []
    with terminal.tile_progress(_is_quiet()) as progress:
        for each in predictor.run(list(images), out, overwrite, keep=False, progress=progress):
            found.append(each)
            if each.error is None and not silent:
                click.echo(prediction_line(each))
    if out is not None and any(each.error is None for each in found):
        write_index(found, out)
    return found


def _predict_stdin(task, run, backend, tiling, top, saturation, as_json):
    """The image on standard input; its result on standard output, as text or as PNG."""
    from kerasdl.engine.prediction import sources

    pixels = sources.decoded(sys.stdin.buffer.read(), "standard input")
    predictor = _predictor(task, run, backend, tiling, top, saturation)
    kind = predictor.decoder.shown
    if kind and not as_json and sys.stdout.isatty():
        raise ConfigError("a PNG would fill the terminal", fix="redirect it: > result.png")
    (found,) = predictor.run([pixels])
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=1))
    elif kind:
        file = predictor.decoder.files[kind]
        file.draw(found, pixels, predictor.names).save(sys.stdout.buffer, **file.format)
    else:
        click.echo(found.text)


def _predictor(task, run, backend, tiling, top, saturation):
    from kerasdl.engine import run as engine

    if run is None or not engine.is_exported(run):
        return engine.predictor(chosen_run(task, run, backend), tiling, top, saturation)
    if backend:
        raise ConfigError("an exported file needs no backend", run, "leave out --backend")
    predictor = engine.predictor(run, tiling, top, saturation)
    if predictor.task != task:
        raise ConfigError(f"a model for {predictor.task}, not {task}", run)
    return predictor


def _named(runs):
    """The runs by name; one needs no name."""
    if len(runs) < 2:
        return dict.fromkeys(["run"], runs[0] if runs else None)
    return named_runs(runs)


def _is_quiet():
    return bool(click.get_current_context().find_root().ensure_object(dict).get("quiet"))


def prediction_line(found):
    """One prediction as a line of text."""
    files = "  -> " + ", ".join(found.files.values()) if found.files else ""
    return f"{found.name}: {found.text}{files}"
