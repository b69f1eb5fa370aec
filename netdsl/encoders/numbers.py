"""The encoders of truth values and of single numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdsl.declarations import parameter
from netdsl.encoders.classes import DIMENSIONS
from netdsl.encoders.encoder import Encoder, real_type
from netdsl.encoders.nesting import levels, place, unmasked
from netdsl.errors import EncodingError, excerpt
from netdsl.shapes import ArrayType, array_of, parse_type

__all__ = ["BooleanEncoder", "ScalarEncoder"]


class BooleanEncoder(Encoder):
    """True as 1 and False as 0.

    Output: a real number, or a real array of the sizes `Dimensions`.

    Dimensions
        Sizes of an array of truth values that counts as one thing; default [], a single one. The first may be "Varying".

    Raises `EncodingError` for anything else than True and False, numbers included.

    Differences from Wolfram: the numbers 0 and 1 do not count as already encoded.

    >>> from netdsl.encoders import NetEncoder
    >>> NetEncoder("Boolean")([True, False])
    array([1., 0.], dtype=float32)
    """

    kind = "Boolean"
    numeric = True

    Dimensions: tuple[Any, ...] = parameter(DIMENSIONS, (), positional=True)

    def type(self) -> ArrayType:
        return parse_type(list(self.Dimensions), "Input")

    def takes(self, thing: Any) -> bool:
        return levels(thing) <= len(self.Dimensions)

    def encode(self, thing: Any) -> np.ndarray:
        return _checked(_truth(thing, self.title(), ()), self.Dimensions, self.title(), ())

    def encode_many(self, things: Sequence[Any]) -> np.ndarray | list[np.ndarray]:
        if self.type().varying:
            arrays = [(_truth(thing, self.title(), (i,)), (i,)) for i, thing in enumerate(things, 1)]
            return [_checked(array, self.Dimensions, self.title(), where) for array, where in arrays]
        return _checked(_truth(things, self.title(), ()), (len(things), *self.Dimensions), self.title(), ())

    def device(self, compact: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(compact).astype(real_type())

    def decoder_spec(self) -> tuple[Any, ...]:
        return ("Boolean", {"InputDepth": len(self.Dimensions)}) if self.Dimensions else ("Boolean",)


class ScalarEncoder(Encoder):
    """A number as a vector of size 1.

    Output: a real vector of size 1, as a net that predicts one number with `LinearLayer(1)` gives it [M].

    Raises `EncodingError` for anything that is no finite real number.

    Differences from Wolfram: this is the encoder of versions 11, which later lists leave out; a number is never bypassed.

    >>> from netdsl.encoders import NetEncoder
    >>> NetEncoder("Scalar")([1.5, 2])
    array([[1.5],
           [2. ]], dtype=float32)
    """

    kind = "Scalar"
    numeric = True

    def type(self) -> ArrayType:
        return array_of(1)

    def takes(self, thing: Any) -> bool:
        return levels(thing) == 0

    def encode(self, thing: Any) -> np.ndarray:
        return self._vectors(thing, ())

    def encode_many(self, things: Sequence[Any]) -> np.ndarray:
        return self._vectors(things, (len(things),))

    def _vectors(self, things: Any, shape: tuple[int, ...]) -> np.ndarray:
        try:
            array = unmasked(things if hasattr(things, "__array__") or not shape else list(things))
        except EncodingError:
            raise
        except ValueError:
            array = np.array(None)
        if "float" in str(array.dtype):
            with np.errstate(over="ignore"):
                array = array.astype(real_type())
        if array.dtype.kind not in "iuf" or array.shape not in (shape, (*shape, 1)):
            bad = next(((i, one) for i, one in enumerate(things, 1) if not _is_number(one)), None) if shape else (0, things)
            if bad is None:
                raise EncodingError(f"{self.title()} takes single numbers. Got an array of sizes {list(array.shape)}.")
            raise EncodingError(f"{self.title()} takes numbers. Got {excerpt(bad[1])}{place((bad[0],) if bad[0] else ())}.")
        if not np.isfinite(array).all():
            first = int(np.argmin(np.isfinite(array.ravel())))
            bad_one = array.ravel()[first]
            where = place((first + 1,) if shape else ())
            raise EncodingError(f"{self.title()} takes finite {real_type()} numbers. Got {bad_one}{where}.")
        return array.astype(real_type()).reshape(*shape, 1)

    def decoder_spec(self) -> tuple[Any, ...]:
        return ("Scalar",)


def _is_number(thing: Any) -> bool:
    if isinstance(thing, int):
        return not isinstance(thing, bool) and abs(thing) < 2**63
    return isinstance(thing, (float, np.integer, np.floating))


def _truth(thing: Any, title: str, where: tuple[int, ...]) -> np.ndarray:
    try:
        array = unmasked(thing)
    except EncodingError:
        raise
    except ValueError:
        raise EncodingError(f"{title} needs lists of equal lengths. Got {excerpt(thing)}{place(where)}.") from None
    if array.dtype == object and all(isinstance(one, (bool, np.bool_)) for one in array.flat):
        array = array.astype(bool)
    if array.dtype != bool and array.size:
        first, bad = next(
            ((index, one) for index, one in np.ndenumerate(np.array(thing, object)) if not isinstance(one, (bool, np.bool_))),
            ((), thing),
        )
        raise EncodingError(f"{title} takes True and False. Got {excerpt(bad)}{place((*where, *(i + 1 for i in first)))}.")
    return array.astype(np.uint8)


def _checked(array: np.ndarray, sizes: tuple[Any, ...], title: str, where: tuple[int, ...]) -> np.ndarray:
    if array.ndim != len(sizes) or any(a != b for a, b in zip(array.shape, sizes) if b != "Varying"):
        raise EncodingError(
            f"{title} needs truth values of the sizes {list(sizes)}{place(where)}. Got sizes {list(array.shape)}."
        )
    return array
