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

APT_GET = ["apt-get", "-q", *(f"-oAcquire::{limit}" for limit in ("Retries=1", "http::Timeout=15", "https::Timeout=15"))]


def _own_lists(attempt: Attempt) -> list[str]:
    """apt-get with lists of packages of its own, for a system whose lists are empty as those of fresh containers are."""
    folders = {"Dir::State::lists": attempt.folder / "lists", "Dir::Cache": attempt.folder / "apt"}
    for folder in folders.values():
        for part in (folder / "partial", folder / "archives" / "partial"):
            part.mkdir(parents=True, exist_ok=True)
    return [*APT_GET, "-oAPT::Sandbox::User=root", *(f"-o{name}={folder}" for name, folder in folders.items())]


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
        try:
            run_client([*APT_GET, "download", self.name], attempt, self.bytes)
        except ResourceError as problem:
            if "locate package" not in str(problem):
                raise
            own = _own_lists(attempt)
            run_client([*own, "update"], attempt)
            run_client([*own, "download", self.name], attempt)
        packages = list(attempt.folder.glob("*.deb"))
        if len(packages) != 1:
            raise ResourceError(f"apt-get brought {len(packages)} packages instead of one")
        members_of_deb(packages[0], self.members, attempt.folder, self.largest)
        return self.read(attempt.folder)
