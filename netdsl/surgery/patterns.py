"""NetReplace: every layer that matches a pattern replaced by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netdsl.containers import NetChain, NetGraph
from netdsl.containers.promotion import promote
from netdsl.errors import DeclarationError, excerpt, public
from netdsl.functions import Function
from netdsl.nets import ArrayPath, Net
from netdsl.surgery.flatten import flattened_parts
from netdsl.surgery.rebuild import settled, with_parts
from netdsl.surgery.replace import rules_of
from netdsl.symbols import Automatic

__all__ = ["NetReplace"]

Matcher = Callable[[Net], bool]


@public
def NetReplace(net: Any, rules: Any, /, *, FlattenInPlace: bool = True) -> Any:
    """The net with every layer that matches a pattern replaced, at all depths, also inside operators.

    ``NetReplace(net, {pattern: layer, …})``, ``Rule(pattern, layer)`` or a list of rules, of which the first that matches
    counts. A pattern is

    - a class, ``{ElementwiseLayer: Tanh}``: all layers of the class;
    - a layer, ``{Ramp: Tanh}``, ``{LinearLayer(10): LinearLayer(20)}``: all layers of the same parameters; what the pattern
      leaves open (ports, arrays) is not compared;
    - a function of one layer that says True or False.

    The layer put there may be written in short, as in NetChain. FlattenInPlace (default True): a chain or graph put into a
    container is spread out in it.

    Arrays that no longer fit are dropped, and a NetWarning names them. What was replaced is not searched again.

    >>> NetReplace(NetChain([Ramp, 10, Ramp], Input=4), {Ramp: Tanh})
    NetChain([ElementwiseLayer(Tanh), LinearLayer(10), ElementwiseLayer(Tanh)], Input=4)

    Differences from Wolfram: a pattern is as above; there are no pattern variables. Source: Wolfram's public reference page.
    """
    if not isinstance(net, Net):
        raise DeclarationError(f"NetReplace takes a net. Got {excerpt(net)}.")
    if not isinstance(FlattenInPlace, bool):
        raise DeclarationError(f"FlattenInPlace of NetReplace is True or False. Got {excerpt(FlattenInPlace)}.")
    pairs = [(_matcher(rule.key), promote(rule.value, "the new layer of NetReplace")) for rule in rules_of(rules, "NetReplace")]
    work = _Replacing(pairs, FlattenInPlace)
    found = work.replacement(net)
    if found is not None:
        return settled(found, "NetReplace", [()])
    made = work.visit(net, ())
    return net if made is net else settled(made, "NetReplace", work.new)


class _Replacing:
    """One replacement under way: the rules, and the paths of what was put in."""

    def __init__(self, rules: list[tuple[Matcher, Net]], flatten: bool) -> None:
        self.rules = rules
        self.flatten = flatten
        self.new: list[ArrayPath] = []

    def replacement(self, net: Net) -> Net | None:
        """What the first rule that matches puts in place of the net."""
        return next((new for matches, new in self.rules if matches(net)), None)

    def visit(self, net: Any, trail: ArrayPath) -> Any:
        """The net with its parts replaced; the net itself when nothing matches."""
        parts, put = {}, []
        for name, part in net.nets.items():
            found = self.replacement(part)
            if found is None:
                parts[name] = self.visit(part, (*trail, name))
            else:
                parts[name] = found
                put.append(name)
        if all(parts[name] is part for name, part in net.nets.items()):
            return net
        made = with_parts(net, parts, "NetReplace", trail)
        spread = [name for name in put if isinstance(parts[name], (NetChain, NetGraph))]
        spread = spread if self.flatten and made.parts() is not None else []
        if not spread:
            self.new += [(*trail, name) for name in put]
            return made
        flat = flattened_parts(made, spread)
        pieces = {id(inner) for name in spread for inner in made.nets[name].nets.values()} | {id(made.nets[name]) for name in put}
        self.new += [(*trail, name) for name, inner in flat.nets.items() if id(inner) in pieces]
        return flat


def _matcher(pattern: Any) -> Matcher:
    """The test that a pattern means."""
    if isinstance(pattern, type):
        if not issubclass(pattern, Net):
            raise DeclarationError(
                f"NetReplace: the class {pattern.__name__} is none of layers. A pattern is a layer, a class "
                "of layers or a "
                "function that says True or False."
            )
        return lambda net: isinstance(net, pattern)
    if isinstance(pattern, (Net, Function, list)) or not callable(pattern):
        return _like(promote(pattern, "the pattern of NetReplace"))
    return lambda net: _answer(pattern, net)


def _answer(function: Any, net: Net) -> bool:
    try:
        answer = function(net)
    except Exception as error:
        raise DeclarationError(
            f"NetReplace: the pattern {excerpt(function)} failed on {excerpt(net)}: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(answer, bool):
        raise DeclarationError(
            f"NetReplace: the pattern {excerpt(function)} must say True or False of a layer. Of "
            f"{excerpt(net)} it said "
            f"{excerpt(answer)}."
        )
    return answer


def _like(pattern: Any) -> Matcher:
    """Whether a net is as the pattern says; arrays and ports that the pattern leaves open are not compared."""
    if pattern.nets:
        return lambda net: type(net) is type(pattern) and net == pattern
    parameters = pattern.values_of_parameters()
    arrays = {name: value for name in pattern.array_declarations if (value := pattern.__dict__[name]) is not Automatic}

    def matches(net: Any) -> bool:
        if type(net) is not type(pattern) or any(net.ports.get(port) != declared for port, declared in pattern.ports.items()):
            return False
        if net.values_of_parameters() != parameters:
            return False
        bare = net.rebuilt(
            **{name: Automatic for name in pattern.array_declarations if name not in arrays},
            ports=pattern.ports,
            LearningRateMultipliers=pattern.LearningRateMultipliers,
        )
        return bool(bare == pattern)

    return matches
