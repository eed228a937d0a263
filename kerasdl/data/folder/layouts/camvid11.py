"""CamVid with its color labels, grouped to the 11 classes of the SegNet form, in its order.

It is chosen by `layout = "camvid11"` in dataset.toml; by itself the folder is read as `camvid`.
"""

from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.folder.layouts import camvid, segnet

GROUPS = {  # as SegNet groups them (Badrinarayanan et al. 2017; camvidPixelLabelIDs of MATLAB)
    "Sky": "Sky",
    "Building": "Bridge Building Wall Tunnel Archway",
    "Pole": "Column_Pole TrafficCone",
    "Road": "Road LaneMkgsDriv LaneMkgsNonDriv",
    "Pavement": "Sidewalk ParkingBlock RoadShoulder",
    "Tree": "Tree VegetationMisc",
    "SignSymbol": "SignSymbol Misc_Text TrafficLight",
    "Fence": "Fence",
    "Car": "Car SUVPickupTruck Truck_Bus Train OtherMoving",
    "Pedestrian": "Pedestrian Child CartLuggagePram Animal",
    "Bicyclist": "Bicyclist MotorcycleScooter",
}


def matches(location):
    """Never by itself."""
    return False


def read(location, annotation):
    """The usual 11 classes, in the order of the SegNet form."""
    reading, base = camvid.add_pairs(location, annotation)
    if base is None:
        return reading
    reading.class_names = tuple(GROUPS)
    reading.palette = tuple(segnet.CAMVID.values())
    reading.colors = {camvid.COLORS[camvid.VOID]: IGNORE}
    for index, members in enumerate(GROUPS.values()):
        reading.colors.update({camvid.COLORS[name]: index for name in members.split()})
    reading.summary = f"{camvid.TITLE}: 32 colors grouped to 11 classes, Void ignored, no splits"
    return reading
