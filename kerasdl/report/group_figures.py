"""Comparison of groups of runs: every run a dot, with mean and standard deviation."""

from matplotlib.ticker import MaxNLocator

from kerasdl.report import canvas, names, tables


def dots(documents, path, theme=canvas.LIGHT, scores=None):
    """One panel per score; rows are the groups, in their order from top to bottom.

    Args:
        documents: Scores documents of one task; runs with one label are a group.
        path: A path or a binary stream.
        theme: Colors of the page.
        scores: Names of the scores; the task's headline scores if None.
    """
    groups = tables.group(documents)
    scores = scores or shown(documents)
    longest = max(map(len, groups))
    width = 0.3 + 0.062 * longest + 2.1 * len(scores)
    drawing = canvas.figure(width, 0.75 + 0.31 * len(groups), theme)
    drawing.get_layout_engine().set(wspace=0.06)
    panels = drawing.subplots(1, len(scores), squeeze=False, sharey=True)[0]
    for axes, name in zip(panels, scores, strict=True):
        canvas.style(axes, theme, grid="x")
        for place, members in enumerate(groups.values()):
            _group(axes, place, members, name, theme)
        for edge in range(1, len(groups)):
            axes.axhline(edge - 0.5, color=theme.grid, linewidth=0.8, zorder=0)
        for side in ("left", "right", "top", "bottom"):
            axes.spines[side].set(visible=True, color=theme.grid)
        canvas.title(axes, names.heading(name), theme)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.margins(x=0.08)
    panels[0].set_yticks(range(len(groups)), list(groups), fontsize=8)
    panels[0].set_ylim(len(groups) - 0.5, -0.5)
    for axes in panels:
        axes.tick_params(axis="y", colors=theme.ink)
    canvas.save(drawing, path)


def _group(axes, place, documents, name, theme):
    """The runs of one group as dots, below them their mean and standard deviation."""
    values = [document["scores"].get(name) for document in documents]
    values = [value * names.score(name).factor for value in values if value is not None]
    mean, deviation = tables.mean_and_deviation(values)
    if mean is None:
        return
    above = place - 0.14 if deviation is not None else place
    axes.plot(
        values, [above] * len(values), "o", markersize=4.5, color=theme.colors[0], alpha=0.7,
        markeredgewidth=0,
    )  # fmt: skip
    if deviation is not None:
        axes.errorbar(
            mean, place + 0.2, xerr=deviation, fmt="|", markersize=6, markeredgewidth=1.5,
            color=theme.ink, linewidth=1, capsize=2, capthick=1,
        )  # fmt: skip


def shown(documents):
    """The headline scores of the documents' task that were measured."""
    present = {name for document in documents for name in document["scores"]}
    return [name for name in names.headline(documents[0]["task"]) if name in present]
