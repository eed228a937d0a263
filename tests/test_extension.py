"""A model, a loss, a metric and a data source from outside the package."""

import json
import pathlib
import shutil
import sys

import keras
import pytest

import kerasdl
from kerasdl.cli.main import main
from kerasdl.core import extensions, registry
from kerasdl.core.errors import ConfigError
from kerasdl.data import SOURCES
from kerasdl.losses import LOSSES
from kerasdl.metrics import METRICS
from kerasdl.models import MODELS
from kerasdl.runs import config as configuration
from kerasdl.tools import workers

REGISTRIES = (MODELS, LOSSES, METRICS, SOURCES)
BEFORE = [set(registry) for registry in REGISTRIES]
FILE = pathlib.Path(__file__).with_name("extension_example.py")


@pytest.fixture(scope="module", autouse=True)
def registries():
    """Other tests see the registries as they were."""
    with pytest.MonkeyPatch.context() as patch:
        for registry in REGISTRIES:
            patch.setattr(registry, "_entries", dict(registry._entries))
        patch.setattr(extensions, "_REPLACEMENTS", {})
        yield
    for name in [name for name in sys.modules if name.startswith("kerasdl_extension_")]:
        del sys.modules[name]


def words(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    return ended.value.code, capsys.readouterr()


@pytest.fixture(scope="module")
def run(tmp_path_factory, registries):
    folder = tmp_path_factory.mktemp("extension") / "run"
    config = kerasdl.Config(
        task="segmentation", model="tiny", data="stripes", loss="smoothed", extensions=[str(FILE)],
        image_size=16, epochs=2, batch_size=4, momentum=0.0, plateau_patience=1,
    )  # fmt: skip
    return kerasdl.train(config, folder, quiet=True)


def test_help_names_what_an_extension_adds(capsys):
    code, said = words(capsys, "train", "--extension", FILE, "--help")
    options = " ".join(said.out.split())
    assert code == 0 and "|tiny]" in options and "|smoothed]" in options
    assert "|FOLDER|stripes" in options and "|true_probability" in options
    for command in (["benchmark"], ["compare", "backends"]):
        code, said = words(capsys, *command, "--extension", FILE, "--help")
        assert code == 0 and "|tiny]" in said.out
    code, said = words(capsys, "train", "segment", "--extension", FILE, "--set", "loss=smothed")
    assert code == 2 and "did you mean 'smoothed'?" in said.err


class Forgetful:
    """A worker within this process that, like a new one, knows no extension."""

    def __init__(self, work, job, backend, timeout=None):
        job = json.loads(json.dumps(job))
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in sys.modules if name.startswith("kerasdl_extension_")]:
                patch.delitem(sys.modules, name)
            kept = {name: spec for name, spec in MODELS.items() if name != "tiny"}
            patch.setattr(MODELS, "_entries", kept)
            patch.setattr(extensions, "_REPLACEMENTS", {})
            self.answers = registry.load(work)(job)
            self.first = next(self.answers)

    def read(self):
        return self.first

    def turn(self):
        return next(self.answers)

    def close(self):
        self.answers.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


@pytest.fixture
def forgetful(monkeypatch):
    for name in (LOSSES, METRICS, SOURCES):  # each worker registers anew what differs in identity
        monkeypatch.setattr(name, "add", lambda entry: None)
    monkeypatch.setattr(workers, "Worker", Forgetful)


def test_a_worker_of_benchmark_knows_the_model_of_an_extension(capsys, forgetful):
    code, said = words(
        capsys, "benchmark", "--extension", FILE, "--model", "tiny", "--image-size", 16,
        "--batch-size", 2, "--steps", 1, "--rounds", 1, "--backend", keras.config.backend(),
        "--precision", "float32", "--no-keep", "--json",
    )  # fmt: skip
    assert code == 0, said.err
    (row,) = json.loads(said.out)["rows"]
    # 3x3x3x8 + 8 of the hidden layer, and 8 + 1 per class.
    assert (row["parameters"] - 224) % 9 == 0 and "error" not in row


def test_a_worker_of_compare_knows_the_model_of_an_extension(
    capsys, forgetful, monkeypatch, tmp_path
):
    told = []

    def measure(job):
        told.append(configuration.Config(**job["config"]).model)
        return {"error": "enough"}, {}

    monkeypatch.setattr("kerasdl.tools.compare.measuring.measure", measure)
    words(
        capsys, "compare", "backends", "--model", "tiny", "--extension", FILE, "--image-size", 16,
        "--backends", keras.config.backend(), "--precision", "mixed_bfloat16", "--samples", 1,
        "--steps", 1, "--json", "--out", tmp_path,
    )  # fmt: skip
    assert told == ["tiny", "tiny"]


def test_the_score_is_in_the_report_with_label_and_definition(run):
    document = kerasdl.evaluate(run)
    value = document["scores"]["true_probability"]
    assert 0 < value < 1
    assert document["definitions"]["true_probability"].startswith("mean probability")
    assert document == {**json.loads((run / "metrics.json").read_text()), "run": str(run)}
    header = (run / "history.csv").read_text().splitlines()[0].split(",")
    assert "val_true_probability" in header and "true_probability" not in header
    page = (run / "report.html").read_text().replace("\xa0", " ")
    assert "true probability (%) ↑" in page and f"{100 * value:.1f}" in page
    assert "True probability in 2 epochs" in page
    assert "Tiny on stripes" in page and "Mean probability of the true class" in page


def test_predict_uses_the_model_of_the_extension(run):
    (found,) = kerasdl.predict(run, [extension_sample()])
    assert set(found.fractions) <= {"dark", "light"}


def extension_sample():
    module = next(each for name, each in sys.modules.items() if "extension_example" in name)
    return module.Stripes()[3].image


def test_a_run_says_which_extension_is_missing(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    text = (copy / "config.toml").read_text()
    gone = tmp_path / "gone" / "other_name.py"
    (copy / "config.toml").write_text(text.replace(str(FILE), str(gone)))
    for command in (["evaluate", "segment"], ["predict", "segment", __file__]):
        code, said = words(capsys, *command, "--run", copy)
        assert code == 2 and f"extension not found: {gone}" in said.err
    # Under its own name it is found where --extension says.
    (copy / "config.toml").write_text(text.replace(str(FILE), str(gone.with_name(FILE.name))))
    code, _ = words(capsys, "evaluate", "segment", "--run", copy, "--extension", FILE)
    assert code == 0


@pytest.mark.parametrize("name", ["evil.py", "../run/evil.py", "{run}/evil.py", "evil"])
def test_a_run_folder_never_makes_its_own_code_run(run, tmp_path, monkeypatch, capsys, name):
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "evil.py").write_text("raise SystemExit('imported')")
    text = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(text.replace(str(FILE), name.format(run=copy)))
    monkeypatch.chdir(copy)
    monkeypatch.syspath_prepend(str(copy))  # as `python -m kerasdl` has it
    code, said = words(capsys, "evaluate", "segment", "--run", copy)
    assert code == 2 and "names an extension that came with it" in said.err
    code, said = words(capsys, "train", "segment", "--image-size", "32", "--out", copy)
    assert code == 2 and "names an extension that came with it" in said.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "cannot be imported .ZeroDivisionError"),
        (
            "import kerasdl\nkerasdl.register(kerasdl.MetricSpec('psnr', '', ''))",
            "already a metric",
        ),
    ],
)
def test_a_broken_extension_is_one_line(tmp_path, text, message):
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(ConfigError, match=message):
        kerasdl.Config(extensions=[str(tmp_path / "broken.py")])
    with pytest.raises(ConfigError, match="extension 'no_such_module' is not installed"):
        kerasdl.Config(extensions="no_such_module")
    with pytest.raises(ConfigError, match="neither a module nor a Python file"):
        kerasdl.Config(extensions="./folder/name")
    with pytest.raises(ConfigError, match="must be a list of texts, received 5"):
        kerasdl.Config(extensions=5)


def test_a_copy_stands_for_the_file_and_resume_takes_it(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    moved = tmp_path / "elsewhere" / FILE.name
    moved.parent.mkdir()
    moved.write_text(FILE.read_text() + "# another version\n")
    code, _ = words(capsys, "train", "segment", "--resume", copy, "--extension", FILE)
    assert code == 0
    code, _ = words(capsys, "evaluate", "segment", "--run", copy, "--extension", moved)
    assert code == 0


def test_a_configuration_names_extensions_relative_to_itself(tmp_path, capsys, monkeypatch):
    (tmp_path / "sub").mkdir()
    shutil.copy(FILE, tmp_path / "sub" / "mine.py")
    (tmp_path / "sub" / "c.toml").write_text('model = "tiny"\nextensions = ["mine.py"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(extensions, "_REPLACEMENTS", {})
    for each, before in zip(REGISTRIES, BEFORE, strict=True):
        kept = {k: v for k, v in each._entries.items() if k in before}
        monkeypatch.setattr(each, "_entries", kept)
    code, said = words(capsys, "config", "show", "segment", "--config", "sub/c.toml")
    assert code == 0 and 'model = "tiny"' in said.out


def test_completion_and_no_arguments(capsys, monkeypatch):
    code, said = words(capsys)
    assert code in (0, 2) and "Usage: kerasdl" in said.out + said.err
    monkeypatch.setenv("_KERASDL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"kerasdl train segment --extension {FILE} --model t")
    monkeypatch.setenv("COMP_CWORD", "6")
    code, said = words(capsys)
    assert code == 0 and "plain,tiny" in said.out


def test_the_documentation_shows_the_example_as_it_is():
    page = FILE.parents[1] / "docs" / "extending.md"
    assert f"```python\n{FILE.read_text()}```" in page.read_text()
    assert len(FILE.read_text().splitlines()) < 80


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (lambda: kerasdl.MetricSpec("a/b", "", ""), "has a '/'"),
        (lambda: kerasdl.MetricSpec("ab", "", "", tasks=("segmnt",)), "unknown task 'segmnt'"),
        (lambda: kerasdl.MetricSpec("ab", "", "", better="up"), "unknown value of 'better' 'up'"),
        (lambda: kerasdl.ModelSpec("ab", "", "a:b", tasks=("colors",)), "unknown task 'colors'"),
    ],
)
def test_entries_are_checked_when_they_are_registered(entry, message):
    with pytest.raises(ConfigError, match=message):
        kerasdl.register(entry())


def test_a_metric_gives_one_value_per_image():
    metric = kerasdl.metrics.ImageMean(lambda y, p: keras.ops.mean(p), "scalar")
    with pytest.raises(ConfigError, match="metric 'scalar' has values of shape"):
        metric.update_state(keras.ops.zeros((2, 3)), keras.ops.zeros((2, 3)))
