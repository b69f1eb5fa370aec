"""Objects made of declared parameters: layers, encoders, decoders.

A class states its parameters as attributes, each with the values it may take, as data. From that come the constructor, its
signature and messages, equality, hashing, repr, files, the reference page and the tests of bad values.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from netdsl.errors import DeclarationError, excerpt, listing, nearest, public
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
    "REQUIRED",
    "Constraint",
    "Declared",
    "FrozenDict",
    "Parameter",
    "either",
    "frozen",
    "integer",
    "is_integer",
    "list_of",
    "number",
    "one_of",
    "parameter",
    "source_text",
    "string",
]

REQUIRED = Symbol("REQUIRED")


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
    if not callable(value) or (isinstance(value, type) and issubclass(value, Declared)):  # a layer's class is no layer
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


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter: its constraint, default, whether it is positional, the size name it binds, and a line of doc."""

    constraint: Constraint
    default: Any
    positional: bool = False
    binds: str | None = None
    label: str = ""
    doc: str = ""
    name: str = ""


def parameter(
    constraint: Constraint,
    default: Any = REQUIRED,
    *,
    positional: bool = False,
    binds: str | None = None,
    label: str = "",
    doc: str = "",
) -> Any:
    """Declare a parameter of a class derived from `Declared`. The default itself is always accepted."""
    return Parameter(constraint, default, positional, binds, label, doc)


class DeclaredType(type):
    """The type of declared classes: what their constructors refuse is shown at the user's line."""

    __call__ = public(type.__call__)


class Declared(metaclass=DeclaredType):
    """An immutable object made of declared parameters.

    Subclasses state parameters with `parameter`. The constructor checks and keeps them; there is no other logic in it.
    """

    parameters: ClassVar[dict[str, Parameter]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: replace(value, name=name) for name, value in vars(cls).items() if isinstance(value, Parameter)}
        cls.parameters = {**cls.parameters, **own}
        if own or "__signature__" not in vars(cls):
            cls.__signature__ = _signature(cls)  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **options: Any) -> None:
        positional = [p for p in self.parameters.values() if p.positional]
        if len(args) > len(positional):
            names = f" ({listing(p.name for p in positional)})" if positional else ""
            raise DeclarationError(
                f"{self.title()} takes {_up_to(len(positional))}{names}. "
                f"Got {len(args)}: {listing(map(excerpt, args))}. Options are written as keywords."
            )
        for declared, value in zip(positional, args):
            self._keep(declared, value)
        for declared in positional[len(args) :]:
            if declared.default is REQUIRED:
                raise DeclarationError(
                    f"{self.title()} needs its {declared.name}: {declared.constraint.words}. "
                    f"Write {self.title()}({', '.join(p.name for p in positional)})."
                )
            object.__setattr__(self, declared.name, declared.default)
        for declared in self.parameters.values():
            if not declared.positional:
                if declared.name in options:
                    self._keep(declared, options.pop(declared.name))
                else:
                    object.__setattr__(self, declared.name, declared.default)
        self._take_options(options)
        self._check()

    def _keep(self, declared: Parameter, value: Any) -> None:
        if value is declared.default or (isinstance(value, Symbol) and value == declared.default):
            kept = value
        else:
            try:
                kept = declared.constraint.keep(value)
            except (ValueError, TypeError, OverflowError) as problem:
                default = declared.default
                words = declared.constraint.words
                if default is not REQUIRED and isinstance(default, (Symbol, type(None))) and repr(default) not in words:
                    words += f", or {default!r}" if " or " in words else f" or {default!r}"
                raise DeclarationError(
                    f"The {declared.name} parameter of {self.title()} must be {words}. "
                    f"Got {excerpt(value)}{', which is too large' if isinstance(problem, OverflowError) else ' instead'}."
                ) from None
        object.__setattr__(self, declared.name, kept)

    def _take_options(self, options: dict[str, Any]) -> None:
        """Keep the keywords that are no parameters; the root refuses them all."""
        for name in options:
            self._refuse_option(name, [p.name for p in self.parameters.values() if not p.positional])

    def _refuse_option(self, name: str, known: list[str]) -> None:
        if name in self.parameters:
            raise DeclarationError(f"{name} of {self.title()} is positional: write {self.title()}({name}) without the name.")
        raise DeclarationError(f"{self.title()} has no option or port {name!r}. {nearest(name, known)}")

    def _check(self) -> None:
        """What must hold among several parameters; raises DeclarationError."""

    @classmethod
    def title(cls) -> str:
        """The name that messages and reprs use."""
        return cls.__name__

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self.title()} is immutable. NetReplacePart(net, {{{name!r}: ...}}) gives a changed copy.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self.title()} is immutable.")

    def values_of_parameters(self) -> dict[str, Any]:
        """The parameters by name, as kept."""
        return {name: self.__dict__[name] for name in self.parameters}

    def changed(self, **changes: Any) -> Self:
        """The same with some fields changed, checked anew."""
        values = self.changed_fields(changes)
        args = []
        for name, declared in self.parameters.items():
            if declared.positional:
                args.append(values.pop(name))
        return type(self)(*args, **values)

    def changed_fields(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The fields with these changes."""
        return self.fields() | changes

    def fields(self) -> dict[str, Any]:
        """Everything the constructor takes, by name."""
        return self.values_of_parameters()

    def __repr__(self) -> str:
        return f"{self.title()}({', '.join(self._written())})"

    def _written(self) -> list[str]:
        """The arguments that rebuild this object, defaults left out."""
        parts: list[str] = []
        values = self.values_of_parameters()
        positional = [p for p in self.parameters.values() if p.positional]
        while positional and _same(values[positional[-1].name], positional[-1].default):
            positional.pop()
        parts += [source_text(values[p.name]) for p in positional]
        for declared in self.parameters.values():
            value = values[declared.name]
            if not declared.positional and not _same(value, declared.default):
                parts.append(f"{declared.name}={source_text(value)}")
        return parts

    def identity(self) -> tuple[Any, ...]:
        """What equality compares."""
        return tuple(self.values_of_parameters().items())

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return _tagged(self.identity()) == _tagged(other.identity())  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self.identity()))


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))


def _tagged(value: Any) -> Any:
    """The value with types beside numbers, so that 1, 1.0 and True differ."""
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(_tagged(item) for item in value)
    return (type(value), value) if isinstance(value, (bool, int, float)) else value


def _up_to(count: int) -> str:
    return {0: "no positional arguments", 1: "at most one positional argument"}.get(
        count, f"at most {count} positional arguments"
    )


def _signature(cls: type[Declared]) -> inspect.Signature:
    empty = inspect.Parameter.empty
    entries = [
        inspect.Parameter(
            p.name,
            inspect.Parameter.POSITIONAL_ONLY if p.positional else inspect.Parameter.KEYWORD_ONLY,
            default=empty if p.default is REQUIRED else p.default,
        )
        for p in sorted(cls.parameters.values(), key=lambda p: not p.positional)
    ]
    keywords = [e for e in entries if e.kind is inspect.Parameter.KEYWORD_ONLY]
    positional = [e for e in entries if e.kind is inspect.Parameter.POSITIONAL_ONLY]
    return inspect.Signature([*positional, *keywords, inspect.Parameter("ports", inspect.Parameter.VAR_KEYWORD)])


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
    if isinstance(value, (Rule, Span, Declared)):
        return repr(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    if inspect.isfunction(value):
        code = value.__code__
        if value.__name__ == "<lambda>":
            return f"<lambda at {code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno}>"
        return value.__name__
    return getattr(value, "__name__", None) or repr(value)
