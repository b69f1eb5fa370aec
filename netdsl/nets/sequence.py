"""A varying array inside a compiled function: padded data and its true length."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

__all__ = ["Sequence"]


class Sequence(NamedTuple):
    """One array padded along level 1 and how many of its elements are real.

    Padding repeats the last real element, so that whatever is finite on the data is finite on the padding.
    """

    data: Any
    length: Any

    @property
    def mask(self) -> Any:
        """True at the real elements."""
        return jnp.arange(self.data.shape[0]) < self.length

    def with_data(self, data: Any) -> Sequence:
        """The same length over other data."""
        return Sequence(data, self.length)
