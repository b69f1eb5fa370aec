"""The symbols of the Wolfram Language that nets are written with, and the few list functions that ports need.

A symbol is one object however often it is imported, copied or pickled.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from netdsl.errors import DeclarationError, excerpt, public

__all__ = [
    "All",
    "Automatic",
    "File",
    "Infinity",
    "Inherited",
    "Keys",
    "Length",
    "Normal",
    "NormalDistribution",
    "Quantity",
    "RandomSample",
    "Range",
    "Restricted",
    "Rule",
    "Scaled",
    "Span",
    "Symbol",
    "Take",
    "Thread",
    "TwoWayRule",
    "UniformDistribution",
    "Values",
]


class Symbol:
    """A named object that stands for itself, such as `All` or `Automatic`.

    Two symbols are equal when their names are; a symbol prints as its name.

    >>> All
    All
    """

    __slots__ = ("name",)
    _known: ClassVar[dict[str, Symbol]] = {}
    name: str

    def __new__(cls, name: str) -> Symbol:
        if name not in cls._known:
            symbol = super().__new__(cls)
            object.__setattr__(symbol, "name", name)
            cls._known[name] = symbol
        return cls._known[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self.name} is a symbol and cannot be changed.")

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return Symbol, (self.name,)

    def __copy__(self) -> Symbol:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Symbol:
        return self


All = Symbol("All")
"""Everything: all results of NetTrain, all outputs of a net, all parts, the end of a `Span`."""

Automatic = Symbol("Automatic")
"""What follows by itself: a size from its neighbours, a default that depends on net and data, a seed drawn anew."""

Inherited = Symbol("Inherited")
"""What stands at the same place of the input, as in ``ReshapeLayer([Inherited, 4])``."""

Infinity = float("inf")
"""The infinite number, the same as ``float("inf")``."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule ``key -> value``: an edge of a graph, an example with its target, an entry of an association.

    Equal rules have equal sides; a rule unpacks into its two sides.

    >>> Rule("a", 1)
    Rule('a', 1)
    >>> key, value = Rule("a", 1)
    """

    key: Any
    value: Any

    def __iter__(self) -> Iterator[Any]:
        yield self.key
        yield self.value

    def __repr__(self) -> str:
        return f"Rule({self.key!r}, {self.value!r})"


@dataclass(frozen=True, slots=True)
class TwoWayRule:
    """The rule ``left <-> right``: two levels that change places, as in ``TransposeLayer(TwoWayRule(1, 2))``.

    >>> TwoWayRule(1, 2)
    TwoWayRule(1, 2)
    """

    left: Any
    right: Any

    def __repr__(self) -> str:
        return f"TwoWayRule({self.left!r}, {self.right!r})"


@dataclass(frozen=True, slots=True)
class Span:
    """The positions ``start ;; end ;; step``, counted from 1, both ends included; negative ones count from the end.

    >>> Span(2, 4).positions(10)
    range(2, 5)
    """

    start: Any = 1
    end: Any = All
    step: int = 1

    def __repr__(self) -> str:
        step = "" if self.step == 1 else f", {self.step}"
        return f"Span({self.start!r}, {self.end!r}{step})"

    def positions(self, length: int) -> range:
        """The 1-based positions among `length` things."""
        start, end = (length if p is All else p + length + 1 if p < 0 else p for p in (self.start, self.end))
        if not (1 <= start <= length + 1 and 0 <= end <= length) or self.step == 0:
            raise DeclarationError(f"{self!r} does not fit {length} things. Positions run from 1 to {length}.")
        return range(start, end + (1 if self.step > 0 else -1), self.step)


@dataclass(frozen=True, slots=True)
class Scaled:
    """A fraction of something: ``ValidationSet=Scaled(0.1)``, or a weight: ``Rule("loss", Scaled(-1))``.

    >>> Scaled(0.1).fraction
    0.1
    """

    fraction: float

    def __repr__(self) -> str:
        return f"Scaled({self.fraction!r})"


@dataclass(frozen=True, slots=True)
class Restricted:
    """The port shape of an integer from 1 to n, ``Restricted("Integer", n)``, or from m to n, ``Restricted("Integer", [m, n])``.

    >>> Restricted("Integer", [0, 9])
    Restricted('Integer', [0, 9])
    """

    kind: str
    bounds: Any = Infinity

    def __post_init__(self) -> None:
        if isinstance(self.bounds, list):
            object.__setattr__(self, "bounds", tuple(self.bounds))

    def __repr__(self) -> str:
        bounds = list(self.bounds) if isinstance(self.bounds, tuple) else self.bounds
        return f"Restricted({self.kind!r}, {bounds!r})"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit, such as ``Quantity(20, "Seconds")`` or ``Quantity(5, "Percent")``.

    >>> Quantity(20, "Seconds").unit
    'Seconds'
    """

    magnitude: float
    unit: str

    def __repr__(self) -> str:
        return f"Quantity({self.magnitude!r}, {self.unit!r})"


@dataclass(frozen=True, slots=True)
class File:
    """A file, where a bare string would mean something else.

    >>> File("digit.png").path
    'digit.png'
    """

    path: str

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        return f"File({self.path!r})"


@dataclass(frozen=True, slots=True)
class NormalDistribution:
    """Normally distributed numbers of this mean and standard deviation.

    >>> NormalDistribution(0, 0.01)
    NormalDistribution(0, 0.01)
    """

    mean: float = 0
    deviation: float = 1

    def __repr__(self) -> str:
        return f"NormalDistribution({self.mean!r}, {self.deviation!r})"


@dataclass(frozen=True, slots=True)
class UniformDistribution:
    """Numbers distributed uniformly between two bounds: ``UniformDistribution([-1, 1])``.

    >>> UniformDistribution([-1, 1])
    UniformDistribution([-1, 1])
    """

    bounds: Any = (0, 1)

    def __post_init__(self) -> None:
        low, high = self.bounds
        object.__setattr__(self, "bounds", (low, high))

    def __repr__(self) -> str:
        return f"UniformDistribution({list(self.bounds)!r})"


def is_rules(things: object) -> bool:
    """Whether the thing is a non-empty list of rules: an association written as a list."""
    return isinstance(things, (list, tuple)) and len(things) > 0 and all(isinstance(thing, Rule) for thing in things)


def suboptions(things: Iterable[object]) -> dict[Any, Any] | None:
    """The associations and rules among which suboptions are given, as one dict; None where one of them is neither."""
    found: dict[Any, Any] = {}
    for thing in things:
        if not isinstance(thing, (Mapping, Rule)):
            return None
        found |= {thing.key: thing.value} if isinstance(thing, Rule) else thing
    return found


@public
def Keys(association: Any, /) -> Any:
    """The keys of an association, a rule, a list of rules, labelled data, or the layer names of a net.

    >>> Keys({"a": 1, "b": 2})
    ['a', 'b']
    >>> Keys([Rule("x", 1), Rule("y", 2)])
    ['x', 'y']
    """
    if isinstance(association, Mapping):
        return list(association.keys())
    if isinstance(association, Rule):
        return association.key
    if isinstance(association, (list, tuple)) and all(isinstance(rule, Rule) for rule in association):
        return [rule.key for rule in association]
    if callable(getattr(association, "keys", None)):
        return association.keys()
    raise DeclarationError(f"Keys takes an association, rules or a net. Got {excerpt(association)}.")


@public
def Values(association: Any, /) -> Any:
    """The values of an association, a rule, a list of rules, labelled data, or the layers of a net.

    >>> Values({"a": 1, "b": 2})
    [1, 2]
    """
    if isinstance(association, Mapping):
        return list(association.values())
    if isinstance(association, Rule):
        return association.value
    if isinstance(association, (list, tuple)) and all(isinstance(rule, Rule) for rule in association):
        return [rule.value for rule in association]
    if callable(getattr(association, "values", None)):
        return association.values()
    raise DeclarationError(f"Values takes an association, rules or a net. Got {excerpt(association)}.")


@public
def Thread(rule: Rule, /) -> list[Rule]:
    """The list of rules that a rule of two lists means.

    >>> Thread(Rule([1, 2], ["a", "b"]))
    [Rule(1, 'a'), Rule(2, 'b')]
    """
    keys, values = rule
    if len(keys) != len(values):
        raise DeclarationError(f"Thread takes two lists of equal length. Got lengths {len(keys)} and {len(values)}.")
    return [Rule(key, value) for key, value in zip(keys, values)]


@public
def Normal(thing: Any, /) -> Any:
    """The plain form of a thing: an association as rules, an array as nested lists, a net as its layers, data as rules.

    >>> Normal({"a": 1})
    [Rule('a', 1)]
    """
    if isinstance(thing, Mapping):
        return [Rule(key, value) for key, value in thing.items()]
    if callable(getattr(thing, "normal", None)):
        return thing.normal()
    if hasattr(thing, "__array__"):
        return np.asarray(thing).tolist()
    return thing


@public
def Range(start: int, end: int | None = None, step: int = 1, /) -> list[int]:
    """The integers from `start` to `end`, both included; ``Range(n)`` counts from 1.

    >>> Range(0, 9)
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    >>> Range(3)
    [1, 2, 3]
    """
    if step == 0:
        raise DeclarationError("Range takes a step other than 0.")
    if end is None:
        start, end = 1, start
    return list(range(start, end + (1 if step > 0 else -1), step))


def Length(thing: Any, /) -> int:
    """The number of elements of a list, association, net or data.

    >>> Length([1, 2, 3])
    3
    """
    return len(thing)


@public
def Take(things: Any, count: Any, /) -> Any:
    """The first n things, the last n for -n, or those of ``[m, n]``; positions count from 1.

    >>> Take([1, 2, 3, 4], 2), Take([1, 2, 3, 4], -1), Take([1, 2, 3, 4], [2, 3])
    ([1, 2], [4], [2, 3])
    """
    if isinstance(count, (list, tuple)):
        start, end = (c + len(things) + 1 if c < 0 else c for c in count)
        first, last = start - 1, end
    else:
        first, last = (0, count) if count >= 0 else (len(things) + count, len(things))
    if not 0 <= first <= last <= len(things):
        raise DeclarationError(f"Take: there are {len(things)} things, so {count!r} of them cannot be taken.")
    return things[first:last]


@public
def RandomSample(things: Any, count: int | None = None, /, *, RandomSeeding: Any = 1234) -> Any:
    """`count` of the things (all of them by default) in random order, none twice.

    `things` is a list, an array or labelled data. The same seed gives the same sample; ``RandomSeeding=Automatic`` draws a new one.

    Differences from Wolfram: reproducible by default, and global seeds are never touched.

    >>> sorted(RandomSample([1, 2, 3]))
    [1, 2, 3]
    """
    size = len(things)
    count = size if count is None else count
    if not 0 <= count <= size:
        raise DeclarationError(f"RandomSample: there are {size} things, so {count} different ones cannot be drawn.")
    chosen = np.random.default_rng(None if RandomSeeding is Automatic else RandomSeeding).permutation(size)[:count]
    if isinstance(things, (list, tuple)):
        return [things[i] for i in chosen]
    return things[chosen]
