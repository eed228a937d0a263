"""Oxford Flowers 102: `jpg/image_00001.jpg`, `imagelabels.mat` and `setid.mat`."""

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import Reading, common
from kerasdl.data.inspect.findings import counted, listing

FLOWERS = ("imagelabels.mat", "setid.mat")


def matches(location):
    """Whether there are `jpg/` and the two MATLAB files."""
    return bool(_bases(location.tree))


def read(location, annotation):
    """The flowers as classes 1 to 102, the published splits."""
    tree = location.tree
    reading = Reading(tree)
    base = common.one_base(reading, _bases(tree), "Oxford Flowers 102")
    if base is None:
        return reading
    root = tree.root / base
    try:
        numbers = common.read_mat(root / FLOWERS[0], "labels").astype(int)
        ids = {
            split: common.read_mat(root / FLOWERS[1], key).astype(int)
            for split, key in (("train", "trnid"), ("validation", "valid"), ("test", "tstid"))
        }
    except DataError as error:
        reading.error(error.what, error.path, error.fix)
        return reading
    if numbers.min() < 1 or numbers.max() > len(numbers):
        what = f"labels from {numbers.min()} to {numbers.max()} for {len(numbers)} images"
        reading.error(what, common.join(base, FLOWERS[0]), "download the file again")
        return reading
    for split, members in ids.items():
        files = {number: common.join(base, f"jpg/image_{number:05d}.jpg") for number in members}
        missing = [file for file in files.values() if not common.has(tree.images, file)]
        if missing or max(members, default=0) > len(numbers):
            what = f"{counted(len(missing), 'image')} of the {split} split not found"
            source = common.join(base, FLOWERS[1])
            reading.error(f"{what}: {listing(missing)}", source, "extract 102flowers.tgz again")
            continue
        reading.splits[split] = [
            reading.entry(file, int(numbers[number - 1]) - 1) for number, file in files.items()
        ]
    count = int(numbers.max())
    reading.class_names = tuple(f"class_{number}" for number in range(1, count + 1))
    reading.summary = f"Oxford Flowers 102: {count} classes, splits from {FLOWERS[1]}"
    return reading


def _bases(tree):
    if not tree.others[".mat"]:
        return []
    return [
        base
        for base in common.bases(tree, "jpg")
        if all((tree.root / base / name).is_file() for name in FLOWERS)
    ]
