"""The mechanism below surgery: containers with other parts, and nets solved anew that keep the arrays that still fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from netdsl.constraints import FrozenDict
from netdsl.containers import NetChain, NetGraph
from netdsl.errors import DeclarationError, PartError, ShapeError, listing, warn
from netdsl.nets import SHARED, ArrayPath, Net, NetArray, Solved, declared_port, lift_shared, path_text
from netdsl.nets.program import solve
from netdsl.nets.report import contradictions
from netdsl.shapes import OPEN, ArrayType, Length
from netdsl.surgery.positions import find_part, place_text, span_names
from netdsl.symbols import Automatic, Rule, Span

__all__ = [
    "array_entries",
    "make_chain",
    "merged_shared",
    "multipliers_after",
    "muted_ports",
    "new_name",
    "settled",
    "used_shared",
    "with_parts",
    "with_ports",
]

PortRef = tuple[str, str]


def make_chain(
    nets: Mapping[str, Net], like: Net | None = None, multipliers: Any = Automatic, shared: Mapping[str, Any] | None = None
) -> NetChain:
    """The chain of these parts, whose sizes nobody has checked yet; shared values come from `like` or `shared`."""
    chain = object.__new__(NetChain)
    table = FrozenDict(shared if shared is not None else like.shared if like is not None else {})
    chain.__dict__.update(nets=FrozenDict(nets), shared=table, ports=FrozenDict(), LearningRateMultipliers=multipliers)
    chain.check_places()
    lift_shared(chain)
    return chain


def with_ports(net: Any, ports: Mapping[str, Any], function: str) -> Any:
    """The net with ports declared as the user writes them (Automatic: as they are); unchecked."""
    declared = dict(net.ports)
    for port, value in ports.items():
        if port not in net.input_names and port not in net.output_names:
            net._refuse_option(port, [*net.input_names, *net.output_names])
        made = declared_port(port, value, port in net.input_names)
        if made is not None:
            declared[port] = made
    return net.rebuilt(ports=FrozenDict(declared)) if ports else net


def with_parts(net: Any, nets: Mapping[str, Net], function: str, trail: tuple[str, ...] = ()) -> Any:
    """The net with other parts under the same names, wired as before; unchecked but for the ports of the parts."""
    if nets.keys() == net.nets.keys() and all(nets[name] is part for name, part in net.nets.items()):
        return net
    entries: dict[str, Any] = {"nets": FrozenDict(nets)}
    old_names = net.input_names, net.output_names
    if isinstance(net, NetGraph):
        made = _rewired(net, nets, function, trail)
    else:
        if not isinstance(net, NetChain):
            _same_counts(net, nets, function, trail)
        made = net.rebuilt(**entries)
        if isinstance(net, NetChain):
            made.check_places()
        lift_shared(made)
    if net.ports and (made.input_names, made.output_names) != old_names:
        renamed: dict[str, str] = {}
        for old, new in zip(old_names, (made.input_names, made.output_names)):
            renamed.update(zip(old, new) if len(old) == len(new) else ((name, name) for name in old if name in new))
        made = made.rebuilt(ports=FrozenDict({renamed[port]: value for port, value in net.ports.items() if port in renamed}))
    return made


def _same_counts(net: Net, nets: Mapping[str, Net], function: str, trail: tuple[str, ...]) -> None:
    """An operator runs nets with so many ports; it can be given others with as many."""
    for name, new in nets.items():
        old = net.nets[name]
        if (len(old.input_names), len(old.output_names)) != (len(new.input_names), len(new.output_names)):
            raise DeclarationError(
                f"{function}: part {name!r} of {place_text(net, trail)} must have {len(old.input_names)} "
                "input and "
                f"{len(old.output_names)} output ports, as now. {new.title()} has the inputs "
                f"{listing(new.input_names) or 'none'} and the outputs {listing(new.output_names)}."
            )


def muted_ports(net: NetGraph) -> set[PortRef]:
    """The outputs of parts that lead nowhere."""
    used = {*net.wires["feeds"].values(), *net.wires["outputs"].values()}
    return {(name, port) for name, part in net.nets.items() for port in part.output_names if (name, port) not in used}


def _rewired(net: NetGraph, nets: Mapping[str, Net], function: str, trail: tuple[str, ...]) -> NetGraph:
    """The graph with other parts: same ports keep their wires, other names take them over in order."""
    changed = [name for name, new in nets.items() if new is not net.nets[name]]
    wires, mapping = net.wires, {}
    for name in changed:
        fed = [port for part, port in wires["feeds"] if part == name]
        read = dict.fromkeys(port for part, port in [*wires["feeds"].values(), *wires["outputs"].values()] if part == name)
        old, new = net.nets[name], nets[name]
        inputs = list(old.input_names) or sorted(fed, key=lambda port: int(port.removeprefix("Input")))
        pairs = _port_pairs(inputs, new.input_names, fed, getattr(new, "variadic", False) and not new.input_names)
        pairs_out = _port_pairs(list(old.output_names), new.output_names, list(read), False)
        if pairs is None or pairs_out is None:
            kind, ports, had = ("input", new.input_names, fed) if pairs is None else ("output", new.output_names, list(read))
            raise PartError(
                f"{function}: {new.title()} cannot take the place of part {name!r} of {place_text(net, trail)}: "
                "wired are its "
                f"{kind} ports {listing(had)}, and {new.title()} has {listing(ports) or 'none'}."
            )
        mapping[name] = pairs, pairs_out
    if all(
        all(a == b for a, b in [*i.items(), *o.items()])
        and nets[n].input_names == net.nets[n].input_names
        and nets[n].output_names == net.nets[n].output_names
        for n, (i, o) in mapping.items()
    ):
        made = net.rebuilt(nets=FrozenDict(nets))
        lift_shared(made)
        return made
    none: tuple[dict[str, str], dict[str, str]] = ({}, {})
    feeds = {
        (n, mapping.get(n, none)[0].get(port, port)): (s, mapping.get(s, none)[1].get(source, source))
        for (n, port), (s, source) in wires["feeds"].items()
    }
    outputs = {port: (s, mapping.get(s, none)[1].get(source, source)) for port, (s, source) in wires["outputs"].items()}
    muted = [ref for ref in muted_ports(net) if ref[0] not in mapping]
    return NetGraph.wired(
        nets,
        feeds,
        wires["inputs"],
        outputs,
        muted,
        ports=net.ports,
        shared=net.shared,
        LearningRateMultipliers=net.LearningRateMultipliers,
    )


def _port_pairs(old: list[str], new: Collection[str], wired: list[str], any_number: bool) -> dict[str, str] | None:
    """Which port of a new part takes over each wired port of the old one; None when it cannot be said."""
    if any_number:
        return {port: f"Input{i}" for i, port in enumerate(wired, 1)}
    if set(wired) <= set(new):
        return {port: port for port in wired}
    if len(old) == len(new):
        pairs = dict(zip(old, new))
        return {port: pairs[port] for port in wired}
    return None


def multipliers_after(net: Net, renamed: Callable[[Any], Any]) -> Any:
    """The net's LearningRateMultipliers after its parts got new names; `renamed` gives None for those that are gone."""
    if not isinstance(net.LearningRateMultipliers, tuple):
        return net.LearningRateMultipliers
    rules = []
    for rule in net.LearningRateMultipliers:
        path = rule.key if isinstance(rule.key, tuple) else (rule.key,)
        heads = span_names(net, path[0], "LearningRateMultipliers") if isinstance(path[0], Span) else [path[0]]
        for head in heads:
            if find_part(net, head) is not None:
                head = renamed(head)
            if head is not None:
                rules.append(Rule((head, *path[1:]) if len(path) > 1 else head, rule.value))
    return tuple(rules) or Automatic


def new_name(net: Net, names: Mapping[str, str]) -> Callable[[Any], str | None]:
    """What a part of the net, by number or name, is called after surgery; None when it is gone."""

    def renamed(position: Any) -> str | None:
        return names.get(find_part(net, position) or "")

    return renamed


def merged_shared(table: Mapping[str, Any], net: Net, function: str) -> dict[str, Any]:
    """The shared values of a table and a net together."""
    found = dict(table)
    for name, value in net.shared.items():
        known = found.get(name, Automatic)
        if known is Automatic or value is Automatic:
            found[name] = value if known is Automatic else known
        elif known is not value and (known.shape != value.shape or not bool((known == value).all())):
            raise DeclarationError(
                f"{function}: the shared array NetArray({name!r}) comes with different values. Give both "
                f"the same: NetReplacePart(net, {{NetArray({name!r}): ...}})."
            )
    return found


def array_entries(net: Net) -> dict[ArrayPath, Any]:
    """Every array with values by path, shared ones too, without asking for the solution."""
    found: dict[ArrayPath, Any] = {(SHARED, name): value for name, value in net.shared.items() if value is not Automatic}
    for path, layer in net.leaves():
        for name in layer.array_declarations:
            value = layer.__dict__[name]
            if value is not Automatic and value is not None and not isinstance(value, NetArray):
                found[(*path, name)] = value
    return found


def used_shared(net: Net, table: Mapping[str, Any]) -> FrozenDict:
    """The shared arrays of the table that the net uses."""
    if not table:
        return FrozenDict()
    names = {value.Name for _, layer in net.leaves() for value in layer.array_values().values() if isinstance(value, NetArray)}
    return FrozenDict({name: value for name, value in table.items() if name in names})


def settled(net: Any, function: str, new: Iterable[ArrayPath] = ()) -> Any:
    """The net solved anew. Arrays that no longer fit are dropped and named in a NetWarning; those below the paths `new` are the
    user's own words and stay: where they do not fit, that is a ShapeError."""
    solution = solve(net, {})
    if solution.clashes:
        net, solution = _fitted(net, function, {tuple(path) for path in new}, solution)
    net.__dict__["_solved"] = solution
    if net.shared:
        kept = used_shared(net, net.shared)
        if len(kept) < len(net.shared):
            net = net.rebuilt(shared=kept)
    return net


def _fitted(net: Any, function: str, new: set[ArrayPath], solution: Solved) -> tuple[Any, Solved]:
    arrays = array_entries(net)
    old = {path: value for path, value in arrays.items() if not any(path[:n] in new for n in range(len(path) + 1))}
    bare = net._with_arrays(dict.fromkeys(old, Automatic))
    needed = solve(bare, {})
    if needed.clashes or not old:
        raise ShapeError(f"{function}: " + (contradictions(bare, needed) if needed.clashes else contradictions(net, solution)))
    dropped = {path for path, value in old.items() if not _fits(value.shape, needed.arrays.get(path, OPEN))}
    while True:
        made = net._with_arrays(dict.fromkeys(dropped, Automatic)) if dropped else net
        solution = solve(made, {})
        if not solution.clashes:
            break
        further = _involved(solution, old.keys() - dropped) or old.keys() - dropped
        dropped |= further
    for path, type_ in solution.arrays.items():
        needed.arrays[path] = type_
    _warn(function, {path: (old[path].shape, needed.arrays.get(path, OPEN)) for path in old if path in dropped})
    return made, solution


def _fits(shape: tuple[int, ...], type_: ArrayType) -> bool:
    sizes = type_.sizes
    if sizes is None:
        return True
    return len(sizes) == len(shape) and all(n is None or isinstance(n, Length) or n == m for n, m in zip(sizes, shape))


def _involved(solution: Solved, kept: Collection[ArrayPath]) -> set[ArrayPath]:
    """The arrays of the layers at which the contradictions show."""
    steps = solution.program.steps
    ends = [end for clash in solution.clashes for end in (clash.owner, clash.origin.owner if clash.origin else None)]
    owners = {end for end in ends if isinstance(end, int)}
    found: set[ArrayPath] = set()
    for owner in owners:
        step = steps[owner]
        names = {value.Name for value in step.layer.array_values().values() if isinstance(value, NetArray)}
        found |= {path for path in kept if path[: len(step.path)] == step.path or (path[0] == SHARED and path[1] in names)}
    return found


def _warn(function: str, dropped: Mapping[ArrayPath, tuple[tuple[int, ...], ArrayType]]) -> None:
    texts = []
    for path, (had, needs) in dropped.items():
        name = f"NetArray({path[1]!r})" if path[0] == SHARED else path_text(path)
        size = "x".join(map(str, had))
        now = f", now {'x'.join(map(str, needs.sizes))}" if needs.known and needs.sizes else ""
        texts.append(f"{name} (was {size}{now})")
    what = "an array that no longer fits" if len(texts) == 1 else f"{len(texts)} arrays that no longer fit"
    warn(f"{function} dropped {what}: {listing(texts)}. NetInitialize(net) gives new values.")
