"""NetPort and edges: how the wires of a graph are written."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from netdsl.errors import DeclarationError, excerpt
from netdsl.symbols import All, Rule

__all__ = ["Edge", "NetPort", "edges"]


class NetPort:
    """A port of a net or of a part of it.

    ``NetPort("port")``, ``NetPort("layer", "port")``, ``NetPort(["layer", "port"])``, ``NetPort([1, 2, "port"])`` for a port of an
    inner part. In a graph, ``NetPort("Input") >> "layer" >> NetPort("loss", "Input")`` is an edge.

    >>> NetPort("a", "Input")
    NetPort(['a', 'Input'])

    Differences from Wolfram: ``NetPort["a"] -> "b"`` is written ``NetPort("a") >> "b"`` or as a tuple.
    """

    __slots__ = ("path",)
    path: tuple[Any, ...]

    def __init__(self, *path: Any) -> None:
        if len(path) == 1 and isinstance(path[0], (list, tuple)):
            path = tuple(path[0])
        if not path or not isinstance(path[-1], str) or not all(isinstance(p, (str, int)) or p is All for p in path):
            raise DeclarationError(f"NetPort takes the name of a port, or layers and then a port. Got {excerpt(path)}.")
        object.__setattr__(self, "path", tuple(path))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("NetPort is immutable.")

    @property
    def inner(self) -> str:
        """The port's name in the part that the path begins with; of a state deeper inside, its path there."""
        return "/".join(map(str, self.path[1:]))

    def __rshift__(self, target: Any) -> _Arrow:
        return _Arrow((self, target))

    def __rrshift__(self, source: Any) -> _Arrow:
        return _Arrow((source, self))

    def __repr__(self) -> str:
        return f"NetPort({self.path[0]!r})" if len(self.path) == 1 else f"NetPort({list(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetPort) and self.path == other.path

    def __hash__(self) -> int:
        return hash((NetPort, self.path))


class _Arrow:
    """What ``>>`` makes: a path of edges."""

    __slots__ = ("stops",)

    def __init__(self, stops: tuple[Any, ...]) -> None:
        self.stops = stops

    def __rshift__(self, target: Any) -> _Arrow:
        return _Arrow((*self.stops, target))

    def __rrshift__(self, source: Any) -> _Arrow:
        return _Arrow((source, *self.stops))

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self.stops))


class Edge(NamedTuple):
    """One step of an arrow: what feeds what. Either side may be a list."""

    source: Any
    target: Any
    written: str


def edges(specification: Any) -> list[Edge]:
    """The edges that a user's specification means, in order."""
    found: list[Edge] = []
    _collect(specification, found)
    return found


def _collect(thing: Any, found: list[Edge]) -> None:
    if isinstance(thing, Mapping):
        raise DeclarationError(
            "Edges are not written as a dict: equal keys would vanish. Write a list of pairs: "
            '[("a", "b"), ("a", "c")] or [Rule("a", "b"), Rule("a", "c")].'
        )
    if isinstance(thing, list):
        for item in thing:
            _collect(item, found)
        return
    stops = _stops(thing)
    if stops is None:
        hint = ""
        if isinstance(thing, int):
            hint = f" Python reads 1 >> 2 as a bit shift, which gives {1 >> 2}: write the edge as (1, 2)."
        raise DeclarationError(
            f'{excerpt(thing)} is no edge. An edge is a tuple (1, 2), a Rule(1, 2), or NetPort("Input") >> 1.{hint}'
        )
    written = excerpt(thing)
    for source, target in pairwise(stops):
        if (isinstance(source, int) and not isinstance(source, bool) and source == 0) or (
            isinstance(target, int) and target == 0
        ):
            raise DeclarationError(
                f"The edge {written} names layer 0; layers count from 1. If it came from 1 >> 2: Python reads "
                "that as a bit shift; write (1, 2)."
            )
        found.append(Edge(source, target, written))


def _stops(thing: Any) -> tuple[Any, ...] | None:
    if isinstance(thing, _Arrow):
        stops = thing.stops
    elif isinstance(thing, Rule):
        stops = (thing.key, thing.value)
    elif isinstance(thing, tuple) and len(thing) >= 2:
        stops = thing
    else:
        return None
    flat: list[Any] = []
    for position, stop in enumerate(stops):
        inner = _stops(stop) if isinstance(stop, (Rule, _Arrow)) else None
        if inner is not None and position == len(stops) - 1:
            flat += inner
        else:
            flat.append(stop)
    return tuple(flat)
