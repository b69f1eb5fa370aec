"""Writing a file so that its name always stands for something complete."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable

from netdsl.errors import excerpt

__all__ = ["write_atomically"]

_TEMPORARY = re.compile(r"\.netdsl-[0-9a-f]{16}\.tmp")

STALE = 24 * 3600
"""Temporary files of writers that were killed are removed when they are so many seconds old."""


def write_atomically(path: str, chunks: Iterable[bytes], size: int) -> None:
    """Write the chunks, `size` bytes in all, to a file: completely, or not at all.

    They go into a temporary file beside it, which is flushed to the disk and then renamed; a file that was there stays until
    that moment. A link is followed. Raises OSError that names the file and what it needs.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".netdsl-{secrets.token_hex(8)}.tmp")
    try:
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _remove_stale(folder)
        _write(temporary, chunks, _mode(target))
        os.replace(temporary, target)
        _flush_folder(folder)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise OSError(
            problem.errno,
            f"cannot write {excerpt(path, 300)} ({size:,} bytes are needed): {reason}. A file that was there is as it was.",
        ) from problem
    finally:
        _remove(temporary)


def _write(temporary: str, chunks: Iterable[bytes], mode: int) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _mode(target: str) -> int:
    """The permissions of the file that is replaced, or those a new file gets."""
    try:
        return stat.S_IMODE(os.stat(target).st_mode)
    except OSError:
        return 0o666


def _flush_folder(folder: str) -> None:
    """Make the new name itself durable, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems cannot; the file itself is on the disk
        pass
    finally:
        os.close(descriptor)


def _remove_stale(folder: str) -> None:
    for name in os.listdir(folder):
        if _TEMPORARY.fullmatch(name):
            path = os.path.join(folder, name)
            try:
                if time.time() - os.stat(path).st_mtime > STALE:
                    os.unlink(path)
            except OSError:  # another writer may have removed it
                continue


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):  # it was renamed, or never made
        os.unlink(path)
