"""What a finished run says about its training: what kept it from learning, or what to try next.

Rules over a run document, see `kerasdl.report.html`. They are few and say nothing where in doubt:
a warning about a good run is worse than none.
"""

import math

from kerasdl.losses import LOSSES
from kerasdl.metrics import direction, spec
from kerasdl.report import history, names, runs
from kerasdl.runs import auto
from kerasdl.tasks import TASKS

# Of the way from the baseline to a perfect score: beyond it, steps and gaps are no reason to warn.
LEARNED = 0.8
PERFECT = 0.95  # nothing to try next: other things than the training limit the score
# Of the steps that the recipe auto takes at least; a one-cycle schedule of fewer is mostly warm-up.
FEW_STEPS = 0.5
GRAY = 0.2  # colorfulness relative to the truth; below it images look gray
# A class missed by chance with recall 0.5 is missed five times in a row once in 32.
LEAST_SUPPORT = {"label": 5, "mask": 100}
LEAST_EPOCHS = 8  # fewer tell no trend
QUARTER = 0.25  # of the epochs, at the end
STEEP = 0.1  # relative fall of the loss over that quarter; falls of 5 % are noise of small data
LOSS_GAP = 2.0  # validation loss / training loss
SCORE_GAP = 0.2  # training score - validation score, as a fraction
WEAK = 0.5  # a class below this fraction of the mean over classes
LISTED = 3  # names of classes in a line


def lines(document: dict) -> list[str]:
    """`problems`, or `next_steps` where there are none."""
    return problems(document) or next_steps(document)


def problems(document: dict) -> list[str]:
    """Why a training may not have learned, one line each with the key to change; often empty.

    Args:
        document: Run document.
    """
    found = [_collapsed(document) or _gray(document) or _baseline(document)]
    learned = _learned(document, LEARNED)
    few = "" if learned else _few_steps(document)
    if not learned:
        found += [few or _falling(document), _overfit(document)]
    if not _collapsed(document) and not few:
        found.append(_missed(document))
    return [line for line in found if line]


def next_steps(document: dict) -> list[str]:
    """What could raise the scores of a run without `problems`; at most two lines."""
    if _learned(document, PERFECT):
        return []
    found = [_weak_class(document), _larger(document), _longer(document)]
    return [f"to try next: {line}" for line in found if line][:2]


def _learned(document, fraction):
    """Whether the first headline score went that far from the baseline to the best there is."""
    name, value, baseline = next(_beside_baseline(document), ("", 0.0, 0.0))
    return spec(name).unit == "%" and value - baseline >= fraction * (1.0 - baseline)


def _beside_baseline(document):
    """(name, value, baseline) of the headline scores that have all three."""
    scores, baseline = document["scores"]["scores"], document["scores"].get("baseline") or {}
    for name in TASKS[document["scores"]["task"]].headline:
        if scores.get(name) is not None and baseline.get(name) is not None:
            yield name, scores[name], baseline[name]


def _support(document):
    """[(class, samples, of these found), ...] of the classes with enough samples to tell."""
    scores = document["scores"]
    least = LEAST_SUPPORT.get(TASKS[scores["task"]].annotation, math.inf)
    rows = enumerate(scores.get("confusion_matrix") or ())
    return [
        (scores["class_names"][place], sum(row), row[place])
        for place, row in rows
        if sum(row) >= least
    ]


def _collapsed(document):
    """Classes are there, but one at most is ever found."""
    support = _support(document)
    found = [name for name, _, right in support if right]
    if len(support) < 2 or len(found) > 1:
        return ""
    what = f"only one of {len(support)} classes is found, {found[0]}" if found else (
        f"none of {len(support)} classes is found")  # fmt: skip
    rate = (document.get("config") or {}).get("learning_rate")
    fix = ["--class-weights auto"] if _could_weight(document) else []
    if rate:
        fix.append(f"--learning-rate {rate / 10:g} (it was {rate:g})")
    return f"the outputs collapsed: {what}; try {' or '.join(fix) or 'a lower learning rate'}"


def _could_weight(document):
    """Whether the loss takes class weights and got none."""
    config = document.get("config") or {}
    loss = LOSSES.get(config.get("loss", ""))
    return config.get("class_weights") == "none" and loss and "class_weights" in loss.takes


def _gray(document):
    ratio = document["scores"]["scores"].get("colorfulness_ratio")
    if ratio is None or ratio >= GRAY:
        return ""
    loss = LOSSES.get((document.get("config") or {}).get("loss", ""))
    vivid = [name for name, spec in LOSSES.items() if spec.vivid]
    other = f", or --target ab with --loss {' or '.join(vivid)}"
    other = "" if loss and loss.vivid else other
    return (
        f"the outputs collapsed to gray: they are {100 * ratio:.0f} % as colorful as the truth; "
        f"try {_more(document, 2)}{other}"
    )


def _baseline(document):
    """No headline score is better than what needs no network."""
    compared = list(_beside_baseline(document))
    if not compared or any(_is_better(*each) for each in compared):
        return ""
    name, value, baseline = compared[0]
    return (
        f"no better than the baseline ({names.baseline(document['scores']['task'])}): "
        f"{spec(name).label} {names.number(name, value)} and "
        f"{names.number(name, baseline, unit=True)}; try another --learning-rate, "
        f"{_more(document, 2)}, and look at the data: kerasdl data show"
    )


def _is_better(name, value, baseline):
    return value < baseline if direction(name) == "min" else value > baseline


def _ended_early(document):
    """Whether early stopping ended the run, so that more epochs would change nothing."""
    return len(document["history"]) < (document.get("config") or {}).get("epochs", 0)


def _few_steps(document):
    """Fewer updates than a network needs that starts from random weights."""
    config, images = document.get("config") or {}, (document.get("samples") or {}).get("train")
    if not images or not config.get("epochs") or config.get("weights") or _ended_early(document):
        return ""
    task = TASKS[document["scores"]["task"]]
    least = auto.LEAST_STEPS[task.annotation]
    per_epoch = auto.steps_per_epoch(config, images)
    steps = len(document["history"]) * per_epoch
    if steps >= FEW_STEPS * least:
        return ""
    return (
        f"too few steps: {steps}, where {least} are usual; try {_more(document, least / steps)}, "
        f"or a smaller --batch-size (it was {config['batch_size']})"
    )


def _falling(document):
    """The loss was still falling steeply when the training ended."""
    rows = document["history"]
    if len(rows) < LEAST_EPOCHS or _ended_early(document):
        return ""
    count = max(3, round(QUARTER * len(rows)))
    falls = [
        _fall(history.column(rows, name)[-count:])
        for name in ("loss", "val_loss")
        if history.has(rows, name)
    ]
    if not falls or min(falls) < STEEP:
        return ""
    return (
        f"the loss was still falling, by {100 * falls[-1]:.0f} % in the last {count} epochs; "
        f"try {_more(document, 2)}"
    )


def _fall(values):
    """Relative fall of a straight line fitted to values; 0 where the last is not the lowest."""
    if not all(map(math.isfinite, values)) or values[-1] > min(values) or values[0] <= 0:
        return 0.0
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    slope = sum((place - middle) * value for place, value in enumerate(values))
    slope /= sum((place - middle) ** 2 for place in range(len(values)))
    first = mean - slope * middle
    return -slope * (len(values) - 1) / first if first > 0 else 0.0


def _best_epoch(document):
    """The epoch whose weights are kept, or None."""
    monitor = (document.get("config") or {}).get("monitor", "val_loss")
    return history.best_epoch(document["history"], monitor)


def _overfit(document):
    """The training images were memorized."""
    rows, config = document["history"], document.get("config") or {}
    if not rows:
        return ""
    score = next(iter(history.curve_scores(rows)), None)
    loss, other = rows[-1].get("loss", math.nan), rows[-1].get("val_loss", math.nan)
    ours, theirs = (rows[-1].get(f"{prefix}{score}", math.nan) for prefix in ("", "val_"))
    if score and spec(score).unit == "%" and ours - theirs > SCORE_GAP:
        told = f"{spec(score).label} {names.number(score, theirs)} and {names.number(score, ours)}"
    elif loss > 0 and other > LOSS_GAP * loss:
        told = f"loss {other:.3g} and {loss:.3g}"
    else:
        return ""
    fixes = ["more training images"]
    if config.get("augment") == "none":
        fixes.append("--set augment=auto")
    best = _best_epoch(document)
    if best and best < (1 - QUARTER) * len(rows):
        fewer = "a shorter --time" if config.get("time_budget") else "fewer --epochs"
        fixes.append(f"{fewer} (epoch {best} of {len(rows)} was the best)")
    return f"validation is far below training ({told}); try {', or '.join(fixes)}"


def _missed(document):
    """Classes without a single sample or pixel found."""
    missed = [name for name, _, right in _support(document) if not right]
    if not missed:
        return ""
    shown = ", ".join(missed[:LISTED])
    rest = f" and {len(missed) - LISTED} more" if len(missed) > LISTED else ""
    weights = ", or --class-weights auto" if _could_weight(document) else ""
    return f"never found: {shown}{rest}; try more training images with {shown}{weights}"


def _weak_class(document):
    values, kind = runs.per_class(document["scores"])
    enough = {name for name, _, _ in _support(document)}
    values = {name: values[name] for name in values if name in enough and values[name] is not None}
    if len(values) < 2:
        return ""
    worst = min(values, key=values.get)
    if values[worst] >= WEAK * sum(values.values()) / len(values):
        return ""
    return f"more training images with {worst} ({kind} {100 * values[worst]:.1f} %)"


def _larger(document):
    """The next larger size, if the images have it."""
    size = (document.get("config") or {}).get("image_size")
    own = document.get("median_size")
    if not size or not own or math.prod(own) < 2 * math.prod(size):
        return ""
    sides = [round(side * math.sqrt(2) / auto.MULTIPLE) * auto.MULTIPLE for side in size]
    return f"larger images: --image-size {sides[0]}x{sides[1]} (they are {own[0]}x{own[1]})"


def _longer(document):
    """More epochs, if the last ones were the best."""
    rows = document["history"]
    best = _best_epoch(document)
    if len(rows) < LEAST_EPOCHS or not best or best < 0.9 * len(rows) or _ended_early(document):
        return ""
    return f"more time: {_more(document, 2)} (epoch {best} of {len(rows)} was the best)"


def _more(document, factor):
    """The flag for that many times the epochs."""
    budget = (document.get("config") or {}).get("time_budget")
    if budget:
        return f"--time {math.ceil(factor * budget)}s"
    return f"--epochs {math.ceil(factor * len(document['history']))}"
