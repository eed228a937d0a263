"""The figure of a learning rate range test."""

from matplotlib.ticker import FuncFormatter, NullLocator

from kerasdl.report import canvas


def rate_figure(rates, losses, smoothed, suggestion, path, theme=canvas.LIGHT):
    """Loss over learning rate, as measured and smoothed, with the suggested rate.

    Args:
        rates: Learning rate of each step.
        losses: Loss of each step.
        smoothed: Its moving average.
        suggestion: The rate to mark, or None.
        path: Where the PNG goes: a path or a binary stream.
        theme: Colors of the page.
    """
    drawing = canvas.figure(5.2, 3.0, theme)
    axes = drawing.subplots()
    canvas.style(axes, theme)
    axes.semilogx(rates, losses, ".", color=theme.muted, alpha=0.45, markersize=4, label="step")
    axes.semilogx(rates, smoothed, color=theme.colors[0], linewidth=1.8, label="moving average")
    # A diverging loss would flatten the part that matters.
    low, high = min(losses), max(smoothed[0], *smoothed[: smoothed.index(min(smoothed)) + 1])
    axes.set_ylim(low - 0.15 * (high - low or 1), high + 0.5 * (high - low or 1))
    if suggestion is not None:
        axes.axvline(suggestion, color=theme.colors[1], linewidth=1.2, linestyle="--",
                     label=f"suggestion: {suggestion:.2g}")  # fmt: skip
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, place: f"{rate:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("learning rate")
    canvas.style(axes, theme)
    canvas.title(axes, "Loss", theme)
    axes.legend(frameon=False, fontsize=8, labelcolor=theme.ink)
    canvas.save(drawing, path)
