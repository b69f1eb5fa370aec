"""Kernels for one platform: other ways to compute what a layer's `apply` says, chosen by sizes.

XLA's CPU backend computes convolutions and the gradient of pooling slowly, above all inside loops. There, convolution is
patches times a matrix and pooling a maximum of views of the array, with the channel last. The laws test that each
kernel and its gradient equal `apply`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from netdsl.functions import FUNCTIONS
from netdsl.layers import ConvolutionLayer, ElementwiseLayer, PoolingLayer, ThreadingLayer, TotalLayer
from netdsl.nets import Layer
from netdsl.symbols import Automatic

__all__ = ["KERNELS", "keeps_layout", "uses_native_convolution"]

LARGEST_PATCHES = 2**21
"""Patches of more elements than this, for one example, are not made: the native convolution is used."""

LARGEST_WINDOW = 32
"""Pooling windows of more elements than this are left to the native pooling."""

WIDE = 80
"""The number of columns from which a product of matrices is fast."""

MOST_VIEWS = 64
"""The number of views from which patches are cut in another way, which needs fewer but copies more slowly."""

KEEP_LAYOUT = (ElementwiseLayer, ThreadingLayer, TotalLayer)


def keeps_layout(layer: Layer, ranks: set[int]) -> bool:
    """Whether the layer does the same whichever way the axes of its inputs, all of one rank, are ordered."""
    return isinstance(layer, KEEP_LAYOUT) and len(ranks) == 1 and getattr(layer, "Broadcasting", Automatic) in (Automatic, None)


def _shifted(x: Any, windows: list[Any], outputs: tuple[int, ...]) -> list[Any]:
    """The views of a padded channels-last array at each position of the kernel."""
    views = []
    for offset in itertools.product(*(range(w.kernel) for w in windows)):
        index = tuple(
            slice(o * w.dilation, o * w.dilation + w.stride * (n - 1) + 1, w.stride) for o, w, n in zip(offset, windows, outputs)
        )
        views.append(x[index])
    return views


def _patch_elements(layer: ConvolutionLayer, shape: tuple[int, ...]) -> int:
    windows: list[Any] = list(layer.windows(len(shape) - 1))
    outputs = math.prod(w.output(size) for w, size in zip(windows, shape[:-1]))
    return outputs * math.prod(w.kernel for w in windows) * shape[-1]


def uses_native_convolution(layer: Layer, shape: tuple[int, ...]) -> bool:
    """Whether a convolution over an input of this (channels last) shape is left to XLA on a CPU."""
    return isinstance(layer, ConvolutionLayer) and (layer.ChannelGroups != 1 or _patch_elements(layer, shape) > LARGEST_PATCHES)


def convolution(layer: ConvolutionLayer, arrays: Any, x: Any) -> Any:
    """Patches, each of some neighbouring positions, times a matrix that has the kernel once for each of them.

    Neighbours along the last dimension share most of what they see: a patch of `count` positions is smaller than `count`
    patches, and the product is wide enough to be fast even for few channels. The price is the zeros of the matrix. None leaves
    it to `apply`.
    """
    if uses_native_convolution(layer, x.shape):
        return None
    weights = arrays.Weights
    windows: list[Any] = list(layer.windows(x.ndim - 1))
    channels, last = weights.shape[0], windows[-1]
    outputs = tuple(w.output(size) for w, size in zip(windows, x.shape))
    count = _neighbours(outputs[-1], last.kernel, channels)
    blocks = -(-outputs[-1] // count)
    seen = last.stride * (count - 1) + last.dilation * (last.kernel - 1) + 1
    padded = _pad(x.astype(weights.dtype), [w.pads(size) for w, size in zip(windows, x.shape)], 0)
    beyond = max(0, last.stride * count * (blocks - 1) + seen - padded.shape[-2])
    padded = _pad(padded, [(0, 0)] * (len(windows) - 1) + [(0, beyond)], 0)
    patches = _patches(padded, windows, outputs[:-1], blocks, last.stride * count, seen)
    places = np.zeros((count, seen, last.kernel), np.float32)
    for position, offset in itertools.product(range(count), range(last.kernel)):
        places[position, position * last.stride + offset * last.dilation, offset] = 1
    kernels = weights.reshape(*weights.shape[:2], -1, last.kernel)
    matrix = jnp.einsum("psk,ocrk->porsc", jnp.asarray(places, weights.dtype), kernels).reshape(count * channels, -1)
    # rows of the matrix are outputs: so its gradient is a product without a transposed copy
    y = lax.dot_general(patches.reshape(-1, matrix.shape[1]), matrix, (((1,), (1,)), ((), ())))
    y = y.reshape(*outputs[:-1], blocks * count, channels)[..., : outputs[-1], :]
    return y if arrays.Biases is None else y + arrays.Biases


def _patches(padded: Any, windows: list[Any], outputs: tuple[int, ...], blocks: int, step: int, seen: int) -> Any:
    """The patches (positions…, blocks, kernel…, `seen`, channels): blocks of the last dimension, cut in few views."""
    others = windows[:-1]
    if blocks * math.prod(w.kernel for w in others) <= MOST_VIEWS:
        cut = [_shifted(padded[..., start : start + seen, :], others, outputs) for start in range(0, blocks * step, step)]
        return jnp.stack([jnp.stack(views, axis=-3) for views in cut], axis=-4)
    rows = jnp.stack(_shifted(padded, others, outputs), axis=-3)
    return jnp.stack([rows[..., at : at + step * (blocks - 1) + 1 : step, :] for at in range(seen)], axis=-2).swapaxes(-3, -4)


def _neighbours(length: int, kernel: int, channels: int) -> int:
    """How many positions a patch covers: enough for a wide product, and no positions beyond the end where possible."""
    most = max(1, min(length, -(-WIDE // channels), 2 * kernel))
    return min(range(1, most + 1), key=lambda count: (-(-length // count) * count - length) * 4 + most - count)


def pooling(layer: PoolingLayer, arrays: Any, x: Any) -> Any:
    """A maximum or sum of views: one dimension after another where windows do not overlap. None leaves it to `apply`."""
    windows: list[Any] = list(layer.windows(x.ndim - 1))
    size = math.prod(w.kernel for w in windows)
    if size > LARGEST_WINDOW:
        return None
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    outputs = tuple(w.output(n) for w, n in zip(windows, x.shape))
    maximum = layer.Function is FUNCTIONS["Max"]
    join = jnp.maximum if maximum else jnp.add
    pads = [w.pads(n) for w, n in zip(windows, x.shape)]
    if all(w.kernel == w.stride and pad == (0, 0) for w, pad in zip(windows, pads)):
        whole = x[tuple(slice(0, n * w.stride) for n, w in zip(outputs, windows))]
        y = whole
        for axis, (n, w) in enumerate(zip(outputs, windows)):
            blocks = y.reshape(*y.shape[:axis], n, w.kernel, *y.shape[axis + 1 :])
            y = reduce(join, [lax.index_in_dim(blocks, i, axis + 1, keepdims=False) for i in range(w.kernel)])
    else:
        y = reduce(join, _shifted(_pad(x, pads, -jnp.inf if maximum else 0), windows, outputs))
    return y / size if layer.Function is FUNCTIONS["Mean"] else y


def _pad(x: Any, pads: list[tuple[int, int]], value: float) -> Any:
    if all(pad == (0, 0) for pad in pads):
        return x
    return jnp.pad(x, [*pads, (0, 0)], constant_values=value)


KERNELS: dict[str, dict[type[Layer], Callable[..., Any]]] = {"cpu": {ConvolutionLayer: convolution, PoolingLayer: pooling}}
"""The kernels of each platform: they get the layer, its arrays and its input with the channel last."""
