"""Differences between two backends: arithmetic on their workers' results, without a backend."""

import itertools
import math
import statistics

import numpy

from kerasdl.tasks import TASKS

# Tolerance: largest difference attributed to rounding. Logits: of the largest one, or of 1 if they
# are smaller. Gradient step: of its norm. Lower precisions are compared with float32 on the same
# backend; their significands of 8 and 11 bits (bfloat16, float16) are rounded in every layer.
TOLERANCES = {
    "float32": {"logits": 1e-4, "gradient_step": 1e-4},
    "mixed_bfloat16": {"logits": 0.1, "gradient_step": 0.3},
    "mixed_float16": {"logits": 0.02, "gradient_step": 0.1},
}


def difference(a, b):
    """Largest and mean difference of two arrays, absolute and relative.

    largest = max |a - b|, mean = mean |a - b|; relative_largest = largest / max(|a|, |b|),
    relative_mean = mean / mean of |a| and |b|. Element by element, relative differences would be
    dominated by values near zero. If anything is not finite, all are infinite.
    """
    a, b = numpy.asarray(a, dtype="float64"), numpy.asarray(b, dtype="float64")
    if not (numpy.isfinite(a).all() and numpy.isfinite(b).all()):
        return dict.fromkeys(
            ("largest", "mean", "relative_largest", "relative_mean", "magnitude"), math.inf
        )
    apart = numpy.abs(a - b)
    sizes = numpy.abs(a), numpy.abs(b)
    magnitude = max(float(size.max(initial=0.0)) for size in sizes)
    typical = (float(sizes[0].mean()) + float(sizes[1].mean())) / 2 if a.size else 0.0
    largest, mean = float(apart.max(initial=0.0)), float(apart.mean()) if a.size else 0.0
    return {
        "largest": largest,
        "mean": mean,
        "relative_largest": largest / magnitude if magnitude else 0.0,
        "relative_mean": mean / typical if typical else 0.0,
        "magnitude": magnitude,
    }


def step_difference(a, b, names):
    """Difference of two gradient steps.

    relative = ||a - b|| / max(||a||, ||b||) over all weights together; largest is that of any
    updated weight; `most_in` names the weight that contributes most.

    Args:
        a: List of arrays, one per weight.
        b: Same, of the other.
        names: Names of the weights.
    """
    squares = [
        (_square(x), _square(y), _square(numpy.subtract(x, y, dtype="float64")))
        for x, y in zip(a, b, strict=True)
    ]
    length = math.sqrt(max(math.fsum(each[0] for each in squares),
                           math.fsum(each[1] for each in squares)))  # fmt: skip
    apart = [each[2] for each in squares]
    total = math.sqrt(math.fsum(apart))
    largest = max((difference(x, y)["largest"] for x, y in zip(a, b, strict=True)), default=0.0)
    if not math.isfinite(length):
        total, relative = math.inf, math.inf
    else:
        # A norm of zero: no step was taken, which proves nothing.
        relative = total / length if length else math.inf
    worst = names[int(numpy.argmax(apart))] if apart and total and math.isfinite(total) else None
    return {"relative": relative, "largest": largest, "length": length, "most_in": worst}


def same_outputs(a, b, classes):
    """Fraction of equal outputs: the same class, or for images the same 8-bit value."""
    a, b = numpy.asarray(a), numpy.asarray(b)
    if classes:
        a, b = a.argmax(axis=-1), b.argmax(axis=-1)
    else:
        a, b = (numpy.round(numpy.clip(part, 0.0, 1.0) * 255) for part in (a, b))
    return float((a == b).mean())


def layer_differences(layers, a, b):
    """Relative largest difference of each layer's output, in the order of computation."""
    return [
        {**layer, "relative": found["relative_largest"], "largest": found["largest"]}
        for number, layer in enumerate(layers)
        for found in [difference(a[f"layer_{number}"], b[f"layer_{number}"])]
    ]


def pair(case, first, second, tolerance):
    """All differences between two variants of one case, and whether they are within tolerance.

    Args:
        case: Mapping with "task".
        first: (name, result, arrays) of one worker.
        second: Same, of another worker.
        tolerance: {"logits": ..., "gradient_step": ...}.

    Returns:
        A mapping of JSON types; infinite where something is not finite.
    """
    (name, result, arrays), (other_name, other, other_arrays) = first, second
    logits = difference(arrays["outputs"], other_arrays["outputs"])
    logits["scaled"] = logits["largest"] / max(1.0, logits["magnitude"]) if (
        math.isfinite(logits["magnitude"])
    ) else math.inf  # fmt: skip
    own = step_difference(_list(arrays, "step"), _list(other_arrays, "step"), result["weights"])
    if "exact_0" in arrays and "exact_0" in other_arrays:
        step = step_difference(
            _list(arrays, "exact"), _list(other_arrays, "exact"), result["weights"]
        )
    else:
        step = own  # a lower precision against float32
    moving = [
        difference(x, y)["relative_largest"]
        for x, y in zip(_list(arrays, "statistics"), _list(other_arrays, "statistics"), strict=True)
    ]
    layers = layer_differences(result["layers"], arrays, other_arrays)
    agrees = {
        "logits": logits["scaled"] <= tolerance["logits"],
        "gradient_step": step["relative"] <= tolerance["gradient_step"],
    }
    return {
        "a": name,
        "b": other_name,
        "tolerance": tolerance,
        "logits": logits,
        "same_outputs": same_outputs(
            arrays["outputs"], other_arrays["outputs"], TASKS[case["task"]].classes
        ),
        "gradient_step": step,
        "own_step": own,
        "statistics": max(moving, default=0.0),
        "scores": {
            key: _distance(value, other["scores"].get(key))
            for key, value in result["scores"].items()
        },
        "losses": _curve(result["losses"], other["losses"]),
        "layers": layers,
        "first_difference": next(
            (each["name"] for each in layers if not each["relative"] <= tolerance["logits"]), None
        ),
        "agrees": all(agrees.values()),
        "beyond": [key for key, value in agrees.items() if not value],
    }


def pairs(case, variants, tolerance=None):
    """Every pair of backends at float32, and each lower precision against float32 on its backend.

    Args:
        case: Mapping with "task".
        variants: List of (name, result, arrays), results with "backend" and "precision".
        tolerance: Overrides parts of the tolerance for float32.
    """
    found = []
    for first, second in itertools.combinations(variants, 2):
        precisions = {first[1]["precision"], second[1]["precision"]}
        lower = precisions - {"float32"}
        if precisions == {"float32"}:
            allowed = {**TOLERANCES["float32"], **(tolerance or {})}
        elif first[1]["backend"] == second[1]["backend"] and len(lower) == 1 < len(precisions):
            allowed = TOLERANCES[lower.pop()]
        else:
            continue
        found.append(pair(case, first, second, allowed))
    return found


def timing(seconds, skip=0):
    """Median and quartiles of seconds without the first `skip`, which may still compile."""
    warm = seconds[skip:] if len(seconds) > skip else seconds
    if len(warm) < 2:
        return {"median": warm[0], "low": warm[0], "high": warm[0], "count": len(warm)}
    low, _, high = statistics.quantiles(warm, n=4, method="inclusive")
    return {"median": statistics.median(warm), "low": low, "high": high, "count": len(warm)}


def _list(arrays, name):
    count = sum(key.startswith(f"{name}_") for key in arrays)
    return [arrays[f"{name}_{number}"] for number in range(count)]


def _square(values):
    return float(numpy.square(numpy.asarray(values, dtype="float64")).sum())


def _distance(a, b):
    return None if a is None or b is None else abs(a - b)


def _curve(a, b):
    """Largest relative difference of two loss curves."""
    known = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    if len(known) < len(a):
        return math.inf
    return max((abs(x - y) / max(abs(x), abs(y), 1e-12) for x, y in known), default=0.0)
