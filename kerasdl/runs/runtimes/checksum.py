"""The checksum of an exported file, which its own metadata hold: it detects damaged weights.

It is the SHA-256 of the file with 64 zeros where the checksum stands. It protects from accidents:
anyone who changes a file on purpose can also change its checksum. PT2 archives have those of ZIP.
"""

import hashlib
import pathlib

LENGTH = 64  # hexadecimal digits
EMPTY = "0" * LENGTH


def compute(path: pathlib.Path, companion: str, stored: str = EMPTY) -> str:
    """The checksum of a file or folder.

    Args:
        path: The file or folder.
        companion: Suffix of a second file beside the first, or "".
        stored: The checksum in its metadata.
    """
    digest = hashlib.sha256()
    for each in _files(path, companion):
        digest.update(each.read_bytes().replace(stored.encode(), EMPTY.encode()))
    return digest.hexdigest()


def write(path: pathlib.Path, companion: str, metadata: pathlib.Path) -> None:
    """Writes the checksum in place of the zeros in the file `metadata`."""
    found = compute(path, companion)
    content = metadata.read_bytes()
    metadata.write_bytes(content.replace(EMPTY.encode(), found.encode(), 1))


def _files(path: pathlib.Path, companion: str) -> list[pathlib.Path]:
    """The files whose content counts; a model server may add others to a folder."""
    if path.is_dir():
        return [path / "saved_model.pb", *sorted((path / "variables").iterdir())]
    return [path, path.with_suffix(companion)] if companion else [path]
