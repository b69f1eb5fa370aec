"""What a parameter may be: constraints in words and as functions, and the values that are kept for them."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdsl.errors import listing
from netdsl.symbols import Infinity, Rule, Span, Symbol

__all__ = [
    "ANYTHING",
    "BOOLEAN",
    "COUNT",
    "FUNCTION",
    "LARGEST",
    "NAMES",
    "NATURAL",
    "NUMBER",
    "POSITIVE",
    "Constraint",
    "FrozenDict",
    "either",
    "frozen",
    "integer",
    "is_integer",
    "list_of",
    "number",
    "one_of",
    "source_text",
    "string",
]


class FrozenDict(Mapping[str, Any]):
    """A dict that cannot change and can be hashed."""

    __slots__ = ("_data", "_hash")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._data = dict(*args, **kwargs)
        self._hash: int | None = None

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._data.items()))
        return self._hash

    def __repr__(self) -> str:
        return repr(self._data)


@dataclass(frozen=True, slots=True)
class Constraint:
    """The values that a parameter may take: in words, and as a function that returns what is kept or raises ValueError.

    OverflowError says that a number is too large for any parameter.

    `bad` lists values that must be refused; the tests of every layer use it.
    """

    words: str
    keep: Callable[[Any], Any]
    bad: tuple[Any, ...] = ()


def is_integer(value: Any) -> bool:
    """Whether the value is an integer: not True or False, and no array of several."""
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, (bool, np.bool_))


LARGEST = 2**31 - 1
"""The largest integer that a parameter takes: XLA counts the elements of an array in 64 bits, and two sizes must fit into them."""


def integer(low: int | None = None, high: int | None = None, words: str = "") -> Constraint:
    """Integers from `low` to `high`."""

    def keep(value: Any) -> int:
        if not is_integer(value):
            raise ValueError
        value = int(value.__index__())
        if abs(value) > LARGEST:
            raise OverflowError
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError
        return value

    default = {1: "a positive integer", 0: "an integer of at least 0", None: "an integer"}.get(
        low, f"an integer of at least {low}"
    )
    bad: tuple[Any, ...] = (1.5, "many", True) + (() if low is None else (low - 1,))
    return Constraint(words or default, keep, bad)


def number(low: float = -math.inf, high: float = math.inf, words: str = "", open_low: bool = False) -> Constraint:
    """Finite real numbers from `low` to `high`; `open_low` leaves `low` itself out."""

    def keep(value: Any) -> float:
        if isinstance(value, (bool, np.bool_, str, bytes)):
            raise ValueError
        kept = float(value)
        if not math.isfinite(kept) or not low <= kept <= high or (open_low and kept == low):
            raise ValueError
        return value if isinstance(value, (int, float)) else kept

    if not words:
        if low == -math.inf and high == math.inf:
            words = "a number"
        elif high == math.inf:
            words = f"a number greater than {low:g}" if open_low else f"a number of at least {low:g}"
        else:
            words = f"a number from {low:g} to {high:g}"
    bad: tuple[Any, ...] = (
        ("much", float("nan")) + (() if low == -math.inf else (low - 1,)) + (() if high == math.inf else (high + 1,))
    )
    return Constraint(words, keep, bad)


def one_of(*values: Any) -> Constraint:
    """One of the listed values."""

    def keep(value: Any) -> Any:
        for candidate in values:
            if type(value) is type(candidate) and value == candidate:
                return candidate
        raise ValueError

    words = listing(f'"{value}"' if isinstance(value, str) else source_text(value) for value in values)
    return Constraint(words.replace(" and ", " or "), keep, ("no such choice",))


def list_of(element: Constraint, words: str, length: int | None = None) -> Constraint:
    """Lists (or tuples, ranges, 1-D arrays) whose elements all satisfy `element`; kept as a tuple."""

    def keep(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple, range)) and len(getattr(value, "shape", ())) != 1:
            raise ValueError
        kept = tuple(element.keep(item) for item in value)
        if length is not None and len(kept) != length:
            raise ValueError
        return kept

    return Constraint(words, keep, ("no list", *([bad] * (length or 1) for bad in element.bad)))


def either(*constraints: Constraint) -> Constraint:
    """Values that satisfy one of the constraints, tried in order."""

    def keep(value: Any) -> Any:
        for constraint in constraints:
            try:
                return constraint.keep(value)
            except (ValueError, TypeError):
                continue
        raise ValueError

    words = [constraint.words for constraint in constraints]
    bad = tuple(value for constraint in constraints for value in constraint.bad if not _kept(keep, value))
    return Constraint(listing(words).replace(" and ", " or "), keep, bad)


def _kept(keep: Callable[[Any], Any], value: Any) -> bool:
    try:
        keep(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _function(value: Any) -> Any:
    if not callable(value) or (isinstance(value, type) and hasattr(value, "parameters")):  # a layer's class is no layer
        raise ValueError
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError
    return bool(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


ANYTHING = Constraint("anything", lambda value: frozen(value))
BOOLEAN = Constraint("True or False", _boolean, ("yes", 1))
FUNCTION = Constraint("a function", _function, (3,))
NUMBER = number()
POSITIVE = integer(1)
COUNT = integer(1, 10_000, "a positive integer up to 10000")
NATURAL = integer(0)
string = Constraint("a string", _string, (3,))


def _names(value: Any) -> tuple[str, ...]:
    names = list_of(string, "a list of strings").keep(value)
    if not names or len(set(names)) != len(names):
        raise ValueError
    return names


NAMES = Constraint("a list of different names", _names, ("a", [3], ["a", "a"], []))


def frozen(value: Any) -> Any:
    """The value with its lists as tuples and its dicts as frozen ones, so that it can be kept and hashed."""
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item) for item in value)
    if isinstance(value, dict):
        return FrozenDict({key: frozen(item) for key, item in value.items()})
    return value


def source_text(value: Any) -> str:
    """The value as one would write it: tuples as lists, functions by name or place, arrays by type."""
    if isinstance(value, (str, bool, int, type(None), Symbol)):
        return repr(value)
    if isinstance(value, float):
        return "Infinity" if value == Infinity else repr(value)
    if isinstance(value, tuple) and type(value) is tuple:
        return "[" + ", ".join(source_text(item) for item in value) + "]"
    if isinstance(value, (dict, FrozenDict)):
        return "{" + ", ".join(f"{source_text(k)}: {source_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (Rule, Span)) or hasattr(type(value), "parameters"):
        return repr(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    if inspect.isfunction(value):
        code = value.__code__
        if value.__name__ == "<lambda>":
            return f"<lambda at {code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno}>"
        return value.__name__
    return getattr(value, "__name__", None) or repr(value)
