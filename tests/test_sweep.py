"""`kerasdl sweep`: what is planned, what a failed run does, what is written. One real sweep."""

import contextlib
import json
import logging

import pytest
from data_fixtures import mask_folder
from report_fixtures import run_folder
from test_cli import assert_one_error_line, kerasdl  # noqa: F401
from test_report_pages import check_page

from kerasdl.backend import signals
from kerasdl.core.errors import ConfigError, KerasdlError, TrainingFailed
from kerasdl.engine import run
from kerasdl.runs import config as configuration
from kerasdl.tools.jobs import training
from kerasdl.tools.sweep import folder as sweepfolder
from kerasdl.tools.sweep import plan as sweep

UNET = {"filters": 1, "depth": 2}


def config(**values):
    return {"task": "segmentation", "image_size": 8, "model_args": UNET, **values}


def planned(*grid, seeds=1, out="out", **values):
    return sweep.plan(config(**values), grid, seeds, out)


def test_plan_is_the_cartesian_product_seed_by_seed():
    plan = planned("skips=all,none,[1]", "learning_rate=0.1,0.01", seeds=2, seed=5)
    assert len(plan.runs) == 3 * 2 * 2 and plan.seeds == (5, 6)
    cell, first, folder = plan.runs[0]
    assert cell.label == "skips all, learning_rate 0.1"
    assert folder.as_posix() == "out/skips-all_learning_rate-0.1/seed-5"
    assert first.model_args == {**UNET, "skips": "all"} and first.learning_rate == 0.1
    assert [each.seed for _, each, _ in plan.runs] == [5] * 6 + [6] * 6
    assert plan.runs[-1][1].model_args["skips"] == [1]
    assert plan.runs[-1][1].learning_rate == 0.01


def test_a_recipe_completes_each_combination_of_its_own():
    report, fast = (each for _, each, _ in planned("recipe=study,fast").runs)
    alone = configuration.Config(**config(recipe="fast"))
    assert (report.lr_schedule, fast) == (configuration.Config.lr_schedule, alone)
    assert fast.lr_schedule != report.lr_schedule


def test_labels_name_the_levels_that_are_missing_and_stay_apart():
    labels = [cell.label for cell in planned("skips=[2,3],[1,3],all", "depth=3").cells]
    assert labels == ["skips all but 1, depth 3", "skips all but 2, depth 3", "skips all, depth 3"]
    labels = [cell.label for cell in planned("skips=all,[1,2]").cells]
    assert labels == ["skips-all", "skips-1-2"]  # of two levels both are all


def test_an_option_that_a_network_lacks_is_left_out_and_its_run_is_one():
    plan = planned("skips=all,none", "model=unet,fcn32", image_size=32)
    assert [cell.label for cell in plan.cells] == [
        "skips all, U-Net",
        "FCN-32s",
        "skips none, U-Net",
    ]
    assert plan.cells[1].values["model_args"] == {}  # nor the options of the U-Net


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (["skpis=all"], "did you mean 'skips'"),
        (["learning_rat=1"], "did you mean 'learning_rate'"),
        (["model_args.filter=1"], "did you mean 'filters'"),
        (["seed=1,2"], "use --seeds"),
        (["backend=jax,torch"], "one process"),
        (["model=unet,fcn88"], "did you mean 'fcn8'"),
        (["model=unet,resnet18"], "unknown model for segmentation"),
        (["loss=dice,dise"], "did you mean 'dice'"),
        (["epochs=0"], "'epochs' must be at least 1"),
        (["filters=2,none"], "'filters' must be an integer"),
        (["skips=[3]"], "levels 1 to 2"),
        (["skips=1,2"], "a list of levels"),  # two numbers, not one list
        (["skips=all;none"], "a list of levels"),
        (["skips=all", "model_args.skips=none"], "a key twice"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is(grid, message):
    with pytest.raises(ConfigError) as caught:
        planned(*grid)
    assert message in str(caught.value)


def test_a_folder_with_another_configuration_is_refused(tmp_path):
    plan = planned("skips=all,none", out=tmp_path)
    _, other, folder = plan.runs[1]
    run_folder(folder, run.changed(other, momentum=0.5), {"mean_iou": 0.5})
    with pytest.raises(ConfigError, match="momentum"):
        planned("skips=all,none", out=tmp_path)


@pytest.fixture
def trained(monkeypatch):
    """Replaces the training by a fabricated folder; `trained.fail` holds the errors to raise."""

    class Trained(list):
        fail = {}

    calls = Trained()

    def train(config, out, quiet=False, watch=None):
        key = (str(config.model_args["skips"]), config.seed)
        calls.append(key)
        if key in calls.fail:
            raise calls.fail[key]
        value = {"all": 0.8, "none": 0.5}[key[0]] + 0.01 * config.seed
        if not (out / "metrics.json").exists():
            run_folder(out, config, {"mean_iou": value, "pixel_accuracy": value})
        return out

    monkeypatch.setattr(run, "train", train)
    return calls


def test_a_failed_run_does_not_end_the_others(
    trained,
    tmp_path,
    kerasdl,  # noqa: F811
    monkeypatch,
    caplog,
):
    pages = []
    monkeypatch.setattr(
        "kerasdl.report.html.write_group_report",
        lambda *arguments, **options: pages.append(options["notes"]),
    )
    monkeypatch.setattr("kerasdl.report.group_figures.dots", lambda *arguments: None)
    trained.fail = {
        ("none", 1): TrainingFailed("loss is not finite", tmp_path),
        ("all", 2): RuntimeError("two\nlines"),
    }
    words = ["sweep", "segment", "--grid", "skips=all,none", "--image-size", "8"]
    words += ["--set", "model_args.filters=1", "--set", "model_args.depth=2", "--out", "out"]
    code, out, err = kerasdl(*words)
    assert code == 5 and len(trained) == 6  # the code of the first that failed
    assert "2 of 6 runs failed, the first: loss is not finite" in err
    assert "skips all" in out and "80.50 ± 0.71" in out  # 80 and 81
    document = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert [(each["label"], each["seed"], each["exit_code"]) for each in document["failed"]] == [
        ("skips none", 1, 5),
        ("skips all", 2, 1),
    ]
    assert "defect in kerasdl: RuntimeError" in document["failed"][1]["message"]
    assert "Failed and excluded: skips none, seed 1" in (tmp_path / "out" / "sweep.md").read_text()
    assert [note.partition(":")[0] for note in pages[0]] == ["Failed and excluded"] * 2
    trained.fail = {}
    caplog.clear()
    with caplog.at_level(logging.INFO, "kerasdl"):
        code, out, err = kerasdl(*words, "--json")
    assert code == 0 and json.loads(out)["failed"] == [] and pages[1] == []
    announced = [record.message[:6] for record in caplog.records]
    assert announced == ["4 of 6", "5 of 6"]  # the two that were not finished


def test_a_signal_ends_the_sweep(trained, tmp_path):
    trained.fail = {("none", 0): signals.Stopped(15)}
    with pytest.raises(signals.Stopped):
        sweep.train(planned("skips=all,none", seeds=2, out=tmp_path), quiet=True)
    assert trained == [("all", 0), ("none", 0)]


def test_artifacts_of_a_sweep(trained, tmp_path):
    plan = planned("skips=all,none", seeds=3, out=tmp_path)
    finished, _ = sweep.train(plan, quiet=True)
    failures = [sweep.Failure("skips <1>", 0, "out of memory", 5)]
    document, tables = sweepfolder.publish(plan, finished, failures, "kerasdl sweep x")
    assert document == json.loads((tmp_path / "sweep.json").read_text())
    cell = document["cells"][1]
    assert cell["settings"] == {"skips": "none"}
    assert cell["runs"] == [f"skips-none/seed-{seed}" for seed in (0, 1, 2)]
    assert cell["mean"]["mean_iou"] == pytest.approx(0.51)
    assert cell["deviation"]["mean_iou"] == pytest.approx(0.01)
    difference = document["differences"][0]
    assert (difference["label"], difference["pairs"]) == ("skips none", 3)
    assert difference["mean"] == pytest.approx(-0.3)
    assert tables[0].rows[0] == ("skips all", "81.00 ± 1.00", "81.00 ± 1.00", "3")
    markdown = (tmp_path / "sweep.md").read_text()
    assert "    kerasdl sweep x" in markdown and "| skips none | 51.00 ± 1.00 |" in markdown
    page = check_page(tmp_path / "report.html")
    assert "Failed and excluded: skips <1>, seed 0: out of memory." in page.text
    assert "kerasdl sweep x" in page.text and "Difference from skips all" in page.text
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_dry_run_lists_the_folders(kerasdl):  # noqa: F811
    words = ["sweep", "segment", "--grid", "depth=1,2", "--seeds", "2", "--dry-run", "--json"]
    code, out, _ = kerasdl(*words)
    listed = [f"saved_models/sweep-segmentation-depth/depth-{d}/seed-{s}"
              for s in (0, 1) for d in (1, 2)]  # fmt: skip
    assert code == 0 and json.loads(out) == listed


def test_a_real_sweep_and_its_repetition(tmp_path, caplog, monkeypatch, without_charts):
    monkeypatch.chdir(tmp_path)
    photos = mask_folder(tmp_path / "photos", 4, splits=("train", "val", "test"))
    tiny = {"batch_size": 4, "epochs": 1, "data": "photos", "precision": "auto",
            "model_args": {"filters": 1, "depth": 1}}  # fmt: skip
    plan = planned("skips=all,none", out=tmp_path / "out", **tiny)
    with caplog.at_level(logging.INFO, "kerasdl"):
        finished, failures = sweep.train(plan, quiet=True)
        assert failures == [] and [cell.label for cell, _ in finished] == [
            "skips all",
            "skips none",
        ]
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.keras")}
        caplog.clear()
        assert sweep.train(plan) == (finished, failures)
        for data in ("photos", str(photos)):
            again = planned("skips=all,none", out=tmp_path / "out", **{**tiny, "data": data})
            assert [folder for _, _, folder in again.runs] == [folder for _, folder in finished]
            assert sweep.train(again)[1] == []
    assert len(before) >= 2 and caplog.text == ""
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.keras")}
    document, _ = sweepfolder.publish(plan, finished, failures)
    assert all(0 <= cell["mean"]["mean_iou"] <= 1 for cell in document["cells"])
    submitted = submissions(plan)
    assert submitted() == []
    assert submitted(momentum=0.5) == submitted(epochs=2) == ["skips all", "skips none"]
    assert submitted(data="elsewhere") == ["skips all", "skips none"]
    (photos / "images" / "train" / "00.jpg").unlink()
    (photos / "masks" / "train" / "00.png").unlink()
    assert submitted() == ["skips all", "skips none"]


def submissions(plan):
    """Function configuration keys -> labels of the runs for which a worker is started."""

    class Workers(contextlib.nullcontext):
        size, interval = 9, 0.0

        def submit(self, job):
            asked.append(job.label)
            return job

        def done(self, handle):
            return True

        def result(self, handle):
            return training.Outcome()

    asked = []

    def submitted(**values):
        jobs = [
            training.Job(cell.label, run.changed(config, **values), folder)
            for cell, config, folder in plan.runs
        ]
        asked.clear()
        assert len(list(training.train(jobs, Workers(), quiet=True))) == len(jobs)
        return list(asked)

    return submitted


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"augment_args": {"flop": 1}}, "unknown key of augment_args 'flop'"),
        ({"data": "scens"}, "unknown data 'scens'.*did you mean.*scenes"),
        ({"data": "photos/nowhere"}, "no such file or folder: .*photos/nowhere"),
        (
            {"weights": "nowhere.keras", "model": "fcn8", "model_args": {}},
            "no such model file or run: nowhere",
        ),
    ],
)
def test_what_fails_for_certain_is_found_by_the_plan(values, message):
    with pytest.raises(KerasdlError, match=message):
        planned("learning_rate=0.1,0.2", **values)


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="the output is a file"):
        planned("skips=all,none", out=tmp_path / "file")


def test_a_sweep_without_a_finished_run_has_no_others():
    failure = sweep.Failure("skips all", 0, "loss is not finite", 5)
    assert "the others" in training.RunsFailed([failure], 2).fix
    assert "the others" not in training.RunsFailed([failure], 1).fix


def test_combinations_that_do_not_fit_together_are_left_out_and_told(caplog):
    with caplog.at_level(logging.INFO, "kerasdl"):
        plan = planned("target=rgb,ab", "loss=l1,chroma", task="colorization")
    assert [cell.label for cell in plan.cells] == [
        "target rgb, loss l1",
        "target ab, loss l1",
        "target ab, loss chroma",
    ]
    (note,) = caplog.messages
    assert note.startswith("skipped: target rgb, loss chroma: loss 'chroma' is for the target ab")
    with pytest.raises(ConfigError, match="for the target ab"):
        planned("target=rgb", "loss=chroma,bins", task="colorization")
    with pytest.raises(ConfigError, match="for the target ab"):  # one key alone: a mistake
        planned("loss=l1,chroma", task="colorization")


def test_the_home_folder_may_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    (tmp_path / "body.keras").write_bytes(b"")
    paths = {"data": "~/photos", "weights": "~/body.keras", "model": "fcn8", "model_args": {}}
    values = config(**{**paths, "image_size": 32, "recipe": "study"})
    assert len(sweep.plan(values, ["learning_rate=0.1,0.2"], 1, "out").runs) == 2
