"""What users declare of a net's ports and of how fast it learns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from netdsl.decoders import NetDecoder
from netdsl.decoders.decoder import Decoder
from netdsl.encoders import NetEncoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError, excerpt
from netdsl.shapes import ArrayType, parse_type
from netdsl.symbols import Automatic, Rule, is_rules

__all__ = ["PortDeclaration", "declared_multipliers", "declared_port"]

PortDeclaration = ArrayType | Encoder | Decoder


def declared_port(name: str, value: Any, is_input: bool) -> PortDeclaration | None:
    """What a user's setting of a port means: a type, an encoder, a decoder, or None for nothing."""
    if value is None or value is Automatic:
        return None
    if isinstance(value, str) and value not in ("Real", "Integer", "Varying"):
        value = NetEncoder(value) if is_input else NetDecoder(value)
    if isinstance(value, Encoder if is_input else Decoder):
        return value
    if isinstance(value, (Encoder, Decoder)):
        wrong, right = ("encoder", "decoder") if not is_input else ("decoder", "encoder")
        kind = "output" if not is_input else "input"
        raise DeclarationError(
            f"Port {name!r} is an {kind} port: it takes a Net{right.capitalize()}, not the {wrong} {value!r}. "
            f"Net{right.capitalize()}({wrong}) makes one of the other."
        )
    return parse_type(value, name)


def declared_multipliers(value: Any) -> Any:
    """What a user's setting of LearningRateMultipliers means: a number, None, or rules from parts to such."""
    if _is_multiplier(value):
        return value
    rules = [Rule(key, number) for key, number in value.items()] if isinstance(value, Mapping) else value
    if is_rules(rules) and all(_is_multiplier(rule.value) for rule in rules):
        return tuple(Rule(tuple(rule.key) if isinstance(rule.key, list) else rule.key, rule.value) for rule in rules)
    raise DeclarationError(f"LearningRateMultipliers is a number, None, or rules from parts to numbers. Got {excerpt(value)}.")


def _is_multiplier(value: Any) -> bool:
    return (
        value is Automatic
        or value is None
        or (isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value))
    )
