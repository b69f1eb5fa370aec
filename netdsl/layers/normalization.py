"""Layers that scale what they get: SoftmaxLayer, BatchNormalizationLayer, NormalizationLayer, LocalResponseNormalizationLayer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.constraints import BOOLEAN, NATURAL, NUMBER, POSITIVE, Constraint, either, integer, list_of, number, one_of
from netdsl.declarations import parameter
from netdsl.errors import DeclarationError
from netdsl.layers.elementwise import equal_sizes
from netdsl.nets import Layer, Sequence, array, state
from netdsl.shapes import REAL, ArrayType, Contradiction, Length, merge_sizes
from netdsl.shapes.types import Size
from netdsl.symbols import All, Span

__all__ = ["BatchNormalizationLayer", "LocalResponseNormalizationLayer", "NormalizationLayer", "SoftmaxLayer"]


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


def _span(value: Any) -> Span:
    if not isinstance(value, Span) or not all(end is All or (isinstance(end, int) and end) for end in (value.start, value.end)):
        raise ValueError
    return value


_LEVEL = either(integer(1), integer(high=-1))
_LEVELS = either(_LEVEL, list_of(_LEVEL, "a list of levels"), Constraint("a span", _span, (Span(0, 2),)))
LEVELS = Constraint("a level, a list of levels or a Span", _LEVELS.keep, (0, "no level", 1.5, Span(0, 2)))
SCALED_LEVELS = Constraint(
    f'"Complement", "Same", {LEVELS.words}', either(one_of("Complement", "Same"), LEVELS).keep, (0, "no level", 1.5)
)


def level_axes(levels: Any, rank: int) -> tuple[int, ...]:
    """The axes, from 0, of levels of an array of this rank; a Contradiction where it does not have them."""
    try:
        each = levels.positions(rank) if isinstance(levels, Span) else levels if isinstance(levels, tuple) else (levels,)
    except DeclarationError:
        each = (rank + 1,)
    axes = sorted({n - 1 if n > 0 else n + rank for n in each})
    if any(not 0 <= axis < rank for axis in axes):
        raise Contradiction(f"acts on the levels {levels}, which an array of rank {rank} does not have")
    return tuple(axes)


class NormalizationLayer(Layer):
    """Normalizes what is in some levels to mean 0 and variance 1, each example for itself.

    y = Scaling · (x - mean) / sqrt(variance + Epsilon) + Biases, mean and variance over the levels that are aggregated;
    Method "RMS": y = Scaling · x / sqrt(mean of x² + Epsilon) + Biases

    Ports: Input and Output, arrays of equal size, real; level 1 may vary: then only real elements count.

    Arrays: Scaling, starts at 1, and Biases, at 0: of the sizes of the scaled levels; either may be None.

    Parameters: AggregationLevels, a level, a list of levels or a Span (default Span(2, All)); ScalingLevels, levels in which each
    element has a scaling of its own: "Complement", those not aggregated (default), "Same", those aggregated, or as before;
    Epsilon (0.001); GroupNumber, into how many groups the first aggregated level is split [M], or a list with a number for each
    aggregated level; each group has its own mean and variance (None); Unbiased, whether the variance of n elements has the divisor
    n - 1 (False); Method, "Standardize" or "RMS".

    ``NormalizationLayer()`` is instance normalization of {channels, …}, ``NormalizationLayer(2, "Same")`` layer normalization of each
    vector of a sequence, ``NormalizationLayer(Span(1, All), 1, GroupNumber=g)`` group normalization.

    >>> NormalizationLayer(1, "Same", Epsilon=0, Scaling=[2.0, 2.0], Biases=None)([3.0, 5.0]).tolist()
    [-2.0, 2.0]

    Differences from Wolfram: a single GroupNumber splits the first aggregated level [M]. Source: Wolfram's public reference page.
    """

    AggregationLevels: Any = parameter(LEVELS, Span(2, All), positional=True)
    ScalingLevels: Any = parameter(SCALED_LEVELS, "Complement", positional=True)
    Epsilon: Any = parameter(number(0), 0.001)
    GroupNumber: Any = parameter(either(POSITIVE, list_of(POSITIVE, "a list of them")), None)
    Unbiased: Any = parameter(BOOLEAN, False)
    Method: Any = parameter(one_of("Standardize", "RMS"), "Standardize")
    Scaling = array("...", 1.0, optional=True)
    Biases = array("...", 0.0, optional=True)

    arithmetic = "exact"
    varying = "aware"

    def axes(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The axes that are aggregated and those that are scaled, from 0."""
        aggregated = level_axes(self.AggregationLevels, rank)
        if not aggregated:
            raise Contradiction(f"aggregates the levels {self.AggregationLevels}, of which an array of rank {rank} has none")
        if self.ScalingLevels == "Complement":
            return aggregated, tuple(axis for axis in range(rank) if axis not in aggregated)
        return aggregated, aggregated if self.ScalingLevels == "Same" else level_axes(self.ScalingLevels, rank)

    def split(self, sizes: tuple[Any, ...], aggregated: tuple[int, ...]) -> tuple[list[Any], tuple[int, ...]]:
        """The sizes with each level of groups as two, and the axes that are aggregated then."""
        given = 1 if self.GroupNumber is None else self.GroupNumber
        groups = given if isinstance(given, tuple) else (given, *(1 for _ in aggregated[1:]))
        if len(groups) != len(aggregated):
            raise Contradiction(f"has {len(groups)} numbers of groups for {len(aggregated)} aggregated levels")
        counts, split, over = dict(zip(aggregated, groups)), [], []
        for axis, size in enumerate(sizes):
            count = counts.get(axis, 1)
            if count > 1:
                if isinstance(size, Length) or (size is not None and size % count):
                    have = "a varying size" if isinstance(size, Length) else f"size {size}"
                    raise Contradiction(f"splits level {axis + 1} into {count} groups, which has {have}", "Input")
                split.append(count)
                size = None if size is None else size // count
            if axis in counts:
                over.append(len(split))
            split.append(size)
        return split, tuple(over)

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        sizes = equal_sizes(types["Input"].sizes, types["Output"].sizes, "Output")
        if sizes is None:
            return {"Output": ArrayType(None, REAL)}
        aggregated, scaled = self.axes(len(sizes))
        self.split(sizes, aggregated)
        names = [name for name in self.array_declarations if name in types]
        for name in names:
            known = types[name].sizes
            if known is not None and len(known) != len(scaled):
                raise Contradiction(f"takes an array of rank {len(scaled)}, one number for each element that is scaled", name)
            if any(isinstance(sizes[axis], Length) for axis in scaled):
                raise Contradiction('scales level 1, which cannot vary; ScalingLevels="Same" scales those it aggregates', "Input")
            merged = dict(
                zip(scaled, (merge_sizes(sizes[axis], n, name) for axis, n in zip(scaled, known or (None,) * len(scaled))))
            )
            sizes = tuple(merged.get(axis, size) for axis, size in enumerate(sizes))
        arrays = dict.fromkeys(names, ArrayType(tuple(sizes[axis] for axis in scaled), REAL))
        return {"Input": ArrayType(sizes), "Output": ArrayType(sizes, REAL), **arrays}

    def apply(self, arrays: Any, x: Any) -> Any:
        data = x.data if isinstance(x, Sequence) else x
        aggregated, scaled = self.axes(data.ndim)
        split, over = self.split(data.shape, aggregated)
        y = data.reshape(split)
        y = y if jnp.issubdtype(y.dtype, jnp.floating) else y.astype(jnp.result_type(float))
        real, count = True, math.prod(split[axis] for axis in over)
        if isinstance(x, Sequence) and 0 in over:
            real, count = x.mask.reshape((-1,) + (1,) * (y.ndim - 1)), count // len(data) * x.length

        def mean(values: Any, count: Any) -> Any:
            return jnp.sum(jnp.where(real, values, 0), axis=over, keepdims=True) / count

        if self.Method == "Standardize":
            y = y - mean(y, count)
        degrees = jnp.maximum(count - 1, 1) if self.Unbiased and self.Method == "Standardize" else count
        y = (y * jax.lax.rsqrt(mean(jnp.square(y), degrees) + self.Epsilon)).reshape(data.shape)
        shape = tuple(size if axis in scaled else 1 for axis, size in enumerate(data.shape))
        y = y if arrays.Scaling is None else y * arrays.Scaling.reshape(shape)
        y = y if arrays.Biases is None else y + arrays.Biases.reshape(shape)
        return x.with_data(y) if isinstance(x, Sequence) else y


class LocalResponseNormalizationLayer(Layer):
    """Each element divided by a power of the squares in the channels around it.

    y[i, j, k] = x[i, j, k] / (Alpha / (2c + 1) · Σ of x[l, j, k]² over l from max(1, i - c) to min(n, i + c) + Bias)^Beta

    Ports: Input and Output {n, h, w}, real; n is at least 2c + 1.

    Parameters: Alpha (default 1), at least 0; Beta (0.5); Bias (1), greater than 0; ChannelWindowSize, c, the channels on each
    side (2).

    >>> LocalResponseNormalizationLayer(ChannelWindowSize=0, Alpha=3.0)([[[1.0]]]).tolist()
    [[[0.5]]]

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Alpha: Any = parameter(number(0), 1.0)
    Beta: Any = parameter(NUMBER, 0.5)
    Bias: Any = parameter(number(0, open_low=True), 1.0)
    ChannelWindowSize: Any = parameter(NATURAL, 2)

    arithmetic = "exact"
    signature = "n h w -> n h w"

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        refined = self.by_signature(types)
        channels, needed = (refined["Input"].sizes or (None,))[0], 2 * self.ChannelWindowSize + 1
        if isinstance(channels, int) and channels < needed:
            raise Contradiction(f"needs {needed} channels or more for its ChannelWindowSize, where there are {channels}", "Input")
        return refined

    def apply(self, arrays: Any, x: Any) -> Any:
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))
        side = self.ChannelWindowSize
        window = (2 * side + 1, 1, 1)
        squares = jax.lax.reduce_window(jnp.square(x), 0.0, jax.lax.add, window, (1, 1, 1), ((side, side), (0, 0), (0, 0)))
        return x * (self.Alpha / window[0] * squares + self.Bias) ** -self.Beta
