"""Differences of runs that share their seeds: interval, paired tests, correction for many tests."""

import math
import statistics
from typing import NamedTuple

# Below this number of pairs Wilcoxon's test cannot reach 0.05, whatever the differences are.
WILCOXON_PAIRS = 6


class Paired(NamedTuple):
    """Paired differences of two series.

    Attributes:
        pairs: Number of pairs, n.
        mean: Mean of the differences.
        deviation: Their sample standard deviation (n - 1); None for n = 1.
        low: Lower end of the 95 % interval of the mean, Student's t with n - 1 degrees of freedom;
            None for n = 1.
        high: Upper end.
        p_t: Paired t-test, two-sided: how often differences this large come from equal means, if
            they are normal. None for n = 1, or where all differences are the same and not 0.
        p_wilcoxon: Wilcoxon's signed-rank test, two-sided; None where all are 0. It
            assumes no normal distribution, but cannot be smaller than `wilcoxon_floor(n)`.
    """

    pairs: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    p_t: float | None
    p_wilcoxon: float | None


def paired(ours, reference):
    """Compares two series of one score, pair by pair: ours - reference.

    Args:
        ours: Numbers, one per seed.
        reference: Numbers of the same seeds, in the same order.

    Returns:
        `Paired`, or None without any pair of finite numbers.
    """
    pairs = [
        (one, other)
        for one, other in zip(ours, reference, strict=True)
        if None not in (one, other) and math.isfinite(one) and math.isfinite(other)
    ]
    if not pairs:
        return None
    differences = [one - other for one, other in pairs]
    count, mean = len(differences), statistics.fmean(differences)
    if count == 1:
        return Paired(1, mean, None, None, None, None, None)
    deviation = statistics.stdev(differences)
    half = t_quantile(count - 1) * deviation / math.sqrt(count)
    return Paired(
        count, mean, deviation, mean - half, mean + half, _p_t(mean, deviation, count),
        _p_wilcoxon(differences),
    )  # fmt: skip


def t_quantile(degrees, level=0.95):
    """Half width of the interval in standard errors; 4.303 for two degrees of freedom."""
    import scipy.stats

    return float(scipy.stats.t.ppf((1 + level) / 2, degrees))


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


def _p_t(mean, deviation, count):
    if deviation == 0:
        return 1.0 if mean == 0 else None
    import scipy.stats

    return float(2 * scipy.stats.t.sf(abs(mean) / (deviation / math.sqrt(count)), count - 1))


def _p_wilcoxon(differences):
    if not any(differences):
        return None
    import scipy.stats

    return float(scipy.stats.wilcoxon(differences).pvalue)
