"""Operators that apply a net to all elements at once: NetMapOperator, NetMapThreadOperator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import Constraint, FrozenDict, either, integer, string
from netdsl.containers.applied import (
    Applied,
    Types,
    array_of_these,
    common_counts,
    element_of,
    entries,
    only,
    outside,
    without_length,
)
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError, nearest
from netdsl.nets import Sequence, Solved
from netdsl.shapes import ArrayType, Contradiction, Length

__all__ = ["NetMapOperator", "NetMapThreadOperator"]


_LEVELS = integer(1, 64, "a number of levels from 1 to 64")


def _depths(value: Any) -> FrozenDict:
    depths = {string.keep(port): _LEVELS.keep(depth) for port, depth in entries(value)}
    if len(set(depths.values())) != 1:
        raise ValueError
    return FrozenDict(depths)


_DEPTH = either(_LEVELS, Constraint("a dict from inputs to equal depths", _depths, ({"Input": 0}, {}, {"a": 1, "b": 2})))


class NetMapOperator(Applied):
    """Applies a net to each element along level 1.

    y[t] = net(x[t])

    Ports: Input, an array of one level more than the net's input (level 1 may vary); Output, one level more than the net's output. An
    encoder of the net encodes each element, a decoder with an InputDepth decodes each.

    Parameters: a net with one input and one output, at "Net" for NetExtract.

    >>> NetMapOperator(Ramp)
    NetMapOperator(ElementwiseLayer(Ramp))

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    signature = "... -> ..."
    _how = " to each element"

    def ends(self) -> list[tuple[str, str, str, int]]:
        port, out = only(self.nets["Net"])
        return [("Input", "Net", port, 1), ("Output", "Net", out, 1)]

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        port, out = only(self.nets["Net"])
        return {"Net": {port: element_of(types["Input"]), out: element_of(types["Output"])}}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        port, out = only(self.nets["Net"])
        counts = common_counts(types, 1)
        inner = solved["Net"]
        return {"Input": array_of_these(inner.input_type(port), counts), "Output": array_of_these(inner.output_type(out), counts)}

    def apply(self, arrays: Any, x: Any, *, inner: Any, axes: Any, weight: Any, state: Any) -> Any:
        net = inner["Net"]
        port, out = only(net)
        if isinstance(x, Sequence):
            weights = x.mask.astype("float32") * weight
            outputs, new = net.mapped({port: x.data}, state, weights)
            return x.with_data(outputs[out]), new
        outputs, new = net.mapped({port: x}, state, weight)
        return outputs[out], new


class NetMapThreadOperator(Applied):
    """Applies a net to corresponding elements of several arrays.

    y[i] = net(a[i], b[i], …), with i through the first n levels; inputs that are not mapped are the same for each i.

    Ports: those of the net; each mapped input and each output has n levels more (level 1 may vary where n is 1).

    Parameters: a net, at "Net" for NetExtract; Depth, the number n of levels (default 1), or a dict from the mapped inputs to it:
    inputs not named are replicated.

    >>> add = NetMapThreadOperator(ThreadingLayer(Plus, InputPorts=["a", "b"]), a=[3, 2])
    >>> add({"a": [[1, 2], [3, 4], [5, 6]], "b": [[1, 1], [2, 2], [3, 3]]}).tolist()
    [[2.0, 3.0], [5.0, 6.0], [8.0, 9.0]]

    Differences from Wolfram: the levels of all mapped inputs are equal in number. Source: Wolfram's public reference page.
    """

    single = False
    _how = " to corresponding elements"
    Depth: Any = parameter(_DEPTH, 1, positional=True)

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.nets["Net"].input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.nets["Net"].output_names

    @property
    def mapped(self) -> tuple[str, ...]:
        """The inputs whose elements the net is applied to."""
        return self.input_names if isinstance(self.Depth, int) else tuple(self.Depth)

    @property
    def levels(self) -> int:
        """The number of levels it maps over."""
        return self.Depth if isinstance(self.Depth, int) else next(iter(self.Depth.values()))

    def ends(self) -> list[tuple[str, str, str, int]]:
        lifted = (*self.mapped, *self.output_names)
        return [(port, "Net", port, self.levels * (port in lifted)) for port in (*self.input_names, *self.output_names)]

    def _check(self) -> None:
        for port in self.mapped:
            if port not in self.input_names:
                raise DeclarationError(f"The net of {self.title()} has no input {port!r}. {nearest(port, self.input_names)}")
        super()._check()

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        lifted = (*self.mapped, *self.output_names)
        return {"Net": {port: element_of(type_, self.levels) if port in lifted else type_ for port, type_ in types.items()}}

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        lifted = (*self.mapped, *self.output_names)
        counts = common_counts({port: types[port] for port in lifted}, self.levels)
        if self.levels > 1 and counts and isinstance(counts[0], Length):
            raise Contradiction("maps over one level of sequences of varying length, not more", self.mapped[0])
        inner = solved["Net"]
        said = {port: inner.input_type(port) for port in self.input_names} | {
            port: inner.output_type(port) for port in self.output_names
        }
        return {port: array_of_these(type_, counts) if port in lifted else outside(type_) for port, type_ in said.items()}

    def apply(self, arrays: Any, *inputs: Any, inner: Any, weight: Any, state: Any) -> Any:
        given = dict(zip(self.input_names, inputs))
        sequence = next((given[port] for port in self.mapped if isinstance(given[port], Sequence)), None)
        if sequence is not None:
            weight = sequence.mask.astype("float32") * weight
        flat = {port: without_length(given[port]) for port in self.mapped}
        counts = next(iter(flat.values())).shape[: self.levels]
        total = math.prod(counts)
        each = {port: value.reshape(total, *value.shape[self.levels :]) for port, value in flat.items()}
        for port in given.keys() - each.keys():
            each[port] = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (total, *jnp.shape(leaf))), given[port])
        outputs, new = inner["Net"].mapped(each, state, weight)
        results = tuple(outputs[port].reshape(*counts, *outputs[port].shape[1:]) for port in self.output_names)
        return (results if sequence is None else tuple(map(sequence.with_data, results))), new
