"""Where data lie: what the user wrote, and what is found there, each looked at once."""

import functools
import os
import pathlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasdl.data.folder.dataset_file import DatasetFile
    from kerasdl.data.folder.tree import Tree


class Location:
    """What `--data` names.

    Attributes:
        text: As the user wrote it.
        path: The same as an absolute path with `~` expanded, whether it exists or not.
        source: The `SourceSpec` it turned out to be; set by `kerasdl.data.locate`.
    """

    def __init__(self, text: str | os.PathLike):
        self.text = os.fspath(text)
        self.source: Any = None
        self.path = pathlib.Path(os.path.abspath(os.path.expanduser(self.text)))

    @property
    def shown(self) -> str:
        """How messages name it: a path relative to the current folder where it lies below it."""
        if self.source is not None and not self.source.files:
            return self.text
        inside = self.path.is_relative_to(pathlib.Path.cwd())
        return os.path.relpath(self.path) if inside else str(self.path)

    @functools.cached_property
    def is_folder(self) -> bool:
        """Whether the path is a folder."""
        return self.path.is_dir()

    @functools.cached_property
    def tree(self) -> "Tree":
        """The files below the folder, from one walk. Raises DataError if it cannot be read."""
        from kerasdl.data.folder.tree import scan

        return scan(self.path)

    @functools.cached_property
    def file(self) -> "DatasetFile":
        """What the folder's dataset.toml (or classes.txt) says. Raises ConfigError."""
        from kerasdl.data.folder import dataset_file

        return dataset_file.read(self.path)

    def enter(self, tree: "Tree") -> None:
        """Takes a folder within for the data, with its dataset.toml if the outer one has none."""
        from kerasdl.data.folder import dataset_file

        self.tree = tree
        if self.file.path is None and not self.file.names:
            self.file = dataset_file.read(tree.root)
