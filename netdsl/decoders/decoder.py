"""What every decoder is: from the array at an output port back to a thing, with named properties."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

import numpy as np

from netdsl.declarations import Declared
from netdsl.errors import DeclarationError, EncodingError, PartError, excerpt, listing, nearest, public
from netdsl.shapes import ArrayType
from netdsl.symbols import Automatic, Rule

__all__ = ["Decoder", "as_numbers", "generator"]


def as_numbers(array: Any, title: str) -> np.ndarray:
    """The array as float64; raises EncodingError for anything that is no array of numbers."""
    try:
        numbers = np.asarray(array)
    except ValueError:
        numbers = np.array(None)
    if numbers.dtype.kind not in "buif" and "float" not in str(numbers.dtype):
        raise EncodingError(f"{title} takes arrays of numbers. Got {excerpt(array)}.")
    return numbers.astype(np.float64)


def generator(RandomSeeding: Any) -> np.random.Generator:
    """The source of chance: for an integer or string always the same, for Automatic a new one; a generator is used as it stands.

    Example i of a batch uses the i-th draw, so that what is drawn for it does not depend on how many come after it.
    """
    if isinstance(RandomSeeding, np.random.Generator):
        return RandomSeeding
    if RandomSeeding is Automatic:
        return np.random.default_rng()
    if isinstance(RandomSeeding, str):
        return np.random.default_rng(zlib.crc32(RandomSeeding.encode()))
    if isinstance(RandomSeeding, bool) or not hasattr(RandomSeeding, "__index__"):
        raise DeclarationError(f"RandomSeeding is an integer, a string or Automatic. Got {excerpt(RandomSeeding)}.")
    return np.random.default_rng(RandomSeeding.__index__() % 2**63)


class Decoder(Declared):
    """The abstract decoder.

    `decode` gets one example's output as a NumPy array and the property asked for. ``None`` as a property of a net's call is
    handled by evaluation: it gives the raw array.

    A property is a name, or a name with an argument: ``["TopProbabilities", 3]`` or ``Rule("TopProbabilities", 3)``. Properties
    that draw at random take `RandomSeeding` (default 1234: always the same draws); the others ignore it.
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

    def decode(self, array: np.ndarray, property: Any = None, *, RandomSeeding: Any = 1234) -> Any:
        """The thing, or the property of it, that the array of one example means; None asks for the default property."""
        raise NotImplementedError

    def decode_many(self, arrays: Any, property: Any = None, *, RandomSeeding: Any = 1234) -> list[Any]:
        """The same for many examples: an array with the examples first, or a list of arrays."""
        source = generator(RandomSeeding)
        return [self.decode(np.asarray(array), property, RandomSeeding=source) for array in arrays]

    def encoder_spec(self, type: ArrayType | None = None) -> tuple[Any, ...] | None:
        """The arguments of NetEncoder for targets of a port with this decoder, or None when there is no such encoder.

        `type` is the solved type of the port; it fixes what the decoder leaves open.
        """
        return None

    def property_name(self, property: Any) -> str:
        """The name in a property specification ("P", ["P", n] or Rule("P", n)); raises PartError for an unknown one."""
        return self.split_property(property)[0]

    def split_property(self, property: Any) -> tuple[str, Any]:
        """Name and argument (None when there is none) of a property specification; raises PartError for an unknown one."""
        name, argument = property, None
        if isinstance(property, Rule) or (isinstance(property, (list, tuple)) and len(property) == 2):
            name, argument = property
        if not isinstance(name, str) or name not in self.properties:
            hint = f" {nearest(name, self.properties)}" if self.properties else ""
            raise PartError(
                f"{self.title()} has no property {excerpt(name)}.{hint} Its properties are {listing(self.properties) or 'none'}."
            )
        return name, argument

    @public
    def __call__(self, array: Any, property: Any = None, /, *, RandomSeeding: Any = 1234) -> Any:
        """The decoded array, or the decoded arrays when there is one level more than the decoder takes."""
        if isinstance(property, str) and property == "Properties":
            return list(self.properties)
        try:
            array = np.asarray(array)
        except ValueError:
            raise EncodingError(f"{self.title()} takes arrays of numbers. Got {excerpt(array)}.") from None
        rank = self.type().rank
        if rank is not None and array.ndim == rank + 1:
            return self.decode_many(array, property, RandomSeeding=RandomSeeding)
        return self.decode(array, property, RandomSeeding=RandomSeeding)

    def __repr__(self) -> str:
        return f"NetDecoder({', '.join([repr(self.kind), *self._written()])})"
