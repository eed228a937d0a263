"""Changes one expression of kerasdl at a time and lists the changes that no test notices.

Usage: KERAS_BACKEND=torch python benchmarks/mutation.py [--only TEXT] [--again] [--slow]

The set (`mutation_set.py`) is a fixed sample of small changes of the files that compute
(`mutation_operators.py`), and the 49 that no test of version 0.1 noticed. This process imports the
libraries, never kerasdl, and forks a child per mutation. The child imports kerasdl with the one
module changed in memory and runs the tests named for it until one fails, those first that noticed
the last mutations, then the quickest. A child that takes more than four times as long as all its
tests counts as noticed: it hangs. Results are appended to results/mutation.jsonl, from which a
later start continues; results/mutation.md is the summary.
"""

import argparse
import ast
import collections
import gc
import importlib
import importlib.abc
import importlib.util
import json
import os
import pathlib
import platform
import resource
import signal
import sys
import tempfile
import time
import traceback

import checkout
import pytest
from mutation_operators import Mutation, mutations, sample
from mutation_set import AUDIT, SAMPLED, SLOW
from mutation_survivors import EQUIVALENT

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/mutation.jsonl"
SUMMARY = RESULTS.with_suffix(".md")
BASELINE = ROOT / ".pytest_cache/mutation.json"
PACKAGE = "kerasdl"
MOST_SECONDS = 30  # of processor time for a mutation, at least
MOST_WALL_SECONDS = 900
AREAS = {
    "metrics": "metrics",
    "losses": "losses",
    "models": "models",
    "tasks": "tasks",
    "data/pipeline": "data transforms",
    "data/folder": "masks",
    "engine": "training assembly",
    "runs": "resume",
    "report": "statistics",
}


class Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from changed text; nothing is written to disk."""

    def __init__(self, name, path, text):
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname):
        return compile(self.text, self.path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the one changed module."""

    def __init__(self, path, text):
        self.file = ROOT / PACKAGE / path
        self.name = ".".join((PACKAGE, *pathlib.PurePath(path).with_suffix("").parts))
        self.name = self.name.removesuffix(".__init__")
        self.text = text

    def find_spec(self, name, path, target=None):
        if name != self.name:
            return None
        loader = Changed(name, str(self.file), self.text)
        return importlib.util.spec_from_file_location(name, self.file, loader=loader)


class Watch:
    """Orders the tests and records their processor time and the first that fails."""

    def __init__(self, order):
        self.order, self.seconds, self.failed = order, {}, None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: self.order.get(item.nodeid, 0))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        began = time.process_time()
        yield
        self.seconds[item.nodeid] = round(time.process_time() - began, 3)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed = self.failed or f"{report.nodeid} (import)"


def in_child(tests, order, most_seconds, change=None, slow=True):
    """Runs tests in a fork, with (path, text) of a changed file; what it found, as a dict."""
    reading, writing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            resource.setrlimit(resource.RLIMIT_CPU, (most_seconds, most_seconds))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.alarm(MOST_WALL_SECONDS)
            found = _run_tests(tests, order, change, slow)
            with open(writing, "w") as stream:
                json.dump(found, stream)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as stream:
        text = stream.read()
    _, status, usage = os.wait4(child, 0)
    took = {
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "wall_seconds": round(time.monotonic() - began, 1),
    }
    if not text:
        ended = "hangs" if os.WIFSIGNALED(status) else "ends the process"
        return {"code": 1, "by": ended, "seconds": {}, **took}
    return {**json.loads(text), **took}


def _run_tests(tests, order, change, slow):
    if change is not None:
        sys.meta_path.insert(0, Finder(*change))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    watch = Watch(order)
    files = [f"tests/test_{name}.py" for name in tests]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not process"]
    if not slow:
        options += ["-k", f"not ({' or '.join(SLOW)})"]
    code = pytest.main([*options, *files], plugins=[watch])
    loaded = [
        name
        for name, module in sys.modules.items()
        if "site-packages" in (getattr(module, "__file__", None) or "")
    ]
    return {"code": int(code), "by": watch.failed, "seconds": watch.seconds, "loaded": loaded}


def plan():
    """Each mutation as (title, path, changed text or None, tests), files in turn."""
    columns = []
    tests = {path: each.tests.split() for each in SAMPLED for path in each.paths.split()}
    for path, names in tests.items():
        count = next(each.count for each in SAMPLED if path in each.paths.split())
        file = ROOT / PACKAGE / path
        if not file.exists():
            columns.append([(f"{path}: file", path, None, names)])
            continue
        text = file.read_text()
        drawn = sample(mutations(path, text), count)
        columns.append([(each.key, path, _valid(each, text), names) for each in drawn])
    for each in AUDIT:
        for file in sorted((ROOT / PACKAGE).glob(each.path)):
            text = changed = file.read_text()
            if all(old in text for old, _ in each.edits):
                for old, new in each.edits:
                    changed = changed.replace(old, new, 1)
                path = file.relative_to(ROOT / PACKAGE).as_posix()
                columns.append([(_title(each), path, changed, tests.get(path, ["scorers"]))])
                break
        else:
            columns.append([(_title(each), each.path, None, [])])
    longest = max(map(len, columns))
    return [column[row] for row in range(longest) for column in columns if row < len(column)]


def _title(named):
    return f"audit: {named.title} ({named.path})"


def _valid(mutation: Mutation, text):
    changed = mutation.apply(text)
    ast.parse(changed)
    return changed


class Baseline:
    """Processor time of the tests without a mutation, measured where a file is first needed."""

    def __init__(self, slow):
        self.slow, self.seconds, self.total = slow, {}, {}
        self.known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}

    def measure(self, names):
        """Ends the program if a test fails without a mutation."""
        for name in names:
            if name in self.total:
                continue
            changed = (ROOT / f"tests/test_{name}.py").stat().st_mtime_ns
            key = f"{name} {changed} {self.slow or SLOW}"
            found = self.known.get(key) or in_child([name], {}, 600, slow=self.slow)
            if found["code"]:
                sys.exit(f"test_{name}.py fails without a mutation: {found['by']}")
            self.known[key] = found
            BASELINE.parent.mkdir(exist_ok=True)
            BASELINE.write_text(json.dumps(self.known))
            self.seconds |= found["seconds"]
            self.total[name] = found["cpu_seconds"]
            print(
                f"test_{name}.py: {len(found['seconds'])} tests, {self.total[name]} s", flush=True
            )
            for module in found["loaded"]:  # what one child imports, the next ones inherit
                if module not in sys.modules and not module.startswith("_pytest"):
                    _import(module)
            gc.freeze()


def _import(module):
    try:
        importlib.import_module(module)
    except Exception as error:  # some are made while tests run
        print(f"not imported in advance: {module} ({error})", file=sys.stderr)


def run(chosen, done, slow):
    """Runs mutations and appends each result to the file."""
    baseline = Baseline(slow)
    killers = collections.defaultdict(list)
    for number, (title, path, text, tests) in enumerate(chosen, 1):
        status, found = "not found", {"by": None}
        if text is not None:
            baseline.measure(tests)
            recent = {name: -1 - place for place, name in enumerate(killers[path])}
            limit = MOST_SECONDS + int(4 * sum(baseline.total[name] for name in tests))
            order = {**baseline.seconds, **recent}
            found = in_child(tests, order, limit, (path, text), slow)
            status = "noticed" if found["code"] else "survived"
        if found["by"] in baseline.seconds and found["by"] not in killers[path]:
            killers[path].append(found["by"])
        row = {"mutation": title, "path": path, "status": status, "by": found["by"]}
        row |= {key: found.get(key) for key in ("cpu_seconds", "wall_seconds")}
        done[title] = row
        with open(RESULTS, "a") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        print(f"{number}/{len(chosen)} {status} {row['cpu_seconds']} s  {title}", flush=True)


def summary(planned, done):
    """results/mutation.md: counts per area, and each survivor with the reason."""
    rows = [done[title] for title, *_ in planned if title in done]
    areas = collections.defaultdict(collections.Counter)
    for row in rows:
        prefix = next(prefix for prefix in AREAS if row["path"].startswith(prefix))
        areas[AREAS[prefix]][row["status"]] += 1
    counts = collections.Counter(row["status"] for row in rows)
    ran = counts["noticed"] + counts["survived"]
    before = [json.loads(line) for line in RESULTS.open()]
    missed = {row["mutation"] for row in before if row["status"] == "survived"}
    since = sum(row["status"] == "noticed" and row["mutation"] in missed for row in rows)
    lines = [
        "# Mutations that no test notices",
        "",
        f"`KERAS_BACKEND={os.environ.get('KERAS_BACKEND')} python benchmarks/mutation.py`, "
        f"commit {checkout.commit()}, {platform.machine()}, Python {platform.python_version()}, "
        "one thread.",
        f"{ran} mutations ran in {sum(row['cpu_seconds'] or 0 for row in rows) / 60:.0f} minutes "
        f"of processor time; **{counts['survived']} survived "
        f"({counts['survived'] / max(ran, 1):.1%})**. {since} more survived in an earlier run and "
        "have a test since. Each row: [mutation.jsonl](mutation.jsonl).",
        "",
        "| part | mutations | noticed | survived | text not found |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {area} | {sum(each.values())} | {each['noticed']} | {each['survived']} | "
            f"{each['not found']} |"
            for area, each in areas.items()
        ),
        "",
        "| survivor | why no test notices |",
        "|---|---|",
    ]
    for row in rows:
        if row["status"] == "survived":
            shown = " ".join(row["mutation"].split()).replace("|", "\\|")
            lines.append(f"| `{shown}` | {EQUIVALENT.get(row['mutation'], 'no test yet')} |")
    SUMMARY.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="only mutations whose name holds this text")
    parser.add_argument("--again", action="store_true", help="run survivors again")
    parser.add_argument("--slow", action="store_true", help="run the slow tests, too")
    parser.add_argument("--limit", type=int, help="run at most so many now")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ |= {"MPLBACKEND": "Agg", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = {}
    if RESULTS.exists():
        done = {row["mutation"]: row for row in map(json.loads, RESULTS.open())}
    planned = plan()
    left = [
        each
        for each in planned
        if options.only in each[0]
        and (
            each[0] not in done
            or (
                options.again and done[each[0]]["status"] != "noticed" and each[0] not in EQUIVALENT
            )
        )
    ][: options.limit]
    print(f"{len(planned)} mutations, {len(left)} to run", flush=True)
    if left:
        import keras  # noqa: F401  the backend, before the first fork

        if keras.backend.backend() == "torch":
            import torch

            torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as compiled:  # so that no child compiles it again
            sys.dont_write_bytecode, sys.pycache_prefix = False, compiled
            run(left, done, options.slow)
    summary(planned, done)
    print(SUMMARY.read_text())


if __name__ == "__main__":
    main()
