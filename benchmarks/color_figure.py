"""The same test images colorized by several runs, side by side, with gray input and truth.

    python benchmarks/color_figure.py colors.png --shown 0,2,3 \
        "rgb=colors/target-rgb_skips-all/seed-0" "ab=colors/target-ab_skips-all/seed-0"

All runs must have the same data and size. `--shown` are indices into the test split.
"""

import argparse
import pathlib

from kerasdl import backend


def figure(folders, path, shown):
    """Draws one row per image: gray, truth and the prediction of each run.

    Args:
        folders: Mapping of column titles to run folders.
        path: Where the PNG goes.
        shown: Indices of images in the test split.
    """
    from kerasdl import tasks
    from kerasdl.engine import datasets, evaluation, run  # with the backend chosen
    from kerasdl.report import figures

    rows = None
    for folder in folders.values():
        config = run.Run(folder).config
        task, dataset = tasks.of(config), datasets.load(config)
        model = run.Run(folder).open_model()
        source = evaluation.source_of(dataset, "test", task, config)
        found = [each.images for each in evaluation.examples(model, task, dataset, source, shown)]
        if rows is None:
            rows = [list(images[:2]) for images in found]
        for row, images in zip(rows, found, strict=True):
            row.append(images[2])
    figures.image_grid(rows, ["gray", "truth", *folders], path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=pathlib.Path, help="where the PNG goes")
    parser.add_argument("runs", nargs="+", metavar="TITLE=RUN")
    parser.add_argument("--shown", default="0,1,2,3")
    options = parser.parse_args()
    backend.choose()
    folders = dict(each.split("=", 1) for each in options.runs)
    figure(
        {title: pathlib.Path(folder) for title, folder in folders.items()},
        options.path,
        tuple(map(int, options.shown.split(","))),
    )


if __name__ == "__main__":
    main()
