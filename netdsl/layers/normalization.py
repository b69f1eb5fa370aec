"""SoftmaxLayer and BatchNormalizationLayer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.declarations import BOOLEAN, integer, number, parameter
from netdsl.nets import Layer, Sequence, array, state
from netdsl.shapes import REAL, ArrayType, Contradiction, merge_sizes
from netdsl.shapes.types import Size

__all__ = ["BatchNormalizationLayer", "SoftmaxLayer"]


class SoftmaxLayer(Layer):
    """Exponentials along a level, scaled to sum 1.

    y[i] = exp(x[i]) / Σ over k of exp(x[k])

    Ports: Input and Output, arrays of equal size, real; level 1 may vary.

    Parameters: Level, the level along which it normalizes (default -1, the last).

    >>> SoftmaxLayer()([0.0, 0.0]).tolist()
    [0.5, 0.5]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Level: Any = parameter(integer(), -1, positional=True)
    arithmetic = "exact"
    signature = "... -> ..."
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        for port in ("Input", "Output"):
            sizes = types[port].sizes
            if sizes is not None and (self.Level == 0 or not -len(sizes) <= self.Level <= len(sizes)):
                raise Contradiction(f"normalizes level {self.Level}, which an array of rank {len(sizes)} does not have", port)
        return self.by_signature(types)

    def axis(self, rank: int) -> int:
        """The axis of the level, from 0."""
        return self.Level - 1 if self.Level > 0 else self.Level + rank

    def apply(self, arrays: Any, x: Any) -> Any:
        if not isinstance(x, Sequence):
            return jax.nn.softmax(x.astype(jnp.result_type(x.dtype, jnp.bfloat16)), axis=self.axis(x.ndim))
        axis = self.axis(x.data.ndim)
        if axis:
            return x.with_data(jax.nn.softmax(x.data, axis=axis))
        mask = x.mask.reshape((-1,) + (1,) * (x.data.ndim - 1))
        y = jax.nn.softmax(x.data, axis=0, where=mask)
        return x.with_data(
            jnp.where(mask, y, jax.lax.dynamic_index_in_dim(y, x.length - 1, 0))
        )  # padding repeats the last element


class BatchNormalizationLayer(Layer):
    """Normalizes each channel to mean 0 and variance 1, over the batch while training, by moving statistics otherwise.

    y = Scaling · (x - mean) / sqrt(variance + Epsilon) + Biases;
    while training MovingMean becomes Momentum · MovingMean + (1 - Momentum) · mean, and MovingVariance likewise.

    Ports: Input and Output {channels, …} (channels last when Interleaving), of equal size, real; level 1 of a sequence may vary.

    Arrays: Scaling {channels}, starts at 1; Biases {channels}, 0. State: MovingMean, starts at 0; MovingVariance, 1.

    Parameters: Epsilon (default 0.001); Momentum, from 0 to 1 (0.9: 90 % of the old is kept); Interleaving (False).

    >>> BatchNormalizationLayer(Epsilon=0, Scaling=[2.0], Biases=[1.0], MovingMean=[3.0], MovingVariance=[4.0])([5.0]).tolist()
    [3.0]

    Differences from Wolfram: the moving variance takes the batch's variance with divisor n [M]. Source: Wolfram's public reference page.
    """

    Epsilon: Any = parameter(number(0), 0.001)
    Momentum: Any = parameter(number(0, 1), 0.9)
    Interleaving: Any = parameter(BOOLEAN, False)
    Scaling = array("c", 1.0)
    Biases = array("c", 0.0)
    MovingMean = state("c", 0.0)
    MovingVariance = state("c", 1.0)

    arithmetic = "exact"
    signature = "... -> ..."
    varying = "aware"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        sizes = None
        for port in ("Input", "Output"):
            known = types[port].sizes
            if known is not None:
                if not known:
                    raise Contradiction("takes an array with a channel level, not a single number", port)
                if sizes is not None and len(sizes) != len(known):
                    raise Contradiction("keeps the rank of its input", port)
                sizes = known if sizes is None else tuple(merge_sizes(a, b, port) for a, b in zip(sizes, known))
        channels: Size = None if sizes is None else sizes[-1 if self.Interleaving else 0]
        if isinstance(channels, tuple):
            raise Contradiction(
                "normalizes channels, which cannot be of varying number; Interleaving=True puts them last", "Input"
            )
        for name in self.array_declarations:
            known = types[name].sizes if name in types else None
            if known is not None:
                if len(known) != 1:
                    raise Contradiction("takes a vector, one number a channel", name)
                channels = merge_sizes(channels, known[0], name)
        if sizes is not None:
            sizes = (*sizes[:-1], channels) if self.Interleaving else (channels, *sizes[1:])
        vector = ArrayType((channels,), REAL)
        return {"Input": ArrayType(sizes), "Output": ArrayType(sizes, REAL)} | dict.fromkeys(self.array_declarations, vector)

    def apply(self, arrays: Any, x: Any, *, training: bool, axes: Any, weight: Any, state: Any) -> Any:
        if isinstance(x, Sequence):
            counts = x.mask.astype(jnp.float32) * weight
            y, new = self._normalize(arrays, x.data, counts.reshape((-1,) + (1,) * (x.data.ndim - 1)), training, axes, state)
            return x.with_data(y), new
        return self._normalize(arrays, x, weight, training, axes, state)

    def _normalize(self, arrays: Any, x: Any, weight: Any, training: bool, axes: Any, state: Any) -> Any:
        channel = x.ndim - 1 if self.Interleaving else 0
        others = tuple(axis for axis in range(x.ndim) if axis != channel)
        shape = tuple(-1 if axis == channel else 1 for axis in range(x.ndim))
        mean, variance = state.MovingMean, state.MovingVariance
        new = {}
        if training:
            weights = jnp.broadcast_to(jnp.asarray(weight, x.dtype), x.shape)
            count = jnp.sum(weights, axis=others)
            total = jnp.sum(weights * x, axis=others)
            count, total = (_summed(value, axes) for value in (count, total))
            mean = total / count
            squares = jnp.sum(weights * jnp.square(x - mean.reshape(shape)), axis=others)
            variance = _summed(squares, axes) / count
            if self.LearningRateMultipliers not in (0, None):
                keep = self.Momentum
                new = {
                    "MovingMean": keep * state.MovingMean + (1 - keep) * jax.lax.stop_gradient(mean),
                    "MovingVariance": keep * state.MovingVariance + (1 - keep) * jax.lax.stop_gradient(variance),
                }
        scale = arrays.Scaling * jax.lax.rsqrt(variance + self.Epsilon)
        return (x - mean.reshape(shape)) * scale.reshape(shape) + arrays.Biases.reshape(shape), new


def _summed(value: Any, axes: Any) -> Any:
    return jax.lax.psum(value, axes) if axes else value
