"""The recipe `auto`: settings from facts about data and machine, by hand."""

import json
import math
import tomllib

import pytest
from data_fixtures import mask_folder

import kerasdl
from kerasdl.core.errors import ConfigError
from kerasdl.runs import auto
from kerasdl.runs.config import Config, as_dict
from kerasdl.tools.sweep import plan as sweep


def decided(facts, **given):
    given = {"task": "segmentation", "model": "unet", **given}
    return {each.key: each.value for each in auto.decide(auto.Facts(*facts), given)}


def test_camvid_on_processors():
    found = decided((367, 360, 480, 11, 60.0))
    # 112 * 112 / (360 * 480) = 0.0726, its root 0.2694: 97.0 x 129.3, to multiples of 16.
    assert found["image_size"] == [96, 128]
    # 367 / 16 = 22.9: 23 steps per epoch; 600 / 23 = 26.1.
    assert (found["batch_size"], found["steps_per_epoch"], found["epochs"]) == (16, 0, 27)
    assert found["warmup_epochs"] == pytest.approx(5.4)
    # The average looks back over 5 % of 27 * 23 = 621 steps: 1 - 1 / 31.05.
    assert found["ema_decay"] == pytest.approx(0.9678, abs=1e-4)
    # In the Dice part each class counts equally; another loss is weighted.
    assert found["loss"] == "crossentropy+dice" and "class_weights" not in found
    assert decided((367, 360, 480, 11, 60.0), loss="crossentropy")["class_weights"] == "auto"
    assert (found["learning_rate"], found["monitor"]) == (0.2, "val_mean_iou")


def test_a_classifier_keeps_the_epoch_with_the_best_accuracy_and_a_colorizer_the_best_loss():
    found = decided((500, 32, 32, 10, 1.0), task="classification", model="resnet18")
    # 500 / 40 = 12.5, but batches of 32 at least.
    assert (found["batch_size"], found["learning_rate"]) == (32, 0.1)
    assert found["monitor"] == "val_accuracy" and "loss" not in found
    found = decided((500, 32, 32), task="colorization")
    # 500 / 40 = 12.5: batches of 8, 63 steps per epoch, 1000 / 63 = 15.9.
    assert (found["batch_size"], found["learning_rate"], found["epochs"]) == (8, 0.3, 16)
    assert not {"monitor", "loss", "class_weights"} & set(found)


def test_few_images_get_several_passes_per_epoch():
    found = decided((20, 64, 64, 2, 3.0))
    # Batches of 16, 2 steps per pass; at most 60 epochs make up 600 steps: 10 each.
    assert (found["batch_size"], found["steps_per_epoch"], found["epochs"]) == (16, 10, 60)
    found = decided((20, 64, 64, 2, 3.0), loss="crossentropy")
    assert "class_weights" not in found  # 3 times as many pixels is no imbalance
    assert found["image_size"] == [64, 64]


@pytest.mark.parametrize("images", [1, 7, 100, 4000, 50_000, 1_200_000])
@pytest.mark.parametrize("task", ["classification", "segmentation", "colorization"])
@pytest.mark.parametrize("gpu", [False, True])
def test_every_size_of_data_gets_enough_steps(images, task, gpu):
    model = {"classification": "resnet18"}.get(task, "unet")
    found = decided((images, 480, 640, 5, 1.0, gpu), task=task, model=model)
    steps = found["steps_per_epoch"] or math.ceil(images / found["batch_size"])
    assert found["epochs"] * steps >= 400
    assert auto.LEAST_EPOCHS <= found["epochs"] <= auto.MOST_EPOCHS
    assert 0.9 < found["ema_decay"] < 1
    assert all(side % auto.MULTIPLE == 0 and side >= 32 for side in found["image_size"])
    assert ("label_smoothing" in found) == (task == "classification")


def test_what_the_user_set_stays_and_is_what_the_rest_follows_from():
    found = decided((367, 360, 480, 11, 60.0), batch_size=16, epochs=5, lr_schedule="plateau")
    assert not {"batch_size", "epochs", "lr_schedule", "warmup_epochs"} & set(found)
    # 5 epochs of 23 steps: 1 - 1 / 5.75.
    assert found["ema_decay"] == pytest.approx(1 - 1 / 5.75, abs=1e-4)
    assert "ema_decay" in decided((367, 360, 480, 11, 60.0)) and found["learning_rate"] == 0.2


def test_a_run_on_a_folder_of_images_is_settled_and_resumes(tmp_path, caplog):
    root = mask_folder(tmp_path / "photos", 12, names=("ground", "thing"))
    values = {"task": "segmentation", "data": str(root), "epochs": 1, "steps_per_epoch": 2,
              "model_args": {"filters": 2, "depth": 1}, "batch_size": 4}  # fmt: skip
    config = kerasdl.Config(**values)
    assert config.recipe == "auto" and kerasdl.Config(task="segmentation").recipe == "study"
    with caplog.at_level("INFO", "kerasdl"):
        run = kerasdl.train(config, tmp_path / "run", quiet=True)
    assert "images of 32x32 (the size of the images (32x32))" in caplog.text
    stored = kerasdl.Run(run).config
    assert (stored.recipe, stored.image_size, stored.batch_size) == ("auto", (32, 32), 4)
    assert (stored.lr_schedule, stored.nesterov, stored.epochs) == ("onecycle", True, 1)
    # The same command finds its finished run; what the run stored is complete by itself.
    caplog.clear()
    with caplog.at_level("INFO", "kerasdl"):
        kerasdl.train(config, tmp_path / "run", quiet=True)
        kerasdl.train(stored, tmp_path / "run", quiet=True)
    assert caplog.text.count("already finished") == 2


CAMVID = auto.Facts(367, 360, 480, 11, 60.0)


def within(budget, seconds_per_step, facts=CAMVID, validation=2.0, took=0.0, **given):
    """Decisions by a machine on which a step at 96x128 takes a time; other sizes by pixels."""
    given = {"task": "segmentation", "model": "unet", **given}
    sizes = []

    def measure(values):
        sizes.append(tuple(values["image_size"]))
        fraction = math.prod(values["image_size"]) / (96 * 128)
        return auto.Times(10.0, seconds_per_step * fraction, validation, 20.0, took=took)

    decisions = auto.decide_within(facts, given, budget, measure)
    return {each.key: each.value for each in decisions}, sizes


def test_number_of_epochs_follows_from_the_time_of_a_step():
    # 600 - 10 - 20 = 570 s; an epoch takes 23 * 0.5 + 2 = 13.5 s: 42 of them.
    found, sizes = within(600, 0.5)
    assert (found["epochs"], found["steps_per_epoch"], found["batch_size"]) == (42, 0, 16)
    assert sizes == [(96, 128)] and found["image_size"] == [96, 128]
    # What follows from the number of steps follows from that of the budget: 966.
    assert found["warmup_epochs"] == pytest.approx(8.4)
    assert found["ema_decay"] == pytest.approx(1 - 1 / (0.05 * 966), abs=1e-4)
    # Half the speed of validation counts, 23 * 0.5 + 4 = 15.5 s: 36 epochs would validate for
    # 144 s. A fifth of the time, 114 s, is 28 of them, of (570 / 28 - 4) / 0.5 = 32 steps.
    slow = within(600, 0.5, validation=4.0)[0]
    assert (slow["epochs"], slow["steps_per_epoch"]) == (28, 32)
    # So does the time that measuring took: 543 / 13.5 = 40.2.
    assert within(600, 0.5, took=27.0)[0]["epochs"] == 40


def test_a_long_time_makes_epochs_longer_and_ends_before_it_only_overfits():
    # 3570 / 13.5 is 264 epochs: 60, each of (3570 / 60 - 2) / 0.5 = 115 steps, but no more
    # than 10 * 600 in all, which is above 200 passes of 23: 6000 / 60 = 100.
    found, _ = within(3600, 0.5)
    assert (found["epochs"], found["steps_per_epoch"]) == (60, 100)
    assert within(3600, 0.25, steps_per_epoch=46)[0]["epochs"] == 130  # 6000 / 46


def test_large_data_get_epochs_of_less_than_a_pass():
    # A pass is 6250 steps of 0.05 s; 8 epochs of (970 / 8 - 2) / 0.05 = 2385 steps.
    facts = auto.Facts(100_000, 96, 128, 5, 1.0)
    found, _ = within(1000, 0.05, facts)
    assert (found["epochs"], found["steps_per_epoch"], found["batch_size"]) == (8, 2385, 16)


def test_batches_become_smaller_where_too_few_steps_fit():
    # At 4 s a step (570 / 8 - 2) / 4 = 17, 8 epochs: 136 of the 300 that are half of what is usual.
    # 136 / 300 of 16 is 7, the power of two below it 4, but batches have 8 images at least.
    found, sizes = within(600, 4.0, image_size=[96, 128])
    assert found["batch_size"] == 8 and sizes == [(96, 128)] * 2
    # Where half of the steps fit nothing changes: 570 / (23 * 1.5 + 2) = 15.6 epochs of 23.
    found, sizes = within(600, 1.5, image_size=[96, 128])
    assert found["batch_size"] == 16 and len(sizes) == 1
    # A classifier of 50,000 images with 0.6 s a step at 96x128, 0.2 s at 64x64:
    facts = auto.Facts(50_000, 64, 64, 10)
    given = {"task": "classification", "model": "resnet18", "image_size": [64, 64]}
    # 60 - 30 s are left for 8 epochs of (30 / 8 - 2) / 0.2 = 8 steps, 64 of 200: 128 * 0.32 = 41.
    found = within(60, 0.6, facts, **given)[0]
    assert found["batch_size"] == 32


def test_few_passes_over_the_data_need_no_augmentation():
    # 27 epochs are 27 passes; 8 epochs of 100 steps of 16 images of 2000 are 6.4.
    assert "augment" not in decided((367, 360, 480, 11, 60.0))
    found = decided((2000, 64, 64, 5), epochs=8, steps_per_epoch=100)
    assert found["augment"] == "none" and "test_time_flip" not in found
    found = decided((2000, 64, 64, 5), epochs=8, steps_per_epoch=100, augment_args={"rotate": 5})
    assert "augment" not in found  # strengths that were set are for something
    # 8 passes of a classifier are enough to memorize, 4 are not.
    labels = {"task": "classification", "model": "resnet18"}
    assert "augment" not in decided((2000, 64, 64, 5), epochs=8, **labels)
    assert decided((2000, 64, 64, 5), epochs=4, **labels)["augment"] == "none"
    found = decided((2000, 64, 64, 5), epochs=8, steps_per_epoch=100, augment="auto")
    assert "augment" not in found and found["test_time_flip"]


def test_images_become_smaller_where_even_the_least_number_of_steps_does_not_fit():
    # 600 s are 8 epochs of 17 steps of 4 s at full size, 136 where 300 are half of what is usual.
    found, sizes = within(600, 4.0)
    steps = found["epochs"] * (found["steps_per_epoch"] or 23)
    assert sizes[0] == (96, 128) and len(sizes) > 1
    assert [math.prod(size) for size in sizes] == sorted(
        (math.prod(size) for size in sizes), reverse=True
    )
    assert tuple(found["image_size"]) == sizes[-1] and 300 <= steps < 600
    # A size that was set stays, whatever that costs.
    found, sizes = within(600, 4.0, image_size=[96, 128], batch_size=16)
    assert "image_size" not in found and sizes == [(96, 128)]
    assert (found["epochs"], found["steps_per_epoch"]) == (8, 17)  # (570 / 8 - 2) / 4


def test_a_budget_without_time_for_a_step_is_refused():
    with pytest.raises(ConfigError, match="time budget of 20 s is too short"):
        within(20, 0.25)
    with pytest.raises(ConfigError, match="too short"):
        within(20, 0.25, steps_per_epoch=10)


@pytest.mark.parametrize("budget", [60, 600, 7200])
@pytest.mark.parametrize("images", [4, 300, 50_000])
@pytest.mark.parametrize("step", [0.02, 0.5])
@pytest.mark.parametrize("validation", [0.0, 1.0, 30.0])
def test_no_plan_takes_longer_than_its_time(budget, images, step, validation):
    facts = auto.Facts(images, 360, 480, 5, 1.0)
    try:
        found, _ = within(budget, step, facts, validation)
    except ConfigError:
        assert budget == 60 and validation == 30.0  # one validation is all that fits
        return
    steps = found["steps_per_epoch"] or math.ceil(images / found["batch_size"])
    step *= math.prod(found["image_size"]) / (96 * 128)
    assert 30 + found["epochs"] * (steps * step + validation) <= budget
    assert found["epochs"] * steps >= 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("90s", 90), ("600", 600), ("1.5h", 5400)]
)
def test_time_budget_is_read_as_people_write_it(text, seconds):
    config = Config(data="photos", time_budget=text)
    assert config.time_budget == seconds and Config(**as_dict(config)).time_budget == seconds


@pytest.mark.parametrize("text", ["", "ten", "10 minutes", "m", "-5m", "5m3h"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="10m, 1h30m or 90s"):
        Config(data="photos", time_budget=text)


def test_time_budget_is_refused_where_it_decides_nothing(tmp_path):
    with pytest.raises(ConfigError, match="for the recipe auto, the recipe is fast"):
        Config(data="photos", recipe="fast", time_budget=60)
    with pytest.raises(ConfigError, match="the recipe is study"):
        Config(task="segmentation", time_budget=60)
    with pytest.raises(ConfigError, match="on one device"):
        Config(data="photos", distribute="data", time_budget=60)
    with pytest.raises(ConfigError, match="'time_budget' cannot be used with sweep"):
        sweep.plan({"data": "photos", "time_budget": 60}, ["model_args.filters=8,16"], 1)
    root = mask_folder(tmp_path / "photos", 12, names=("ground", "thing"))
    with pytest.raises(ConfigError, match="decides 'epochs', both are set"):
        kerasdl.train(
            Config(task="segmentation", data=str(root), time_budget=60, epochs=3), tmp_path / "run"
        )


def test_a_run_with_a_time_budget_keeps_its_plan(tmp_path, monkeypatch, caplog, without_charts):
    """Nothing is measured twice, and a run that measured computes what one without computes."""
    from kerasdl.engine import planning

    root = mask_folder(tmp_path / "photos", 12, names=("ground", "thing"))
    values = {"task": "segmentation", "data": str(root), "batch_size": 4, "steps_per_epoch": 2,
              "model_args": {"filters": 2, "depth": 1}, "time_budget": "20s"}  # fmt: skip
    measure, measured = planning.measure, []

    def slow(config, dataset):
        times = measure(config, dataset)
        assert min(times.start, times.step, times.validation, times.end, times.memory) > 0
        assert times.took > times.start
        measured.append(config)
        # As a machine on which 3 epochs of 2 steps fit, another one each time it is asked.
        return auto.Times(1.0, 2.0 - 0.1 * len(measured), 1.5, 3.0)

    monkeypatch.setattr(planning, "MEASURED_SECONDS", 0.1)
    monkeypatch.setattr(planning, "measure", slow)
    config = Config(**values)
    run = kerasdl.Run(kerasdl.train(config, tmp_path / "run", quiet=True))
    # (20 - 1 - 3) / (2 * 1.9 + 1.5) = 3.02
    assert (run.config.epochs, run.config.time_budget, len(measured)) == (3, 20.0, 1)
    with caplog.at_level("INFO", "kerasdl"):
        kerasdl.train(config, tmp_path / "run", quiet=True)
    assert "already finished" in caplog.text and len(measured) == 1
    with pytest.raises(ConfigError, match=r"another configuration, time_budget: 20\.0 -> 30\.0: "):
        kerasdl.train(Config(**{**values, "time_budget": 30}), tmp_path / "run", quiet=True)
    again = kerasdl.Run(kerasdl.train(run.config, tmp_path / "again", quiet=True))
    assert len(measured) == 1
    assert [{**row, "seconds": 0} for row in again.history] == [
        {**row, "seconds": 0} for row in run.history
    ]
    kerasdl.train(config, tmp_path / "run", overwrite=True, quiet=True)
    assert len(measured) == 2


def test_a_plan_of_a_run_without_a_finished_epoch_stays_too(tmp_path):
    from kerasdl.engine import planning

    folder = tmp_path / "run"
    folder.mkdir()
    values = {"task": "segmentation", "data": "photos", "time_budget": "20s", "batch_size": 4}
    config = Config(**values)
    assert planning._decided_before(config, folder) is None
    from kerasdl.runs import config as configuration

    begun = configuration.changed(config, epochs=7, image_size=[32, 48])
    (folder / "config.toml").write_text(configuration.dump(begun))
    found = planning._decided_before(config, folder)
    assert (found["epochs"], found["image_size"], found["batch_size"]) == (7, (32, 48), 4)
    # What was wrong at its start can be corrected, which makes another plan.
    assert planning._decided_before(Config(**{**values, "batch_size": 8}), folder) is None
    assert planning._decided_before(Config(**{**values, "time_budget": 30}), folder) is None


def test_plan_tells_what_train_would_do(tmp_path, monkeypatch, capsys):
    from kerasdl.cli.main import main
    from kerasdl.engine import datasets, planning

    def planned(*words):
        with pytest.raises(SystemExit) as ended:
            main(["plan", "segmentation", *words])
        assert ended.value.code in (0, None)
        return capsys.readouterr().out

    monkeypatch.setattr(planning, "measure", lambda *_: auto.Times(1.0, 0.5, 2.0, 3.0, 2**30))
    photos = str(mask_folder(tmp_path / "photos", 12, names=("ground", "thing")))
    table = planned("--data", photos, "--set", "test_split=0")
    dataset = datasets.load(config := Config(task="segmentation", data=photos, test_split=0))
    settled, decisions = planning.settle(config, dataset, "any")
    assert decisions and all(each.key in table for each in decisions)
    steps = settled.steps_per_epoch
    assert steps and f"{2 + 0.5 * steps:.0f} s per epoch with validation" in table

    listed = tomllib.loads(planned("--data", photos, "--set", "test_split=0", "--toml"))
    assert as_dict(Config(**listed)) == as_dict(settled)
    # The scenes are trained with the study's settings unless a recipe is named.
    values = json.loads(planned("--json", "--set", "train_size=20"))
    assert values["decisions"] == [] and values["config"]["recipe"] == "study"
    # One step of 128 covers the 20 images; 1 + 20 * (0.5 + 2) + 3 seconds.
    assert values["seconds"] == 54.0
