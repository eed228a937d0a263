"""Differences between backends and the verdict on them, computed by hand."""

import math

import numpy
import pytest
from comparison_fixtures import worker

from kerasdl.tools.compare import differences, verdict

CASE = {"name": "U-Net, 8x8", "task": "segmentation"}


def test_difference_by_hand():
    found = differences.difference([1.0, -2.0, 4.0], [1.0, -2.5, 3.0])
    # |a - b| = 0, 0.5, 1; largest value 4; mean sizes 7/3 and 6.5/3
    assert found["largest"] == 1.0 and found["mean"] == 0.5
    assert found["relative_largest"] == 0.25
    assert found["relative_mean"] == pytest.approx(0.5 / (6.75 / 3))
    assert differences.difference([0.0], [0.0])["relative_largest"] == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_infinitely_far_away(bad):
    assert set(differences.difference([1.0, bad], [1.0, bad]).values()) == {math.inf}
    step = differences.step_difference([[1.0], [bad]], [[1.0], [1.0]], ["a", "b"])
    assert not step["relative"] <= 1e9


def test_step_difference_by_hand():
    step = differences.step_difference([[3.0], [4.0, 0.0]], [[3.0], [4.0, 1.0]], ["a", "b"])
    # ||a - b|| = 1, ||b|| = sqrt(9 + 16 + 1)
    assert step["relative"] == pytest.approx(1 / math.sqrt(26))
    assert (step["largest"], step["most_in"]) == (1.0, "b")
    assert differences.step_difference([[0.0]], [[0.0]], ["a"])["relative"] == math.inf


def test_same_answers_are_classes_or_8_bit_colors():
    a = [[0.1, 0.9], [0.6, 0.5]]
    assert differences.same_outputs(a, [[0.2, 0.8], [0.5, 0.6]], classes=True) == 0.5
    # 0.5 * 255 = 127.5 and 0.501 * 255 = 127.755 are both 128; 0.6 is 153, 0.61 is 156
    assert differences.same_outputs([[0.5, 0.6]], [[0.501, 0.61]], classes=False) == 0.5
    assert differences.same_outputs([[1.2]], [[1.7]], classes=False) == 1.0


def test_pair_names_the_first_layer_that_differs():
    first, second = ("jax", *worker()), ("torch", *worker("torch", apart=0.5, step_apart=1.0))
    found = differences.pair(CASE, first, second, {"logits": 0.1, "gradient_step": 0.1})
    assert found["first_difference"] == "norm"
    assert [layer["relative"] for layer in found["layers"]] == [0.0, 0.2, 0.2]
    assert found["logits"]["scaled"] == 0.2  # 0.5 of the largest, 2.5
    assert found["gradient_step"]["relative"] == pytest.approx(1 / math.sqrt(34))
    assert found["scores"] == {"accuracy": 0.0, "loss": 0.5}
    assert found["losses"] == 0.5  # 1.0 beside 0.5 in the last step
    assert found["beyond"] == ["logits", "gradient_step"] and not found["agrees"]


def test_the_step_in_float64_is_judged_and_the_other_one_told():
    first, second = ("jax", *worker()), ("torch", *worker("torch"))
    second[2]["step_1"] = numpy.array([5.0])
    found = differences.pair(CASE, first, second, differences.TOLERANCES["float32"])
    assert found["agrees"] and found["gradient_step"]["relative"] == 0.0
    assert found["own_step"]["relative"] == pytest.approx(1 / math.sqrt(34))
    del second[2]["exact_0"], second[2]["exact_1"]  # as at lower precisions
    found = differences.pair(CASE, first, second, differences.TOLERANCES["mixed_float16"])
    assert found["beyond"] == ["gradient_step"]


def test_small_logits_are_compared_absolutely():
    (result, arrays), (other, others) = worker(), worker("torch")
    arrays["outputs"], others["outputs"] = numpy.array([[0.5]]), numpy.array([[0.25]])
    found = differences.pair(
        CASE, ("a", result, arrays), ("b", other, others), differences.TOLERANCES["float32"]
    )
    assert found["logits"]["scaled"] == 0.25 and found["logits"]["relative_largest"] == 0.5


def test_lower_precisions_are_compared_with_float32_of_the_same_backend_only():
    variants = [
        (f"{backend} {precision}", *worker(backend, precision, apart=0.01))
        for backend in ("jax", "torch")
        for precision in ("float32", "mixed_bfloat16")
    ]
    found = differences.pairs(CASE, variants, {"logits": 0.5})
    assert [(pair["a"], pair["b"]) for pair in found] == [
        ("jax float32", "jax mixed_bfloat16"),
        ("jax float32", "torch float32"),
        ("torch float32", "torch mixed_bfloat16"),
    ]
    assert found[0]["tolerance"] == differences.TOLERANCES["mixed_bfloat16"]
    assert found[1]["tolerance"] == {"logits": 0.5, "gradient_step": 1e-4}


def test_times_are_the_median_and_quartiles_of_warm_steps():
    assert differences.timing([9.0, 8.0, 1.0, 2.0, 3.0, 4.0, 5.0], skip=2) == {
        "median": 3.0, "low": 2.0, "high": 4.0, "count": 5,
    }  # fmt: skip
    assert differences.timing([9.0], skip=2)["median"] == 9.0


def case(name="U-Net, 8x8", **workers):
    """A case of the document with float32 variants."""
    variants = [(key, *worker(key, **values)) for key, values in workers.items()]
    for _, result, _ in variants:
        result["step"] = differences.timing(result["step_seconds"], 2)
    return {
        "name": name,
        "variants": {key: result for key, result, _ in variants},
        "pairs": differences.pairs(CASE, variants),
    }


def test_verdict_of_backends_that_agree():
    found = verdict.verdict([case(jax={"seconds": 0.2}, torch={"seconds": 0.1, "apart": 2e-6})])
    assert found["agree"]
    assert found["sentence"] == (
        "jax and torch agree: outputs differ by at most 1.0e-06 (allowed 1e-04), gradient steps by "
        "0.0e+00 (1e-04); torch is fastest, 2.0 times as fast as jax."
    )


def test_verdict_of_backends_that_differ_or_fail():
    broken = case(jax={}, torch={"apart": 0.5})
    broken["variants"]["tensorflow"] = {"error": "no memory"}
    found = verdict.verdict([broken, case("second", jax={}, torch={})])
    assert not found["agree"]
    for words in (
        "tensorflow failed on U-Net, 8x8: no memory",
        "jax and torch DIFFER on U-Net, 8x8: outputs by 2.0e-01",
        "(allowed 1e-04, first in layer norm)",
        "fastest training step: jax in 2 of 2",
    ):
        assert words in found["sentence"]


def test_overlapping_times_are_no_ranking():
    variants = {
        name: {"step": {"median": median, "low": low, "high": high}}
        for name, median, low, high in (("a", 3, 2.0, 3.5), ("b", 4, 3.4, 5), ("c", 6, 5.5, 7))
    }
    assert verdict.fastest(variants) == ["a", "b"]
    assert verdict.fastest({"a": {"error": "failed"}}) == []


def test_join():
    assert [verdict.join("abc"[:count]) for count in range(4)] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip
