"""The benchmark with cells that only pretend: its plan, arithmetic, table and recommendation."""

import json
import pathlib

import keras
import pytest
import rich.console

from kerasdl import backend as backends
from kerasdl.backend import recommendation
from kerasdl.core.errors import ConfigError, TrainingFailed
from kerasdl.tools import workers
from kerasdl.tools.benchmark import cells, processes, results, run, show, subject
from kerasdl.tools.benchmark.cells import Cell

PLAIN = str(pathlib.Path(__file__).parents[1] / "benchmarks" / "reference_loop.py") + ":Loop"
JOB = {"steps": 2, "image_size": [32, 32], "seed": 0, "timeout": 1, "extensions": ()}
# Seconds per step of a batch of 8 in two rounds, the machine being slower in the second.
SECONDS = {
    (PLAIN, "float32"): ([2.0, 2.0], [4.0, 4.0]),
    ("tensorflow", "float32"): ([1.0, 1.0], [2.0, 2.0]),
    ("tensorflow", "mixed_bfloat16"): ([0.5, 0.5], [1.0, 1.0]),
    ("torch", "float32"): ([1.0, 1.0], [1.0, 1.0]),
    ("torch", "mixed_bfloat16"): ([1.0, 1.0], [1.0, 1.0]),
}


class Pretender:
    """A worker that answers from SECONDS; jax dies at its first step, torch never."""

    turns = []

    def __init__(self, cell, job):
        self.cell, self.round, self.closed = cell, 0, False

    def read(self):
        if self.cell.backend == "jax":
            raise workers.WorkerFailed("ended by SIGKILL")
        return {"first_step_seconds": 3.0, "import_seconds": 1.0, "parameters": 7}

    def turn(self):
        self.turns.append(self.cell.backend)
        seconds = SECONDS[self.cell.backend, self.cell.precision][self.round]
        self.round += 1
        return {"step_seconds": seconds, "waited_seconds": 0.25, "peak_bytes": 2**20}

    def close(self):
        self.closed = True


@pytest.fixture
def document(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASDL_SETTINGS", str(tmp_path))
    monkeypatch.setattr(backends, "installed", lambda: ["tensorflow", "jax", "torch"])
    Pretender.turns = []
    axes = {"model": ["unet"], "batch_size": [8], "precision": ["float32", "mixed_bfloat16"]}
    axes["reference"] = [PLAIN]
    monkeypatch.setitem(SECONDS, (PLAIN, "mixed_bfloat16"), ([1.0, 1.0], [1.0, 1.0]))
    return run.benchmark(axes, JOB, 2, start=Pretender)


def row(document, backend, precision="float32"):
    (found,) = (
        each
        for each in document["rows"]
        if (each["backend"], each["precision"]) == (backend, precision)
    )
    return found


def test_plan_is_the_product_of_its_axes(monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda: ["jax", "torch"])
    planned = cells.plan(["jax"], ["unet"], [4, 8], ["float32"], ["auto", "off"], [PLAIN])
    expected = [(PLAIN, "auto"), ("jax", "auto"), ("jax", "off")]
    assert [
        (each.backend, each.jit_compile) for each in planned if each.batch_size == 4
    ] == expected
    assert len(planned) == 6
    assert [each.group for each in planned[:1]] == [("unet", 4)]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"backend": ["tensorflow"]}, "'tensorflow' is not installed"),
        ({"model": ["unett"]}, "did you mean 'unet'"),
        ({"precision": ["auto"]}, "unknown precision 'auto'"),
        ({"batch_size": [0]}, "at least 1"),
        ({"reference": ["eager"]}, "FILE.py:CLASS"),
        ({"reference": ["nowhere.py:Loop"]}, "no such reference file"),
    ],
)
def test_wrong_axes_are_named(monkeypatch, axes, message):
    monkeypatch.setattr(backends, "installed", lambda: ["torch"])
    with pytest.raises(ConfigError, match=message):
        cells.plan(**axes)


def test_cells_take_turns_back_and_forth(document):
    once = [PLAIN, "tensorflow", "torch"] * 2
    assert Pretender.turns == once + once[::-1]


def test_numbers_by_hand(document):
    found = row(document, "tensorflow")
    assert found["images_per_second"] == {"best": 8.0, "median": 6.0, "low": 4.0, "high": 8.0}
    # Per round 2/1 and 4/2; best steps 2/1. torch: 2/1 and 4/1, whose median is 3.
    assert (found["ratio_median"], found["ratio_best"]) == (2.0, 2.0)
    assert row(document, "torch")["ratio_median"] == 3.0
    assert found["waiting"] == 0.5 / 6
    assert "ratio_median" not in row(document, PLAIN)
    assert found["ratio_to"] == PLAIN
    assert row(document, "jax") == {
        "model": "unet", "batch_size": 8, "backend": "jax", "precision": "float32",
        "jit_compile": "auto", "error": "ended by SIGKILL",
    }  # fmt: skip


def test_without_a_reference_the_first_backend_is_compared_with(monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda: ["tensorflow", "jax", "torch"])
    axes = {"model": ["unet"], "batch_size": [8], "precision": ["float32"]}
    found = run.benchmark(axes, JOB, 2, keep=False, start=Pretender)
    # torch needs 1 and 1 s, tensorflow 1 and 2: ratios 1 and 2 per round; best steps 1 and 1.
    torch = row(found, "torch")
    assert (torch["ratio_to"], torch["ratio_median"], torch["ratio_best"]) == ("tensorflow", 1.5, 1)
    assert "ratio_to" not in row(found, "tensorflow")


def test_recommendation_is_the_fastest_and_kept(document):
    entry = document["recommendation"]
    # float32: 6 images/s on tensorflow, 8 on torch; bfloat16: 12 and 8, so torch does not profit.
    assert entry["backend"] == "tensorflow"
    assert entry["precisions"] == {"tensorflow": "mixed_bfloat16", "torch": "float32"}
    assert recommendation.read() == entry
    assert document["kept"] == str(recommendation.path())
    json.dumps(document)


@pytest.mark.parametrize(
    ("rates", "installed", "backend"),
    [
        ({"tensorflow": 10.0, "torch": 10.2}, ["tensorflow", "torch"], "tensorflow"),  # a tie
        ({"tensorflow": 10.0, "torch": 10.4}, ["tensorflow", "torch"], "torch"),
        ({"torch": 10.0}, ["tensorflow", "torch"], None),  # not all were tried
        ({}, ["torch"], None),
    ],
)
def test_recommended_backend(rates, installed, backend):
    rows = [
        {"model": "unet", "batch_size": 8, "backend": name, "precision": "float32",
         "jit_compile": "auto", "images_per_second": {"median": rate}}
        for name, rate in rates.items()
    ]  # fmt: skip
    entry = results.recommend(rows, installed)
    assert entry["backend"] == backend
    assert entry["precisions"] == {}


def test_nothing_measured_is_a_failure(monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda: ["jax"])
    with pytest.raises(TrainingFailed, match="jax float32: ended by SIGKILL"):
        run.benchmark({"model": ["unet"]}, JOB, 1, keep=False, start=Pretender)


def test_tables_fit_a_terminal_of_80_columns(document, capsys):
    console = rich.console.Console(width=80, record=True)
    run.show_document(document, console)
    text = console.export_text()
    lines = [line.rstrip() for line in text.splitlines()]
    assert "unet, 32x32 images, batch 8" in text
    assert max(len(line) for line in lines[:12]) <= 80
    # The fastest first, at 12 images per second, whole steps 2 and 1.5 times as fast.
    (first,) = (line for line in lines if "tensorflow bfloat16" in line)
    assert first.split()[2:] == ["12.0", "8.0-16.0", "16.0", "1.50", "2.00", "3.0", "1", "17%"]
    assert lines.index(first) < lines.index(
        next(line for line in lines if line.startswith(" Loop"))
    )
    assert "recommended: --backend tensorflow --precision mixed_bfloat16" in lines
    assert "with --backend torch: --precision float32" in lines
    assert "unet, batch 8, jax float32: ended by SIGKILL" in lines


@pytest.mark.parametrize("size", [(32, 32), (64, 64)])
def test_plain_networks_have_as_many_parameters(size):
    torch = pytest.importorskip("torch")
    if keras.config.backend() != "torch":
        pytest.skip("once is enough")
    from kerasdl import models

    build = processes._reference(PLAIN.replace(":Loop", ":build"))
    for name in ("resnet18", "fcn32", "fcn16", "fcn8", "unet"):
        ours = models.build(name, (*size, 3), 5)
        plain = build(name, size, 5)
        expected = sum(int(keras.ops.size(weight)) for weight in ours.trainable_weights)
        assert sum(each.numel() for each in plain.parameters()) == expected
        shape = (2, 5) if name == "resnet18" else (2, 5, *size)
        assert plain(torch.zeros(2, 3, *size)).shape == shape


def test_a_subject_counts_steps_and_waiting():
    job = {"model": "unet", "batch_size": 1, "precision": "float32", "jit_compile": "auto", **JOB}
    measured = subject.Subject({**job, "image_size": [16, 16]})
    measured.first_step()
    seconds, waited = measured.block()
    measured.batches.close()
    assert len(seconds) == JOB["steps"] and min(seconds) > 0
    assert 0 <= waited
    # 16 filters and a bias for each class in the last layer, 1,942,560 before it.
    assert measured.parameters == 1_942_560 + 17 * len(measured.dataset.class_names)


@pytest.mark.once
@pytest.mark.process
def test_a_process_answers_and_ends():
    pytest.importorskip("torch")
    cell = Cell("fcn8", 2, PLAIN, "float32", "auto")
    (measured,) = processes.measure([cell], {**JOB, "steps": 1, "timeout": 120}, 1)
    assert "error" not in measured, measured["error"]
    assert measured["first"]["parameters"] > 11_000_000
    assert len(measured["blocks"][0]["step_seconds"]) == 1
    assert show.label(measured) == "Loop float32"
