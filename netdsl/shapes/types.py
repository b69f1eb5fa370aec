"""What a port takes or gives: sizes, rank and element kind, each open or known.

A size is an integer, a `Length` (a varying size, only at level 1) or ``None`` while open. Open parts are the
bottom of a lattice that the solver climbs: it may fix what is open and never changes what is fixed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Container, Iterable, Mapping
from functools import reduce
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from netdsl.constraints import LARGEST, is_integer
from netdsl.errors import DeclarationError, excerpt
from netdsl.symbols import Automatic, Restricted, Symbol

__all__ = [
    "INTEGER",
    "OPEN",
    "REAL",
    "SCALAR",
    "VARYING",
    "ArrayType",
    "Elements",
    "Joined",
    "Length",
    "Size",
    "array_of",
    "describe",
    "element_count",
    "first_length",
    "parse_type",
    "shape_form",
    "shape_text",
    "sum_of_sizes",
    "type_text",
]


class Length(NamedTuple):
    """A varying size. Equal ones mean equal lengths in every example; the empty name is a fresh one.

    The name is that of a length by itself, or says of which others it is made. `steps` say how it is made from the length of that
    name, n: each makes ``(n + add) // divide`` of it.
    """

    name: str | Joined
    steps: tuple[tuple[int, int], ...] = ()

    def then(self, add: int, divide: int = 1) -> Length:
        """The length ``(n + add) // divide`` of what has this length n."""
        steps = self.steps
        if steps and steps[-1][1] == 1:
            add, steps = steps[-1][0] + add, steps[:-1]
        return Length(self.name, steps if (add, divide) == (0, 1) else (*steps, (add, divide)))

    def before(self, more: int) -> Length:
        """The length that has to be there, `more` than this one, for this one to follow from it: another by name."""
        return Length(f"{self.text}{more:+d}") if more else self

    @property
    def text(self) -> str:
        """What tells it from others."""
        return f"{self.name if isinstance(self.name, str) else self.name.text}{self.steps or ''}"

    def follow(self, steps: tuple[tuple[int, int], ...]) -> Length:
        """What these steps make of it."""
        return reduce(lambda length, step: length.then(*step), steps, self)

    @property
    def _made_of(self) -> tuple[Length, ...]:
        """The lengths from which it follows at once."""
        if isinstance(self.name, Joined):
            return tuple(size for size in self.name.sizes if isinstance(size, Length))
        return (Length(self.name),) if self.steps else ()

    def sources(self, known: Container[Length]) -> tuple[Length, ...]:
        """Those of the known lengths from which this one follows; none where they do not say it."""
        if self in known:
            return (self,)
        found = [each.sources(known) for each in self._made_of]
        return tuple(dict.fromkeys(chain(*found))) if all(found) else ()

    def value(self, known: Mapping[Length, Any]) -> Any:
        """The length, or one for each example, where its sources are these."""
        if self in known:
            return known[self]
        name = self.name
        value = name.value(known) if isinstance(name, Joined) else known[Length(name)]
        for more, divide in self.steps:
            value = (value + more) // divide
        return value

    def renamed(self, change: Callable[[str], str]) -> Length:
        """The same made of lengths of other names."""
        if isinstance(self.name, Joined):
            return self.name.over(lambda each: each.renamed(change)).follow(self.steps)
        return Length(change(self.name), self.steps)

    def uses(self, name: str | Joined) -> bool:
        """Whether it is made of the length of this name."""
        return self.name == name or any(each.uses(name) for each in self._made_of if each.name != self.name)

    def __repr__(self) -> str:
        return "'Varying'"


class Joined(NamedTuple):
    """What makes one length of several sizes: their "sum" or their "min"."""

    how: str
    sizes: tuple[Length | int, ...]

    @property
    def text(self) -> str:
        """What tells it from others."""
        return f"{self.how}({', '.join(size.text if isinstance(size, Length) else str(size) for size in self.sizes)})"

    def over(self, change: Callable[[Length], Length]) -> Length:
        """The length made of these, changed."""
        sizes = tuple(change(size) if isinstance(size, Length) else size for size in self.sizes)
        return Length(Joined(self.how, sizes)) if self.how == "min" else sum_of_sizes(sizes)  # type: ignore[return-value]

    def value(self, known: Mapping[Length, Any]) -> Any:
        """The length where those from which it follows are these."""
        values = [size.value(known) if isinstance(size, Length) else size for size in self.sizes]
        return reduce(operator.add if self.how == "sum" else np.minimum, values)


VARYING = Length("")

Size = int | Length | None


class Elements(NamedTuple):
    """The kind of an array's elements: real numbers, or the integers from `low` to `high` (open where None)."""

    kind: str
    low: int | None = None
    high: int | None = None


REAL = Elements("real")
INTEGER = Elements("integer")


class ArrayType(NamedTuple):
    """The type of a port or array: its sizes (None: rank open) and elements (None: kind open)."""

    sizes: tuple[Size, ...] | None = None
    elements: Elements | None = None

    @property
    def rank(self) -> int | None:
        """The number of levels, None while open."""
        return None if self.sizes is None else len(self.sizes)

    @property
    def known(self) -> bool:
        """Whether rank and every size are fixed (a varying size counts as fixed)."""
        return self.sizes is not None and None not in self.sizes

    @property
    def varying(self) -> bool:
        """Whether level 1 is of varying length."""
        return self.sizes is not None and len(self.sizes) > 0 and isinstance(self.sizes[0], Length)

    def repeated(self, sizes: tuple[Size, ...]) -> ArrayType:
        """This type with other sizes below level 1."""
        return ArrayType(((self.sizes or (None,))[0], *sizes), self.elements)

    def renamed(self, change: Callable[[str], str]) -> ArrayType:
        """This type with lengths of other names."""
        if not self.sizes or not isinstance(self.sizes[0], Length):
            return self
        return ArrayType((self.sizes[0].renamed(change), *self.sizes[1:]), self.elements)

    @property
    def integer(self) -> bool:
        """Whether the elements are integers."""
        return self.elements is not None and self.elements.kind == "integer"


OPEN = ArrayType()
SCALAR = ArrayType((), REAL)


def array_of(*sizes: Size) -> ArrayType:
    """The type of a real array of these sizes."""
    return ArrayType(sizes, REAL)


def first_length(types: Iterable[ArrayType]) -> Length | None:
    """The length of the first of these types that varies, None where none does."""
    return next((type_.sizes[0] for type_ in types if type_.varying), None)  # type: ignore[index,return-value]


def element_count(sizes: tuple[Size, ...] | None) -> int | None:
    """The product of the sizes, None unless all are integers."""
    if sizes is None or any(not isinstance(size, int) for size in sizes):
        return None
    return math.prod(sizes)  # type: ignore[arg-type]


def sum_of_sizes(sizes: Iterable[int | Length]) -> int | Length:
    """The sum of sizes, a length where one of them varies."""
    sizes = tuple(sizes)
    fixed = sum(size for size in sizes if isinstance(size, int))
    varying = sorted((size for size in sizes if isinstance(size, Length)), key=lambda size: size.text)
    if not varying:
        return fixed
    return (varying[0] if len(varying) == 1 else Length(Joined("sum", tuple(varying)))).then(fixed)


def parse_type(shape: Any, port: str) -> ArrayType:
    """The type that a shape of the user's means; `port` names the port in messages.

    Shapes: ``"Real"``, ``"Integer"``, ``Restricted("Integer", n)``, ``n``, lists of sizes with ``Automatic`` for an open one,
    ``"Varying"`` for a varying one at level 1, and an element kind at the end of a list.

    >>> parse_type([1, 28, 28], "Input")
    ArrayType(sizes=(1, 28, 28), elements=Elements(kind='real', low=None, high=None))
    """
    if isinstance(shape, ArrayType):
        return shape
    if shape is Automatic:
        return OPEN
    kind = _elements(shape)
    if kind is not None:
        return ArrayType((), kind)
    sizes = list(shape) if isinstance(shape, (list, tuple)) else [shape]
    elements = REAL
    if sizes and not isinstance(sizes[-1], Length):
        kind = _elements(sizes[-1])
        if kind is not None:
            elements = kind
            sizes = sizes[:-1]
    return ArrayType(tuple(_size(size, place, shape, port) for place, size in enumerate(sizes)), elements)


def _elements(shape: Any) -> Elements | None:
    if isinstance(shape, Restricted):
        if shape.kind != "Integer":
            raise DeclarationError(f'{shape!r}: only "Integer" can be restricted.')
        low, high = shape.bounds if isinstance(shape.bounds, tuple) else (1, shape.bounds)
        bounds: list[Any] = [None if isinstance(b, float) and math.isinf(b) else b for b in (low, high)]
        if any(b is not None and not isinstance(b, int) for b in bounds) or (None not in bounds and bounds[0] > bounds[1]):
            raise DeclarationError(f"{shape!r}: the bounds are integers, the lower first.")
        return Elements("integer", *bounds)
    if isinstance(shape, str) and shape in ("Real", "Integer"):
        return REAL if shape == "Real" else INTEGER
    return None


def _size(size: Any, place: int, shape: Any, port: str) -> Size:
    if isinstance(size, Length) or (isinstance(size, str) and size == "Varying"):
        if place:
            raise DeclarationError(
                f'Port {port!r}: the shape {excerpt(shape)} has "Varying" at level {place + 1}; only level 1 can vary.'
            )
        return size if isinstance(size, Length) else VARYING
    if size is Automatic or size is None:
        return None
    if not is_integer(size):
        raise DeclarationError(
            f"Port {port!r} cannot have the shape {excerpt(shape)}. A shape is a size, a list of sizes (with Automatic or "
            f'"Varying"), "Real", "Integer", Restricted("Integer", n), a NetEncoder or a NetDecoder.'
        )
    if not 1 <= size <= LARGEST:
        raise DeclarationError(f"Port {port!r} cannot have the shape {excerpt(shape)}: sizes are from 1 to {LARGEST}.")
    return operator.index(size)


def shape_text(sizes: tuple[Size, ...] | None) -> str:
    """The sizes as ``3x28x28``."""
    if sizes is None:
        return "?"
    return "x".join(_size_text(size) for size in sizes)


def _size_text(size: Size) -> str:
    if not isinstance(size, Length):
        return "?" if size is None else str(size)
    text = "n"
    for add, divide in size.steps:
        text = f"({text}{add:+d})" if add and divide > 1 else f"{text}{add:+d}" if add else text
        text = text if divide == 1 else f"{text}//{divide}"
    return text


def describe(type_: ArrayType) -> str:
    """The type in words, for messages and tables."""
    elements = type_.elements
    of = ""
    if elements is not None and elements.kind == "integer":
        of = f" of {_integers(elements, plural=True)}"
    if type_.sizes is None:
        return f"{_integers(elements, plural=True)}, in an array of any rank" if of else "an array of unknown rank"  # type: ignore[arg-type]
    if not type_.sizes:
        return "a real number" if not of else _integers(elements, plural=False)  # type: ignore[arg-type]
    name = {1: "a vector", 2: "a matrix"}.get(len(type_.sizes), "an array")
    if len(type_.sizes) == 1 and not isinstance(type_.sizes[0], int):
        return f"a vector of {'unknown' if type_.sizes[0] is None else 'varying'} size{of}"
    return f"{name} of size {shape_text(type_.sizes)}{of}"


def type_text(type_: ArrayType) -> str:
    """The type in Mathematica's words for a port line: ``vector (size: 10)``.

    >>> type_text(array_of(1, 28, 28))
    'array (size: 1x28x28)'
    """
    elements = type_.elements
    integer = elements is not None and elements.kind == "integer"
    of = ""
    if integer:
        of = f" of {_integers(elements, plural=True)}"  # type: ignore[arg-type]
    if type_.sizes is None:
        return f"array{of}"
    if not type_.sizes:
        return "integer" + _bounds(elements) if integer else "real"  # type: ignore[arg-type]
    name = {1: "vector", 2: "matrix"}.get(len(type_.sizes), "array")
    return f"{name}{of} (size: {shape_text(type_.sizes)})"


def _integers(elements: Elements, plural: bool) -> str:
    return ("integers" if plural else "an integer") + _bounds(elements)


def _bounds(elements: Elements) -> str:
    if elements.high is None:
        return "" if elements.low in (None, 1) else f" from {elements.low}"
    return f" from {1 if elements.low is None else elements.low} to {elements.high}"


def shape_form(type_: ArrayType) -> Any:
    """The shape a user would write for this type: the inverse of `parse_type`."""
    elements = type_.elements
    kind: Any = None
    if elements is not None and elements.kind == "integer":
        if elements.high is None and elements.low in (None, 1):
            kind = "Integer"
        elif elements.low in (None, 1):
            kind = Restricted("Integer", elements.high)
        else:
            kind = Restricted("Integer", (elements.low, float("inf") if elements.high is None else elements.high))
    if type_.sizes is None:
        return Automatic
    if not type_.sizes:
        return kind or "Real"
    sizes: list[int | str | Symbol] = [
        "Varying" if isinstance(size, Length) else Automatic if size is None else size for size in type_.sizes
    ]
    if kind is not None:
        return [*sizes, kind]
    return sizes[0] if len(sizes) == 1 and sizes[0] is not Automatic else sizes
