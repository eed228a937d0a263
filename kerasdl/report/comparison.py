"""Tables and pages of `kerasdl compare backends`, drawn from its document (compare.json)."""

import math
import pathlib
from typing import NamedTuple

from kerasdl import files
from kerasdl.report import comparison_figures as figures
from kerasdl.report import embed, exhibits, html, names, runs, tables

# What stands around the section in a run's report, so that it can be renewed.
BEGIN, END = "<!-- comparison of backends: begin -->", "<!-- comparison of backends: end -->"

DEFINITIONS = (
    ("outputs", "Largest difference of the network's outputs (logits, or colours), divided by the "
     "largest output, or by 1 if that is smaller. Compared with what is allowed."),
    ("mean", "Mean absolute difference of the outputs, divided by their mean size."),
    ("gradient step", "Difference of one step of the optimizer from the same weights on the same "
     "batch, computed in float64: length of the difference over all weights, divided by the length "
     "of the step. A lower precision is compared as it trains."),
    ("as trained", "The same at the precision of the training. A rectifier at zero or a tie in a "
     "pooling window, decided by rounding, can change it by a thousandth; it is not judged."),
    ("same answer", "Share of equal classes (of pictures or pixels), or of equal colours in 8 "
     "bits."),
    ("first difference", "The first layer, from input to output, whose output differs by more than "
     "what is allowed, relative to the largest value in it."),
    ("step", "Time of one warm training step: forward, backward, update; median and quartiles."),
    ("first step", "Time of the first training step, with all that is compiled for it."),
    ("prediction", "Time of one warm prediction of a batch; median and quartiles."),
    ("memory", "Most memory of the backend's process, the imported libraries included."),
)  # fmt: skip


class CaseSection(NamedTuple):
    """What a page shows of one network at one size."""

    name: str
    facts: list
    tables: list
    curves: exhibits.Curves | None


def agreement(case):
    """Table of the differences of each pair of one case."""
    rows = [
        (
            f"{pair['a']} – {pair['b']}",
            power(pair["logits"]["scaled"]),
            power(pair["logits"]["largest"]),
            power(pair["logits"]["relative_mean"]),
            power(pair["gradient_step"]["relative"]),
            power(pair["own_step"]["relative"]),
            share(pair["same_answers"]),
            pair["first_difference"] or "none",
            "yes" if pair["agrees"] else "no",
        )
        for pair in case["pairs"]
    ]
    columns = ("backends", "outputs", "absolute", "mean", "gradient step", "as trained",
               "same answer (%)", "first difference", "agrees")  # fmt: skip
    return tables.Table("Differences", columns, tuple(rows), (_allowed([case]),))


def agreement_of_many(cases):
    """Table of several cases: in each column the worst of all pairs of a case."""
    rows = []
    for case in cases:
        pairs = case["pairs"]
        if not pairs:
            rows.append((case["name"], *(names.ABSENT,) * 6, "no"))
            continue
        first = [pair["first_difference"] for pair in pairs if pair["first_difference"]]
        rows.append(
            (
                case["name"],
                power(max(_or_inf(pair["logits"]["scaled"]) for pair in pairs)),
                power(max(_or_inf(pair["logits"]["largest"]) for pair in pairs)),
                power(max(_or_inf(pair["gradient_step"]["relative"]) for pair in pairs)),
                power(max(_or_inf(pair["own_step"]["relative"]) for pair in pairs)),
                share(min(pair["same_answers"] for pair in pairs)),
                first[0] if first else "none",
                "yes" if all(pair["agrees"] for pair in pairs) else "no",
            )
        )
    columns = ("network", "outputs", "absolute", "gradient step", "as trained",
               "same answer (%)", "first difference", "agrees")  # fmt: skip
    notes = ("Worst of all pairs of backends.", _allowed(cases))
    return tables.Table("Differences", columns, tuple(rows), notes)


def speed(case):
    """Table of times and memory of every variant of one case."""
    rows = []
    for name, variant in case["variants"].items():
        if "error" in variant:
            rows.append((name, *(names.ABSENT,) * 6))
            continue
        rows.append(
            (
                name,
                milliseconds(variant["step"]),
                f"{case['batch_size'] / variant['step']['median']:.0f}",
                f"{variant['step_seconds'][0]:.1f}",
                milliseconds(variant["prediction"]),
                megabytes(variant["memory"]["peak"]),
                megabytes(variant["memory"]["device"]),
            )
        )
    columns = ("backend", "step (ms)", "pictures/s", "first step (s)", "prediction (ms)",
               "memory (MB)", "GPU (MB)")  # fmt: skip
    if all(row[-1] == names.ABSENT for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    note = (
        "Median with quartiles of warm training steps and predictions, "
        f"{case['batch_size']} pictures each."
    )
    return tables.Table("Speed and memory", columns, tuple(rows), (note,))


def speed_of_many(cases):
    """Table of the median time of a training step, of each case and variant."""
    variants = list(dict.fromkeys(name for case in cases for name in case["variants"]))
    rows = []
    for case in cases:
        known = figures.timed(case)
        rows.append(
            (
                case["name"],
                *(
                    f"{1000 * known[name]['step']['median']:.1f}" if name in known else names.ABSENT
                    for name in variants
                ),
            )
        )
    batches = ", ".join(str(each) for each in sorted({case["batch_size"] for case in cases}))
    note = f"Median of warm steps, {batches} pictures each."
    return tables.Table("Training step (ms)", ("network", *variants), tuple(rows), (note,))


def scores(case):
    """Table of the scores that each variant reaches with the same weights on the same pictures."""
    variants = figures.timed(case)
    listed = dict.fromkeys(name for each in variants.values() for name in each["scores"])
    rows = []
    for name in listed:
        values = [variant["scores"].get(name) for variant in variants.values()]
        known = [value for value in values if value is not None]
        apart = power(max(known) - min(known)) if len(known) == len(values) else names.ABSENT
        rows.append((names.heading(name), *(names.number(name, value) for value in values), apart))
    caption = f"Scores of {case['samples']} {case['split']} pictures"
    return tables.Table(caption, ("score", *variants, "difference"), tuple(rows))


def show(document, console):
    """Prints the verdict and the tables to a `rich.console.Console`."""
    style = "bold green" if document["verdict"]["agree"] else "bold red"
    console.print(document["verdict"]["sentence"], style=style, soft_wrap=True, highlight=False)
    console.print()
    for table in _tables(document["cases"]):
        console.print(tables.as_rich(table))
    if len(document["cases"]) == 1:
        console.print(tables.as_rich(scores(document["cases"][0])))


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
        "comparison.html.j2",
        title="Backends beside each other",
        comparison=_section(document),
        definitions=DEFINITIONS,
        command=document["command"],
        environments=environments,
    )


def insert(path, document):
    """Puts the comparison into a run's report as a section, in place of an older one.

    Nothing happens to a page that has no place for it.

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
    text = html.render("comparison_section.html.j2", comparison=_section(document))
    files.write_text(path, f"{before}{BEGIN}\n{text}{END}{after}")


def power(value):
    """A difference as text: "2.4e-06", "0" for none at all, "not finite"."""
    if value is None or not math.isfinite(value):
        return "not finite"
    return f"{value:.1e}" if value else "0"


def share(value):
    """A share in percent; 100 only if there is no exception."""
    return f"{math.floor(10_000 * value) / 100:.2f}"


def milliseconds(timing):
    """Median with quartiles: "24.1 (23.0–26.2)"."""
    low, middle, high = (1000 * timing[key] for key in ("low", "median", "high"))
    digits = 0 if middle >= 100 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def megabytes(value):
    return names.ABSENT if value is None else f"{value / 1e6:.0f}"


def _tables(cases):
    if len(cases) == 1:
        return [agreement(cases[0]), speed(cases[0])]
    return [agreement_of_many(cases), speed_of_many(cases)]


def _allowed(cases):
    """Sentence on the tolerances of the pairs."""
    known = {tuple(pair["tolerance"].items()) for case in cases for pair in case["pairs"]}
    told = [
        f"outputs {dict(each)['logits']:.0e}, gradient step {dict(each)['gradient_step']:.0e}"
        for each in sorted(known)
    ]
    if not told:
        return "Nothing could be compared."
    lower = " (a lower precision beside float32)" if len(told) > 1 else ""
    return f"Allowed: {'; '.join(told)}{lower}."


def _section(document):
    """The document as the templates take it."""
    cases = document["cases"]
    several = [case for case in cases if figures.timed(case)] if len(cases) > 1 else []
    charts = []
    if several:
        told = "; ".join(
            f"{case['name']}: outputs {power(a)}, gradient step {power(b)}"
            for case in several
            for a, b in [figures.worst(case)]
        )
        charts.append(embed.chart(figures.agreement_figure, f"Differences. {told}.", cases=several))
        charts.append(embed.chart(figures.times_figure, _times_alt(several), cases=several))
    return {
        "agree": document["verdict"]["agree"],
        "sentence": document["verdict"]["sentence"],
        "tables": _tables(cases),
        "charts": charts,
        "cases": [_case(case, alone=len(cases) == 1) for case in cases],
    }


def _case(case, alone):
    facts = [
        ("data", case["data"]),
        (f"{case['split']} pictures", f"{case['samples']:,}"),
        ("batch", str(case["batch_size"])),
        ("steps", str(case["steps"])),
    ]
    variants = figures.timed(case)
    shown = [scores(case)] if variants else []
    if not alone:
        shown = [agreement(case), speed(case), *shown]
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
    worst = max((pair for pair in case["pairs"]), key=lambda pair: _or_inf(pair["losses"]))
    return (
        f"The losses of {worst['a']} and {worst['b']} are furthest apart: "
        f"{power(worst['losses'])} of their size at most. Rounding grows from step to step, so "
        "later steps say less."
    )


def _times_alt(cases):
    told = "; ".join(
        f"{case['name']}: "
        + ", ".join(
            f"{name} {1000 * each['step']['median']:.0f} ms"
            for name, each in figures.timed(case).items()
        )
        for case in cases
    )
    return f"Time of a training step. {told}."


def _relative(layer):
    return _or_inf(layer["relative"])


def _or_inf(value):
    return math.inf if value is None else value
