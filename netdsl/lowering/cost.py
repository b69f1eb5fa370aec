"""How much a net computes: multiplications and additions of one example."""

from __future__ import annotations

import math

from netdsl.nets import Net, Solved
from netdsl.shapes import ArrayType, Length

__all__ = ["multiply_adds"]

VARYING_LENGTH = 32
"""The length at which a sequence of varying length is counted."""


def multiply_adds(net: Net, solved: Solved | None = None) -> int:
    """About how many multiplications with an addition the arrays of a net take part in, for one example.

    Each element of an output is a product with a row of each matrix of its layer: so for convolutions, linear and recurrent
    layers. What operators do to each element of a sequence counts as often.
    """
    solved = solved or net.solved
    total = 0
    for index, step in enumerate(net.program.steps):
        types = solved.step_types(step, index)
        for name, inner in step.layer.inner_solved(types).items():
            repeated = _sizes(types[step.inputs[0][0]])[:1]
            total += math.prod(repeated) * multiply_adds(step.layer.nets[name], inner)
        rows = [math.prod(_sizes(types[array])[1:]) for array in step.layer.array_values() if len(_sizes(types[array])) > 1]
        total += sum(rows) * math.prod(_sizes(types[step.outputs[0]]))
    return total


def _sizes(type_: ArrayType) -> tuple[int, ...]:
    return tuple(VARYING_LENGTH if isinstance(size, Length) else size or 1 for size in type_.sizes or ())
