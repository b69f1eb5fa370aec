"""NetDelete: a net without some of its layers."""

from __future__ import annotations

from typing import Any

from netdsl.constraints import FrozenDict
from netdsl.containers import NetChain, NetGraph
from netdsl.errors import DeclarationError, PartError, excerpt, public
from netdsl.nets import ArrayPath, Net, Operator
from netdsl.surgery.chains import chain_run
from netdsl.surgery.extract import unnamed
from netdsl.surgery.graphs import free_name
from netdsl.surgery.positions import as_path, part_name, part_names, place_text, span_names
from netdsl.surgery.rebuild import multipliers_after, muted_ports, new_name, settled, with_parts, with_ports
from netdsl.symbols import All, Span

__all__ = ["NetDelete"]


@public
def NetDelete(net: Any, positions: Any, /) -> Any:
    """The net without some layers.

    ``NetDelete(net, 2)``, ``NetDelete(net, "name")``, ``NetDelete(net, Span(2, 4))``; a list deletes several, and a list in
    it is a path: ``NetDelete(net, [1, -1, ["a", 2]])``. In a chain the neighbours are joined; in a graph the wires of a
    deleted layer go, and ports left unconnected become the graph's own.

    Arrays that no longer fit are dropped, and a NetWarning names them. Layers without names are numbered anew.

    Raises PartError when there is no such layer, DeclarationError when nothing would be left.

    >>> NetDelete(NetChain([Ramp, Tanh, 10], Input=4), 2)
    NetChain([ElementwiseLayer(Ramp), LinearLayer(10)], Input=4)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """
    if not isinstance(net, (NetChain, NetGraph, Operator)):
        raise DeclarationError(f"NetDelete takes a NetChain or a NetGraph. Got {excerpt(net)}.")
    wanted = positions if isinstance(positions, (list, tuple)) else [positions]
    return settled(_deleted(net, [as_path(position) for position in wanted], ()), "NetDelete")


def _deleted(net: Any, paths: list[tuple[Any, ...]], trail: ArrayPath) -> Any:
    gone: dict[str, None] = {}
    inner: dict[str, list[tuple[Any, ...]]] = {}
    for path in paths:
        if not path:
            raise PartError("NetDelete: a position is empty. Give a number, a name or a path.")
        names = (
            span_names(net, path[0], "NetDelete")
            if path[0] is All or isinstance(path[0], Span)
            else [part_name(net, path[0], "NetDelete", trail)]
        )
        for name in names:
            if len(path) == 1:
                gone[name] = None
            else:
                inner.setdefault(name, []).append(path[1:])
    parts: dict[str, Net] = dict(net.nets)
    for name, further in inner.items():
        if name not in gone:
            parts[name] = _deleted(parts[name], further, (*trail, name))
    if any(parts[name] is not part for name, part in net.nets.items()):
        net = with_parts(net, parts, "NetDelete", trail)
    if not gone:
        return net
    if isinstance(net, Operator):
        raise DeclarationError(f"NetDelete: {place_text(net, trail)} cannot be without its part {next(iter(gone))!r}.")
    kept = [name for name in part_names(net) if name not in gone]
    if not kept:
        raise DeclarationError(f"NetDelete: nothing would be left of {place_text(net, trail)}. A net has at least one layer.")
    if isinstance(net, NetChain):
        return chain_run(net, kept, {}, "NetDelete", pins=not trail)
    return graph_without(net, gone, pins=not trail)


def graph_without(net: NetGraph, gone: Any, pins: bool) -> NetGraph:
    """The graph without some parts; ports left unconnected become its own, with the sizes they had."""
    old = net.wires
    nets = {name: part for name, part in net.nets.items() if name not in gone}
    feeds = {ref: source for ref, source in old["feeds"].items() if ref[0] in nets and (not source[0] or source[0] in nets)}
    before = [port for port in old["inputs"] if ("", port) in feeds.values()]
    inputs = list(before)
    for name, port in old["feeds"]:
        if name in nets and (name, port) not in feeds and not nets[name].input_names:  # a layer of any number of inputs: no gap
            inputs.append(free_name("Input", inputs))
            feeds[name, port] = "", inputs[-1]
    outputs = {port: source for port, source in old["outputs"].items() if source[0] in nets}
    ports = {port: value for port, value in net.ports.items() if port in before or port in outputs}
    multipliers = multipliers_after(net, new_name(net, {name: name for name in nets}))
    numbered = net.numbered
    muted = [ref for ref in muted_ports(net) if ref[0] in nets]
    made = NetGraph.wired(
        nets, feeds, inputs, outputs, muted, ports=FrozenDict(ports), shared=net.shared, LearningRateMultipliers=multipliers
    )
    if pins:
        known = {}
        for (name, port), (source, own) in made.wires["feeds"].items():
            if not source and own not in before:
                known[own] = net.solved.types[net.program.ports[(name,), port]]
        for own, (name, port) in made.wires["outputs"].items():
            if own not in outputs:
                known[own] = net.solved.types[net.program.ports[(name,), port]]
        made = with_ports(made, {own: unnamed(type_) for own, type_ in known.items() if type_.sizes is not None}, "NetDelete")
    return renumbered(made) if numbered else made


def renumbered(net: NetGraph) -> NetGraph:
    """The graph with its parts numbered from 1."""
    from netdsl.surgery.rename import graph_renamed

    return graph_renamed(net, {name: str(i) for i, name in enumerate(part_names(net), 1)}, {})
