"""NetRename: layers and ports under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdsl.constraints import FrozenDict, source_text
from netdsl.containers import NetChain, NetGraph
from netdsl.errors import DeclarationError, PartError, excerpt, listing, public
from netdsl.nets import SHARED, Net
from netdsl.surgery.positions import as_path, find_part, missing_part, part_names, place_text
from netdsl.surgery.rebuild import make_chain, multipliers_after, muted_ports, new_name, settled, with_parts
from netdsl.surgery.replace import rules_of

__all__ = ["NetRename", "graph_renamed"]


@public
def NetRename(net: Any, rules: Any, /) -> Any:
    """The net with layers or ports under other names.

    ``NetRename(net, {"old": "new", …})``, ``Rule("old", "new")`` or a list of rules; a key may be a number or a path to an
    inner layer, ``{("a", 2): "b"}``. Ports of a graph are renamed likewise; a layer goes first where both have the name.
    ``NetRename(net, f)`` gives every layer the name f(name).

    Raises PartError for names that are not there, DeclarationError when two layers would have the same name.

    >>> NetRename(NetChain({"a": Ramp, "b": 10}), {"a": "first"})
    NetChain({'first': ElementwiseLayer(Ramp), 'b': LinearLayer(10)})

    Differences from Wolfram: a function renames layers only [M]; the ports of a NetChain are those of its layers and keep
    their names. Source: Wolfram's public reference page.
    """
    if not isinstance(net, Net):
        raise DeclarationError(f"NetRename takes a net. Got {excerpt(net)}.")
    if callable(rules):
        try:
            rules = {(name,): rules(name) for name in part_names(net)}
        except Exception as problem:  # a function of the user's may raise anything
            raise DeclarationError(f"NetRename: {source_text(rules)} fails for a layer's name: {excerpt(problem)}") from problem
    wanted = [(as_path(rule.key), rule.value) for rule in rules_of(rules, "NetRename")]
    return settled(_renamed(net, wanted, ()), "NetRename", [()])


def _renamed(net: Any, wanted: list[tuple[tuple[Any, ...], Any]], trail: tuple[str, ...]) -> Any:
    layers: dict[str, str] = {}
    ports: dict[str, str] = {}
    inner: dict[str, list[tuple[tuple[Any, ...], Any]]] = {}
    for path, new in wanted:
        if not isinstance(new, str) or new == SHARED:
            raise DeclarationError(f"NetRename: a name is a string that is not empty. Got {excerpt(new)}.")
        name = find_part(net, path[0])
        if name is not None and len(path) > 1:
            inner.setdefault(name, []).append((path[1:], new))
        elif name is not None:
            layers[name] = new
        elif path[0] in (*net.input_names, *net.output_names):
            ports[path[0]] = new
        else:
            raise PartError(missing_part(net, path[0], "NetRename", trail, (*net.input_names, *net.output_names)))
    if inner:
        parts = dict(net.nets) | {name: _renamed(net.nets[name], further, (*trail, name)) for name, further in inner.items()}
        net = with_parts(net, parts, "NetRename", trail)
    if not layers and not ports:
        return net
    if isinstance(net, NetGraph):
        _distinct([layers.get(name, name) for name in part_names(net)], "layers")
        _distinct([ports.get(port, port) for port in (*net.input_names, *net.output_names)], "ports")
        return graph_renamed(net, layers, ports)
    if ports:
        why = f"the names of its ports belong to {net.title()}."
        if isinstance(net, NetChain):
            why = (
                "the ports of a NetChain are those of its layers. NetGraph(net) makes a graph, whose ports have names of "
                "their own."
            )
        raise DeclarationError(f"NetRename: {listing(map(repr, ports))} of {place_text(net, trail)} cannot be renamed; {why}")
    if not isinstance(net, NetChain):
        raise DeclarationError(f"NetRename: the parts of {place_text(net, trail)} have fixed names.")
    names = {name: layers.get(name, name) for name in part_names(net)}
    _distinct(list(names.values()), "layers")
    made = make_chain({names[name]: part for name, part in net.nets.items()}, net, multipliers_after(net, new_name(net, names)))
    return made.rebuilt(ports=net.ports)


def _distinct(names: list[str], what: str) -> None:
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DeclarationError(f"NetRename: there would be two {what} named {listing(map(repr, twice))}. Give each its own name.")


def graph_renamed(net: NetGraph, layers: Mapping[str, str], ports: Mapping[str, str]) -> NetGraph:
    """The graph with other names of parts and of its own ports."""

    def renamed(ref: tuple[str, str]) -> tuple[str, str]:
        name, port = ref
        return (layers.get(name, name), port) if name else ("", ports.get(port, port))

    names = {name: layers.get(name, name) for name in part_names(net)}
    wires = net.wires
    declared = FrozenDict({ports.get(port, port): value for port, value in net.ports.items()})
    return NetGraph.wired(
        {names[name]: part for name, part in net.nets.items()},
        {renamed(ref): renamed(source) for ref, source in wires["feeds"].items()},
        [ports.get(port, port) for port in wires["inputs"]],
        {ports.get(port, port): renamed(source) for port, source in wires["outputs"].items()},
        [renamed(ref) for ref in muted_ports(net)],
        ports=declared,
        shared=net.shared,
        LearningRateMultipliers=multipliers_after(net, new_name(net, names)),
    )
