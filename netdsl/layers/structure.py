"""Layers that rearrange arrays: FlattenLayer, ReshapeLayer, CatenateLayer, TotalLayer, NetArrayLayer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from netdsl.declarations import NAMES, POSITIVE, either, integer, list_of, one_of, parameter
from netdsl.errors import DeclarationError
from netdsl.layers.elementwise import equal_sizes
from netdsl.layers.linear import complete_sizes
from netdsl.nets import Layer, array
from netdsl.shapes import REAL, ArrayType, Contradiction, Elements, Length, Size, element_count, merge_sizes
from netdsl.symbols import All, Automatic, Infinity, Inherited

__all__ = ["CatenateLayer", "FlattenLayer", "NetArrayLayer", "ReshapeLayer", "TotalLayer"]

_PORTS = either(POSITIVE, NAMES)


class FlattenLayer(Layer):
    """Joins levels of an array into one.

    y[k] = x[i, j, …] with k running through the joined levels in row-major order.

    Ports: Input, an array; Output, the same elements with the first n + 1 levels joined (n), the last n + 1 levels (-n), or all (Infinity).

    Parameters: Level, an integer or Infinity (default).

    >>> FlattenLayer(1)([[[1.0, 2.0]], [[3.0, 4.0]]]).tolist()
    [[1.0, 2.0], [3.0, 4.0]]

    Differences from Wolfram: the list form that combines levels freely is not there; a scalar becomes a vector of length 1 [M].
    Source: Wolfram's public reference page.
    """

    Level: Any = parameter(either(one_of(Infinity), integer()), Infinity, positional=True)

    arithmetic = "none"

    def _joined_levels(self, rank: int) -> tuple[int, int]:
        """The first and the past-last level that are joined."""
        if self.Level == Infinity:
            return 0, rank
        joined = min(abs(self.Level) + 1, rank)
        return (0, joined) if self.Level >= 0 else (rank - joined, rank)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs, elements = types["Input"].sizes, types["Input"].elements or types["Output"].elements
        if inputs is None:
            return {"Output": ArrayType((None,) if self.Level == Infinity else None, elements)}
        first, last = self._joined_levels(len(inputs))
        if last - first > 1 and any(isinstance(size, Length) for size in inputs[first:last]):
            raise Contradiction("joins a varying level with others; only levels of fixed size can be joined", "Input")
        joined = element_count(inputs[first:last]) if last - first != 1 else inputs[first]
        outputs = (*inputs[:first], joined, *inputs[last:])
        known = types["Output"].sizes
        refined = {"Output": ArrayType(outputs, elements)}
        if known is not None:
            if len(known) != len(outputs):
                raise Contradiction(f"makes an array of rank {len(outputs)}", "Output")
            total = known[first]
            middle = complete_sizes(inputs[first:last], total, "Input") if isinstance(total, int) else inputs[first:last]
            outer = tuple(
                merge_sizes(a, b, "Output") for a, b in zip(inputs[:first] + inputs[last:], known[:first] + known[first + 1 :])
            )
            refined["Input"] = ArrayType((*outer[:first], *middle, *outer[first:]), elements)
        return refined

    def apply(self, arrays: Any, x: Any) -> Any:
        first, last = self._joined_levels(x.ndim)
        return x.reshape((*x.shape[:first], math.prod(x.shape[first:last]), *x.shape[last:]))


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
            list_of(either(POSITIVE, one_of(Inherited, Automatic, All)), "a list of sizes, Inherited, Automatic or All"),
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

    Ports: any number of inputs; Output, whose size at level n is the sum of theirs, the others equal.

    Parameters: Level, the level n that is joined (default 1); InputPorts, a number or a list of names.

    >>> CatenateLayer()([[1.0, 2.0], [3.0]]).tolist()
    [1.0, 2.0, 3.0]

    Differences from Wolfram: arrays of lower rank are not replicated; level 1 of varying length is not joined yet.
    Source: Wolfram's public reference page.
    """

    Level: Any = parameter(integer(1), 1, positional=True)
    InputPorts: Any = parameter(_PORTS, Automatic)

    arithmetic = "none"
    signature = "-> ..."
    variadic = True
    varying = "elementwise"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        inputs = [name for name in types if name != "Output"]
        at = self.Level - 1
        elements = common_elements(types, inputs)
        known = [types[name].sizes for name in (*inputs, "Output") if types[name].sizes is not None]
        if not known:
            return {"Output": ArrayType(None, elements)}
        rank = len(known[0])  # type: ignore[arg-type]
        if rank <= at:
            raise Contradiction(f"joins level {self.Level} of arrays that have {rank}", inputs[0] if inputs else "Output")
        others: tuple[Size, ...] = (None,) * rank
        for name in (*inputs, "Output"):
            sizes = types[name].sizes
            if sizes is not None:
                if len(sizes) != rank:
                    raise Contradiction(f"joins arrays of equal rank, not {rank} and {len(sizes)}", name)
                others = tuple(
                    a if level == at else merge_sizes(a, size, name) for level, (a, size) in enumerate(zip(others, sizes))
                )
        joined = [None if types[name].sizes is None else types[name].sizes[at] for name in inputs]  # type: ignore[index]
        if any(isinstance(size, Length) for size in joined):
            raise Contradiction("does not join sequences of varying length yet", inputs[0])
        total = None if types["Output"].sizes is None else types["Output"].sizes[at]
        missing = [i for i, size in enumerate(joined) if size is None]
        have = sum(size for size in joined if isinstance(size, int))
        if not missing:
            total = have if inputs else None
        elif len(missing) == 1 and isinstance(total, int):
            if total <= have:
                raise Contradiction(f"joins {have} elements already where {total} are needed", "Output")
            joined[missing[0]] = total - have
        parts = {name: ArrayType((*others[:at], joined[i], *others[at + 1 :])) for i, name in enumerate(inputs)}
        return {**parts, "Output": ArrayType((*others[:at], total, *others[at + 1 :]), elements)}

    def apply(self, arrays: Any, *inputs: Any) -> Any:
        return jnp.concatenate(inputs, axis=self.Level - 1)


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

    Ports: no input; Output, the array.

    Arrays: Array, of the size of the output.

    >>> NetArrayLayer(Array=[1.0, 2.0])({}).tolist()
    [1.0, 2.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Array = array("...")
    arithmetic = "none"
    signature = "-> ..."

    def apply(self, arrays: Any) -> Any:
        return arrays.Array
