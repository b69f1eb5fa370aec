"""The columns of data as the input ports of a training net take them: typed, encoded, finite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from netdsl.attachment.losses import TrainingNet
from netdsl.attachment.types import sizes_of, with_types
from netdsl.columns import Table
from netdsl.errors import DataError, EncodingError, NetError, excerpt, listing
from netdsl.lowering import PortData, check_integers, check_lengths, pad_sequences, port_data
from netdsl.nets import Net, Sequence
from netdsl.shapes import ArrayType, describe

__all__ = ["column_names", "encoded", "of_example", "padded", "typed"]

BLOCK = 2**18
"""About how many numbers are looked at together."""


def typed(training: TrainingNet, data: Table) -> TrainingNet:
    """The training net with what the data say of the types of its input ports."""
    columns = data.columns()
    graph = with_types(training.graph, {port: columns[name] for port, name in training.columns.items()})
    return replace(training, graph=graph)


def encoded(training: TrainingNet, data: Table, what: str, places: Any = None) -> tuple[dict[str, Any], frozenset[str]]:
    """The columns of the input ports in compact form, and the ports that still need the device half of their encoder.

    `places` counts the examples where they are some of many, from 0; then sequences stay the list that they are.
    """
    columns: dict[str, Any] = {}
    batches = {}
    compact = []
    graph = training.graph
    data = data.read()
    for port, name in column_names(training, data, what).items():
        column = data.columns()[name]
        type_ = graph.port_type(port)
        thing = list(column) if isinstance(column, (tuple, range)) else column
        if graph.encoder(port) is None:
            _check_sizes(thing, port, type_, f"The column {name!r} of the {what}")
        try:
            values = _values(graph, port, thing)
        except EncodingError as problem:
            if places is not None:
                raise
            raise _found(graph, port, thing, what, f"The column {name!r} of the {what}: {problem}") from None
        if not values.many or len(values) != len(data):
            raise DataError(
                f"The column {name!r} of the {what} is one value for the port {port!r}, {describe(type_)}, not a list of them."
            )
        if values.compact:
            compact.append(port)
        columns[port] = _finite(values.values, port, name, what, places)
        batches[port] = values
    check_lengths(graph, batches)
    return columns if places is not None else padded(columns), frozenset(compact)


def _values(graph: Net, port: str, column: Any) -> PortData:
    """The values of a port, integers within their range."""
    with np.errstate(over="ignore"):  # numbers beyond float32 are refused as infinite, by their place
        values = port_data(graph, port, column)
    type_ = graph.port_type(port)
    if values.compact and type_.integer and not isinstance(values.values, list):
        check_integers(port, np.asarray(values.values), type_)
    return values


def _found(graph: Net, port: str, column: Any, what: str, otherwise: str) -> DataError:
    """The error of the first example that a port cannot take, found by halves; `otherwise` where all, or none alone, are wrong."""

    def problem(first: int, last: int) -> EncodingError | None:
        try:
            _values(graph, port, Table(ports={port: column}).taken(np.arange(first, last)).columns()[port])
        except EncodingError as found:
            return found
        return None

    first, last = 0, len(column)
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if problem(first, middle) else (middle, last)
    found, cure = problem(first, last), _from_zero(graph.port_type(port), column)
    if found is None or (first == 0 and len(column) > 1 and problem(len(column) - 1, len(column))):
        return DataError(otherwise + cure)
    return DataError(f"{of_example(found, first, what)}{cure}")


def _from_zero(type_: ArrayType, column: Any) -> str:
    """What helps where integers are counted from 0, the most frequent of all mistakes."""
    high = type_.elements.high if type_.elements else None
    flat = column if isinstance(column, list) else np.asarray(column).ravel()
    if high is None or not all(isinstance(each, (int, np.integer)) and 0 <= each < high for each in flat):
        return ""
    return f' Add 1, or declare labels from 0: NetDecoder("Class", range({high})).'


def of_example(problem: NetError, row: int, what: str) -> DataError:
    """The problem of one example, by its number among all."""
    text = str(problem).replace(" at position 1 of 1", "").replace(" (at position 1)", "").replace(" at position 1", "")
    start = f"Example {row + 1} of the {what}"
    return DataError(text if text.startswith(start) else f"{start}: {text}")


def column_names(training: TrainingNet, data: Table, what: str) -> dict[str, str]:
    """The column of these data for each port. They may be inputs and targets where the first data had ports, or the other way round."""
    columns, names = data.columns(), {}
    for port, name in training.columns.items():
        other = "inputs" if port in training.net.input_names else "targets"
        found = [each for each in (name, port, *([other] if data.ports is None else [])) if each in columns]
        if not found:
            raise DataError(
                f"The {what} have no column for the port {port!r}. Their columns are {listing(map(repr, columns))}; those of the "
                f"training are {listing(map(repr, training.columns.values()))}."
            )
        names[port] = found[0]
    if len(set(names.values())) < len(set(training.columns.values())):
        raise DataError(
            f"The {what} are inputs -> targets, but the net takes {listing(map(repr, names))}. Give a dict of columns."
        )
    return names


def padded(columns: dict[str, Any], bucketed: bool = False, least: Mapping[str, int] = {}) -> dict[str, Any]:
    """The columns, lists of sequences as one array, padded to the length `least` at their port or more."""
    return {
        port: Sequence(*pad_sequences(column, bucketed, least.get(port, 0))) if isinstance(column, list) else column
        for port, column in columns.items()
    }


def _check_sizes(column: Any, port: str, type_: ArrayType, where: str) -> None:
    """Refuse values of other sizes than the port's: nothing is broadcast. Of a list the first value speaks for all."""
    sizes = sizes_of(column, port)
    takes = type_.sizes or ()
    if len(sizes) == len(takes) and all(not isinstance(a, int) or a == b for a, b in zip(takes, sizes)):
        return
    if np.asarray(column[0]).dtype.kind not in "biuf":
        raise DataError(
            f"{where} begins with {excerpt(column[0])}, but the port {port!r} takes {describe(type_)}. Labels are targets of a net "
            "that ends with a SoftmaxLayer; a NetEncoder on the port turns other things into numbers."
        )
    hint = "Change the data or the net."
    if all(isinstance(size, int) for size in takes) and math.prod(sizes) == math.prod(takes):  # type: ignore[arg-type]
        hint = f"np.reshape(values, {[len(column), *takes]}) would fit."
    raise DataError(
        f"{where} has {describe(ArrayType(sizes))} for each example, but the port {port!r} takes {describe(type_)}. {hint}"
    )


def _all_finite(array: np.ndarray) -> bool:
    """Whether all numbers are finite, looked at in blocks: the answers for all at once would need memory of their own."""
    rows = max(BLOCK * len(array) // max(array.size, 1), 1)
    return all(np.isfinite(array[start : start + rows]).all() for start in range(0, len(array), rows))


def _finite(values: Any, port: str, name: str, what: str, places: Any = None) -> Any:
    """The values; an error that names the first example that is not finite."""
    arrays = values if isinstance(values, list) else [values]
    for offset, each in enumerate(arrays):
        array = np.asarray(each)
        if jnp.issubdtype(array.dtype, jnp.floating) and not _all_finite(array):
            first = tuple(np.argwhere(~np.isfinite(array))[0])
            row = offset if isinstance(values, list) else int(first[0])
            example = (row if places is None else int(places[row])) + 1
            raise DataError(
                f"Example {example} of the {what} has the value {array[first]} in the column {name!r} (port {port!r}). "
                "Only finite numbers can be used: remove or replace such examples."
            )
    return values
