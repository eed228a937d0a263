"""`kerasdl report`: from run folders to a page, without data and without Keras."""

import json
import os

import numpy
import pytest
from report_fixtures import run_folder
from test_cli import assert_one_error_line, kerasdl  # noqa: F401
from test_report_pages import check_page

from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.report import document as rundocument
from kerasdl.report import stored
from kerasdl.runs import config as configuration
from kerasdl.tools import reporting


def config(**values):
    return configuration.Config(**{"task": "segmentation", "image_size": 8, **values})


@pytest.fixture
def folders(tmp_path):
    """Three runs of two settings below one folder, and one that is not finished."""
    found = [
        run_folder(
            tmp_path / "all" / name / f"seed-{seed}",
            config(seed=seed, model_args={"skips": name}),
            {"mean_iou": value, "pixel_accuracy": 0.9, "iou/tree": None},
        )
        for name, seed, value in (("all", 2, 0.8), ("all", 10, 0.6), ("none", 2, 0.5))
    ]
    run_folder(tmp_path / "all" / "none" / "seed-10", config(), {}, finished=False)
    return found


def test_stored_images_come_back(folders):
    document = rundocument.read(folders[0])
    assert document["parameters"] == 1234 and document["license"] == "CC0"
    assert document["legend"] == [["tree", [0, 158, 115]]]
    ((title, images),) = document["images"]["worst"]
    assert title == "test/2: 12.0% of pixels right"
    assert [pixels.shape for pixels in images] == [(8, 8, 3)] * 3
    assert [int(pixels.max()) for pixels in images] == [0, 100, 200]
    assert document["seconds"] == 6 * 1.5
    assert document["command"] == "kerasdl train segmentation --config seed-2/config.toml"


def test_large_images_are_stored_smaller(tmp_path):
    wide = numpy.zeros((10, 700), "uint8")
    stored.write(tmp_path, {"images": {"columns": ["input"], "best": [("a", [wide])],
                                         "worst": []}})  # fmt: skip
    ((_, (pixels,)),) = stored.read(tmp_path)["images"]["best"]
    assert pixels.shape == (4, 234, 3)  # a third of 700 is below 320, rounded up


def test_damaged_stored_images_name_the_file(folders):
    (folders[0] / "figures" / "images" / "best-1-input.png").write_bytes(b"no image")
    with pytest.raises(ModelFileError, match="damaged") as caught:
        rundocument.read(folders[0])
    assert "report.json" in str(caught.value)
    assert stored.read(folders[0].parent) == {}


def test_page_of_one_run(folders, tmp_path, kerasdl):  # noqa: F811
    code, out, _ = kerasdl("report", str(folders[0]))
    assert (code, out.strip()) == (0, f"page: {folders[0] / 'report.html'}")
    page = check_page(folders[0] / "report.html")
    assert "U-Net on scenes" in page.text and "80.00" in page.text
    assert "test/2: 12.0% of pixels right" in page.text
    assert "became 0.01 in epoch 4" in page.text
    code, out, _ = kerasdl("report", str(folders[0]), "--out", "other.html", "--json")
    assert json.loads(out) == {"page": "other.html"} and os.path.exists("other.html")


def test_page_of_several_runs(folders, tmp_path, kerasdl):  # noqa: F811
    code, out, _ = kerasdl("report", str(tmp_path / "all"), "--title", "Skips")
    assert code == 0
    page = check_page(tmp_path / "report.html")
    for words in (
        "Skips",
        "U-Net 70.00 ± 14.14 90.00 ± 0.00 2",
        "U-Net without skips 50.00 90.00 1",
        "Difference from U-Net, paired by seed",
        "U-Net without skips mean IoU (%) ↑ −30.00 –",  # of seed 2: 50 - 80
        "Configuration keys in which the runs differ runs model_args.skips seeds",
        "python 3.11.2",
        "[segmentation-u-net-without-skips-scenes]",
        "test/1: 2",
    ):
        assert words in page.text
    code, _, _ = kerasdl("report", str(tmp_path / "all"), "--short")
    assert code == 0
    assert "[segmentation-u-net-" not in check_page(tmp_path / "report.html").text


def test_other_files_are_not_replaced(folders, tmp_path, kerasdl):  # noqa: F811
    (tmp_path / "report.html").write_text("<p>mine</p>")
    words = ["report", str(tmp_path / "all")]
    assert_one_error_line(kerasdl(*words), 2, "not a page by kerasdl", "report.html")
    assert (tmp_path / "report.html").read_text() == "<p>mine</p>"
    with pytest.raises(ConfigError, match="replace a folder"):
        reporting.report([folders[0]], tmp_path)


def test_older_run_without_its_data_is_reported_without_images(folders, caplog):
    (folders[0] / "report.json").unlink()
    page, _ = reporting.report([folders[0]])
    assert "without images" in caplog.text  # the fabricated fingerprint is not that of scenes
    assert "Best images" not in check_page(page).text


def test_report_of_no_run_is_an_error_of_one_line(kerasdl, tmp_path):  # noqa: F811
    assert_one_error_line(kerasdl("report", str(tmp_path)), 4, "no run in")
