"""The encoder of a list of things, each of which goes through another encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdsl.constraints import ANYTHING
from netdsl.declarations import parameter
from netdsl.encoders.encoder import Encoder
from netdsl.encoders.nesting import is_many
from netdsl.errors import EncodingError, excerpt
from netdsl.shapes import VARYING, ArrayType

__all__ = ["MappedEncoder"]


class MappedEncoder(Encoder):
    """What the encoder of an operator's net is for the operator: that of the things which the net gets one by one.

    Output: an array of what the encoder `Each` gives, with one level more, of size `Number` (None: as many as there are). It is made
    where it is needed and stands in no declaration.
    """

    kind = "Mapped"

    Each: Any = parameter(ANYTHING, positional=True)
    Number: Any = parameter(ANYTHING, None, positional=True)

    @property
    def numeric(self) -> bool:  # type: ignore[override]
        return bool(self.Each.numeric)

    def title(self) -> str:  # type: ignore[override]
        return f"of a list for {self.Each.title()}"

    def within(self, type_: ArrayType) -> Encoder:
        number, *sizes = type_.sizes or (None,)
        return MappedEncoder(self.Each.within(ArrayType(tuple(sizes), type_.elements)), "Varying" if type_.varying else number)

    def type(self) -> ArrayType:
        each = self.Each.type()
        return ArrayType((VARYING if self.Number == "Varying" else self.Number, *each.sizes), each.elements)

    def encoded_levels(self, thing: Any) -> int | None:
        if self.Each.encoded_levels(thing) == 1:
            return 0
        return 1 if is_many(thing) and len(thing) and self.encoded_levels(next(iter(thing))) == 0 else None

    def takes(self, thing: Any) -> bool:
        return is_many(thing) and len(thing) > 0 and not self.Each.takes(thing) and self.Each.takes(next(iter(thing)))

    def encode(self, thing: Any) -> np.ndarray:
        if not is_many(thing) or not len(thing) or (isinstance(self.Number, int) and len(thing) != self.Number):
            number = "one or more things" if not isinstance(self.Number, int) else f"{self.Number} things"
            raise EncodingError(f"{self.Each.title()} takes a list of {number} here. Got {excerpt(thing)}.")
        return np.asarray(self.Each.encode_many(thing))

    def encode_many(self, things: Sequence[Any]) -> np.ndarray | list[np.ndarray]:
        made = []
        for place, thing in enumerate(things, 1):
            try:
                made.append(self.encode(thing))
            except EncodingError as problem:
                raise EncodingError(f"Example {place}: {problem}") from None
        if self.type().varying:
            return made
        if len({len(one) for one in made}) > 1:
            raise EncodingError(
                f"{self.Each.title()} takes lists of equal lengths here. Got lengths {', '.join(str(len(one)) for one in made)}. "
                'A port for lists of varying length is declared with "Varying".'
            )
        return np.stack(made) if made else np.zeros((0,))

    def device(self, compact: Any) -> Any:
        import jax

        return jax.vmap(self.Each.device)(compact)

    def __repr__(self) -> str:
        return f"MappedEncoder({', '.join(self._written())})"
