"""What the page shows for an image: kept from the prediction, drawn again when a slider moves."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy
import PIL.Image

from kerasdl.core.errors import KerasdlError
from kerasdl.engine import failures
from kerasdl.engine.prediction import Prediction
from kerasdl.engine.prediction.predictor import Predictor, Progress
from kerasdl.engine.prediction.sources import decoded
from kerasdl.tasks.prediction import Names, Settings, colorization, to_unit

MAX_SIDE = 1024  # pixels of what is shown: PNGs of large photographs would make a slider slow

Draw = Callable[[float], PIL.Image.Image]


class Row(NamedTuple):
    """A class of an answer: its probability or its fraction of the pixels, and its color."""

    name: str
    value: float
    color: tuple[int, int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of one run for one image.

    Attributes:
        rows: Classes, the largest value first.
        draw: Function (position of the slider) -> the image of the answer, or None.
        error: Why there is no answer: one line.
    """

    rows: tuple[Row, ...] = ()
    draw: Draw | None = None
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class Slider:
    """How the image of an answer can be changed without the network.

    Attributes:
        label: Its label.
        info: What its ends mean.
        highest: Its last position; the first is 0.
        start: Position at first.
        beside: Title and subtitle of the image at position 0, if it is shown beside the answers.
        drawer: Function (prediction, pixels, predictor) -> function (position) -> image.
    """

    label: str
    info: str
    highest: float
    start: float
    beside: tuple[str, str] | None
    drawer: Callable[[Prediction, numpy.ndarray, Predictor], Draw]


def overlay(found: Prediction, pixels: numpy.ndarray, predictor: Predictor) -> Draw:
    """Draws (1 - opacity) * image + opacity * class colors."""
    image = reduced(pixels)
    classes = reduced(predictor.names.palette[found.mask])
    return lambda opacity: PIL.Image.blend(image, classes, opacity)


def recolored(found: Prediction, pixels: numpy.ndarray, predictor: Predictor) -> Draw:
    """Draws the lightness of the image with the predicted chroma times the saturation.

    The chroma is that of the predicted image, so what was out of the gamut at saturation 1 becomes
    paler below it than in `kerasdl predict --saturation`.
    """
    gray = numpy.asarray(reduced(pixels))
    colored = numpy.asarray(reduced(numpy.asarray(found.image)))
    chroma = colorization.predicted_chroma(to_unit(colored))
    box = (0, 0, gray.shape[1], gray.shape[0])

    def draw(saturation: float) -> PIL.Image.Image:
        settings = Settings(saturation=saturation)
        return PIL.Image.fromarray(colorization.paint(chroma, box, gray, settings))

    return draw


# By the kind of the file that a prediction is written as.
SLIDERS: Mapping[str, Slider] = {
    "mask": Slider("Opacity of the mask", "0 shows the image, 1 the mask", 1.0, 0.5, None, overlay),
    "image": Slider(
        "Saturation", "0 is gray, 1 as predicted", 2.0, 1.0, ("Gray", "what the model sees"),
        recolored,
    ),
}  # fmt: skip


def read(path: str | os.PathLike[str]) -> numpy.ndarray:
    """The image in an uploaded file, uint8 (H, W, 3). Raises DataError with the file's name."""
    path = pathlib.Path(path)
    return decoded(path.read_bytes(), path.name)


def reduced(pixels: numpy.ndarray) -> PIL.Image.Image:
    """An image uint8 (H, W, 3) at the size at which it is shown."""
    image = PIL.Image.fromarray(pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE), PIL.Image.Resampling.BOX)
    return image


def answer(predictor: Predictor, pixels: numpy.ndarray, progress: Progress | None = None) -> Answer:
    """What a run says about an image; `progress` is called as by `Predictor.run`."""
    try:
        with failures.training_errors():
            (found,) = predictor.run([pixels], progress=progress)
    except KerasdlError as error:
        return Answer(error=str(error))
    if found.error is not None:
        return Answer(error=found.error)
    slider = SLIDERS.get(predictor.decoder.shown)
    return Answer(
        rows=tuple(_rows(found, predictor.names)),
        draw=slider and slider.drawer(found, pixels, predictor),
    )


def _rows(found: Prediction, names: Names) -> Iterator[Row]:
    for name, probability in found.classes or ():
        yield Row(name, probability)
    for name, fraction in (found.fractions or {}).items():
        yield Row(name, fraction, tuple(names.palette[names.classes.index(name)].tolist()))
