"""Positions: which part of a net a number, a name or a path means, with Mathematica's counting."""

from __future__ import annotations

from typing import Any

from netdsl.constraints import is_integer
from netdsl.containers import NetChain, NetGraph
from netdsl.errors import DeclarationError, PartError, excerpt, nearest
from netdsl.nets import Net, path_text
from netdsl.symbols import All, Span

__all__ = ["as_path", "chain_of", "find_part", "is_number", "is_numbered", "part_name", "part_names", "span_names"]


def is_number(thing: object) -> bool:
    """Whether the thing counts parts: an integer, but not True or False."""
    return is_integer(thing)


def part_names(net: Net) -> list[str]:
    """The names of the parts in their order."""
    return net._cached("_part_names", lambda: list(net.nets))


def is_numbered(net: Net) -> bool:
    """Whether the parts have no names but their numbers."""
    return part_names(net) == [str(i + 1) for i in range(len(net.nets))]


def as_path(position: Any) -> tuple[Any, ...]:
    """The position as a path: a list or tuple is one already."""
    return tuple(position) if isinstance(position, (list, tuple)) else (position,)


def find_part(net: Net, position: Any) -> str | None:
    """The name of the part at this position, or None when there is none."""
    if isinstance(position, str):
        return position if position in net.nets else None
    if is_number(position):
        names, number = part_names(net), int(position)
        if 1 <= abs(number) <= len(names):
            return names[number - 1 if number > 0 else number]
    return None


def part_name(net: Net, position: Any, function: str, trail: tuple[str, ...] = ()) -> str:
    """The name of the part at this position; PartError when there is none, in the name of `function`."""
    name = find_part(net, position)
    if name is None:
        raise PartError(missing_part(net, position, function, trail))
    return name


def missing_part(net: Net, position: Any, function: str, trail: tuple[str, ...] = (), further: tuple[str, ...] = ()) -> str:
    """The message that there is no such part; `further` are other names that could stand there."""
    whole = f"{function}: {place_text(net, trail)} has no part {excerpt(position)}."
    names = part_names(net)
    if is_number(position):
        if int(position) == 0:
            return f"{whole} Parts are numbered from 1: 1 is the first, -1 the last."
        count = "1 part" if len(names) == 1 else f"{len(names)} parts, numbered from 1" if names else "no parts"
        return f"{whole} It has {count}."
    if not isinstance(position, str):
        return f"{whole} A position is a number, a name, All, Span(m, n), NetArray(name) or a list of them that leads inward."
    known = [name for name in names if not name.isdigit()] if names and is_numbered(net) else names
    known = [*known, *further]
    if not known:
        return f"{whole} Its parts are numbered from 1 to {len(names)}." if names else f"{whole} There are none."
    return f"{whole} {nearest(position, known)}"


def place_text(net: Net, trail: tuple[str, ...]) -> str:
    """How messages call the net at this path."""
    return f"the {net.title()} at {path_text(trail)!r}" if trail else f"this {net.title()}"


def span_names(net: Net, span: Any, function: str) -> list[str]:
    """The names of the parts that a Span, All or one position means."""
    names = part_names(net)
    if span is All:
        return names
    if not isinstance(span, Span):
        return [part_name(net, span, function)]
    ends = []
    for end in (span.start, span.end):
        if isinstance(end, str):
            end = names.index(part_name(net, end, function)) + 1
        if end is not All and (not is_number(end) or not 1 <= abs(int(end)) <= len(names)):
            raise PartError(missing_part(net, end, function))
        ends.append(end)
    positions = Span(ends[0], ends[1], span.step).positions(len(names))
    if not positions:
        raise PartError(f"{function}: {span!r} of {place_text(net, ())} holds no part. Give the first position before the last.")
    return [names[position - 1] for position in positions]


def chain_of(net: Any, function: str) -> NetChain:
    """The net itself when it is a chain; DeclarationError when it is another thing."""
    if isinstance(net, NetChain):
        return net
    if isinstance(net, NetGraph):
        raise DeclarationError(
            f"{function} takes a NetChain, whose layers have an order. Got a NetGraph: build another "
            "NetGraph with "
            "this one as a layer, or NetFlatten it first where it is a chain."
        )
    raise DeclarationError(f"{function} takes a NetChain. Got {excerpt(net)}.")
