"""A data set in a folder of its own within the folder that is named, as archives unpack."""

import dataclasses
import pathlib

from kerasdl.data.folder.dataset_file import DatasetFile
from kerasdl.data.folder.layouts.splits import IMAGE_FOLDERS, is_mask_folder, split_of
from kerasdl.data.folder.tree import Tree
from kerasdl.data.inspect.findings import Finding, printable

MOST_DEPTH = 3
# How files of users begin, in the spelling of either side of the Atlantic.
REMARKS = ("readme", "license", "licence", "copyright", "citation", "attribution", "about")


def inner(tree: Tree, file: DatasetFile) -> Tree | None:
    """Tree of the only folder that holds images and documents; None if there is none.

    A folder whose name means something (images, train, masks) or that holds images alone is not
    entered: its name, or its place, is part of the set. Nor is one beside which dataset.toml lies
    and names folders as they are seen from there.
    """
    named = [file.images, file.masks, file.labels_csv, *file.folders.values()]
    if {*named, *file.split_files.values()} & {*tree.folders, *tree.documents}:
        return None
    found = tree
    for _ in range(MOST_DEPTH):
        name = _only_folder(found)
        if name is None:
            break
        found = _below(found, name)
    if found is tree or not (found.documents or len(found.children("")) > 1):
        return None
    shown = printable(found.root.relative_to(tree.root).as_posix())
    note = Finding("note", f"read from {shown}/, the only folder within", printable(tree.root))
    return dataclasses.replace(found, findings=[*tree.findings, note])


def _only_folder(tree):
    names = [name for name in tree.children("") if tree.count(name)]
    if len(names) != 1 or tree.within(""):
        return None
    name = names[0]
    outside = (document for document in tree.documents if not document.startswith(name + "/"))
    if not all(pathlib.PurePath(one).stem.lower().startswith(REMARKS) for one in outside):
        return None
    meant = name.lower() in IMAGE_FOLDERS or split_of(name) or is_mask_folder(name)
    return None if meant else name


def _below(tree, folder):
    """Tree of a folder of a tree."""
    start = folder + "/"

    def inside(names):
        return [name.removeprefix(start) for name in names if name.startswith(start)]

    return dataclasses.replace(
        tree,
        root=tree.root / folder,
        images=tree.below(folder),
        documents=inside(tree.documents),
        folders=inside(tree.folders),
    )
