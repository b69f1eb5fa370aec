"""The notation of shape rules: ``"in -> out"``, ``"... c -> ... c"``, ``"Input: ... c, Target: ... of 1..c -> Loss:"``.

A slot is ``name: sizes``; names may be left out for one input (Input) and one output (Output). Equal size names are equal
sizes, ``...`` stands for any sizes, the same wherever it stands, numbers for themselves. ``of real``, ``of 1..c`` and
``of e`` say what the elements are: real, the integers 1 to c, or whatever ``e`` is elsewhere. Without it an input takes
any numbers, an output gives reals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from netdsl.shapes.types import INTEGER, OPEN, REAL, ArrayType, Elements, Length, Size, shape_text

__all__ = ["Contradiction", "Signature", "Slot", "merge_sizes", "parse_signature"]


class Contradiction(Exception):
    """What a relation between types raises when they cannot hold together: a short fact, and the slot it shows at."""

    def __init__(self, fact: str, slot: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.slot = slot


class Slot(NamedTuple):
    """One port or array of a signature."""

    name: str
    before: tuple[str | int, ...]
    rest: bool
    after: tuple[str | int, ...]
    elements: str | None


class Signature(NamedTuple):
    """A parsed shape rule."""

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    arrays: tuple[Slot, ...] = ()

    def relate(self, types: Mapping[str, ArrayType], bound: Mapping[str, Size]) -> dict[str, ArrayType]:
        """The types refined by what follows from each other and from the sizes already `bound`."""
        names = dict(bound)
        rest: tuple[Size, ...] | None = None
        kinds: dict[str, Elements] = {}
        slots = self.inputs + self.outputs + self.arrays
        for slot in slots:
            known = types.get(slot.name, OPEN)
            if slot.elements is not None:
                _learn_elements(slot, known, names, kinds)
            if known.sizes is None:
                continue
            first, last = len(slot.before), len(known.sizes) - len(slot.after)
            if first > last or (first < last and not slot.rest):
                raise Contradiction(f"takes {_ranks(slot)}", slot.name)
            for name, size in zip(slot.before + slot.after, known.sizes[:first] + known.sizes[last:]):
                if isinstance(name, int):
                    if size is not None and size != name:
                        raise Contradiction(f"needs a size of {name} where {_size_word(size)} is given", slot.name)
                elif size is not None:
                    names[name] = merge_sizes(names.get(name), size, slot.name)
            if slot.rest:
                middle = known.sizes[first:last]
                if rest is None:
                    rest = middle
                elif len(rest) != len(middle):
                    raise Contradiction("needs ports of fitting ranks", slot.name)
                else:
                    rest = tuple(merge_sizes(a, b, slot.name) for a, b in zip(rest, middle))
        return {slot.name: self._write(slot, names, rest, kinds, slot in self.outputs) for slot in slots}

    @staticmethod
    def _write(
        slot: Slot, names: Mapping[str, Size], rest: tuple[Size, ...] | None, kinds: Mapping[str, Elements], output: bool
    ) -> ArrayType:
        elements: Elements | None = REAL if output else None
        if slot.elements is not None:
            if slot.elements == "real":
                elements = REAL
            elif slot.elements.startswith("1.."):
                high = names.get(slot.elements[3:])
                elements = Elements("integer", 1, high) if isinstance(high, int) else INTEGER
            else:
                elements = kinds.get(slot.elements)
        if slot.rest and rest is None:
            return ArrayType(None, elements)
        before = tuple(n if isinstance(n, int) else names.get(n) for n in slot.before)
        after = tuple(n if isinstance(n, int) else names.get(n) for n in slot.after)
        return ArrayType(before + (rest if slot.rest and rest else ()) + after, elements)


def _learn_elements(slot: Slot, known: ArrayType, names: dict[str, Size], kinds: dict[str, Elements]) -> None:
    if known.elements is None:
        return
    kind = slot.elements or ""
    if kind.startswith("1.."):
        if known.elements.kind == "integer" and known.elements.low not in (None, 1):
            raise Contradiction(f"takes integers that count from 1, not from {known.elements.low}", slot.name)
        if known.elements.high is not None and known.elements.kind == "integer" and known.elements.low in (None, 1):
            name = kind[3:]
            names[name] = merge_sizes(names.get(name), known.elements.high, slot.name)
    elif kind != "real":
        kinds.setdefault(kind, known.elements)


def merge_sizes(a: Size, b: Size, slot: str | None = None) -> Size:
    """What two sizes that must be equal say together. Two varying lengths merge into the first; the solver records it."""
    if a is None or a == b:
        return b
    if b is None:
        return a
    if isinstance(a, Length) and isinstance(b, Length):
        if a.name == b.name:
            raise Contradiction(f"needs equal lengths where {shape_text((a,))} and {shape_text((b,))} meet", slot)
        return a
    raise Contradiction(f"needs equal sizes where {_size_word(a)} and {_size_word(b)} meet", slot)


def _size_word(size: Size) -> str:
    return "a varying length" if isinstance(size, Length) else str(size)


def _ranks(slot: Slot) -> str:
    rank = len(slot.before) + len(slot.after)
    if rank == 0 and not slot.rest:
        return "a single number"
    name = {1: "a vector", 2: "a matrix"}.get(rank, f"an array of rank {rank}")
    return f"an array of rank {rank} or more" if slot.rest else name


_SLOT = re.compile(r"(?:(?P<name>[A-Za-z]\w*)\s*:)?(?P<sizes>[^:]*?)(?:\bof\s+(?P<of>\S+))?\s*")


@cache
def parse_signature(text: str) -> Signature:
    """The signature that the text means; raises ValueError when it means none.

    >>> [slot.name for slot in parse_signature("Input: ... c, Target: ... of 1..c -> Loss:").inputs]
    ['Input', 'Target']
    """
    sides = text.split("->")
    if len(sides) != 2:
        raise ValueError(f"a signature has one arrow: {text!r}")
    inputs, outputs = (
        tuple(parse_slot(part, default) for part in side.split(",")) if side.strip() else ()
        for side, default in zip(sides, ("Input", "Output"))
    )
    return Signature(inputs, outputs)


@cache
def parse_slot(text: str, default: str) -> Slot:
    """One slot of a signature; `default` names it when it does not name itself."""
    match = _SLOT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a slot of a signature: {text!r}")
    words = match["sizes"].split()
    if words.count("...") > 1:
        raise ValueError(f"'...' stands twice in {text!r}")
    cut = words.index("...") if "..." in words else len(words)
    sizes = [int(word) if word.isdigit() else word for word in words if word != "..."]
    rest = "..." in words
    return Slot(match["name"] or default, tuple(sizes[:cut]), rest, tuple(sizes[cut:]) if rest else (), match["of"])
