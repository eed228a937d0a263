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
        low: Lower end of the 95 % interval of the mean, Student's t with n - 1 degrees of freedom;
            None if there is no test.
        high: Upper end.
        p_t: Paired t-test, two-sided: how often differences this large come from equal means, if
            they are normal. None for n = 1, or if all differences are equal and not 0.
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


def paired(ours, reference, comparisons=1):
    """Compares two series of one score, pair by pair: ours - reference.

    Args:
        ours: Numbers, one per seed.
        reference: Numbers of the same seeds, in the same order.
        comparisons: Number m of comparisons made together. The level of the interval is
            1 - 0.05 / m, so that all m contain their mean in 95 % of cases (Bonferroni).

    Returns:
        `Paired`, or None without any pair of finite numbers.
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
    if max(differences) - min(differences) <= ROUNDING * largest:
        if abs(mean) <= ROUNDING * largest:
            return Paired(count, 0.0, 0.0, 0.0, 0.0, 1.0)
        return Paired(count, mean, 0.0, p_wilcoxon=wilcoxon_floor(count))
    test = scipy.stats.ttest_rel(*zip(*found, strict=True))
    return Paired(
        count,
        mean,
        statistics.stdev(differences),
        *map(float, test.confidence_interval(1 - 0.05 / comparisons)),
        float(test.pvalue),
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
