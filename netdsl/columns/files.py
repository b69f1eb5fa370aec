"""Data that lie in files: columns of HDF5 files, read where they are asked for, and folders of pictures."""

from __future__ import annotations

import operator
import os
from typing import Any

import numpy as np

from netdsl.columns.column import Column
from netdsl.errors import DataError, listing
from netdsl.symbols import File

__all__ = ["StoredColumn", "hdf5_columns", "picture_columns"]

HDF5_ENDINGS = (".h5", ".hdf5", ".hdf", ".he5")
PICTURE_ENDINGS = frozenset([".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])


class StoredColumn:
    """A column of an HDF5 file, of which only what is asked for is read.

    An integer gives one value, an array or slice of positions a column that reads when ``np.asarray`` or `read` asks.
    """

    __slots__ = ("_dataset", "_mapped", "_places")

    def __init__(self, dataset: Any, places: np.ndarray | None = None, mapped: np.ndarray | None = None) -> None:
        self._dataset, self._places = dataset, places
        self._mapped = _mapped(dataset) if mapped is None else mapped

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all values, their number first."""
        return (len(self), *self._dataset.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type in the file."""
        return self._dataset.dtype

    def __len__(self) -> int:
        return len(self._dataset) if self._places is None else len(self._places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (slice, np.ndarray, list)):
            places = np.arange(len(self)) if self._places is None else self._places
            return StoredColumn(self._dataset, places[index], self._mapped)
        place = range(len(self))[operator.index(index)]
        return self._read(np.array([place if self._places is None else self._places[place]]))[0]

    def read(self) -> np.ndarray:
        """The values as an array in memory."""
        return self._read(self._places)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.read()
        return array if dtype is None else array.astype(dtype, copy=False)

    def _read(self, places: np.ndarray | None) -> np.ndarray:
        """The rows at these places; those of one chunk of the file together, since it is read as a whole anyway."""
        try:
            if self._mapped is not None:
                return np.array(self._mapped if places is None else self._mapped[places])
            if places is None:
                return self._dataset[...]
            result = np.empty((len(places), *self._dataset.shape[1:]), self._dataset.dtype)
            order = np.argsort(places, kind="stable")
            there = places[order]
            rows = self._dataset.chunks[0] if self._dataset.chunks else 1
            for part in np.split(np.arange(len(there)), np.flatnonzero(np.diff(there // rows)) + 1):
                if part.size:
                    first, last = int(there[part[0]]), int(there[part[-1]])
                    result[order[part]] = self._dataset[first : last + 1][there[part] - first]
            return result
        except (OSError, RuntimeError) as problem:
            name = f"The column {self._dataset.name!r} of {self._dataset.file.filename!r}" if self._dataset else "A closed file"
            raise DataError(f"{name} cannot be read: {problem}") from None


def _mapped(dataset: Any) -> np.ndarray | None:
    """The array as it lies in the file, where it lies there in one piece and memory can be mapped to it."""
    offset = dataset.id.get_offset() if dataset.chunks is None and dataset.size else None
    if offset is None or dataset.is_virtual or dataset.external:
        return None
    try:
        return np.memmap(dataset.file.filename, dataset.dtype, "r", offset, dataset.shape)
    except (OSError, ValueError, TypeError):  # of no file of this machine, or beyond the limits of this process
        return None


def hdf5_columns(path: Any, what: str) -> dict[str, Any]:
    """The datasets at the top of an HDF5 file by name. Numbers stay in the file, strings and ragged rows are read."""
    try:
        import h5py
    except ImportError:
        raise DataError(f"The {what} are {path!r}: reading HDF5 files needs h5py, pip install h5py.") from None
    name = os.fspath(path)
    try:
        file = h5py.File(os.path.expanduser(name), "r")
    except OSError as problem:
        reason = "there is no such file" if not os.path.exists(os.path.expanduser(name)) else f"it is no HDF5 file ({problem})"
        raise DataError(f"The {what} are {path!r}, but {reason}.") from None
    columns = {}
    for key, dataset in file.items():
        if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
            raise DataError(
                f"{key!r} of {name!r} is no column. The {what} in a file are arrays at its top, named as the ports, with one row "
                "for each example."
            )
        columns[key] = stored(dataset)
    return columns


def stored(dataset: Any) -> Any:
    """A dataset of h5py as a column."""
    if dataset.dtype.kind != "O":
        return StoredColumn(dataset)
    import h5py

    return list(dataset.asstr()[...] if h5py.check_string_dtype(dataset.dtype) else dataset[...])


def picture_columns(path: Any, what: str) -> tuple[list[File], Column]:
    """The pictures below a folder, and the class of each: the name of the subfolder that it is in."""
    root = os.path.expanduser(os.fspath(path))
    names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    pictures: list[File] = []
    codes: list[int] = []
    for code, name in enumerate(names):
        for folder, inner, files in os.walk(os.path.join(root, name)):
            inner[:] = sorted(each for each in inner if not each.startswith("."))
            found = [each for each in sorted(files) if os.path.splitext(each)[1].lower() in PICTURE_ENDINGS]
            pictures += [File(os.path.join(folder, each)) for each in found if not each.startswith(".")]
        codes += [code] * (len(pictures) - len(codes))
    empty = sorted(set(range(len(names))) - set(codes))
    if not pictures or empty:
        which = f"its subfolder {names[empty[0]]!r} holds" if pictures else "its subfolders hold" if names else "it has none"
        raise DataError(
            f"The {what} are the folder {root!r}: its subfolders are the classes, and {which}"
            f"{' no pictures' if names else ''}. Pictures end in {listing(sorted(PICTURE_ENDINGS), 20)}."
        )
    return pictures, Column(np.array(codes, np.min_scalar_type(max(len(names) - 1, 1))), "class", tuple(names))
