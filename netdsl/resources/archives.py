"""Reading archives that may be hostile: wanted members only, by exact name, plain files only, and never more bytes than declared.

Nothing is ever extracted by a name that an archive chose.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from netdsl.errors import FormatError, listing

__all__ = ["contents_of_tar", "gunzip", "members_of_deb", "members_of_tar", "members_of_zip"]

MOST_MEMBERS = 100_000
BLOCK = 1 << 20


def gunzip(path: Path, largest: int) -> bytes:
    """The content of a gzip file, refused when it is damaged or longer than `largest` bytes."""
    try:
        with gzip.open(path, "rb") as stream:
            content = stream.read(largest + 1)
    except (OSError, EOFError, zlib.error) as problem:
        if isinstance(problem, FileNotFoundError):
            raise
        raise FormatError(f"{path.name} is not a whole gzip file: {problem}.") from None
    if len(content) > largest:
        raise FormatError(f"{path.name} unpacks to more than the {largest:,} bytes that it may.")
    return content


def contents_of_tar(path: Path, wanted: Iterable[str], largest: int) -> dict[str, bytes]:
    """The contents of the `wanted` members of a tar file, of which at most `largest` bytes are unpacked in all."""
    contents: dict[str, bytes] = {}

    def keep(name: str, stream: IO[bytes]) -> None:
        contents[name] = stream.read()

    _visit(path, {name: name for name in wanted}, largest, keep)
    return contents


def members_of_tar(path: Path | IO[bytes], wanted: Mapping[str, str], folder: Path, largest: int) -> None:
    """Copies the `wanted` members (name in the archive → file name) of a tar file into `folder`.

    At most `largest` bytes are unpacked in all, those of members that nobody wants included.
    """

    def keep(file: str, stream: IO[bytes]) -> None:
        with open(folder / file, "wb") as copy:
            shutil.copyfileobj(stream, copy, BLOCK)

    _visit(path, wanted, largest, keep)


def _visit(path: Path | IO[bytes], wanted: Mapping[str, str], largest: int, keep: Callable[[str, IO[bytes]], None]) -> None:
    """Calls `keep` with the new name and the stream of each wanted member."""
    name = path.name if isinstance(path, Path) else "the archive"
    missing, unpacked = dict(wanted), 0
    try:
        with tarfile.open(**_opened(path), mode="r|*") as archive:
            for count, member in enumerate(archive):
                unpacked += member.size
                if unpacked > largest or count > MOST_MEMBERS:
                    raise FormatError(f"{name} holds more than the {largest:,} bytes or {MOST_MEMBERS:,} members that it may.")
                file = missing.pop(member.name.removeprefix("./"), None)
                if file is None:
                    continue
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise FormatError(f"{member.name} in {name} is a link or a special file, not a plain one.")
                keep(file, stream)
                if not missing:
                    return
    except (tarfile.TarError, EOFError, zlib.error, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise
        raise FormatError(f"{name} is not a whole tar archive: {problem}.") from None
    if missing:
        raise FormatError(f"{name} lacks {listing(missing)}.")


def _opened(path: Path | IO[bytes]) -> dict[str, Any]:
    return {"name": path} if isinstance(path, Path) else {"fileobj": path}


def members_of_zip(path: Path, wanted: Mapping[str, str], folder: Path, largest: int) -> None:
    """Copies the `wanted` members (name in the archive → path below `folder`) of a zip file, at most `largest` bytes in all."""
    try:
        with zipfile.ZipFile(path) as archive:
            left = largest
            for name, file in wanted.items():
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as stream, open(target, "wb") as copy:
                    while block := stream.read(BLOCK):
                        left -= len(block)
                        if left < 0:
                            raise FormatError(f"{path.name} unpacks to more than the {largest:,} bytes that it may.")
                        copy.write(block)
    except (zipfile.BadZipFile, EOFError, zlib.error, KeyError) as problem:
        raise FormatError(f"{path.name} is not the zip file it should be: {problem}.") from None


def members_of_deb(path: Path, wanted: Mapping[str, str], folder: Path, largest: int) -> None:
    """Copies the `wanted` members of a Debian package's files; `dpkg-deb` undoes whatever compression it has."""
    command = ["dpkg-deb", "--fsys-tarfile", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            members_of_tar(process.stdout, wanted, folder, largest)
        finally:
            process.stdout.close()
            process.kill()
