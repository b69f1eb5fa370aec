"""The decoders of truth values and of single numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from netdsl.constraints import NATURAL
from netdsl.declarations import parameter
from netdsl.decoders.decoder import Decoder, as_numbers, generator
from netdsl.errors import EncodingError, PartError, excerpt
from netdsl.shapes import REAL, ArrayType, array_of

__all__ = ["BooleanDecoder", "ScalarDecoder"]


class BooleanDecoder(Decoder):
    """Probabilities as truth values.

    The decision is False for p < 1/2 and True otherwise.

    Input: a real number, the probability of True; with InputDepth d, an array of rank d, and the results are nested lists.

    InputDepth
        The rank of the input; default 0.

    Properties: ``"Decision"`` (default), ``"Probability"`` (of True; ``["Probability", False]`` of False), ``"Probabilities"`` (a
    dict [M]), ``"Entropy"`` (in nats) and ``"RandomSample"`` (True with probability p [M]; RandomSeeding makes it reproducible).

    Raises `EncodingError` for NaN or an array of another rank, `PartError` for an unknown property.

    Differences from Wolfram: random samples are reproducible by default.

    >>> from netdsl.decoders import NetDecoder
    >>> NetDecoder("Boolean")(0.75), NetDecoder("Boolean")(0.75, "Probabilities")
    (True, {False: 0.25, True: 0.75})
    """

    kind = "Boolean"
    properties = ("Decision", "Probability", "Probabilities", "Entropy", "RandomSample")

    InputDepth: int = parameter(NATURAL, 0)

    def type(self) -> ArrayType:
        return ArrayType((None,) * self.InputDepth, REAL)

    def encoder_spec(self, type: ArrayType | None = None) -> tuple[Any, ...] | None:
        if not self.InputDepth:
            return ("Boolean",)
        if type is None or not type.sizes or None in type.sizes:
            return None
        return ("Boolean", [size if isinstance(size, int) else "Varying" for size in type.sizes])

    def decode(self, array: np.ndarray, property: Any = None, *, RandomSeeding: Any = 1234) -> Any:
        return self.decode_many(np.asarray(array)[None], property, RandomSeeding=RandomSeeding)[0]

    def decode_many(self, arrays: Any, property: Any = None, *, RandomSeeding: Any = 1234) -> list[Any]:
        name, argument = self.split_property("Decision" if property is None else property)
        source = generator(RandomSeeding)
        if isinstance(arrays, (list, tuple)) and len({np.shape(array) for array in arrays}) > 1:
            return [self.decode(np.asarray(array), property, RandomSeeding=source) for array in arrays]
        values = as_numbers(arrays, self.title())
        if values.ndim and not len(values):
            return []
        if values.ndim != self.InputDepth + 1:
            takes = f"arrays of rank {self.InputDepth}" if self.InputDepth else "single probabilities"
            raise EncodingError(f"{self.title()} takes {takes}. Got an array of sizes {list(values.shape[1:])}.")
        if np.isnan(values).any():
            raise EncodingError(f"{self.title()} got NaN, so there is no decision. The property None gives the raw array.")
        if argument is not None and (name != "Probability" or not isinstance(argument, (bool, np.bool_))):
            raise PartError(f'The property "{name}" of {self.title()} does not take the argument {excerpt(argument)}.')
        if name == "Probability":
            return (1 - values if argument is not None and not argument else values).tolist()
        if name == "Entropy":
            return (_surprise(values) + _surprise(1 - values)).tolist()
        if name == "RandomSample":
            return (source.random(values.shape) < values).tolist()
        if name == "Probabilities":
            return _nested(values)
        return (values >= 0.5).tolist()


class ScalarDecoder(Decoder):
    """Vectors of size 1 as numbers.

    Input: a real vector of size 1. There are no properties but None, which gives the vector. Raises `EncodingError` for other
    sizes.

    Differences from Wolfram: this is the decoder of versions 11, which later lists leave out.

    >>> from netdsl.decoders import NetDecoder
    >>> NetDecoder("Scalar")([1.5])
    1.5
    """

    kind = "Scalar"

    def type(self) -> ArrayType:
        return array_of(1)

    def encoder_spec(self, type: ArrayType | None = None) -> tuple[Any, ...]:
        return ("Scalar",)

    def decode(self, array: np.ndarray, property: Any = None, *, RandomSeeding: Any = 1234) -> float:
        return self.decode_many(np.asarray(array)[None], property)[0]

    def decode_many(self, arrays: Any, property: Any = None, *, RandomSeeding: Any = 1234) -> list[Any]:
        if property is not None:
            self.split_property(property)
        values = as_numbers(arrays, self.title())
        if len(values) and values.shape[1:] != (1,):
            raise EncodingError(f"{self.title()} takes vectors of size 1. Got an array of sizes {list(values.shape[1:])}.")
        return values.reshape(-1).tolist()


def _surprise(values: np.ndarray) -> np.ndarray:
    positive = np.where(values > 0, values, 1.0)
    return np.abs(-positive * np.log(positive))


def _nested(values: np.ndarray) -> list[Any]:
    if values.ndim > 1:
        return [_nested(row) for row in values]
    return [{False: 1 - value, True: value} for value in values.tolist()]
