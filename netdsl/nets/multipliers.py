"""Learning-rate multipliers: which arrays learn how fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netdsl.errors import DeclarationError, PartError, excerpt, nearest
from netdsl.nets.arrays import ArrayPath
from netdsl.nets.net import Net
from netdsl.symbols import All, Automatic, Rule, Span, is_rules

__all__ = ["multipliers_by_path"]


def multipliers_by_path(graph: Net, prefix: ArrayPath, setting: Any, paths: Iterable[ArrayPath] | None = None) -> dict[ArrayPath, float]:
    """The multiplier of every trainable array, or of those at `paths`: NetTrain's setting times those of the layers and containers
    around it."""
    found = dict.fromkeys(graph.arrays if paths is None else paths, 1.0)
    _declared(graph, (), found)
    net = graph
    for name in prefix:
        net = net.nets[name]
    _apply(net, prefix, setting, found, "NetTrain")
    return found


def _declared(net: Net, path: ArrayPath, found: dict[ArrayPath, float]) -> None:
    """Multiply in what nets declare themselves, the outer ones first."""
    if net.LearningRateMultipliers is not Automatic:
        _apply(net, path, net.LearningRateMultipliers, found, net.title())
    for name, inner in net.nets.items():
        _declared(inner, (*path, name), found)


def _apply(net: Net, path: ArrayPath, setting: Any, found: dict[ArrayPath, float], who: str) -> None:
    if setting is Automatic:
        return
    if isinstance(setting, Mapping):
        setting = [Rule(key, value) for key, value in setting.items()]
    if not is_rules(setting):
        value = _number(setting, who)
        for key in found:
            if key[: len(path)] == path or key[0] == "":
                found[key] *= value
        return
    decided: set[ArrayPath] = set()
    for rule in setting:
        value = _number(rule.value, who)
        matching = [key for key in found if key[: len(path)] == path and key not in decided and _matches(net, key[len(path):], rule.key)]
        if not matching and not any(key in decided for key in found):
            raise PartError(f"LearningRateMultipliers of {who}: no array is at {excerpt(rule.key)}. "
                            f"{nearest(rule.key, ['/'.join(key[len(path):]) for key in found])}")
        for key in matching:
            found[key] *= value
            decided.add(key)


def _number(value: Any, who: str) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DeclarationError(f"LearningRateMultipliers of {who} are numbers or None. Got {excerpt(value)}.")
    return float(value)


def _matches(net: Net, key: ArrayPath, spec: Any) -> bool:
    """Whether the array at `key` is in the part that `spec` names: a name, position, Span, path or All."""
    parts = spec if isinstance(spec, (list, tuple)) else [spec]
    for place, part in enumerate(parts):
        if place >= len(key):
            return False
        if part is All or part == "_":
            net = net.nets.get(key[place], net)
            continue
        names = list(net.nets)
        name = key[place]
        if isinstance(part, Span):
            if name not in names or names.index(name) + 1 not in part.positions(len(names)):
                return False
        elif isinstance(part, int) and not isinstance(part, bool):
            if name not in names or not 1 <= abs(part) <= len(names) or names[part - 1 if part > 0 else part] != name:
                return False
        elif part != name:
            return False
        net = net.nets.get(name, net)
    return True
