"""docs/data.md: every line that the check advises is on it, and pasted it does what it says."""

import pathlib
import re
import tomllib

import layout_fixtures
import layout_sets
import numpy
import PIL.Image
import pytest
from data_fixtures import class_folder, image, load, save
from test_real_world import check, disc, discs, errors, lines_of, palette_png, paste, refused

from kerasdl.data.folder import dataset_file
from kerasdl.data.folder.layouts import camvid11

PAGE = (pathlib.Path(__file__).parent.parent / "docs" / "data.md").read_text(encoding="utf-8")


def form(line):
    """A line without its values: numbers, texts and the number of repetitions are left out."""
    line = re.sub(r'"[^"]*"', "S", re.sub(r"\b\d+\b", "N", re.sub(r'"#[0-9a-f]{6}"', "C", line)))
    previous = None
    while previous != line:
        previous = line
        line = re.sub(r"([NCS](?: = [NS])?), \1\b", r"\1", line)
    return line


ADVICE = {form(code) for code in re.findall(r"`([a-z_]+ = [^`]+)`", PAGE)}


def drawn(values, root, **options):
    """Discs whose index masks are stored as certain values."""
    table = numpy.array(values, "uint8")
    return discs(root, draw=lambda index: table[disc(index)], **options)


def black_and_white(root):
    drawn([0, 255], root)


def from_one(root):
    drawn([1, 2], root)
    paste(root, 'names = ["a", "b"]')


def spread(root):
    drawn([0, 128], root)
    paste(root, 'names = ["a", "b"]')


def void(root):
    def draw(index):
        mask = disc(index)
        mask[0] = 255
        return mask

    discs(root, draw=draw)


def colors(root):
    table = numpy.array([[0, 0, 0], [128, 0, 0]], "uint8")
    discs(root, draw=lambda index: table[disc(index)])


def smoothed(root):
    def draw(index):
        small = PIL.Image.fromarray(disc(index, inside=255))
        return small.resize((128, 96), PIL.Image.Resampling.BILINEAR).resize((64, 48), 3)

    discs(root, draw=draw)


def palettes(root):
    discs(root)
    for index in range(12):
        order = [0, 0, 0, 255, 255, 255] if index % 2 else [255, 255, 255, 0, 0, 0]
        indices = disc(index) if index % 2 else 1 - disc(index)
        palette_png(indices, order, root / "masks" / f"{index}.png")


def alpha(root):
    def draw(index):
        white = PIL.Image.new("RGB", (64, 48), "white")
        white.putalpha(PIL.Image.fromarray(disc(index, inside=255)))
        return white

    discs(root, draw=draw)


def left_out(root):
    drawn([0, 7], root)
    paste(root, "mask_values = { 0 = 0, 7 = 1 }")
    stray = disc(3) * numpy.uint8(7)
    stray[0] = 37
    save(stray, root / "masks" / "3.png")


def mixed(root):
    drawn([0, 255], root)
    for index in range(0, 12, 2):
        save(disc(index), root / "masks" / f"{index}.png")


def edges(root):
    def draw(index):
        drawn = disc(index).astype("uint8")
        left = numpy.roll(drawn, -1, 1) & ~drawn & 1
        return drawn * numpy.uint8(255) + left * numpy.uint8(100)

    discs(root, draw=draw)


def white_first(root):
    discs(root)
    for index in range(12):
        palette_png(1 - disc(index), [255] * 3 + [0] * 3, root / "masks" / f"{index}.png")


def several(root):
    discs(root, masks="masks")
    for index in range(12):
        save(disc(index + 50), root / "manual" / f"{index}.png")


def endings(root):
    discs(root, mask_name="{}_a.png")
    for index in range(12):
        save(disc(index + 50), root / "masks" / f"{index}_b.png")


def one_named_as_masks(root):
    discs(root, "pictures", "annotation")


CASES = (
    *(black_and_white, from_one, spread, void, colors, smoothed, palettes, alpha, left_out),
    *(mixed, edges, white_first, several, endings, one_named_as_masks),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_every_line_of_advice_is_on_the_page_and_helps(tmp_path, case):
    case(tmp_path)
    task = "classification" if case is one_named_as_masks else "segmentation"
    for _ in range(3):
        report = check(tmp_path, task)
        if not report.failed:
            break
        fix = refused(tmp_path, task).fix
        lines = lines_of(fix) or re.findall(r'\d+ = "ignore"', fix)
        assert lines, fix
        assert {form(line) for line in lines} <= ADVICE | {"N = S"}, lines
        if case is left_out:
            text = (tmp_path / "dataset.toml").read_text()
            (tmp_path / "dataset.toml").write_text(text.replace(" }", f", {lines[0]} }}"))
        elif case is one_named_as_masks:
            paste(tmp_path, *lines[:2])
            task = "segmentation"
        else:
            paste(tmp_path, lines[1 if case is mixed else 0])
    assert not errors(check(tmp_path, task))
    dataset = load(tmp_path, task, validation_split=0.0, test_split=0.0)
    split = dataset.splits["train"]
    assert len(dataset.class_names) == 2 and len(split) == 12
    for index in range(len(split)):
        number = int(pathlib.Path(split.name(index)).stem)
        expected = disc(number)
        if case is several and "manual" in (tmp_path / "dataset.toml").read_text():
            expected = disc(number + 50)
        found = split[index].mask
        counted = ~numpy.isin(found, dataset.ignore_labels)
        if case is smoothed:
            assert (found == expected).mean() > 0.98
        else:
            assert (found == expected)[counted].all() and counted.mean() > 0.9


def two_layouts(root):
    layout_sets.cvat(root)
    names = [f"{index}.jpg" for index in range(8)]
    layout_fixtures.write(
        root / "annotations/instances_default.json", layout_sets.coco_document(names)
    )


def export_beside_classes(root):
    class_folder(root)
    layout_fixtures.write(root / "export.json", [layout_sets.labelstudio_task(0, [])])


@pytest.mark.parametrize(
    ("make", "task", "classes"),
    [
        (
            two_layouts,
            "segmentation",
            {"coco": "background person dog", "cvat": "background road car"},
        ),
        (export_beside_classes, "classification", {"folders": "cat dog"}),
        (layout_sets.camvid, "segmentation", {"camvid11": " ".join(camvid11.GROUPS)}),
    ],
)
def test_every_layout_that_is_advised_is_read_so(tmp_path, make, task, classes):
    make(tmp_path)
    text = " ".join(check(tmp_path, task).lines())
    lines = [line for line in lines_of(text) if line.startswith("layout")]
    assert lines == [f'layout = "{name}"' for name in classes]
    assert {form(line) for line in lines} <= ADVICE
    for line, names in zip(lines, classes.values(), strict=True):
        (tmp_path / "dataset.toml").write_text(line)
        assert not errors(check(tmp_path, task))
        dataset = load(tmp_path, task)
        assert dataset.class_names == tuple(names.split())
        if make is two_layouts:
            mask = dataset.splits["train"][0].mask
            assert mask.tolist() == layout_fixtures.block(2).tolist()


def test_the_examples_of_the_page_are_read(tmp_path):
    section = PAGE.partition("## dataset.toml")[2].partition("### What `data check`")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.M)
    keys = set()
    for block in blocks:
        if " = " not in block:
            continue
        lines = [line.strip() for line in block.splitlines()]
        for line in lines:
            (key,) = tomllib.loads(line)
            keys.add(key)
            text = 'names = ["background", "cat"]\n' if key != "names" else ""
            (tmp_path / "dataset.toml").write_text(text + line + "\n")
            dataset_file.read(tmp_path)
    same_there = {"nc", "path", "label_mapping", "license", "source"}
    assert keys | same_there == set(dataset_file.KEYS)
    assert all(f"`{key}`" in PAGE for key in same_there)


def test_images_of_the_page_exist():
    for name in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (pathlib.Path(__file__).parent.parent / "docs" / name).exists(), name


def test_photographs_are_no_masks(tmp_path):
    discs(tmp_path, draw=lambda index: image(index + 40, 48, 64))
    assert check(tmp_path, "segmentation").failed


def test_every_line_for_a_table_is_on_the_page_and_helps(tmp_path):
    rows = [f"{index},p{index},{'cat' if index % 3 else 'dog'},{index % 2}" for index in range(12)]
    for index in range(12):
        save(image(index), tmp_path / "all" / f"p{index}.jpg")
    (tmp_path / "list.csv").write_text("\n".join(["Number,Photo,Animal,Sex", *rows]))
    pasted = []
    for _ in range(2):
        lines = lines_of(refused(tmp_path, "classification").fix)
        assert {form(line) for line in lines} <= ADVICE
        lines = [line for line in lines if line not in ('label_column = "Number"',)][:2]
        pasted += lines
        paste(tmp_path, *lines)
    assert pasted == [
        'labels_csv = "list.csv"',
        'image_column = "Photo"',
        'label_column = "Animal"',
    ]
    assert not errors(check(tmp_path, "classification"))
    dataset = load(tmp_path, validation_split=0.0, test_split=0.0)
    split = dataset.splits["train"]
    for index in range(12):
        number = int(pathlib.Path(split.name(index)).stem[1:])
        assert dataset.class_names[split[index].label] == ("cat" if number % 3 else "dog")
