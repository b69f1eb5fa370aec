"""NetFlatten: chains and graphs inside others become one chain or graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from netdsl.constraints import FrozenDict
from netdsl.containers import NetChain, NetGraph
from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError, UnsupportedError, excerpt, public
from netdsl.nets import Net, Operator
from netdsl.shapes import ArrayType, merge_sizes
from netdsl.surgery.positions import find_part, is_number, span_names
from netdsl.surgery.rebuild import make_chain, muted_ports, settled, with_parts
from netdsl.symbols import All, Automatic, Infinity, Rule, Span

__all__ = ["NetFlatten", "flattened_parts", "handed_down", "inner_net", "spread_out"]

PortRef = tuple[str, str]
HEADS = (NetChain, NetGraph)


class _Flat(NamedTuple):
    """The parts of a net with inner nets spread out: by joined name, what feeds each port, the outputs, and the muted ones."""

    nets: dict[str, Net]
    feeds: dict[PortRef, PortRef]
    outputs: dict[str, PortRef]
    muted: list[PortRef]


@public
def NetFlatten(net: Any, levels: Any = Infinity, /, *, AllowedHeads: Any = Automatic) -> Any:
    """The net with the chains and graphs inside it spread out: one chain where that is possible, else one graph.

    ``NetFlatten(net)``, ``NetFlatten(net, n)`` down to n levels. Names are joined: layer "b" of layer "a" becomes "a/b";
    layers without names are numbered anew. Nets inside operators are flattened too.

    Options: AllowedHeads, the kinds that are spread out: NetChain, NetGraph or a list of them (default both).

    >>> NetFlatten(NetChain([Ramp, [3, Tanh]], Input=4))
    NetChain([ElementwiseLayer(Ramp), LinearLayer(3), ElementwiseLayer(Tanh)], Input=4)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """
    if not isinstance(net, Net):
        raise DeclarationError(f"NetFlatten takes a net. Got {excerpt(net)}.")
    if levels != Infinity and (not is_number(levels) or int(levels) < 0):
        raise DeclarationError(f"NetFlatten(net, n) takes a number of levels, 0 or more, or Infinity. Got {excerpt(levels)}.")
    listed = isinstance(AllowedHeads, (list, tuple))
    heads = HEADS if AllowedHeads is Automatic else tuple(AllowedHeads) if listed else (AllowedHeads,)
    if not heads or any(head not in HEADS for head in heads):
        raise DeclarationError(
            f"AllowedHeads of NetFlatten is NetChain, NetGraph or a list of them. Got {excerpt(AllowedHeads)}."
        )
    return settled(_flattened(net, levels, heads), "NetFlatten", [()])


def _flattened(net: Any, levels: Any, heads: tuple[type, ...]) -> Any:
    """The net flattened, unchecked."""
    if levels == 0:
        return net
    if isinstance(net, Operator):
        return with_parts(net, {name: _flattened(part, levels, heads) for name, part in net.nets.items()}, "NetFlatten")
    return net if net.parts() is None else _assembled(net, _spread(net, levels, heads, None), True)


def flattened_parts(net: Any, names: Collection[str]) -> Any:
    """The container with these of its parts, chains or graphs, spread out; a graph stays one. Unchecked."""
    return _assembled(net, _spread(net, 1, HEADS, names), isinstance(net, NetChain))


def spread_out(net: Net) -> NetGraph:
    """The net as one graph of all its layers and operators, which stay as they are. Unchecked."""
    if net.parts() is None:
        return NetGraph(net)
    return _assembled(net, _spread(net, Infinity, HEADS, None, operators=False), False)  # type: ignore[no-any-return]


def inner_net(operator: Any, net: Any) -> Any:
    """The net of an operator as it learns there: with the operator's LearningRateMultipliers."""
    return _multiplied(net, (_rules_for(operator, operator.LearningRateMultipliers, "Net"),))


def _spread(
    net: Any,
    levels: Any,
    heads: tuple[type, ...],
    only: Collection[str] | None,
    around: tuple[Any, ...] = (),
    operators: bool = True,
) -> _Flat:
    """The parts of a container with its inner containers spread out; `around` are LearningRateMultipliers given from outside."""
    parts = net.parts()
    nets: dict[str, Net] = {}
    feeds: dict[PortRef, PortRef] = {}
    moved: dict[PortRef, PortRef] = {}
    muted: list[PortRef] = []
    for name, part in net.nets.items():
        settings = tuple(_rules_for(net, each, name) for each in (*around, net.LearningRateMultipliers))
        sources = parts.feeds[name]
        if levels > 0 and isinstance(part, heads) and (only is None or name in only):
            inner = _spread(handed_down(part), levels - 1, heads, None, settings, operators)
            nets.update((f"{name}/{each}", made) for each, made in inner.nets.items())
            feeds.update(
                ((f"{name}/{each}", port), (f"{name}/{source[0]}", source[1]) if source[0] else sources[source[1]])
                for (each, port), source in inner.feeds.items()
            )
            moved.update(((name, port), (f"{name}/{each}", own)) for port, (each, own) in inner.outputs.items())
            for path in net.nets[name].recurrent_paths():
                state, (each, own) = "/".join(path), _state(inner, path)
                moved[name, state] = f"{name}/{each}", own
                if state in sources:
                    feeds[f"{name}/{each}", own] = sources[state]
            muted += [(f"{name}/{each}", port) for each, port in inner.muted]
        else:
            if isinstance(part, Operator) and only is None and operators:
                part = _flattened(part, levels, heads)
            nets[name] = _multiplied(part, settings)
            feeds.update(((name, port), source) for port, source in sources.items())
    feeds = {ref: moved.get(source, source) for ref, source in feeds.items()}
    outputs = {port: moved.get(source, source) for port, source in parts.outputs.items()}
    used = {*feeds.values(), *outputs.values()}
    if isinstance(net, NetGraph):
        muted += [moved.get(ref, ref) for ref in muted_ports(net)]
    return _Flat(nets, feeds, outputs, [ref for ref in muted if ref not in used])


def _state(flat: _Flat, path: tuple[str, ...]) -> PortRef:
    """The state of this path, in the parts that were spread out."""
    names = ["/".join(path[:count]) for count in range(1, len(path))]
    name = next(name for name in names if name in flat.nets)
    return name, "/".join(path).removeprefix(f"{name}/")


def handed_down(net: Any) -> Any:
    """The container with what it declares of its ports declared by the parts behind them instead."""
    parts = net.parts()
    nets = dict(net.nets)
    for port, declared in net.ports.items():
        if port in net.input_names:
            wires = [(name, own, source) for name, sources in parts.feeds.items() for own, source in sources.items()]
            ends = [(name, own) for name, own, source in wires if source == ("", port)]
        else:
            ends = [parts.outputs[port]]
        for name, own in ends:
            part = nets[name]
            if own in part.input_names or own in part.output_names:
                nets[name] = part.rebuilt(ports=FrozenDict({**part.ports, own: _both(part.ports.get(own), declared)}))
    return net.rebuilt(nets=FrozenDict(nets))


def _both(own: Any, outer: Any) -> Any:
    """What a part and the container around it declare of one port, together."""
    if own is None or isinstance(own, (Encoder, Decoder)):
        return outer if own is None else own
    if isinstance(outer, (Encoder, Decoder)):
        return outer
    sizes = (
        outer.sizes
        if own.sizes is None
        else own.sizes
        if outer.sizes is None
        else tuple(merge_sizes(a, b) for a, b in zip(own.sizes, outer.sizes))
    )
    return ArrayType(sizes, own.elements or outer.elements)


def _rules_for(net: Any, multipliers: Any, name: str) -> Any:
    """What LearningRateMultipliers of a container mean for one part."""
    if not isinstance(multipliers, tuple):
        return multipliers
    rules = []
    for rule in multipliers:
        head, *rest = rule.key if isinstance(rule.key, tuple) else (rule.key,)
        every = head is All or head == "_"
        if every or name in (span_names(net, head, "NetFlatten") if isinstance(head, Span) else [find_part(net, head)]):
            rules.append(Rule(tuple(rest) if rest else All, rule.value))
            if not rest:
                break
    if rules and rules[0].key is All:
        return rules[0].value
    return tuple(rules) or Automatic


def _multiplied(net: Any, settings: Collection[Any]) -> Any:
    """The net whose own LearningRateMultipliers are multiplied with those that the containers around it gave it."""
    wanted = [setting for setting in (*settings, net.LearningRateMultipliers) if setting is not Automatic]
    if not wanted or (len(wanted) == 1 and wanted[0] == net.LearningRateMultipliers):
        return net
    ruled = [setting for setting in wanted if isinstance(setting, tuple)]
    if len(ruled) > 1:
        raise UnsupportedError(
            f"NetFlatten: rules of LearningRateMultipliers in several places mean parts of one {net.title()}. "
            "Give them in one place."
        )
    factor = 1
    for number in wanted:
        if not isinstance(number, tuple):
            factor *= number or 0
    both: Any = factor
    if ruled:
        scaled = [Rule(rule.key, (rule.value or 0) * factor) for rule in ruled[0]]
        both = tuple(scaled) if factor == 1 else (*scaled, Rule(All, factor))
    return net.rebuilt(LearningRateMultipliers=both)


def _assembled(net: Any, flat: _Flat, chain: bool) -> Any:
    """The chain or graph of spread parts, with the ports of the net that they were."""
    names = {name: name for name in flat.nets}
    if all(piece.isdigit() for name in names for piece in name.split("/")):
        names = {name: str(i) for i, name in enumerate(names, 1)}
    order = _in_a_row(net, flat) if chain else None
    if order is not None:
        if order != list(flat.nets) and list(names) != list(names.values()):
            names = {name: str(i) for i, name in enumerate(order, 1)}
        made = make_chain({names[name]: flat.nets[name] for name in order}, net)
        return made.rebuilt(ports=net.ports)
    return NetGraph.wired(
        {names[name]: part for name, part in flat.nets.items()},
        _named(flat.feeds, names),
        net.input_names,
        _named_values(flat.outputs, names),
        [(names[name], port) for name, port in flat.muted],
        ports=net.ports,
        shared=net.shared,
    )


def _named(feeds: Mapping[PortRef, PortRef], names: Mapping[str, str]) -> dict[PortRef, PortRef]:
    return {(names[name], port): (names.get(source[0], ""), source[1]) for (name, port), source in feeds.items()}


def _named_values(outputs: Mapping[str, PortRef], names: Mapping[str, str]) -> dict[str, PortRef]:
    return {port: (names[source[0]], source[1]) for port, source in outputs.items()}


def _in_a_row(net: Any, flat: _Flat) -> list[str] | None:
    """The names in the order of a chain, or None when the parts are no chain."""
    sources: dict[str, list[PortRef]] = {name: [] for name in flat.nets}
    followers: dict[str, set[str]] = {name: set() for name in flat.nets}
    for (name, port), source in flat.feeds.items():
        sources[name].append(source)
        if source[0] and source[1] in flat.nets[source[0]].output_names:
            followers[source[0]].add(name)
        elif source[0] or port != source[1]:
            return None
    first = [name for name, refs in sources.items() if all(not source for source, _ in refs)]
    if len(first) != 1 or flat.nets[first[0]].input_names != net.input_names:
        return None
    order = [first[0]]
    while followers[order[-1]]:
        if len(followers[order[-1]]) > 1 or len(flat.nets[order[-1]].output_names) != 1:
            return None
        after = next(iter(followers[order[-1]]))
        if len(sources[after]) != 1:
            return None
        order.append(after)
    last = flat.nets[order[-1]].output_names
    if len(order) != len(flat.nets) or list(flat.outputs.items()) != [(port, (order[-1], port)) for port in last]:
        return None
    return order
