"""What every encoder is: a host half from a thing to a compact array, and a device half that is traced into the net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from netdsl.declarations import Declared
from netdsl.shapes import ArrayType

__all__ = ["Encoder"]


class Encoder(Declared):
    """The abstract encoder.

    The host half turns one thing (an image, a string, a label) into a compact NumPy array, such as uint8 pixels. The
    device half, pure JAX, turns that into what the port takes (cast, scale, one-hot), inside the compiled function.
    """

    kind: ClassVar[str]
    numeric: ClassVar[bool] = False
    """Whether the things are themselves numbers; such an encoder is never bypassed."""

    @classmethod
    def title(cls) -> str:
        return f'NetEncoder("{cls.kind}")'

    def type(self) -> ArrayType:
        """The type of the port that carries the encoder."""
        raise NotImplementedError

    def takes(self, thing: Any) -> bool:
        """Whether `thing` is one thing of the encoder's domain (not a batch of them)."""
        raise NotImplementedError

    def encode(self, thing: Any) -> np.ndarray:
        """The host half for one thing. Raises EncodingError that names the thing."""
        raise NotImplementedError

    def encode_many(self, things: Sequence[Any]) -> np.ndarray:
        """The host half for a list or column of things; the result has one level more, the examples first."""
        return np.stack([self.encode(thing) for thing in things])

    def device(self, compact: Any) -> Any:
        """The device half for one compact array: pure JAX, traceable, float32 or int32 out."""
        return compact

    def __call__(self, things: Any, /) -> np.ndarray:
        """What the port would get: the encoded thing, or the encoded things of a list."""
        import jax

        if self.takes(things):
            return np.asarray(self.device(self.encode(things)))
        return np.asarray(jax.vmap(self.device)(self.encode_many(things)))

    def __repr__(self) -> str:
        return f"NetEncoder({', '.join([repr(self.kind), *self._written()])})"
