"""What every decoder is: from the array at an output port back to a thing, with named properties."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from netdsl.declarations import Declared
from netdsl.errors import PartError, listing, nearest
from netdsl.shapes import ArrayType

__all__ = ["Decoder"]


class Decoder(Declared):
    """The abstract decoder.

    `decode` gets one example's output as a NumPy array and the property asked for. ``None`` as a property is handled by
    evaluation: it gives the raw array.
    """

    kind: ClassVar[str]
    properties: ClassVar[tuple[str, ...]] = ()
    """Names of the properties, the default first."""

    @classmethod
    def title(cls) -> str:
        return f'NetDecoder("{cls.kind}")'

    def type(self) -> ArrayType:
        """The type that the port must have."""
        raise NotImplementedError

    def decode(self, array: np.ndarray, property: Any = None) -> Any:
        """The thing, or the property of it, that the array of one example means; None asks for the default property."""
        raise NotImplementedError

    def encoder_spec(self) -> tuple[Any, ...] | None:
        """The arguments of NetEncoder for targets of a port with this decoder, or None when there is no such encoder."""
        return None

    def property_name(self, property: Any) -> str:
        """The name in a property specification ("P", ["P", n] or Rule("P", n)); raises PartError for an unknown one."""
        name = property
        if not isinstance(property, str):
            try:
                name, _ = property
            except (TypeError, ValueError):
                name = property
        if name not in self.properties:
            raise PartError(f"{self.title()} has no property {name!r}. {nearest(name, self.properties)} "
                            f"Its properties are {listing(self.properties) or 'none'}.")
        return name

    def __call__(self, array: Any, property: Any = None, /) -> Any:
        """The decoded array, or the decoded arrays when there is one level more than the decoder takes."""
        array = np.asarray(array)
        if property == "Properties":
            return list(self.properties)
        rank = self.type().rank
        if rank is not None and array.ndim == rank + 1:
            return [self.decode(one, property) for one in array]
        return self.decode(array, property)

    def __repr__(self) -> str:
        return f"NetDecoder({', '.join([repr(self.kind), *self._written()])})"
