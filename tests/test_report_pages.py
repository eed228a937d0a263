"""Pages and model cards as structure: they stand alone, are well formed and tell everything."""

import math
import re
from html.parser import HTMLParser

import pytest
from report_fixtures import HOSTILE, image, run_document, scores

from kerasdl.report import card, grouping, html, names, runs, tables

VOID = {"meta", "img", "source", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects what a page refers to and checks that its elements are closed in order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.images, self.references, self.names = [], [], [], []
        self.targets, self.words = [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).replace("\xa0", " ").split())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(attributes)
        for key in ("src", "srcset", "data", "action", "poster"):
            if key in attributes:
                self.references.append(attributes[key])
        if "href" in attributes:
            assert attributes["href"].startswith("#")
            self.targets.append(attributes["href"][1:])
        if "id" in attributes:
            self.words.append(f"[{attributes['id']}]")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


# A tag that HTML does not have is shown as inline text, and no browser complains.
KNOWN_TAGS = set(
    "a b body br caption code col colgroup dd details div dl dt em figcaption figure footer h1 h2"
    " h3 head header html img li main meta nav ol p picture pre section small source span"
    " strong style sub summary sup table tbody td tfoot th thead title tr ul".split()
)


def check_page(path):
    """A page stands alone, is well formed and tells in words what its images show."""
    page = Page(path)
    raw = path.read_text(encoding="utf-8")
    assert page.references and all(each.startswith("data:image/png;") for each in page.references)
    assert "script" not in page.names and "link" not in page.names
    assert not re.search(r"https?://|url\(|@import", raw)
    assert all(image.get("alt", "").strip() for image in page.images)
    assert all(image["width"].isdigit() and image["height"].isdigit() for image in page.images)
    assert page.names.count("h1") == 1
    assert set(page.names) <= KNOWN_TAGS
    for target in page.targets:
        assert f"[{target}]" in page.text
    return page


def test_run_report_stands_alone_and_shows_everything(tmp_path):
    path = html.write_run_report(tmp_path, run_document())
    assert path == tmp_path / "report.html"
    page = check_page(path)
    for words in (
        "ResNet-18 on scenes",
        "accuracy (%) ↑ How accuracy is computed. 95.00 10.00",
        "the learning rate became 0.01 in epoch 4",
        "best epoch, 5, by val_loss",
        "2 min 05 s",
        "backend.name jax",
        'kerasdl train classification --out "a & b"',
        "test/2: house & tree",
    ):
        assert words in page.text
    assert HOSTILE not in path.read_text(encoding="utf-8")
    alts = [image["alt"] for image in page.images]
    assert any("Most often house is mistaken for tree: 20.0 %" in alt for alt in alts)
    assert any("90 % sure: 80 % right" in alt for alt in alts)
    raw = path.read_text(encoding="utf-8")
    assert raw.count('<tr class="set">') == 1  # only the image size differs from its default


def test_run_report_of_very_little(tmp_path):
    document = scores("colorization", "unet", psnr=20.0)
    del document["definitions"], document["baseline"]
    page = Page(html.write_run_report(tmp_path, {"scores": document, "history": []}))
    assert "U-Net with skips on scenes" in page.text and "20.00" in page.text


def test_reproduction_report(tmp_path):
    colors = scores("colorization", "unet", skips="all", psnr=25.0, ssim=0.9)
    documents = [run_document(0), run_document(1), {"scores": colors, "history": []}]
    figure = {"columns": ["input", "truth"], "rows": [[image(), image(99)]] * 5}
    legend = [("tree", (0, 158, 115))]
    path = html.write_reproduction_report(
        tmp_path / "report.html",
        {
            "runs": documents,
            "figure2": {**figure, "legend": legend},
            "figure3": figure,
            "notes": ["Quick run."],
            "command": "kerasdl reproduce",
        },
    )
    page = check_page(path)
    for words in ("Table 1.", "Table 2.", "Table 3.", "Figure 1.", "Figure 2.", "Figure 3."):
        assert words in page.text
    assert "95.00 ± 0.00" in page.text and "Quick run." in page.text
    assert "Figure 1. ResNet-18 on scenes, seed 0." in page.text
    assert sum("pixels" in image.get("class", "") for image in page.images) == 20 + 2
    assert page.text.count("how accuracy".capitalize()) == 1


def test_group_report_tells_runs_apart_by_their_configuration(tmp_path):
    documents = [run_document(0), run_document(1), run_document(0, learning_rate=0.01)]
    short = html.write_group_report(tmp_path / "short.html", documents, details=False)
    assert "[classification-resnet-18-learning-rate-0-1-scenes]" not in check_page(short).text
    for document in documents:  # drawn and tested above
        del document["calibration"], document["scores"]["confusion_matrix"]
    page = check_page(html.write_group_report(tmp_path / "group.html", documents))
    assert "ResNet-18, learning_rate 0.1" in page.text
    assert "ResNet-18, learning_rate 0.01" in page.text
    assert "Configuration keys in which the runs differ" in page.text
    assert "[classification-resnet-18-learning-rate-0-1-scenes]" in page.text
    # What is the same in all runs is told once, what differs is not told there.
    assert "Configuration of all runs image_size 64, 48" in page.text
    labels = [names.run_label(each["scores"]) for each in runs.with_distinct_labels(documents)]
    assert labels == [f"ResNet-18, learning_rate {rate}" for rate in ("0.1", "0.1", "0.01")]


def test_model_card_front_matter_parses():
    yaml = pytest.importorskip("yaml")
    text = card.model_card({**run_document(), "source": "drawn"}, 'my "run"')
    assert text.startswith("---\n")
    front, body = text[4:].split("\n---\n", 1)
    values = yaml.safe_load(front)
    assert values["library_name"] == "keras"
    assert values["pipeline_tag"] == "image-classification"
    assert values["license"] == "apache-2.0" and values["datasets"] == ["scenes"]
    (entry,) = values["model-index"]
    assert entry["name"] == 'my "run"'
    (result,) = entry["results"]
    assert result["dataset"] == {"type": "scenes", "name": "scenes", "split": "test"}
    assert {each["type"]: each["value"] for each in result["metrics"]} == {
        "accuracy": 0.95,
        "loss": 0.2,
    }
    assert "| accuracy (%) ↑ | 95.00 | 10.00 |" in body
    assert "target_size=(64, 48)" in body
    assert body.count("How accuracy is computed.") == 1 and "as accuracy" not in body


def assert_hub_reads(text, data):
    """The fields that model hubs require of a card with results, as PyYAML reads them."""
    yaml = pytest.importorskip("yaml")
    values = yaml.safe_load(text[4:].partition("\n---\n")[0])
    assert set(values) == {
        "license", "library_name", "pipeline_tag", "tags", "datasets", "metrics", "model-index",
    }  # fmt: skip
    for key in ("license", "library_name", "pipeline_tag"):
        assert isinstance(values[key], str)
    for key in ("tags", "datasets", "metrics"):
        assert values[key] and all(isinstance(item, str) for item in values[key])
    assert values["datasets"] == [data]
    (entry,) = values["model-index"]
    (result,) = entry["results"]
    assert isinstance(entry["name"], str) and result["task"]["type"] == values["pipeline_tag"]
    assert result["dataset"]["type"] == data == result["dataset"]["name"]
    for metric in result["metrics"]:
        assert isinstance(metric["type"], str) and math.isfinite(metric["value"])
    assert result["metrics"]


@pytest.mark.parametrize(
    "task, model, pipeline",
    [
        ("segmentation", "fcn32", "image-segmentation"),
        ("colorization", "unet", "image-to-image"),
    ],
)
def test_model_card_of_each_task(tmp_path, task, model, pipeline):
    document = {**scores(task, model, psnr=20.0, mean_iou=math.nan), "data": "my: images"}
    hostile = {**document, "data": 'a "b": \\ #c', "model": "- x"}
    assert_hub_reads(card.model_card({"scores": hostile}, "---\n- :"), 'a "b": \\ #c')
    path = card.write_model_card(tmp_path, {"scores": document})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert f"pipeline_tag: {pipeline}" in lines
    # Its own code, and no other task's.
    usage = {"segmentation": "classes = logits.argmax(axis=-1)", "colorization": "colored = model"}
    for name, code in usage.items():
        assert any(line.startswith(code) for line in lines) == (name == task)
    assert 'license: "other"' in lines and '  - "my: images"' in lines
    assert "            value: 20" in lines and not any("nan" in line for line in lines)
    assert lines.count("---") == 2


def test_the_split_is_told_as_it_is():
    document = run_document()
    assert "which were not used in training" in card.model_card(document, "run")
    document = {**document, "scores": {**document["scores"], "split": "train"}}
    text = card.model_card(document, "run")
    assert "**which it was trained on**" in text and "not used in training" not in text
    test, train = run_document()["scores"], document["scores"]
    assert tables.split_caption([test, test]) == "Scores, test split"
    assert tables.split_caption([test, train]) == "Scores, test and train splits"


def test_the_card_tells_no_folder_of_this_machine():
    document = {**run_document(), "source": "/home/me/photos"}
    document["config"] = {**document["config"], "weights": "/home/me/runs/body"}
    text = card.model_card(document, "run")
    assert "photos" in text and "body" in text and "/home" not in text


def test_a_page_tells_no_folder_of_this_machine(tmp_path):
    document = run_document()
    document["config"] |= {"data": "/home/me/photos", "extensions": ["/home/me/own.py", "b.c"]}
    page = check_page(html.write_run_report(tmp_path, document))
    assert "data photos" in page.text and "extensions own.py, b.c" in page.text
    assert "/home" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_runs_that_differ_in_much_have_short_labels_and_a_table_of_rows():
    def document(recipe, seed, **values):
        config = {"recipe": recipe, "seed": seed, **values}
        return {"scores": scores(seed=seed, accuracy=0.9), "config": config}

    report = dict.fromkeys("abcde", 1)
    documents = [
        document("report", 0, **report),
        document("report", 1, **report),
        document("fast", 0, **dict.fromkeys("abcde", 2)),
        document("fast", 0, **{**dict.fromkeys("abcde", 2), "e": 3}),
    ]
    told = runs.with_distinct_labels(documents)
    assert [names.run_label(each["scores"]).partition(", ")[2] for each in told] == [
        "recipe report, e 1",
        "recipe report, e 1",
        "recipe fast, e 2",
        "recipe fast, e 3",
    ]
    table = grouping.differences(told)
    assert table.columns[0] == "runs" and len(table.columns) == 4
    assert table.rows[0] == ("recipe", "report", "fast", "fast")
    assert table.rows[-2:] == (("e", "1", "2", "3"), ("seeds", "0, 1", "0", "0"))


def test_losses_of_two_kinds_share_no_axis():
    one, other = run_document(0), run_document(1)
    (comparison,) = grouping.by_task([one, other])
    assert len(comparison.curves.charts) == 2  # loss and score
    other["config"] = {**other["config"], "loss": "focal"}
    (comparison,) = grouping.by_task([one, other])
    assert len(comparison.curves.charts) == 1
