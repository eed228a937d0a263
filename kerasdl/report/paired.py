"""Differences of runs that share their seeds: interval, paired tests, correction for many tests."""

import math
import statistics
from typing import NamedTuple

# With fewer pairs Wilcoxon's test cannot reach 0.05, whatever the differences.
WILCOXON_PAIRS = 6
ROUNDING = 1e-7  # relative: scores pass through float32


class Paired(NamedTuple):
    """Paired differences of two series.

    Attributes:
        pairs: Number of pairs, n.
        mean: Mean of the differences.
        deviation: Their sample standard deviation (n - 1); None for n = 1.
        low: Lower end of the 95 % interval of the mean, Student's t; None if there is no test.
        high: Upper end.
        p_t: t-test, two-sided: how often differences this large come from equal means, if they are
            normal. None for n = 1, or if all differences are equal and not 0.
        p_wilcoxon: Wilcoxon's signed-rank test, two-sided; None if all are 0. It does not assume a
        normal distribution, but cannot be smaller than `wilcoxon_floor(n)`.
    """

    pairs: int
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    p_t: float | None = None
    p_wilcoxon: float | None = None


def pairs(ours, reference):
    """The pairs in which both numbers are finite, in order."""
    return [
        (one, other)
        for one, other in zip(ours, reference, strict=True)
        if None not in (one, other) and math.isfinite(one) and math.isfinite(other)
    ]


def paired(ours, reference, comparisons=1, image_variance=0.0):
    """Compares two series of one score, pair by pair: ours - reference.

    The variance of the mean is s^2 / n + v: s of the differences, v the variance due to the choice
    of the test images. Its degrees of freedom are (s^2 / n + v)^2 / ((s^2 / n)^2 / (n - 1)); with
    v = 0 this is the paired t-test.

    Args:
        ours: Numbers, one per seed.
        reference: Numbers of the same seeds, in the same order.
        comparisons: Number m of comparisons made together. The level of the interval is
            1 - 0.05 / m, so that all m contain their mean in 95 % of cases (Bonferroni).
        image_variance: v, of the mean difference over sets of test images; 0 if unknown.

    Returns:
        `Paired`, or None without any pair of finite numbers.

    Source of the degrees of freedom: Satterthwaite 1946, with those of v infinite.
    """
    found = pairs(ours, reference)
    if not found:
        return None
    differences = [one - other for one, other in found]
    count, mean = len(differences), statistics.fmean(differences)
    if count == 1:
        return Paired(1, mean)
    import scipy.stats

    # Rounding errors of equal differences are not a spread.
    largest = max(abs(value) for pair in found for value in pair)
    equal = max(differences) - min(differences) <= ROUNDING * largest
    if equal and abs(mean) <= ROUNDING * largest:
        return Paired(count, 0.0, 0.0, 0.0, 0.0, 1.0)
    if equal and not image_variance:
        return Paired(count, mean, 0.0, p_wilcoxon=wilcoxon_floor(count))
    deviation = 0.0 if equal else statistics.stdev(differences)
    seeds = deviation**2 / count
    error = math.sqrt(seeds + image_variance)
    freedom = error**4 / (seeds**2 / (count - 1)) if seeds else math.inf
    distribution = scipy.stats.t(freedom)
    margin = float(distribution.ppf(1 - 0.025 / comparisons)) * error
    return Paired(
        count,
        mean,
        deviation,
        mean - margin,
        mean + margin,
        float(2 * distribution.sf(abs(mean) / error)),
        float(scipy.stats.wilcoxon(differences).pvalue),
    )


def wilcoxon_floor(pairs):
    """The smallest two-sided p that n pairs can give: all differences of one sign, 2 / 2**n."""
    return 2.0 / 2**pairs


def holm(p_values):
    """p-values corrected for their number (Holm 1979); None stays None and counts as no test.

    The k-th smallest of m is multiplied by m - k + 1, and none is smaller than the one before it.
    """
    order = sorted(
        (place for place, p in enumerate(p_values) if p is not None), key=p_values.__getitem__
    )
    corrected, largest = list(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, p_values[place] * (len(order) - rank)))
        corrected[place] = largest
    return corrected
