"""CamVid with its color labels: `701_StillsRaw_full/`, `LabeledApproved_full/*_L.png`.

32 classes by color, of which Void is ignored. With `layout = "camvid11"` in dataset.toml they are
grouped to the 11 classes of the SegNet form (`camvid11`), in its order, so that both give the same
numbers. `label_colors.txt`, where it is there, names the colors: lines "red green blue name".
"""

from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.folder.layouts import UNDIVIDED, Reading, common, pairing

TITLE = "CamVid color labels"
IMAGES, MASKS, LABELS = "701_StillsRaw_full", "LabeledApproved_full", "label_colors.txt"
VOID = "Void"
COLORS = {
    "Animal": (64, 128, 64),
    "Archway": (192, 0, 128),
    "Bicyclist": (0, 128, 192),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64),
    "Misc_Text": (128, 128, 64),
    "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64),
    "ParkingBlock": (64, 192, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64),
    "TrafficLight": (0, 64, 64),
    "Train": (192, 64, 128),
    "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192),
    "Tunnel": (64, 0, 64),
    "VegetationMisc": (192, 192, 0),
    "Void": (0, 0, 0),
    "Wall": (64, 192, 0),
}


def matches(location):
    """Whether there are `701_StillsRaw_full/` and `LabeledApproved_full/`."""
    return bool(common.bases(location.tree, IMAGES, MASKS))


def read(location, annotation):
    """All classes by their colors."""
    reading, base = add_pairs(location, annotation)
    if base is None:
        return reading
    colors = _named_colors(reading, base)
    names = [name for name in colors if name != VOID]
    reading.class_names = tuple(names)
    reading.palette = tuple(colors[name] for name in names)
    reading.colors = {colors[name]: index for index, name in enumerate(names)}
    if VOID in colors:
        reading.colors[colors[VOID]] = IGNORE
    reading.summary = (
        f'{TITLE}: {len(names)} classes, Void ignored, no splits; layout = "camvid11" in '
        "dataset.toml groups them to the usual 11"
    )
    return reading


def add_pairs(location, annotation):
    """A Reading with the samples, and the folder that the set starts in; None if it is unusable."""
    tree = location.tree
    reading = Reading(tree)
    found = common.bases(tree, IMAGES, MASKS)
    if not found:
        reading.error(f"no {IMAGES}/ and {MASKS}/", "", 'leave layout = "camvid11" out')
        return reading, None
    base = common.one_base(reading, found, TITLE)
    if base is None:
        return reading, None
    images = common.join(base, IMAGES)
    if annotation == "none":
        common.images_only(reading, {UNDIVIDED: images})
    else:
        masks = common.join(base, MASKS)
        reading.splits[UNDIVIDED] = pairing.pairs(reading, images, masks, mask_suffix="_L")
    return reading, base


def _named_colors(reading, base):
    """Color per name from label_colors.txt; without it the published ones."""
    name = common.join(base, LABELS)
    if not common.has(reading.tree.documents, name):
        return COLORS
    colors = {}
    for row in common.read_rows(reading, name):
        if len(row) < 4 or not all(part.isdigit() and int(part) < 256 for part in row[:3]):
            reading.error(f"no color in line '{' '.join(row)}'", name, "lines: red green blue name")
            return COLORS
        colors[" ".join(row[3:])] = tuple(int(part) for part in row[:3])
    return colors
