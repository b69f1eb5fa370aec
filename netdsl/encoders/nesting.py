"""How deep things are nested: what tells one thing from a batch of them, and names the place of a bad one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netdsl.errors import EncodingError

__all__ = ["is_many", "levels", "place", "unmasked"]


def unmasked(thing: Any) -> np.ndarray:
    """The array or column as a NumPy array; raises EncodingError for a masked one, whose masked values mean nothing."""
    if np.ma.isMaskedArray(thing):
        raise EncodingError("A masked array cannot be encoded. Fill it first: values.filled(...).")
    return np.asarray(thing)


def is_many(thing: Any) -> bool:
    """Whether the thing is a list, tuple, set, range or column; strings and associations are one thing."""
    return hasattr(thing, "__len__") and hasattr(thing, "__iter__") and not isinstance(thing, (str, bytes, bytearray, Mapping))


def levels(thing: Any, is_one: Callable[[Any], bool] = lambda thing: False) -> int:
    """The number of levels of lists and arrays above the first thing inside; an empty list has one.

    >>> levels("a"), levels([["a"], ["b"]]), levels([])
    (0, 2, 1)
    """
    count = 0
    while not is_one(thing):
        if isinstance(getattr(thing, "ndim", None), int):
            return count + int(thing.ndim)
        if not is_many(thing):
            return count
        count += 1
        if not len(thing):
            return count
        thing = next(iter(thing))
    return count


def place(positions: tuple[int, ...]) -> str:
    """The place of a thing in a batch, in words; positions count from 1.

    >>> place(()), place((3,)), place((3, 1))
    ('', ' at position 3', ' at position [3, 1]')
    """
    if not positions:
        return ""
    return f" at position {positions[0] if len(positions) == 1 else list(positions)}"
