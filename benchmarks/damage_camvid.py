"""Copy a folder with images/train and masks/train and damage the copy in ten ways.

    python benchmarks/damage_camvid.py SOURCE TARGET
    kerasdl data check TARGET --task segmentation

Shows what `kerasdl data check` finds. The source is only read; the target must not exist.
"""

import pathlib
import shutil
import sys

import numpy
import PIL.Image


def damage(folder):
    """Damages a folder; returns (file, what was done to it) for each of the ten ways."""
    images = sorted((folder / "images" / "train").iterdir())
    masks = sorted((folder / "masks" / "train").iterdir())

    content = images[0].read_bytes()
    images[0].write_bytes(content[: len(content) // 2])
    images[1].write_text("<!DOCTYPE html><html><title>404 Not Found</title></html>")
    masks[2].unlink()
    images[3].unlink()

    values = numpy.array(PIL.Image.open(masks[4]))
    values[:20, :20] = 37
    PIL.Image.fromarray(values).save(masks[4])

    mask = PIL.Image.open(masks[5])
    mask.resize((mask.width // 2, mask.height // 2), PIL.Image.Resampling.NEAREST).save(masks[5])

    PIL.Image.open(masks[6]).save(masks[6], format="JPEG")

    colors = numpy.random.default_rng(0).integers(0, 256, (256, 3), "uint8")
    PIL.Image.fromarray(colors[numpy.array(PIL.Image.open(masks[7]))]).save(masks[7])

    image = PIL.Image.open(images[8])
    image.load()
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(images[8], exif=exif, quality=90)

    leaked = folder / "images" / "test" / images[9].name
    shutil.copy(images[9], leaked)
    shutil.copy(masks[9], folder / "masks" / "test" / masks[9].name)

    return [
        (images[0], "image cut in half"),
        (images[1], "web page instead of an image"),
        (masks[2], "mask removed"),
        (images[3], "image removed"),
        (masks[4], "value 37, which is not a class"),
        (masks[5], "mask at half the size"),
        (masks[6], "mask stored as JPEG"),
        (masks[7], "mask stored as colors"),
        (images[8], "EXIF orientation set after the mask was made"),
        (leaked, "training image copied into the test split"),
    ]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = map(pathlib.Path, sys.argv[1:])
    if target.exists():
        sys.exit(f"{target} exists already; give a new folder")
    shutil.copytree(source, target)
    for path, done in damage(target):
        print(f"{path.relative_to(target)}: {done}")


if __name__ == "__main__":
    main()
