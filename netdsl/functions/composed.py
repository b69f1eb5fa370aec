"""A function of numbers composed of named ones: what can be printed, compared and stored, as a Python function cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from netdsl.functions import FUNCTIONS

__all__ = ["Call", "Composed"]


class Call(NamedTuple):
    """A named function applied to arguments: calls, names of arguments, numbers, or tuples of these."""

    function: str
    arguments: tuple[Any, ...]


class Composed:
    """A function of the numbers `names`, by its value.

    >>> Composed(("x",), Call("Plus", (Call("Power", ("x", 2)), 1)))
    lambda x: Plus(Power(x, 2), 1)
    """

    __slots__ = ("__weakref__", "names", "value")
    names: tuple[str, ...]
    value: Any

    def __init__(self, names: tuple[str, ...], value: Any) -> None:
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "value", value)

    def __call__(self, *inputs: Any) -> Any:
        """The value at numbers or arrays."""
        return _computed(self.value, dict(zip(self.names, inputs, strict=True)))

    def __repr__(self) -> str:
        return f"lambda {', '.join(self.names)}: {_text(self.value)}"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self!r} cannot be changed.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Composed) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return Composed, (self.names, self.value)


def _computed(value: Any, given: Mapping[str, Any]) -> Any:
    if isinstance(value, Call):
        return FUNCTIONS[value.function].compute(*(_computed(each, given) for each in value.arguments))
    if isinstance(value, tuple):
        return [_computed(each, given) for each in value]
    return given[value] if isinstance(value, str) else value


def _text(value: Any) -> str:
    if isinstance(value, Call):
        return f"{value.function}({', '.join(map(_text, value.arguments))})"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, str) else repr(value)
