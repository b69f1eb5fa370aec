"""Decoders: what turns the array at an output port back into a thing, one file per domain."""

from __future__ import annotations

from typing import Any

from netdsl.declarations import REQUIRED
from netdsl.decoders.classes import ClassDecoder
from netdsl.decoders.decoder import Decoder
from netdsl.decoders.function import FunctionDecoder
from netdsl.decoders.image import ImageDecoder
from netdsl.decoders.numbers import BooleanDecoder, ScalarDecoder
from netdsl.errors import DeclarationError, UnsupportedError, excerpt, listing, nearest, public
from netdsl.symbols import Rule, is_rules

__all__ = [
    "DECODERS",
    "BooleanDecoder",
    "ClassDecoder",
    "Decoder",
    "FunctionDecoder",
    "ImageDecoder",
    "NetDecoder",
    "ScalarDecoder",
]

DECODERS: dict[str, type[Decoder]] = {
    decoder.kind: decoder for decoder in (BooleanDecoder, ClassDecoder, FunctionDecoder, ImageDecoder, ScalarDecoder)
}
NOT_YET = ("Characters", "Tokens", "SubwordTokens", "CTCBeamSearch", "Image3D")


@public
def NetDecoder(spec: Any, /, *args: Any, **options: Any) -> Decoder:
    """The decoder of that name, with its parameters.

    ``NetDecoder("Class", range(10))``, ``NetDecoder(["Class", Range(0, 9), {"InputDepth": 2}])`` and ``NetDecoder("Boolean")``;
    rules may stand for the association. A decoder gives itself, an encoder the decoder that undoes it.

    The names are "Boolean", "Class", "Function", "Image" and "Scalar"; their parameters are those of the classes
    `BooleanDecoder`, `ClassDecoder`, `FunctionDecoder`, `ImageDecoder` and `ScalarDecoder`. Raises `DeclarationError` for an
    unknown name or parameter and `UnsupportedError` for decoders of Mathematica that do not exist here yet.

    >>> NetDecoder(["Class", ["no", "yes"], {"InputDepth": 2}])
    NetDecoder('Class', ['no', 'yes'], InputDepth=2)
    >>> NetDecoder("Class", range(10))([0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    3

    Differences from Wolfram: parameters may be keywords as well.
    """
    if isinstance(spec, Decoder):
        if args or options:
            raise DeclarationError(
                f"NetDecoder({excerpt(spec)}) takes nothing beside the decoder. NetReplacePart changes its parameters."
            )
        return spec
    if callable(getattr(spec, "decoder_spec", None)) and not isinstance(spec, type):
        converted = spec.decoder_spec()
        if converted is None:
            raise DeclarationError(f"{excerpt(spec)} has no decoder that undoes it. Write NetDecoder with a name.")
        return NetDecoder(*converted, *args, **options)
    if isinstance(spec, (list, tuple)) and spec and isinstance(spec[0], str):
        return NetDecoder(*spec, *args, **options)
    if not isinstance(spec, str):
        raise DeclarationError(
            f'NetDecoder takes a name and parameters, such as NetDecoder("Class", range(10)), a list of them, a decoder or an '
            f"encoder. Got {excerpt(spec)}."
        )
    if spec in NOT_YET:
        raise UnsupportedError(f'NetDecoder("{spec}") does not exist in netdsl yet. There are {listing(map(repr, DECODERS))}.')
    if spec not in DECODERS:
        raise DeclarationError(f"There is no NetDecoder {spec!r}. {nearest(spec, DECODERS)}")
    return _built(DECODERS[spec], args, options)


def _built(kind: type[Decoder], args: tuple[Any, ...], options: dict[str, Any]) -> Decoder:
    """The decoder; associations and rules among the arguments are options, and positional parameters may come by name."""
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
                    f'Write NetDecoder("{kind.kind}", {declared.name}).'
                )
            break
        positional.append(options.pop(declared.name))
    return kind(*positional, **options)
