"""`kerasdl export`."""

import json

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import Name, json_option
from kerasdl.runs.runtimes import FORMATS


@click.command()
@click.argument("run", type=click.Path())
@click.option("--format", "kind", required=True, type=Name(FORMATS), help="Format of the file.")
@click.option("--dynamic", is_flag=True, help="Free height and width: multiples of the stride.")
@click.option("--half", is_flag=True, help="Kernels in float16: half the size.")
@click.option("--int8", is_flag=True,
              help="Weights and activations in int8, calibrated on validation images.")  # fmt: skip
@click.option("--layout", type=Name(("triton", "tf-serving")), default="",
              help="Write the folder that this server reads.")  # fmt: skip
@click.option("--out", type=click.Path(),
              help="File, or folder (SavedModel, layout); default: exported in RUN.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@click.option("--images", type=click.IntRange(1), default=200, show_default=True,
              help="Test images to compare on, at most.")  # fmt: skip
@json_option
@common_options
def export(run, kind, dynamic, half, int8, layout, out, overwrite, images, as_json):
    """Export the best model of a run as a file that needs neither Keras nor kerasdl.

    The file is run by its own runtime on test images. If it differs from the run by more than
    rounding, nothing is written and the exit code is 3.

    \b
    Examples:
      kerasdl export saved_models/segmentation-unet-scenes --format onnx
      kerasdl export saved_models/segmentation-unet-scenes --format litert --int8
      kerasdl export saved_models/segmentation-unet-scenes --format onnx --layout triton --out repo
    """
    from kerasdl.tools.export import show
    from kerasdl.tools.export.run import ExportDiffers, export

    try:
        document = export(
            run, kind, out, dynamic=dynamic, half=half, int8=int8, layout=layout,
            overwrite=overwrite, images=images,
        )  # fmt: skip
    except ExportDiffers as error:
        _print(error.document, as_json, show)
        raise
    _print(document, as_json, show)


def _print(document, as_json, show):
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        show.show_document(document)
