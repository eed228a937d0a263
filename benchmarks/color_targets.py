"""Which target and loss colorizes best: a small experiment on scenes over several seeds.

    python benchmarks/color_targets.py --out /tmp/targets --figure docs/figures/colorization.png

Trains the same U-Net on the same images for each target and loss, scores it on the test split
and prints the table of docs/colorization.md with the gray image as the baseline. The figure shows
the same test images colorized by the first seed of each. Finished runs in the folder are not
trained again.
"""

import argparse
import json
import pathlib
import statistics
import time

import color_figure

import kerasdl
from kerasdl.report import names, tables

VARIANTS = {
    "rgb, L1": ("rgb", "l1"),
    "ab, L1": ("ab", "l1"),
    "ab, chroma": ("ab", "chroma"),
    "ab, bins": ("ab", "bins"),
}
SCORES = (
    "psnr", "ssim", "ab_error", "chroma_error", "delta_e", "colorfulness_ratio", "out_of_gamut",
)  # fmt: skip
SHOWN = (0, 2, 3, 5, 8)  # indices of the test images in the figure


def configuration(target, loss, seed, options):
    return kerasdl.Config(
        task="colorization",
        target=target,
        loss=loss,
        seed=seed,
        image_size=options.size,
        train_size=options.images,
        validation_size=100,
        test_size=200,
        epochs=options.epochs,
        batch_size=16,
        workers=1,
        model_args={"filters": options.filters},
    )


def train(options):
    """Run folders by variant, one per seed, and CPU seconds of each variant."""
    folders, seconds = {}, {}
    for label, (target, loss) in VARIANTS.items():
        started = time.process_time()
        folders[label] = [
            kerasdl.train(
                configuration(target, loss, seed, options),
                options.out / f"{target}-{loss}-{seed}",
                quiet=True,
            )
            for seed in range(options.seeds)
        ]
        seconds[label] = (time.process_time() - started) / options.seeds
        print(f"{label}: {seconds[label]:.0f} s of CPU time per run", flush=True)
    return folders, seconds


def table(folders, options):
    """The scores as Markdown: rows are variants, columns scores."""
    documents = {
        label: [json.loads((folder / "metrics.json").read_text()) for folder in of_label]
        for label, of_label in folders.items()
    }
    gray = next(iter(documents.values()))
    rows = [("gray image", *(tables.cell(name, gray[:1], "baseline") for name in SCORES))]
    for label, found in documents.items():
        rows.append((label, *(tables.cell(name, found) for name in SCORES)))
    caption = (
        f"Colorization of scenes, reduced: {options.size}x{options.size}, {options.images} "
        f"training images, U-Net of {options.filters} filters, {options.epochs} epochs"
    )
    columns = ("target and loss", *(names.heading(name) for name in SCORES))
    notes = (tables.runs_note(documents),)
    return tables.as_markdown(tables.Table(caption, columns, tuple(rows), notes))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the runs")
    parser.add_argument("--figure", type=pathlib.Path, help="where the PNG goes")
    for name, value in (("size", 32), ("images", 400), ("epochs", 15), ("filters", 8)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    folders, seconds = train(options)
    print(table(folders, options))
    print(f"\nCPU time per run: median {statistics.median(seconds.values()):.0f} s")
    if options.figure:
        firsts = {label: of_label[0] for label, of_label in folders.items()}
        color_figure.figure(firsts, options.figure, SHOWN)


if __name__ == "__main__":
    main()
