"""Layers of older versions of Mathematica: ConstantPlusLayer and ConstantTimesLayer."""

from __future__ import annotations

from typing import Any

from netdsl.nets import Layer, array

__all__ = ["ConstantPlusLayer", "ConstantTimesLayer"]


class ConstantPlusLayer(Layer):
    """Adds a learnable array to its input.

    y[i...] = x[i...] + Biases[i...]

    Ports: Input and Output, arrays of equal size, real.

    Arrays: Biases, of that size, starts at 0.

    >>> ConstantPlusLayer(Biases=[1.0, 2.0])([10.0, 20.0]).tolist()
    [11.0, 22.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Biases = array("...", 0.0)
    signature = "... -> ..."

    def apply(self, arrays: Any, x: Any) -> Any:
        return x + arrays.Biases


class ConstantTimesLayer(Layer):
    """Multiplies its input by a learnable array, element by element.

    y[i...] = x[i...] · Scaling[i...]

    Ports: Input and Output, arrays of equal size, real.

    Arrays: Scaling, of that size, starts at 1 [M].

    >>> ConstantTimesLayer(Scaling=[1.0, 2.0])([10.0, 20.0]).tolist()
    [10.0, 40.0]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Scaling = array("...", 1.0)
    signature = "... -> ..."

    def apply(self, arrays: Any, x: Any) -> Any:
        return x * arrays.Scaling
