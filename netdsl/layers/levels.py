"""Specifications of several levels, as layers take them: n, Span(m, n), a list, All."""

from __future__ import annotations

from typing import Any

from netdsl.constraints import Constraint, integer
from netdsl.shapes import Contradiction
from netdsl.symbols import All, Span

__all__ = ["LEVELS", "level_axes", "level_count"]


def _level(value: Any) -> int:
    level = integer().keep(value)
    if level == 0:
        raise ValueError
    return level


def _levels(value: Any) -> Any:
    if value is All:
        return value
    if isinstance(value, Span):
        if value.step != 1:
            raise ValueError
        return Span(_level(value.start), All if value.end is All else _level(value.end))
    return tuple(map(_level, value)) if isinstance(value, (list, tuple, range)) else _level(value)


LEVELS = Constraint(
    "a level other than 0, a Span of levels, a list of levels, or All",
    _levels,
    (0, 1.5, "no level", [0], [1.5], Span(1, 3, 2), Span(0, 2)),
)


def level_axes(levels: Any, rank: int, does: str) -> tuple[int, ...]:
    """The axes, from 0 and in order, that the levels of an array of this rank are; `does` says in messages what is done with them."""

    def axis(level: int) -> int:
        if not -rank <= level <= rank:
            raise Contradiction(f"{does} level {level}, which an array of rank {rank} does not have", "Input")
        return level - 1 if level > 0 else level + rank

    if levels is All:
        return tuple(range(rank))
    if isinstance(levels, Span):
        first, last = axis(levels.start), rank - 1 if levels.end is All else axis(levels.end)
        if first > last:
            raise Contradiction(f"{does} the levels {levels}, of which an array of rank {rank} has none", "Input")
        return tuple(range(first, last + 1))
    axes = [axis(level) for level in (levels if isinstance(levels, tuple) else (levels,))]
    if len(set(axes)) < len(axes):
        raise Contradiction(f"{does} a level twice: {list(levels)} of an array of rank {rank}", "Input")
    return tuple(sorted(axes))


def level_count(levels: Any) -> int | None:
    """How many levels these are, None where that depends on the rank."""
    if levels is All:
        return None
    if isinstance(levels, Span):
        return None if levels.end is All or (levels.start > 0) is not (levels.end > 0) else levels.end - levels.start + 1
    return len(levels) if isinstance(levels, tuple) else 1
