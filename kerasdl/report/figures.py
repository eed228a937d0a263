"""Figures of the report: training curves, grids of images, per-class and calibration charts.

Every chart goes to a path or a binary stream as a PNG below 150 KB, and reads well at 600 px width.
"""

import math

import numpy
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator

from kerasdl.report import canvas, history, names

MARKED_RATES = 6  # with more changes of the learning rate it is a schedule, not drops
NUMBERED_CLASSES = 16  # confusion matrices up to this size show numbers


def training_curves(
    rows, path, title="", panels=("loss", "score"), monitor="val_loss", theme=canvas.LIGHT
):
    """Figure 1: loss and score per epoch for training and validation.

    Dashed lines mark the first epoch of each new learning rate, a ring the best epoch.

    Args:
        rows: Rows of the history: dicts with `epoch`, `loss`, `val_loss`, `learning_rate` and a
            score (the first present of `accuracy`, `mean_iou`, `psnr`, `ssim`).
        path: Where the PNG goes: a path or a binary stream.
        title: Heading of the first panel; empty: the name of what it shows.
        panels: "loss", "score" (the first of `history.curve_scores`), or names of scores; a score
            that is not recorded is left out.
        monitor: The column by which the best epoch was chosen.
        theme: Colors of the page.
    """
    columns = _panel_columns(rows, panels)
    drawing = canvas.figure(3.3 * len(columns), 2.5, theme)
    for axes, column in zip(_panels(drawing, columns), columns, strict=True):
        for name, label, color in (
            (column, "training", theme.colors[0]),
            (f"val_{column}", "validation", theme.colors[1]),
        ):
            if history.has(rows, name):
                _curve(axes, rows, name, label, color)
        _mark_rates(axes, rows, theme)
        _mark_best(axes, rows, f"val_{column}", monitor, theme)
        _finish_curves(axes, rows, column, theme)
        _legend(axes, theme)
    if title:
        drawing.suptitle(title, x=0.01, ha="left", fontsize=10, color=theme.ink)
    canvas.save(drawing, path)


def training_curves_many(runs, path, panels=("loss", "score"), theme=canvas.LIGHT):
    """Validation curves of several runs, one color per run.

    Args:
        runs: Mapping of names to rows of their histories.
        path: A path or a binary stream.
        panels: As there.
        theme: Colors of the page.
    """
    rows = max(runs.values(), key=len)
    columns = _panel_columns([row for each in runs.values() for row in each], panels)
    available = 19 * len(columns)  # characters of a name that fit in half the width
    per_line = 2 if max(map(len, runs)) <= available else 1
    lines = -(-len(runs) // per_line)
    drawing = canvas.figure(3.3 * len(columns), 2.5 + 0.18 * lines, theme)
    for axes, column in zip(_panels(drawing, columns), columns, strict=True):
        for place, (name, run) in enumerate(runs.items()):
            color = theme.colors[place % len(theme.colors)]
            dashed = place >= len(theme.colors)
            recorded = f"val_{column}" if history.has(run, f"val_{column}") else column
            _curve(axes, run, recorded, name, color, "--" if dashed else "-")
        _finish_curves(axes, rows, column, theme, "validation ")
    handles, labels = axes.get_legend_handles_labels()
    legend = drawing.legend(
        handles, labels, loc="outside lower left", ncols=per_line, frameon=False, fontsize=8
    )
    for text in legend.get_texts():
        text.set_color(theme.ink)
    canvas.save(drawing, path)


def image_grid(rows, column_titles, path, legend=None, theme=canvas.LIGHT):
    """Figures 2 and 3: a grid of images, upsampled by an integer factor without smoothing.

    Args:
        rows: Lists of images, uint8 RGB, shape (height, width, 3), all of one size.
        column_titles: One title per column.
        path: A path or a binary stream.
        legend: [(class name, (red, green, blue)), ...] to explain colors of masks, or None.
        theme: Colors of the page.
    """
    height, width = rows[0][0].shape[:2]
    factor = max(1, round(150 / width))
    height, width, gap = height * factor, width * factor, 6
    total_width = len(column_titles) * (width + gap) - gap
    per_line = max(1, total_width // 105)
    legend_lines = -(-len(legend) // per_line) if legend else 0
    bottom = 22 * legend_lines + (6 if legend else 0)
    total_height = 26 + len(rows) * (height + gap) - gap + bottom
    drawing = canvas.figure(total_width / 100, total_height / 100, theme)
    drawing.set_dpi(100)
    pixels = numpy.empty((total_height, total_width, 3), "uint8")
    pixels[:] = [int(theme.page[place : place + 2], 16) for place in (1, 3, 5)]
    for row_number, row in enumerate(rows):
        top = 26 + row_number * (height + gap)
        for column_number, image in enumerate(row):
            start = column_number * (width + gap)
            upsampled = numpy.repeat(numpy.repeat(image, factor, axis=0), factor, axis=1)
            pixels[top : top + height, start : start + width] = upsampled
    for column_number, text in enumerate(column_titles):
        middle = column_number * (width + gap) + width / 2
        drawing.text(
            middle / total_width, 1 - 12 / total_height, text, ha="center", va="center",
            fontsize=10, color=theme.ink,
        )  # fmt: skip
    for place, (name, color) in enumerate(legend or ()):
        line, column = divmod(place, per_line)
        start, top = column * 105, total_height - bottom + 8 + 22 * line
        pixels[top + 2 : top + 14, start : start + 12] = color
        drawing.text(
            (start + 18) / total_width, 1 - (top + 8) / total_height, name, va="center",
            fontsize=9, color=theme.ink,
        )  # fmt: skip
    canvas.write(canvas.image_png(_with_text(drawing, pixels)), path)


def confusion_matrix_figure(matrix, class_names, path, theme=canvas.LIGHT):
    """Confusion matrix in percent of each true class (rows: truth, columns: prediction).

    Args:
        matrix: Counts, shape (classes, classes).
        class_names: Names in the order of the rows.
        path: A path or a binary stream.
        theme: Colors of the page.
    """
    fractions = row_fractions(matrix)
    classes = len(fractions)
    numbered = classes <= NUMBERED_CLASSES
    side = min(5.2, 1.4 + 0.33 * classes) if numbered else 4.6
    drawing = canvas.figure(side, side, theme)
    axes = drawing.add_subplot()
    strong = theme.colors[0]
    colors = LinearSegmentedColormap.from_list("fractions", [theme.page, strong])
    axes.imshow(numpy.nan_to_num(fractions), cmap=colors, vmin=0, vmax=1)
    canvas.style(axes, theme, grid="")
    step = 1 if classes <= 40 else -(-classes // 40)
    ticks = range(0, classes, step)
    size = 8 if numbered else 5
    axes.set_xticks(ticks, [class_names[tick] for tick in ticks], rotation=90, fontsize=size)
    axes.set_yticks(ticks, [class_names[tick] for tick in ticks], fontsize=size)
    canvas.title(axes, "Confusion, percent of each true class", theme)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in numpy.ndindex(*fractions.shape) if numbered else ():
        percent = fractions[row, column] * 100
        if percent >= 0.5:
            light_text = (percent > 50) == (theme is canvas.LIGHT)
            axes.text(
                column, row, f"{percent:.0f}", ha="center", va="center", fontsize=8,
                color="#ffffff" if light_text else "#101114", in_layout=False,
            )  # fmt: skip
    for row in numpy.flatnonzero(numpy.isnan(fractions).all(axis=1)) if numbered else ():
        axes.text(
            (classes - 1) / 2, row, "absent", ha="center", va="center", fontsize=7,
            color=theme.muted,
        )  # fmt: skip
    if numbered:
        axes.set_xticks(numpy.arange(-0.5, classes), minor=True)
        axes.set_yticks(numpy.arange(-0.5, classes), minor=True)
        axes.grid(which="minor", color=theme.grid, linewidth=0.8)
        axes.tick_params(which="minor", length=0)
    canvas.save(drawing, path)


def row_fractions(matrix):
    """Rows of a confusion matrix divided by their sums; rows of absent classes are NaN."""
    counts = numpy.asarray(matrix, "float64")
    sums = counts.sum(axis=1, keepdims=True)
    return numpy.divide(counts, sums, out=numpy.full_like(counts, math.nan), where=sums > 0)


def per_class_bars(values, path, title="", theme=canvas.LIGHT):
    """One bar per class, best first, with its value in percent.

    Args:
        values: Mapping of class names to fractions from 0 to 1; None or NaN for an absent class.
        path: A path or a binary stream.
        title: Heading, or "".
        theme: Colors of the page.
    """
    known = {name: math.nan if value is None else value for name, value in values.items()}
    ordered = sorted(known, key=lambda name: -1.0 if math.isnan(known[name]) else known[name])
    drawing = canvas.figure(3.6, 0.6 + 0.21 * len(ordered), theme)
    axes = drawing.add_subplot()
    fractions = [0.0 if math.isnan(known[name]) else known[name] * 100 for name in ordered]
    axes.barh(ordered, fractions, height=0.66, color=theme.colors[0])
    for place, (name, fraction) in enumerate(zip(ordered, fractions, strict=True)):
        text = "absent" if math.isnan(known[name]) else f"{fraction:.1f}"
        axes.text(fraction + 1.2, place, text, va="center", fontsize=8, color=theme.ink)
    axes.set_xlim(0, 113)
    axes.set_xticks(range(0, 101, 25), [f"{tick} %" for tick in range(0, 101, 25)])
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    canvas.style(axes, theme, grid="x")
    axes.tick_params(axis="y", colors=theme.ink)
    if title:
        canvas.title(axes, title, theme)
    canvas.save(drawing, path)


def calibration_figure(bins, path, theme=canvas.LIGHT):
    """Reliability diagram: accuracy by confidence, with the fraction of images below it.

    Args:
        bins: Dicts with `low`, `high` (bounds of the confidence), `count`, `confidence` and
            `accuracy` (means in the bin; ignored where `count` is 0).
        path: A path or a binary stream.
        theme: Colors of the page.
    """
    drawing = canvas.figure(3.3, 3.3, theme)
    upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = [each for each in bins if each["count"]]
    total = sum(each["count"] for each in filled)
    left = [each["low"] for each in filled]
    widths = [(each["high"] - each["low"]) * 0.94 for each in filled]
    upper.bar(
        left, [each["accuracy"] for each in filled], widths, align="edge", color=theme.colors[0]
    )
    upper.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle="--")
    upper.plot(
        [each["confidence"] for each in filled], [each["accuracy"] for each in filled], "o",
        color=theme.colors[1], markersize=4, markeredgecolor=theme.page, markeredgewidth=0.7,
    )  # fmt: skip
    lower.bar(
        left, [each["count"] / total for each in filled], widths, align="edge", color=theme.muted
    )
    for axes in (upper, lower):
        canvas.style(axes, theme)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda fraction, _: f"{fraction * 100:.0f} %"))
        axes.set_xlim(0, 1)
    canvas.title(upper, "Calibration", theme)
    upper.set_ylim(0, 1)
    upper.set_ylabel("accuracy")
    lower.yaxis.set_major_locator(MaxNLocator(2))
    lower.set_xticks([0.2, 0.4, 0.6, 0.8, 1.0])
    lower.xaxis.set_major_formatter(FuncFormatter(lambda fraction, _: f"{fraction * 100:.0f} %"))
    lower.set_xlabel("confidence")
    lower.set_ylabel("images")
    canvas.save(drawing, path)


def _panel_columns(rows, panels):
    """Column names of the panels that can be drawn from these rows."""
    first = history.curve_scores(rows)[:1]
    columns = [column for each in panels for column in (first if each == "score" else [each])]
    return columns or ["loss"]


def _panels(drawing, columns):
    return drawing.subplots(1, len(columns), squeeze=False)[0]


def _curve(axes, rows, name, label, color, line="-"):
    shown = names.score(name)
    values = [value * shown.factor for value in history.column(rows, name)]
    single = sum(map(math.isfinite, values)) == 1  # a line with a single point would be invisible
    epochs = [row["epoch"] for row in rows]
    marker = "o" if single else None
    axes.plot(epochs, values, line, marker=marker, label=label, color=color, linewidth=1.6)


def _mark_rates(axes, rows, theme):
    changes = history.rate_changes(rows)
    if len(changes) > MARKED_RATES:
        return
    spacing = len(rows) / 7  # epochs that one label covers
    previous, raised = -spacing, False
    for epoch, rate in changes:
        axes.axvline(epoch - 0.5, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        raised = epoch - previous < spacing and not raised
        axes.annotate(
            f"rate {rate:.2g}", (epoch - 0.5, 1), xycoords=("data", "axes fraction"),
            xytext=(0, 9 if raised else 1), textcoords="offset points", ha="center", va="bottom",
            fontsize=7, color=theme.muted,
        )  # fmt: skip
        previous = epoch


def _mark_best(axes, rows, name, monitor, theme):
    epoch = history.best_epoch(rows, monitor)
    for row, value in zip(rows, history.column(rows, name), strict=True):
        if row["epoch"] == epoch and math.isfinite(value):
            value *= names.score(name).factor
            axes.plot(
                [epoch], [value], "o", markersize=7, markerfacecolor="none", markeredgewidth=1.4,
                markeredgecolor=theme.ink, label=f"best: epoch {epoch}", zorder=4,
            )  # fmt: skip


def _finish_curves(axes, rows, column, theme, prefix=""):
    shown = names.score(column)
    unit = f" ({shown.unit})" if shown.unit else ""
    canvas.style(axes, theme)
    text = f"{prefix}{shown.label}{unit}"
    canvas.title(axes, text[0].upper() + text[1:], theme, pad=17)
    axes.set_xlabel("epoch")
    last = max((row["epoch"] for row in rows), default=1)
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _legend(axes, theme):
    legend = axes.legend(fontsize=8, frameon=True, framealpha=0.85, loc="best")
    legend.get_frame().set(facecolor=theme.page, linewidth=0)
    for text in legend.get_texts():
        text.set_color(theme.ink)


def _with_text(drawing, pixels):
    """Draws the figure's text over the pixels."""
    drawing.figimage(pixels, origin="upper")
    drawing.canvas.draw()
    return numpy.asarray(drawing.canvas.buffer_rgba())[..., :3]
