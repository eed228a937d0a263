"""Colors, fonts and saving for all figures; matplotlib without pyplot's global state."""

import dataclasses
import io
import pathlib
import warnings

import matplotlib
import numpy
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from kerasdl.core import files

DPI = 200
matplotlib.rcParams["text.parse_math"] = False  # "$" in the name of a class is a dollar
# Characters that the font lacks are drawn as boxes, which says enough.
warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from", category=UserWarning)
MAX_BYTES = 150_000  # bytes; small enough for a README


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colors of a figure on a light or a dark page.

    `colors` are the colorblind-safe ones of Okabe and Ito (2008); the first is for training, the
    second for validation. On a dark page sky blue replaces blue.
    """

    page: str
    ink: str
    muted: str
    grid: str
    colors: tuple[str, ...]


LIGHT = Theme(
    page="#ffffff",
    ink="#1d1f23",
    muted="#5f646d",
    grid="#e4e6ea",
    colors=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
)
DARK = Theme(
    page="#1b1d21",
    ink="#e8e9ec",
    muted="#a2a7b0",
    grid="#34373d",
    colors=("#56B4E9", "#E69F00", "#1FC18F", "#CC79A7", "#F0E442", "#D55E00", "#ffffff"),
)


def figure(width, height, theme):
    """An empty figure of width x height inches on an Agg canvas."""
    drawing = Figure(figsize=(width, height), dpi=DPI, facecolor=theme.page, layout="constrained")
    FigureCanvasAgg(drawing)
    return drawing


def style(axes, theme, grid="y"):
    """Minimal axes: no box, thin grid on one axis ("x", "y" or ""), muted labels."""
    axes.set_facecolor(theme.page)
    axes.tick_params(colors=theme.muted, labelsize=8, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom" and grid == "y")
        spine.set_color(theme.muted)
    if grid:
        axes.grid(axis=grid, color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(theme.muted)
        label.set_fontsize(8)


def title(axes, text, theme, pad=6):
    """Title at the left edge of the axes, in the ink color."""
    axes.set_title(text, loc="left", fontsize=9, color=theme.ink, fontweight="bold", pad=pad)


def save(drawing, target):
    """Saves a matplotlib figure as a small PNG with a palette of 64 colors.

    Args:
        drawing: The figure.
        target: Path (its folder is created), or a binary stream.

    Raises:
        WriteError: The file cannot be written.
    """
    drawing.canvas.draw()
    pixels = numpy.asarray(drawing.canvas.buffer_rgba())[..., :3]
    image = Image.fromarray(numpy.ascontiguousarray(pixels))
    write(png(image.quantize(64, method=Image.Quantize.MEDIANCUT, dither=0)), target)


def png(image):
    """A Pillow image as the bytes of an optimized PNG."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def image_png(pixels):
    """uint8 RGB pixels, shape (height, width, 3), as PNG bytes; 256 colors only if too large."""
    image = Image.fromarray(numpy.ascontiguousarray(pixels))
    data = png(image)
    if len(data) > MAX_BYTES:
        data = png(image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=0))
    return data


def write(data, target):
    """Writes bytes to a stream, or atomically to a path. Raises WriteError."""
    if hasattr(target, "write"):
        target.write(data)
        return
    path = pathlib.Path(target)
    with files.replacing(path, len(data)) as temporary:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
