"""Deconvolution of a batch on a CPU: as a convolution that gives each stretch of `Stride` outputs as more channels.

XLA computes a convolution of an input spread out by strides an order of magnitude more slowly than one that is not spread out.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from netdsl.layers import DeconvolutionLayer
from netdsl.lowering.kernels.convolution import FORMS, Slide, by_rows, chosen, increased

__all__ = ["deconvolution"]


def deconvolution(layer: DeconvolutionLayer, arrays: Any, x: Any) -> Any:
    """The layer's output for a batch with channels last (Interleaving) or examples last."""
    sizes = x.shape[1:-1]
    windows = layer.windows(len(sizes))
    # output low + i is number `rest` of the stretch `p` where stride·p + rest = low + i
    firsts = [w.low // w.stride for w in windows]
    counts = [-(-(w.low + w.output(size)) // w.stride) - first for w, size, first in zip(windows, sizes, firsts)]
    kernels = [-(-w.kernel // w.stride) for w in windows]
    along = tuple(
        Slide(kernel, 1, 1, kernel - 1 - first, first + count - size, count)
        for kernel, first, count, size in zip(kernels, firsts, counts, sizes)
    )
    if layer.ChannelGroups > 1 or any(w.dilation > 1 for w in windows) or any(min(s.low, s.high) < 0 for s in along):
        return None
    x = x.astype(arrays.Weights.dtype)
    strides = [w.stride for w in windows]
    weights = _by_stretches(arrays.Weights, kernels, strides)
    if layer.Interleaving:
        y = FORMS[chosen(along, x.shape, len(weights))](x, weights, along, 1)
        y = _in_place(y.reshape(*y.shape[:-1], *strides, layer.OutputChannels), 1, len(sizes) + 1, strides)
    else:
        y = by_rows(x, weights, along)
        y = _in_place(
            jnp.moveaxis(y.reshape(*strides, layer.OutputChannels, *y.shape[1:]), len(sizes), 0), len(sizes) + 1, 1, strides
        )
    cut = [slice(w.low % w.stride, w.low % w.stride + w.output(size)) for w, size in zip(windows, sizes)]
    return increased(layer, arrays.Biases, y[(slice(None), *cut)])


def _by_stretches(weights: Any, kernels: list[int], strides: list[int]) -> Any:
    """The weights (inputs, outputs, kernel…) as those of a convolution: (strides and outputs, inputs, kernels…), mirrored."""
    beyond = [(0, k * s - given) for k, s, given in zip(kernels, strides, weights.shape[2:])]
    split = jnp.pad(weights, [(0, 0), (0, 0), *beyond]).reshape(
        *weights.shape[:2], *(n for each in zip(kernels, strides) for n in each)
    )
    places = range(2, split.ndim, 2)
    turned = jnp.transpose(jnp.flip(split, places), (*(place + 1 for place in places), 1, 0, *places))
    return turned.reshape(math.prod(strides) * weights.shape[1], weights.shape[0], *kernels)


def _in_place(y: Any, positions: int, within: int, strides: list[int]) -> Any:
    """Each axis of stretches, from `positions` on, and the one within them, from `within` on, as one axis of outputs."""
    dimensions = len(strides)
    pairs = [axis for place in range(dimensions) for axis in (positions + place, within + place)]
    rest = [axis for axis in range(y.ndim) if axis not in pairs]
    y = lax.transpose(y, (rest[0], *pairs, rest[1]))
    sizes = [y.shape[1 + 2 * place] * stride for place, stride in enumerate(strides)]
    return y.reshape(y.shape[0], *sizes, y.shape[-1])
