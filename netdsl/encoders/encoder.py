"""What every encoder is: a host half from a thing to a compact array, and a device half that is traced into the net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from netdsl.declarations import Declared
from netdsl.errors import public
from netdsl.forks import refuse_forked
from netdsl.shapes import ArrayType

__all__ = ["Encoder", "real_type"]


def real_type() -> np.dtype[Any]:
    """The type of real numbers that JAX has by default: float32, and float64 where 64-bit numbers are on."""
    import jax.numpy as jnp

    return jnp.result_type(float)


class Encoder(Declared):
    """The abstract encoder.

    The host half turns one thing (an image, a string, a label) into a compact NumPy array, such as uint8 pixels. The
    device half, pure JAX, turns that into what the port takes (cast, scale, one-hot), inside the compiled function.

    What arrives at a port is asked in this order: `encoded_levels` (not None: the values are in the port's own form and
    both halves are left out), `takes` (one thing, for `encode`), and otherwise it is many things, for `encode_many`.
    """

    kind: ClassVar[str]
    numeric: ClassVar[bool] = False
    """Whether the things may themselves be numbers; such an encoder is never bypassed."""

    @classmethod
    def title(cls) -> str:
        return f'NetEncoder("{cls.kind}")'

    def type(self) -> ArrayType:
        """The type of the port that carries the encoder."""
        raise NotImplementedError

    def within(self, type_: ArrayType) -> Encoder:
        """The encoder on a port of this type."""
        return self

    def encoded_levels(self, thing: Any) -> int | None:
        """Whether `thing` is already encoded: 0 for one example, 1 for a batch of them, None when it must be encoded."""
        return None

    def takes(self, thing: Any) -> bool:
        """Whether `thing` is one thing of the encoder's domain (not a batch of them)."""
        raise NotImplementedError

    def encode(self, thing: Any) -> np.ndarray:
        """The host half for one thing. Raises EncodingError that names the thing."""
        raise NotImplementedError

    def encode_many(self, things: Sequence[Any]) -> np.ndarray | list[np.ndarray]:
        """The host half for a list, array or column of things; the result has one level more, the examples first.

        Only where the type of the port varies it is a list with one array for each example. Raises EncodingError that names
        the thing and its position, counted from 1.
        """
        raise NotImplementedError

    def device(self, compact: Any) -> Any:
        """The device half for one compact array: pure JAX, traceable, int32 or the real numbers that JAX has by default out."""
        return compact

    def decoder_spec(self) -> tuple[Any, ...] | None:
        """The arguments of NetDecoder that undo this encoder, or None when there is no such decoder."""
        return None

    @public
    def __call__(self, things: Any, /) -> Any:
        """What the port would get: the encoded thing, or the encoded things of a list."""
        import jax

        refuse_forked()
        if self.encoded_levels(things) is not None:
            return np.asarray(things, real_type())
        if self.takes(things):
            return np.asarray(self.device(self.encode(things)))
        compact = self.encode_many(things)
        if isinstance(compact, list):
            return [np.asarray(self.device(one)) for one in compact]
        return np.asarray(jax.vmap(self.device)(compact))

    def __repr__(self) -> str:
        return f"NetEncoder({', '.join([repr(self.kind), *self._written()])})"
