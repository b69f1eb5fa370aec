"""Encoders: what turns raw things at an input port into arrays, one file per domain."""

from __future__ import annotations

from typing import Any

from netdsl.coders import coder
from netdsl.encoders.classes import ClassEncoder
from netdsl.encoders.encoder import Encoder
from netdsl.encoders.function import FunctionEncoder
from netdsl.encoders.image import ImageEncoder
from netdsl.encoders.numbers import BooleanEncoder, ScalarEncoder
from netdsl.errors import public

__all__ = [
    "ENCODERS",
    "BooleanEncoder",
    "ClassEncoder",
    "Encoder",
    "FunctionEncoder",
    "ImageEncoder",
    "NetEncoder",
    "ScalarEncoder",
]

ENCODERS: dict[str, type[Encoder]] = {
    encoder.kind: encoder for encoder in (BooleanEncoder, ClassEncoder, FunctionEncoder, ImageEncoder, ScalarEncoder)
}
NOT_YET = (
    "Image3D",
    "VideoFrames",
    "Characters",
    "Tokens",
    "SubwordTokens",
    "UTF8",
    "Audio",
    "AudioSTFT",
    "AudioSpectrogram",
    "AudioMelSpectrogram",
    "AudioMFCC",
    "FeatureExtractor",
)


@public
def NetEncoder(spec: Any, /, *args: Any, **options: Any) -> Encoder:
    """The encoder of that name, with its parameters.

    ``NetEncoder("Image", [28, 28], ColorSpace="Grayscale")``, ``NetEncoder(["Image", [28, 28], {"ColorSpace": "Grayscale"}])``
    and ``NetEncoder("Image")``; rules may stand for the association. An encoder gives itself, a decoder the encoder for its
    targets.

    The names are "Boolean", "Class", "Function", "Image" and "Scalar"; their parameters are those of the classes
    `BooleanEncoder`, `ClassEncoder`, `FunctionEncoder`, `ImageEncoder` and `ScalarEncoder`. Raises `DeclarationError` for an
    unknown name or parameter and `UnsupportedError` for encoders of Mathematica that do not exist here yet.

    >>> NetEncoder(["Image", [28, 28], {"ColorSpace": "Grayscale"}])
    NetEncoder('Image', [28, 28], ColorSpace='Grayscale')
    >>> NetEncoder("Class", ["no", "yes"])("yes")
    array(2, dtype=int32)

    Differences from Wolfram: parameters may be keywords as well; "Class" and the other encoders of numbers are never bypassed.
    """
    return coder("NetEncoder", spec, args, options, ENCODERS, NOT_YET)
