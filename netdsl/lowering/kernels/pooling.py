"""Pooling of a batch on a CPU: a maximum or sum of views, whose gradient is cheap."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import jax.numpy as jnp
from jax import lax

from netdsl.functions import FUNCTIONS
from netdsl.layers import PoolingLayer
from netdsl.lowering.kernels.convolution import pad, shifted, slides
from netdsl.nets import Layer

__all__ = ["LARGEST_WINDOW", "only_chooses", "pooling"]

LARGEST_WINDOW = 32
"""Pooling windows of more elements than this are left to the native pooling, unless they do not overlap."""


def only_chooses(layer: Layer, shape: tuple[int, ...]) -> bool:
    """Whether each output is one of the elements of an input of this shape, channel last."""
    return (
        isinstance(layer, PoolingLayer)
        and layer.Function is FUNCTIONS["Max"]
        and all(s.low == s.high == 0 for s in slides(layer, shape[1:-1]))
    )


def pooling(layer: PoolingLayer, arrays: Any, x: Any) -> Any:
    """The layer's output for a batch with channels last or examples last: one dimension after another where windows do not overlap.

    None leaves it to `apply`.
    """
    along = slides(layer, x.shape[1:-1])
    size = math.prod(s.kernel for s in along)
    apart = all(s.kernel == s.stride and s.low == s.high == 0 for s in along)
    if size > LARGEST_WINDOW and not apart:
        return None
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))
    maximum = layer.Function is FUNCTIONS["Max"]
    join = lax.max if maximum else lax.add
    if apart:
        y = x
        for axis, s in enumerate(along, 1):
            if s.output * s.stride < y.shape[axis]:
                y = lax.slice_in_dim(y, 0, s.output * s.stride, axis=axis)
            blocks = y.reshape(*y.shape[:axis], s.output, s.kernel, *y.shape[axis + 1 :])
            if s.kernel > LARGEST_WINDOW:
                y = (jnp.max if maximum else jnp.sum)(blocks, axis=axis + 1)
            else:
                y = reduce(join, [lax.index_in_dim(blocks, i, axis + 1, keepdims=False) for i in range(s.kernel)])
    else:
        y = reduce(join, shifted(pad(x, along, -jnp.inf if maximum else 0), along))
    return y / size if layer.Function is FUNCTIONS["Mean"] else y
