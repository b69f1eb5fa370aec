"""Operators: layers that hold a net and apply it in another way, such as to each element of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import indent
from typing import Any

from netdsl.containers.promotion import lift_shared, promote
from netdsl.declarations import FrozenDict
from netdsl.errors import DeclarationError, listing
from netdsl.nets import Operator, Sequence, Solved
from netdsl.nets.program import solve
from netdsl.shapes import ArrayType, Contradiction, Size, merge_sizes

__all__ = ["NetMapOperator"]


class NetMapOperator(Operator):
    """Applies a net to each element along level 1.

    y[t] = net(x[t])

    Ports: Input, an array of one level more than the net's input (level 1 may vary); Output, one level more than the net's output.

    Parameters: a net with one input and one output, at "Net" for NetExtract.

    >>> NetMapOperator(Ramp)
    NetMapOperator(ElementwiseLayer(Ramp))

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    signature = "... -> ..."
    varying = "aware"

    def __init__(self, net: Any, /, **options: Any) -> None:
        net = promote(net, "the net of NetMapOperator")
        if len(net.input_names) != 1 or len(net.output_names) != 1:
            raise DeclarationError(
                f"NetMapOperator takes a net with one input and one output. {net.title()} has the inputs "
                f"{listing(net.input_names) or 'none'} and the outputs {listing(net.output_names)}."
            )
        self.__dict__["nets"] = FrozenDict({"Net": net})
        lift_shared(self)
        super().__init__(**options)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        return self._related(types, defaults=False)

    def default(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:  # type: ignore[override]
        """What the inner net's layers assume where nothing says more."""
        return self._related(types, defaults=True)

    def _related(self, types: Mapping[str, ArrayType], defaults: bool) -> Mapping[str, ArrayType]:
        net = self.nets["Net"]
        outer_in, outer_out = types["Input"], types["Output"]
        count: Size = None
        for port, type_ in (("Input", outer_in), ("Output", outer_out)):
            if type_.sizes is not None:
                if not type_.sizes:
                    raise Contradiction("maps over level 1, which a single number does not have", port)
                count = merge_sizes(count, type_.sizes[0], port)
        solved = self._inner(types, defaults)
        inner_in, inner_out = solved.input_type(net.input_names[0]), solved.output_type(net.output_names[0])
        return {"Input": _mapped(inner_in, count), "Output": _mapped(inner_out, count)}

    def _inner(self, types: Mapping[str, ArrayType], defaults: bool = True) -> Any:
        """The inner net's solution for these outer types; kept for those seen last."""
        net = self.nets["Net"]
        key = (types["Input"], types["Output"], defaults)
        memory = self._cached("_inner_solutions", dict)
        if key not in memory:
            extra = {net.input_names[0]: _element(types["Input"]), net.output_names[0]: _element(types["Output"])}
            solved = solve(net, extra, defaults, source="operator")
            if solved.clashes:
                from netdsl.nets.report import contradictions

                raise Contradiction(
                    "cannot apply its net to each element:\n" + indent(contradictions(net, solved), "  "), "Input"
                )
            if len(memory) > 16:
                memory.clear()
            memory[key] = solved
        return memory[key]

    def inner_solved(self, types: Mapping[str, ArrayType]) -> Mapping[str, Solved]:
        return {"Net": self._inner(types)}

    def inner_arrays(self, types: Mapping[str, ArrayType]) -> dict[tuple[str, ...], ArrayType]:
        try:
            arrays = self._inner(types).arrays
        except Contradiction:
            return {}
        return {path if path[0] == "" else ("Net", *path): type_ for path, type_ in arrays.items()}

    def apply(self, arrays: Any, x: Any, *, inner: Any, axes: Any, weight: Any, state: Any) -> Any:
        net = inner["Net"]
        port = net.input_names[0]
        if isinstance(x, Sequence):
            weights = x.mask.astype("float32") * weight
            outputs, new = net.mapped({port: x.data}, state, weights)
            return x.with_data(outputs[net.output_names[0]]), new
        outputs, new = net.mapped({port: x}, state, weight)
        return outputs[net.output_names[0]], new

    def fields(self) -> dict[str, Any]:
        return {"net": self.nets["Net"], **super().fields()}

    def changed(self, **changes: Any) -> NetMapOperator:
        values = self.fields() | changes
        return NetMapOperator(values.pop("net"), **values)

    def _written(self) -> list[str]:
        return [repr(self.nets["Net"]), *super()._written()]


def _element(type_: ArrayType) -> ArrayType:
    return ArrayType(None if type_.sizes is None else type_.sizes[1:], type_.elements)


def _mapped(type_: ArrayType, count: Size) -> ArrayType:
    """The type of a sequence of `count` of these. Elements that nobody fixed yet stay open."""
    elements = type_.elements if type_.integer else None
    return ArrayType(None if type_.sizes is None else (count, *type_.sizes), elements)
