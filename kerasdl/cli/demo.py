"""`kerasdl demo`."""

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import backend_option, named_runs, tile_options


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path())
@click.option("--port", type=click.IntRange(1, 65535),
              help="Port of the page; default: the first free one from 7860.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@tile_options
@backend_option
@common_options
def demo(runs, port, no_browser, tile, overlap, scale, backend):
    """Try runs in the browser: drop an image, see what they predict.

    RUN is a run folder or a file of kerasdl export; several are shown side by side. The page is
    served to this machine only and loads nothing from elsewhere. Ctrl-C ends it.

    \b
    Examples:
      kerasdl demo saved_models/segmentation-unet-scenes
      kerasdl demo saved_models/fcn32 saved_models/unet
      kerasdl demo model.onnx --port 8000 --no-browser
    """
    from kerasdl.tools.demo import server

    server.require_gradio()
    from kerasdl.engine import run as engine
    from kerasdl.engine.prediction.geometry import Tiling

    tiling = Tiling(tile, overlap, scale)
    named = named_runs(runs)
    if backend:
        from kerasdl import backend as backends

        backends.start(backend)
    predictors = {name: engine.predictor(run, tiling) for name, run in named.items()}
    with server.serving(predictors, port) as url:
        click.echo(f"{url} (Ctrl-C ends it)")
        if not no_browser:
            click.launch(url)
        server.wait()
