"""The cache folder: one folder a set, one uncompressed ``.npy`` file an array, each checked by its sum whenever it is read.

The folder is ``NETDSL_DATA_DIR``, by default ``netdsl`` in the platform's cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from netdsl.errors import FormatError

__all__ = ["content_sum", "data_folder", "load", "locked", "scratch_folder", "store"]

SUMS = "sums.json"
DAY = 86_400.0


def data_folder() -> Path:
    """The folder that holds everything netdsl fetched."""
    chosen = os.environ.get("NETDSL_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "netdsl"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "netdsl"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netdsl"


def content_sum(array: np.ndarray) -> str:
    """The sha256 of an array's elements in order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def load(folder: Path, shapes: Mapping[str, tuple[int, ...]], sums: Mapping[str, str]) -> dict[str, np.ndarray] | None:
    """The arrays of these names and shapes from a set's folder, or None when one of them is not there.

    `sums` are the known ones; for others those that were stored count. Raises `FormatError` when what is there is damaged.
    """
    files = {name: folder / f"{name}.npy" for name in shapes}
    if not all(file.is_file() for file in files.values()):
        return None
    if not all(name in sums for name in shapes):
        try:
            sums = {**json.loads((folder / SUMS).read_bytes()), **sums}
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise FormatError(f"{folder / SUMS} is damaged.") from None
    arrays = {}
    for name, file in files.items():
        arrays[name] = _read(file, shapes[name])
        if content_sum(arrays[name]) != sums.get(name):
            raise FormatError(f"{file} is damaged: its sum is not that of {name}.")
    return arrays


def _read(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape, dtype=np.int64))
    if not size <= file.stat().st_size <= size + 4096:
        raise FormatError(f"{file} is damaged: it has {file.stat().st_size:,} bytes.")
    try:
        array = np.load(file, allow_pickle=False)
    except Exception as problem:  # numpy lets out whatever its parser of headers raises
        raise FormatError(f"{file} is damaged: {problem}.") from None
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.shape != shape:
        raise FormatError(f"{file} is damaged: it does not hold bytes of shape {list(shape)}.")
    return array


def store(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a set's arrays and their sums, each file whole or not at all. Two processes may do so at once."""
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    for name, array in arrays.items():
        _write(folder / f"{name}.npy", partial(np.save, arr=np.ascontiguousarray(array), allow_pickle=False))
    sums = json.dumps({name: content_sum(array) for name, array in arrays.items()}, indent=1).encode()
    _write(folder / SUMS, lambda stream: stream.write(sums))


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if sys.platform != "win32":
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep(folder: Path) -> None:
    """Removes what processes that died left here more than a day ago."""
    for left in [*folder.glob(".*.part"), *folder.glob("scratch-*")]:
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > DAY:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside the cached sets, or where that is not possible in the system's temporary folder, for a while."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        scratch = tempfile.mkdtemp(prefix="scratch-", dir=folder)
    except OSError:
        scratch = tempfile.mkdtemp(prefix="netdsl-")
    try:
        yield Path(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None], patience: float = 900.0) -> Iterator[None]:
    """Holds the lock file at `path`, which the system frees when the process ends.

    `waiting` is called once when another process holds it. Where locks do not work, or after `patience` seconds, it goes on
    without: files are written so that two processes may do it at once.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = stack.enter_context(open(path, "a+b"))
        except OSError:
            yield
            return
        end, told = time.monotonic() + patience, False
        while not try_lock(stream) and time.monotonic() < end:
            if not told:
                waiting()
                told = True
            time.sleep(0.1)
        yield


def try_lock(stream: IO[bytes]) -> bool:
    """Locks the open file until it is closed; False when another process has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
