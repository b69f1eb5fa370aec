"""Where a function that is applied to many elements is at work: the places of its element, of which random draws depend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any

import jax

__all__ = ["at_place", "counted", "places", "tried"]


class _Places(threading.local):
    def __init__(self) -> None:
        self.stack: tuple[Any, ...] = ()
        self.trial: dict[Hashable, int] | None = None


_PLACES = _Places()


def places() -> tuple[Any, ...]:
    """The indices of the element at which `Map` or `FoldList` is, outermost first; none outside of them."""
    return _PLACES.stack


def at_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the index of its element as first argument."""

    def placed(index: Any, *elements: Any) -> Any:
        before = _PLACES.stack
        _PLACES.stack = (*before, index)
        try:
            return function(*elements)
        finally:
            _PLACES.stack = before

    return placed


def tried(function: Callable[..., Any], *inputs: Any) -> Any:
    """The shapes that a function gives; what it counts with `counted` is not kept."""
    before = _PLACES.trial
    _PLACES.trial = dict(before or {})
    try:
        return jax.eval_shape(function, *inputs)
    finally:
        _PLACES.trial = before


def counted(counts: dict[Hashable, int], key: Hashable) -> int:
    """How many times this happened, this time included; `counts` remembers it, unless it happens in a trial."""
    trial, own = _PLACES.trial, (id(counts), key)
    number = counts.get(key, 0) + 1 if trial is None else trial.get(own, counts.get(key, 0)) + 1
    if trial is None:
        counts[key] = number
    else:
        trial[own] = number
    return number
