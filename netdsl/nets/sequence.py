"""A varying array inside a compiled function: padded data and its true length."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Sequence", "padded_alike"]


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


def padded_alike(batch: Any, length: Hashable, padded: dict[Any, int]) -> Any:
    """A tree of sequences of a batch, padded as those of equal length are that came before; `padded` remembers it.

    Layers that change a length leave other padding than sequences of that length have by themselves.
    """
    leaves = jax.tree.leaves(batch, is_leaf=lambda leaf: isinstance(leaf, Sequence))
    have = leaves[0].data.shape[1]
    size = padded.setdefault(length, have)
    if size == have:
        return batch
    places = jnp.minimum(jnp.arange(size), have - 1)
    return jax.tree.map(lambda leaf: leaf.with_data(leaf.data[:, places]), batch, is_leaf=lambda leaf: isinstance(leaf, Sequence))
