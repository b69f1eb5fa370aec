"""What rules say of the arrays of a net by its parts; learning-rate multipliers are made of such rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

from netdsl.constraints import is_integer
from netdsl.errors import DeclarationError, PartError, excerpt, nearest
from netdsl.nets.arrays import ArrayPath, NetArray
from netdsl.nets.net import Net
from netdsl.nets.program import SHARED
from netdsl.symbols import All, Automatic, Rule, Span, is_rules

__all__ = ["multipliers_by_path", "rules_by_path"]


def multipliers_by_path(
    graph: Net, prefix: ArrayPath, setting: Any, paths: Iterable[ArrayPath] | None = None
) -> dict[ArrayPath, float]:
    """The multiplier of every array, state included, or of those at `paths`.

    It is NetTrain's setting, for the net at `prefix`, times those of the layers and containers around the array.
    A shared array has those of every place where it stands, each setting counted once.
    """
    arrays = _Arrays(graph)
    arrays.declared(graph, ())
    net = graph
    for name in prefix:
        net = net.nets[name]
    arrays.multiply(net, prefix, setting, "NetTrain")
    return arrays.found if paths is None else {path: arrays.found[path] for path in paths}


def rules_by_path(graph: Net, prefix: ArrayPath, setting: Any, what: str, keep: Callable[[Any], Any]) -> dict[ArrayPath, Any]:
    """What a setting for the net at `prefix` says of its arrays, state included: one thing for all, or rules, the first that matches.

    `keep` checks what a rule says and returns what is kept. An array that no rule names is left out. Messages begin with `what`.
    """
    net = graph
    for name in prefix:
        net = net.nets[name]
    return _Arrays(graph).said(net, prefix, setting, what, keep)


class _Arrays:
    """The arrays of a net, the places where each stands, and what their multipliers come to."""

    def __init__(self, graph: Net) -> None:
        self.found: dict[ArrayPath, float] = dict.fromkeys(graph.array_table(), 1.0)
        self.places: dict[ArrayPath, list[ArrayPath]] = {}
        for path, layer in graph.leaves():
            for name, value in layer.array_values().items():
                key = (SHARED, value.Name) if isinstance(value, NetArray) else (*path, name)
                self.places.setdefault(key, []).append((*path, name))

    def declared(self, net: Net, path: ArrayPath) -> None:
        """Multiply in what nets declare themselves, the outer ones first."""
        self.multiply(net, path, net.LearningRateMultipliers, net.title())
        for name, inner in net.nets.items():
            self.declared(inner, (*path, name))

    def multiply(self, net: Net, path: ArrayPath, setting: Any, who: str) -> None:
        """Multiply in one setting for the arrays of the net at a path: a number for all, or rules, the first that matches."""
        if setting is Automatic:
            return
        for key, value in self.said(net, path, setting, f"LearningRateMultipliers of {who}", lambda v: _number(v, who)).items():
            self.found[key] *= value

    def said(self, net: Net, path: ArrayPath, setting: Any, what: str, keep: Callable[[Any], Any]) -> dict[ArrayPath, Any]:
        """What a setting says of the arrays of the net at a path."""
        if isinstance(setting, Mapping):
            setting = [Rule(key, value) for key, value in setting.items()]
        rules = [setting] if isinstance(setting, Rule) else setting if is_rules(setting) else [Rule(All, setting)]
        depth = len(path)
        inside = {key: [place[depth:] for place in places if place[:depth] == path] for key, places in self.places.items()}
        decided: dict[ArrayPath, Any] = {}
        for rule in rules:
            value = keep(rule.value)
            matching = [key for key, places in inside.items() if any(_matches(net, place, rule.key) for place in places)]
            if not matching and rule.key is not All:
                raise PartError(
                    f"{what}: no array is at {excerpt(rule.key)}. "
                    f"{nearest(rule.key, ['/'.join(place) for places in inside.values() for place in places])}"
                )
            decided |= {key: value for key in matching if key not in decided}
        return decided


def _number(value: Any, who: str) -> float:
    if value is None:
        return 0.0
    if value is Automatic:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise DeclarationError(f"LearningRateMultipliers of {who} are numbers or None. Got {excerpt(value)}.")
    return float(value)


def _matches(net: Net, key: ArrayPath, spec: Any) -> bool:
    """Whether the array at `key` is in the part that `spec` names: a name, position, Span, path or All."""
    parts = spec if isinstance(spec, (list, tuple)) else [spec]
    for place, part in enumerate(parts):
        if place >= len(key):
            return False
        name = key[place]
        if part is not All and part != "_" and name not in _named(net, part):
            return False
        net = net.nets.get(name, net)
    return True


def _named(net: Net, part: Any) -> list[Any]:
    """The names of the parts that a name, a position or a Span means."""
    names = list(net.nets)
    if isinstance(part, Span):
        return [names[position - 1] for position in part.positions(len(names))]
    if is_integer(part):
        position = part.__index__()
        return [names[position - 1 if position > 0 else position]] if 1 <= abs(position) <= len(names) else []
    return [part]
