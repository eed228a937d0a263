"""Work that must not grow with the square of the data; counted, not timed."""

import collections
import json

import pytest
from PIL import Image

from kerasdl.data.folder import mask_scan
from kerasdl.data.folder.layouts import folders
from kerasdl.data.inspect import check
from kerasdl.engine import datasets
from kerasdl.runs import history
from kerasdl.runs.config import Config


class Counted(collections.UserList):
    """A list that counts how many of its items were looked at."""

    looked = 0

    def __getitem__(self, place):
        found = super().__getitem__(place)
        self.looked += len(found) if isinstance(place, slice) else 1
        return found


def test_each_name_is_compared_with_few_others_to_tell_masks_from_images():
    stems = Counted(sorted(f"sample_{number:05d}_mask" for number in range(4096)))
    stems.looked = 0
    assert not folders.is_drawn("sample_02000_mask", stems)
    assert stems.looked < 100


@pytest.mark.parametrize(
    "stem, others, drawn",
    [
        ("a_mask", ["a"], True),
        ("a_mask", ["a_1st"], True),
        ("a_mask", ["a_zz"], True),
        ("a_mask", ["ab", "b_1"], False),
        ("a_mask", [], False),
        ("a", ["a_mask"], False),
    ],
)
def test_a_mask_is_told_by_the_name_of_its_image(stem, others, drawn):
    assert folders.is_drawn(stem, sorted([stem, *others])) is drawn


def test_masks_of_one_class_are_not_compared_again_with_each_batch_read(tmp_path, monkeypatch):
    count = 6 * check.QUICK_MASKS
    for kind in ("images", "masks"):
        (tmp_path / kind / "train").mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (9, 9), (number % 256, number // 256, 9)).save(
            tmp_path / "images" / "train" / f"{number}.png"
        )
        Image.new("L", (9, 9), 1).save(tmp_path / "masks" / "train" / f"{number}.png")
    (tmp_path / "dataset.toml").write_text('names = ["sky", "tree"]\n')
    looked = []
    plain = mask_scan.single_class_finding

    def counting(found, rule):
        looked.append(len(found))
        return plain(found, rule)

    monkeypatch.setattr(mask_scan, "single_class_finding", counting)
    report = datasets.check(Config(task="segmentation", data=str(tmp_path)), quick=True)
    (finding,) = [each for each in report.findings if each.severity == "error"]
    assert f"all {count} training masks hold class 1 only" in finding.what
    assert sum(looked) < 2 * count


def test_a_row_of_the_history_is_encoded_once_however_many_epochs_follow(monkeypatch):
    encoded = []
    plain = json.dumps
    monkeypatch.setattr(history.json, "dumps", lambda row: encoded.append(row) or plain(row))
    texts, rows = history.Texts(), []
    for epoch in range(50):
        rows = [*rows, {"epoch": epoch + 1, "loss": 0.5}]
        assert json.loads(texts.json(rows)) == rows
    assert encoded == rows


def test_a_column_that_comes_later_is_empty_in_the_rows_before():
    texts = history.Texts()
    assert texts.csv([]) == "\n"
    assert texts.csv([{"epoch": 1, "loss": 0.5}]) == "epoch,loss\n1,0.5\n"
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val": None}, {"epoch": 3}]
    assert texts.csv(rows) == "epoch,loss,val\n1,0.5,\n2,0.25,\n3,,\n"
    assert history.Texts().csv(rows) == texts.csv(rows)
