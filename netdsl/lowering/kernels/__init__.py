"""Kernels for one platform: other ways to compute what a layer's `apply` says, for a whole batch, chosen by sizes.

A kernel is ``kernel(layer, arrays, *inputs, …)``; it gets the inputs with the examples first. Where the layer has channels, it gets
examples first and channels last if the layer says Interleaving, else channels first and examples last. Besides it gets what the
layer's `apply` asks for, where `weight` has one number for each example and `axes` are those around the batch. It gives what
`apply` gives, for the batch, or None where it leaves the work to `apply`. There is no kernel for a layer that draws random
numbers. The laws test that each kernel and its gradient equal `apply`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netdsl.containers import NetMapOperator
from netdsl.layers import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    DeconvolutionLayer,
    ElementwiseLayer,
    FlattenLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    PoolingLayer,
    ReshapeLayer,
    ThreadingLayer,
    TotalLayer,
)
from netdsl.lowering.kernels import convolution, deconvolution, dense, mapping, normalization, pooling, recurrent
from netdsl.nets import Layer
from netdsl.symbols import Automatic

__all__ = ["EXAMPLES_LAST", "KERNELS", "keeps_layout"]

KEEP_LAYOUT = (ElementwiseLayer, ThreadingLayer, TotalLayer)

KERNELS: dict[str, dict[type[Layer], Callable[..., Any]]] = {
    "cpu": {
        BatchNormalizationLayer: normalization.batch_normalization,
        ConvolutionLayer: convolution.convolution,
        DeconvolutionLayer: deconvolution.deconvolution,
        LongShortTermMemoryLayer: recurrent.long_short_term_memory,
        NetMapOperator: mapping.mapped,
        PoolingLayer: pooling.pooling,
    },
    "gpu": {LongShortTermMemoryLayer: partial(recurrent.long_short_term_memory, together=5)},
}
"""The kernels of each platform."""

EXAMPLES_LAST: dict[type[Layer], Callable[..., Any]] = {
    FlattenLayer: dense.reshaped,
    LinearLayer: dense.linear,
    ReshapeLayer: dense.reshaped,
}
"""What is used in place of `apply` where the examples come last."""


def keeps_layout(layer: Layer, ranks: set[int]) -> bool:
    """Whether the layer does the same whichever way the axes of its inputs, all of one rank, are ordered."""
    return isinstance(layer, KEEP_LAYOUT) and len(ranks) == 1 and getattr(layer, "Broadcasting", Automatic) in (Automatic, None)
