"""Paired differences: by hand, and as scipy has them."""

import math

import pytest
import scipy.stats
from report_fixtures import scores

from kerasdl.report import paired, paired_differences, tables


def test_paired_by_hand():
    found = paired.paired([3.0, 5.0, 7.0], [2.0, 3.0, 4.0])
    # Differences 1, 2, 3: mean 2, deviation 1, standard error 1 / sqrt(3); the 97.5 % point of t
    # with two degrees of freedom is 4.3027 (any table). t = 2 sqrt(3), and for two degrees of
    # freedom p = 1 - t / sqrt(t**2 + 2).
    assert (found.pairs, found.mean, found.deviation) == (3, 2.0, 1.0)
    assert found.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-5)
    assert found.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-5)
    t = 2 * math.sqrt(3)
    assert found.p_t == pytest.approx(1 - t / math.sqrt(t * t + 2))
    # All three of one sign: 2 of the 8 equally likely patterns of signs are as extreme.
    assert found.p_wilcoxon == pytest.approx(0.25) == paired.wilcoxon_floor(3)


def test_paired_as_scipy():
    ours, reference = [0.71, 0.74, 0.69, 0.77, 0.73, 0.7], [0.66, 0.75, 0.61, 0.7, 0.7, 0.68]
    found = paired.paired(ours, reference)
    test = scipy.stats.ttest_rel(ours, reference)
    interval = test.confidence_interval(0.95)
    assert found.p_t == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_intervals_hold_together():
    # Two groups against one: level 1 - 0.05 / 2, the 98.75 % point of t with two degrees of
    # freedom, which is the root of t**2 / (t**2 + 2) = 0.975**2: 6.2053. Differences 1, 2, 3.
    documents = [*runs("all", [2.0, 3.0, 4.0]), *runs("a", [3.0, 5.0, 7.0]),
                 *runs("b", [3.0, 5.0, 7.0]), *runs("c", [9.0], seeds=(0,))]  # fmt: skip
    first, second, third = paired_differences.compare(documents)
    for found in (first, second):
        assert found.high == pytest.approx(2 + 6.205347 / math.sqrt(3), abs=1e-5)
    assert third.low is None  # a single pair is no test and widens nothing
    (table,) = paired_differences.differences([first, second, third])
    assert "Corrected for 2 comparisons per score" in table.notes[0]


def test_pairs_without_a_number_are_left_out():
    assert paired.paired([1.0, None, math.nan], [2.0, 3.0, 4.0]) == (1, -1.0, *[None] * 5)
    assert paired.paired([None], [1.0]) is None


def test_rounding_of_equal_differences_is_no_evidence():
    same = paired.paired([1.0, 2.0], [1.0, 2.0])
    assert (same.low, same.high, same.p_t, same.p_wilcoxon) == (0.0, 0.0, 1.0, None)
    # 0.8 - 0.7, 0.9 - 0.8 and 0.7 - 0.6 are not quite the same number; p would be 1e-31.
    found = paired.paired([0.8, 0.9, 0.7], [0.7, 0.8, 0.6])
    assert (found.mean, found.deviation) == (pytest.approx(0.1), 0.0)
    assert (found.low, found.high, found.p_t, found.p_wilcoxon) == (None, None, None, 0.25)
    assert paired.paired([0.8, 0.9], [0.7, 0.8001]).p_t < 0.001  # a spread of 1e-4 is one


def test_holm():
    # Sorted 0.01, 0.02, 0.04 times 3, 2, 1 = 0.03, 0.04, 0.04.
    assert paired.holm([0.04, None, 0.01, 0.02]) == pytest.approx([0.04, None, 0.03, 0.04])
    assert paired.holm([0.5, 0.6]) == [1.0, 1.0]


def runs(label, values, seeds=(0, 1, 2)):
    return [
        {**scores("segmentation", "unet", seed=seed, mean_iou=value), "label": label}
        for seed, value in zip(seeds, values, strict=True)
    ]


def test_groups_are_compared_with_the_first_by_seed():
    documents = [
        *runs("all", [0.8, 0.7, 0.9]),
        *runs("none", [0.6, 0.5, 0.4], seeds=(2, 1, 0)),  # of seed 0: 0.4 - 0.8 = -0.4
        *runs("one", [0.9], seeds=(0,)),
    ]
    found = {each.label: each for each in paired_differences.compare(documents)}
    assert set(found) == {"none", "one"} and found["none"].reference == "all"
    # Differences -0.4, -0.2, -0.3.
    assert found["none"].mean == pytest.approx(-0.3)
    assert found["none"].deviation == pytest.approx(0.1)
    assert found["none"].p_holm == found["none"].p_t  # one test only: "one" has a single pair
    assert (found["one"].pairs, found["one"].low) == (1, None)
    (table,) = paired_differences.differences(list(found.values()))
    assert table.caption == "Difference from all, paired by seed"
    rows = {row[0]: row[1:] for row in table.rows}
    # 4.3027 * 10 / sqrt(3) = 24.84 points on both sides.
    assert rows["none"][:3] == ("mean IoU (%) ↑", "−30.00", "−54.84 to −5.16")
    assert rows["one"] == ("mean IoU (%) ↑", "+10.00", "–", "–")
    assert "cannot fall below" in " ".join(table.notes)


def test_a_seed_that_occurs_twice_is_no_pair():
    # Of seed 1 two runs: which of them belongs to the reference's? Differences -0.4 and -0.2.
    again = runs("none", [0.4, 0.1, 0.9, 0.7], seeds=(0, 1, 1, 2))
    for documents in (again, again[::-1]):
        (found,) = paired_differences.compare([*runs("all", [0.8, 0.7, 0.9]), *documents])
        assert found.pairs == 2
        assert found.mean == pytest.approx(-0.3)
    (found,) = paired_differences.compare([*runs("all", [0.8, 0.2, 0.5], (0, 1, 1)), *again[:1]])
    assert (found.pairs, found.mean) == (1, pytest.approx(-0.4))


def test_overview_has_mean_deviation_number_of_runs_and_baseline():
    documents = [*runs("all", [0.8, 0.7, 0.9]), *runs("none", [0.5], seeds=(0,))]
    documents[0]["baseline"] = {"mean_iou": 0.03}
    table = paired_differences.overview(documents)
    assert table.rows == (
        ("all", "80.00 ± 10.00", "3"),
        ("none", "50.00", "1"),
        ("most frequent class", "3.00", "–"),
    )
    assert "none: one run" in table.notes[0] and "n − 1" in table.notes[0]


def test_six_pairs_have_wilcoxons_test_too():
    seeds = range(6)
    documents = [*runs("all", [0.8 + 0.01 * s for s in seeds], seeds),
                 *runs("none", [0.5 + 0.02 * s for s in seeds], seeds)]  # fmt: skip
    (table,) = paired_differences.differences(paired_differences.compare(documents))
    assert table.columns[-1] == "p Wilcoxon" and table.rows[0][-1] == "0.031"  # 2 / 2**6


def test_a_single_group_or_seed_gives_no_test():
    assert paired_differences.compare(runs("all", [0.8, 0.7, 0.9])) == []
    one = [*runs("all", [0.8], (0,)), *runs("none", [0.7], (0,))]
    (table,) = paired_differences.differences(paired_differences.compare(one))
    assert table.rows[0][2:] == ("−10.00", "–", "–") and "no test" in table.notes[0]
    apart = [*runs("all", [0.8], (0,)), *runs("none", [0.7], (1,))]
    assert paired_differences.differences(paired_differences.compare(apart)) == []


def test_spread_of_two_runs_is_said_to_be_of_too_few():
    groups = {"all": runs("all", [0.8, 0.7], (0, 1))}
    assert "2 runs (seeds 0, 1), too few to show the spread" in tables.runs_note(groups)
    groups = {"all": runs("all", [0.8, 0.7, 0.9])}
    assert tables.runs_note(groups) == (
        "Mean ± sample standard deviation (n − 1) over 3 runs (seeds 0, 1, 2)."
    )


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "<0.001"), (0.0123, "0.012"), (0.25, "0.25"), (1.0, "1"), (None, "–")]
)
def test_p_text(p, text):
    assert paired_differences.p_text(p) == text


def test_runs_scored_on_different_images_are_not_paired():
    one = [scores("segmentation", "unet", seed, mean_iou=0.5) for seed in (0, 1)]
    other = [scores("segmentation", "fcn8", seed, mean_iou=0.7) for seed in (0, 1)]
    assert len(paired_differences.compare(one + other)) == 1
    other_images = {"data": "camvid", "split": "train", "samples": 7, "image_size": [48, 64]}
    for key, value in other_images.items():
        different = one + [{**each, key: value} for each in other]
        assert paired_differences.compare(different) == []
        note = paired_differences.overview(different).notes[-1]
        assert note.startswith("No paired comparison") and key.replace("_", " ") in note


def test_a_wide_table_is_turned_for_a_terminal():
    wide = tables.Table("caption", ("", "a", "b", "runs"), (("x", "1", "2", "3"),), ("note",))
    assert tables.upright(wide) == tables.Table(
        "caption", ("", "x"), (("a", "1"), ("b", "2"), ("runs", "3")), ("note",)
    )
    long = tables.Table("caption", ("", "a"), (("x", "1"), ("y", "2")))
    assert tables.upright(long) == long
