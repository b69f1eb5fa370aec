"""Functions over the elements of level 1: mapped, folded, at positions, in tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.functions.places import at_place, tried
from netdsl.symbols import All, Span, Symbol

__all__ = ["fold_list", "mapped", "part", "table"]


def mapped(function: Callable[..., Any], x: Any) -> Any:
    """The function of each element."""
    return jax.vmap(at_place(function))(jnp.arange(len(x)), jnp.asarray(x))


def fold_list(function: Callable[[Any, Any], Any], start: Any, items: Any) -> Any:
    """The start, and what the function makes of it and one item after another."""
    items = jnp.asarray(items)
    like = tried(function, start, items[0])
    first = jnp.broadcast_to(jnp.asarray(start, like.dtype), like.shape)
    step = at_place(function)
    each = jnp.arange(len(items)), items
    _, made = jax.lax.scan(lambda x, item: (jnp.asarray(step(item[0], x, item[1]), like.dtype),) * 2, first, each)
    return jnp.concatenate([first[None], made])


def part(x: Any, *positions: Any) -> Any:
    """The element at these positions, counted from 1."""
    x, axis = jnp.asarray(x), 0
    for position in positions:
        count = x.shape[axis]
        if isinstance(position, (Span, Symbol)):
            position = list((Span(1, All) if isinstance(position, Symbol) else position).positions(count))
        if not isinstance(position, jax.core.Tracer):
            wrong = [int(i) for i in np.ravel(position) if not 1 <= abs(i) <= count]
            if wrong:
                raise IndexError(f"Part: there is no position {wrong[0]} among {count}")
        place = jnp.asarray(position)
        place = jnp.where(place > 0, place - 1, jnp.where(place < 0, place, count))
        x = jnp.take(x, place, axis, mode="fill")
        axis += place.ndim
    return x


def table(function: Callable[..., Any], *counts: int) -> Any:
    """The function of 1 to n, or of all pairs of such numbers, and so on."""

    def along(count: int, *others: int) -> Callable[..., Any]:
        def made(*given: Any) -> Any:
            each = (lambda i: function(*given, i)) if not others else (lambda i: along(*others)(*given, i))
            return jax.vmap(at_place(each))(jnp.arange(count), jnp.arange(1, count + 1))

        return made

    return along(*counts)()
