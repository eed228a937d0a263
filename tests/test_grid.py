"""The words of --grid."""

import pytest

from kerasdl.core.errors import ConfigError
from kerasdl.tools.sweep import grid


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("skips", "all,none,[1,2]", ["all", "none", [1, 2]]),
        ("skips", "[1,2], [3], none", [[1, 2], [3], "none"]),
        ("progressive_sizes", "[[1, 2], [3]],[]", [[[1, 2], [3]], []]),
        ("data", '"a,b",c', ["a,b", "c"]),
        ("filters", "8,16", [8, 16]),
        ("image_size", "32,48x64", [32, "48x64"]),
        ("learning_rate", "0.1, 1e-2", [0.1, 0.01]),
        ("model", "unet,fcn8", ["unet", "fcn8"]),
        ("deterministic", "true,false", [True, False]),
        ("augment_args.flip", "{a = [1, 2]},0", [{"a": [1, 2]}, 0]),
    ],
)
def test_values(key, text, expected):
    assert grid.values(key, text) == expected


def test_a_key_given_again_adds_its_values():
    assert grid.parse(["skips=[1,2]", "depth=2", "skips=[3],[1,2]"]) == {
        "skips": [[1, 2], [3]],
        "depth": [2],
    }


@pytest.mark.parametrize("words", ["skips", "=1", "skips=", "skips=all,,none", "depth=2,"])
def test_wrong_words(words):
    with pytest.raises(ConfigError):
        grid.parse([words])


def test_folder_names_are_safe_and_tell_values_apart():
    name = grid.folder_name
    assert name({"skips": [1, 2], "model": "unet"}) == "skips-1-2_model-unet"
    assert name({"model_args.filters": 8, "learning_rate": 0.1}) == "filters-8_learning_rate-0.1"
    unsafe = [name({"data": text}) for text in ("../a/b", "../a-b", "x" * 50, "x" * 51)]
    assert len(set(unsafe)) == 4
    assert all("/" not in each and len(each) < 60 for each in unsafe)
