"""Tables of `kerasdl compare backends`, from its document (compare.json)."""

import math

from kerasdl.report import backend_comparison_figures as figures
from kerasdl.report import names, tables


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
            fraction(pair["same_outputs"]),
            pair["first_difference"] or "none",
            "yes" if pair["agrees"] else "no",
        )
        for pair in case["pairs"]
    ]
    columns = ("backends", "outputs", "absolute", "mean", "gradient step", "as trained",
               "same output (%)", "first difference", "agrees")  # fmt: skip
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
                power(max(or_infinite(pair["logits"]["scaled"]) for pair in pairs)),
                power(max(or_infinite(pair["logits"]["largest"]) for pair in pairs)),
                power(max(or_infinite(pair["gradient_step"]["relative"]) for pair in pairs)),
                power(max(or_infinite(pair["own_step"]["relative"]) for pair in pairs)),
                fraction(min(pair["same_outputs"] for pair in pairs)),
                first[0] if first else "none",
                "yes" if all(pair["agrees"] for pair in pairs) else "no",
            )
        )
    columns = ("model", "outputs", "absolute", "gradient step", "as trained",
               "same output (%)", "first difference", "agrees")  # fmt: skip
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
    columns = ("backend", "step (ms)", "images/s", "first step (s)", "prediction (ms)",
               "memory (MB)", "GPU (MB)")  # fmt: skip
    if all(row[-1] == names.ABSENT for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    note = (
        "Median with quartiles of warm training steps and predictions, "
        f"{case['batch_size']} images each."
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
    note = f"Median of warm steps, {batches} images each."
    return tables.Table("Training step (ms)", ("model", *variants), tuple(rows), (note,))


def scores(case):
    """Table of the scores that each variant reaches with the same weights on the same images."""
    variants = figures.timed(case)
    listed = dict.fromkeys(name for each in variants.values() for name in each["scores"])
    rows = []
    for name in listed:
        values = [variant["scores"].get(name) for variant in variants.values()]
        known = [value for value in values if value is not None]
        apart = power(max(known) - min(known)) if len(known) == len(values) else names.ABSENT
        rows.append((names.heading(name), *(names.number(name, value) for value in values), apart))
    caption = f"Scores of {case['samples']} {case['split']} images"
    return tables.Table(caption, ("score", *variants, "difference"), tuple(rows))


def show(document, console):
    """Prints the verdict and the tables to a `rich.console.Console`."""
    style = "bold green" if document["verdict"]["agree"] else "bold red"
    console.print(
        document["verdict"]["sentence"], style=style, soft_wrap=True, highlight=False, markup=False
    )
    console.print()
    for table in overview(document["cases"]):
        console.print(tables.as_rich(table))
    if len(document["cases"]) == 1:
        console.print(tables.as_rich(scores(document["cases"][0])))


def power(value):
    """A difference as text: "2.4e-06", "0" for none at all, "not finite"."""
    if value is None or not math.isfinite(value):
        return "not finite"
    return f"{value:.1e}" if value else "0"


def fraction(value):
    """A fraction in percent; 100 only if it is exactly 1."""
    return f"{math.floor(10_000 * value) / 100:.2f}"


def milliseconds(timing):
    """Median with quartiles: "24.1 (23.0–26.2)"."""
    low, middle, high = (1000 * timing[key] for key in ("low", "median", "high"))
    digits = 0 if middle >= 100 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def megabytes(value):
    return names.ABSENT if value is None else f"{value / 1e6:.0f}"


def overview(cases):
    """The two tables about all cases."""
    if len(cases) == 1:
        return [agreement(cases[0]), speed(cases[0])]
    return [agreement_of_many(cases), speed_of_many(cases)]


def _allowed(cases):
    """Sentence on the tolerances of the pairs."""
    known = {tuple(pair["tolerance"].items()) for case in cases for pair in case["pairs"]}
    tolerances = [
        f"outputs {dict(each)['logits']:.0e}, gradient step {dict(each)['gradient_step']:.0e}"
        for each in sorted(known)
    ]
    if not tolerances:
        return "Nothing could be compared."
    lower = " (a lower precision against float32)" if len(tolerances) > 1 else ""
    return f"Allowed: {'; '.join(tolerances)}{lower}."


def or_infinite(value):
    return math.inf if value is None else value
