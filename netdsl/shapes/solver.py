"""One worklist over the relations of a program: what follows, who fixed it, and every contradiction once.

The solver knows nothing of nets. It is given *variables* (the wires and arrays of a program, by number) and *nodes* (the
relations between them); a node is asked again only when a variable of it was refined by another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netdsl.shapes.signature import Contradiction, merge_sizes
from netdsl.shapes.types import OPEN, ArrayType, Elements, Joined, Length, Size

__all__ = ["Clash", "Node", "Origin", "Solution", "Solver"]

Relate = Callable[[Mapping[str, ArrayType]], Mapping[str, ArrayType]]


class Origin(NamedTuple):
    """Who fixed something: the node (or declaration) and how: "parameter", "array", "derived", "default" or "declared"."""

    owner: Any
    slot: str
    how: str


@dataclass(frozen=True, slots=True)
class Node:
    """One relation: its owner, its function, and which variable each slot of it is."""

    owner: Any
    relate: Relate
    slots: Mapping[str, int]
    inputs: frozenset[str]
    outputs: frozenset[str]
    given: Mapping[str, ArrayType] = field(default_factory=dict)
    default: Relate | None = None


class Clash(NamedTuple):
    """One contradiction: at `slot` of `owner`, `new` was found where `old` stood already, fixed by `origin`."""

    owner: Any
    slot: str
    new: ArrayType | None
    old: ArrayType
    how: str
    origin: Origin | None
    fact: str


@dataclass(slots=True)
class Solution:
    """What the solver found: the type of each variable, who fixed its parts, and the clashes."""

    types: list[ArrayType]
    origins: dict[tuple[int, int | str], Origin]
    clashes: list[Clash]
    equal: list[tuple[Length, Length]]
    """Lengths that have to be equal, and of which neither by its name follows from the other."""


class Solver:
    """The state of one solution: types, origins, varying lengths found equal."""

    def __init__(self, variables: int) -> None:
        self.types: list[ArrayType] = [OPEN] * variables
        self.origins: dict[tuple[int, int | str], Origin] = {}
        self.clashes: list[Clash] = []
        self.same: dict[Length, Length] = {}
        self.equal: dict[tuple[Length, Length], None] = {}
        self.called: dict[Length, Length] = {}
        self.watchers: list[list[int]] = [[] for _ in range(variables)]
        self.failed: set[Hashable] = set()

    def declare(self, variable: int, type_: ArrayType, owner: Any, slot: str, consumer: bool = False) -> None:
        """Fix what a declaration says of a variable."""
        self._merge(variable, type_, Origin(owner, slot, "declared"), consumer)

    def solve(self, nodes: list[Node]) -> Solution:
        """Refine until nothing changes; then let the nodes' defaults fix what is still open."""
        for index, node in enumerate(nodes):
            for variable in node.slots.values():
                self.watchers[variable].append(index)
        for node in nodes:
            self._ask(node, dict.fromkeys(node.slots, OPEN), "parameter", node.relate)
            if node.given:
                for name, type_ in node.given.items():
                    self._merge(node.slots[name], type_, Origin(node.owner, name, "array"), False, name)
                self._ask(node, dict.fromkeys(node.slots, OPEN) | dict(node.given), "array", node.relate)
        self._settle(nodes, range(len(nodes)))
        for index, node in enumerate(nodes):
            if node.default is not None and node.owner not in self.failed:
                changed = self._ask(node, self._view(node), "default", node.default)
                self._settle(nodes, [index, *(w for v in changed for w in self.watchers[v])])
        equal = [(self._root(a), self._root(b)) for a, b in self.equal]
        for pair in equal:
            a, b = sorted(map(self._called, pair), key=lambda length: bool(length.steps) or isinstance(length.name, Joined))
            if a != b:
                self.called[b] = a
        if self.same or self.called:
            self.types = [self._representative(type_) for type_ in self.types]
        return Solution(self.types, self.origins, self.clashes, [(a, b) for a, b in dict.fromkeys(equal) if a != b])

    def _view(self, node: Node) -> dict[str, ArrayType]:
        return {slot: self.types[variable] for slot, variable in node.slots.items()}

    def _settle(self, nodes: list[Node], start: range | list[int]) -> None:
        queue = deque(start)
        waiting = set(queue)
        while queue:
            index = queue.popleft()
            waiting.discard(index)
            node = nodes[index]
            if node.owner in self.failed:
                continue
            for variable in self._ask(node, self._view(node), "derived", node.relate):
                for watcher in self.watchers[variable]:
                    if watcher not in waiting:
                        waiting.add(watcher)
                        queue.append(watcher)

    def _ask(self, node: Node, types: Mapping[str, ArrayType], how: str, relate: Relate) -> list[int]:
        """The variables that were refined by what the node says of these types."""
        try:
            said = relate(types)
            _only_level_one_varies(said)
        except Contradiction as clash:
            slot = clash.slot or next(iter(node.slots), "")
            variable = node.slots.get(slot)
            old = types.get(slot, OPEN)
            origin = None if variable is None else self._origin(variable, old, None)
            self._clash(Clash(node.owner, slot, None, old, how, origin, clash.fact))
            return []
        changed = []
        for slot, type_ in said.items():
            variable = node.slots.get(slot)
            if variable is not None and type_ != self.types[variable]:
                if how == "array" and slot not in node.given:
                    origin = Origin(node.owner, next(iter(node.given)), how)
                else:
                    origin = Origin(node.owner, slot, how)
                if self._merge(variable, type_, origin, slot not in node.outputs, slot):
                    changed.append(variable)
                elif node.owner in self.failed:
                    break
        return changed

    def _merge(self, variable: int, new: ArrayType, origin: Origin, consumer: bool, slot: str = "") -> bool:
        old = self.types[variable]
        try:
            sizes = self._merge_sizes(old.sizes, new.sizes)
            elements = _merge_elements(old.elements, new.elements, consumer)
        except Contradiction as clash:
            self._clash(
                Clash(
                    origin.owner,
                    slot or origin.slot,
                    new,
                    old,
                    origin.how + ":" + origin.slot,
                    self._origin(variable, old, new),
                    clash.fact,
                )
            )
            return False
        if sizes == old.sizes and elements == old.elements:
            return False
        self.types[variable] = ArrayType(sizes, elements)
        if sizes is not None:
            if old.sizes is None:
                self.origins[variable, "rank"] = origin
            for level, size in enumerate(sizes):
                if size is not None and (old.sizes is None or old.sizes[level] is None):
                    self.origins[variable, level] = origin
        if elements is not None and elements != old.elements:
            self.origins[variable, "elements"] = origin
        return True

    def _merge_sizes(self, old: tuple[Size, ...] | None, new: tuple[Size, ...] | None) -> tuple[Size, ...] | None:
        if old is None or new is None or old == new:
            return new if old is None else old
        if len(old) != len(new):
            raise Contradiction("ranks differ")
        merged = []
        for a, b in zip(old, new):
            if isinstance(a, Length) and isinstance(b, Length) and a != b:
                self._unite(a, b)
            merged.append(merge_sizes(a, b))
        return tuple(merged)

    def _unite(self, a: Length, b: Length) -> None:
        """Record that two lengths are equal: one by its name follows from the other where that can be."""
        first, second = self._root(a), self._root(b)
        if first == second:
            return
        if first.name == second.name:
            raise Contradiction("sequences of different lengths meet")
        shift = _shift(second, first)
        if shift != 0 and _shift(first, second) is not None and (shift is None or _shift(first, second) == 0):
            first, second, shift = second, first, _shift(first, second)
        if shift is None:
            self.equal[first, second] = None
            return
        self.same[Length(second.name)] = first.then(-shift)

    def _root(self, length: Length) -> Length:
        while (name := Length(length.name)) in self.same:
            length = self.same[name].follow(length.steps)
        if isinstance(length.name, Joined):
            length = length.name.over(self._root).follow(length.steps)
        return length

    def _representative(self, type_: ArrayType) -> ArrayType:
        if not type_.varying:
            return type_
        length = self._called(self._root(type_.sizes[0]))  # type: ignore[index,arg-type]
        return ArrayType((length, *type_.sizes[1:]), type_.elements)  # type: ignore[index]

    def _called(self, length: Length) -> Length:
        """The one that stands for all lengths that have to be equal to this one."""
        while length in self.called:
            length = self.called[length]
        return length

    def _origin(self, variable: int, old: ArrayType, new: ArrayType | None) -> Origin | None:
        """Who fixed the part of `old` at which `new` clashes."""
        if new is not None and old.sizes is not None and new.sizes is not None and len(old.sizes) == len(new.sizes):
            for level, (a, b) in enumerate(zip(old.sizes, new.sizes)):
                if a is not None and b is not None and a != b:
                    return self.origins.get((variable, level))
            return self.origins.get((variable, "elements"))
        return self.origins.get((variable, "rank"))

    def _clash(self, clash: Clash) -> None:
        self.clashes.append(clash)
        self.failed.add(clash.owner)


def _shift(length: Length, other: Length) -> int | None:
    """How much longer this is than the length of its name, None where that depends or the other is made of it."""
    if isinstance(length.name, Joined) or other.uses(length.name):
        return None
    if not length.steps:
        return 0
    (add, divide), *further = length.steps
    return add if divide == 1 and not further else None


def _only_level_one_varies(said: Mapping[str, ArrayType]) -> None:
    for slot, type_ in said.items():
        level = next((level for level, size in enumerate(type_.sizes or ()) if level and isinstance(size, Length)), None)
        if level is not None:
            raise Contradiction(
                f"would have an {slot} of varying size at level {level + 1}; only level 1 of a port can vary", slot
            )


def _merge_elements(old: Elements | None, new: Elements | None, consumer: bool) -> Elements | None:
    """Elements of a wire. A consumer of reals takes integers too; reals cannot stand where integers are needed."""
    if new is None or old == new:
        return old
    if old is None:
        return None if consumer and new.kind == "real" else new
    if old.kind == "integer" and new.kind == "integer":
        return Elements("integer", _bound(old.low, new.low), _bound(old.high, new.high))
    if old.kind == "integer" and consumer:
        return old
    if old.kind == "real" and new.kind == "real":
        return old
    raise Contradiction("real numbers meet integers")


def _bound(a: int | None, b: int | None) -> int | None:
    if a is None or b is None or a == b:
        return b if a is None else a
    raise Contradiction("integers of different ranges meet")
