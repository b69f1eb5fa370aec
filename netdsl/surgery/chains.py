"""NetTake, NetDrop, NetAppend, NetPrepend, NetInsert, NetDelete, NetJoin: shorter and longer nets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdsl.constraints import FrozenDict
from netdsl.containers import NetChain, NetGraph
from netdsl.containers.promotion import named_layers, promote
from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError, PartError, excerpt, listing, public
from netdsl.nets import Net
from netdsl.surgery.extract import unnamed
from netdsl.surgery.positions import chain_of, is_number, is_numbered, missing_part, part_name, part_names
from netdsl.surgery.rebuild import make_chain, merged_shared, multipliers_after, new_name, settled, with_ports
from netdsl.symbols import Automatic, Rule, is_rules

__all__ = ["NetAppend", "NetDrop", "NetInsert", "NetJoin", "NetPrepend", "NetTake", "chain_run"]


@public
def NetTake(net: Any, ends: Any, /, **ports: Any) -> Any:
    """The part of a net up to a layer, or from one layer to another, both included.

    ``NetTake(net, end)``, ``NetTake(net, [start, end])``; a layer is a number (negative: counted from the end) or a name. Of
    a graph it is all that leads from start to end. Options: ports, such as ``Output=NetDecoder(...)``.

    Where the net is cut the sizes stay as they were; encoders and decoders stay on the ports that are still there.

    Raises PartError when there is no such layer, DeclarationError when nothing leads from start to end.

    >>> NetTake(NetChain([Ramp, Tanh, 10], Input=4), 2)
    NetChain([ElementwiseLayer(Ramp), ElementwiseLayer(Tanh)], Input=4, Output=4)

    Differences from Wolfram: ends inside inner nets cannot be named; NetFlatten(net) first. Source: Wolfram's public
    reference page.
    """
    start, end = (None, ends) if not isinstance(ends, (list, tuple)) else ends if len(ends) == 2 else (None, None)
    if end is None:
        raise DeclarationError(f"NetTake takes the last layer, or the first and the last: [start, end]. Got {excerpt(ends)}.")
    if isinstance(net, NetGraph):
        from netdsl.surgery.graphs import graph_between

        taken = graph_between(net, None if start is None else part_name(net, start, "NetTake"), part_name(net, end, "NetTake"))
        return settled(with_ports(taken, ports, "NetTake"), "NetTake", [])
    chain = chain_of(net, "NetTake")
    names = part_names(chain)
    first = 0 if start is None else names.index(part_name(chain, start, "NetTake"))
    last = names.index(part_name(chain, end, "NetTake"))
    if first > last:
        raise DeclarationError(
            f"NetTake: element {first + 1} comes after element {last + 1}, so nothing leads from one to the "
            "other. "
            f"Write NetTake(net, [{end!r}, {start!r}])."
        )
    return settled(chain_run(chain, names[first : last + 1], ports, "NetTake"), "NetTake")


@public
def NetDrop(net: Any, count: Any, /, **ports: Any) -> Any:
    """The chain without some of its first or last layers.

    ``NetDrop(chain, n)`` without the first n, ``NetDrop(chain, -n)`` without the last n, ``NetDrop(chain, [start, end])``
    without those from start to end. Options: ports.

    >>> NetDrop(NetChain([Ramp, Tanh, 10], Input=4), -2)
    NetChain([ElementwiseLayer(Ramp)], Input=4, Output=4)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """
    chain = chain_of(net, "NetDrop")
    names = part_names(chain)
    if isinstance(count, (list, tuple)) and len(count) == 2:
        first, last = (names.index(part_name(chain, each, "NetDrop")) for each in count)
        if first > last:
            raise DeclarationError(f"NetDrop: element {first + 1} comes after element {last + 1}. Give the first one first.")
        if first > 0 and last < len(names) - 1:
            from netdsl.surgery.delete import NetDelete

            return with_options(NetDelete(chain, names[first : last + 1]), ports, "NetDrop")
        kept = names[last + 1 :] if first == 0 else names[:first]
    elif is_number(count):
        kept = names[int(count) :] if count >= 0 else names[: int(count)]
        if abs(int(count)) > len(names):
            raise PartError(f"NetDrop: this {net.title()} has {len(names)} layers, so {abs(int(count))} cannot be dropped.")
    else:
        raise DeclarationError(
            f"NetDrop takes a number of layers, or the first and the last to drop: [start, end]. Got {excerpt(count)}."
        )
    if not kept:
        raise DeclarationError(
            f"NetDrop: nothing would be left of this NetChain of {len(names)} layers. A net has at least one layer."
        )
    return settled(chain_run(chain, kept, ports, "NetDrop"), "NetDrop")


def with_options(net: Any, ports: Mapping[str, Any], function: str) -> Any:
    """The net with the ports that the user declared with the call."""
    return settled(with_ports(net, ports, function), function) if ports else net


def chain_run(chain: NetChain, names: list[str], ports: Mapping[str, Any], function: str, pins: bool = True) -> NetChain:
    """The layers with these names as a chain. Where it was cut the sizes stay as they were, unless `pins` is off."""
    all_names = part_names(chain)
    run = len(names) == all_names.index(names[-1]) - all_names.index(names[0]) + 1
    declared: dict[str, Any] = {}
    for name, inputs in ((names[0], True), (names[-1], False)):
        part = chain.nets[name]
        for port in part.input_names if inputs else part.output_names:
            if name == all_names[0 if inputs else -1]:
                if port in chain.ports:
                    declared[port] = chain.ports[port]
            elif pins and (inputs or run) and port not in ports and not (part.encoder(port) if inputs else part.decoder(port)):
                type_ = chain.solved.types[chain.program.ports[(name,), port]]
                if type_.sizes is not None:
                    declared[port] = unnamed(type_)
    return _chain(chain, [(name, chain.nets[name]) for name in names], {**declared, **ports}, function)


def _chain(chain: NetChain, entries: list[tuple[str, Net]], ports: Mapping[str, Any], function: str) -> NetChain:
    """The chain of these entries, under the names of `chain` and others; numbered anew when they had no names."""
    numbered = is_numbered(chain) and all(name.isdigit() for name, _ in entries)
    names = [str(i) for i in range(1, len(entries) + 1)] if numbered else unique([name for name, _ in entries], function)
    places = dict(zip((name for name, _ in entries), names))
    multipliers = multipliers_after(chain, new_name(chain, {name: places[name] for name in part_names(chain) if name in places}))
    made = make_chain(dict(zip(names, (net for _, net in entries))), chain, multipliers)
    return with_ports(made, ports, function)


def unique(names: list[str], function: str) -> list[str]:
    """The names; DeclarationError when one comes twice."""
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DeclarationError(
            f"{function}: there would be two layers named {listing(map(repr, twice))}. NetRename(net, rules) gives other names."
        )
    return names


@public
def NetAppend(net: Any, layers: Any, /, **ports: Any) -> NetChain:
    """The chain with further layers at its end.

    ``NetAppend(chain, layer)``, ``NetAppend(chain, [layer, …])``, ``NetAppend(chain, Rule("name", layer))``, or a dict of
    names. A layer may be written in short, as in NetChain. Options: ports, such as ``Output=NetDecoder(...)``.

    A decoder of the chain's output stays with its old last layer, where it has no effect.

    >>> NetAppend(NetChain([Ramp], Input=4), [10, SoftmaxLayer()])
    NetChain([ElementwiseLayer(Ramp), LinearLayer(10), SoftmaxLayer()], Input=4)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """
    chain = chain_of(net, "NetAppend")
    return _inserted(chain, layers, len(chain.nets), ports, "NetAppend")


@public
def NetPrepend(net: Any, layers: Any, /, **ports: Any) -> NetChain:
    """The chain with further layers at its start.

    ``NetPrepend(chain, layer)``, ``NetPrepend(chain, [layer, …])``, ``NetPrepend(chain, Rule("name", layer))``. Options:
    ports, such as ``Input=NetEncoder(...)``.

    An encoder of the chain's input stays with its old first layer, where it has no effect.

    >>> NetPrepend(NetChain([10], Input=4), Ramp)
    NetChain([ElementwiseLayer(Ramp), LinearLayer(10, Input=4)])

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """
    return _inserted(chain_of(net, "NetPrepend"), layers, 0, ports, "NetPrepend")


@public
def NetInsert(net: Any, layer: Any, position: Any, /, **ports: Any) -> NetChain:
    """The chain with a layer inserted before a position.

    ``NetInsert(chain, layer, n)``, ``NetInsert(chain, layer, -n)``: -1 is the end;
    ``NetInsert(chain, Rule("name", layer), "before")``; a list of layers inserts them all. Options: ports.

    Arrays behind the new layer that no longer fit are dropped, and a NetWarning names them.

    >>> NetInsert(NetChain([Ramp, 10], Input=4), Tanh, 2)
    NetChain([ElementwiseLayer(Ramp), ElementwiseLayer(Tanh), LinearLayer(10)], Input=4)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """
    chain = chain_of(net, "NetInsert")
    count = len(chain.nets)
    if is_number(position) and 1 <= abs(int(position)) <= count + 1:
        place = int(position) - 1 if position > 0 else count + 1 + int(position)
    elif is_number(position):
        raise PartError(missing_part(chain, position, "NetInsert"))
    else:
        place = part_names(chain).index(part_name(chain, position, "NetInsert"))
    return _inserted(chain, layer, place, ports, "NetInsert")


def _entries(layers: Any, function: str) -> list[tuple[str | None, Net]]:
    """The layers that an argument of NetAppend means, with names where given."""
    if isinstance(layers, Rule):
        layers = [layers]
    if isinstance(layers, Mapping) or is_rules(layers):
        return list(named_layers(layers, function).items())
    if isinstance(layers, (list, tuple)):
        found: list[tuple[str | None, Net]] = []
        for i, layer in enumerate(layers, 1):
            if isinstance(layer, Rule):
                found += _entries(layer, function)
            else:
                found.append((None, promote(layer, f"layer {i} of {function}")))
        return found
    return [(None, promote(layers, f"the layer of {function}"))]


def _inserted(chain: NetChain, layers: Any, place: int, ports: Mapping[str, Any], function: str) -> NetChain:
    added = _entries(layers, function)
    names = part_names(chain)
    old: list[tuple[str, Net]] = list(chain.nets.items())
    declared = dict(chain.ports)
    if place == 0 and added:
        old[0] = (names[0], _keep(chain, old[0][1], declared, inputs=True))
    if place == len(old) and added:
        old[-1] = (names[-1], _keep(chain, old[-1][1], declared, inputs=False))
    numbered = is_numbered(chain) and all(name is None for name, _ in added)
    fresh = []
    for i, (name, net) in enumerate(added):
        if name is None:
            name = f"{place + i + 1}" if not numbered else f"0{i}"
            while name in names:
                name = f"{name}'"
        fresh.append((name, net))
    entries = old[:place] + fresh + old[place:]
    made = _chain(chain, entries, {**declared, **ports}, function)
    new = part_names(made)[place : place + len(added)]
    return settled(made, function, [(name,) for name in new])


def _keep(chain: NetChain, part: Any, declared: dict[str, Any], inputs: bool) -> Any:
    """The part at an end of the chain, with what the chain declared of that end: it is an inner wire from now on."""
    ports = dict(part.ports)
    for port in chain.input_names if inputs else chain.output_names:
        own = declared.pop(port, None)
        if isinstance(own, (Encoder, Decoder)) and port not in ports:
            ports[port] = own
        elif own is not None and port not in ports and not part.port_type(port).known:
            ports[port] = unnamed(chain.port_type(port))
    return part.rebuilt(ports=FrozenDict(ports)) if ports != dict(part.ports) else part


@public
def NetJoin(*nets: Any, **ports: Any) -> Any:
    """The chain of all layers of several chains, one after the other; with a graph among them, the graph of all layers.

    ``NetJoin(chain1, chain2, …)``; a layer may stand for a chain of one. Options: ports. A graph feeds the next net by its one
    output and its one input, or by ports of the same names; other ports stay those of the whole [M].

    Encoders and decoders of inner ends stay with their layers, where they have no effect. Layers without names are numbered anew.

    Raises ShapeError when the ends do not fit, DeclarationError when two layers have the same name.

    >>> NetJoin(NetChain([Ramp, 3], Input=4), NetChain([Tanh]))
    NetChain([ElementwiseLayer(Ramp), LinearLayer(3), ElementwiseLayer(Tanh)], Input=4)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """
    if any(isinstance(net, NetGraph) for net in nets):
        return _graphs_joined(nets, ports)
    chains = [_as_chain(net) for net in nets]
    if not chains:
        raise DeclarationError("NetJoin takes at least one NetChain. Got none.")
    entries: list[tuple[bool, str, Net]] = []
    outer: dict[str, Any] = {}
    table: dict[str, Any] = {}
    for i, chain in enumerate(chains):
        declared, parts, own = dict(chain.ports), dict(chain.nets), part_names(chain)
        if i > 0:
            parts[own[0]] = _keep(chain, parts[own[0]], declared, inputs=True)
        if i < len(chains) - 1:
            parts[own[-1]] = _keep(chain, parts[own[-1]], declared, inputs=False)
        outer |= declared
        numbered = is_numbered(chain)
        entries += [(numbered, name, part) for name, part in parts.items()]
        table = merged_shared(table, chain, "NetJoin")
    names = unique([str(i) if counted else name for i, (counted, name, _) in enumerate(entries, 1)], "NetJoin")
    rules: list[Rule] = []
    start = 0
    for chain in chains:
        rules += _spelled_out(chain, names[start : start + len(chain.nets)])
        start += len(chain.nets)
    made = make_chain(dict(zip(names, (part for _, _, part in entries))), None, tuple(rules) or Automatic, table)
    return settled(with_ports(made, {**outer, **ports}, "NetJoin"), "NetJoin", [()])


def _graphs_joined(nets: tuple[Any, ...], ports: Mapping[str, Any]) -> NetGraph:
    from netdsl.surgery.graphs import graphs_joined

    graphs = [net if isinstance(net, NetGraph) else NetGraph(_as_chain(net)) for net in nets]
    table: dict[str, Any] = {}
    places: list[dict[str, str]] = []
    rules: list[Rule] = []
    count = 0
    for graph in graphs:
        own = part_names(graph)
        counted = is_numbered(graph)
        places.append({name: str(count + i) if counted else name for i, name in enumerate(own, 1)})
        count += len(own)
        table = merged_shared(table, graph, "NetJoin")
        rules += _spelled_out(graph, list(places[-1].values()))
    unique([name for place in places for name in place.values()], "NetJoin")
    made = graphs_joined(graphs, places, shared=FrozenDict(table), LearningRateMultipliers=tuple(rules) or Automatic)
    return settled(with_ports(made, ports, "NetJoin"), "NetJoin", [()])


def _as_chain(net: Any) -> NetChain:
    net = promote(net, "what NetJoin joins")
    return chain_of(net, "NetJoin") if isinstance(net, (NetChain, NetGraph)) else make_chain({"1": net})


def _spelled_out(chain: NetChain | NetGraph, names: list[str]) -> list[Rule]:
    """The LearningRateMultipliers of a chain as rules for its layers under their new names."""
    multipliers = chain.LearningRateMultipliers
    if multipliers is Automatic:
        return []
    if not isinstance(multipliers, tuple):
        return [Rule(name, multipliers) for name in names]
    return list(multipliers_after(chain, new_name(chain, dict(zip(part_names(chain), names)))) or ())
