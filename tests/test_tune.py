"""`kerasdl tune`: spaces, trials that are counted once, pruning, the page. One real search."""

import contextlib
import csv
import json
import math
import tomllib

import pytest
from data_fixtures import mask_folder
from report_fixtures import run_folder
from test_cli import assert_one_error_line, kerasdl  # noqa: F401
from test_report_pages import check_page

from kerasdl.core.errors import ConfigError, DataError, TrainingFailed
from kerasdl.engine import run
from kerasdl.runs import config as configuration
from kerasdl.tools.jobs import training
from kerasdl.tools.tune import plan as plans
from kerasdl.tools.tune import space as spaces
from kerasdl.tools.tune.space import Dimension

optuna = pytest.importorskip("optuna")

from kerasdl.tools.tune import folder as artifacts  # noqa: E402
from kerasdl.tools.tune import search  # noqa: E402

UNET = {"filters": 1, "depth": 2}
RATE = "learning_rate=1e-3..1:log"
RUNNING, COMPLETE, PRUNED, FAIL = (
    optuna.trial.TrialState[name] for name in ("RUNNING", "COMPLETE", "PRUNED", "FAIL")
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learning_rate=1e-3..0.3:log", Dimension("learning_rate", low=0.001, high=0.3, log=True)),
        ("learning_rate=0.1..1:LOG", Dimension("learning_rate", low=0.1, high=1.0, log=True)),
        ("augment_args.hue=0..1", Dimension("augment_args.hue", low=0.0, high=1.0)),
        ("weight_decay=0..1", Dimension("weight_decay", low=0.0, high=1.0)),  # a number, not 0 or 1
        ("batch_size=8..64", Dimension("batch_size", low=8, high=64)),
        ("filters=-2..+4", Dimension("filters", low=-2, high=4)),
        ("filters=8,16,32", Dimension("filters", choices=(8, 16, 32))),
        ("nesterov=true,false", Dimension("nesterov", choices=(True, False))),
        ("skips=all,[1,2]", Dimension("skips", choices=("all", [1, 2]))),
        ("weights=../a,../b", Dimension("weights", choices=("../a", "../b"))),
    ],
)
def test_forms_of_a_space(text, expected):
    found = spaces.parse([text])[expected.key]
    assert found == expected
    assert [type(each) for each in found.ends] == [type(each) for each in expected.ends]


def test_number_of_values():
    sizes = [each.size for each in spaces.parse(["a=1..3", "b=1.0..3", "c=x,y"]).values()]
    assert sizes == [3, math.inf, 2]


def planned(*space, trials=8, out="out", **values):
    common = {"task": "segmentation", "image_size": 8, "model_args": UNET, "epochs": 6, **values}
    return plans.plan(common, space, trials, out)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (["learning_rate=0.3..0.1"], "LOW must be below HIGH"),
        (["learning_rate=0..0.1:log"], "LOW must be above 0"),
        (["learning_rate=1e-3..0.3:lgo"], "is not a range.*LOW..HIGH:log"),
        (["learning_rate=0.1"], "is one value.*--set learning_rate=0.1"),
        (["learning_rate"], "no key or no values"),
        (["learning_rate=0.1,,0.2"], "empty value"),
        (["filters=8,8"], "names 8 twice"),
        ([RATE, RATE], "'learning_rate' twice"),
        (["learning_rat=0.1,0.2"], "did you mean 'learning_rate'"),
        (["model_args.filter=1..2"], "did you mean 'filters'"),
        (["skips=all,none", "model_args.skips=all,none"], "a key twice"),
        (["learning_rate=-1..0.3"], "'learning_rate' must be"),
        (["batch_size=8..16.5"], "'batch_size' must be an integer"),
        (["nesterov=true,maybe"], "'nesterov' must be true or false"),
        (["depth=0..2"], "depth"),
        (["loss=dice,dise"], "did you mean 'dice'"),
        (["loss=dice,dise", "model=unet,fcn32"], "did you mean 'dice'"),
        (["model=fcn32,unet", "depth=1..40"], "option 'depth' is 40"),
        (["model=unet,fcn32", "depth=1..40"], "option 'depth' is 40"),
        (["seed=1,2"], "kerasdl sweep --seeds"),
        (["monitor=val_loss,val_mean_iou"], "'monitor' cannot vary"),
        (["backend=jax,torch"], "use --backend"),
    ],
)
def test_a_bad_space_is_refused_before_any_training(space, message):
    with pytest.raises(ConfigError, match=message) as caught:
        planned(*space)
    assert "\n" not in str(caught.value)


def test_without_validation_images_nothing_is_searched(tmp_path):
    photos = mask_folder(tmp_path / "photos", 4, splits=("train", "test"))
    with pytest.raises(ConfigError, match="no validation images"):
        planned(RATE, validation_split=0.0, data=str(photos))


def test_combinations_that_do_not_fit_are_left_out_and_options_follow_their_model():
    values = {"task": "colorization"}
    plan = planned("target=rgb,ab", "loss=l1,chroma", trials=9, **values)
    assert plan.every == [
        {"target": "rgb", "loss": "l1"},
        {"target": "ab", "loss": "l1"},
        {"target": "ab", "loss": "chroma"},
    ]
    plan = planned("filters=1,2", "model=unet,fcn32", trials=9, image_size=32)
    assert plan.trials == 3 and plan.every[-1] == {"model": "fcn32"}


def test_options_of_a_model_are_searched_by_their_full_name_too():
    plan = planned("model_args.filters=8,16,32")
    assert plan.every == [{"model_args.filters": filters} for filters in (8, 16, 32)]
    made = [plan.config(settings)[1].model_args for settings in plan.every]
    assert made == [{"filters": filters, "depth": 2} for filters in (8, 16, 32)]


class Trained(list):
    """Stands for `run.train`: a course of val_mean_iou that depends on the learning rate only."""

    def __init__(self):
        super().__init__()
        self.fail = {}  # number of the call -> exception

    def __call__(self, config, out, quiet=False, watch=None):
        self.append((out.name, config.learning_rate))
        if len(self) in self.fail:
            raise self.fail[len(self)]
        quality = 1 - abs(math.log10(config.learning_rate) + 1) / 4  # best at 0.1
        rows = [
            {"epoch": n, "seconds": 1.0, "val_loss": 1 / n, "val_mean_iou": quality * n / 6}
            for n in range(1, 7)
        ]
        if not out.exists():
            run_folder(out, config, {"mean_iou": 1 - quality}, finished=False)  # a misleading test
        try:
            for n in range(7):
                watch(rows[:n])
        finally:
            with (out / "history.csv").open("w", newline="") as stream:
                writer = csv.DictWriter(stream, rows[0])
                writer.writeheader()
                writer.writerows(rows[:n])
        (out / "best.json").write_text(json.dumps({"epoch": 6}))


@pytest.fixture
def trained(monkeypatch):
    calls = Trained()
    monkeypatch.setattr(run, "train", calls)
    monkeypatch.setattr(training, "_fresh", contextlib.nullcontext)  # there is no model to free
    return calls


def states(study):
    return [each.state for each in study.trials]


def test_trials_are_trained_once_and_the_best_by_validation_is_published(trained, tmp_path):
    plan = planned(RATE, "nesterov=true,false", out=tmp_path, trials=12)
    study, failures = search.run(plan, quiet=True)
    assert failures == [] and len(trained) == 12 and set(states(study)) == {COMPLETE, PRUNED}
    rates = [rate for _, rate in trained]
    assert len(set(rates)) == 12
    best = min(rates, key=lambda rate: abs(math.log10(rate) + 1))
    assert study.best_trial.params["learning_rate"] == best
    search.run(plan, quiet=True)
    assert len(trained) == 12
    more = planned(RATE, "nesterov=true,false", out=tmp_path, trials=14)
    study, _ = search.run(more, quiet=True)
    assert len({rate for _, rate in trained}) == 14  # none of the beginning is repeated
    document = artifacts.publish(more, study, "kerasdl tune x")
    assert document == json.loads((tmp_path / "tune.json").read_text())
    text = (tmp_path / "best.toml").read_text()
    found = configuration.Config(**tomllib.loads(text))
    assert found == more.config(document["trials"][document["best"]]["settings"])[1]
    assert f"# Trial {document['best']} of 14: val_mean_iou" in text
    assert set(document["importance"]) == {"learning_rate", "nesterov"}
    assert document["importance"]["learning_rate"] > 0.5
    page = check_page(tmp_path / "report.html")
    for words in ("kerasdl tune x", "0.001 to 1, logarithmic", "ended early", "mean IoU"):
        assert words in page.text


def test_a_trial_that_falls_behind_is_ended_early(trained, tmp_path):
    study, _ = search.run(planned(RATE, out=tmp_path, trials=20), quiet=True)
    pruned = [each for each in study.trials if each.state == PRUNED]
    assert pruned and states(study)[: search.COMPARED_TRIALS] == [COMPLETE] * search.COMPARED_TRIALS
    reached = [each.value for each in study.trials if each.state == COMPLETE]
    for each in pruned:
        assert each.last_step == 2  # the first epoch of 6 is not compared
        assert each.intermediate_values[2] * 3 < sorted(reached)[-2]


def test_a_search_without_pruning(trained, tmp_path):
    plan = plans.plan(planned(RATE).common, [RATE], 12, tmp_path, prune=False)
    assert states(search.run(plan, quiet=True)[0]) == [COMPLETE] * 12


@pytest.mark.parametrize("killed", [1, 4])
def test_a_killed_trial_is_resumed_and_counted_once(trained, tmp_path, killed):
    plan = planned(RATE, out=tmp_path, trials=6)
    trained.fail = {killed: SystemExit(137)}
    with pytest.raises(SystemExit):
        search.run(plan, quiet=True)
    study, _ = search.run(plan, quiet=True)
    assert len(study.trials) == 6 and RUNNING not in states(study)
    assert trained[killed] == trained[killed - 1]  # the same folder and values again
    assert len(set(trained)) == 6 and len(trained) == 7


def test_a_small_space_is_tried_completely(trained, tmp_path):
    space = ("learning_rate=0.01,0.1,1", "nesterov=true,false")
    plan = planned(*space, out=tmp_path, trials=30)
    study, _ = search.run(plan, quiet=True)
    assert plan.trials == 6 and len(trained) == 6
    assert len({tuple(each.params.values()) for each in study.trials}) == 6


def test_a_combination_that_failed_is_tried_again(trained, tmp_path):
    plan = planned("learning_rate=0.01,0.1", "nesterov=true,false", out=tmp_path, trials=9)
    trained.fail = {2: DataError("no such image")}
    study, failures = search.run(plan, quiet=True)
    assert [each.message for each in failures] == ["no such image"] and len(trained) == 4
    study, failures = search.run(plan, quiet=True)
    assert failures == [] and len(trained) == 5 and trained[4][1] == trained[1][1]
    done = {tuple(each.params.values()) for each in study.trials if each.state == COMPLETE}
    assert len(done) == 4


class Lost:
    """Workers whose node is gone."""

    size, interval, closed = 2, 0.0, False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.closed = True

    def submit(self, job):
        return job

    def done(self, handle):
        return True

    def result(self, handle):
        raise training.WorkerDied("lost", final=True)


def test_lost_workers_use_up_no_trials(tmp_path):
    plan = planned(RATE, out=tmp_path, trials=3)
    study, failures = search.run(plan, Lost(), quiet=True)
    assert set(states(study)) == {FAIL} and len(failures) == 3
    with pytest.raises(TrainingFailed, match="no trial finished, the last: lost"):
        search.require_finished(study)


def test_an_error_beside_the_training_stops_the_workers_before_the_lock_is_free(
    tmp_path, monkeypatch
):
    workers, released = Lost(), []

    def fails(*arguments):
        raise OSError("disk full")

    class Lock:
        def release(self):
            released.append(workers.closed)

    monkeypatch.setattr(search, "_tell", fails)
    monkeypatch.setattr(search.runlock, "acquire", lambda folder: Lock())
    with pytest.raises(OSError, match="disk full"):
        search.run(planned(RATE, out=tmp_path, trials=3), workers, quiet=True)
    assert released == [True]


def test_the_end_of_a_run_is_reported_but_never_ends_it_early(trained, tmp_path):
    """A run that early stopping has ended has fewer epochs than planned, and is complete."""
    study, _ = search.run(planned(RATE, out=tmp_path, trials=6), quiet=True)
    study.add_trial(optuna.create_trial(state=RUNNING))
    journal = str(tmp_path.absolute() / search.JOURNAL)
    reporter = search.Reporter(journal, 6, "val_mean_iou", 6, prune=True)
    rows = [{"epoch": n, "val_mean_iou": 0.0} for n in (1, 2, 3)]
    with pytest.raises(search.Pruned):
        reporter(rows)
    reporter.at_end(rows)


def test_the_same_values_are_not_trained_again(trained, tmp_path):
    plan = planned("learning_rate=0.01,0.1", "nesterov=true,false", out=tmp_path, trials=3)
    study, _ = search.run(plan, quiet=True)
    study.enqueue_trial(dict(study.trials[0].params))
    more = planned("learning_rate=0.01,0.1", "nesterov=true,false", out=tmp_path, trials=4)
    study, _ = search.run(more, quiet=True)
    assert study.trials[3].user_attrs == {"same_as": 0} and len(trained) == 3
    assert study.trials[3].value == study.trials[0].value


def test_a_loss_that_is_not_finite_counts_and_a_data_error_does_not(
    trained,
    tmp_path,
    kerasdl,  # noqa: F811
):
    trained.fail = {2: TrainingFailed("the loss became nan"), 3: DataError("no such image")}
    words = ["tune", "segment", "--space", RATE, "--trials", "4", "--image-size", "8"]
    words += ["--set", "model_args.filters=1", "--set", "model_args.depth=2", "--out", "out"]
    code, out, err = kerasdl(*words, "--json")
    assert code == 3 and "1 of 4 runs failed, the first: no such image" in err
    document = json.loads(out)
    assert [each["state"] for each in document["trials"]].count("failed") == 2
    assert document["trials"][1]["error"] == "the loss became nan"
    code, out, err = kerasdl(*words)
    assert code == 0 and len(trained) == 5 and "Trial 1: the loss became nan." in out
    assert "kerasdl train segmentation --config out/best.toml" in out
    trained.fail = {6: TrainingFailed("nan, too")}
    code, _, err = kerasdl(*words[:4], "--trials", "1", *words[6:-1], "new")
    assert code == 5 and "no trial finished, the last: nan, too" in err


def test_a_folder_with_another_search_is_refused(trained, tmp_path):
    search.run(planned(RATE, out=tmp_path, trials=2), quiet=True)
    with pytest.raises(ConfigError, match="another learning_rate.*another --out"):
        search.run(planned("learning_rate=1e-3..0.5:log", out=tmp_path), quiet=True)
    with pytest.raises(ConfigError, match="another momentum"):
        search.run(planned(RATE, momentum=0.5, out=tmp_path), quiet=True)


def test_a_journal_that_a_full_disk_cut_short_is_repaired(trained, tmp_path):
    plan = planned(RATE, out=tmp_path, trials=2)
    search.run(plan, quiet=True)
    search._storage.cache_clear()
    journal = tmp_path / search.JOURNAL
    journal.write_bytes(journal.read_bytes() + b'{"op_code":4,"wor')
    study, _ = search.run(planned(RATE, out=tmp_path, trials=3), quiet=True)
    assert len(study.trials) == 3 and len(trained) == 3


def test_no_trial_begins_after_the_timeout(trained, tmp_path):
    study, _ = search.run(planned(RATE, out=tmp_path), timeout=1e-9, quiet=True)
    assert study.trials == [] and not search.finished(study)
    with pytest.raises(TrainingFailed, match="no trial finished.*a longer --timeout"):
        search.require_finished(study)


def test_a_missing_extra_names_itself(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"optuna.*pip install 'kerasdl\[tune\]'"):
        planned(RATE)


def test_a_real_search_resumes_in_the_middle_of_a_trial(tmp_path, monkeypatch):
    tiny = {"train_size": 16, "validation_size": 4, "test_size": 4, "batch_size": 8, "epochs": 2}
    plan = planned(RATE, out=tmp_path, trials=1, **tiny)
    report, seen = search.Reporter.__call__, []

    def killed(reporter, rows):
        report(reporter, rows)
        seen.append(len(rows))
        if seen == [0, 1]:
            raise SystemExit(137)

    monkeypatch.setattr(search.Reporter, "__call__", killed)
    with pytest.raises(SystemExit):
        search.run(plan, quiet=True)
    study, failures = search.run(plan, quiet=True)
    assert seen == [0, 1, 1] and failures == []  # the last epoch is only reported
    assert [sorted(each.intermediate_values) for each in study.trials] == [[1, 2]]
    document = artifacts.publish(plan, study, "kerasdl tune x")
    rows = run.Run(tmp_path / f"trial-{document['best']:03d}").history
    assert document["trials"][document["best"]]["value"] in [row["val_mean_iou"] for row in rows]
    assert not list(tmp_path.glob("trial-*/checkpoints/*/model.keras"))
