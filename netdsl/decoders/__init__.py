"""Decoders: what turns the array at an output port back into a thing, one file per domain."""

from __future__ import annotations

from typing import Any

from netdsl.coders import coder
from netdsl.decoders.classes import ClassDecoder
from netdsl.decoders.decoder import Decoder
from netdsl.decoders.function import FunctionDecoder
from netdsl.decoders.image import ImageDecoder
from netdsl.decoders.numbers import BooleanDecoder, ScalarDecoder
from netdsl.decoders.readings import CTCBeamSearchDecoder
from netdsl.errors import public

__all__ = [
    "DECODERS",
    "BooleanDecoder",
    "CTCBeamSearchDecoder",
    "ClassDecoder",
    "Decoder",
    "FunctionDecoder",
    "ImageDecoder",
    "NetDecoder",
    "ScalarDecoder",
]

DECODERS: dict[str, type[Decoder]] = {
    decoder.kind: decoder
    for decoder in (BooleanDecoder, CTCBeamSearchDecoder, ClassDecoder, FunctionDecoder, ImageDecoder, ScalarDecoder)
}
NOT_YET = ("Characters", "Tokens", "SubwordTokens", "Image3D")


@public
def NetDecoder(spec: Any, /, *args: Any, **options: Any) -> Decoder:
    """The decoder of that name, with its parameters.

    ``NetDecoder("Class", range(10))``, ``NetDecoder(["Class", Range(0, 9), {"InputDepth": 2}])`` and ``NetDecoder("Boolean")``;
    rules may stand for the association. A decoder gives itself, an encoder the decoder that undoes it.

    The names are "Boolean", "CTCBeamSearch", "Class", "Function", "Image" and "Scalar"; their parameters are those of the classes
    `BooleanDecoder`, `CTCBeamSearchDecoder`, `ClassDecoder`, `FunctionDecoder`, `ImageDecoder` and `ScalarDecoder`. Raises
    `DeclarationError` for an unknown name or parameter and `UnsupportedError` for decoders of Mathematica that do not exist here
    yet.

    >>> NetDecoder(["Class", ["no", "yes"], {"InputDepth": 2}])
    NetDecoder('Class', ['no', 'yes'], InputDepth=2)
    >>> NetDecoder("Class", range(10))([0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    3

    Differences from Wolfram: parameters may be keywords as well.
    """
    return coder("NetDecoder", spec, args, options, DECODERS, NOT_YET)
