"""Layers that change the levels of an array: ReplicateLayer, TransposeLayer, PaddingLayer, PartLayer, AppendLayer, PrependLayer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.constraints import NATURAL, NUMBER, POSITIVE, Constraint, either, integer, list_of, one_of
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError
from netdsl.layers.elementwise import equal_sizes
from netdsl.layers.sequences import lengthened, shifted
from netdsl.layers.structure import common_elements
from netdsl.nets import Layer, Sequence
from netdsl.shapes import REAL, ArrayType, Contradiction, Elements, Length, Size
from netdsl.symbols import All, Automatic, Rule, Span, TwoWayRule

__all__ = ["AppendLayer", "PaddingLayer", "PartLayer", "PrependLayer", "ReplicateLayer", "TransposeLayer"]

_POSITION = either(integer(1), integer(high=-1))
_SIZE = either(POSITIVE, one_of(Automatic))


class ReplicateLayer(Layer):
    """Repeats an array along new levels.

    y[i1, …, r1, …, rm, j1, …] = x[i1, …, j1, …], with the new levels r1 … rm from Level on.

    Ports: Input, an array, number or sequence of any elements; Output, with the new levels, of the same elements. Level 1 may vary
    where the new levels come after it.

    Parameters: Dimensions, the size or list of sizes of the new levels, each a positive integer or Automatic (it follows from the
    net around); Level, where they start in the output, from 1 (default) to the input's rank + 1.

    >>> ReplicateLayer([2])([1.0, 5.0]).tolist()
    [[1.0, 5.0], [1.0, 5.0]]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Dimensions: Any = parameter(either(POSITIVE, one_of(Automatic), list_of(_SIZE, "a list of these")), positional=True)
    Level: Any = parameter(POSITIVE, 1, positional=True)

    arithmetic = "none"
    varying = "elementwise"

    @property
    def new(self) -> tuple[Size, ...]:
        """The sizes of the new levels, None where open."""
        sizes = self.Dimensions if isinstance(self.Dimensions, tuple) else (self.Dimensions,)
        return tuple(None if size is Automatic else size for size in sizes)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        first, new = self.Level - 1, self.new
        last = first + len(new)
        inputs, outputs = types["Input"].sizes, types["Output"].sizes
        elements = types["Input"].elements or types["Output"].elements
        if inputs is not None and first > len(inputs):
            raise Contradiction(f"puts new levels at level {self.Level} of an array of rank {len(inputs)}", "Input")
        if outputs is not None:
            rank = last if inputs is None else len(inputs) + len(new)
            if len(outputs) < rank or (inputs is not None and len(outputs) != rank):
                raise Contradiction(f"makes an array of rank {rank}{' or more' if inputs is None else ''}", "Output")
            new = equal_sizes(new, outputs[first:last], "Output") or ()
            inputs = equal_sizes(inputs, outputs[:first] + outputs[last:], "Output")
        if inputs is None:
            return {"Output": ArrayType(None, elements)}
        if any(isinstance(size, Length) for size in new):
            raise Contradiction("makes new levels of fixed size, not of varying size", "Output")
        return {"Input": ArrayType(inputs, elements), "Output": ArrayType((*inputs[:first], *new, *inputs[first:]), elements)}

    def apply(self, arrays: Any, x: Any, *, sizes: Any) -> Any:
        first, last = self.Level - 1, self.Level - 1 + len(self.new)
        x = jnp.expand_dims(x, tuple(range(first, last)))
        return jnp.broadcast_to(x, (*x.shape[:first], *sizes[first:last], *x.shape[last:]))


def _swap(value: Any) -> TwoWayRule:
    if not isinstance(value, TwoWayRule):
        raise ValueError
    return TwoWayRule(_POSITION.keep(value.left), _POSITION.keep(value.right))


def _permutation(value: Any) -> tuple[int, ...]:
    kept = list_of(POSITIVE, "").keep(value)
    if isinstance(value, Rule) or sorted(kept) != list(range(1, len(kept) + 1)):
        raise ValueError
    return kept


_SWAP = Constraint("", _swap)
_PERMUTATION = Constraint(
    "TwoWayRule(m, n), a list of them, or a permutation of levels such as [2, 1]",
    either(_SWAP, list_of(_SWAP, ""), Constraint("", _permutation)).keep,
    (2, "levels", [1, 1], [2, 3], Rule(1, 2), TwoWayRule(0, 1), [TwoWayRule(1, 2), 3]),
)


class TransposeLayer(Layer):
    """Puts the levels of an array in another order.

    y[j, i, …] = x[i, j, …] for TwoWayRule(1, 2)

    Ports: Input, an array; Output, the same elements with the levels in the new order. Level 1 may vary where it stays level 1.

    Parameters: Permutation, TwoWayRule(m, n): levels m and n change places (default TwoWayRule(1, 2); -1 is the last level); a list
    of them, done one after the other; or a list [n1, n2, …]: level k of the input becomes level nk of the output, levels beyond
    the list stay.

    >>> TransposeLayer()([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).tolist()
    [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Permutation: Any = parameter(_PERMUTATION, TwoWayRule(1, 2), positional=True)

    arithmetic = "none"
    varying = "elementwise"

    def order(self, rank: int, port: str = "Input") -> list[int]:
        """The levels of an input of this rank in the order that the output has them, from 0."""
        moves = self.Permutation if isinstance(self.Permutation, tuple) else (self.Permutation,)
        named = [level for move in moves for level in ((move.left, move.right) if isinstance(move, TwoWayRule) else (move,))]
        beyond = next((level for level in named if abs(level) > rank), None)
        if beyond is not None:
            raise Contradiction(f"moves level {beyond}, which an array of rank {rank} does not have", port)
        order = list(range(rank))
        for level, move in enumerate(moves):
            if isinstance(move, TwoWayRule):
                a, b = (n - 1 if n > 0 else n for n in (move.left, move.right))
                order[a], order[b] = order[b], order[a]
            else:
                order[move - 1] = level
        return order

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, outputs = types["Input"].sizes, types["Output"].sizes
        elements = types["Input"].elements or types["Output"].elements
        if outputs is not None:
            if inputs is not None and len(inputs) != len(outputs):
                raise Contradiction("keeps the rank of its input", "Output")
            order = self.order(len(outputs), "Output" if inputs is None else "Input")
            inputs = equal_sizes(inputs, tuple(outputs[order.index(level)] for level in range(len(order))), "Output")
        if inputs is None:
            return {"Output": ArrayType(None, elements)}
        made = tuple(inputs[level] for level in self.order(len(inputs)))
        return {"Input": ArrayType(inputs, elements), "Output": ArrayType(made, elements)}

    def apply(self, arrays: Any, x: Any) -> Any:
        return jnp.transpose(x, self.order(x.ndim))


class PaddingLayer(Layer):
    """Adds elements before and after those of each level.

    y[p, …] = x[p - m, …] inside, Padding outside; m elements are added before level 1

    Ports: Input, an array; Output, larger by m + n at each level that is padded. Level 1 may vary: it is padded after its last real
    element.

    Parameters: PaddingSize, a list of pairs [m, n], one for each level from the first on: m elements before, n after; Padding, a
    number (default 0), "Fixed" (the first and the last element are repeated) or "Reflected" (the elements come back in reverse
    order, without the outermost being repeated).

    A number that is an integer keeps integers integers; another makes them real.

    >>> PaddingLayer([[1, 2]], Padding="Reflected")([1.0, 2.0, 3.0]).tolist()
    [2.0, 1.0, 2.0, 3.0, 2.0, 1.0]

    Differences from Wolfram: levels beyond the list are not padded [M]. Source: Wolfram's public reference page.
    """

    PaddingSize: Any = parameter(list_of(list_of(NATURAL, "a pair", length=2), "a list of pairs [m, n]"), positional=True)
    Padding: Any = parameter(either(NUMBER, one_of("Fixed", "Reflected")), 0.0)

    arithmetic = "none"
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, outputs = types["Input"].sizes, types["Output"].sizes
        for port, sizes in (("Input", inputs), ("Output", outputs)):
            if sizes is not None and len(sizes) < len(self.PaddingSize):
                raise Contradiction(f"pads {len(self.PaddingSize)} levels of an array of rank {len(sizes)}", port)
        if outputs is not None:
            if inputs is not None and len(inputs) != len(outputs):
                raise Contradiction("keeps the rank of its input", "Output")
            needed = [shifted(size, -sum(pair), "Output") for size, pair in zip(outputs, self._pairs(len(outputs)))]
            inputs = tuple(a if a is not None else b for a, b in zip(inputs or (None,) * len(needed), needed))
        if inputs is None:
            return {"Output": ArrayType(None, self._elements(types["Input"]))}
        made = tuple(shifted(size, sum(pair), "Input") for size, pair in zip(inputs, self._pairs(len(inputs))))
        return {"Input": ArrayType(inputs), "Output": ArrayType(made, self._elements(types["Input"]))}

    def _pairs(self, rank: int) -> list[tuple[int, int]]:
        """The numbers of elements before and after, for each level."""
        return [*self.PaddingSize, *[(0, 0)] * (rank - len(self.PaddingSize))]

    @property
    def _is_integer(self) -> bool:
        return self.Padding == int(self.Padding) and abs(self.Padding) < 2**31

    def _elements(self, given: ArrayType) -> Elements | None:
        if isinstance(self.Padding, str):
            return given.elements
        padding = Elements("integer", int(self.Padding), int(self.Padding)) if self._is_integer else REAL
        return common_elements({"Input": given, "Padding": ArrayType((), padding)}, ["Input", "Padding"])

    def apply(self, arrays: Any, x: Any) -> Any:
        data = x.data if isinstance(x, Sequence) else x
        pairs = self._pairs(data.ndim)
        if not isinstance(self.Padding, str) and not self._is_integer:
            data = data.astype(jnp.result_type(data.dtype, float))
        if isinstance(x, Sequence):
            return Sequence(self._padded(self._around(x.with_data(data)), [(0, 0), *pairs[1:]]), x.length + sum(pairs[0]))
        return self._padded(data, pairs)

    def _padded(self, data: Any, pairs: list[tuple[int, int]]) -> Any:
        if isinstance(self.Padding, str):
            return jnp.pad(data, pairs, mode={"Fixed": "edge", "Reflected": "reflect"}[self.Padding])
        return jnp.pad(data, pairs, constant_values=self.Padding)

    def _around(self, x: Sequence) -> Any:
        """The data of a sequence padded along level 1, before its first and after its last real element."""
        before, after = self._pairs(1)[0]
        places = jnp.minimum(jnp.arange(x.data.shape[0] + before + after), x.length + before + after - 1) - before
        if self.Padding == "Reflected":
            period = jnp.maximum(2 * (x.length - 1), 1)
            return jnp.take(x.data, jnp.minimum(places % period, period - places % period), axis=0, mode="clip")
        data = jnp.take(x.data, jnp.clip(places, 0, x.length - 1), axis=0, mode="clip")
        if self.Padding == "Fixed":
            return data
        inside = ((places >= 0) & (places < x.length)).reshape(-1, *(1,) * (data.ndim - 1))
        return jnp.where(inside, data, jnp.asarray(self.Padding, data.dtype))


def _part(value: Any) -> Any:
    if value is All:
        return value
    if isinstance(value, Span):
        start, end = (place if place is All else _POSITION.keep(place) for place in (value.start, value.end))
        return Span(start, end, _POSITION.keep(value.step))
    return _POSITION.keep(value)


_PART = Constraint("", _part)
_PARTS = Constraint(
    "an integer other than 0, Span(m, n), All or a list of them; positions count from 1, and Span, not a Python slice, says a range",
    either(_PART, list_of(_PART, "")).keep,
    (0, 1.5, "first", slice(0, 2), Span(0, 2), Span(1, 2, 0), [1, 0], [slice(1, 2)]),
)


class PartLayer(Layer):
    """Some of the elements of each level of an array.

    y = x[[i, j ;; k, …]]

    Ports: Input, an array; Output, without the levels of which one element is taken. Level 1 may vary where what a Span takes of it
    is a fixed number of elements, or all but a fixed number.

    Parameters: Part, an integer (negative ones count from the end), Span(m, n), Span(m, n, step), All, or a list of them, one for
    each level from the first on.

    Raises ShapeError where nothing would be taken.

    >>> PartLayer([Span(2, 3), -1])([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).tolist()
    [4.0, 6.0]

    Differences from Wolfram: other Spans of a varying level, such as Span(1, All, 2), are refused.
    Source: Wolfram's public reference page.
    """

    Part: Any = parameter(_PARTS, positional=True)

    arithmetic = "none"
    varying = "aware"

    def parts_of(self, rank: int) -> tuple[Any, ...]:
        """What is taken of each level of an array of this rank: an integer or a Span."""
        parts = self.Part if isinstance(self.Part, tuple) else (self.Part,)
        return tuple(Span() if part is All else part for part in parts) + (Span(),) * (rank - len(parts))

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, outputs = types["Input"].sizes, types["Output"].sizes
        elements = types["Input"].elements or types["Output"].elements
        dropped = sum(isinstance(part, int) for part in self.parts_of(0))
        if inputs is None and outputs is not None:
            inputs = (None,) * (len(outputs) + dropped)
        if inputs is None:
            return {"Output": ArrayType(None, elements)}
        parts = self.parts_of(len(inputs))
        if len(parts) > len(inputs):
            raise Contradiction(
                f"takes parts of {len(parts)} levels, where an array of rank {len(inputs)} has fewer",
                "Output" if types["Input"].sizes is None else "Input",
            )
        if outputs is not None and len(outputs) != len(inputs) - dropped:
            raise Contradiction(f"makes an array of rank {len(inputs) - dropped}", "Output")
        needed: list[Size] = []
        made: list[Size] = []
        for level, (part, size) in enumerate(zip(parts, inputs), 1):
            if isinstance(part, int):
                if isinstance(size, int):
                    _positions(part, size, level)
            else:
                difference = _difference(part)
                if size is None and outputs is not None and difference is not None:
                    size = shifted(outputs[len(made)], -difference, "Output")
                made.append(_taken(part, size, level))
            needed.append(size)
        return {"Input": ArrayType(tuple(needed), elements), "Output": ArrayType(tuple(made), elements)}

    def shortest(self) -> int:
        part = self.parts_of(1)[0]
        difference = _difference(part)
        return _reach(part) if difference is None else 1 - difference

    def apply(self, arrays: Any, x: Any) -> Any:
        data = x.data if isinstance(x, Sequence) else x
        parts = self.parts_of(data.ndim)
        if not isinstance(x, Sequence):
            return data[tuple(map(_index, parts, data.shape))]
        below = tuple(map(_index, parts[1:], data.shape[1:]))
        first, difference = parts[0], _difference(parts[0])
        if isinstance(first, int):
            return jax.lax.dynamic_index_in_dim(data, first - 1 if first > 0 else x.length + first, 0, keepdims=False)[below]
        if difference is not None:
            places = first.start - 1 + jnp.minimum(jnp.arange(data.shape[0] + difference), x.length + difference - 1)
            return Sequence(jnp.take(data, places, axis=0, mode="clip")[(slice(None), *below)], x.length + difference)
        places = np.asarray(first.positions(_reach(first))) - 1 + (0 if _ends(first)[0] > 0 else x.length - _reach(first))
        return jnp.take(data, places, axis=0, mode="clip")[(slice(None), *below)]


def _ends(span: Span) -> tuple[int, int]:
    """Where a Span starts and ends; All is the last element."""
    return (-1 if span.start is All else span.start), (-1 if span.end is All else span.end)


def _reach(part: Any) -> int:
    """The least size that a level must have for this part of it, as far as each end says."""
    return abs(part) if isinstance(part, int) else max(map(abs, _ends(part)))


def _difference(part: Any) -> int | None:
    """How many elements more than the level a Span takes, where that is the same for all sizes."""
    if isinstance(part, int):
        return None
    start, end = _ends(part)
    return end + 2 - start if start > 0 > end and part.step == 1 else None


def _positions(part: Any, size: int, level: int) -> range:
    """The positions that are taken of a level; none, and those outside, are refused."""
    try:
        found = (Span(part, part) if isinstance(part, int) else part).positions(size)
    except DeclarationError:
        found = range(0)
    if not found:
        raise Contradiction(f"cannot take {part!r} of level {level}, which has {size} element{'s' if size > 1 else ''}", "Input")
    return found


def _taken(span: Span, size: Size, level: int) -> Size:
    """The number of elements that a Span takes."""
    (start, end), difference = _ends(span), _difference(span)
    if not isinstance(size, int) and (start > 0) == (end > 0):
        return len(_positions(span, _reach(span), level))
    if isinstance(size, int):
        return len(_positions(span, size, level))
    if isinstance(size, Length) and difference is None:
        raise Contradiction(f"cannot take {span!r} of a level of varying size", "Input")
    return None if size is None or difference is None else size.then(difference)


def _index(part: Any, size: int) -> Any:
    """The part of a level of this size as NumPy writes it."""
    if isinstance(part, int):
        return part - 1 if part > 0 else part
    found = part.positions(size)
    stop = found[-1] - 1 + (1 if part.step > 0 else -1)
    return slice(found[0] - 1, stop if stop >= 0 else None, part.step)


class _OneMore(Layer):
    """What AppendLayer and PrependLayer share: an output with one element more along level 1."""

    arithmetic = "none"
    signature = "Input: ..., Element: ... -> ..."
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, outputs = lengthened(types["Input"].sizes, types["Output"].sizes, 1)
        element = types["Element"].sizes
        if element is not None:
            inputs, outputs = lengthened(equal_sizes(inputs, (None, *element), "Element"), outputs, 1)
        return {
            "Input": ArrayType(inputs),
            "Element": ArrayType(None if inputs is None else inputs[1:]),
            "Output": ArrayType(outputs, common_elements(types, ["Input", "Element"])),
        }

    def shortest(self) -> int:
        return 0


class AppendLayer(_OneMore):
    """Adds one element after those along level 1; after the last real one of a varying sequence.

    y[t] = x[t], t = 1 … length; y[length + 1] = element

    Ports: Input, an array of rank 1 or more (level 1 may vary); Element, an array of one level less; Output, one element more.

    >>> AppendLayer()({"Input": [1.0, 2.0], "Element": 3.0}).tolist()
    [1.0, 2.0, 3.0]

    Differences from Wolfram: none known. Source: Wolfram's public option tables.
    """

    def apply(self, arrays: Any, x: Any, element: Any) -> Any:
        if not isinstance(x, Sequence):
            return jnp.concatenate([x, element[None]])
        longer = jnp.concatenate([x.data, x.data[-1:]])
        inside = (jnp.arange(longer.shape[0]) < x.length).reshape(-1, *(1,) * element.ndim)
        return Sequence(jnp.where(inside, longer, element), x.length + 1)


class PrependLayer(_OneMore):
    """Adds one element before those along level 1.

    y[1] = element; y[t + 1] = x[t], t = 1 … length

    Ports: Input, an array of rank 1 or more (level 1 may vary); Element, an array of one level less; Output, one element more.

    >>> PrependLayer()({"Input": [1.0, 2.0], "Element": 3.0}).tolist()
    [3.0, 1.0, 2.0]

    Differences from Wolfram: none known. Source: Wolfram's public option tables.
    """

    def apply(self, arrays: Any, x: Any, element: Any) -> Any:
        longer = jnp.concatenate([element[None], x.data if isinstance(x, Sequence) else x])
        return Sequence(longer, x.length + 1) if isinstance(x, Sequence) else longer
