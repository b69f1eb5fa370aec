"""LearningRateSchedule: how the learning rate changes from batch to batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.errors import DeclarationError, excerpt, nearest

__all__ = ["SCHEDULES", "Schedule", "schedule"]

SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {
    "Linear": lambda batch, total: 1 - (batch - 1) / total,
    "Exponential": lambda batch, total: 0.01 ** ((batch - 1) / total),
    "Cosine": lambda batch, total: (1 + jnp.cos(jnp.pi * (batch - 1) / total)) / 2,
}
"""The schedules by name: all begin with 1; after the last batch they would be at 0, 0.01 and 0 [M]."""


@dataclass(frozen=True)
class Schedule:
    """A function f(batch, total) of the number of a batch, from 1 to total, that multiplies the initial learning rate."""

    function: Callable[[Any, Any], Any]

    @cached_property
    def traceable(self) -> bool:
        """Whether JAX can trace the function, so that it is computed for many batches at once."""
        number = jax.ShapeDtypeStruct((), jnp.int32)
        try:
            jax.eval_shape(self.function, number, number)
        except Exception:  # whatever a function of the user's raises; called with numbers it says what is wrong with it
            return False
        return True

    def factors(self, first: int, count: int, total: int) -> np.ndarray:
        """The factors of `count` batches from the number `first` on. A batch after the last planned one counts as that."""
        batches = np.minimum(np.arange(first, first + count, dtype=np.int32), np.int32(total))
        if self.traceable:
            found = jax.vmap(self.function, (0, None))(batches, np.int32(total))
        else:
            found = [self.function(batch, total) for batch in batches.tolist()]
        try:
            factors = np.asarray(found, np.float64)
        except (ValueError, TypeError):
            factors = np.zeros(0)
        if factors.shape != (count,):
            raise DeclarationError(f"LearningRateSchedule gives a number for a batch. Got {excerpt(found[0])} for batch {first}.")
        wrong = ~(np.isfinite(factors) & (factors >= 0))
        if wrong.any():
            place = int(wrong.argmax())
            raise DeclarationError(
                f"LearningRateSchedule gives numbers of at least 0. Got {factors[place]:g} for batch {batches[place]} of {total}."
            )
        return factors


def schedule(setting: Any) -> Schedule:
    """The schedule that a setting means: a name, f(batch, total), or an optax schedule of the number of batches before."""
    if isinstance(setting, str) and setting in SCHEDULES:
        return Schedule(SCHEDULES[setting])
    if not callable(setting):
        raise DeclarationError(
            f"LearningRateSchedule is a function f(batch, total), an optax schedule or a name. Got {excerpt(setting)}. "
            f"{nearest(setting, SCHEDULES)}"
        )
    if _takes(setting, 2) or not _takes(setting, 1):
        return Schedule(setting)
    return Schedule(wraps(setting)(lambda batch, total: setting(batch - 1)))


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True
