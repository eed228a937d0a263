"""The image files that the peers of `peers.py` train on."""

import numpy
import PIL.Image

SIDE, BATCH, PAD, CLASSES = 64, 32, 4, 10
HELD_OUT = 64  # images for validation, and as many for the test


def make(root, images):
    """PNG files in the folders of classes, and PNG files with masks: smooth noise, 64x64.

    Args:
        root: Folder; gets `classification/SPLIT/CLASS/*.png`, `segmentation/{images,masks}/SPLIT`.
        images: Number of training images of each.
    """
    random = numpy.random.default_rng(0)
    for split, count in (("train", images), ("validation", HELD_OUT), ("test", HELD_OUT)):
        for number in range(count):
            name, label = f"{number:05d}.png", number % CLASSES
            image = _smooth(random, 3) // 2 + label * 12
            _save(root / "classification" / split / f"class{label}" / name, image)
            mask = _smooth(random, 1)[..., 0].astype(int) * CLASSES // 256
            _save(root / "segmentation" / "images" / split / name, image)
            _save(root / "segmentation" / "masks" / split / name, mask.astype("uint8"))
    names = ", ".join(f'"class{each}"' for each in range(CLASSES))
    (root / "segmentation" / "dataset.toml").write_text(f"names = [{names}]\n")


def files(root, split):
    """[(image, mask or class), ...] of a split, sorted."""
    if (root / "masks").exists():
        found = sorted((root / "images" / split).glob("*.png"))
        return [(each, root / "masks" / split / each.name) for each in found]
    found = sorted((root / split).glob("*/*.png"))
    return [(each, int(each.parent.name.removeprefix("class"))) for each in found]


def _smooth(random, channels):
    coarse = random.integers(0, 256, (8, 8, channels), dtype="uint8")
    layers = [PIL.Image.fromarray(coarse[..., each]) for each in range(channels)]
    resized = [layer.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC) for layer in layers]
    return numpy.stack([numpy.asarray(each) for each in resized], axis=-1)


def _save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path)
