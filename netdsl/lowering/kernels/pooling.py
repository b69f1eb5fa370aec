"""Pooling of a batch on a CPU: a maximum or sum of views, whose gradient is cheap."""

from __future__ import annotations

import itertools
import math
from functools import reduce
from typing import Any

import jax.numpy as jnp

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
    """The layer's output for a batch with channels last or examples last. None leaves it to `apply`."""
    along = slides(layer, x.shape[1:-1])
    size = math.prod(s.kernel for s in along)
    apart = all(s.kernel == s.stride and s.low == s.high == 0 for s in along)
    if size > LARGEST_WINDOW and not apart:
        return None
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))
    maximum = layer.Function is FUNCTIONS["Max"]
    join = jnp.maximum if maximum else jnp.add
    if not apart:
        views = shifted(pad(x, along, -jnp.inf if maximum else 0), along)
    else:
        whole = x[(slice(None), *(slice(0, s.output * s.stride) for s in along))]
        blocks = whole.reshape(x.shape[0], *(part for s in along for part in (s.output, s.kernel)), x.shape[-1])
        if size > LARGEST_WINDOW:
            views = [(jnp.max if maximum else jnp.sum)(blocks, axis=range(2, blocks.ndim - 1, 2))]
        else:
            offsets = itertools.product(*(range(s.kernel) for s in along))
            views = [blocks[(slice(None), *(i for place in offset for i in (slice(None), place)))] for offset in offsets]
    y = reduce(join, views)
    return y / size if layer.Function is FUNCTIONS["Mean"] else y
