"""Figures of a search: its course, the importance of its keys, the score over each key."""

import math

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from kerasdl.report import canvas, names, runs


def history(document, path, theme=canvas.LIGHT):
    """The score of each trial and the best so far; trials that were ended early are hollow.

    Args:
        document: Content of tune.json, see `kerasdl.report.search_page`.
        path: A path or a binary stream.
        theme: Colors of the page.
    """
    drawing = canvas.figure(3.9, 2.5, theme)
    axes = drawing.subplots()
    finished = _points(axes, document, [each["number"] for each in document["trials"]], theme)
    lower = names.score(document["objective"]).better == "lower"
    best, course = None, []
    for number, value in finished:
        best = value if best is None else (min if lower else max)(best, value)
        course.append((number, best))
    course.append((document["trials"][-1]["number"], best))
    axes.step(*zip(*course, strict=True), where="post", color=theme.colors[1], linewidth=1.6,
              label="best so far", zorder=1)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    canvas.style(axes, theme)
    canvas.title(axes, names.heading(document["objective"]), theme)
    axes.legend(frameon=False, fontsize=8, labelcolor=theme.ink, loc="best")
    canvas.save(drawing, path)


def importance(document, path, theme=canvas.LIGHT):
    """A bar per key: its relative importance."""
    listed = list(document["importance"].items())[::-1]
    drawing = canvas.figure(3.9, max(1.2, 0.6 + 0.28 * len(listed)), theme)
    axes = drawing.subplots()
    canvas.style(axes, theme, grid="x")
    bars = axes.barh(
        range(len(listed)), [100 * value for _, value in listed], 0.6, color=theme.colors[0]
    )
    axes.bar_label(bars, fmt="%.0f", fontsize=8, color=theme.ink, padding=3)
    axes.set_yticks(range(len(listed)), [key for key, _ in listed], fontsize=8)
    axes.tick_params(axis="y", colors=theme.ink)
    axes.set_xlim(0, 112)
    canvas.title(axes, "Importance (%)", theme)
    canvas.save(drawing, path)


def values(document, key, path, theme=canvas.LIGHT):
    """The score of each trial over the value of one key; the best trial is ringed.

    Args:
        document: Content of tune.json.
        key: A key of the space.
        path: A path or a binary stream.
        theme: Colors of the page.
    """
    drawing = canvas.figure(3.3, 2.3, theme)
    axes = drawing.subplots()
    dimension = document["space"][key]
    choices = [runs.text(value) for value in dimension["choices"]]
    places = [each["settings"].get(key) for each in document["trials"]]
    if choices:
        places = [None if each is None else choices.index(runs.text(each)) for each in places]
    _points(axes, document, places, theme)
    if choices:
        axes.set_xticks(range(len(choices)), choices)
        axes.set_xlim(-0.5, len(choices) - 0.5)
    elif dimension["log"]:
        axes.set_xscale("log")
        few = dimension["high"] < 100 * dimension["low"]
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    else:
        whole = isinstance(dimension["low"], int)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=whole))
    axes.set_xlabel(key)
    canvas.style(axes, theme)
    canvas.title(axes, names.heading(document["objective"]), theme)
    canvas.save(drawing, path)


def _points(axes, document, places, theme):
    """Draws the trials at given places (None: nowhere); returns those that finished."""
    canvas.style(axes, theme)
    factor = names.score(document["objective"]).factor
    drawn = {"finished": [], "pruned": []}
    for trial, place in zip(document["trials"], places, strict=True):
        value = trial["value"]
        if place is None or value is None or not math.isfinite(value):
            continue
        if trial["state"] in drawn:
            drawn[trial["state"]].append((place, value * factor))
        if trial["number"] == document["best"]:
            axes.plot(place, value * factor, "o", markersize=10, markerfacecolor="none",
                      markeredgecolor=theme.colors[1], markeredgewidth=1.5)  # fmt: skip
    for state, fill in (("pruned", "none"), ("finished", theme.colors[0])):
        if drawn[state]:
            axes.plot(*zip(*drawn[state], strict=True), "o", markersize=4.5, alpha=0.85, zorder=2,
                      markerfacecolor=fill, markeredgecolor=theme.colors[0], markeredgewidth=0.9,
                      label="ended early" if state == "pruned" else "finished")  # fmt: skip
    return drawn["finished"]
