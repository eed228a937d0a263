"""Check and training agree on generated folders, and on what the masks mean."""

import pathlib
import tempfile

import hypothesis
import numpy
import PIL.Image
from data_fixtures import content, image, load, mask, save
from hypothesis import strategies

from kerasdl.core.errors import ConfigError, DataError
from kerasdl.data.inspect.findings import raise_first
from kerasdl.data.pipeline.source import Source
from kerasdl.engine import datasets
from kerasdl.runs.config import Config

COUNT, SIDE, CLASSES = 6, 16, 3
COLORS = numpy.array([[0, 0, 0], [200, 0, 0], [0, 90, 7]], "uint8")
LAYOUTS = ("flat", "images first", "split first", "segnet", "named", "by key")
ENCODINGS = (
    *("index", "palette", "16 bits", "colors", "colors without table", "white"),
    *("white with values", "white with threshold", "jpeg", "jpeg with threshold", "alpha"),
)
FAULTS = (
    *("none", "no mask", "no image", "size", "stray value", "empty image", "cut mask", "twice"),
    *("one class", "all ignored", "hidden", "text as image", "two samples"),
)
CLASS_FAULTS = (
    *(
        "none",
        "empty image",
        "cut image",
        "one class",
        "empty class",
        "loose",
        "hidden",
        "one each",
    ),
)


def truth(index, encoding):
    """Class indices of one mask."""
    classes = 2 if encoding.startswith(("white", "jpeg", "alpha")) else CLASSES
    blocks = mask(index, 4, 4, classes)  # areas, not noise, as masks are
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


def stored(indices, encoding):
    """What is saved for a mask, a Pillow image or array, and its suffix."""
    if encoding == "palette":
        drawn = PIL.Image.frombytes("P", indices.shape[::-1], indices.tobytes())
        drawn.putpalette(COLORS.tobytes())
        return drawn, ".png"
    if encoding == "alpha":
        white = PIL.Image.new("RGB", indices.shape[::-1], "white")
        white.putalpha(PIL.Image.fromarray(indices * 255))
        return white, ".png"
    if encoding.startswith("colors"):
        return COLORS[indices], ".png"
    if encoding == "16 bits":
        return indices.astype("uint16"), ".png"
    if encoding.startswith(("white", "jpeg")):
        return indices * 255, ".jpg" if "jpeg" in encoding else ".png"
    return indices, ".png"


def description(layout, encoding, named):
    """Lines of a dataset.toml that fit."""
    lines = ['names = ["a", "b"]' if truth(0, encoding).max() < 2 else 'names = ["a", "b", "c"]']
    lines = lines if named else []
    if encoding == "colors":
        lines.append('mask_values = { "#000000" = 0, "#c80000" = 1, "#005a07" = 2 }')
    elif encoding == "white with values":
        lines.append("mask_values = { 0 = 0, 255 = 1 }")
    elif "threshold" in encoding:
        lines.append("threshold = 128")
    elif encoding == "alpha":
        lines += ['mask_channel = "alpha"', "threshold = 128"]
    if layout == "by key":
        lines += ['images = "pictures"', 'masks = "drawn/here"', 'mask_suffix = "_m"']
    return "\n".join(lines) + "\n"


def places(layout, split):
    """Folder of images, folder of masks, and the form of the masks' names."""
    return {
        "flat": ("images", "masks", "{}"),
        "images first": (f"images/{split}", f"masks/{split}", "{}"),
        "split first": (f"{split}/images", f"{split}/labels", "{}_mask"),
        "segnet": (split, f"{split}annot", "{}"),
        "named": ("JPEGs", "JPEGs_masks", "mask_{}"),
        "by key": ("pictures", "drawn/here", "{}_m"),
    }[layout]


def write_masks(root, layout, encoding, fault, named):
    """Writes a set; the index masks that it holds, by the name of the image."""
    truths = {}
    for place, split in enumerate(("train", "val")):
        for number in range(2 if fault == "two samples" else COUNT):
            index = 100 * place + number
            images, masks, form = places(layout, split)
            indices = truth(index, encoding)
            if fault == "one class":
                indices = numpy.zeros_like(indices)
            save(image(index, SIDE, SIDE), root / images / f"{index}.png")
            drawn, suffix = stored(indices, encoding)
            save(drawn, root / masks / (form.format(index) + suffix))
            truths[f"{images}/{index}.png"] = indices
    images, masks, form = places(layout, "train")
    damage(root / images / "1.png", root / masks / (form.format(1) + suffix), fault)
    text = description(layout, encoding, named)
    if fault == "all ignored":
        text = 'mask_values = { 0 = "ignore", 1 = "ignore", 2 = "ignore", 255 = "ignore" }\n'
    (root / "dataset.toml").write_text(text)
    return truths


def damage(one_image, one_mask, fault):
    if fault == "no mask":
        one_mask.unlink()
    elif fault == "no image":
        one_image.unlink()
    elif fault == "size":
        save(image(1, SIDE + 4, SIDE), one_image)
    elif fault == "stray value":
        save(numpy.full((SIDE, SIDE), 77, "uint8"), one_mask, format="PNG")
    elif fault in ("empty image", "text as image"):
        one_image.write_text("" if fault == "empty image" else "<html>404</html>")
    elif fault == "cut mask":
        one_mask.write_bytes(one_mask.read_bytes()[:-40])
    elif fault == "twice":
        save(image(9, SIDE, SIDE), one_image.with_suffix(".bmp"))
    elif fault == "hidden":
        save(image(9, SIDE, SIDE), one_image.parent / ".cache" / "x.png")


def trains(config):
    """The data set, if training takes it: loaded, looked at quickly, every sample a batch."""
    try:
        dataset = datasets.load(config)
        raise_first(datasets.check(config, True, None, dataset).findings)
        for split in dataset.splits.values():
            Source(split, (8, 8)).take(numpy.arange(len(split)))
    except (DataError, ConfigError):
        return None
    return dataset


@hypothesis.settings(max_examples=120, deadline=None, derandomize=True)
@hypothesis.given(
    strategies.sampled_from(LAYOUTS),
    strategies.sampled_from(ENCODINGS),
    strategies.sampled_from(FAULTS),
    strategies.booleans(),
)
def test_masks(layout, encoding, fault, named):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "data"
        root.mkdir()
        truths = write_masks(root, layout, encoding, fault, named)
        config = Config(task="segmentation", data=str(root))
        report = datasets.check(config)
        dataset = trains(config)
        assert (dataset is None) == report.failed, [finding.line() for finding in report.findings]
        if fault in ("none", "hidden") and encoding in ("index", "palette", "16 bits", "colors"):
            assert dataset is not None, [finding.line() for finding in report.findings]
        if dataset is None:
            return
        for name, split in dataset.splits.items():
            counts = numpy.zeros(len(dataset.class_names), int)
            for index in range(len(split)):
                expected = truths[split.name(index)]
                if "jpeg" not in encoding:
                    assert (split[index].mask == expected).all()
                counts += numpy.bincount(expected.ravel(), minlength=len(counts))
            reported = report.statistics["pixel_fractions"]
            if name in reported and set(reported) == set(dataset.splits):
                found = [reported[name][each] for each in dataset.class_names]
                assert numpy.allclose(found, counts / counts.sum(), atol=0.01)


@hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
@hypothesis.given(
    strategies.sampled_from(("flat", "splits", "deeper")),
    strategies.sampled_from(CLASS_FAULTS),
    strategies.sampled_from(("classification", "colorization")),
)
def test_classes(layout, fault, task):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "data"
        for place, split in enumerate(("train", "val")):
            top = {"flat": "", "splits": split, "deeper": f"set_{split}/set_{split}"}[layout]
            for label, name in enumerate(("cat", "dog")[: 1 if fault == "one class" else 2]):
                for number in range(1 if fault == "one each" else COUNT):
                    index = 100 * place + 10 * label + number
                    save(image(index, SIDE, SIDE), root / top / name / f"{index}.png")
        one = root / {"flat": "", "splits": "train", "deeper": "set_train/set_train"}[layout]
        if fault == "empty image":
            (one / "cat" / "0.png").write_bytes(b"")
        elif fault == "cut image":
            (one / "cat" / "0.png").write_bytes(content(image(0, 40, 40), "PNG")[:-50])
        elif fault == "empty class":
            (one / "owl").mkdir()
        elif fault == "loose":
            save(image(5), one / "loose.png")
        elif fault == "hidden":
            save(image(5), one / "cat" / "__MACOSX" / "x.png")
        config = Config(task=task, data=str(root))
        report = datasets.check(config)
        dataset = trains(config)
        assert (dataset is None) == report.failed, [finding.line() for finding in report.findings]
        if dataset is not None and task == "classification":
            assert dataset.class_names == ("cat", "dog")
            labels = [label for s in dataset.splits.values() for label in s.labels().tolist()]
            per_class = report.statistics["per_class"].values()
            assert sum(each["dog"] for each in per_class) == sum(labels)


def test_what_is_ready_trains_for_an_epoch(tmp_path, without_artifacts):
    from kerasdl.engine import run

    write_masks(tmp_path / "data", "by key", "jpeg with threshold", "none", True)
    values = {"task": "segmentation", "data": str(tmp_path / "data"), "image_size": 16}
    values |= {"epochs": 1, "batch_size": 4, "model_args": {"filters": 2, "depth": 1}}
    run.train(Config(**values), tmp_path / "run", quiet=True)
    assert load(tmp_path / "data", "segmentation").class_names == ("a", "b")
