"""`kerasdl report` of several runs: best line, seeds together, differences."""

import json

import pytest
import tomli_w
from report_fixtures import history_rows, scores
from test_cli import kerasdl  # noqa: F401
from test_report_pages import check_page

from kerasdl.runs import config

pytestmark = pytest.mark.usefixtures("without_charts")


def run_folder(folder, seed=0, task="classification", backend="jax", accuracy=0.9, **values):
    """A finished run that never was."""
    folder.mkdir(parents=True)
    model = "resnet18" if task == "classification" else "unet"
    document = scores(task, model, seed, accuracy=accuracy, loss=1 - accuracy)
    (folder / "metrics.json").write_text(json.dumps(document))
    made = config.Config(**{"task": task, "seed": seed, **values})
    (folder / "config.toml").write_text(tomli_w.dumps(config.as_dict(made)))
    (folder / "data.json").write_text("{}")
    (folder / "environment.json").write_text(json.dumps({"backend": backend}))
    rows = [{**row, "seconds": 1.0} for row in history_rows()]
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    return str(folder)


def test_seeds_are_taken_together_and_differences_told(kerasdl, tmp_path):  # noqa: F811
    words = [
        run_folder(tmp_path / "a", 0, accuracy=0.90),
        run_folder(tmp_path / "b", 1, accuracy=0.94, workers=1),
        run_folder(tmp_path / "c", 0, accuracy=0.80, learning_rate=0.5),
    ]
    code, out, _ = kerasdl("report", *words, "--json")
    found = json.loads(out)
    assert code == 0 and found["differences"] == ["learning_rate"]
    first, second = found["groups"]
    assert first["seeds"] == [0, 1] and first["runs"] == words[:2]
    assert first["scores"]["accuracy"]["mean"] == pytest.approx(0.92)
    # sqrt((0.02² + 0.02²) / 1)
    assert first["scores"]["accuracy"]["deviation"] == pytest.approx(0.0282843, rel=1e-5)
    assert second["scores"]["accuracy"]["deviation"] is None
    assert second["configuration"] == {"learning_rate": "0.5"}
    page = check_page(tmp_path / "report.html")
    assert "ResNet-18, learning_rate 0.5" in page.text

    code, out, _ = kerasdl("report", *words)
    assert code == 0
    assert out.startswith(
        "best accuracy: ResNet-18, learning_rate 0.1, 92.00 ± 2.83 %, "
        "before ResNet-18, learning_rate 0.5, 80.00 %."
    )
    assert "workers" not in out and "batch_size" not in out


def test_the_backend_that_was_used_is_a_difference(kerasdl, tmp_path):  # noqa: F811
    words = [
        run_folder(tmp_path / "a", 0, accuracy=0.90),
        run_folder(tmp_path / "b", 1, accuracy=0.92),
        run_folder(tmp_path / "c", 0, backend="torch", accuracy=0.905),
    ]
    code, out, _ = kerasdl("report", *words)
    assert code == 0
    assert "(within the spread over seeds)" in out.splitlines()[0]
    assert "torch" in out and "jax" in out


def test_runs_of_two_tasks_have_a_line_each(kerasdl, tmp_path):  # noqa: F811
    words = [
        run_folder(tmp_path / "a", accuracy=0.9),
        run_folder(tmp_path / "b", accuracy=0.8, learning_rate=0.5),
        run_folder(tmp_path / "c", task="segmentation"),
    ]
    code, out, _ = kerasdl("report", *words)
    assert code == 0 and out.count("best ") == 1  # of the one segmentation none is the best
    code, out, _ = kerasdl("report", *words, "--json")
    assert [each["task"] for each in json.loads(out)["groups"]] == [
        "classification", "classification", "segmentation",
    ]  # fmt: skip
