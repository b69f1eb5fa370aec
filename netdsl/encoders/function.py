"""The encoder that is a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netdsl.constraints import BOOLEAN, FUNCTION, Constraint, frozen
from netdsl.declarations import parameter
from netdsl.encoders.encoder import Encoder, real_type
from netdsl.encoders.nesting import is_many, place
from netdsl.errors import DeclarationError, EncodingError, excerpt
from netdsl.shapes import ArrayType, describe, parse_type

__all__ = ["FunctionEncoder"]


def _shape(value: Any) -> Any:
    try:
        type_ = parse_type(value, "Input")
    except DeclarationError:
        raise ValueError from None
    if not type_.known:
        raise ValueError
    return frozen(list(value) if isinstance(value, range) else value)


SHAPE = Constraint(
    'a shape, such as 3, [3, 28, 28], ["Varying", 3], "Real" or Restricted("Integer", n)',
    _shape,
    ("wide", 0, [2, "Varying"], 1.5),
)


class FunctionEncoder(Encoder):
    """Whatever a function makes of a thing.

    Output: an array of the shape `Output`; what the function returns is checked against it.

    Function
        Any Python function of one thing, called outside the compiled net.
    Output
        The shape of what it returns, in any form that a port takes.
    Batched
        True: the function gets the list of all things of a batch and returns their arrays. Default False.

    A list, tuple or column is a batch of things; anything else, an array too, is one thing. Nothing counts as already encoded.
    Raises `EncodingError` when the function fails, or returns something else than numbers of that shape.

    Differences from Wolfram: the function is Python; where Batched is True it gets all things of one call at once [M].

    >>> from netdsl.encoders import NetEncoder
    >>> NetEncoder("Function", lambda word: [len(word), word.count("a")], 2)(["banana", "fig"])
    array([[6., 3.],
           [3., 0.]], dtype=float32)
    """

    kind = "Function"
    numeric = True

    Function: Callable[[Any], Any] = parameter(FUNCTION, positional=True)
    Output: Any = parameter(SHAPE, positional=True)
    Batched: bool = parameter(BOOLEAN, False)

    def type(self) -> ArrayType:
        return parse_type(list(self.Output) if isinstance(self.Output, tuple) else self.Output, "Input")

    def takes(self, thing: Any) -> bool:
        return isinstance(getattr(thing, "ndim", None), int) or not is_many(thing)

    def encode(self, thing: Any) -> np.ndarray:
        if self.Batched:
            return self._rows([thing])[0]
        return self._checked(self._called(thing, thing, ()), thing, ())

    def encode_many(self, things: Sequence[Any]) -> np.ndarray | list[np.ndarray]:
        rows = (
            self._rows(things)
            if self.Batched
            else [self._checked(self._called(thing, thing, (i,)), thing, (i,)) for i, thing in enumerate(things, 1)]
        )
        return rows if self.type().varying or not rows else np.stack(rows)

    def device(self, compact: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(compact).astype(jnp.int32 if self.type().integer else real_type())

    def _rows(self, things: Sequence[Any]) -> list[np.ndarray]:
        results = self._called(things, things, ())
        if not hasattr(results, "__len__") or len(results) != len(things):
            raise EncodingError(
                f"{self.title()}: with Batched=True the function must return one array for each of the {len(things)} things. "
                f"It returned {excerpt(results)}."
            )
        return [self._checked(result, thing, (i,)) for i, (thing, result) in enumerate(zip(things, results), 1)]

    def _called(self, argument: Any, thing: Any, where: tuple[int, ...]) -> Any:
        try:
            return self.Function(argument)
        except Exception as problem:  # a function of the user's may raise anything
            raise EncodingError(
                f"{self.title()}: the function failed for {excerpt(thing)}{place(where)}: {type(problem).__name__}: {problem}"
            ) from problem

    def _checked(self, result: Any, thing: Any, where: tuple[int, ...]) -> np.ndarray:
        type_ = self.type()
        try:
            array = np.asarray(result)
        except ValueError:
            array = np.array(None)
        start = f"{self.title()}: the function must return {describe(type_)}. For {excerpt(thing)}{place(where)} it returned"
        if "float" in str(array.dtype) and array.dtype.kind != "f":
            array = array.astype(real_type())
        if array.dtype.kind not in "buif":
            raise EncodingError(f"{start} {excerpt(result)}.")
        sizes = type_.sizes or ()
        if array.ndim != len(sizes) or any(a != b for a, b in zip(array.shape, sizes) if isinstance(b, int)) or 0 in array.shape:
            raise EncodingError(f"{start} an array of sizes {list(array.shape)}.")
        if not np.isfinite(array).all():
            raise EncodingError(f"{start} numbers that are not finite: {excerpt(array)}.")
        if type_.integer:
            return self._integers(array, start)
        return array.astype(real_type()) if array.dtype.itemsize > 4 else array

    def _integers(self, array: np.ndarray, start: str) -> np.ndarray:
        elements = self.type().elements
        if array.dtype.kind not in "iu":
            raise EncodingError(f"{start} numbers of {array.dtype}.")
        low, high = (elements.low, elements.high) if elements is not None else (None, None)
        if array.size and ((low is not None and array.min() < low) or (high is not None and array.max() > high)):
            raise EncodingError(f"{start} integers from {array.min()} to {array.max()}.")
        if array.size and max(abs(int(array.min())), int(array.max())) >= 2**31:
            raise EncodingError(f"{start} integers that need more than 32 bits.")
        return array.astype(np.int32) if array.dtype.itemsize > 4 else array
