"""The values on the wires of a program for a batch, in the layouts in which layers ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.lowering.kernels.increasing import Increased
from netdsl.lowering.precision import cast
from netdsl.nets import Sequence

__all__ = ["BEHIND", "FIRST", "LAST", "Wire"]

FIRST, LAST, BEHIND = "first", "last", "behind"
"""Layouts of a batch: (examples, channels, positions…) as types say, (examples, positions…, channels), and (channels, positions…,
examples). Channels are level 1 of the type, whatever it means."""


def _axes(layout: str, rank: int) -> list[int]:
    """The axes of `FIRST` in the order that they have in a layout."""
    if rank == 1:
        return [0]
    return {FIRST: [0, *range(1, rank)], LAST: [0, *range(2, rank), 1], BEHIND: [*range(1, rank), 0]}[layout]


@jax.tree_util.register_pytree_node_class
class Wire:
    """The values on a wire for a batch, in the layouts they were asked for, and what they came from.

    `made` is the layout they were made in; `logits` are those of a probability; `increased` says of what the values are an
    increasing function, in the layout they were made in. Values that may never be asked for are made when they are, by `later`:
    until then something of their shape stands in their place. As a pytree a wire has the values as their type says, so that it
    can be mapped over the batch.
    """

    __slots__ = ("increased", "later", "layouts", "logits", "made")

    def __init__(
        self,
        value: Any,
        layout: str = FIRST,
        logits: tuple[str, Any] | None = None,
        later: Callable[[], Any] | None = None,
        increased: Increased | None = None,
    ) -> None:
        self.layouts, self.made, self.logits, self.later, self.increased = {layout: value}, layout, logits, later, increased

    @classmethod
    def of(cls, increased: Increased, layout: str) -> Wire:
        """What an increasing function makes of something."""
        return cls(increased.of, layout, later=lambda: increased.value, increased=increased)

    @property
    def value(self) -> Any:
        """The values as their type says, the examples first."""
        return self.within(FIRST)

    @property
    def is_sequence(self) -> bool:
        return isinstance(self.layouts.get(FIRST), Sequence)

    @property
    def rank(self) -> int:
        """The number of axes, that of the examples among them."""
        return next(iter(self.layouts.values())).ndim

    def shape(self, layout: str) -> tuple[int, ...]:
        """The shape that the values have in a layout."""
        known, value = next(iter(self.layouts.items()))
        order = _axes(known, value.ndim)
        return tuple(value.shape[order.index(axis)] for axis in _axes(layout, value.ndim))

    def within(self, layout: str) -> Any:
        """The values in a layout, which is kept."""
        if self.later is not None:
            self.layouts[self.made], self.later = self.later(), None
        if layout not in self.layouts:
            known, value = next(iter(self.layouts.items()))
            order = _axes(known, value.ndim)
            self.layouts[layout] = jnp.transpose(value, [order.index(axis) for axis in _axes(layout, value.ndim)])
        return self.layouts[layout]

    def cast(self, dtype: Any) -> Wire:
        """The same values, and the logits they came from, in another type; for None itself."""
        if dtype is None:
            return self
        logits = None if self.logits is None else (self.logits[0], cast(self.logits[1], dtype))
        other = Wire(self.within(self.made), self.made, logits)
        other.layouts = {layout: cast(value, dtype) for layout, value in self.layouts.items()}
        return other

    def tree_flatten(self) -> tuple[tuple[Any, Any], str | None]:
        kind, logits = self.logits or (None, None)
        return (self.value, logits), kind

    @classmethod
    def tree_unflatten(cls, kind: str | None, children: tuple[Any, Any]) -> Wire:
        value, logits = children
        return cls(value, logits=None if kind is None else (kind, logits))
