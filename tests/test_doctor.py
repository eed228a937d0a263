"""The doctor with patients that only pretend; one backend is really tried, in this process."""

import json
import math
import pathlib

import keras
import pytest
import rich.console

from kerasdl import backend as backends
from kerasdl.cli import main as cli
from kerasdl.tools.doctor import checks, examination, show, trial

GOOD = {
    "versions": {"torch": "2.13.0", "jax": "0.10.2"}, "devices": ["cpu"], "import_seconds": 1.0,
    "seconds": 2.0, "loss": 1.0, "before": [1.0, -2.0], "after": [1.0, -2.5],
}  # fmt: skip


def states(findings):
    return {each["about"]: each["state"] for each in findings}


def packages(*names):
    return lambda module: module in names


def no_version(package):
    return None


@pytest.mark.parametrize(
    ("version", "state"),
    [
        (None, "broken"),
        ("3.14.1", "broken"),
        ("3.15.0", "broken"),
        ("3.15.1", "ok"),
        ("3.16", "ok"),
    ],
)
def test_keras_is_new_enough(version, state):
    assert states(checks.keras(lambda package: version)) == {"Keras": state}


@pytest.mark.parametrize(
    ("modules", "environment", "expected"),
    [
        (["torch"], {}, {}),
        ([], {}, {"backends": "broken"}),
        (["torch"], {"KERAS_BACKEND": "torch"}, {}),
        (["torch"], {"KERAS_BACKEND": "jax"}, {"KERAS_BACKEND": "broken"}),
        (["torch"], {"KERAS_BACKEND": "openvino"}, {"KERAS_BACKEND": "broken"}),
        (["torch", "keras_cv"], {}, {"keras-cv": "broken"}),
        (["tensorflow", "keras_cv"], {}, {}),
        (["torch", "tensorflow_datasets"], {}, {"tensorflow-datasets": "broken"}),
        (["torch", "tensorflow_datasets", "importlib_resources"], {}, {}),
    ],
)
def test_bad_combinations(modules, environment, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = checks.combinations(packages(*modules), no_version, environment)
    assert states(found) == expected
    assert all(each["fix"] for each in found)


def test_two_tensorflows_and_a_folder_that_hides_a_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jax").mkdir()
    versions = {"tensorflow": "2.20.0", "tensorflow-cpu": "2.21.0"}
    found = checks.combinations(packages("tensorflow"), versions.get, {})
    assert states(found) == {"TensorFlow": "broken", "jax": "broken"}


def test_extras_say_what_they_would_enable():
    found = checks.extras(packages("torch", "tensorflow_datasets"))
    assert states(found)["[torch]"] == "ok"
    assert states(found)["[tfds]"] == "note"
    (tfds,) = (each for each in found if each["about"] == "[tfds]")
    assert tfds["fix"] == "pip install 'kerasdl[tfds]'"


def test_folders_are_written_to(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    places = {"good": (tmp_path / "not" / "yet", ""), "bad": (file / "below", "elsewhere")}
    found = checks.folders(places)
    assert states(found) == {"good": "ok", "bad": "broken"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_backends_that_fail_or_give_no_numbers_are_broken():
    trials = {
        "tensorflow": {"error": "ImportError: no libtensorflow"},
        "jax": {"slow": "no answer"},
        "torch": {**GOOD, "loss": float("nan")},
    }
    found = examination.backend_findings(trials)
    assert states(found) == {"tensorflow": "broken", "jax": "note", "torch": "broken"}
    assert states(examination.backend_findings({"torch": GOOD})) == {"torch": "ok"}


@pytest.mark.parametrize(
    ("after", "state"),
    [([1, -2.5], "ok"), ([1, -2.5002], "ok"), ([1, -2.51], "broken"), ([1, math.nan], "broken")],
)
def test_agreement(after, state):
    found = examination.agreement({"jax": GOOD, "torch": {**GOOD, "after": after}})
    assert states(found) == {"agreement": state}
    assert examination.agreement({"jax": GOOD, "torch": {"error": ""}}) == []


def test_exit_code_and_table(monkeypatch, capsys):
    monkeypatch.setattr(backends, "installed", lambda: ["jax", "torch"])
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    trials = {"jax": {"error": "ImportError: [broken]"}, "torch": GOOD}
    document = examination.examine(trials.get)
    assert document["broken"] == sum(e["state"] == "broken" for e in document["findings"]) >= 1
    monkeypatch.setattr(examination, "examine", lambda: document)
    with pytest.raises(SystemExit) as caught:
        cli.main(["doctor", "--json"])
    assert caught.value.code == 3
    assert json.loads(capsys.readouterr().out) == document
    console = rich.console.Console(width=80, record=True)
    show.show(document, console)
    text = console.export_text()
    assert "ImportError: [broken]" in text
    assert "[torch]" in text
    assert "see the fix below each" in text
    with pytest.raises(SystemExit) as caught:
        monkeypatch.setattr(examination, "examine", lambda: {**document, "broken": 0})
        cli.main(["doctor"])
    assert not caught.value.code


def test_this_backend_passes_its_trial():
    found = trial.trial(keras.config.backend())
    assert states(examination.backend_findings({keras.config.backend(): found})) == {
        keras.config.backend(): "ok"
    }
    assert found["before"] != found["after"]
    assert len(found["before"]) == 4 * 4 * trial.CLASSES


def test_every_extra_of_the_package_is_known():
    root = pathlib.Path(checks.__file__).parents[3]
    text = (root / "setup.cfg").read_text(encoding="utf-8")
    extras = text.partition("[options.extras_require]")[2]
    named = [line.partition(" ")[0] for line in extras.splitlines() if line.endswith(" =")]
    assert set(checks.EXTRAS) <= set(named)
    assert set(named) - set(checks.EXTRAS) <= {
        "tensorflow-gpu",
        "jax-gpu",
        "keras",
        "docs",
        "dev",
        "all",
    }
