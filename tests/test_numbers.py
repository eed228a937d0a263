"""Every decimal number in a table of README and docs follows from the results linked beside it.

A number is accepted if a linked file holds it, or if it is a mean, a sample standard deviation or a
paired difference of values that the file holds per run, in the unit of the file or in percent.
"""

import itertools
import json
import math
import pathlib
import re
import statistics

import pytest

ROOT = pathlib.Path(__file__).parents[1]
CODE = re.compile(r"`[^`]*`")  # settings, not measurements
LINK = re.compile(r"\]\(([^)#]*benchmarks/results/[^)#]*)\)")
NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?(?!\w)")
DECIMAL = re.compile(r"(?<![\w.])(\d+\.(\d+)(e-\d+)?)")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def sections(page):
    """(heading, table lines, linked files) of the sections of a page that have both."""
    for text in re.split(r"\n(?=#+ )", page.read_text(encoding="utf-8")):
        rows = [
            CODE.sub("", LINK.sub("]", line)) for line in text.splitlines() if line.startswith("|")
        ]
        links = [(page.parent / link).resolve() for link in LINK.findall(text)]
        if rows and links:
            yield text.splitlines()[0], rows, links


def lists(value):
    """The numbers of the runs within a JSON value: {name: values} of each list of runs."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from ((f"{name}.{inner}", found) for inner, found in lists(each))
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for name in value[0]:
            found = [each.get(name) for each in value]
            if all(isinstance(each, int | float) for each in found):
                yield name, found
            elif all(isinstance(each, list) and each for each in found):
                last = [each[-1][0] if isinstance(each[-1], list) else None for each in found]
                if None not in last:  # a course of (seconds, score)
                    yield f"{name}.seconds", last
    elif isinstance(value, list) and value and all(isinstance(e, int | float) for e in value):
        yield "", value


def derived(path):
    """The numbers of a file, and those that follow from its runs."""
    text = path.read_text(encoding="utf-8")
    yield from (float(found.replace(",", "")) for found in NUMBER.findall(text))
    if path.suffix != ".json":
        return
    found = {}
    for name, values in lists(json.loads(text)):
        found.setdefault(name.rpartition(".")[2], []).append(values)
        yield from summary(values)
    for series in found.values():
        for one, other in itertools.permutations(series, 2):
            pairs = list(zip(one, other, strict=False))
            yield from summary([a - b for a, b in pairs])


def summary(values):
    yield statistics.fmean(values)
    if len(values) > 1:
        yield statistics.stdev(values)


def unsourced(rows, links):
    """The decimal numbers in table rows that no linked file explains."""
    pool = sorted({abs(value) for path in links for value in derived(path)})
    pool = sorted({*pool, *(100 * value for value in pool)})
    missing = []
    for row in rows:
        for text, digits, exponent in DECIMAL.findall(row):
            scale = float(f"1{exponent}") if exponent else 1.0
            slack = 0.5001 * 10.0 ** -len(digits) * scale
            if not any(
                math.isclose(value, float(text), rel_tol=0, abs_tol=slack) for value in pool
            ):
                missing.append(text)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_numbers_in_tables_come_from_results(page):
    found = {heading: unsourced(rows, links) for heading, rows, links in sections(page)}
    assert {heading: numbers for heading, numbers in found.items() if numbers} == {}


def test_links_to_results_exist():
    for page in PAGES:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_a_number_without_a_source_is_found(tmp_path):
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"a": [{"x": 0.5}, {"x": 0.7}], "b": [{"x": 0.4}, {"x": 0.4}]}))
    # Means 0.6 and 0.4, deviation 0.1414, difference 0.2 +- 0.1414.
    rows = ["| a | 60.0 ± 14.14 % | 0.20 | 0.63 |", "| b | 40.0 | 7.5e-3 |"]
    assert unsourced(rows, [results]) == ["0.63", "7.5e-3"]
