"""The files below a folder, found in one walk without opening any of them."""

import bisect
import collections
import dataclasses
import os
import pathlib
import stat

from kerasdl.core.errors import DataError
from kerasdl.data.inspect.findings import Finding, printable
from kerasdl.data.suffixes import IMAGE_SUFFIXES

# Written by operating systems and archive programs; names that start with a dot count as well.
SYSTEM_NAMES = frozenset(
    ("thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information", "@eadir")
)
DOCUMENT_SUFFIXES = frozenset((".json", ".xml", ".txt", ".csv", ".tsv", ".yaml", ".yml"))


@dataclasses.dataclass
class Tree:
    """What lies below a folder; all names are relative to it, with "/" between the parts.

    Attributes:
        root: The folder.
        images: Names of the files with an image's suffix, sorted by code point.
        documents: Names of the files that may describe them (`DOCUMENT_SUFFIXES`), sorted.
        folders: Names of the folders that are not hidden, sorted by code point.
        ignored: Number of hidden and system files and folders that were left out.
        others: Number of files other than images, per suffix.
        findings: Dangling links, loops, pipes, folders that cannot be read.
    """

    root: pathlib.Path
    images: list[str] = dataclasses.field(default_factory=list)
    documents: list[str] = dataclasses.field(default_factory=list)
    folders: list[str] = dataclasses.field(default_factory=list)
    ignored: int = 0
    others: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.base = os.fspath(self.root)

    def _range(self, folder: str) -> tuple[int, int]:
        """Places in `images` of those below a folder ("" is the root)."""
        if not folder:
            return 0, len(self.images)
        first = bisect.bisect_left(self.images, folder + "/")
        # "0" is the character after "/"
        return first, bisect.bisect_left(self.images, folder + "0", lo=first)

    def below(self, folder: str) -> list[str]:
        """Names of the images below a folder ("" is the root), relative to that folder."""
        first, last = self._range(folder)
        cut = len(folder) + 1 if folder else 0
        return [name[cut:] for name in self.images[first:last]] if cut else self.images[first:last]

    def full(self, folder: str) -> list[str]:
        """Names of the images below a folder, in the order of `below`, relative to the root."""
        first, last = self._range(folder)
        return self.images[first:last]

    def count(self, folder: str) -> int:
        """Number of images below a folder ("" is the root); 0 if there is none of that name."""
        first, last = self._range(folder)
        return last - first

    def within(self, folder: str) -> list[str]:
        """Names of the images directly in a folder ("" is the root)."""
        return [name for name in self.below(folder) if "/" not in name]

    def children(self, folder: str) -> list[str]:
        """Names of the folders directly within a folder ("" is the root)."""
        start = folder + "/" if folder else ""
        first = bisect.bisect_left(self.folders, start)
        last = bisect.bisect_left(self.folders, folder + "0") if folder else len(self.folders)
        names = [name[len(start) :] for name in self.folders[first:last]]
        return [name for name in names if "/" not in name]


def scan(root: str | os.PathLike) -> Tree:
    """Tree of a data folder.

    Links to folders are followed unless they lead back into a folder above them; pipes, sockets and
    devices are never opened. Raises DataError if the folder is missing or cannot be read.
    """
    root = pathlib.Path(root)
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise DataError("data is not a folder", root, "give the folder that holds the images")
        os.scandir(root).close()
    except FileNotFoundError:
        raise DataError(
            "no such data folder", root, "give 'scenes', a folder, an .npz file or tfds:NAME"
        ) from None
    except OSError as error:
        raise DataError(f"data folder cannot be read: {error.strerror}", root) from error
    tree = Tree(root)
    _walk(tree, tree.base, "", ())
    tree.images.sort()
    tree.documents.sort()
    tree.folders.sort()
    return tree


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is left out everywhere."""
    return name.startswith(".") or name.casefold() in SYSTEM_NAMES


def _walk(tree, folder, prefix, above):
    """Adds what lies in `folder` to the tree; `above` holds the identities of its ancestors."""
    try:
        identity = os.stat(folder)
        above = (*above, (identity.st_dev, identity.st_ino))
        special = []  # folders and links: later, so that one listing at a time is open
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    tree.ignored += 1
                elif entry.is_file(follow_symlinks=False):  # no system call: the listing says so
                    _add_file(tree, prefix + entry.name)
                else:
                    special.append(entry)
    except OSError as error:
        tree.findings.append(Finding("error", f"folder cannot be read: {error.strerror}", folder))
        return
    for entry in special:
        _add_special(tree, entry, prefix + entry.name, above)


def _add_file(tree, name):
    suffix = os.path.splitext(name)[1].lower()
    if suffix in IMAGE_SUFFIXES:
        tree.images.append(name)
        return
    tree.others[suffix] += 1
    if suffix in DOCUMENT_SUFFIXES:
        tree.documents.append(name)


def _add_special(tree, entry, name, above):
    """Adds a folder, a link, or a finding about what is neither of them nor a file."""
    try:
        status = entry.stat()
    except OSError:
        _add_broken(tree, entry)
        return
    if stat.S_ISDIR(status.st_mode):
        if (status.st_dev, status.st_ino) in above:
            what = "link leads back into a folder above it and was not followed"
            tree.findings.append(Finding("warning", what, entry.path, fix="remove the link"))
            return
        tree.folders.append(name)
        _walk(tree, entry.path, name + "/", above)
    elif stat.S_ISREG(status.st_mode):
        _add_file(tree, name)
    else:
        what = "not a regular file, left out"
        tree.findings.append(Finding("warning", what, entry.path, fix="remove it"))


def _add_broken(tree, entry):
    if entry.is_symlink():
        what = f"link leads nowhere: -> {printable(os.readlink(entry.path))}"
        fix = "restore its target or remove the link"
    else:
        what, fix = "file cannot be read", "check its rights"
    tree.findings.append(Finding("warning", f"{what}, left out", entry.path, fix=fix))
