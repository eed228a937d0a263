"""Charts of `kerasdl compare backends`: agreement, loss curves, layers, times."""

import math

from matplotlib.ticker import FuncFormatter

from kerasdl.report import canvas

FLOOR = 1e-9  # where differences of exactly zero are drawn on a logarithmic axis


def comparison_figure(document, path, theme=canvas.LIGHT):
    """One figure with the whole comparison.

    One model: loss curves, differences per layer, times. Several: agreement and times of each.

    Args:
        document: Content of compare.json, see `kerasdl.tools.compare.backends`.
        path: A path or a binary stream.
        theme: Colors of the page.
    """
    cases = [case for case in document["cases"] if timed(case)]
    if not cases:
        return
    if len(cases) == 1:
        drawing = canvas.figure(9.9, 2.9, theme)
        axes = drawing.subplots(1, 3)
        _losses(axes[0], cases[0], theme)
        _layers(axes[1], cases[0], theme)
        _times(axes[2], cases, theme)
    else:
        drawing = canvas.figure(9.0, _height(cases), theme)
        axes = drawing.subplots(1, 2)
        _agreement(axes[0], cases, theme)
        _times(axes[1], cases, theme)
        axes[1].tick_params(labelleft=False)  # the same as on the left
    canvas.save(drawing, path)


def losses_figure(case, path, theme=canvas.LIGHT):
    """Loss of each step of the short training, one curve per variant."""
    drawing = canvas.figure(3.3, 2.7, theme)
    _losses(drawing.add_subplot(), case, theme)
    canvas.save(drawing, path)


def layers_figure(case, path, theme=canvas.LIGHT):
    """Relative difference of each layer's output, from input to output."""
    drawing = canvas.figure(3.3, 2.7, theme)
    _layers(drawing.add_subplot(), case, theme)
    canvas.save(drawing, path)


def times_figure(cases, path, theme=canvas.LIGHT):
    """Time of a training step, median with quartiles, per case and variant."""
    drawing = canvas.figure(4.6 if len(cases) > 1 else 3.3, _height(cases), theme)
    _times(drawing.add_subplot(), cases, theme)
    canvas.save(drawing, path)


def agreement_figure(cases, path, theme=canvas.LIGHT):
    """Largest difference of outputs and gradient steps per case, with the tolerance."""
    drawing = canvas.figure(4.6, _height(cases), theme)
    _agreement(drawing.add_subplot(), cases, theme)
    canvas.save(drawing, path)


def timed(case):
    """The variants of a case that were measured, by name."""
    return {name: each for name, each in case["variants"].items() if "error" not in each}


def _height(cases):
    bars = sum(len(timed(case)) for case in cases)
    return max(2.2, 1.1 + 0.11 * bars + 0.13 * len(cases))


def _losses(axes, case, theme):
    variants = timed(case)
    for place, (name, variant) in enumerate(variants.items()):
        losses = [math.nan if value is None else value for value in variant["losses"]]
        axes.plot(
            range(1, len(losses) + 1),
            losses,
            color=_color(place, theme),
            linewidth=_width(place, len(variants)),
            label=name,
            solid_capstyle="round",
        )
    canvas.style(axes, theme)
    canvas.title(axes, "Loss of a short training", theme)
    axes.set_xlabel("step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(axes, theme)


def _layers(axes, case, theme):
    for place, pair in enumerate(case["pairs"]):
        values = [_drawn(layer["relative"]) for layer in pair["layers"]]
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=_color(place, theme),
            linewidth=_width(place, len(case["pairs"])),
            label=f"{pair['a']} – {pair['b']}",
        )
    for allowed in sorted({pair["tolerance"]["logits"] for pair in case["pairs"]}):
        axes.axhline(allowed, color=theme.muted, linestyle=(0, (4, 3)), linewidth=1)
    axes.set_yscale("log")
    canvas.style(axes, theme)
    canvas.title(axes, "Difference per layer", theme)
    axes.set_xlabel("layer, input to output; dashed: tolerance")
    axes.minorticks_off()
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 30)  # space for the legend above the dashed line
    _legend(axes, theme)


def _times(axes, cases, theme):
    names = list(dict.fromkeys(name for case in cases for name in timed(case)))
    place, ticks, labels, longest = 0.0, [], [], 0.0
    for case in cases:
        variants, first = timed(case), place
        for name in names:
            if name not in variants:
                continue
            step = variants[name]["step"]
            low, middle, high = (1000 * step[key] for key in ("low", "median", "high"))
            axes.barh(place, middle, 0.82, color=_color(names.index(name), theme))
            axes.plot([low, high], [place, place], color=theme.ink, linewidth=1)
            longest = max(longest, high)
            place += 1
        ticks.append((first + place - 1) / 2)
        labels.append(case["name"])
        place += 0.7
    for number, name in enumerate(names):
        axes.barh([0], [0], color=_color(number, theme), label=name)
    axes.set_yticks(ticks, labels if len(cases) > 1 else [""])
    axes.set_ylim(place, -1)
    axes.set_xlim(0, longest * 1.05)
    canvas.style(axes, theme, grid="x")
    canvas.title(axes, "Training step (ms)", theme, pad=8)
    _legend(axes, theme, below=True, columns=min(3, len(names)))


def _agreement(axes, cases, theme):
    for kind, (label, marker) in enumerate((("outputs", "o"), ("gradient step", "s"))):
        values = [_drawn(worst(case)[kind]) for case in cases]
        axes.plot(
            values, range(len(cases)), marker, color=_color(kind, theme), markersize=5, label=label
        )
    for allowed in sorted({each for case in cases for each in _allowed(case)}):
        axes.axvline(allowed, color=theme.muted, linestyle=(0, (4, 3)), linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [case["name"] for case in cases])
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))
    canvas.style(axes, theme, grid="x")
    canvas.title(axes, "Largest difference; dashed: tolerance", theme, pad=8)
    _legend(axes, theme, below=True, columns=2)


def worst(case):
    """(outputs, gradient step): the largest difference of any pair with the same tolerance."""
    pairs = [pair for pair in case["pairs"] if pair["tolerance"] == case["pairs"][0]["tolerance"]]
    if not pairs:
        return math.nan, math.nan
    return tuple(
        max(math.inf if value is None else value for value in values)
        for values in (
            [pair["logits"]["scaled"] for pair in pairs],
            [pair["gradient_step"]["relative"] for pair in pairs],
        )
    )


def _allowed(case):
    return case["pairs"][0]["tolerance"].values() if case["pairs"] else ()


def _drawn(value):
    """A difference clipped for a logarithmic axis; NaN where it is not finite."""
    return max(value, FLOOR) if value is not None and math.isfinite(value) else math.nan


def _width(place, count):
    """Line width: the curves overlap, so the first is thick and the last thin."""
    return 1.2 + 2.2 * (count - 1 - place) / max(1, count - 1)


def _color(place, theme):
    return theme.colors[place % len(theme.colors)]


def _legend(axes, theme, below=False, columns=1):
    place = {"loc": "upper left", "bbox_to_anchor": (0, -0.06)} if below else {"loc": "best"}
    legend = axes.legend(
        frameon=False, fontsize=7.5, ncols=columns, handlelength=1.4, columnspacing=1.2, **place
    )
    for text in legend.get_texts():
        text.set_color(theme.ink)
