"""The report room: numbers and labels in tables, and what a history tells."""

import io
import math

import pytest
from report_fixtures import history_rows, scores

from kerasdl.report import exhibits, history, names, study, tables


@pytest.mark.parametrize(
    "values, mean, deviation",
    [
        ([0.95], 0.95, None),
        ([1.0, 2.0, 3.0], 2.0, 1.0),  # squares 1 + 0 + 1, divided by n - 1 = 2
        ([2.0, None, math.nan, 4.0], 3.0, math.sqrt(2.0)),
        ([], None, None),
    ],
)
def test_mean_and_deviation(values, mean, deviation):
    found = tables.mean_and_deviation(values)
    assert found[0] == (None if mean is None else pytest.approx(mean))
    assert found[1] == (None if deviation is None else pytest.approx(deviation))


def test_numbers_have_the_units_and_digits_of_their_score():
    assert names.number("accuracy", 0.95123) == "95.12"
    assert names.number("loss", 0.17764) == "0.1776"
    assert names.number("psnr", 20.006, unit=True) == "20.01 dB"
    assert names.number("iou/tree", 0.5, unit=True) == "50.00 %"
    assert names.number("ssim", math.nan) == "–"
    assert names.heading("val_loss") == "loss ↓"
    assert names.heading("colorfulness_ratio").endswith("→ 1")
    assert [names.duration(each) for each in (44.6, 125, 7260)] == [
        "45 s",
        "2 min 05 s",
        "2 h 01 min",
    ]


@pytest.mark.parametrize(
    "task, skips, label",
    [
        ("colorization", "all", "U-Net with skips"),
        ("colorization", "none", "U-Net without skips"),
        ("segmentation", "all", "U-Net"),
        ("segmentation", [1, 2], "U-Net, skips 1, 2"),
    ],
)
def test_run_label(task, skips, label):
    assert names.run_label(scores(task, "unet", skips=skips)) == label


def test_table_1_puts_mean_and_deviation_beside_the_report():
    documents = [
        scores(accuracy=value, loss=0.1, seed=seed) for seed, value in enumerate((0.96, 0.98))
    ]
    documents.append(scores("segmentation", "fcn32", mean_iou=0.8))
    documents.append(scores("segmentation", "unet", mean_iou=0.9))
    documents.append(scores("segmentation", "fcn8", mean_iou=0.85))
    table = study.classification_and_segmentation(documents)
    assert table.columns == ("model", "score", "study", "kerasdl", "baseline")
    # Sample standard deviation of 96 and 98: sqrt((1 + 1) / 1) = 1.41.
    assert table.rows[0] == ("ResNet-18", "accuracy (%) ↑", "95", "97.00 ± 1.41", "10.00")
    assert table.rows[1] == ("ResNet-18", "loss ↓", "0.1776", "0.1000 ± 0.0000", "–")
    assert [row[0] for row in table.rows[2:]] == ["U-Net", "FCN-8s", "FCN-32s"]
    assert [row[2:4] for row in table.rows[2:]] == [
        ("99.47", "90.00"),
        ("–", "85.00"),
        ("96.99", "80.00"),
    ]
    assert "ResNet-18: 2 runs (seeds 0, 1)" in table.notes[0]
    assert "U-Net: one run" in table.notes[0]


def test_table_2_has_the_report_both_networks_and_the_gray_image():
    documents = [
        scores("colorization", "unet", skips="none", psnr=20.0, ssim=0.6, chroma_error=9.0),
        scores("colorization", "unet", skips="all", psnr=25.0, ssim=0.9, chroma_error=6.0),
    ]
    table = study.colorization(documents)
    assert table.columns[1:] == (
        "study: with skips",
        "study: without skips",
        "kerasdl: with skips",
        "kerasdl: without skips",
        "gray",
    )
    assert table.rows[0] == ("PSNR (dB) ↑", "20.01", "17.82", "25.00", "20.00", "23.50")
    assert table.rows[1] == ("SSIM (%) ↑", "92.18", "63.62", "90.00", "60.00", "80.00")
    assert table.rows[2] == ("chroma error ↓", "–", "–", "6.00", "9.00", "12.00")
    assert table.notes[0] == "Values of one run each."


def test_statements_compare_with_the_report():
    documents = [
        scores(accuracy=0.96, loss=0.2),
        scores("segmentation", "unet", mean_iou=0.9),
        scores("segmentation", "fcn8", mean_iou=0.92),
        scores("segmentation", "fcn32", mean_iou=0.8),
        scores("colorization", "unet", skips="none", psnr=20.0, ssim=0.6, chroma_error=9.0),
        scores("colorization", "unet", skips="all", psnr=25.0, ssim=0.9, chroma_error=13.0),
    ]
    found = {row[0]: row[1:] for row in study.statements(documents).rows}
    assert found["ResNet-18: accuracy at least 95 %"] == ("95", "96.00", "yes")
    assert found["ResNet-18: loss at most 0.1776"] == ("0.1776", "0.2000", "no")
    assert found["mean IoU: U-Net above FCN-8s"] == ("–", "-2.00 points", "no")
    # The report: 99.47 - 96.99 = 2.48 points; 20.01 - 17.82 = 2.19 dB; 92.18 - 63.62 = 28.56.
    assert found["mean IoU: U-Net above FCN-32s"] == ("+2.48 points", "+10.00 points", "yes")
    assert found["PSNR: with skips above without"] == ("+2.19 dB", "+5.00 dB", "yes")
    assert found["SSIM: with skips above without"] == ("+28.56 points", "+30.00 points", "yes")
    assert found["chroma error: with skips below the gray image"][1:] == ("13.00 ≥ 12.00", "no")
    assert study.statements([]).rows == ()


def test_words_of_the_study_have_limits():
    rows = [
        {"accuracy": 0.5, "val_accuracy": 0.6},
        {"accuracy": 0.9, "val_accuracy": 0.93},  # after half of four epochs
        {"accuracy": 0.95, "val_accuracy": 0.92},
        {"accuracy": 0.96, "val_accuracy": 0.935},
    ]
    unet = scores("segmentation", "unet", mean_iou=0.9)
    unet["scores"] |= {"iou/tree": 0.9, "iou/sea": 0.5}
    fcn = scores("segmentation", "fcn32", mean_iou=0.88)
    fcn["scores"] |= {"iou/tree": 0.49, "iou/sea": None}
    documents = [
        {**scores(accuracy=0.96, loss=0.2), "history": rows},
        {**scores(accuracy=0.96, loss=0.2, seed=1), "history": rows[:1]},  # too short to say
        unet,
        fcn,
        scores("colorization", "unet", skips="none", psnr=20.0, ssim=0.6, delta_e=9.0),
        scores("colorization", "unet", skips="all", psnr=25.0, ssim=0.65, delta_e=5.01),
    ]
    found = {row[0].partition(":")[0]: row[1:] for row in study.statements(documents).rows}
    assert found["ResNet-18 converges after 2 epochs"] == ("stated", "+0.50 points", "yes")
    assert found["ResNet-18 overfits a bit"] == ("stated", "+2.50 points", "yes")
    assert found["U-Net has no problem with any class"] == ("stated", "50.00 % (sea)", "yes")
    assert found["FCN-32s has no problem with any class"] == ("stated", "49.00 % (tree)", "no")
    text = {row[0]: row[1:] for row in study.statements(documents).rows}
    apart = text["mean IoU: U-Net and FCN-32s only 3 % apart"]
    assert apart == ("+2.48 points", "+2.00 points", "yes")
    blurry = text["without skips: blurry, SSIM at least 10 % below"]
    assert blurry == ("stated", "-5.00 points", "no")
    assert text["without skips: objects visible"][2] == "–"
    close = text["with skips: colors close to the truth, ΔE 2000 at most 5"]
    assert close == ("stated", "5.01", "no")


def test_tables_without_runs_are_empty():
    assert study.classification_and_segmentation([]).rows == ()
    assert study.colorization([scores(accuracy=0.9)]).rows == ()


def test_many_networks_stand_below_each_other():
    few = tables.side_by_side([scores(accuracy=0.9, loss=0.1)])
    assert few.columns == ("score", "ResNet-18") and few.rows[0] == ("accuracy (%) ↑", "90.00")
    many = [{**scores(accuracy=0.9), "label": f"network {number}"} for number in range(5)]
    table = tables.side_by_side(many)
    assert table.columns == ("model", "accuracy (%) ↑", "runs")
    assert table.rows[4] == ("network 4", "90.00", "1")


def test_markdown_and_terminal_tables_hold_the_cells():
    import rich.console

    table = tables.Table("Caption", ("name", "value"), (("a|b", "1.00 ± 0.10"),), ("Note.",))
    text = tables.as_markdown(table)
    assert "| name | value |\n| :--- | ---: |\n| a\\|b | 1.00 ± 0.10 |\n" in text
    assert text.startswith("**Caption**") and "*Note.*" in text
    console = rich.console.Console(file=io.StringIO(), width=80)
    console.print(tables.as_rich(table))
    shown = console.file.getvalue()
    assert "a|b" in shown and "1.00 ± 0.10" in shown and "Note." in shown


def test_widest_table_of_the_report_fits_a_terminal_of_80_columns():
    import rich.console

    values = {name: 0.871 for name in study.COLOR_SCORES}
    documents = [
        scores("colorization", "unet", seed, skips, **{**values, "psnr": 20.0 + seed})
        for skips in ("all", "none")
        for seed in (0, 1)
    ]
    console = rich.console.Console(file=io.StringIO(), width=80)
    console.print(tables.as_rich(study.colorization(documents)))
    assert "20.50 ± 0.71" in console.file.getvalue()
    assert "23.50" in console.file.getvalue()  # the last column is not cut off


def test_the_caption_of_curves_tells_drops_and_schedules():
    assert "the learning rate became 0.01 in epoch 4." in exhibits.curve_caption(history_rows())
    rows = history_rows(epochs=9)
    for row, rate in zip(
        rows, (0.0001, 0.05, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01), strict=True
    ):
        row["learning_rate"] = rate
    caption = exhibits.curve_caption(rows)
    assert "schedule: 0.0001 in the first, 0.1 in epoch 3, 0.01 in the last." in caption


def test_history_tells_best_epoch_and_changes_of_the_rate():
    rows = history_rows()
    assert history.best_epoch(rows) == 5  # 1.2 / 5 = 0.24, then 0.9
    assert history.best_epoch(rows, "val_accuracy") == 6
    assert history.best_epoch(rows, "val_mean_iou") is None
    assert history.rate_changes(rows) == [(4, 0.01)]
    assert history.curve_scores(rows) == ["accuracy"]
    assert history.curve_scores(history_rows("psnr")) == ["psnr"]
    assert history.curve_scores([{"epoch": 1, "loss": 1.0}]) == []
