"""ValidationSet: the data that are validated on, and after which batches that is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netdsl.errors import DeclarationError, excerpt, nearest
from netdsl.symbols import Automatic, Quantity, Rule

__all__ = ["Every", "validation_of"]

UNITS = ("Batches", "Rounds")


@dataclass(frozen=True)
class Every:
    """An interval, in batches or rounds, counted from the beginning of the training."""

    count: int = 1
    unit: str = "Rounds"

    def after(self, batches: int, per_round: int) -> int:
        """The first place of the interval after so many batches."""
        step = self.count * (per_round if self.unit == "Rounds" else 1)
        return (batches // step + 1) * step


def validation_of(setting: Any) -> tuple[Any, Every]:
    """The data that a ValidationSet setting means, and how often they are validated on: after every round unless it says so."""
    if not (isinstance(setting, (list, tuple)) and len(setting) == 2):
        return setting, Every()
    data, options = setting
    if isinstance(options, Rule) and options.key == "Interval" and isinstance(options.value, Quantity):  # else it is an example
        options = {"Interval": options.value}
    if not isinstance(options, Mapping):
        return setting, Every()
    if callable(data):  # which has options of its own
        own = {name: value for name, value in options.items() if name != "Interval"}
        return [data, own] if own else data, _every({name: value for name, value in options.items() if name not in own})
    if not (isinstance(data, Mapping) and set(options) == set(data)):  # else they are two examples as dicts
        return data, _every(options)
    return setting, Every()


def _every(options: Mapping[str, Any]) -> Every:
    for name in options:
        if name != "Interval":
            raise DeclarationError(f"ValidationSet has no suboption {excerpt(name)}. {nearest(name, ['Interval'])}")
    given = options.get("Interval", Automatic)
    if given is Automatic:
        return Every()
    count, unit = (given.magnitude, given.unit) if isinstance(given, Quantity) else (given, "Rounds")
    if unit not in UNITS:
        raise DeclarationError(f"ValidationSet: an interval is in Batches or Rounds, but {given!r} has the unit {unit!r}.")
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    if isinstance(count, bool) or not hasattr(count, "__index__") or count < 1:
        raise DeclarationError(
            'ValidationSet: the "Interval" is Quantity(n, "Batches"), Quantity(n, "Rounds"), or a whole number of rounds, from 1. '
            f"Got {excerpt(given)}."
        )
    return Every(int(count), unit)
