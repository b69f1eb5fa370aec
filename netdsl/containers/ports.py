"""NetPort, NetPortGradient and edges: how ports and the wires of a graph are written."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from netdsl.errors import DeclarationError, excerpt
from netdsl.symbols import All, Rule

__all__ = ["Edge", "NetPort", "NetPortGradient", "edges"]


class _Path:
    """A name, or positions of parts and then a name."""

    __slots__ = ("path",)
    path: tuple[Any, ...]
    takes = "the name of a port, or layers and then a port"

    def __init__(self, *path: Any) -> None:
        if len(path) == 1 and isinstance(path[0], (list, tuple)):
            path = tuple(path[0])
        if not path or not isinstance(path[-1], str) or not all(isinstance(p, (str, int)) or p is All for p in path):
            raise DeclarationError(f"{type(self).__name__} takes {self.takes}. Got {excerpt(path)}.")
        object.__setattr__(self, "path", tuple(path))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path[0] if len(self.path) == 1 else list(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.path == other.path

    def __hash__(self) -> int:
        return hash((type(self), self.path))


class NetPort(_Path):
    """A port of a net or of a part of it.

    ``NetPort("port")``, ``NetPort("layer", "port")``, ``NetPort(["layer", "port"])``, ``NetPort([1, 2, "port"])`` for a port of an
    inner part. In a graph, ``NetPort("Input") >> "layer" >> NetPort("loss", "Input")`` is an edge.

    >>> NetPort("a", "Input")
    NetPort(['a', 'Input'])

    Differences from Wolfram: ``NetPort["a"] -> "b"`` is written ``NetPort("a") >> "b"`` or as a tuple.
    """

    __slots__ = ()

    @property
    def inner(self) -> str:
        """The port's name in the part that the path begins with; of a state deeper inside, its path there."""
        return "/".join(map(str, self.path[1:]))

    def __rshift__(self, target: Any) -> _Arrow:
        return _Arrow((self, target))

    def __rrshift__(self, source: Any) -> _Arrow:
        return _Arrow((source, self))


class NetPortGradient(_Path):
    """The gradient of a net's outputs with respect to an input port or an array, asked of a net in place of its outputs.

    g = ∂(Σ s·y)/∂x, the sum over all elements of all outputs y; s is 1, or what is imposed on an output

    ``net(data, NetPortGradient("Input"))`` is the gradient with respect to a port, ``NetPortGradient("Weights")`` with respect to
    an array of a layer, ``NetPortGradient(["conv", "Weights"])`` of a layer deep inside. ``net(data, ["Output", NetPortGradient("a"),
    NetPortGradient("b")])`` computes all at once, a dict in place of the list gives a dict.

    A gradient has the shape of what it is taken with respect to: for an encoded port that of the encoded array. For a list of
    examples that of an input is a list, that of an array the sum over the examples. That of a shared array is the sum over its
    places.

    ``net({"Input": x, NetPortGradient("Output"): s}, NetPortGradient("Input"))`` imposes the gradient s on the output; on the
    outputs that are given none, 0 is imposed then.

    Raises PartError for a port or array that is not there, and for a port of integers, which has no gradient.

    >>> net = NetChain([LinearLayer([], Weights=[[2, -3]], Biases=[1])], Input=2)
    >>> net([1.0, 10.0], NetPortGradient("Input")).tolist()
    [2.0, -3.0]
    >>> net([1.0, 10.0], NetPortGradient([1, "Weights"])).tolist()
    [[1.0, 10.0]]

    Differences from Wolfram: the gradients of arrays are summed over a list of examples, and an output without an imposed gradient
    has 0 where another has one [M]. Source: Wolfram's public reference page.
    """

    __slots__ = ()
    takes = "the name of a port or an array, or layers and then an array"


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
