"""Measurements as data: a table of named properties, and the forms in which they are asked for.

A specification is ``"Accuracy"``, ``Rule("Accuracy", 3)``, ``["Accuracy", 3]``, or a list of specifications. A list of two
means the form with a parameter exactly when its first item is a property that takes a parameter and its second is not itself a
specification: ``["Precision", "cat"]`` is the precision of the class "cat", ``["Precision", "Recall"]`` are two properties.
A Rule always means a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netdsl.errors import DeclarationError, PartError, excerpt, nearest
from netdsl.symbols import Rule

__all__ = ["Property", "PropertyTable"]


@dataclass(frozen=True)
class Property:
    """One measurement: how it is computed, how its parameter is read, what must be at hand.

    Args:
        name: Wolfram's name.
        measure: takes the predictions, then the parameter if one was given.
        parameter: reads a parameter, ``parameter(predictions, thing)``, or raises DeclarationError with what it expects;
            None: the property takes none.
        needs: the attribute of the predictions that must not be None.
    """

    name: str
    measure: Callable[..., Any]
    parameter: Callable[[Any, Any], Any] | None = None
    needs: str | None = None

    def available(self, predictions: Any) -> bool:
        """Whether the predictions hold what the property needs."""
        return self.needs is None or getattr(predictions, self.needs) is not None


class PropertyTable:
    """The properties of one kind of predictions, by name.

    Args:
        properties: the rows.
        missing: for each attribute that a property may need: the sentence that says how to provide it.
    """

    def __init__(self, properties: Iterable[Property], missing: dict[str, str]) -> None:
        self.properties = {row.name: row for row in properties}
        self.missing = missing

    def __iter__(self) -> Iterator[str]:
        return iter(self.properties)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name == "Properties" or name in self.properties)

    def __getitem__(self, name: str) -> Property:
        return self.properties[name]

    def is_specification(self, thing: Any) -> bool:
        """Whether the thing can be read as a measurement: a name, a rule from a name, or a list that begins with one."""
        if isinstance(thing, Rule):
            return thing.key in self
        if isinstance(thing, (list, tuple)) and thing:
            return self.is_specification(thing[0])
        return thing in self

    def measure(self, predictions: Any, specification: Any) -> Any:
        """The value of a measurement, or the list of the values of several.

        Raises:
            PartError: there is no property of that name, or the predictions lack what it needs.
            DeclarationError: a parameter that the property cannot take, or something that is no specification.
        """
        if isinstance(specification, str):
            return self.value(predictions, specification, [])
        if isinstance(specification, Rule):
            return self.value(predictions, specification.key, [specification.value])
        if not isinstance(specification, (list, tuple)):
            raise DeclarationError(
                f"A measurement is a name, a Rule from a name to its parameter, or a list of those. Got {excerpt(specification)}."
            )
        if len(specification) == 2 and not self.is_specification(specification[1]):
            name, parameter = specification
            if isinstance(name, str) and name in self.properties and self.properties[name].parameter:
                return self.value(predictions, name, [parameter])
        return [self.measure(predictions, one) for one in specification]

    def value(self, predictions: Any, name: Any, parameters: list[Any]) -> Any:
        """One property, with the parameter in the list if there is one."""
        if name == "Properties":
            return sorted([*(n for n, row in self.properties.items() if row.available(predictions)), "Properties"])
        if name not in self:
            raise PartError(f"There is no measurement {excerpt(name)}. {nearest(name, self.properties)}")
        row = self.properties[name]
        if not row.available(predictions):
            raise PartError(f"{name!r} cannot be measured: {self.missing[row.needs or '']}")
        if parameters and row.parameter is None:
            raise DeclarationError(f"{name!r} takes no parameter. Got {excerpt(parameters[0])}. Ask for {name!r} alone.")
        try:
            read = [row.parameter(predictions, thing) for thing in parameters if row.parameter]
        except DeclarationError as fact:
            meant = nearest(parameters[0], self.properties) if isinstance(parameters[0], str) else ""
            second = f" Or, as a second measurement: {meant[0].lower()}{meant[1:]}" if meant.startswith("Did") else ""
            raise DeclarationError(f"{name!r}: {fact}{second}") from None
        return row.measure(predictions, *read)
