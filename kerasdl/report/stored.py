"""Report data that metrics.json does not hold: images, calibration, source of the data.

It is stored in the run folder, as report.json and small PNG files under figures/images, so that a
report of one or several runs can be rewritten without the data and without Keras.
"""

import json
import pathlib

import numpy
from PIL import Image

from kerasdl.core import files
from kerasdl.core.errors import ModelFileError
from kerasdl.report import canvas
from kerasdl.runs import names

FOLDER = pathlib.Path(names.FIGURES) / "images"
MAX_WIDTH = 320  # pixels; a page shows three images side by side, and must fit in an email
KEYS = ("calibration", "parameters", "source", "license", "legend", "median_size")


def write(folder, document):
    """Writes the report data of a run document into the run folder.

    Args:
        folder: Run folder.
        document: Run document, see `html.py`.

    Raises:
        WriteError: A file cannot be written.
    """
    folder = pathlib.Path(folder)
    values = {key: document[key] for key in KEYS if document.get(key) is not None}
    images = document.get("images")
    if images:
        files.remove(folder / FOLDER)
        values["images"] = {"columns": list(images["columns"])}
        for kind in ("best", "worst"):
            values["images"][kind] = [
                [title, _write_images(folder, f"{kind}-{place}", images["columns"], row)]
                for place, (title, row) in enumerate(images[kind], 1)
            ]
    text = json.dumps(values, indent=1, ensure_ascii=False, default=_plain)
    files.write_text(folder / names.REPORT_DATA, text + "\n")


def read(folder):
    """The parts of a run document that `write` left; {} for runs of an older version.

    Raises:
        ModelFileError: The files are damaged.
    """
    path = pathlib.Path(folder) / names.REPORT_DATA
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        for kind in ("best", "worst") if "images" in values else ():
            values["images"][kind] = [
                (title, [_pixels(path.parent / name) for name in images])
                for title, images in values["images"][kind]
            ]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ModelFileError(
            f"damaged file ({error})", path, "remove it; `kerasdl report` writes it again"
        ) from error
    return values


def _write_images(folder, name, columns, images):
    paths = []
    for column, pixels in zip(columns, images, strict=True):
        image = Image.fromarray(numpy.asarray(pixels, "uint8"))
        image = image.reduce(max(1, -(-image.width // MAX_WIDTH)))
        path = FOLDER / f"{name}-{column}.png"
        canvas.write(canvas.png(image), folder / path)
        paths.append(path.as_posix())
    return paths


def _pixels(path):
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB"))


def _plain(value):
    """numpy's numbers and arrays as Python's."""
    return value.tolist()
