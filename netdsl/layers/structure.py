"""Layers that rearrange arrays: FlattenLayer, ReshapeLayer, CatenateLayer, TotalLayer, NetArrayLayer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from netdsl.constraints import COUNT, NAMES, POSITIVE, either, integer, list_of, one_of
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError, excerpt
from netdsl.layers.elementwise import equal_sizes
from netdsl.layers.linear import complete_sizes
from netdsl.nets import Layer, Sequence, array
from netdsl.shapes import REAL, ArrayType, Contradiction, Elements, Length, Size, element_count, merge_sizes, sum_of_sizes
from netdsl.symbols import All, Automatic, Infinity, Inherited

__all__ = ["CatenateLayer", "FlattenLayer", "NetArrayLayer", "ReshapeLayer", "TotalLayer"]

_PORTS = either(COUNT, NAMES)


class FlattenLayer(Layer):
    """Joins levels of an array into one.

    y[k] = x[i, j, …] with k running through the joined levels in row-major order.

    Ports: Input, an array; Output, the same elements with the first n + 1 levels joined (n), the last n + 1 levels (-n), all
    (Infinity), or those of each list, in the order of the lists, and after them the levels in none. A varying level 1 stays as it is.

    Parameters: Level, an integer, Infinity (default), or a list of lists of levels, each of which becomes one level.

    >>> FlattenLayer(1)([[[1.0, 2.0]], [[3.0, 4.0]]]).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    >>> FlattenLayer([[2, 1]])([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [1.0, 3.0, 2.0, 4.0]

    Differences from Wolfram: a scalar becomes a vector of length 1 [M]. Source: Wolfram's public reference page.
    """

    Level: Any = parameter(
        either(one_of(Infinity), integer(), list_of(list_of(POSITIVE, "a list of levels"), "a list of lists of levels")),
        Infinity,
        positional=True,
    )

    arithmetic = "none"
    varying = "elementwise"

    def _check(self) -> None:
        if isinstance(self.Level, tuple):
            named = [level for group in self.Level for level in group]
            if () in self.Level or len(set(named)) < len(named):
                raise DeclarationError(
                    f"FlattenLayer takes lists that are not empty, each level once. Got {excerpt(self.Level)}."
                )
        super()._check()

    def _groups(self, rank: int) -> list[tuple[int, ...]]:
        """The axes of an input of this rank that become each axis of the output."""
        if isinstance(self.Level, tuple):
            groups = [tuple(level - 1 for level in group) for group in self.Level]
            named = {axis for group in groups for axis in group}
            if named and max(named) >= rank:
                raise Contradiction(f"joins level {max(named) + 1}, which an array of rank {rank} does not have", "Input")
            return groups + [(axis,) for axis in range(rank) if axis not in named]
        joined = rank if self.Level == Infinity else min(abs(self.Level) + 1, rank)
        first = 0 if self.Level >= 0 else rank - joined
        before, after = range(first), range(first + joined, rank)
        return [*((axis,) for axis in before), tuple(range(first, first + joined)), *((axis,) for axis in after)]

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, known = types["Input"].sizes, types["Output"].sizes
        elements = types["Input"].elements or types["Output"].elements
        if inputs is None and known is not None and isinstance(self.Level, tuple):
            inputs = (None,) * (len(known) + sum(len(group) - 1 for group in self.Level))
        if inputs is None:
            return {"Output": ArrayType((None,) if self.Level == Infinity else None, elements)}
        groups = self._groups(len(inputs))
        if known is not None and len(known) != len(groups):
            raise Contradiction(f"makes an array of rank {len(groups)}", "Output")
        sizes: list[Size] = list(inputs)
        outputs: list[Size] = []
        for group, total in zip(groups, known or (None,) * len(groups)):
            parts = tuple(inputs[axis] for axis in group)
            if len(group) == 1:
                parts = (merge_sizes(parts[0], total, "Output"),)
            elif any(isinstance(size, Length) for size in parts):
                raise Contradiction("joins a varying level with others; only levels of fixed size can be joined", "Input")
            elif isinstance(total, int):
                parts = complete_sizes(parts, total, "Input")
            outputs.append(parts[0] if len(group) == 1 else element_count(parts))
            for axis, size in zip(group, parts):
                sizes[axis] = size
        return {"Input": ArrayType(tuple(sizes), elements), "Output": ArrayType(tuple(outputs), elements)}

    def apply(self, arrays: Any, x: Any) -> Any:
        groups = self._groups(x.ndim)
        joined = [math.prod(x.shape[axis] for axis in group) for group in groups]
        return x.transpose([axis for group in groups for axis in group]).reshape(joined)


class ReshapeLayer(Layer):
    """The same elements in another shape, row-major.

    Ports: Input, an array; Output, an array of the sizes given with the same number of elements; with "ReferenceShape" also
    ReferenceShape, an array whose sizes the output takes.

    Parameters: Dimensions, a list of sizes; `Inherited` keeps the input's size at that level, one `Automatic` is what is left, one
    `All` copies the remaining levels of the input. ``ReshapeLayer([])`` gives a number. Or "ReferenceShape".

    >>> ReshapeLayer([2, Automatic])([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).tolist()
    [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Dimensions: Any = parameter(
        either(
            one_of("ReferenceShape"),
            list_of(
                either(POSITIVE, one_of(Inherited, Automatic, All)),
                "a list whose elements are sizes, Inherited, Automatic or All",
            ),
        ),
        positional=True,
    )

    arithmetic = "none"

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("Input", "ReferenceShape") if self.Dimensions == "ReferenceShape" else ("Input",)

    def _check(self) -> None:
        if self.Dimensions != "ReferenceShape" and self.Dimensions.count(Automatic) + self.Dimensions.count(All) > 1:
            raise DeclarationError(f"ReshapeLayer takes one Automatic or one All, not several. Got {list(self.Dimensions)}.")
        super()._check()

    def _outputs(self, inputs: tuple[Size, ...] | None) -> tuple[Size, ...] | None:
        """The output sizes for these input sizes, None where open."""
        if inputs is None:
            if All in self.Dimensions:
                return None
            return tuple(d if isinstance(d, int) else None for d in self.Dimensions)
        sizes: list[Size] = []
        for level, size in enumerate(self.Dimensions):
            if size is All:
                sizes += inputs[level:]
            elif size is Inherited:
                if level >= len(inputs):
                    raise Contradiction(f"inherits level {level + 1}, which its input does not have", "Input")
                sizes.append(inputs[level])
            else:
                sizes.append(size if isinstance(size, int) else None)
        total = element_count(inputs)
        if total is None:
            return tuple(sizes)
        known = math.prod(size for size in sizes if isinstance(size, int))
        if total % known or (None not in sizes and total != known):
            multiple = "a multiple of " if None in sizes else ""
            raise Contradiction(f"needs {multiple}{known} elements where its input has {total}", "Input")
        return tuple(total // known if size is None else size for size in sizes)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, elements = types["Input"].sizes, types["Input"].elements or types["Output"].elements
        for port in self.input_names:
            if types[port].varying:
                raise Contradiction("takes arrays of fixed size, not a varying one", port)
        refined = {}
        if self.Dimensions == "ReferenceShape":
            outputs = equal_sizes(types["ReferenceShape"].sizes, types["Output"].sizes, "Output")
            total = element_count(inputs)
            if outputs is not None and total is not None:
                outputs = complete_sizes(outputs, total, "ReferenceShape")
            refined["ReferenceShape"] = ArrayType(outputs)
        else:
            outputs = self._outputs(inputs)
        refined["Output"] = ArrayType(outputs, elements)
        total = element_count(outputs)
        if total is not None and inputs is not None:
            refined["Input"] = ArrayType(complete_sizes(inputs, total, "Input"), elements)
        return refined

    def apply(self, arrays: Any, x: Any, reference: Any = None) -> Any:
        return x.reshape(self._outputs(x.shape) if reference is None else reference.shape)


class CatenateLayer(Layer):
    """Joins arrays along a level.

    y[…, k, …] = a[…, k, …] up to the size of a, then b[…, k - size of a, …], and so on

    Ports: any number of inputs; Output, whose size at level n is the sum of theirs, the others equal. Arrays of lower rank are
    repeated along the levels before their own. Level 1 of the inputs may vary: joined, it is joined at its true length.

    Parameters: Level, the level n that is joined (default 1), counted in the arrays of the lowest rank; InputPorts, a number or a list
    of names.

    >>> CatenateLayer()([[1.0, 2.0], [3.0]]).tolist()
    [1.0, 2.0, 3.0]
    >>> CatenateLayer(InputPorts=2, Input1=[2, 1], Input2=1)([[[1.0], [2.0]], [3.0]]).tolist()
    [[1.0, 3.0], [2.0, 3.0]]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Level: Any = parameter(integer(1), 1, positional=True)
    InputPorts: Any = parameter(_PORTS, Automatic)

    arithmetic = "none"
    signature = "-> ..."
    variadic = True
    varying = "aware"

    def _level(self, ranks: list[int]) -> int:
        """The axis of the output that is joined."""
        return max(ranks) - min(ranks) + self.Level - 1

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        known = {name: type_.sizes for name, type_ in types.items() if name != "Output"}
        elements, out = common_elements(types, list(known)), types["Output"].sizes
        missing = [name for name, sizes in known.items() if sizes is None]
        if len(missing) == 1 and out is not None:
            ranks = [rank for rank in range(self.Level, len(out) + 1) if self._fits(known | {missing[0]: (None,) * rank}, out)]
            if len(ranks) == 1:
                known[missing.pop()] = (None,) * ranks[0]
        if missing or not known:
            return {"Output": ArrayType(out, elements)}
        parts, made = self._sizes(known, out)  # type: ignore[arg-type]
        return {**{name: ArrayType(sizes) for name, sizes in parts.items()}, "Output": ArrayType(made, elements)}

    def _fits(self, known: Mapping[str, Any], out: tuple[Size, ...]) -> bool:
        try:
            self._sizes(known, out)
        except Contradiction:
            return False
        return True

    def _sizes(
        self, known: Mapping[str, tuple[Size, ...]], out: tuple[Size, ...] | None
    ) -> tuple[dict[str, tuple[Size, ...]], tuple[Size, ...]]:
        """The sizes of the inputs and of the output, refined by each other."""
        ranks = [len(sizes) for sizes in known.values()]
        rank, at = max(ranks), self._level(ranks)
        if min(ranks) < self.Level:
            raise Contradiction(f"joins level {self.Level} of arrays that have {min(ranks)}", next(iter(known)))
        if out is not None and len(out) != rank:
            raise Contradiction(f"makes an array of rank {rank}", "Output")
        common = list(out or (None,) * rank)
        total, common[at] = common[at], None
        joined: dict[str, Size] = {}
        for name, sizes in known.items():
            for level, size in enumerate(sizes, rank - len(sizes)):
                if level == at:
                    joined[name] = size
                else:
                    common[level] = merge_sizes(common[level], size, name)
        missing = [name for name, size in joined.items() if size is None]
        if not missing:
            total = merge_sizes(sum_of_sizes(joined.values()), total, "Output")  # type: ignore[arg-type]
        elif len(missing) == 1 and isinstance(total, int) and not any(isinstance(size, Length) for size in joined.values()):
            have = sum(size for size in joined.values() if isinstance(size, int))
            if total <= have:
                raise Contradiction(f"joins {have} elements already where {total} are needed", "Output")
            joined[missing[0]] = total - have
        before, after = common[:at], common[at + 1 :]
        parts = {name: (*before, joined[name], *after)[rank - len(sizes) :] for name, sizes in known.items()}
        return parts, (*before, total, *after)

    def apply(self, arrays: Any, *inputs: Any) -> Any:
        sequence = next((x for x in inputs if isinstance(x, Sequence)), None)
        data = [x.data if isinstance(x, Sequence) else x for x in inputs]
        axis = self._level([x.ndim for x in data])
        if sequence is not None and axis == 0:
            return _joined_sequences(data, [x.length if isinstance(x, Sequence) else len(x) for x in inputs])
        rank = max(x.ndim for x in data)
        common = jnp.broadcast_shapes(*((*x.shape[: axis - rank], 1, *x.shape[axis - rank + 1 or x.ndim :]) for x in data))
        same = [jnp.broadcast_to(x, (*common[:axis], x.shape[axis - rank], *common[axis + 1 :])) for x in data]
        y = jnp.concatenate(same, axis)
        return y if sequence is None else sequence.with_data(y)


def _joined_sequences(data: list[Any], lengths: list[Any]) -> Sequence:
    """The real elements of padded arrays one after another along level 1."""
    length = sum(lengths[1:], start=lengths[0])
    place = jnp.minimum(jnp.arange(sum(map(len, data))), length - 1)
    source, end = place, 0
    for each, real in zip(data, lengths):
        end = end + real
        source = source + jnp.where(place >= end, len(each) - real, 0)  # past the padding of this one
    return Sequence(jnp.concatenate(data)[source], length)


def common_elements(types: Mapping[str, ArrayType], inputs: list[str]) -> Any:
    """The kind of what may be an element of any of these inputs, None while one is open."""
    kinds: set[Any] = {types[name].elements for name in inputs}
    if len(kinds) < 2 or None in kinds:
        return kinds.pop() if len(kinds) == 1 else None
    if REAL in kinds:
        return REAL
    lows, highs = [kind.low for kind in kinds], [kind.high for kind in kinds]
    return Elements("integer", None if None in lows else min(lows), None if None in highs else max(highs))


class TotalLayer(Layer):
    """The sum of arrays of equal size.

    y = a + b + …

    Ports: any number of inputs of equal size; Output, that size.

    Parameters: InputPorts, a number or a list of names.

    >>> TotalLayer()([[1.0, 2.0], [10.0, 20.0]]).tolist()
    [11.0, 22.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    InputPorts: Any = parameter(_PORTS, Automatic)

    signature = "-> ..."
    variadic = True
    varying = "elementwise"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        sizes = None
        for name, type_ in types.items():
            sizes = equal_sizes(sizes, type_.sizes, name)
        return {name: ArrayType(sizes, REAL if name == "Output" else None) for name in types}

    def apply(self, arrays: Any, *inputs: Any) -> Any:
        return sum(inputs[1:], start=inputs[0] + jnp.zeros((), jnp.result_type(float)))


class NetArrayLayer(Layer):
    """A learnable array, the same for every example.

    Ports: no input; Output, the array, whose sizes are declared (``Output=[n1, n2]``), follow from what comes next, or from the values.

    Arrays: Array, of the size of the output.

    >>> NetArrayLayer(Array=[1.0, 2.0])({}).tolist()
    [1.0, 2.0]
    >>> NetInitialize(NetArrayLayer(Output=[2, 3]))({}).shape
    (2, 3)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Array = array("...")
    arithmetic = "none"
    signature = "-> ..."

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        if types["Output"].varying:
            raise Contradiction("makes an array of fixed size, not a varying one", "Output")
        return self.by_signature(types)

    def apply(self, arrays: Any) -> Any:
        return arrays.Array
