"""Predictions of many images by networks whose answers are known: order, batches, sources."""

import dataclasses
import threading
import tracemalloc
import types

import numpy
import pytest
from PIL import Image

from kerasdl.core.errors import ConfigError, DataError
from kerasdl.engine.prediction import networks, predictor, resampling, sources, tiles, video
from kerasdl.engine.prediction.geometry import Tiling, Training
from kerasdl.tasks.prediction import Names

NAMES = Names(("dark", "bright"), numpy.array([(0, 0, 0), (250, 10, 10)], "uint8"))


class Brightness:
    """Two logits per pixel: bright where red is above 1/2."""

    size = single = None

    def __init__(self):
        self.shapes = []

    def outputs(self, x):
        self.shapes.append(x.shape)
        return numpy.stack([0.5 - x[..., 0], x[..., 0] - 0.5], axis=-1)


class Alone(Brightness):
    """The same, for threads that each compute one image."""

    def __init__(self, cores):
        super().__init__()
        self.cores, self.threads = threading.Barrier(cores), []
        self.given, self.together = 0, []

    def single(self):
        self.given += 1
        return types.SimpleNamespace(outputs=self.meet)

    def outputs(self, x):
        self.together.append(threading.current_thread())
        return super().outputs(x)

    def meet(self, x):
        self.threads.append(threading.current_thread())
        self.cores.wait(10)  # or a test that needs several threads at once ends here
        return super().outputs(x)


class Colors(Brightness):
    """Chroma a = 20, b = 10 everywhere, from lightness."""

    def outputs(self, x):
        self.shapes.append(x.shape)
        return numpy.broadcast_to(numpy.array([0.2, 0.1], "float32"), (*x.shape[:3], 2))


def facts(task="segmentation", size=(16, 16), resize="crop", median=None, **values):
    known = {"task": task, "names": NAMES, "target": "", "outputs": 2, "test_time_flip": False}
    training = Training(size, resize, median, whole=task == "classification")
    return networks.Facts(**{**known, "training": training, **values})


def segmenter(network=None, tiling=None, **values):
    return predictor.Predictor(network or Brightness(), facts(**values), tiling)


def noise(*shape, seed=0):
    return numpy.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_results_in_order_and_an_unreadable_image_is_one_error(tmp_path):
    sizes = [(16, 16), (16, 24), (16, 16), (32, 16), (16, 16)] * 9
    for number, size in enumerate(sizes):
        save(tmp_path / f"{number:02d}.png", noise(*size, 3, seed=number))
    (tmp_path / "07.png").write_text("no image")
    network = Brightness()
    found = list(segmenter(network).run(tmp_path))
    assert [each.name for each in found] == [str(tmp_path / f"{n:02d}.png") for n in range(45)]
    assert [n for n, each in enumerate(found) if each.error] == [7]
    assert "not an image" in found[7].error
    for number, (each, size) in enumerate(zip(found, sizes, strict=True)):
        if number != 7:
            red = noise(*size, 3, seed=number)[..., 0]
            assert numpy.array_equal(each.mask, red > 127)  # 127.5 is one half
    # Sizes are not mixed, and images of one size do not wait for their neighbors.
    assert {shape[1:3] for shape in network.shapes} == {(16, 16), (16, 24), (32, 16)}
    assert max(len(shape) and shape[0] for shape in network.shapes) == 8
    assert len(network.shapes) < 15


def test_each_core_takes_one_image_after_another(tmp_path, monkeypatch):
    monkeypatch.setattr(predictor.machine, "num_cores", lambda: 3)
    sizes = [(16, 16), (16, 24), (32, 16)] * 5 + [(100, 16)]  # the last one is shown in tiles
    for number, size in enumerate(sizes):
        save(tmp_path / f"{number:02d}.png", noise(*size, 3, seed=number))
    (tmp_path / "16.png").write_text("no image")
    network = Alone(3)
    found = list(segmenter(network).run(tmp_path))
    assert [each.name for each in found] == [str(tmp_path / f"{n:02d}.png") for n in range(17)]
    assert [n for n, each in enumerate(found) if each.error] == [16]
    for number, (each, size) in enumerate(zip(found, sizes, strict=False)):
        assert numpy.array_equal(each.mask, noise(*size, 3, seed=number)[..., 0] > 127)
    assert network.given == 1
    assert len(network.threads) == 15 and len(set(network.threads)) == 3
    # The tiles, by all cores, where Ctrl-C arrives: it would wait for the other threads.
    assert network.together and set(network.together) == {threading.main_thread()}


@pytest.mark.parametrize("size", [(16, 16), (16, 60)])
def test_a_network_for_one_thread_is_opened_for_many_whole_images_only(monkeypatch, size):
    monkeypatch.setattr(predictor.machine, "num_cores", lambda: 2)
    whole = size == (16, 16)
    for count, given in ((predictor.MANY - 1, 0), (predictor.MANY, int(whole))):
        network = Alone(2)
        images = [noise(*size, 3, seed=seed) for seed in range(count)]
        found = list(segmenter(network).run(images))
        for each, pixels in zip(found, images, strict=True):
            assert numpy.array_equal(each.mask, pixels[..., 0] > 127)
        assert (network.given, len(network.threads)) == (given, given * count)
        # Images of one size in one batch, as far as they were not computed alone.
        batches = 0 if given else 1 if whole else count
        assert len(network.together) == batches


def test_a_network_that_cannot_be_opened_again_computes_all(monkeypatch):
    monkeypatch.setattr(predictor.machine, "num_cores", lambda: 2)
    network, tries = Brightness(), []
    network.single = lambda: tries.append(True)
    images = [noise(16, 16, 3, seed=seed) for seed in range(20)]
    found = list(segmenter(network).run(images))
    for each, pixels in zip(found, images, strict=True):
        assert numpy.array_equal(each.mask, pixels[..., 0] > 127)
    assert len(tries) == 1 and len(network.shapes) == 3  # batches of 8


def test_an_interrupt_in_a_tiled_image_begins_no_further_one(monkeypatch):
    monkeypatch.setattr(predictor.machine, "num_cores", lambda: 2)
    network, calls = Alone(1), []

    def interrupted(x):
        calls.append(True)
        raise KeyboardInterrupt

    network.outputs = interrupted
    with pytest.raises(KeyboardInterrupt):
        list(segmenter(network).run([noise(16, 60, 3)] * 20))
    assert len(calls) == 1


def test_an_error_in_a_core_ends_the_prediction(tmp_path, monkeypatch):
    monkeypatch.setattr(predictor.machine, "num_cores", lambda: 2)
    network = Alone(1)
    network.meet = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError):
        list(segmenter(network).run([noise(16, 16, 3)] * 20))


def test_only_some_images_are_in_memory(monkeypatch):
    """Not all are read before the first is written, however many there are."""
    alive, most = set(), 0
    lock = threading.Lock()
    read, write = sources.Source.read, predictor.Predictor._finished

    def counting_read(source):
        nonlocal most
        with lock:
            alive.add(source.name)
            most = max(most, len(alive))
        return read(source)

    def counting_write(self, job, *arguments):
        found = write(self, job, *arguments)
        with lock:
            alive.discard(job.source.name)
        return found

    monkeypatch.setattr(sources.Source, "read", counting_read)
    monkeypatch.setattr(predictor.Predictor, "_finished", counting_write)
    images = [noise(16, 16, 3)] * 100
    assert len(list(segmenter().run(images))) == 100
    assert most <= predictor.MAX_JOBS
    monkeypatch.setattr(predictor, "MAX_AREA", 16 * 16 * 2)
    most = 0
    assert len(list(segmenter().run(images[:20]))) == 20
    assert most <= 2


@pytest.mark.parametrize("tile", ["auto", (8, 12)])
def test_a_large_image_in_tiles_is_the_image(tile):
    pixels = noise(50, 61, 3)
    network, seen = Brightness(), []
    (found,) = segmenter(network, Tiling(tile)).run(
        pixels, progress=lambda *counts: seen.append(counts)
    )
    assert numpy.array_equal(found.mask, pixels[..., 0] > 127)
    size = (16, 16) if tile == "auto" else tile
    assert {shape[1:3] for shape in network.shapes} == {size}
    done = [count for _, count, _ in seen]
    assert done == sorted(done) and seen[-1][1] == seen[-1][2] == sum(s[0] for s in network.shapes)


def test_columns_computed_one_after_the_other_meet_without_a_seam(monkeypatch):
    from kerasdl.engine.prediction import tiles

    pixels = (noise(4, 30, 1) // 128 * 255).repeat(10, 0).repeat(10, 1).repeat(3, 2)
    tiling = Tiling((16, 16), scale=0.7)
    (whole,) = segmenter(tiling=tiling).run(pixels)
    monkeypatch.setattr(tiles, "BAND_VALUES", 16 * 2 * 32)
    assert len(tiles.panels((40, 300), (28, 210), (16, 16), 2)) == 7
    (parts,) = segmenter(tiling=tiling).run(pixels)
    assert numpy.array_equal(parts.mask, whole.mask)


def test_tiles_are_stretched_as_the_training_images_were():
    pixels = numpy.zeros((160, 60, 3), "uint8")
    pixels[:80] = 255
    network = Brightness()
    (found,) = segmenter(network, size=(16, 16), resize="stretch", median=(32, 24)).run(pixels)
    assert numpy.array_equal(found.mask, pixels[..., 0] > 0)
    # 160 x 1/2 and 60 x 2/3: 80x40 in tiles of 16x16, with steps of 12 at most.
    assert sum(shape[0] for shape in network.shapes) == 7 * 3


def test_one_line_says_how_large_images_are_shown(caplog):
    caplog.set_level("INFO", "kerasdl")
    pixels = noise(160, 60, 3)
    trained = {"size": (16, 16), "resize": "stretch", "median": (32, 24)}
    list(segmenter(**trained).run([pixels, pixels]))
    list(segmenter(tiling=Tiling((8, 12), 0.5, scale=0.5)).run(pixels))
    assert [record.getMessage() for record in caplog.records] == [
        "large images are predicted in tiles of 16x16, overlapping by 25 %: the image of 160x60 is "
        "shown at 80x40, as the training images of about 32x24 were stretched to 16x16 (--scale); "
        "--tile none shows whole images at the training size",
        "images are predicted in tiles of 8x12, overlapping by 50 %: the image of 160x60 is "
        "shown at 80x30, 0.5 of its size; --tile none shows whole images at the training size",
    ]


def test_a_strip_is_not_blown_up():
    network = Brightness()
    (found,) = segmenter(network, size=(64, 64)).run(noise(2, 2000, 3))
    assert found.mask.shape == (2, 2000)
    assert numpy.prod([shape[:3] for shape in network.shapes], axis=1).sum() < 50 * 64 * 64


def test_colors_in_tiles_keep_the_lightness_of_each_pixel():
    import skimage.color

    pixels = noise(60, 70, 3) // 4 + 90
    known = {"task": "colorization", "target": "ab"}
    (tiled,) = segmenter(Colors(), **known).run(pixels)
    (whole,) = segmenter(Colors(), Tiling("none"), **known).run(pixels)
    assert numpy.array_equal(tiled.image, whole.image)
    lab = skimage.color.rgb2lab(tiled.image)
    numpy.testing.assert_allclose(lab[..., 0], skimage.color.rgb2lab(pixels)[..., 0], atol=0.3)
    assert numpy.abs(lab[..., 1:] - (20, 10)).max() < 1


def test_saturation_and_a_flip_reach_the_decoder():
    class Left:
        """The left half is bright, whatever is shown."""

        size = single = None

        def outputs(self, x):
            left = numpy.broadcast_to(numpy.arange(x.shape[2]) < 8, x.shape[:3]).astype("float32")
            return numpy.stack([left * 0 + 0.4, left], axis=-1)

    pixels = numpy.zeros((16, 16, 3), "uint8")
    (once,) = segmenter(Left()).run(pixels)
    (both,) = segmenter(Left(), test_time_flip=True).run(pixels)
    assert once.fractions == {"dark": 0.5, "bright": 0.5}
    assert both.fractions == {"bright": 1.0}  # (1 + 0) / 2 > 0.4 on both sides
    gray = predictor.Predictor(Colors(), facts("colorization", target="ab"), saturation=0.0)
    (found,) = gray.run(noise(16, 16, 3))
    assert numpy.ptp(found.image.astype(int), axis=-1).max() <= 1


def test_the_overlay_is_half_image_half_color(tmp_path):
    pixels = noise(4, 4, 3).repeat(8, 0).repeat(8, 1)  # blocks of a JPEG lose little
    (found,) = segmenter(size=(32, 32)).run(pixels, tmp_path)
    overlay = numpy.asarray(Image.open(found.files["overlay"])).astype(float)
    expected = (pixels.astype(float) + NAMES.palette[found.mask]) / 2
    assert numpy.abs(overlay - expected).max() <= 2
    (again,) = segmenter(size=(32, 32)).run(pixels, tmp_path, overwrite=True, keep=False)
    assert again.mask is None and again.fractions == found.fractions


def test_the_overlay_of_an_image_too_long_for_a_jpeg_is_smaller(tmp_path):
    (found,) = segmenter().run(noise(1, 70_000, 3), tmp_path)
    assert found.error is None
    assert Image.open(found.files["mask"]).size == (70_000, 1)
    assert Image.open(found.files["overlay"]).size == (65_500, 1)


@pytest.mark.parametrize(("task", "tile"), [
    ("segmentation", "none"), ("segmentation", "auto"), ("colorization", "auto"),
])  # fmt: skip
def test_memory_does_not_grow_with_outputs_times_pixels(monkeypatch, task, tile):
    outputs = 64
    # As for an image of 48 megapixels, in small.
    for module, name in ((resampling, "CHUNK_VALUES"), (tiles, "BAND_VALUES"),
                         (tiles, "BATCH_VALUES")):  # fmt: skip
        monkeypatch.setattr(module, name, 2**18)

    class Many(Brightness):
        def outputs(self, x):
            levels = numpy.linspace(0, 1, outputs, dtype="float32")
            return -numpy.abs(x[..., :1] - levels) if task == "segmentation" else x[..., [0, 0]]

    pixels = numpy.zeros((480, 640, 3), "uint8")
    pixels[:, ::64] = 200
    known = facts(task, size=(32, 40), median=(480, 640), target="ab", outputs=outputs)
    known = dataclasses.replace(
        known, names=Names(tuple(map(str, range(64))), NAMES.palette[[0] * 64])
    )
    made = predictor.Predictor(Many(), known, Tiling(tile, scale=None if tile == "none" else 1.0))
    tracemalloc.start()
    (found,) = made.run(pixels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.error is None
    image = 480 * 640 * 3 * 4  # in float32
    assert peak < 4 * image  # the outputs of all pixels would be 21 times that


def test_patterns_find_files_in_all_folders(tmp_path, monkeypatch):
    for name in ("a.jpg", "b.png", "in/c.jpg", "in/deep/a.jpg", ".cache/d.jpg"):
        save(tmp_path / name, noise(8, 8, 3))
    monkeypatch.chdir(tmp_path)
    assert [each.name for each in sources.find("*.jpg")] == ["a"]
    assert [each.name for each in sources.find("**/*.jpg")] == ["a", "in/c", "in/deep/a"]
    assert [each.name for each in sources.find("in/*/a.*")] == ["deep/a"]
    save(tmp_path / "[1].png", noise(8, 8, 3))  # a file whose name is a pattern
    assert [each.name for each in sources.find("[1].png")] == ["[1]"]
    with pytest.raises(DataError, match="no file matches"):
        sources.find("*.bmp")


def test_pages_of_a_tiff_are_images(tmp_path):
    pages = [noise(16, 16, 3, seed=seed) for seed in range(3)]
    first, *rest = map(Image.fromarray, pages)
    first.save(tmp_path / "scan.tif", save_all=True, append_images=rest)
    found = list(segmenter().run(tmp_path / "scan.tif", tmp_path / "out"))
    assert [each.name for each in found] == [f"{tmp_path / 'scan.tif'}#{n}" for n in (1, 2, 3)]
    for number, page in enumerate(pages, 1):
        written = Image.open(tmp_path / "out" / f"scan_{number:04d}_mask.png")
        assert numpy.array_equal(numpy.asarray(written), page[..., 0] > 127)


def clip_file(path, frames, rate=10):
    with video.writing(path, rate) as writer:
        for frame in frames:
            writer.add(frame)


def test_a_video_becomes_a_video_of_the_same_rate(tmp_path):
    av = pytest.importorskip("av")
    bright = [numpy.full((32, 47, 3), level, "uint8") for level in (20, 230, 20, 230, 230)]
    clip_file(tmp_path / "clip.mp4", bright)
    (found,) = segmenter(size=(32, 48)).run(tmp_path / "clip.mp4", tmp_path / "out")
    assert found.text == "5 frames" and found.files["video"].endswith("clip_overlay.mp4")
    with av.open(found.files["video"]) as container:
        assert container.streams.video[0].average_rate == 10
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    # Odd sides get one more pixel. Half the image and half the class color, up to compression.
    assert [frame.shape for frame in frames] == [(32, 48, 3)] * 5
    for frame, source in zip(frames, bright, strict=True):
        color = NAMES.palette[int(source[0, 0, 0] > 127)]
        shown = frame[8:24, 8:40].mean((0, 1))
        assert numpy.abs(shown - (source[0, 0] / 2.0 + color / 2.0)).max() < 8
    each = list(segmenter(size=(32, 48)).run(tmp_path / "clip.mp4"))  # nothing is written
    assert [found.fractions for found in each][:2] == [{"dark": 1.0}, {"bright": 1.0}]
    assert each[1].name.endswith("clip.mp4#2")


def test_an_animation_is_a_video(tmp_path, monkeypatch, caplog):
    pytest.importorskip("av")
    frames = [Image.new("RGB", (16, 16), (level,) * 3) for level in (0, 200, 60)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    (source,) = sources.find(tmp_path / "a.gif")
    assert source.clip.rate == 20
    assert [int(frame[0, 0, 0]) for frame in source.clip.frames()] == [0, 200, 60]
    # Without the extra one animation must not keep the photographs beside it from being predicted.
    save(tmp_path / "b.png", noise(16, 16, 3))
    monkeypatch.setattr(video, "installed", lambda: False)
    first, _ = sources.find(tmp_path)
    assert first.clip is None and first.read().max() == 0
    assert "only the first of 3 frames" in caplog.text and "kerasdl[video]" in caplog.text


def test_bad_videos(tmp_path, monkeypatch):
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="not a readable video.*a.mp4"):
        sources.find(tmp_path / "a.mp4")
    monkeypatch.setattr(video.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'kerasdl\[video\]'"):
        sources.find(tmp_path / "a.mp4")


def test_no_unfinished_video_is_left(tmp_path):
    pytest.importorskip("av")
    with pytest.raises(ValueError, match="stop"), video.writing(tmp_path / "a.mp4", 5) as writer:
        writer.add(noise(16, 16, 3))
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []
