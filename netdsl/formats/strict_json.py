"""JSON that is read as if its writer were an enemy."""

from __future__ import annotations

import json
import re
from typing import Any

from netdsl.errors import FormatError, excerpt
from netdsl.nets import allow_depth

__all__ = ["DEEPEST", "LARGEST", "read_json", "write_json"]

LARGEST = 256 * 2**20
"""So many bytes of JSON are read at most."""

DEEPEST = 1500
"""So many brackets may be open at once: a net has six for each level of nesting."""

BRACKETS_PER_LEVEL = 6

LONGEST_NUMBER = 4000
"""So many digits may an integer have."""

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)


def write_json(value: Any) -> bytes:
    """The value as compact ASCII; NaN is refused."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def read_json(text: bytes, where: str) -> Any:
    """The value of a JSON text; duplicate keys, NaN, huge numbers, depth and size raise FormatError that names `where`."""
    if len(text) > LARGEST:
        raise FormatError(f"{where} is {len(text):,} bytes long; at most {LARGEST:,} are read.")
    allow_depth(_depth(text, where) // BRACKETS_PER_LEVEL)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) < len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise FormatError(f"{where} has the key {excerpt(twice)} twice in one object.")
        return made

    def constant(name: str) -> Any:
        raise FormatError(f"{where} holds {name}, which is no number of JSON.")

    def integer(digits: str) -> int:
        if len(digits) > LONGEST_NUMBER:
            raise FormatError(f"{where} holds an integer of {len(digits):,} digits.")
        return int(digits)

    def real(digits: str) -> float:
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            raise FormatError(f"{where} holds the number {excerpt(digits)}, which is too large.")
        return value

    try:
        return json.loads(text.decode(), object_pairs_hook=pairs, parse_constant=constant, parse_int=integer, parse_float=real)
    except (ValueError, RecursionError) as problem:
        if isinstance(problem, FormatError):
            raise
        raise FormatError(f"{where} is no JSON: {problem}.") from None


def _depth(text: bytes, where: str) -> int:
    """How many brackets are open at once."""
    depth = deepest = 0
    for match in _BRACKETS.finditer(text):
        if match.group(1):
            depth += 1
            deepest = max(deepest, depth)
            if depth > DEEPEST:
                raise FormatError(f"{where} is nested more than {DEEPEST} levels deep.")
        elif match.group(2):
            depth -= 1
    return deepest
