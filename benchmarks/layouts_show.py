"""What `kerasdl data check` says of each supported layout, and of data that are commonly misread.

    python benchmarks/layouts_show.py [--camvid FOLDER] [--out FILE.md]

Makes a tiny set of each layout, in a temporary folder, and prints the command and two lines of its
output: the layout that was recognized and the verdict; then the first finding for faults of data
sets that were reported in public. FOLDER is CamVid as images/ and masks/ with split folders; it is
written in its raw form (a color per class) and in SegNet's, and the shares of the classes are
compared.
"""

import argparse
import contextlib
import io
import os
import pathlib
import platform
import re
import shutil
import sys
import tempfile

import numpy
import PIL.Image

sys.path.append(os.path.join(os.path.dirname(__file__), os.pardir, "tests"))
import layout_sets
import test_layouts
import test_real_world as real
from data_fixtures import class_folder, save

from kerasdl.data.folder.layouts import camvid, camvid11
from kerasdl.tools import datashow

TASKS = {"mask": "segmentation", "label": "classification", "none": "colorization"}
SMALL = re.compile("fewer than 10 training|the same image in|without a pixel in")  # of tiny sets
SPLITS = ("train", "val", "test")


def black(root):
    real.discs(root, draw=lambda index: real.disc(index, inside=0))


def palettes(root):
    real.discs(root)
    for index in range(0, real.COUNT, 2):
        indices = 1 - real.disc(index)
        real.palette_png(indices, [255] * 3 + [0] * 3, root / f"masks/{index}.png")
    for index in range(1, real.COUNT, 2):
        real.palette_png(real.disc(index), [0] * 3 + [255] * 3, root / f"masks/{index}.png")


def several_folders(root):
    real.discs(root, masks="mask")
    for index in range(real.COUNT):
        save(real.disc(index + 50), root / f"1st_manual/{index}.png")


def smoothed(root):
    def draw(index):
        mask = PIL.Image.fromarray(real.disc(index, inside=255))
        return mask.resize((300, 225), PIL.Image.Resampling.BICUBIC).resize((64, 48))

    real.discs(root, draw=draw)


def too_high(root):
    for split in ("train", "test"):
        class_folder(root / f"seg_{split}" / f"seg_{split}")
    save(real.photo(0), root / "seg_pred/seg_pred/0.jpg")


def beside_color(root):
    for index in range(6):
        save(real.photo(index), root / f"JPEGImages/{index}.jpg")
        save(real.disc(index), root / f"SegmentationClass/{index}.png")
        save(real.disc(index), root / f"SegmentationObject/{index}.png")


def twelve_bits(root):
    for index, path in enumerate(sorted(class_folder(root).rglob("*.png"))):
        save((real.photo(index)[..., 0] * numpy.uint16(16)), path)


def no_classes(root):
    for split in ("train2017", "val2017"):
        for index in range(4):
            save(real.photo(index), root / f"images/{split}/{index}.jpg")


def multi_picture(root):
    class_folder(root)
    pictures = [PIL.Image.fromarray(real.photo(index)) for index in range(2)]
    path = root / "cat/phone.jpg"
    pictures[0].save(path, "MPO", save_all=True, append_images=pictures[1:])


def jpeg_as_png(root):
    def draw(index):
        stream = io.BytesIO()
        PIL.Image.fromarray(real.disc(index, inside=255)).save(stream, "JPEG")
        return PIL.Image.open(stream).copy()

    real.discs(root, draw=draw)


def alpha(root):
    def draw(index):
        white = PIL.Image.new("RGB", (64, 48), "white")
        white.putalpha(PIL.Image.fromarray(real.disc(index, inside=255)))
        return white

    real.discs(root, draw=draw)


def all_ignored(root):
    real.discs(root, draw=lambda index: numpy.full_like(real.disc(index), 255))
    real.paste(root, "ignore_label = 255")


def one_each(root):
    class_folder(root, counts=(1, 1))


def unusual_names(root):
    real.discs(root, "Images", "Masks", "mask_{}.png")


def two_masks(root):
    real.discs(root, mask_name="{}_mask.png")
    for index in range(real.COUNT):
        save(real.disc(index + 50), root / f"masks/{index}_gt.png")


def labels_in_table(root):
    for index in range(real.COUNT):
        save(real.photo(index), root / f"photos/{index}.jpg")
    rows = [f"{index}.jpg,{'cat' if index % 2 else 'dog'}" for index in range(real.COUNT)]
    (root / "list.csv").write_text("\n".join(["Photo,Animal", *rows]))


def hidden(root):
    class_folder(root)
    save(real.photo(0), root / "cat/.ipynb_checkpoints/0.jpg")
    save(real.photo(1), root / "__MACOSX/cat/0.jpg")


def names(root):
    class_folder(root, names=("[bold red]x", "a\x1b[31mb"))


CASES = (  # number in the list of reports, what it is, how it is made, annotation
    (1, "all masks black", black, "mask"),
    (2, "palettes whose order differs", palettes, "mask"),
    (3, "several mask folders", several_folders, "mask"),
    (4, "smoothed binary masks", smoothed, "mask"),
    (5, "one level too high", too_high, "label"),
    (6, "masks beside images in class folders", layout_sets.beside, "label"),
    (7, "images and masks without --task", layout_sets.isic, None),
    (8, "masks among color images", beside_color, "none"),
    (10, "12-bit values in 16 bits", twelve_bits, "label"),
    (11, "no class folders", no_classes, "label"),
    (12, "MPO among JPEG", multi_picture, "label"),
    (15, "JPEG masks saved as PNG", jpeg_as_png, "mask"),
    (16, "label in the alpha channel", alpha, "mask"),
    (17, "all pixels ignored", all_ignored, "mask"),
    (17, "one image per class", one_each, "label"),
    (20, "unusual names", unusual_names, "mask"),
    (22, "test images without masks", layout_sets.carvana, "mask"),
    (24, "two masks per image", two_masks, "mask"),
    (24, "labels in a table", labels_in_table, "label"),
    (25, "hidden folders", hidden, "label"),
    (26, "COCO", layout_sets.coco, "mask"),
    (27, "names with markup and escapes", names, "label"),
)
ELSEWHERE = (  # number, what it is, the test
    (
        9,
        "keras.json with channels_first",
        "test_real_world_edges.py, test_keras_json_changes_nothing",
    ),
    (13, "output in any encoding", "test_real_world_edges.py, test_any_output_encoding"),
    (14, "memory of predict", "test_prediction_tiles.py"),
    (
        18,
        "equal stems in predict",
        "test_real_world_edges.py, test_predict_skips_hidden_folders_...",
    ),
    (19, "tilde in paths", "test_real_world.py, test_tilde"),
    (21, "docs with all keys", "test_data_page.py"),
    (23, "relative path of a run", "test_real_world_edges.py, test_paths_are_kept_absolute_..."),
)


def checked(root, annotation):
    """The report of a folder, with its path left out of all lines."""
    with contextlib.redirect_stderr(io.StringIO()):
        report = datashow.check({"data": str(root)}, annotation and TASKS[annotation])
    short = [line.replace(f"{root}/", "").replace(str(root), root.name) for line in report.lines()]
    return report, short


def layouts(folder):
    """Lines of Markdown: command and two lines of output for each layout."""
    for name, annotation in test_layouts.CASES:
        root = getattr(layout_sets, name)(folder / annotation / name)
        report, lines = checked(root, annotation)
        recognized = next(f.line() for f in report.findings if f.kind == "layout")
        yield f"    $ kerasdl data check {name}/ --task {TASKS[annotation]}"
        yield f"    {recognized.replace(str(root), name + '/')}"
        yield f"    {lines[-1]}"
        yield ""


def cases(folder):
    """Rows of a table: what the check says first, and the verdict."""
    yield "| case | what | first finding | verdict |"
    yield "|---|---|---|---|"
    for place, (number, what, make, annotation) in enumerate(CASES):
        root = folder / f"case{place}"
        make(root)
        _, lines = checked(root, annotation)
        lines = [line for line in lines if not SMALL.search(line)]
        order = ("error", "warning", "note")
        first = next((line for kind in order for line in lines if line.startswith(kind)), "none")
        first = first.replace("|", "\\|").replace("<", "&lt;")
        verdict = lines[-1].partition(": ")[2]
        yield f"| {number} | {what} | {first} | {verdict} |"
    for number, what, test in ELSEWHERE:
        yield f"| {number} | {what} | {test} | - |"


def camvid_forms(source, folder):
    """Lines of Markdown: the shares of the classes in the raw form and in SegNet's."""
    raw, segnet = folder / "raw", folder / "segnet"
    members = [group.split() for group in camvid11.GROUPS.values()] + [[camvid.VOID]]
    colors = [numpy.array([camvid.COLORS[name] for name in group], "uint8") for group in members]
    for split in SPLITS:
        for path in sorted((source / "images" / split).iterdir()):
            with PIL.Image.open(source / "masks" / split / f"{path.stem}.png") as image:
                mask = numpy.asarray(image)
            drawn = numpy.zeros((*mask.shape, 3), "uint8")
            for index, group in enumerate(colors):  # all colors of a group, in columns
                rows, columns = (mask == index).nonzero()
                drawn[rows, columns] = group[columns % len(group)]
            save(drawn, raw / f"LabeledApproved_full/{path.stem}_L.png", compress_level=1)
            with PIL.Image.open(path) as image:
                small = image.resize((60, 45)).resize(image.size)  # files of a sensible size
                for place in (raw / "701_StillsRaw_full", segnet / split):
                    save(small, place / f"{path.stem}.png", compress_level=1)
            save(mask, segnet / f"{split}annot/{path.stem}.png")
    (raw / "dataset.toml").write_text('layout = "camvid11"\n')
    columns = []
    for root in (raw, segnet):
        statistics = checked(root, "mask")[0].statistics
        counts, parts = statistics["samples"], statistics["pixel_fractions"]
        known = {split: counts[split] * (1 - parts[split]["(ignored)"]) for split in parts}
        weights = {split: count / sum(known.values()) for split, count in known.items()}
        columns.append(
            [
                sum(parts[split][name] * weights[split] for split in parts)
                for name in camvid11.GROUPS
            ]
        )
    yield "| class | raw, 701_StillsRaw_full (%) | SegNet form (%) |"
    yield "|---|---:|---:|"
    for name, one, other in zip(camvid11.GROUPS, *columns, strict=True):
        yield f"| {name} | {100 * one:.3f} | {100 * other:.3f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camvid", type=pathlib.Path)
    parser.add_argument("--out", default="benchmarks/results/layouts.md")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        lines = ["# Layouts and what is commonly misread", ""]
        command = "python benchmarks/layouts_show.py" + " --camvid camvid/" * bool(arguments.camvid)
        lines += [f"`{command}`, Python {platform.python_version()}, {platform.system()}.", ""]
        lines += ["## Layouts", "", *layouts(folder)]
        lines += ["## Faults of data sets", "", *cases(folder), ""]
        if arguments.camvid:
            lines += ["## CamVid in two forms", "", *camvid_forms(arguments.camvid, folder), ""]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    pathlib.Path(arguments.out).write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
