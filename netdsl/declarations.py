"""Objects made of declared parameters: layers, encoders, decoders.

A class states its parameters as attributes, each with the values it may take, as data. From that come the constructor, its
signature and messages, equality, hashing, repr, files, the reference page and the tests of bad values.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from netdsl.constraints import Constraint, source_text
from netdsl.errors import DeclarationError, excerpt, listing, nearest, public
from netdsl.symbols import Rule, Symbol

__all__ = ["REQUIRED", "Declared", "Parameter", "parameter", "suboptions"]

REQUIRED = Symbol("REQUIRED")


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


def suboptions(given: Iterable[Any], what: str, known: Iterable[str]) -> dict[str, Any]:
    """The suboptions by name, of dicts and rules; `what` has them, in the words of a message.

    >>> suboptions([{"Beta1": 0.5}, Rule("Epsilon", 1e-6)], "Method 'ADAM'", ["Beta1", "Beta2", "Epsilon"])
    {'Beta1': 0.5, 'Epsilon': 1e-06}
    """
    found: dict[str, Any] = {}
    for item in given:
        if not isinstance(item, (Mapping, Rule)):
            raise DeclarationError(f"The suboptions of {what.removeprefix('The ')} are a dict. Got {excerpt(item)}.")
        found |= {item.key: item.value} if isinstance(item, Rule) else item
    names = list(known)
    for name in found:
        if name not in names:
            raise DeclarationError(f"{what} has no suboption {excerpt(name)}. {nearest(name, names)}")
    return found
