"""The packages and which of them may import which, read from the sources."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

import kerasdl
from kerasdl.data import SOURCES as DATA
from kerasdl.losses import LOSSES
from kerasdl.metrics import METRICS
from kerasdl.models import MODELS
from kerasdl.tasks import TASKS

PACKAGE = pathlib.Path(kerasdl.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
ENGINES = {"tensorflow", "jax", "torch"}
FRAMEWORKS = ENGINES | {"keras_cv", "keras_hub", "tensorflow_datasets"}

# Every package, from the lowest to the highest, and the packages below it that it imports.
MAY_IMPORT = {
    "core": set(),
    "backend": {"core"},
    "data": {"core"},
    "metrics": {"core", "backend"},
    "losses": {"core", "backend", "metrics"},
    "models": {"core"},
    "tasks": {"core", "data", "metrics", "losses"},
    "runs": {"core", "backend", "data", "metrics", "losses", "models", "tasks"},
    "report": {"core", "data", "metrics", "losses", "models", "tasks", "runs"},
    "engine": {
        *("core", "backend", "data", "metrics", "losses", "models", "tasks", "runs", "report"),
    },
    "tools": {
        *("core", "backend", "data", "losses", "models", "tasks", "runs", "report", "engine"),
    },
    "cli": {"core", "backend", "tasks", "runs", "report", "engine", "tools"},
}
# The study is about certain models and tasks, so its numbers are listed by their names.
STUDY = {("report", "study.py"), ("tools", "reproduce", "reproduction.py")}
# Layouts have common names: "imagenet" is also a stem and weights.
KINDS = {name: spec for name, spec in DATA.items() if not spec.layout}
REGISTRIES = {"tasks": TASKS, "models": MODELS, "losses": LOSSES, "data": KINDS}
MOST_LINES, MOST_FUNCTION_LINES = 350, 60
LONG_FUNCTIONS = set()


def _outside_functions(node):
    """Nodes that are executed when the file is imported, those within `try` and `if` too."""
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not typing_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _outside_functions(child)


def imports(path, top_level_only=False):
    """Full names of the modules that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = _outside_functions(tree) if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            if node.module == "kerasdl":
                yield from (f"kerasdl.{alias.name}" for alias in node.names)


def test_twelve_packages_and_no_loose_module():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(MAY_IMPORT)
    assert len(MAY_IMPORT) <= 12
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_arrows_point_down():
    below = []
    for package, allowed in MAY_IMPORT.items():
        assert allowed <= set(below), f"{package} would import upwards"
        below.append(package)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path):
    package = path.relative_to(PACKAGE).parts[0]
    assert not FRAMEWORKS & {name.partition(".")[0] for name in imports(path, True)}
    if package in MAY_IMPORT:
        used = {name.split(".")[1] for name in imports(path) if name.startswith("kerasdl.")}
        assert used - {"__version__"} <= MAY_IMPORT[package] | {package}


# Read before a backend is chosen, or by commands that need none.
KERAS_FREE = ("core", "cli", "runs/config.py", "runs/run.py", "runs/sidecar.py", "report")
KERAS_FREE += ("tasks/prediction", "metrics/colors/", "runs/runtimes", "engine/prediction")
KERAS_FREE += tuple(f"{name}/__init__.py" for name in MAY_IMPORT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_facts_import_no_keras(path):
    if str(path.relative_to(PACKAGE)).startswith(KERAS_FREE):
        assert "keras" not in {name.partition(".")[0] for name in imports(path, True)}


def test_only_backend_imports_an_engine():
    packages = {
        path.relative_to(PACKAGE).parts[0]
        for path in SOURCES
        if ENGINES & {name.partition(".")[0] for name in imports(path)}
    }
    assert packages == {"backend"}


def test_no_long_file_and_no_long_function():
    long = set()
    for path in SOURCES:
        text, name = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()
        if len(text.splitlines()) > MOST_LINES:
            long.add(name)
        long |= {
            f"{name}: {node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - node.lineno >= MOST_FUNCTION_LINES
        }
    assert long == LONG_FUNCTIONS


def test_every_allowed_arrow_exists():
    used = {package: set() for package in MAY_IMPORT}
    for path in SOURCES:
        package = path.relative_to(PACKAGE).parts[0]
        if package in used:
            names = {name.split(".")[1] for name in imports(path) if name.startswith("kerasdl.")}
            used[package] |= names & set(MAY_IMPORT) - {package}
    assert used == MAY_IMPORT


def named_things(path):
    """Places in a file that compare with the name of a task, model, loss or data source."""
    package = path.relative_to(PACKAGE).parts[0]
    names = {
        name for owner, registry in REGISTRIES.items() if package != owner for name in registry
    }
    prefixes = {re.split(r"[\d-]", name)[0] for name in names & set(MODELS)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            constants = {
                each.value
                for part in (node.left, *node.comparators)
                for each in ast.walk(part)
                if isinstance(each, ast.Constant)
            }
            if constants & names:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "startswith":
            if any(getattr(argument, "value", None) in prefixes for argument in node.args):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}"
        elif isinstance(node, ast.Dict) and path.relative_to(PACKAGE).parts not in STUDY:
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if len(keys & names) > 1:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_no_name_of_a_task_model_loss_or_source_outside_its_package():
    assert [place for path in SOURCES for place in named_things(path)] == []


def test_no_template_compares_with_a_name():
    names = {name for registry in (*REGISTRIES.values(), METRICS) for name in registry}
    compared = re.compile(r"""[=!]=\s*["']([^"']+)["']|\bin\s*[(\[]["']([^"']+)["']""")
    found = [
        f"{path.name}: {match.group()}"
        for path in PACKAGE.rglob("*.j2")
        for match in compared.finditer(path.read_text(encoding="utf-8"))
        if names & set(match.groups())
    ]
    assert found == []


def test_nothing_unsafe():
    pattern = re.compile(
        r"\bpickle\b|allow_pickle=True|safe_mode=False|\beval\(|\bexec\(|extract=True"
        r"|LOAD_TRUNCATED_IMAGES = True|yaml\.load|torch\.load"
    )
    found = [
        f"{path.name}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.process
def test_help_imports_no_framework():
    code = (
        "import sys; from kerasdl.cli.main import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'keras', 'numpy', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert "Examples:" in run.stdout
