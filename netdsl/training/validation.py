"""ValidationSet: the data that are validated on, and after which batches that is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdsl.columns import gives_batches
from netdsl.declarations import suboptions
from netdsl.symbols import Rule
from netdsl.training.intervals import ROUND, Every, every

__all__ = ["validation_of"]


def validation_of(setting: Any) -> tuple[Any, Every]:
    """The data that a ValidationSet setting means, and how often they are validated on: after every round unless it says so."""
    if not (isinstance(setting, (list, tuple)) and len(setting) == 2):
        return setting, ROUND
    data, given = setting
    if isinstance(given, Rule) and given.key == "Interval":
        return data, _every({"Interval": given.value})
    if not isinstance(given, Mapping):
        return setting, ROUND
    if gives_batches(data):  # which has options of its own
        own = {name: value for name, value in given.items() if name != "Interval"}
        return [data, own] if own else data, _every({name: value for name, value in given.items() if name not in own})
    if not (isinstance(data, Mapping) and set(given) == set(data)):  # else they are two examples as dicts
        return data, _every(given)
    return setting, ROUND


def _every(given: Mapping[str, Any]) -> Every:
    return every(suboptions([given], "ValidationSet", ["Interval"]), ROUND, "ValidationSet", numbers="Rounds")
