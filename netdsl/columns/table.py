"""Every form of labelled data as columns: rules, rows, a rule of lists, columns by port, data objects, files, sources."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from netdsl.columns.column import Column, Examples
from netdsl.columns.files import HDF5_ENDINGS, StoredColumn, hdf5_columns, picture_columns, stored
from netdsl.errors import DataError, excerpt, listing
from netdsl.nets import Net
from netdsl.symbols import Rule

__all__ = ["Rows", "Table", "gives_batches", "is_folder", "table"]

SAMPLE = 8
"""The number of examples of a source that tell what its examples are."""


@dataclass(frozen=True)
class Table:
    """Data as columns: inputs with targets, or columns by port. Each column is a list, array or Column of things."""

    inputs: Any = None
    targets: Any = None
    ports: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.ports.values()))) if self.ports is not None else len(self.inputs)

    def columns(self) -> dict[str, Any]:
        """The columns by name, inputs and targets under these words."""
        return dict(self.ports) if self.ports is not None else {"inputs": self.inputs, "targets": self.targets}

    def taken(self, indices: np.ndarray) -> Table:
        """The examples at these indices, from 0."""
        if self.ports is not None:
            return Table(ports={port: _take(column, indices) for port, column in self.ports.items()})
        return Table(_take(self.inputs, indices), _take(self.targets, indices))

    def sample(self) -> Table:
        """Columns that tell what the examples are: all of them, unless they would have to be read first."""
        return self

    def read(self) -> Table:
        """The same columns, in memory."""
        if not any(isinstance(column, StoredColumn) for column in self.columns().values()):
            return self
        if self.ports is not None:
            return Table(ports={port: _read(column) for port, column in self.ports.items()})
        return Table(_read(self.inputs), _read(self.targets))


class Rows(Table):
    """The examples of a random-access source, each a dict, a pair or a Rule. They are read where their columns are asked for."""

    def __init__(self, source: Any, what: str, indices: np.ndarray | None = None) -> None:
        places = np.arange(len(source)) if indices is None else indices
        for name, value in (("source", source), ("what", what), ("indices", places)):
            object.__setattr__(self, name, value)

    source: Any
    what: str
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def columns(self) -> dict[str, Any]:
        return self._table.columns()

    def taken(self, indices: np.ndarray) -> Rows:
        return Rows(self.source, self.what, self.indices[indices])

    def sample(self) -> Table:
        return self.taken(np.arange(min(len(self), SAMPLE))).read()

    def read(self) -> Table:
        return self._table

    @property
    def inputs(self) -> Any:  # type: ignore[override]
        return self._table.inputs

    @property
    def targets(self) -> Any:  # type: ignore[override]
        return self._table.targets

    @property
    def ports(self) -> Mapping[str, Any] | None:  # type: ignore[override]
        return self._table.ports

    @cached_property
    def _table(self) -> Table:
        return _rows([_plain_row(row) for row in self._fetched()], self.what, self.indices)

    def _fetched(self) -> list[Any]:
        """The rows, as the source gives them."""
        places = [int(i) for i in self.indices]
        together = getattr(self.source, "__getitems__", None)
        if callable(together):
            try:
                found = list(together(places))
            except Exception:  # which of them it is, is found out one by one
                pass
            else:
                if len(found) != len(places):
                    name = f"{type(self.source).__name__}.__getitems__"
                    raise DataError(f"The {self.what}: {name} gave {len(found)} examples for {len(places)} positions.")
                return found
        rows = []
        for place in places:
            try:
                rows.append(self.source[place])
            except Exception as problem:
                raise DataError(
                    f"Example {place + 1} of the {self.what} cannot be read: {type(self.source).__name__}[{place}] raised "
                    f"{type(problem).__name__}: {problem}"
                ) from problem
        return rows


def _plain_row(row: Any) -> Any:
    """The row with tensors as arrays."""
    if isinstance(row, Mapping):
        return {name: _plain(value) for name, value in row.items()}
    if isinstance(row, list) and len(row) == 2:
        row = tuple(row)
    return (
        Rule(_plain(row.key), _plain(row.value))
        if isinstance(row, Rule)
        else row
        if not _is_pair(row)
        else tuple(map(_plain, row))
    )


def _plain(value: Any) -> Any:
    if hasattr(value, "__array__") and not isinstance(value, (np.ndarray, np.generic, jax.Array, Column)):
        return np.asarray(value)
    return value


def _read(column: Any) -> Any:
    return column.read() if isinstance(column, StoredColumn) else column


def _take(column: Any, indices: np.ndarray) -> Any:
    if isinstance(column, Column) or hasattr(column, "shape"):
        return column[indices]  # of what is stored nothing is read yet
    return [column[i] for i in indices]


def table(data: Any, what: str = "data") -> Table:
    """The data as columns; `what` names them in messages.

    Forms: ``[Rule(x, y), …]``, ``[(x, y), …]``, ``[{port: value, …}, …]``, ``Rule(xs, ys)``, ``(xs, ys)``, ``{port: column, …}``,
    Examples of ResourceData, a DataFrame whose columns are ports, ``File("x.h5")``, a folder of pictures whose subfolders are the
    classes (a Path or File), and any source with ``len`` and positions from 0 whose items are dicts, pairs or rules: `Rows`.
    Raises DataError for unequal lengths, no examples, and anything else.
    """
    found = _table(data, what)
    if isinstance(found, Rows):
        if not len(found):
            raise DataError(f"The {what} have no examples.")
        return found
    lengths = {name: len(column) for name, column in found.columns().items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"The columns of the {what} have different lengths: "
            f"{', '.join(f'{name} {n}' for name, n in lengths.items())}. "
            "Each example needs a value in every column."
        )
    if not len(found):
        raise DataError(f"The {what} have no examples.")
    return found


def _table(data: Any, what: str) -> Table:
    if isinstance(data, Examples):
        return Table(data.inputs, data.targets)
    if isinstance(data, Rule):
        return Table(_column(data.key, "inputs", what), _column(data.value, "targets", what))
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        data = {name: data[name].tolist() if data[name].dtype == object else data[name] for name in data.columns}
    if isinstance(data, Mapping):
        if not data:
            raise DataError(f"The {what} are an empty dict. Give a column for each input port.")
        return Table(ports={name: _column(column, name, what) for name, column in data.items()})
    if isinstance(data, tuple) and len(data) == 2:
        return _pair(data, what)
    batches = data[0] if isinstance(data, list) and len(data) == 2 else data
    if gives_batches(batches):
        raise DataError(
            f"The {what} are {excerpt(batches)}. A function or an iterator that gives batches is data for NetTrain and its "
            "ValidationSet: a function f, [f, {'RoundLength': n}], or an iterator, [iter(x), {'RoundLength': n}]."
        )
    if isinstance(data, (list, tuple)):
        return _rows(data, what)
    if isinstance(data, os.PathLike) or is_folder(data):
        return _of_path(data, what)
    if _is_source(data):
        return Rows(data, what)
    raise DataError(
        f"The {what} cannot be {excerpt(data)}. Data are rules [Rule(x, y), ...], a rule of lists Rule(xs, ys), or "
        "a dict "
        "{port: column}."
    )


def is_folder(data: Any) -> bool:
    """Whether a string is the path of a folder, rather than the name of a set."""
    return isinstance(data, str) and os.path.isdir(os.path.expanduser(data))


def gives_batches(data: Any) -> bool:
    """Whether the data are a function, an iterator, or something that can only be gone through."""
    known = isinstance(data, (str, bytes, type, Rule, Net, os.PathLike)) or hasattr(data, "__getitem__") or hasattr(data, "shape")
    return not known and (callable(data) or hasattr(data, "__iter__"))


def _is_source(data: Any) -> bool:
    """Whether the data are rows by position, and no array, text or class."""
    # a table may have a shape: a Dataset of Hugging Face
    known = isinstance(data, (str, bytes, type, Net)) or (hasattr(data, "shape") and hasattr(data, "dtype"))
    return not known and hasattr(data, "__len__") and hasattr(data, "__getitem__")


def _of_path(path: Any, what: str) -> Table:
    """An HDF5 file or a folder of pictures."""
    name = os.path.expanduser(os.fspath(path))
    if os.path.isdir(name):
        return Table(*picture_columns(path, what))
    if name.lower().endswith(HDF5_ENDINGS) or not os.path.exists(name):
        columns = hdf5_columns(path, what)
        if not columns:
            raise DataError(f"The {what} are {path!r}, which has no arrays at its top.")
        return Table(ports=columns)
    raise DataError(f"The {what} are {path!r}. Data in files are HDF5 ({listing(HDF5_ENDINGS)}), or a folder of pictures.")


def _pair(data: tuple[Any, Any], what: str) -> Table:
    if all(isinstance(part, tuple) and len(part) == 2 for part in data):
        raise DataError(
            f"The {what} {excerpt(data)} could be two examples or two columns. Write a list of examples [(x1, y1), "
            "(x2, y2)] "
            "or Rule(xs, ys)."
        )
    if all(_is_column(part) for part in data) and len(data[0]) == len(data[1]):
        return Table(_column(data[0], "inputs", what), _column(data[1], "targets", what))
    raise DataError(
        f"The {what} are a pair that is not two columns of equal length: {excerpt(data)}. Write Rule(xs, ys), or a "
        "list of "
        "examples [(x, y), ...]."
    )


def _rows(data: Any, what: str, places: Any = None) -> Table:
    """Rows as columns; `places` counts them where they are some of many, from 0."""
    if not data:
        raise DataError(f"The {what} have no examples.")
    wrong = next((i for i, row in enumerate(data) if not _is_pair(row)), None)
    if wrong is None:
        pairs = [tuple(row) for row in data]
        return Table([x for x, _ in pairs], [y for _, y in pairs])
    if isinstance(data[0], Mapping) and data[0]:
        names = list(data[0])
        wrong = next((i for i, row in enumerate(data) if not isinstance(row, Mapping) or set(row) != set(names)), None)
        if wrong is None:
            return Table(ports={name: _column([row[name] for row in data], name, what) for name in names})
        row, first = data[wrong], data[0]
        has = f"has {listing(map(repr, row)) or 'nothing'}" if isinstance(row, Mapping) else f"is {excerpt(row)}"
        raise DataError(
            f"Example {_number(wrong, places)} of the {what} {has}, but example {_number(0, places)} has "
            f"{listing(map(repr, first)) or 'nothing'}. Every example gives a value to the same ports."
        )
    hint = "Every example is a Rule(x, y), a pair (x, y) or a dict {port: value}."
    if len(data) == 2 and all(_is_column(part) for part in data) and len(data[0]) == len(data[1]):
        hint += " Two columns are Rule(xs, ys) or the pair (xs, ys)."
    raise DataError(f"Example {_number(wrong, places)} of the {what} is {excerpt(data[wrong])}. {hint}")


def _number(row: int, places: Any) -> int:
    return row + 1 if places is None else int(places[row]) + 1


def _is_pair(row: Any) -> bool:
    return isinstance(row, Rule) or (isinstance(row, tuple) and len(row) == 2)


def _is_column(thing: Any) -> bool:
    return isinstance(thing, (list, Column, range)) or (hasattr(thing, "shape") and len(thing.shape) > 0)


def _column(column: Any, name: str, what: str) -> Any:
    if isinstance(column, (str, bytes, Mapping)) or not (hasattr(column, "__len__") and hasattr(column, "__getitem__")):
        raise DataError(
            f"The column {name!r} of the {what} is {excerpt(column)}. A column is a list or array with one thing "
            "for each example."
        )
    if type(column).__module__.startswith("h5py"):
        column = stored(column)
    if isinstance(column, memoryview):
        column = np.asarray(column)
    if hasattr(column, "shape") and not len(column.shape):
        raise DataError(f"The column {name!r} of the {what} is a single number, not a list of things.")
    if hasattr(column, "__array__") and not isinstance(column, (Column, np.ndarray, jax.Array, StoredColumn)):
        return np.asarray(column)  # a column of a data frame, a tensor: positions would mean something else there
    return column
