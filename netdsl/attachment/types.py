"""What the values of columns say of the types of the ports that take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netdsl.errors import DataError
from netdsl.nets import Net
from netdsl.shapes import ArrayType

__all__ = ["sizes_of", "with_types"]


def with_types(net: Net, columns: Mapping[str, Any]) -> Net:
    """The net with the sizes that these columns, by input port, give to sizes still open; ports with encoders have theirs."""
    ports = {}
    for port, column in columns.items():
        type_ = net.port_type(port)
        if net.encoder(port) is not None or type_.known:
            continue
        sizes = sizes_of(column, port)
        if type_.sizes is None or len(sizes) == len(type_.sizes):
            known = (None,) * len(sizes) if type_.sizes is None else type_.sizes
            ports[port] = ArrayType(tuple(b if a is None else a for a, b in zip(known, sizes)), type_.elements)
    return net.changed(Ports={**net.ports, **ports}) if ports else net


def sizes_of(column: Any, port: str) -> tuple[int, ...]:
    """The sizes of the values of a column, of a list those of its first."""
    if hasattr(column, "shape"):
        return tuple(column.shape[1:])
    try:
        return np.asarray(column[0]).shape
    except ValueError:
        raise DataError(f"The first value for port {port!r} is no array: its rows have different lengths.") from None
