"""Layers that read all levels of an example in order, for examples that come last: JAX, mapping them, would move these first."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax

from netdsl.layers import FlattenLayer, LinearLayer
from netdsl.nets import Layer

__all__ = ["linear", "reshaped"]


def reshaped(layer: Layer, arrays: Any, x: Any, *others: Any) -> Any:
    """The same numbers in an array of other sizes: those that `apply` makes."""
    if isinstance(layer, FlattenLayer) and isinstance(layer.Level, tuple):
        return None  # levels may come in another order
    one = [jax.ShapeDtypeStruct(value.shape[:-1], value.dtype) for value in (x, *others)]
    return x.reshape(*jax.eval_shape(partial(layer.apply, arrays), *one).shape, x.shape[-1])


def linear(layer: LinearLayer, arrays: Any, x: Any, *, sizes: tuple[int, ...]) -> Any:
    """The products of the weights with all examples."""
    weights, biases = arrays.Weights, arrays.Biases
    y = weights @ x.reshape(-1, x.shape[-1]).astype(weights.dtype)
    return (y if biases is None else y + biases[:, None]).reshape(*sizes, x.shape[-1])
