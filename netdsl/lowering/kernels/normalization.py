"""Batch normalization of a batch on a CPU, with a gradient of few passes over the data."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netdsl.layers import BatchNormalizationLayer
from netdsl.nets import Sequence

__all__ = ["batch_normalization"]


def batch_normalization(
    layer: BatchNormalizationLayer, arrays: Any, x: Any, *, training: bool, axes: tuple[str, ...], weight: Any, state: Any
) -> Any:
    """The layer's output for a batch, channels last (Interleaving) or examples last, and its new state.

    None leaves sequences to `apply`.
    """
    if isinstance(x, Sequence):
        return None
    last = layer.Interleaving
    mean, variance = state.MovingMean, state.MovingVariance
    new: dict[str, Any] = {}
    if not training:
        mean, scale, biases = (
            _along(value, x, last) for value in (mean, arrays.Scaling * lax.rsqrt(variance + layer.Epsilon), arrays.Biases)
        )
        return (x - mean) * scale + biases, new
    y, mean, variance = _normalized(x, weight, arrays.Scaling, arrays.Biases, layer.Epsilon, axes, last)
    if layer.LearningRateMultipliers not in (0, None):
        keep = layer.Momentum
        new = {
            "MovingMean": keep * state.MovingMean + (1 - keep) * lax.stop_gradient(mean),
            "MovingVariance": keep * state.MovingVariance + (1 - keep) * lax.stop_gradient(variance),
        }
    return y, new


def _along(values: Any, x: Any, last: bool) -> Any:
    """A number for each channel, in the place where the batch has them."""
    return values if last else values.reshape(-1, *(1,) * (x.ndim - 1))


def _sum(values: Any, last: bool) -> Any:
    """The sum for each channel."""
    return jnp.sum(values, axis=range(values.ndim - 1) if last else range(1, values.ndim))


def _statistics(x: Any, weights: Any, axes: tuple[str, ...], last: bool) -> tuple[Any, Any, Any]:
    """How many elements each channel has, and their mean and variance, over the batches of all axes."""
    examples, channels = (x.shape[0], x.shape[-1]) if last else (x.shape[-1], x.shape[0])
    count = jnp.sum(weights) * (x.size // examples // channels)
    mean = _sum(weights * x, last) / jnp.maximum(count, 1)
    squares = _sum(weights * jnp.square(x - _along(mean, x, last)), last)
    if not axes:
        return count, mean, squares / count
    # one exchange: what each batch says of itself, and how far its mean is from that of all
    counts, means, parts = (_gathered(value, axes) for value in (count, mean, squares))
    total = jnp.sum(counts)
    shares = counts[:, None]
    mean = jnp.sum(shares * means, axis=0) / total
    return total, mean, jnp.sum(parts + shares * jnp.square(means - mean), axis=0) / total


def _gathered(value: Any, axes: tuple[str, ...]) -> Any:
    """The values of all batches, in one level."""
    everywhere = value
    for axis in axes:
        everywhere = lax.all_gather(everywhere, axis)
    return everywhere.reshape(-1, *value.shape)


@partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _normalized(x: Any, weight: Any, scaling: Any, biases: Any, epsilon: float, axes: tuple[str, ...], last: bool) -> Any:
    """The normalized batch, its mean and its variance; `weight` is 0 for examples that do not count."""
    return _forward(x, weight, scaling, biases, epsilon, axes, last)[0]


def _forward(x: Any, weight: Any, scaling: Any, biases: Any, epsilon: float, axes: tuple[str, ...], last: bool) -> Any:
    weights = weight.astype(x.dtype)
    if last:
        weights = weights.reshape(-1, *(1,) * (x.ndim - 1))
    count, mean, variance = _statistics(x, weights, axes, last)
    deviation = lax.rsqrt(variance + epsilon)
    middle, scale, shift = (_along(value, x, last) for value in (mean, deviation * scaling, biases))
    return ((x - middle) * scale + shift, mean, variance), (x, weights, count, mean, deviation, scaling)


def _backward(epsilon: float, axes: tuple[str, ...], last: bool, kept: Any, slopes: Any) -> Any:
    x, weights, count, mean, deviation, scaling = kept
    slope = slopes[0]  # the statistics are only kept, without a gradient
    apart = x - _along(mean, x, last)
    total, along = _sum(slope, last), _sum(slope * apart, last) * deviation
    whole_total, whole_along = lax.psum((total, along), axes) if axes else (total, along)
    # what is the same for a channel is worked out once: no division for each element
    scale = deviation * scaling
    shift, tilt = scale * whole_total / count, scale * whole_along * deviation / count
    scale, shift, tilt = (_along(value, x, last) for value in (scale, shift, tilt))
    to_x = scale * slope - weights * (shift + apart * tilt)
    return to_x, None, along, total


_normalized.defvjp(_forward, _backward)
