"""Every kind of data set that there is, and what can be said of it without NumPy."""

import dataclasses
import re
from typing import Any

from kerasdl.core.registry import Reference, Registry
from kerasdl.data.location import Location

ANNOTATIONS = ("label", "mask", "none")  # what a sample may hold beside its image


def path_name(location: Location) -> str:
    """Name of a folder or file in letters, digits, "." and "-"."""
    path = location.path.resolve()
    name = re.sub(r"[^\w.-]+", "-", path.stem if path.is_file() else path.name)
    return name.strip("-.").lower() or "data"


@dataclasses.dataclass(frozen=True)
class SourceSpec:
    """A kind of data set.

    Attributes:
        name: Its name, also of the key `layout` in dataset.toml.
        label: Its name in sentences.
        form: How it is written on the command line.
        matches: Function (Location) -> bool: whether the text or the folder means this source.
        load: Function (Location, annotation, settings) -> `kerasdl.data.base.Dataset`. Settings are
            attributes: seed, validation_split, test_split, train_size, validation_size, test_size,
            image_size, ignore_labels, skip_invalid, download.
        check: Function (Location, annotation, settings, quick, dataset or None) ->
            `kerasdl.data.inspect.check.Report`; the dataset is what `load` gave, if it was called.
        short_name: Function (Location) -> name for run folders.
        annotations: What its samples may hold: "label", "mask", "none" (images alone).
        files: Whether it lies on the disk at `Location.path`.
        drawn: Whether its images are drawn at any size asked for, in no order.
        can_fail: Whether anything can be wrong with it, so that it is checked before training.
        license: License or terms of use, where they are the same for all.
        model_license: License of a model trained on it, as hubs call it.
        read: A layout of folders only: function (Location, annotation) -> Reading, see
            `kerasdl.data.folder.layouts`.
        over: Names of layouts that match as well where this one does, and are then not meant.
    """

    name: str
    label: str
    form: str
    matches: Reference
    load: Reference
    check: Reference = "kerasdl.data.inspect.check:check_samples"
    short_name: Reference = path_name
    annotations: tuple[str, ...] = ANNOTATIONS
    files: bool = False
    drawn: bool = False
    can_fail: bool = True
    license: str = ""
    model_license: str = "other"
    read: Reference | None = None
    over: tuple[str, ...] = ()

    @property
    def layout(self) -> bool:
        """Whether it is a layout of folders."""
        return self.read is not None


def folder_layout(
    name: str,
    label: str,
    module: str = "",
    annotations: tuple[str, ...] = ("mask", "none"),
    **more: Any,
) -> SourceSpec:
    """Entry of a layout of folders, whose module has the functions `matches` and `read`."""
    module = module or f"kerasdl.data.folder.layouts.{name.replace('-', '_')}"
    return SourceSpec(
        name,
        label,
        "FOLDER",
        matches=f"{module}:matches",
        load="kerasdl.data.folder.dataset:load",
        check="kerasdl.data.inspect.check:check_folder",
        annotations=annotations,
        files=True,
        read=f"{module}:read",
        **more,
    )


SOURCES: Registry[SourceSpec] = Registry(
    "data",
    (
        SourceSpec(
            "scenes",
            "embedded scenes",
            "scenes",
            matches=lambda location: location.text == "scenes",
            load="kerasdl.data.scenes.dataset:load_source",
            short_name=lambda location: "scenes",
            drawn=True,
            can_fail=False,
            license="Apache-2.0, as kerasdl itself",
            model_license="apache-2.0",
        ),
        SourceSpec(
            "tfds",
            "TensorFlow Datasets",
            "tfds:NAME[/CONFIG][:VERSION]",
            matches=lambda location: location.text.startswith("tfds:"),
            load="kerasdl.data.tfds.dataset:load",
            short_name=lambda location: (
                location.text.removeprefix("tfds:").partition(":")[0].replace("/", "-")
            ),
        ),
        SourceSpec(
            "arrays",
            "arrays of NumPy",
            "FILE.npz",
            matches=lambda location: location.path.suffix.lower() == ".npz",
            load="kerasdl.data.arrays:load",
            annotations=("label", "none"),
            files=True,
        ),
        folder_layout("ade20k", "ADE20K"),
        folder_layout("ade20kfull", "ADE20K, full", over=("beside",)),
        folder_layout("camvid", "CamVid with color labels"),
        folder_layout("camvid11", "CamVid with color labels in 11 classes"),
        folder_layout("carvana", "Carvana"),
        folder_layout("cityscapes", "Cityscapes"),
        folder_layout("classdict", "color masks with a class_dict.csv", over=("beside",)),
        folder_layout("coco", "COCO"),
        folder_layout("codes", "CamVid of fast.ai"),
        folder_layout("cub", "CUB-200-2011", annotations=("label", "none")),
        folder_layout("cvat", "CVAT for images"),
        folder_layout("drive", "DRIVE"),
        folder_layout("floodnet", "FloodNet"),
        folder_layout("dsb2018", "Data Science Bowl 2018"),
        folder_layout("flowers", "Oxford Flowers 102", annotations=("label", "none")),
        folder_layout("food101", "Food-101", annotations=("label", "none")),
        folder_layout("gtsrb", "GTSRB", annotations=("label", "none"), over=("tables",)),
        folder_layout("imagenet", "ImageNet", annotations=("label", "none")),
        folder_layout("isic", "ISIC segmentation"),
        folder_layout("kvasir", "Kvasir-SEG"),
        folder_layout("labelme", "LabelMe"),
        folder_layout("labelstudio", "Label Studio"),
        folder_layout("loveda", "LoveDA"),
        folder_layout("pets", "Oxford-IIIT Pet", annotations=ANNOTATIONS),
        folder_layout("roboflow", "Roboflow semantic masks", over=("beside",)),
        folder_layout("sisters", "masks named after their images"),
        folder_layout("tables", "labels in a CSV table", annotations=("label", "none")),
        folder_layout("uavid", "UAVid"),
        folder_layout("voc", "Pascal VOC"),
        folder_layout("yolo", "YOLO segmentation"),
        folder_layout("beside", "masks beside their images", annotations=("mask", "label", "none")),
        folder_layout("segnet", "the form of SegNet"),
        # The layout of folders that no other one matches.
        folder_layout("folders", "plain folders", annotations=ANNOTATIONS),
    ),
)
