"""`kerasdl demo`: what the page shows, and the page itself in a browser where there is one."""

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

import numpy
import pytest
from PIL import Image

from kerasdl.cli.main import main
from kerasdl.core.errors import ConfigError, DataError
from kerasdl.engine.prediction import networks, predictor
from kerasdl.engine.prediction.geometry import Training
from kerasdl.metrics.colors.lab import rgb_to_lab
from kerasdl.tasks.prediction import Names
from kerasdl.tools.demo import answers, server

BLUE, RED = (0, 0, 250), (250, 0, 0)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Red:
    """Two logits per image or pixel, a half and the red; or, as chroma, (red, half) * 0.4."""

    size = single = None

    def __init__(self, dense, factor=1.0):
        self.dense, self.factor, self.calls = dense, factor, 0

    def outputs(self, x):
        self.calls += 1
        red = x[..., 0] if self.dense else x[..., 0].mean((1, 2))
        return self.factor * numpy.stack([red * 0 + 0.5, red], axis=-1)


def opened(task, target=""):
    """A predictor whose answers are known, and its network."""
    dense = task != "classification"
    network = Red(dense, 0.4 if target else 1.0)
    facts = networks.Facts(
        task, Names(("<blue>", "red"), numpy.array([BLUE, RED], "uint8")), target, 2,
        Training((16, 16), "crop", whole=not dense), False,
    )  # fmt: skip
    return predictor.Predictor(network, facts), network


@pytest.fixture
def pixels():
    """Gray, but for the five left columns, which are red."""
    pixels = numpy.full((16, 20, 3), 100, "uint8")
    pixels[:, :5] = (200, 40, 40)
    return pixels


def test_the_opacity_blends_the_mask_over_the_image(pixels):
    run, network = opened("segmentation")
    found = answers.answer(run, pixels)
    image, blended, mask = (numpy.asarray(found.draw(opacity)) for opacity in (0.0, 0.5, 1.0))
    assert (image == pixels).all()
    assert (mask[:, :5] == RED).all() and (mask[:, 5:] == BLUE).all()
    assert tuple(blended[0, 0]) == (225, 20, 20)  # halfway from (200, 40, 40) to red
    assert network.calls == 1


def test_the_legend_has_names_fractions_and_colors(pixels):
    found = answers.answer(opened("segmentation")[0], pixels)
    assert found.rows == (("<blue>", 0.75, BLUE), ("red", 0.25, RED))


def test_classes_have_no_image(pixels):
    found = answers.answer(opened("classification")[0], pixels)
    assert [row.name for row in found.rows] == ["<blue>", "red"]
    assert sum(row.value for row in found.rows) == pytest.approx(1)
    assert found.draw is None


def test_the_saturation_scales_the_chroma_without_the_network(pixels):
    run, network = opened("colorization", "ab")
    found = answers.answer(run, pixels)
    (predicted,) = run.run([pixels])
    calls = network.calls
    drawn = {factor: numpy.asarray(found.draw(factor)) for factor in (0.0, 0.5, 1.0)}
    assert network.calls == calls
    assert numpy.abs(drawn[1.0].astype(int) - predicted.image).max() <= 1  # 8 bits and back
    assert numpy.ptp(drawn[0.0].astype(int), axis=-1).max() <= 1
    half, full = (rgb_to_lab(drawn[factor][:, 5:] / numpy.float32(255)) for factor in (0.5, 1.0))
    assert numpy.abs(half[..., 1:] - full[..., 1:] / 2).max() < 1
    assert numpy.abs(half[..., 0] - full[..., 0]).max() < 1


def test_large_images_are_shown_smaller():
    assert answers.reduced(numpy.zeros((1500, 3000, 3), "uint8")).size == (1024, 512)
    assert answers.reduced(numpy.zeros((15, 30, 3), "uint8")).size == (30, 15)


def test_an_unreadable_image_is_one_line_without_the_folder(tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(DataError) as caught:
        answers.read(tmp_path / "notes.png")
    assert "notes.png" in str(caught.value) and str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_of_one_run_is_its_answer(pixels, monkeypatch):
    run, network = opened("segmentation")
    monkeypatch.setattr(network, "outputs", lambda x: (_ for _ in ()).throw(MemoryError()))
    assert "out of memory" in answers.answer(run, pixels).error


@pytest.mark.parametrize(
    ("spec", "version", "what"), [(None, "", "not installed"), (True, "3.18.0", "not 3.18.0")]
)
def test_a_missing_or_old_gradio_is_one_line(spec, version, what, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    with pytest.raises(SystemExit) as ended:
        main(["demo", "run"])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert what in error and "kerasdl[demo]" in error and error.count("\n") == 1


@pytest.mark.parametrize("number", server.SIGNALS)
def test_signals_end_the_page_quietly(number, capfd):
    before = {each: signal.getsignal(each) for each in server.SIGNALS}

    def send():
        while signal.getsignal(number) is before[number]:  # earlier it would end the tests
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send, daemon=True)
    try:
        sender.start()
        server.wait()
    finally:
        sender.join()
        for each, handler in before.items():
            signal.signal(each, handler)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def served(monkeypatch, tmp_path):
    """The page for a run of each task, its networks, and what this process connects to."""
    try:
        server.require_gradio()
    except ConfigError as error:
        pytest.skip(str(error))
    connected = []

    def record(event, arguments):
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            connected.append(arguments[1][0])

    sys.addaudithook(record)  # stays, and costs nothing
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runs = {
        "classes": opened("classification"), "masks": opened("segmentation"),
        "colors": opened("colorization", "ab"),
    }  # fmt: skip
    predictors = {name: run for name, (run, _) in runs.items()}
    with server.serving(predictors) as url:
        yield url, [network for _, network in runs.values()], connected
    assert not list(tmp_path.glob("kerasdl-demo-*"))  # the images that were dropped


PIXEL = """(image) => {
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    canvas.getContext('2d').drawImage(image, 0, 0);
    return Array.from(canvas.getContext('2d').getImageData(0, 0, 1, 1).data).slice(0, 3);
}"""


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_in_a_browser(served, pixels, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    url, networks_of_runs, connected = served
    (tmp_path / "notes.png").write_text("no image")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    with playwright.sync_playwright() as engines:
        browser = engines.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        requests, errors = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.set_input_files("input[type=file]", tmp_path / "photo.png", timeout=60_000)
        mask = page.get_by_alt_text("masks")
        mask.wait_for()
        assert page.locator(".bars").count() == 2
        assert "<blue>" in page.locator(".bars").nth(1).inner_text()  # escaped
        assert mask.evaluate(PIXEL) == [225, 20, 20]
        assert len(set(page.get_by_alt_text("Gray").evaluate(PIXEL))) == 1
        calls = [network.calls for network in networks_of_runs]
        for name, label, expected in (("masks", "Opacity", [*RED]), ("colors", "Saturation", None)):
            shown = page.get_by_alt_text(name)
            before = shown.get_attribute("src")
            page.get_by_label(label).and_(page.locator("input[type=range]")).press("End")
            playwright.expect(shown).not_to_have_attribute("src", before, timeout=60_000)
            assert expected is None or shown.evaluate(PIXEL) == expected
        assert [network.calls for network in networks_of_runs] == calls
        page.set_input_files("input[type=file]", tmp_path / "notes.png")
        page.locator(".error").wait_for()
        assert "notes.png" in page.locator(".error").inner_text()
        assert page.locator(".bars").count() == page.get_by_alt_text("masks").count() == 0
        browser.close()
    assert errors == []
    assert requests and all(each.startswith((url, "data:", "blob:")) for each in requests)
    assert connected and set(connected) <= {"127.0.0.1", "::1"}
