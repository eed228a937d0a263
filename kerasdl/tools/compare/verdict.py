"""The verdict: do the backends agree, and which one is fastest."""

import collections


def verdict(cases):
    """The verdict on all cases of a document.

    Args:
        cases: List of mappings with `name`, `variants` and `pairs`, see `compare.backends`.

    Returns:
        {"agree": bool, "sentence": text, "fastest": {case name: [variant, ...]}}; several variants
        are fastest if their times overlap.
    """
    pairs = [pair for case in cases for pair in case["pairs"]]
    failed = [
        f"{name} failed on {case['name']}: {variant['error']}"
        for case in cases
        for name, variant in case["variants"].items()
        if "error" in variant
    ]
    beyond = [(case["name"], pair) for case in cases for pair in case["pairs"] if pair["beyond"]]
    agree = bool(pairs) and not beyond and not failed
    if agree:
        parts = [_agreement(cases, pairs)]
    else:
        parts = failed + [_disagreement(*each) for each in beyond[:3]]
    if len(beyond) > 3:
        parts.append(f"{len(beyond) - 3} more pairs differ")
    found = {case["name"]: fastest(case["variants"]) for case in cases}
    parts.append(_speed({name: names for name, names in found.items() if names}, cases))
    sentence = "; ".join(part for part in parts if part)
    return {"agree": agree, "sentence": f"{sentence}.", "fastest": found}


def fastest(variants):
    """Names of the variants with the shortest training step, the fastest first.

    A variant whose faster half of steps overlaps the slower half of the fastest one's counts as
    equally fast.
    """
    times = {name: variant["step"] for name, variant in variants.items() if "error" not in variant}
    if not times:
        return []
    order = sorted(times, key=lambda name: times[name]["median"])
    limit = times[order[0]]["high"]
    return [name for name in order if name == order[0] or times[name]["low"] <= limit]


def join(texts):
    """ "a", "a and b", "a, b and c"."""
    texts = list(texts)
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def _agreement(cases, pairs):
    names = dict.fromkeys(name for case in cases for name in case["variants"])
    where = f" on all {len(cases)} models and sizes" if len(cases) > 1 else ""
    between = [pair for pair in pairs if pair["tolerance"] == pairs[0]["tolerance"]]
    logits = max(pair["logits"]["scaled"] for pair in between)
    step = max(pair["gradient_step"]["relative"] for pair in between)
    allowed = between[0]["tolerance"]
    return (
        f"{join(names)} agree{where}: outputs differ by at most {logits:.1e} (allowed "
        f"{allowed['logits']:.0e}), gradient steps by {step:.1e} ({allowed['gradient_step']:.0e})"
    )


def _disagreement(name, pair):
    parts = []
    if "logits" in pair["beyond"]:
        where = f", first in layer {pair['first_difference']}" if pair["first_difference"] else ""
        parts.append(
            f"outputs by {pair['logits']['scaled']:.1e} "
            f"(allowed {pair['tolerance']['logits']:.0e}{where})"
        )
    if "gradient_step" in pair["beyond"]:
        parts.append(
            f"gradient steps by {pair['gradient_step']['relative']:.1e} "
            f"(allowed {pair['tolerance']['gradient_step']:.0e})"
        )
    return f"{pair['a']} and {pair['b']} DIFFER on {name}: {join(parts)}"


def _speed(found, cases):
    if not found:
        return ""
    if len(cases) > 1:
        counts = collections.Counter(name for names in found.values() for name in names[:1])
        wins = [f"{name} in {count} of {len(found)}" for name, count in counts.most_common()]
        return f"fastest training step: {join(wins)}"
    (case,) = [case for case in cases if case["name"] in found]
    first, *equal = found[case["name"]]
    times = {
        name: variant["step"]["median"]
        for name, variant in case["variants"].items()
        if "error" not in variant
    }
    others = [
        f"{times[name] / times[first]:.1f} times as fast as {name}"
        for name in sorted(times, key=times.get)
        if name != first and name not in equal
    ]
    lead = f"{join([first, *equal])} {'are equally fast' if equal else 'is fastest'}"
    if len(times) < 2:
        return ""
    return f"{lead}, {join(others)}" if others else lead
