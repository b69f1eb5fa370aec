"""Kernels for one platform: other ways to compute what a layer's `apply` says, chosen by sizes.

XLA's CPU backend computes convolutions and the gradient of pooling slowly, above all inside loops. There, convolution is
patches times a matrix and pooling a maximum over shifted or reshaped arrays, with the channel last. The laws test that each
kernel and its gradient equal `apply`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from netdsl.functions import FUNCTIONS
from netdsl.layers import ConvolutionLayer, ElementwiseLayer, PoolingLayer, ThreadingLayer, TotalLayer
from netdsl.nets import Layer
from netdsl.symbols import Automatic

__all__ = ["KERNELS", "keeps_layout", "uses_native_convolution"]

LARGEST_PATCHES = 2**21
"""Patches of more elements than this, for one example, are not made: the native convolution is used."""

LARGEST_WINDOW = 32
"""Pooling windows of more elements than this are left to the native pooling."""

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
    windows = layer.windows(len(shape) - 1)
    outputs = math.prod(w.output(size) for w, size in zip(windows, shape[:-1]))
    return outputs * math.prod(w.kernel for w in windows) * shape[-1]


def uses_native_convolution(layer: Layer, shape: tuple[int, ...]) -> bool:
    """Whether a convolution over an input of this (channels last) shape is left to XLA on a CPU."""
    return isinstance(layer, ConvolutionLayer) and (layer.ChannelGroups != 1 or _patch_elements(layer, shape) > LARGEST_PATCHES)


def convolution(layer: ConvolutionLayer, arrays: Any, x: Any) -> Any:
    """Patches (positions, kernel·channels) times a matrix (kernel·channels, outputs); None leaves it to `apply`."""
    if uses_native_convolution(layer, x.shape):
        return None
    weights = arrays.Weights
    dimensions = x.ndim - 1
    windows = layer.windows(dimensions)
    outputs = tuple(w.output(size) for w, size in zip(windows, x.shape))
    padded = _pad(x.astype(weights.dtype), [w.pads(size) for w, size in zip(windows, x.shape)], 0)
    patches = jnp.concatenate(_shifted(padded, windows, outputs), axis=-1)
    matrix = jnp.moveaxis(weights, (0, 1), (-1, -2)).reshape(-1, weights.shape[0])
    y = patches.reshape(-1, matrix.shape[0]) @ matrix
    if arrays.Biases is not None:
        y = y + arrays.Biases
    return y.reshape(*outputs, -1)


def pooling(layer: PoolingLayer, arrays: Any, x: Any) -> Any:
    """A maximum or sum over a reshaped array where windows do not overlap, else over shifted views; None leaves it to `apply`."""
    windows = layer.windows(x.ndim - 1)
    size = math.prod(w.kernel for w in windows)
    if size > LARGEST_WINDOW:
        return None
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    outputs = tuple(w.output(n) for w, n in zip(windows, x.shape))
    maximum = layer.Function is FUNCTIONS["Max"]
    pads = [w.pads(n) for w, n in zip(windows, x.shape)]
    if all(w.kernel == w.stride and pad == (0, 0) for w, pad in zip(windows, pads)):
        whole = x[tuple(slice(0, n * w.stride) for n, w in zip(outputs, windows))]
        shape = [size for n, w in zip(outputs, windows) for size in (n, w.kernel)]
        blocks = whole.reshape(*shape, x.shape[-1])
        axes = tuple(range(1, 2 * len(windows), 2))
        y = jnp.max(blocks, axis=axes) if maximum else jnp.sum(blocks, axis=axes)
    else:
        views = _shifted(_pad(x, pads, -jnp.inf if maximum else 0), windows, outputs)
        y = views[0]
        for view in views[1:]:
            y = jnp.maximum(y, view) if maximum else y + view
    return y / size if layer.Function is FUNCTIONS["Mean"] else y


def _pad(x: Any, pads: list[tuple[int, int]], value: float) -> Any:
    if all(pad == (0, 0) for pad in pads):
        return x
    return jnp.pad(x, [*pads, (0, 0)], constant_values=value)


KERNELS: dict[str, dict[type[Layer], Callable[..., Any]]] = {"cpu": {ConvolutionLayer: convolution, PoolingLayer: pooling}}
"""The kernels of each platform: they get the layer, its arrays and its input with the channel last."""
