"""Every decimal number in a table of README and docs follows from the results linked beside it.

A row with links is compared with these files, another row with those of its section. "a ± b" must
be the mean and the sample standard deviation of one series: as printed in a file, or of the values
per run, or of their paired differences. Another number must stand in a file, or be the mean of a
series. All in the unit of the file or in percent.
"""

import functools
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
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?:e-\d+)?")
SPREAD = re.compile(r"(\d+\.\d+) ± (\d+\.\d+)")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def sections(page):
    """(heading, [(row without links and code, linked files), ...]) of the sections with both."""
    for text in re.split(r"\n(?=#+ )", page.read_text(encoding="utf-8")):
        rows = [
            (CODE.sub("", LINK.sub("]", line)), LINK.findall(line) or LINK.findall(text))
            for line in text.splitlines()
            if line.startswith("|")
        ]
        if LINK.search(text) and rows:
            yield (
                text.splitlines()[0],
                [(row, [(page.parent / link).resolve() for link in links]) for row, links in rows],
            )


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


@functools.cache
def known(path):
    """The numbers of a file, and its (mean, deviation) pairs."""
    text = path.read_text(encoding="utf-8")
    numbers = {float(found.replace(",", "")) for found in NUMBER.findall(text)}
    pairs = {(float(mean), float(spread)) for mean, spread in SPREAD.findall(text)}
    if path.suffix == ".json":
        series = {}
        for name, values in lists(json.loads(text)):
            series.setdefault(name.rpartition(".")[2], []).append(values)
            numbers.add(statistics.fmean(values))
        for same in series.values():
            differences = [
                [a - b for a, b in zip(one, other, strict=False)]
                for one, other in itertools.permutations(same, 2)
            ]
            for each in (*same, *differences):
                if len(each) > 1:
                    pairs.add((statistics.fmean(each), statistics.stdev(each)))
    return numbers, pairs


def rounds_to(value, text):
    """Whether a value, or a hundred times it, rounds to a number as printed."""
    number, _, exponent = text.partition("e")
    scale = float(f"1e{exponent or 0}")
    slack = 0.5001 * 10.0 ** -len(number.partition(".")[2]) * scale
    return any(
        math.isclose(abs(each), float(text), rel_tol=0, abs_tol=slack)
        for each in (value, 100 * value)
    )


def unsourced(rows):
    """The decimal numbers in table rows that no linked file explains."""
    missing = []
    for row, links in rows:
        numbers, pairs = (set().union(*each) for each in zip(*map(known, links), strict=True))
        for mean, spread in SPREAD.findall(row):
            if not any(rounds_to(a, mean) and rounds_to(b, spread) for a, b in pairs):
                missing.append(f"{mean} ± {spread}")
        for text in DECIMAL.findall(SPREAD.sub("", row)):
            if not any(rounds_to(value, text) for value in numbers):
                missing.append(text)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_numbers_in_tables_come_from_results(page):
    found = {heading: unsourced(rows) for heading, rows in sections(page)}
    assert {heading: numbers for heading, numbers in found.items() if numbers} == {}


def test_links_to_results_exist():
    for page in PAGES:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_a_number_without_a_source_is_found(tmp_path):
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"a": [{"x": 0.5}, {"x": 0.7}], "b": [{"x": 0.4}, {"x": 0.4}]}))
    # Means 0.6 and 0.4, deviation 0.1414, difference 0.2 +- 0.1414.
    rows = ["| a | 60.0 ± 14.14 % | 0.20 ± 0.14 | 0.5 | 0.63 |", "| 40.0 ± 14.14 | 7.5e-3 |"]
    assert unsourced([(row, [results]) for row in rows]) == ["0.63", "40.0 ± 14.14", "7.5e-3"]
