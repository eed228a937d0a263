"""Every test that docs/reliability.md and the README's promises name is there."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TESTS = {
    path.name: {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    for path in (ROOT / "tests").glob("test_*.py")
}
# `test_a.py`, `tests/test_a.py::test_b`, `test_b[parameter]`, `::test_b` after a file in its row.
NAMED = re.compile(r"`(?:tests/)?(test_\w+\.py)?(?:::)?(test_\w+)?(?:\[[^`]*\])?`")


def missing(text):
    """What a text names and the tests have not."""
    wanting = []
    for line in text.splitlines():
        file = None
        for found in NAMED.finditer(line):
            named, test = found.groups()
            if not named and not test:
                continue
            file = named or file
            # A bare name may stand in any file; behind `::` it belongs to the file before it.
            bare = named is None and not found[0].startswith("`::")
            places = TESTS if bare else [file]
            if not all(place in TESTS for place in places) or (
                test and not any(test in TESTS[place] for place in places)
            ):
                wanting.append(found[0])
    return wanting


def between(text, start, end):
    return text[text.index(start) : text.index(end)]


def test_every_test_that_the_rows_name_exists():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert missing(text) == []
    rows = re.findall(r"^\| [\d, -]+ \|.*", text, re.MULTILINE)
    without_test = [row for row in rows if "`test_" not in row and "chain" not in row]
    left_out = between(text, "## Left out", "## H.").splitlines()
    assert len(rows) > 100
    assert [row for row in without_test if row not in left_out and "replaced" not in row] == []


@pytest.mark.parametrize("name", ["README.md", "docs/reliability.md"])
def test_each_of_the_six_promises_names_its_tests(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    section = re.search(
        r"^## (?:What is promised|The six promises)\n.*?(?=^## )", text, re.M | re.S
    )
    promises = re.split(r"^\d\. ", section[0], flags=re.M)[1:]
    assert len(promises) == 6
    for promise in promises:
        assert NAMED.search(promise), promise
        assert missing(" ".join(promise.split())) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("`test_kill.py`, `test_nowhere.py`", ["`test_nowhere.py`"]),
        ("`test_kill.py::test_nothing`", ["`test_kill.py::test_nothing`"]),
        ("`test_files.py::test_a`, `::test_b`", ["`test_files.py::test_a`", "`::test_b`"]),
        ("`test_in_no_file[x]`", ["`test_in_no_file[x]`"]),
        ("`test_every_test_that_the_rows_name_exists`", []),
    ],
)
def test_what_is_missing_is_found(line, expected):
    assert missing(line) == expected
