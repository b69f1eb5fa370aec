"""NetTake on graphs: all that leads from one layer to another."""

from __future__ import annotations

from typing import Any

from netdsl.constraints import FrozenDict
from netdsl.containers import NetGraph
from netdsl.errors import DeclarationError
from netdsl.nets import Net
from netdsl.surgery.extract import unnamed
from netdsl.surgery.rebuild import multipliers_after, muted_ports, new_name

__all__ = ["free_name", "graph_between", "graphs_joined"]

PortRef = tuple[str, str]


def graph_between(net: NetGraph, start: str | None, end: str) -> NetGraph:
    """The graph of the parts that lead from `start` (None: from the inputs) to `end`; cut wires keep their sizes."""
    kept = _leading(net, start, end)
    nets = {name: net.nets[name] for name in net.nets if name in kept}
    feeds, inputs, cut = _inputs(net, kept)
    outputs: dict[str, PortRef] = {port: source for port, source in net.wires["outputs"].items() if source[0] == end}
    for port in net.nets[end].output_names:
        if (end, port) not in outputs.values():
            own = free_name(port, {*inputs, *outputs})
            outputs[own], cut[own] = (end, port), (end, port)
    ports: dict[str, Any] = {port: value for port, value in net.ports.items() if port in inputs or port in outputs}
    for own, (name, port) in cut.items():
        part = net.nets[name]
        type_ = net.solved.types[net.program.ports[(name,), port]]
        if type_.sizes is not None and _coder(part, port) is None:
            ports[own] = unnamed(type_)
    used = {*feeds.values(), *outputs.values()}
    muted = [(name, port) for name, part in nets.items() for port in part.output_names if (name, port) not in used]
    return NetGraph.wired(
        nets,
        feeds,
        inputs,
        outputs,
        muted,
        ports=FrozenDict(ports),
        shared=net.shared,
        LearningRateMultipliers=multipliers_after(net, new_name(net, {name: name for name in nets})),
    )


def graphs_joined(graphs: list[NetGraph], names: list[dict[str, str]], **entries: Any) -> NetGraph:
    """The graph of all parts of several, under other names, in which each feeds the next: its one output the one input, or by name."""
    from netdsl.surgery.flatten import handed_down

    nets: dict[str, Net] = {}
    feeds: dict[PortRef, PortRef] = {}
    inputs: list[str] = []
    outputs: dict[str, PortRef] = {}
    muted: list[PortRef] = []
    ports: dict[str, Any] = {}
    for i, graph in enumerate(graphs):
        ins = graph.input_names
        fed = {port: port for port in ins if port in outputs}
        if i and len(ins) == len(graphs[i - 1].output_names) == 1:
            fed = {ins[0]: graphs[i - 1].output_names[0]}
        if i and (not fed or any(port in inputs for port in ins if port not in fed)):
            raise DeclarationError(
                f"NetJoin: the outputs of net {i} ({', '.join(graphs[i - 1].output_names)}) and the inputs of net {i + 1} "
                f"({', '.join(ins)}) must be one each, or have the same names."
            )
        sources = {port: outputs[own] for port, own in fed.items()}
        inner = {port: graph.ports[port] for port in sources if port in graph.ports}
        gone = set(fed.values())
        ports = {port: value for port, value in ports.items() if port not in gone}
        kept = {port: value for port, value in graph.ports.items() if port not in inner}
        outputs = {port: ref for port, ref in outputs.items() if port not in gone}
        whole = handed_down(graph.rebuilt(ports=FrozenDict(inner)))
        last = i == len(graphs) - 1
        if not last:  # what is declared of outputs that feed the next stays with their layers
            whole = handed_down(
                whole.rebuilt(ports=FrozenDict({port: kept.pop(port) for port in graph.output_names if port in kept}))
            )
        ports |= kept
        inputs += [port for port in ins if port not in sources]
        nets |= {names[i][name]: part for name, part in whole.nets.items()}
        for (name, port), (source, own) in graph.wires["feeds"].items():
            feeds[names[i][name], port] = (names[i][source], own) if source else sources.get(own, ("", own))
        if twice := sorted({*outputs} & {*graph.output_names}):
            raise DeclarationError(
                f"NetJoin: there would be two output ports named {twice[0]!r}. NetRename(net, rules) gives other names."
            )
        outputs |= {port: (names[i][name], own) for port, (name, own) in graph.wires["outputs"].items()}
        muted += [(names[i][name], port) for name, port in muted_ports(graph)]
    return NetGraph.wired(nets, feeds, inputs, outputs, muted, ports=FrozenDict(ports), **entries)


def _coder(part: Net, port: str) -> Any:
    return part.encoder(port) if port in part.input_names else part.decoder(port)


def _leading(net: NetGraph, start: str | None, end: str) -> set[str]:
    """The parts on the ways from start to end."""
    sources: dict[str, set[str]] = {name: set() for name in net.nets}
    users: dict[str, set[str]] = {name: set() for name in net.nets}
    for (name, _), (source, _) in net.wires["feeds"].items():
        if source:
            sources[name].add(source)
            users[source].add(name)
    before = _reached(end, sources)
    if start is None:
        return before
    if start not in before:
        raise DeclarationError(
            f"NetTake: nothing leads from layer {start!r} to layer {end!r} of this NetGraph. "
            f"NetTake(net, {end!r}) takes all that leads to {end!r}."
        )
    return before & _reached(start, users)


def _reached(name: str, neighbours: dict[str, set[str]]) -> set[str]:
    found, waiting = {name}, [name]
    while waiting:
        for other in neighbours[waiting.pop()] - found:
            found.add(other)
            waiting.append(other)
    return found


def _inputs(net: NetGraph, kept: set[str]) -> tuple[dict[PortRef, PortRef], list[str], dict[str, PortRef]]:
    """The wires among the kept parts, the ports that come in, and which port of a part each cut one is."""
    old = net.wires["feeds"]
    inner = {ref: source for ref, source in old.items() if ref[0] in kept}
    inputs = [port for port in net.wires["inputs"] if ("", port) in inner.values()]
    cut: dict[str, PortRef] = {}
    names: dict[PortRef, str] = {}
    feeds: dict[PortRef, PortRef] = {}
    for ref, source in inner.items():
        if source[0] and source[0] not in kept:
            if source not in names:
                names[source] = free_name("Input" if ref[1].startswith("Input") else ref[1], inputs)
                inputs.append(names[source])
                cut[names[source]] = ref
            source = "", names[source]
        feeds[ref] = source
    return feeds, inputs, cut


def free_name(port: str, taken: Any) -> str:
    """The name of a port, with a number where it is taken."""
    name, number = port, 1
    while name in taken:
        name, number = f"{port}{number}", number + 1
    return name
