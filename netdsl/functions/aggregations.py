"""What is computed over level 1 of an array of which only the first elements may count: means, extremes, variances, quartiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

__all__ = ["AGGREGATIONS", "VARIANCE_DIVISOR"]

VARIANCE_DIVISOR = 1
"""What the divisor of `Variance` and `StandardDeviation` is less than the number of elements, as in the language itself; in
Mathematica's layers it is not documented [M]."""


def _filled(x: Any, count: Any, fill: float) -> Any:
    """The array with `fill` beyond its first `count` elements; None: all are real."""
    return x if count is None else jnp.where((jnp.arange(len(x)) < count).reshape(-1, *(1,) * (x.ndim - 1)), x, fill)


def _total(x: Any, count: Any) -> Any:
    return jnp.sum(_filled(x, count, 0), axis=0)


def _mean(x: Any, count: Any) -> Any:
    return _total(x, count) / (len(x) if count is None else count)


def _variance(x: Any, count: Any) -> Any:
    number = len(x) if count is None else count
    return _total(jnp.square(x - _mean(x, count)), count) / jnp.maximum(number - VARIANCE_DIVISOR, 1)


def _standard_deviation(x: Any, count: Any) -> Any:
    variance = _variance(x, count)
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), 0)  # the slope at 0 is taken as 0


def _quartile(which: int) -> Callable[[Any, Any], Any]:
    """The quartile at position n·which/4 + 1/2 of the sorted elements, between two of them linear: Mathematica's default."""

    def quartile(x: Any, count: Any) -> Any:
        number = len(x) if count is None else count
        quarters = jnp.clip(which * number - 2, 0, 4 * (number - 1))
        ordered = jnp.sort(x if count is None else _filled(x, count, jnp.inf), axis=0)
        low, high = ordered[quarters // 4], ordered[jnp.minimum(quarters // 4 + 1, number - 1)]
        return low + (high - low) * (quarters % 4 / 4)

    return quartile


AGGREGATIONS: dict[str, Callable[..., Any]] = {
    "Mean": _mean,
    "Min": lambda x, count: jnp.min(_filled(x, count, jnp.inf), axis=0),
    "Max": lambda x, count: jnp.max(_filled(x, count, -jnp.inf), axis=0),
    "Total": _total,
    "Times": lambda x, count: jnp.prod(_filled(x, count, 1), axis=0),
    "Median": _quartile(2),
    "Variance": _variance,
    "StandardDeviation": _standard_deviation,
    "MeanDeviation": lambda x, count: _mean(jnp.abs(x - _mean(x, count)), count),
    "InterquartileRange": lambda x, count: _quartile(3)(x, count) - _quartile(1)(x, count),
}
"""What AggregationLayer computes over level 1 of real numbers, of which only the first `count` count; None: all of them."""
