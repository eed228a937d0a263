"""`kerasdl compare backends`: cases, inputs, document, files, exit code; once with processes."""

import json
import math

import numpy
import pytest
from comparison_fixtures import measuring
from report_fixtures import run_document
from test_cli import assert_one_error_line, kerasdl  # noqa: F401
from test_report_pages import check_page

from kerasdl import backend
from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.report import backend_comparison_page, html
from kerasdl.runs import config
from kerasdl.tools.compare import backends, cases, processes

TINY = ("image_size=16", "model_args.filters=2", "model_args.depth=1", "batch_size=2")


def tiny():
    return cases.fresh(["unet"], ["16x16"], TINY[1:])


def document(**workers):
    return backends.compare(tiny(), tuple(workers), steps=5, measure=measuring(**workers))


def test_fresh_cases_are_all_networks_at_all_sizes():
    found = cases.fresh("all", ["64x64", "50x70"])
    assert len(found) == 14
    assert {case.config.task for case in found} == {
        "classification", "segmentation", "colorization",
    }  # fmt: skip
    assert found[-1].name == "U-Net without skips, 50x70"
    assert found[-1].config.image_size == (50, 70)
    with pytest.raises(ConfigError, match="did you mean 'unet'"):
        cases.fresh(["unett"])


def test_case_of_a_run(tmp_path):
    made = config.Config(**{"task": "segmentation", "batch_size": 4, "momentum": 0.5})
    (tmp_path / "config.toml").write_text(config.dump(made))
    with pytest.raises(ModelFileError, match="no best model yet"):
        cases.of_run(tmp_path)
    (tmp_path / "best.keras").touch()
    case = cases.of_run(tmp_path, ["momentum=0.0"], batch_size=2)
    assert case.model_file == tmp_path / "best.keras"
    assert (case.config.batch_size, case.config.momentum) == (2, 0.0)
    with pytest.raises(ConfigError, match="'image_size' is fixed"):
        cases.of_run(tmp_path, ["image_size=32"])


def test_every_backend_gets_the_same_stored_images(tmp_path):
    (case,) = tiny()
    known = cases.write_inputs(case, tmp_path / "inputs.npz", samples=5, steps=3)
    with numpy.load(tmp_path / "inputs.npz") as stored:
        assert stored["test_images"].shape == (4, 16, 16, 3)  # whole batches of two
        assert stored["train_masks"].shape == (6, 16, 16)
        assert stored["train_images"].dtype == numpy.uint8
    assert (known["split"], known["samples"]) == ("test", 4)


def test_the_model_is_built_once_and_each_backend_measured_alone(tmp_path):
    jobs = []
    fake = measuring(jax={}, torch={})

    def measure(job, folder):
        jobs.append(job)
        if job["build"]:
            open(job["model_file"], "w").close()
        return fake(job, folder)

    found = backends.compare(tiny(), ("jax", "torch"), ["mixed_bfloat16"], measure=measure)
    assert [(job["backend"], job["precision"], job["build"]) for job in jobs] == [
        ("jax", "float32", True),
        ("torch", "float32", False),
        ("jax", "mixed_bfloat16", False),
        ("torch", "mixed_bfloat16", False),
    ]
    assert list(found["cases"][0]["variants"]) == [
        "jax", "torch", "jax mixed_bfloat16", "torch mixed_bfloat16",
    ]  # fmt: skip
    assert len(found["cases"][0]["pairs"]) == 3


def test_artifacts_of_a_comparison(tmp_path):
    found = document(jax={}, torch={"apart": math.nan}, tensorflow="no memory")
    page = check_page(backends.publish(found, tmp_path))
    for words in ("jax and torch DIFFER", "tensorflow failed", "not finite", "gradient step"):
        assert words in page.text
    stored = json.loads((tmp_path / "compare.json").read_text())
    assert stored["cases"][0]["pairs"][0]["logits"]["largest"] is None
    assert stored["verdict"]["agree"] is False
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_page_of_several_networks(tmp_path):
    one = document(jax={}, torch={})
    one["cases"].append({**one["cases"][0], "name": "second"})
    page = check_page(backends.publish(one, tmp_path))
    assert "Models" in page.text and page.text.count("Difference per layer") == 0
    assert sum("Difference per layer" in image["alt"] for image in page.images) == 2


def test_a_runs_report_gets_the_comparison_once(tmp_path):
    path = html.write_run_report(tmp_path, run_document())
    for seconds in (0.1, 0.2):
        backend_comparison_page.insert(path, document(jax={"seconds": seconds}, torch={}))
    page = check_page(path)
    assert page.text.count("Speed and memory") == 1
    assert "200 (200–200)" in page.text and "[backends]" in page.text


@pytest.mark.parametrize(("apart", "code"), [(1e-6, 0), (0.1, 3)])
def test_exit_code_tells_whether_they_agree(kerasdl, monkeypatch, apart, code):  # noqa: F811
    monkeypatch.setattr(backend, "installed", lambda: ["jax", "torch"])
    monkeypatch.setattr(processes, "measure", measuring(jax={}, torch={"apart": apart}))
    words = ["compare", "backends", "--model", "unet", "--image-size", "16x16", "--json"]
    found, out, _ = kerasdl(*words, "--set", "model_args.filters=2")
    assert found == code
    assert json.loads(out)["verdict"]["agree"] is (code == 0)
    found, out, _ = kerasdl(*words[:-1], "-q")
    assert found == code and "saved_models/compare/report.html" in out
    assert out.startswith("jax and torch DIFFER" if code else "jax and torch agree")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--backends", "jaxx"], "did you mean 'jax'"),
        (["--model", "unett"], "did you mean 'unet'"),
        (["--precision", "float8"], "unknown precision"),
        (["some/run", "--model", "unet"], "leave them out"),
    ],
)
def test_wrong_words(kerasdl, words, expected):  # noqa: F811
    assert_one_error_line(kerasdl("compare", "backends", *words), 2, expected)


def test_one_backend_alone_cannot_be_compared():
    with pytest.raises(ConfigError, match="nothing to compare jax with"):
        backends.compare(tiny(), ("jax",))


@pytest.mark.process
def test_two_backends_really_agree():
    names = [name for name in ("torch", "jax", "tensorflow") if name in backend.installed()][:2]
    found = backends.compare(tiny(), tuple(names), samples=2, steps=2)
    (case,) = found["cases"]
    assert not [each for each in case["variants"].values() if "error" in each]
    first = case["variants"][names[0]]
    assert [len(first[key]) for key in ("losses", "step_seconds")] == [2, 2]
    assert first["layers"][0]["name"] == "down1_1_convolution"
    assert 0 < first["losses"][0] < 10 and first["parameters"] > 100
    if len(names) == 2:
        (pair,) = case["pairs"]
        assert pair["logits"]["scaled"] <= 1e-4 and pair["first_difference"] is None
        assert 0 < pair["gradient_step"]["length"]
        assert pair["gradient_step"]["relative"] <= 1e-4
