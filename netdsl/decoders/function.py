"""The decoder that is a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netdsl.constraints import FUNCTION, NATURAL
from netdsl.declarations import parameter
from netdsl.decoders.decoder import Decoder
from netdsl.errors import EncodingError
from netdsl.shapes import OPEN, ArrayType
from netdsl.symbols import Automatic

__all__ = ["FunctionDecoder"]


class FunctionDecoder(Decoder):
    """Whatever a function makes of an array.

    Input: an array of any shape, or of rank InputDepth. The function gets it as a NumPy array, one example at a time.

    Function
        Any Python function of one array.
    InputDepth
        The rank of the input [M]; default Automatic, any rank. When given, a direct call knows one array from a batch.

    There are no properties but None, which gives the array. Raises `EncodingError` when the function fails.

    Differences from Wolfram: the function is Python and gets a NumPy array.

    >>> from netdsl.decoders import NetDecoder
    >>> NetDecoder("Function", lambda array: round(float(array.sum()), 3))([1.5, 2])
    3.5
    """

    kind = "Function"

    Function: Callable[[np.ndarray], Any] = parameter(FUNCTION, positional=True)
    InputDepth: Any = parameter(NATURAL, Automatic)

    def type(self) -> ArrayType:
        return OPEN if self.InputDepth is Automatic else ArrayType((None,) * self.InputDepth)

    def decode(self, array: np.ndarray, property: Any = None, *, RandomSeeding: Any = 1234) -> Any:
        if property is not None:
            self.split_property(property)
        array = np.asarray(array)
        try:
            return self.Function(array)
        except Exception as problem:  # a function of the user's may raise anything
            raise EncodingError(
                f"{self.title()}: the function failed for an array of sizes {list(array.shape)}: "
                f"{type(problem).__name__}: {problem}"
            ) from problem
