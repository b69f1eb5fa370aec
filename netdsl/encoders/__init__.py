"""Encoders: what turns raw things at an input port into arrays, one file per domain."""

from __future__ import annotations

from typing import Any

from netdsl.declarations import REQUIRED
from netdsl.encoders.classes import ClassEncoder
from netdsl.encoders.encoder import Encoder
from netdsl.encoders.function import FunctionEncoder
from netdsl.encoders.image import ImageEncoder
from netdsl.encoders.numbers import BooleanEncoder, ScalarEncoder
from netdsl.errors import DeclarationError, UnsupportedError, excerpt, listing, nearest, public
from netdsl.symbols import Rule, is_rules

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
    if isinstance(spec, Encoder):
        if args or options:
            raise DeclarationError(
                f"NetEncoder({excerpt(spec)}) takes nothing beside the encoder. NetReplacePart changes its parameters."
            )
        return spec
    if callable(getattr(spec, "encoder_spec", None)) and not isinstance(spec, type):
        converted = spec.encoder_spec()
        if converted is None:
            raise DeclarationError(f"{excerpt(spec)} has no encoder that undoes it. Write NetEncoder with a name.")
        return NetEncoder(*converted, *args, **options)
    if isinstance(spec, (list, tuple)) and spec and isinstance(spec[0], str):
        return NetEncoder(*spec, *args, **options)
    if not isinstance(spec, str):
        raise DeclarationError(
            f'NetEncoder takes a name and parameters, such as NetEncoder("Image", [28, 28]), a list of them, an encoder or a '
            f"decoder. Got {excerpt(spec)}."
        )
    if spec in NOT_YET:
        raise UnsupportedError(f'NetEncoder("{spec}") does not exist in netdsl yet. There are {listing(map(repr, ENCODERS))}.')
    if spec not in ENCODERS:
        raise DeclarationError(f"There is no NetEncoder {spec!r}. {nearest(spec, ENCODERS)}")
    return _built(ENCODERS[spec], args, options)


def _built(kind: type[Encoder], args: tuple[Any, ...], options: dict[str, Any]) -> Encoder:
    """The encoder; associations and rules among the arguments are options, and positional parameters may come by name."""
    positional: list[Any] = []
    for arg in args:
        rules = dict(arg) if isinstance(arg, dict) or is_rules(arg) else {arg.key: arg.value} if isinstance(arg, Rule) else None
        if rules is not None and all(isinstance(name, str) for name in rules):
            options = {**rules, **options}
        else:
            positional.append(arg)
    for declared in [p for p in kind.parameters.values() if p.positional][len(positional) :]:
        if declared.name not in options:
            if declared.default is REQUIRED:
                raise DeclarationError(
                    f"{kind.title()} needs its {declared.name}: {declared.constraint.words}. "
                    f'Write NetEncoder("{kind.kind}", {declared.name}).'
                )
            break
        positional.append(options.pop(declared.name))
    return kind(*positional, **options)
