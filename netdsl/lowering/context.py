"""What surrounds the execution of a batch, and the inputs as it begins with them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

from netdsl.errors import DeclarationError
from netdsl.lowering.precision import REAL32, Precision
from netdsl.nets import ArrayPath, Net, Sequence, element_name

__all__ = ["Context", "device_halves"]


@dataclass(frozen=True)
class Context:
    """What surrounds the execution of a batch of examples.

    `seed` is a key or None; `indices` the examples' indices and those of the maps around, each an array; `weights` 1 for each
    example, or 0 where it is padded; `axes` the names of the mapped axes around the batch; `prefix` the path of the operator that
    holds the program; `precision` says in which types the layers compute; `numbers` are those by which layers inside a loop draw,
    where they stand for many.
    """

    weights: Any
    indices: tuple[Any, ...]
    seed: Any = None
    training: bool = False
    axes: tuple[str, ...] = ()
    platform: str = "cpu"
    prefix: ArrayPath = ()
    precision: Precision = REAL32
    numbers: Mapping[ArrayPath, Any] = field(default_factory=dict)

    @property
    def axis(self) -> str:
        """The name of the axis of the batch itself, for what is mapped over it."""
        return "/".join(("batch", *self.prefix))

    def key(self, path: ArrayPath, indices: tuple[Any, ...]) -> Any:
        """The random key of a layer for one example: the same whatever the batch size or padding."""
        if self.seed is None:
            when, mode = (" while training", ", training=True") if self.training else ("", "")
            raise DeclarationError(
                f"A random key is missing: {element_name(self.prefix + path)} draws random numbers{when}. "
                f"Call f(arrays, state, inputs, jax.random.key(1){mode})."
            )
        key = jax.random.fold_in(self.seed, self.number(self.prefix + path))
        for index in indices:
            key = jax.random.fold_in(key, index)
        return key

    def number(self, path: ArrayPath) -> Any:
        """The number that makes a layer's random numbers its own, by its path in the whole net."""
        return self.numbers[path] if path in self.numbers else zlib.crc32("/".join(path).encode())


def device_halves(net: Net, values: Mapping[str, Any], compact: frozenset[str]) -> dict[str, Any]:
    """The inputs of a batch with the encoders of the ports in `compact` run to their end."""

    def encoded(port: str, value: Any) -> Any:
        device = jax.vmap(net.program.encoders[port].device)
        return value.with_data(device(value.data)) if isinstance(value, Sequence) else device(value)

    return {port: encoded(port, value) if port in compact else value for port, value in values.items()}
