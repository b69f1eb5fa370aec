"""PerformanceGoal: training in less memory at the price of time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netdsl.errors import DeclarationError, excerpt
from netdsl.nets import Net
from netdsl.symbols import Automatic

__all__ = ["in_parts", "parts_of", "recomputing", "sparing"]

MOST_PARTS, SMALLEST_PART = 8, 8
"""A batch is computed in so many parts at most, of so many examples at least."""

PRODUCTS = ("conv_general_dilated", "dot_general", "ragged_dot_general")
"""The operations whose results are kept: what takes long to compute again."""


def sparing(goal: Any) -> bool:
    """Whether a setting of PerformanceGoal asks for less memory at the price of time."""
    if goal is None or goal is Automatic or goal == "TrainingSpeed":
        return False
    if goal == "TrainingMemory":
        return True
    raise DeclarationError(f'PerformanceGoal is "TrainingSpeed", "TrainingMemory" or Automatic. Got {excerpt(goal)}.')


def parts_of(graph: Net, examples: int) -> int:
    """In how many parts so many examples are computed: one where examples depend on each other or change a state."""
    if any({"axes", "state"} & set(layer.needs) for _, layer in graph.leaves()):  # type: ignore[attr-defined]
        return 1
    counts = range(1, MOST_PARTS + 1)
    return max((count for count in counts if examples % count == 0 and examples // count >= SMALLEST_PART), default=1)


def recomputing(function: Any) -> Any:
    """The function, whose slopes are computed from the results of its products alone: all else is computed again."""
    return jax.checkpoint(function, policy=lambda operation, *_, **__: operation.name in PRODUCTS)


def in_parts(function: Any, count: int) -> Any:
    """The mean of a function over the parts of a batch, computed one after the other: f(arrays, fixed, state, inputs, indices, key)."""

    def mean(arrays: Any, fixed: Any, state: Any, inputs: Any, indices: Any, key: Any) -> Any:
        parts = jax.tree.map(lambda level: level.reshape(count, -1, *level.shape[1:]), (inputs, indices))

        def add(total: Any, part: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, function(arrays, fixed, state, *part, key)), None

        first = jax.tree.map(lambda level: level[0], parts)
        shapes = jax.eval_shape(function, arrays, fixed, state, *first, key)
        total, _ = lax.scan(add, jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes), parts)
        return jax.tree.map(lambda value: value / count, total)

    return mean
