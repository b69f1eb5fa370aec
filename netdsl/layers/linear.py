"""LinearLayer and EmbeddingLayer: matrices applied to vectors and rows picked by integers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from netdsl.constraints import POSITIVE, either, list_of
from netdsl.declarations import parameter
from netdsl.nets import Layer, array
from netdsl.shapes import OPEN, REAL, ArrayType, Contradiction, Size, element_count
from netdsl.symbols import Automatic

__all__ = ["EmbeddingLayer", "LinearLayer"]


class LinearLayer(Layer):
    """An affine map of an array, flattened, to a vector or array.

    y = Weights · flatten(x) + Biases, reshaped to the output sizes; row-major.

    Ports: Input, an array of any size (always flattened: NetMapOperator(LinearLayer(n)) acts along the last level);
    Output, n or {n1, n2, …}, real.

    Arrays: Weights {product of output sizes, product of input sizes}; Biases {product of output sizes}, or None.

    Parameters: OutputDimensions, a size, a list of sizes ([] for one number), or left out: then it follows from what comes next.

    Raises ShapeError where the sizes contradict given arrays or neighbours.

    >>> LinearLayer(2, Weights=[[1, 2, 3], [0, 1, 0]], Biases=None)([1.0, 1.0, 1.0]).tolist()
    [6.0, 1.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page and files.
    """

    OutputDimensions: Any = parameter(either(POSITIVE, list_of(POSITIVE, "a list of sizes")), Automatic, positional=True)
    Weights = array("outs ins")
    Biases = array("outs", 0.0, optional=True)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        outputs, inputs = self._outputs(types["Output"].sizes), types["Input"].sizes
        outs, ins = element_count(outputs), element_count(inputs)
        weights = types.get("Weights", OPEN).sizes or (None, None)
        if len(weights) != 2:
            raise Contradiction("takes a matrix as Weights", "Weights")
        if outs is None and outputs is not None and isinstance(weights[0], int):
            outputs = complete_sizes(outputs, weights[0], "Output")
            outs = element_count(outputs)
        if inputs is not None and any(isinstance(size, tuple) for size in inputs):
            raise Contradiction("takes arrays of fixed size; NetMapOperator(LinearLayer(n)) takes a sequence", "Input")
        refined = {
            "Output": ArrayType(outputs, REAL),
            "Weights": ArrayType((outs, ins), REAL),
            "Biases": ArrayType((outs,), REAL),
        }
        if isinstance(weights[1], int) and inputs is not None:
            return {"Input": ArrayType(complete_sizes(inputs, weights[1], "Input")), **refined}
        return refined

    def _outputs(self, known: tuple[Size, ...] | None) -> tuple[Size, ...] | None:
        if self.OutputDimensions is Automatic:
            return known
        return self.OutputDimensions if isinstance(self.OutputDimensions, tuple) else (self.OutputDimensions,)

    def default(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:  # type: ignore[override]
        """Weights that are given take and give vectors, unless something else says more."""
        outs, ins = types.get("Weights", OPEN).sizes or (None, None)
        refined = {}
        if types["Input"].sizes is None and isinstance(ins, int):
            refined["Input"] = ArrayType((ins,))
        if types["Output"].sizes is None and isinstance(outs, int):
            refined["Output"] = ArrayType((outs,), REAL)
        return refined

    def apply(self, arrays: Any, x: Any, *, sizes: Any) -> Any:
        y = arrays.Weights @ x.reshape(-1).astype(arrays.Weights.dtype)
        if arrays.Biases is not None:
            y = y + arrays.Biases
        return y.reshape(sizes)


def complete_sizes(sizes: tuple[Size, ...], total: int, slot: str) -> tuple[Size, ...]:
    """The sizes whose product is `total`: the one open size when the division is exact, else a contradiction."""
    open_levels = [level for level, size in enumerate(sizes) if size is None]
    known = math.prod(size for size in sizes if isinstance(size, int))
    if len(sizes) == 1:
        return (total,)
    if (not open_levels and known != total) or (open_levels and total % known):
        raise Contradiction(f"needs {total} elements", slot)
    if len(open_levels) == 1:
        level = open_levels[0]
        return (*sizes[:level], total // known, *sizes[level + 1 :])
    return sizes


class EmbeddingLayer(Layer):
    """Rows of a matrix, picked by integers.

    y[i..., :] = Weights[x[i...], :]

    Ports: Input, an array of integers 1..n, any rank; Output, one level more, of the size given.

    Arrays: Weights {n, size}.

    Parameters: OutputSize, the size of each row; ClassNumber, n, or left out: then it follows from the integers' range.

    >>> EmbeddingLayer(2, Weights=[[1, 2], [3, 4]])([2, 1, 1]).tolist()
    [[3.0, 4.0], [1.0, 2.0], [1.0, 2.0]]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    OutputSize: Any = parameter(POSITIVE, Automatic, positional=True, binds="size")
    ClassNumber: Any = parameter(POSITIVE, Automatic, positional=True, binds="n")
    Weights = array("n size")

    arithmetic = "exact"
    signature = "... of 1..n -> ... size"
    varying = "elementwise"

    def apply(self, arrays: Any, x: Any) -> Any:
        return jnp.take(arrays.Weights, x - 1, axis=0, mode="clip")
