"""Packages of Debian and its kin, fetched with the user's own apt-get and unpacked without being installed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from netdsl.errors import ResourceError
from netdsl.resources.archives import members_of_deb
from netdsl.resources.clients import run_client
from netdsl.resources.sources import Attempt, Read

__all__ = ["DebianPackage"]


@dataclass(frozen=True)
class DebianPackage:
    """A set inside a Debian package.

    name
        The package; its version is the one that the user's distribution has.
    members
        The files that are wanted, by their names in the package, and what they are called for `read`.
    bytes
        About the size of the package.
    largest
        More bytes than this are never unpacked.
    """

    name: str
    members: Mapping[str, str]
    read: Read
    bytes: int
    largest: int

    @property
    def title(self) -> str:
        """The name of the package."""
        return f"the Debian package {self.name}"

    def arrays(self, attempt: Attempt) -> dict[str, np.ndarray]:
        """The arrays of the set by name."""
        for program in ("apt-get", "dpkg-deb"):
            if shutil.which(program) is None:
                raise ResourceError(f"{program} is not on the PATH")
        options = ["-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15"]
        run_client(["apt-get", *options, "download", self.name], attempt, self.bytes)
        packages = list(attempt.folder.glob("*.deb"))
        if len(packages) != 1:
            raise ResourceError(f"apt-get brought {len(packages)} packages instead of one")
        members_of_deb(packages[0], self.members, attempt.folder, self.largest)
        return self.read(attempt.folder)
