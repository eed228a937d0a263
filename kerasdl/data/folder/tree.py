"""The image files below a folder, found without opening any of them."""

import bisect
import collections
import dataclasses
import os
import pathlib
import stat

from kerasdl.core.errors import DataError
from kerasdl.data.images import IMAGE_SUFFIXES
from kerasdl.data.inspect.findings import Finding, printable

# Written by operating systems and archive programs; names that start with a dot count as well.
SYSTEM_NAMES = frozenset(
    ("thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information", "@eadir")
)


@dataclasses.dataclass
class Tree:
    """What lies below a folder; all names are relative to it, with "/" between the parts.

    Attributes:
        root: The folder.
        images: Names of the files with an image's suffix, sorted by code point.
        folders: Names of the folders that are not hidden, sorted by code point.
        ignored: Number of hidden and system files and folders that were left out.
        others: Number of other files per suffix.
        findings: Dangling links, loops, pipes, folders that cannot be read.
    """

    root: pathlib.Path
    images: list[str] = dataclasses.field(default_factory=list)
    folders: list[str] = dataclasses.field(default_factory=list)
    ignored: int = 0
    others: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def below(self, folder):
        """Names of the images below a folder ("" is the root), relative to that folder."""
        if not folder:
            return list(self.images)
        start = folder + "/"
        first = bisect.bisect_left(self.images, start)
        last = bisect.bisect_left(self.images, folder + "0")  # "0" is the character after "/"
        return [name.removeprefix(start) for name in self.images[first:last]]

    def children(self, folder):
        """Names of the folders directly within a folder ("" is the root)."""
        start = folder + "/" if folder else ""
        names = [name.removeprefix(start) for name in self.folders if name.startswith(start)]
        return [name for name in names if "/" not in name]


def scan(root):
    """Tree of a data folder.

    Links to folders are followed unless they lead back into a folder above them; pipes, sockets and
    devices are never opened. Raises DataError if the folder is missing or cannot be read.
    """
    root = pathlib.Path(root)
    try:
        mode = root.stat().st_mode
        if not stat.S_ISDIR(mode):
            raise DataError("data is not a folder", root, "give the folder that holds the images")
        os.scandir(root).close()
    except FileNotFoundError:
        raise DataError(
            "no such data folder", root, "give 'scenes', a folder, an .npz file or tfds:NAME"
        ) from None
    except OSError as error:
        raise DataError(f"data folder cannot be read: {error.strerror}", root) from error
    tree = Tree(root)
    _walk(tree, root, "", ())
    tree.images.sort()
    tree.folders.sort()
    return tree


def _walk(tree, folder, prefix, above):
    """Adds what lies in `folder` to the tree; `above` holds the identities of its ancestors."""
    try:
        identity = folder.stat()
        above = (*above, (identity.st_dev, identity.st_ino))
        entries = list(os.scandir(folder))
    except OSError as error:
        tree.findings.append(
            Finding("error", f"folder cannot be read: {error.strerror}", str(folder))
        )
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.name.startswith(".") or entry.name.casefold() in SYSTEM_NAMES:
            tree.ignored += 1
            continue
        try:
            status = entry.stat()
        except OSError:
            _add_broken(tree, entry)
            continue
        if stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in above:
                what = "link leads back into a folder above it and was not followed"
                tree.findings.append(Finding("warning", what, entry.path, fix="remove the link"))
                continue
            tree.folders.append(name)
            _walk(tree, pathlib.Path(entry.path), name + "/", above)
        elif not stat.S_ISREG(status.st_mode):
            what = "not a regular file, left out"
            tree.findings.append(Finding("warning", what, entry.path, fix="remove it"))
        elif pathlib.PurePath(entry.name).suffix.lower() in IMAGE_SUFFIXES:
            tree.images.append(name)
        else:
            tree.others[pathlib.PurePath(entry.name).suffix.lower()] += 1


def _add_broken(tree, entry):
    if entry.is_symlink():
        what = f"link leads nowhere: -> {printable(os.readlink(entry.path))}"
        fix = "restore its target or remove the link"
    else:
        what, fix = "file cannot be read", "check its rights"
    tree.findings.append(Finding("warning", f"{what}, left out", entry.path, fix=fix))
