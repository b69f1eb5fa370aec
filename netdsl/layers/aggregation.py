"""Layers that aggregate, contract, order and pick: AggregationLayer, SummationLayer, DotLayer, OrderingLayer, ExtractLayer and
UnitVectorLayer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import COUNT, NAMES, POSITIVE, Constraint, either, integer, one_of
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError
from netdsl.functions import AGGREGATIONS, FUNCTIONS, Function
from netdsl.layers.elementwise import equal_sizes, real_numbers
from netdsl.layers.levels import LEVELS, level_axes, level_count
from netdsl.nets import Layer, Sequence
from netdsl.shapes import INTEGER, REAL, ArrayType, Contradiction, Joined, Length, Size, merge_sizes, parse_signature
from netdsl.symbols import All, Automatic, Span

__all__ = ["AggregationLayer", "DotLayer", "ExtractLayer", "OrderingLayer", "SummationLayer", "UnitVectorLayer"]


def _aggregation(value: Any) -> Function:
    function = FUNCTIONS[value] if isinstance(value, str) and value in AGGREGATIONS else value
    if not isinstance(function, Function) or function.__name__ not in AGGREGATIONS:
        raise ValueError
    return function


class AggregationLayer(Layer):
    """One number for all elements along some levels: their mean, greatest, total and the like.

    y[i...] = f over k... of x[i..., k...]

    Ports: Input, an array; Output, the array without the aggregated levels, real. Level 1 of a sequence may vary: aggregated, it is
    over the true length.

    Parameters: Function, one of `Mean`, `Min`, `Max`, `Total`, `Times`, `Median`, `Variance`, `StandardDeviation`, `MeanDeviation`,
    `InterquartileRange`, or its name; Levels, a level n (negative ones count from the end), ``Span(m, n)``, a list of levels, or `All`
    (default ``Span(2, All)``: all but the first).

    >>> AggregationLayer(Mean)([[1.0, 3.0], [4.0, 6.0]]).tolist()
    [2.0, 5.0]
    >>> AggregationLayer(Max, 1)([[1.0, 3.0], [4.0, 2.0]]).tolist()
    [4.0, 3.0]

    Differences from Wolfram: `Variance` has the divisor n - 1, as in the language itself [M], and is 0 for one element; so is
    `StandardDeviation`. Source: Wolfram's public reference page.
    """

    Function: Any = parameter(
        Constraint(f"one of {', '.join(AGGREGATIONS)}, or its name", _aggregation, ("Mode", 3, FUNCTIONS["Tanh"])),
        positional=True,
    )
    Levels: Any = parameter(LEVELS, Span(2, All), positional=True)

    arithmetic = "exact"
    varying = "aware"

    def _check(self) -> None:
        if self.Levels == ():
            raise DeclarationError("AggregationLayer takes one level or more. Got [].")
        super()._check()

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, outputs = types["Input"].sizes, types["Output"].sizes
        if inputs is None:
            levels, count = Span(1, All) if self.Levels is All else self.Levels, level_count(self.Levels)
            if isinstance(levels, Span) and levels.end is All and levels.start > 0:
                return {"Output": ArrayType((None,) * (levels.start - 1), REAL)}
            if outputs is None or count is None:
                return {"Output": ArrayType(None, REAL)}
            inputs = (None,) * (len(outputs) + count)
        axes = level_axes(self.Levels, len(inputs), "aggregates")
        kept = [axis for axis in range(len(inputs)) if axis not in axes]
        if outputs is not None and len(outputs) != len(kept):
            raise Contradiction(f"makes an array of rank {len(kept)}", "Output")
        made = equal_sizes(tuple(inputs[axis] for axis in kept), outputs, "Output") or ()
        sizes = tuple(made[kept.index(axis)] if axis in kept else size for axis, size in enumerate(inputs))
        return {"Input": ArrayType(sizes), "Output": ArrayType(made, REAL)}

    def apply(self, arrays: Any, x: Any) -> Any:
        data = x.data if isinstance(x, Sequence) else x
        axes = level_axes(self.Levels, data.ndim, "aggregates")
        kept = tuple(size for axis, size in enumerate(data.shape) if axis not in axes)
        values = jnp.moveaxis(real_numbers(data), axes, tuple(range(len(axes)))).reshape(-1, *kept)
        count = x.length * math.prod(data.shape[axis] for axis in axes[1:]) if isinstance(x, Sequence) and 0 in axes else None
        y = AGGREGATIONS[self.Function.__name__](values, count)
        return x.with_data(y) if isinstance(x, Sequence) and count is None else y


class SummationLayer(Layer):
    """The sum of all elements.

    y = Σ over i... of x[i...]

    Ports: Input, an array (level 1 may vary); Output, a number.

    >>> float(SummationLayer()([[1.0, 2.0], [3.0, 4.0]]))
    10.0

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    arithmetic = "exact"
    signature = "... -> Output:"
    varying = "aware"

    def apply(self, arrays: Any, x: Any) -> Any:
        return AggregationLayer(FUNCTIONS["Total"], All).apply(arrays, x)


class DotLayer(Layer):
    """The product of arrays: the last level of each is contracted with the first of the next.

    y[i..., j...] = Σ over k of a[i..., k] · b[k, j...], and so on from left to right

    Ports: any number of inputs of rank 1 or more; Output, whose rank is the sum of theirs less 2 for each product, real. Level 1 of
    the inputs may vary: contracted, it counts at its true length.

    Parameters: InputPorts, a number or a list of names.

    >>> DotLayer()([[[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]]).tolist()
    [3.0, 7.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    InputPorts: Any = parameter(either(COUNT, NAMES), Automatic)

    signature = "-> ..."
    variadic = True
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        names, out = [name for name in types if name != "Output"], types["Output"].sizes
        known = {name: types[name].sizes for name in names}
        missing = [name for name in names if known[name] is None]
        if len(missing) == 1 and out is not None:
            rank = len(out) + 2 * (len(names) - 1) - sum(len(sizes) for sizes in known.values() if sizes is not None)
            known[missing.pop()] = (None,) * rank
        if missing or not names:
            return {"Output": ArrayType(None, REAL)}
        sizes: dict[str, list[Size]] = {name: list(each) for name, each in known.items()}  # type: ignore[arg-type]
        left: list[tuple[str, int]] = []
        for place, name in enumerate(names):
            right = [(name, axis) for axis in range(len(sizes[name]))]
            if place:
                if not left or not right:
                    raise Contradiction("contracts a level, which a single number does not have", name)
                (a, i), (b, j) = left.pop(), right.pop(0)
                sizes[a][i] = sizes[b][j] = merge_sizes(sizes[a][i], sizes[b][j], name)
            left += right
        if out is not None:
            if len(out) != len(left):
                raise Contradiction(f"makes an array of rank {len(left)}", "Output")
            for (name, axis), size in zip(left, out):
                sizes[name][axis] = merge_sizes(sizes[name][axis], size, "Output")
        made = tuple(sizes[name][axis] for name, axis in left)
        return {**{name: ArrayType(tuple(each)) for name, each in sizes.items()}, "Output": ArrayType(made, REAL)}

    def apply(self, arrays: Any, left: Any, *others: Any) -> Any:
        for other in others:
            right = other.data if isinstance(other, Sequence) else other
            if isinstance(left, Sequence) and left.data.ndim > 1:
                left = left.with_data(jnp.tensordot(left.data, right, axes=1))
                continue
            if isinstance(left, Sequence):
                left = jnp.where(left.mask, left.data, 0)
            left = jnp.tensordot(left, right, axes=1)
        return left.with_data(real_numbers(left.data)) if isinstance(left, Sequence) else real_numbers(left)


class OrderingLayer(Layer):
    """The positions, from 1, of a vector's elements in increasing order.

    y = the k... for which x[k...] increases; of equal elements the first comes first

    Ports: Input, a vector of size m (which may vary); Output, a vector of integers 1..m, not differentiable.

    Parameters: Number, All (default), n for the positions of the n smallest elements, or -n for those of the n largest, the largest last.

    >>> OrderingLayer()([0.3, 0.1, 0.2]).tolist()
    [2, 3, 1]
    >>> OrderingLayer(-1)([0.3, 0.1, 0.2]).tolist()
    [1]

    Differences from Wolfram: of a varying vector with fewer than n elements all positions are given, so that the output varies, too,
    unless n is 1 [M]. Source: Wolfram's public reference page.
    """

    Number: Any = parameter(
        Constraint("All or an integer other than 0", either(one_of(All), integer(1), integer(high=-1)).keep, (0, 1.5, "few")),
        All,
        positional=True,
    )

    arithmetic = "exact"
    signature = "m -> n of 1..m"
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        types = {**types, "Output": ArrayType(types["Output"].sizes)}  # a range of the output says nothing of the input
        if self.Number is All:
            return parse_signature("m -> m of 1..m").relate(types, {})
        said, most = self.by_signature(types), abs(self.Number)
        size = said["Input"].sizes[0]  # type: ignore[index]
        if isinstance(size, int) and size < most:
            raise Contradiction(f"orders {most} elements of a vector that has {size}", "Input")
        made: Any = None if size is None else most
        if isinstance(size, Length) and most > 1:
            made = Length(Joined("min", (size, most)))
        return {**said, "Output": ArrayType((made,), said["Output"].elements)}

    def apply(self, arrays: Any, x: Any) -> Any:
        number = self.Number
        if not isinstance(x, Sequence):
            order = jnp.argsort(x).astype(jnp.int32) + 1
            return order if number is All else order[:number] if number > 0 else order[number:]
        order = jnp.lexsort((x.data, ~x.mask)).astype(jnp.int32) + 1  # padding comes last
        most = len(order) if number is All else min(abs(number), len(order))
        length = jnp.minimum(x.length, most)
        first = 0 if number is All or number > 0 else x.length - length
        found = order[first + jnp.minimum(jnp.arange(most), length - 1)]
        return found if number in (1, -1) else Sequence(found, length)


class ExtractLayer(Layer):
    """The parts of an array at positions.

    y[i..., j...] = x[p[i..., 1], …, p[i..., s], j...]

    Ports: Input, an array {n1, …, nd} (level 1 may vary); Position, integers {m..., s} with s at most d, or one integer: positions
    count from 1, negative ones from the end, of a varying level from its true end; Output, an array {m..., n(s+1), …, nd}.

    >>> ExtractLayer()({"Input": [[1.0, 2.0], [3.0, 4.0]], "Position": [[2, 1], [-1, -1]]}).tolist()
    [3.0, 4.0]
    >>> ExtractLayer()({"Input": [[1.0, 2.0], [3.0, 4.0]], "Position": [2]}).tolist()
    [3.0, 4.0]

    Differences from Wolfram: a position beyond an end is taken as the element at that end. Source: Wolfram's public reference page.
    """

    arithmetic = "none"
    signature = "Input: ..., Position: ... -> ..."
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, positions, outputs = (types[port].sizes for port in ("Input", "Position", "Output"))
        elements = types["Input"].elements or types["Output"].elements
        unknown = {"Position": ArrayType(positions, INTEGER), "Output": ArrayType(None, elements)}
        if positions is None:
            return unknown
        outer, depth = positions[:-1], positions[-1] if positions else 1
        if isinstance(depth, Length):
            raise Contradiction("takes positions of one depth: their last level cannot vary", "Position")
        if outputs is not None and len(outputs) < len(outer):
            raise Contradiction(f"makes an array of rank {len(outer)} or more", "Output")
        if depth is None and inputs is not None and outputs is not None:
            depth = max(len(inputs) + len(outer) - len(outputs), 1)
        if inputs is None and outputs is not None and depth is not None:
            inputs = (None,) * (len(outputs) - len(outer) + depth)
        if inputs is None or depth is None:
            return unknown
        if depth > len(inputs):
            raise Contradiction(f"takes positions of {depth} levels in an array that has {len(inputs)}", "Position")
        made = equal_sizes((*outer, *inputs[depth:]), outputs, "Output") or ()
        return {
            "Input": ArrayType((*inputs[:depth], *made[len(outer) :]), elements),
            "Position": ArrayType((*made[: len(outer)], depth) if positions else (), INTEGER),
            "Output": ArrayType(made, elements),
        }

    def apply(self, arrays: Any, x: Any, position: Any) -> Any:
        data, length = x if isinstance(x, Sequence) else (x, x.shape[0])
        places = position.data if isinstance(position, Sequence) else position.reshape(position.shape or (1,))
        sizes = (length, *data.shape[1:])
        index = []
        for level in range(places.shape[-1]):
            place, size = places[..., level], sizes[level]
            index.append(jnp.clip(jnp.where(place < 0, place + size, place - 1), 0, size - 1))
        y = data[tuple(index)]
        return position.with_data(y) if isinstance(position, Sequence) else y


class UnitVectorLayer(Layer):
    """Vectors with one 1, at the place that an integer says.

    y[i..., k] = 1 where k = x[i...], else 0

    Ports: Input, an array of integers 1..n, any rank (level 1 may vary); Output, one level more, of size n, real.

    Parameters: Size, n, or left out: then it follows from the integers' range or from what comes next.

    >>> UnitVectorLayer(3)([2, 1]).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Size: Any = parameter(POSITIVE, Automatic, positional=True, binds="n")

    arithmetic = "none"
    signature = "... of 1..n -> ... n"
    varying = "elementwise"

    def apply(self, arrays: Any, x: Any, *, sizes: Any) -> Any:
        return jax.nn.one_hot(x - 1, sizes[-1], dtype=jnp.result_type(float))
