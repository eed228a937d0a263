"""The page of a search, from tune.json.

task, data, objective   the column of the history that was optimized, such as val_mean_iou
space                   {key: {choices, low, high, log}}
trials                  [{number, state, value, epochs, seconds, settings, run, error, same_as},
                        ...]; state is finished, pruned, failed or interrupted
best                    number of the best trial
keys                    the keys of the configuration that were varied
importance              {key: fraction}, largest first; empty with too few trials
configuration, defaults the common configuration, and the default one
command, seed, environment
"""

from kerasdl.report import embed, exhibits, html, names, runs, search_figures, sections, tables

STATES = {
    "finished": "finished",
    "pruned": "ended early",
    "failed": "failed",
    "interrupted": "interrupted",
}


def write(path, document):
    """Writes the page and returns its path. Raises WriteError."""
    best = best_trial(document)
    task = document["task"]
    return html.write(
        path,
        "search.html.j2",
        title=f"Search: {task} on {document['data']}",
        facts=_facts(document),
        headline=sections.Headline(
            names.score(document["objective"]).label + ", validation",
            names.number(document["objective"], best["value"]),
            names.score(document["objective"]).unit,
            f"trial {best['number']}",
        ),
        best=[(key, runs.text(value)) for key, value in best["settings"].items()],
        train=f"kerasdl train {task} --config best.toml",
        course=_course(document),
        values=_values(document),
        trials=table(document),
        space=[(key, written(each)) for key, each in document["space"].items()],
        command=document["command"],
        config=[
            row
            for row in sections.config_rows(document["configuration"], document["defaults"])
            if row[0] not in document["keys"]
        ],
        environment=runs.flat(document["environment"]),
    )


def best_trial(document):
    """The best of the trials."""
    return next(each for each in document["trials"] if each["number"] == document["best"])


def written(dimension):
    """ "0.001 to 0.3, logarithmic" or "8, 16, 32"."""
    if dimension["choices"]:
        return runs.text(dimension["choices"])
    ends = f"{dimension['low']:g} to {dimension['high']:g}"
    return f"{ends}, logarithmic" if dimension["log"] else ends


def table(document, most=None):
    """The trials, best first, as a `Table`.

    Args:
        document: Content of tune.json.
        most: Maximum number of rows.
    """
    objective = document["objective"]
    sign = 1 if names.score(objective).better == "lower" else -1
    order = list(STATES)
    listed = sorted(
        document["trials"],
        key=lambda each: (
            order.index(each["state"]),
            each["value"] is None,
            sign * (each["value"] or 0),
        ),
    )
    rows = [
        (
            str(each["number"]),
            names.number(objective, each["value"]),
            *(_short(each["settings"].get(key)) for key in document["space"]),
            str(each["epochs"]),
            names.duration(each["seconds"]).replace(" ", "\u00a0"),
            f"same as {each['same_as']}" if each["same_as"] is not None else STATES[each["state"]],
        )
        for each in listed[:most]
    ]
    hidden = len(listed) - len(rows)
    notes = (
        "The score is that of the epoch whose weights were kept; of a trial that was ended early, "
        "that of its last epoch.",
        *(f"Trial {each['number']}: {each['error']}." for each in listed if each["error"]),
        f"{hidden} more trials are on the page." if hidden else "",
    )
    shown = [key.rpartition(".")[2] for key in document["space"]]
    columns = ("trial", names.heading(objective), *shown, "epochs", "time", "state")
    return tables.Table("Trials, best first, validation split", columns, tuple(rows), notes)


def _short(value):
    return f"{value:.3g}" if isinstance(value, float) else runs.text(value)


def _facts(document):
    states = [each["state"] for each in document["trials"]]
    counts = [f"{states.count(state)} {text}" for state, text in STATES.items() if state in states]
    facts = [
        ("trials", f"{len(states)} ({', '.join(counts)})"),
        ("seed", str(document["seed"])),
        ("training time", names.duration(sum(each["seconds"] for each in document["trials"]))),
        ("backend", document["environment"]["backend"]),
    ]
    if len({each["epochs"] for each in document["trials"]}) > 1:
        epochs = sum(each["epochs"] for each in document["trials"])
        facts.insert(2, ("epochs trained", str(epochs)))
    return facts


def _course(document):
    """The course of the search, and the importance of the keys."""
    score = names.score(document["objective"]).label
    best = best_trial(document)
    value = names.number(document["objective"], best["value"], unit=True)
    alt = f"{score} of each trial and the best so far; the best is trial {best['number']}, {value}."
    charts = [embed.chart(search_figures.history, alt, document=document)]
    caption = "Ring: the best trial. Hollow: ended early, at its last epoch."
    if document["importance"]:
        listed = ", ".join(f"{key} {each:.0%}" for key, each in document["importance"].items())
        alt = f"Importance: {listed}."
        charts.append(embed.chart(search_figures.importance, alt, document=document))
        caption += (
            " Importance: how much the value of a key matters for being among the best of the "
            "finished trials (PED-ANOVA, Watanabe et al. 2023); rough below about 30 of them."
        )
    return exhibits.Curves(charts, caption)


def _values(document):
    """One chart per key."""
    score = names.score(document["objective"]).label
    charts = [
        embed.chart(search_figures.values, f"{score} over {key}.", document=document, key=key)
        for key in document["space"]
    ]
    caption = "A best value at the end of a range suggests a wider range."
    return exhibits.Curves(charts, caption)
