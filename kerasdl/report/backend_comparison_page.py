"""Pages of `kerasdl compare backends`, from its document (compare.json)."""

import pathlib
from typing import NamedTuple

from kerasdl.core import files
from kerasdl.report import backend_comparison, embed, exhibits, html, names, runs
from kerasdl.report import backend_comparison_figures as figures
from kerasdl.report.backend_comparison import or_infinite, power

# Markers around the section in a run's report, so that it can be replaced.
BEGIN, END = "<!-- comparison of backends: begin -->", "<!-- comparison of backends: end -->"


DEFINITIONS = (
    ("outputs", "Largest difference of the model's outputs (logits, or colors), divided by the "
     "largest output, or by 1 if that is smaller. Compared with the tolerance."),
    ("mean", "Mean absolute difference of the outputs, divided by their mean absolute value."),
    ("gradient step", "Difference of one optimizer step from the same weights on the same "
     "batch, computed in float64: norm of the difference over all weights, divided by the norm "
     "of the step. A lower precision is compared as it trains."),
    ("as trained", "The same at the precision of the training. A ReLU at zero or a tie in a "
     "pooling window, decided by rounding, can change it by a thousandth; it is not judged."),
    ("same output", "Fraction of equal classes (of images or pixels), or of equal colors in 8 "
     "bits."),
    ("first difference", "The first layer, from input to output, whose output differs by more than "
     "the tolerance, relative to its largest value."),
    ("step", "Time of one warm training step: forward, backward, update; median and quartiles."),
    ("first step", "Time of the first training step, including compilation."),
    ("prediction", "Time of one warm prediction of a batch; median and quartiles."),
    ("memory", "Peak memory of the backend's process, including the imported libraries."),
)  # fmt: skip


class CaseSection(NamedTuple):
    """What a page shows of one model at one size."""

    name: str
    facts: list
    tables: list
    curves: exhibits.Curves | None


def write_page(path, document):
    """Writes the page of a comparison and returns its path. Raises WriteError."""
    cases = document["cases"]
    environments = {
        name: runs.flat(variant["environment"])
        for case in cases
        for name, variant in figures.timed(case).items()
    }
    return html.write(
        path,
        "backend_comparison.html.j2",
        title="Comparison of backends",
        comparison=_section(document),
        definitions=DEFINITIONS,
        command=document["command"],
        environments=environments,
    )


def insert(path, document):
    """Inserts the comparison into a run's report as a section, replacing an older one.

    Does nothing if the page has no markers for it.

    Raises:
        WriteError: The file cannot be written.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return
    text = html.render("backend_comparison_section.html.j2", comparison=_section(document))
    files.write_text(path, f"{before}{BEGIN}\n{text}{END}{after}")


def _section(document):
    """The document as the templates need it."""
    cases = document["cases"]
    several = [case for case in cases if figures.timed(case)] if len(cases) > 1 else []
    charts = []
    if several:
        worst = "; ".join(
            f"{case['name']}: outputs {power(a)}, gradient step {power(b)}"
            for case in several
            for a, b in [figures.worst(case)]
        )
        charts.append(
            embed.chart(figures.agreement_figure, f"Differences: {worst}.", cases=several)
        )
        charts.append(embed.chart(figures.times_figure, _times_alt(several), cases=several))
    return {
        "agree": document["verdict"]["agree"],
        "sentence": document["verdict"]["sentence"],
        "tables": backend_comparison.overview(cases),
        "charts": charts,
        "cases": [_case(case, alone=len(cases) == 1) for case in cases],
    }


def _case(case, alone):
    facts = [
        ("data", case["data"]),
        (f"{case['split']} images", f"{case['samples']:,}"),
        ("batch", str(case["batch_size"])),
        ("steps", str(case["steps"])),
    ]
    variants = figures.timed(case)
    shown = [backend_comparison.scores(case)] if variants else []
    if not alone:
        shown = [backend_comparison.agreement(case), backend_comparison.speed(case), *shown]
    charts = []
    if variants:
        final = "; ".join(
            f"{name} from {names.number('loss', each['losses'][0])} to "
            f"{names.number('loss', each['losses'][-1])}"
            for name, each in variants.items()
        )
        charts.append(embed.chart(figures.losses_figure, f"Loss per step: {final}.", case=case))
    if case["pairs"]:
        largest = "; ".join(
            f"{pair['a']} and {pair['b']} at most {power(each['relative'])} in {each['name']}"
            for pair in case["pairs"]
            for each in [max(pair["layers"], key=_relative)]
        )
        charts.append(
            embed.chart(figures.layers_figure, f"Difference per layer: {largest}.", case=case)
        )
    if alone and variants:
        charts.append(embed.chart(figures.times_figure, _times_alt([case]), cases=[case]))
    curves = exhibits.Curves(charts, _caption(case)) if charts else None
    return CaseSection(case["name"], facts, shown, curves)


def _caption(case):
    if not case["pairs"]:
        return "Nothing could be compared."
    worst = max((pair for pair in case["pairs"]), key=lambda pair: or_infinite(pair["losses"]))
    return (
        f"The losses of {worst['a']} and {worst['b']} differ most, "
        f"by {power(worst['losses'])} of the loss at most. Rounding errors grow with every step, "
        "so later steps are less informative."
    )


def _times_alt(cases):
    times = "; ".join(
        f"{case['name']}: "
        + ", ".join(
            f"{name} {1000 * each['step']['median']:.0f} ms"
            for name, each in figures.timed(case).items()
        )
        for case in cases
    )
    return f"Time of a training step. {times}."


def _relative(layer):
    return or_infinite(layer["relative"])
