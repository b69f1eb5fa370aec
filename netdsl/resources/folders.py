"""Folders on this machine that may hold the original files of a set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netdsl.errors import FormatError, ResourceError, listing
from netdsl.resources.sources import Attempt, Read

__all__ = ["Folder", "OriginalFile", "check_sum"]


@dataclass(frozen=True)
class OriginalFile:
    """A file of a set as its authors publish it: its name, and its size and sha256 where they are known."""

    name: str
    bytes: int | None = None
    sum: str | None = None


@dataclass(frozen=True)
class Folder:
    """A folder in which a user, or the system's package manager, put the original files of a set."""

    path: Path
    files: Sequence[OriginalFile]
    read: Read

    @property
    def title(self) -> str:
        """The path of the folder."""
        return f"the folder {self.path}"

    def arrays(self, attempt: Attempt) -> dict[str, np.ndarray]:
        """The arrays of the set by name."""
        if not self.path.is_dir():
            raise ResourceError("there is no such folder")
        missing = [file.name for file in self.files if not _either(self.path / file.name).is_file()]
        if missing:
            raise ResourceError(f"it lacks {listing(missing)}")
        for file in self.files:
            if file.sum and (self.path / file.name).is_file():
                check_sum(self.path / file.name, file.sum)
        return self.read(self.path)


def _either(path: Path) -> Path:
    """The file, or the same one unpacked."""
    return path if path.exists() or path.suffix != ".gz" else path.with_suffix("")


def check_sum(path: Path, expected: str) -> None:
    """Raises `FormatError` unless the file has this sha256."""
    with open(path, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise FormatError(f"{path.name} is not the published file: its sha256 is {found[:12]}…, not {expected[:12]}…")
