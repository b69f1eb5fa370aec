"""NetReplacePart: a net with other arrays, ports, layers or coders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdsl.constraints import FrozenDict
from netdsl.containers.promotion import promote
from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError, PartError, excerpt, nearest, public
from netdsl.nets import SHARED, ArrayPath, Net, NetArray, declared_port, path_text
from netdsl.nets.arrays import as_array
from netdsl.surgery.extract import coder_parameter, item_names, unnamed
from netdsl.surgery.positions import as_path, find_part, missing_part, part_names, place_text, span_names
from netdsl.surgery.rebuild import settled, with_parts
from netdsl.symbols import All, Automatic, Rule, Span, is_rules

__all__ = ["NetReplacePart", "rules_of"]

Edit = tuple[tuple[Any, ...], Any]


@public
def NetReplacePart(net: Any, rules: Any, /) -> Any:
    """The net, encoder or decoder with other things at some positions.

    ``NetReplacePart(net, {position: value, …})``, ``Rule(position, value)`` or a list of rules; a position is as in
    NetExtract, with tuples for paths in a dict:

    - ``{2: layer}``, ``{("a", -1): 10}``: layers and inner nets;
    - ``{("a", 2, "Weights"): array}``: arrays; Automatic makes them uninitialized, None takes an optional one away;
    - ``{"Input": [3, 32, 32], "Output": NetDecoder("Class", labels)}``: ports, here and in the parts behind them; None takes an
      encoder or decoder away and keeps the size, Automatic leaves the port to what follows;
    - ``{("Input", "ImageSize"): [32, 32]}``: parameters of coders and of layers;
    - ``{NetArray("w"): array}``: shared arrays; ``{(All, "Biases"): None}``: the same in every part.

    Arrays that no longer fit are dropped, and a NetWarning names them. The original does not change.

    Raises PartError where there is no such part, ShapeError where the new things contradict the rest.

    >>> net = NetChain([Ramp, 10], Input=4)
    >>> NetReplacePart(net, {1: Tanh, "Input": 7})
    NetChain([ElementwiseLayer(Tanh), LinearLayer(10)], Input=7)

    Differences from Wolfram: parameters of layers can be replaced too. Source: Wolfram's public reference page.
    """
    edits = [(as_path(rule.key), rule.value) for rule in rules_of(rules, "NetReplacePart")]
    if isinstance(net, (Encoder, Decoder)):
        return _coder(net, edits)
    if not isinstance(net, Net):
        raise DeclarationError(f"NetReplacePart takes a net, an encoder or a decoder. Got {excerpt(net)}.")
    work = _Work(net)
    made = work.with_shared(work.edit(net, edits, ()))
    return settled(made, "NetReplacePart", work.new)


def rules_of(rules: Any, function: str) -> list[Rule]:
    """The rules that a dict, a rule or a list of rules means."""
    if isinstance(rules, Rule):
        return [rules]
    if isinstance(rules, Mapping):
        return [Rule(key, value) for key, value in rules.items()]
    if is_rules(rules) or (isinstance(rules, (list, tuple)) and not rules):
        return list(rules)
    raise DeclarationError(f"{function} takes rules: a dict, Rule(key, value) or a list of rules. Got {excerpt(rules)}.")


def _coder(coder: Any, edits: list[Edit]) -> Any:
    """The coder with other parameters, checked anew."""
    changes = {}
    for path, value in edits:
        if len(path) != 1:
            raise PartError(f"NetReplacePart: {coder.title()} has parameters only, no {excerpt(list(path))}.")
        coder_parameter(coder, path[0], "NetReplacePart")
        changes[path[0]] = value
    return coder.changed(**changes)


class _Work:
    """One replacement under way: the outermost net, and the paths of what the user gave."""

    def __init__(self, net: Net) -> None:
        self.root = net
        self.new: list[ArrayPath] = []
        self.shared: dict[str, Any] = {}

    def edit(self, net: Any, edits: list[Edit], trail: tuple[str, ...]) -> Any:
        """The net with the edits done, in order; unchecked."""
        if net.traced_arrays:
            _ = self.root.solved
        own: dict[Any, Any] = {}
        parts = dict(net.nets)
        inner: dict[str, list[Edit]] = {}
        for path, value in edits:
            if not path:
                raise PartError("NetReplacePart: the position is empty. Give a number, a name or a path.")
            head, rest = path[0], path[1:]
            names = self._names(net, head)
            if names is None:
                self._own(net, head, rest, value, own, trail)
            for name in names or ():
                if rest:
                    inner.setdefault(name, []).append((rest, value))
                else:
                    parts[name] = promote(value, f"the new part {path_text((*trail, name))!r}")
                    self.new.append((*trail, name))
        for name, further in inner.items():
            parts[name] = self.edit(parts[name], further, (*trail, name))
        if any(parts[name] is not old for name, old in net.nets.items()):
            net = with_parts(net, parts, "NetReplacePart", trail)
        return self._settings(net, own, trail) if own else net

    @staticmethod
    def _names(net: Any, head: Any) -> list[str] | None:
        if isinstance(head, Span) or (head is All and net.nets):
            return span_names(net, head, "NetReplacePart")
        name = find_part(net, head)
        return None if name is None else [name]

    def _own(self, net: Any, head: Any, rest: tuple[Any, ...], value: Any, own: dict[Any, Any], trail: tuple[str, ...]) -> None:
        """Note a setting of the net itself: a shared array, an array, a parameter, a port, or a parameter of a port's coder."""
        known = item_names(net)
        if isinstance(head, NetArray):
            if trail:
                raise PartError(
                    f"NetReplacePart: shared arrays belong to the whole net. Write {{{head!r}: value}} without "
                    f"{path_text(trail)!r}."
                )
            if rest:
                raise PartError(f"NetReplacePart: {head!r} has no parts, so there is no {excerpt(rest[0])} in it.")
        elif not isinstance(head, str) or head not in known:
            raise PartError(missing_part(net, head, "NetReplacePart", trail, known))
        if rest:
            if head not in net.input_names and head not in net.output_names:
                raise PartError(
                    f"NetReplacePart: {head!r} of {place_text(net, trail)} has no parts, so there is no {excerpt(rest[0])} in it."
                )
            coder = own.get(head) or (net.encoder(head) if head in net.input_names else net.decoder(head))
            if not isinstance(coder, (Encoder, Decoder)):
                raise PartError(
                    f"NetReplacePart: port {head!r} of {place_text(net, trail)} has no encoder or decoder, so "
                    "there is no "
                    f"{excerpt(rest[0])} to replace."
                )
            value = _coder(coder, [(rest, value)])
        own[head] = value

    def _settings(self, net: Any, own: dict[Any, Any], trail: tuple[str, ...]) -> Any:
        self.shared |= {head.Name: value for head, value in own.items() if isinstance(head, NetArray)}
        slots = net.array_slots() if hasattr(net, "array_slots") else ()
        ports = {
            head: value
            for head, value in own.items()
            if head in (*net.input_names, *net.output_names) and head not in slots and head not in net.parameters
        }
        fields = {head: value for head, value in own.items() if not isinstance(head, NetArray) and head not in ports}
        if fields:
            traced = {head for head in fields if head not in net.array_declarations and head not in net.parameters}
            self.shared |= {net.array_values()[head].Name: fields.pop(head) for head in traced}
        if fields:
            net = self._changed(net, fields, trail)
        for port, value in ports.items():
            net = _with_port(net, port, value, self.root, trail)
        return net

    def _changed(self, layer: Any, fields: dict[str, Any], trail: tuple[str, ...]) -> Any:
        """The layer constructed anew with other parameters and arrays; the rest is put back unchecked."""
        arrays = {name: layer.__dict__[name] for name in layer.array_declarations if name not in fields}
        kept = {name: value for name, value in arrays.items() if hasattr(value, "dtype")}
        made = layer.changed(**(dict.fromkeys(kept, Automatic) | fields | {"Ports": {}}))
        self.new += [(*trail, name) for name in fields if name in layer.array_declarations]
        return made.rebuilt(**kept, ports=layer.ports)

    def with_shared(self, net: Any) -> Any:
        """The whole net with the new values of shared arrays."""
        if not self.shared:
            return net
        table = dict(net.shared)
        known = {path[1] for path in self.root.array_table() if path[0] == SHARED}
        for name, value in self.shared.items():
            if name not in known:
                raise PartError(f"NetReplacePart: this {net.title()} has no shared array {name!r}. {nearest(name, known)}")
            table[name] = value if value is Automatic else as_array(value, f"NetArray({name!r})")
            self.new.append((SHARED, name))
        return net.rebuilt(shared=FrozenDict(table))


def _with_port(net: Any, port: str, value: Any, root: Net, trail: tuple[str, ...]) -> Any:
    """The net with a port declared anew; what the parts behind it declare of the same port goes."""
    is_input = port in net.input_names
    declared = declared_port(port, value, is_input)
    if value is None:
        declared = unnamed(_type_before(net, port, root, trail))
        declared = None if declared.sizes is None else declared
    ports = {name: old for name, old in net.ports.items() if name != port}
    if declared is not None:
        ports[port] = declared
    return _undeclared(net, port, is_input).rebuilt(ports=FrozenDict(ports))


def _type_before(net: Net, port: str, root: Net, trail: tuple[str, ...]) -> Any:
    ref = root.program.ports.get((trail, port))
    return net.port_type(port) if ref is None else root.solved.types[ref]


def _undeclared(net: Any, port: str, is_input: bool) -> Any:
    """The net with nothing declared of a port, here and in the parts at the same wire."""
    parts = net.parts()
    if parts is not None:
        if is_input:
            ends = [(name, own) for name in part_names(net) for own, source in parts.feeds[name].items() if source == ("", port)]
        else:
            ends = [parts.outputs[port]]
        nets = dict(net.nets)
        for name, own in ends:
            nets[name] = _undeclared(nets[name], own, is_input)
        if any(nets[name] is not old for name, old in net.nets.items()):
            net = net.rebuilt(nets=FrozenDict(nets))
    if port not in net.ports:
        return net
    return net.rebuilt(ports=FrozenDict({name: old for name, old in net.ports.items() if name != port}))
