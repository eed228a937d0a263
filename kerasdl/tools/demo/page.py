"""The page: a place to drop an image, and a panel per run with its answer."""

import functools
import html
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import gradio

from kerasdl.core.errors import DataError
from kerasdl.engine.prediction.predictor import Predictor
from kerasdl.tools.demo import answers
from kerasdl.tools.demo.answers import SLIDERS, Answer, Row

TITLE = "kerasdl demo"
INTRODUCTION = "Drop an image to see what each run predicts. It stays on this machine."
EMPTY = "<p class='hint'>No image yet.</p>"
STYLE = pathlib.Path(__file__).with_name("style.css")
# Fonts of the system: those of Gradio's themes would have to be loaded.
THEME = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]).set(
    body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_400",
    block_info_text_color="*body_text_color_subdued",
    block_info_text_color_dark="*body_text_color_subdued",
)  # fmt: skip
NARROWEST = 200  # pixels of a column; what would be narrower goes to the next row
SMALLEST = 0.0005  # smaller values would be rounded to 0.0%

Updates = dict[Any, Any]  # by component


class Panel(NamedTuple):
    """An image, for kinds that have one, and text below it."""

    kind: str
    image: gradio.Image
    text: gradio.HTML


class Page:
    """The page for some runs; `blocks` is what Gradio serves.

    Args:
        runs: Predictors by the name to show.
    """

    def __init__(self, runs: Mapping[str, Predictor]):
        self._runs = runs
        kinds = {predictor.decoder.shown for predictor in runs.values()}
        self._panels: dict[str, Panel] = {}
        self._beside: dict[str, Panel] = {}  # by kind
        with gradio.Blocks(
            title=TITLE, analytics_enabled=False, delete_cache=(60, 300)
        ) as self.blocks:
            gradio.HTML(f"<h1>{TITLE}</h1><p>{INTRODUCTION}</p>")
            self._message = gradio.HTML(visible=False)
            with gradio.Row():
                with gradio.Column(scale=1, min_width=NARROWEST):
                    self._drop = gradio.File(show_label=False, height=150)
                    self._image = _image_of("Image")
                    self._caption = gradio.HTML()
                with gradio.Column(scale=3, min_width=NARROWEST):
                    with gradio.Row(visible=False) as self._controls:
                        self._sliders = {kind: _slider(kind) for kind in SLIDERS if kind in kinds}
                    with gradio.Row(elem_classes="panels"):
                        self._add_panels()
            self._kept = gradio.State({})
            self._connect()

    def _add_panels(self) -> None:
        for name, predictor in self._runs.items():
            kind = predictor.decoder.shown
            if kind in SLIDERS and SLIDERS[kind].beside and kind not in self._beside:
                self._beside[kind] = _panel(*SLIDERS[kind].beside, kind)
            self._panels[name] = _panel(name, predictor.task, kind)

    def _connect(self) -> None:
        panels = [*self._panels.values(), *self._beside.values()]
        self._drop.upload(
            self._predict,
            {self._drop, *self._sliders.values()},
            [self._drop, self._message, self._image, self._caption, self._controls, self._kept,
             *(each.image for each in panels), *(each.text for each in panels)],
            show_progress_on=[each.text for each in self._panels.values()],
            api_visibility="private",
        )  # fmt: skip
        for kind, slider in self._sliders.items():
            slider.input(
                functools.partial(self._draw, kind),
                [self._kept, slider],
                [panel.image for panel in self._panels.values() if panel.kind == kind],
                show_progress="hidden",
                trigger_mode="always_last",
                api_visibility="private",
            )

    def _predict(self, values: Updates, progress=gradio.Progress()) -> Updates:  # noqa: B008
        """Fills the page for the image that was dropped; the place to drop it is empty again."""
        path = pathlib.Path(values[self._drop])
        try:
            pixels = answers.read(path)
        except DataError as error:
            return self._cleared(str(error))
        kept = {
            name: answers.answer(
                predictor, pixels, lambda _, *tiles, run=name: progress(tiles, f"tiles, {run}")
            )
            for name, predictor in self._runs.items()
        }
        height, width = pixels.shape[:2]
        return {
            self._drop: None,
            self._message: gradio.HTML(visible=False),
            self._image: gradio.Image(answers.reduced(pixels), visible=True),
            self._caption: f"<p class='hint'>{html.escape(path.name)}, {width} x {height}</p>",
            self._controls: gradio.Row(visible=bool(self._sliders)),
            self._kept: kept,
            **self._answered(kept, values),
        }

    def _answered(self, kept: Mapping[str, Answer], values: Updates) -> Updates:
        """Fills the panels."""
        updates: Updates = {}
        for name, answer in kept.items():
            text = _error(answer.error) if answer.error else _bars(answer.rows)
            updates[self._panels[name].text] = text
        for kind, slider in self._sliders.items():
            updates |= self._draw(kind, kept, values[slider])
        for kind, panel in self._beside.items():
            drawn = [answer.draw for answer in self._of(kind, kept).values() if answer.draw]
            updates[panel.image] = _shown(drawn[0] if drawn else None, 0.0)
            updates[panel.text] = ""
        return updates

    def _draw(self, kind: str, kept: Mapping[str, Answer], position: float) -> Updates:
        """Draws the images of one kind again; the network is not needed for it."""
        return {
            self._panels[name].image: _shown(answer.draw, position)
            for name, answer in self._of(kind, kept).items()
        }

    def _cleared(self, message: str) -> Updates:
        """Shows a message and no answer, so that none of an earlier image stands beside it."""
        panels = [*self._panels.values(), *self._beside.values()]
        return {
            self._drop: None,
            self._message: gradio.HTML(_error(message), visible=True),
            self._image: gradio.Image(None, visible=False),
            self._caption: "",
            self._controls: gradio.Row(visible=False),
            self._kept: {},
            **{each.image: _shown(None, 0.0) for each in panels},
            **{each.text: EMPTY for each in panels},
        }

    def _of(self, kind: str, kept: Mapping[str, Answer]) -> dict[str, Answer]:
        return {name: each for name, each in kept.items() if self._panels[name].kind == kind}


def _panel(title: str, subtitle: str, kind: str) -> Panel:
    with gradio.Column(min_width=NARROWEST):
        gradio.HTML(f"<h2>{html.escape(title)}</h2><p class='hint'>{html.escape(subtitle)}</p>")
        return Panel(kind, _image_of(title), gradio.HTML(EMPTY))


def _image_of(name: str) -> gradio.Image:
    # The default format, WebP, would change the colors.
    return gradio.Image(
        format="png", interactive=False, buttons=["fullscreen"], visible=False, show_label=False,
        alt_text=name,
    )  # fmt: skip


def _slider(kind: str) -> gradio.Slider:
    each = SLIDERS[kind]
    return gradio.Slider(
        0, each.highest, each.start, step=0.05, label=each.label, info=each.info,
        buttons=[], min_width=NARROWEST,
    )  # fmt: skip


def _shown(draw: answers.Draw | None, position: float) -> gradio.Image:
    return gradio.Image(draw(position) if draw else None, visible=draw is not None)


def _bars(rows: Iterable[Row]) -> str:
    """Classes with their values as bars, in their colors if they have some."""
    bars = "".join(map(_bar, rows))
    return f"<ul class='bars'>{bars}</ul>" if bars else ""


def _bar(row: Row) -> str:
    value = "<0.1%" if 0 < row.value < SMALLEST else f"{row.value:.1%}"
    swatch, color = "", ""
    if row.color is not None:
        color = "; background: rgb({}, {}, {})".format(*row.color)
        swatch = f"<i style='{color[2:]}'></i>"
    return (
        f"<li><span>{swatch}{html.escape(row.name)}</span><b>{html.escape(value)}</b>"
        f"<div><div style='width: {row.value:.1%}{color}'></div></div></li>"
    )


def _error(message: str) -> str:
    return f"<p class='error' role='alert'>{html.escape(message)}</p>"
