"""Every form of labelled data as columns: rules, a rule of lists, columns by port, data objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from netdsl.columns.column import Column, Examples
from netdsl.errors import DataError, UnsupportedError, excerpt
from netdsl.symbols import File, Rule

__all__ = ["Table", "table"]


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


def _take(column: Any, indices: np.ndarray) -> Any:
    if isinstance(column, Column) or hasattr(column, "shape"):
        return column[indices]
    return [column[i] for i in indices]


def table(data: Any, what: str = "data") -> Table:
    """The data as columns; `what` names them in messages.

    Forms: ``[Rule(x, y), …]``, ``[(x, y), …]``, ``Rule(xs, ys)``, ``(xs, ys)``, ``{port: column, …}``, Examples of ResourceData.
    Raises DataError for unequal lengths, no examples, and anything else.
    """
    found = _table(data, what)
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
    if isinstance(data, Mapping):
        if not data:
            raise DataError(f"The {what} are an empty dict. Give a column for each input port.")
        return Table(ports={name: _column(column, name, what) for name, column in data.items()})
    if isinstance(data, tuple) and len(data) == 2:
        return _pair(data, what)
    if isinstance(data, (list, tuple)):
        return _rows(data, what)
    if isinstance(data, File):
        raise UnsupportedError(
            f"The {what} are {data!r}: data read from a file while training is not supported yet. Load it into arrays."
        )
    if callable(data):
        raise UnsupportedError(
            f"The {what} are a function: generators are not supported yet. Give lists, arrays or a dict of columns."
        )
    raise DataError(
        f"The {what} cannot be {excerpt(data)}. Data are rules [Rule(x, y), ...], a rule of lists Rule(xs, ys), or "
        "a dict "
        "{port: column}."
    )


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


def _rows(data: Any, what: str) -> Table:
    if not data:
        raise DataError(f"The {what} have no examples.")
    wrong = next((i for i, row in enumerate(data) if not _is_pair(row)), None)
    if wrong is None:
        pairs = [tuple(row) for row in data]
        return Table([x for x, _ in pairs], [y for _, y in pairs])
    if all(isinstance(row, Mapping) for row in data):
        raise UnsupportedError(
            f"The {what} are rows of dicts, which are not supported yet. Give a dict of columns "
            "{port: [row[port] for row in rows]}."
        )
    if len(data) == 2 and callable(data[0]) and isinstance(data[1], (Mapping, Rule)):
        raise UnsupportedError(
            f"The {what} are a function with a RoundLength: generators are not supported yet. "
            "Give lists, arrays or a dict of columns."
        )
    hint = "Every example is a Rule(x, y) or a pair (x, y)."
    if len(data) == 2 and all(_is_column(part) for part in data) and len(data[0]) == len(data[1]):
        hint += " Two columns are Rule(xs, ys) or the pair (xs, ys)."
    raise DataError(f"Example {wrong + 1} of the {what} is {excerpt(data[wrong])}. {hint}")


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
    if hasattr(column, "shape") and not len(column.shape):
        raise DataError(f"The column {name!r} of the {what} is a single number, not a list of things.")
    if hasattr(column, "__array__") and not isinstance(column, (Column, np.ndarray, jax.Array)):
        return np.asarray(column)  # a column of a data frame, a tensor: positions would mean something else there
    return column
