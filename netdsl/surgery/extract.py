"""NetExtract and Part: layers, arrays, ports and parameters out of a net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from netdsl.constraints import FrozenDict
from netdsl.containers import NetChain, NetGraph
from netdsl.declarations import Declared
from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError, PartError, excerpt, nearest, public
from netdsl.nets import SHARED, ArrayPath, Net, NetArray, Operator
from netdsl.shapes import VARYING, ArrayType, Length, shape_form
from netdsl.surgery.positions import as_path, find_part, is_numbered, missing_part, part_names, place_text, span_names
from netdsl.surgery.rebuild import used_shared
from netdsl.surgery.states import NetStateObject
from netdsl.symbols import All, Automatic, Span

__all__ = ["NetExtract", "part", "pinned_ports"]


@public
def NetExtract(net: Any, position: Any, /) -> Any:
    """What stands at a position of a net, a layer, an encoder or a decoder.

    - ``NetExtract(net, 2)``, ``-1``, ``"name"``: a layer or inner net; with its port sizes as they are in the net;
    - ``NetExtract(net, ["a", 2, "Weights"])``: a path inward; arrays by name (Automatic: no values yet, None: not there),
      parameters by name, the net of an operator at "Net";
    - ``NetExtract(net, "Input")``, ``["a", "Output"]``: the encoder or decoder of the port, or its shape;
      ``["Input", "ImageSize"]`` a parameter of the encoder, as ``NetExtract(encoder, "ImageSize")``;
    - ``NetExtract(net, NetArray("w"))``: the values of a shared array;
    - ``NetExtract(net, All)``: all layers, as ``Normal(net)``; ``[All, "Weights"]`` the same of each; ``Span(2, 4)`` a part
      of a chain;
    - ``NetExtract(net, [["a"], ["b", "Weights"]])``: a list of what stands at several positions.

    ``net[2]``, ``net["a", 2, "Weights"]`` and ``net[Span(2, 4)]`` mean the same. A layer named like a port goes first.

    Raises PartError when there is no such part, with the nearest name.

    >>> NetExtract(NetChain([Ramp, {"a": 10}], Input=4), [2, "a"])
    LinearLayer(10, Input=4, Output=10)

    Differences from Wolfram: several positions are a list of lists only. Source: Wolfram's public reference page.
    """
    if isinstance(net, NetStateObject):
        return dict(net.states) if position == "States" else NetExtract(net.net, position)
    if not isinstance(net, (Net, Encoder, Decoder)):
        raise DeclarationError(f"NetExtract takes a net, an encoder or a decoder. Got {excerpt(net)}.")
    if isinstance(position, (list, tuple)):
        if not position:
            raise PartError("NetExtract: the position is empty. NetExtract(net, All) gives all layers.")
        if all(isinstance(each, (list, tuple)) for each in position):
            return [NetExtract(net, each) for each in position]
    return _walk(_Place(net, (), net), as_path(position), "NetExtract")


def part(net: Net, position: Any, /) -> Any:
    """What ``net[position]`` gives: see NetExtract.

    >>> NetChain([Ramp, Tanh])[-1]
    ElementwiseLayer(Tanh)
    """
    for step in as_path(position):
        if isinstance(step, slice):
            raise DeclarationError(_slice_text(step, len(net)))
    if isinstance(position, int):
        return _walk(_Place(net, (), net), (position,), f"net[{position}]")
    return NetExtract(net, position)


def _slice_text(piece: slice, length: int) -> str:
    start, stop, step = piece.indices(length)
    written = ":".join("" if end is None else repr(end) for end in (piece.start, piece.stop))
    if piece.step is not None:
        written += f":{piece.step!r}"
    text = f"net[{written}]: nets take no Python slices; positions count from 1, both ends included."
    if step == 1 and start < stop:
        return f"{text} Write net[Span({start + 1}, {stop})]."
    return f"{text} Write net[Span(m, n)]."


class _Place(NamedTuple):
    """A net inside another: the outermost net whose solution knows its types, the path from there, and the net as it stands."""

    root: Any
    path: ArrayPath
    net: Any


def pinned_ports(place: _Place) -> dict[str, Any]:
    """The port declarations of an inner net with the types that its surroundings gave it; its own coders stay."""
    net, root, path = place.net, place.root, place.path
    ports = dict(net.ports)
    if len(path) == 1 and isinstance(root, Operator):
        solved = root.inner_solved(root.solved.step_types(root.program.steps[0], 0)).get(path[0])
        types = {} if solved is None else {name: solved.input_type(name) for name in net.input_names}
        types |= {} if solved is None else {name: solved.output_type(name) for name in net.output_names}
    else:
        known = root.program.ports
        types = {name: root.solved.types[known[path, name]] for name in (*net.input_names, *net.output_names)}
    for name, type_ in types.items():
        if type_.sizes is not None and not isinstance(ports.get(name), (Encoder, Decoder)):
            ports[name] = unnamed(type_)
    return ports


def unnamed(type_: ArrayType) -> ArrayType:
    """The type with a varying length of its own, no longer tied to a net."""
    if type_.sizes and isinstance(type_.sizes[0], Length):
        return ArrayType((VARYING, *type_.sizes[1:]), type_.elements)
    return type_


def _pinned(place: _Place) -> Any:
    if not place.path:
        return place.net
    entries = {"ports": FrozenDict(pinned_ports(place))}
    if place.root.shared:
        _ = place.root.solved  # functions name their arrays while they are traced
        entries["shared"] = used_shared(place.net, place.root.shared)
    return place.net.rebuilt(**entries)


def _walk(place: _Place, path: tuple[Any, ...], function: str) -> Any:
    """What a path leads to from a place."""
    for index, step in enumerate(path):
        net, rest = place.net, path[index + 1 :]
        if not isinstance(net, Net):
            return _thing(net, path[index:], function)
        if net.traced_arrays:
            _ = place.root.solved
        name = find_part(net, step)
        if name is None:
            if step is All:
                return _each(place, rest, function)
            return _thing(_item(place, step, rest, function), rest, function)
        if isinstance(net, Operator):
            net = _pinned(place)
            inner = _pinned(_Place(net, (name,), net.nets[name]))
            place = _Place(inner, (), inner)
        else:
            place = _Place(place.root, (*place.path, name), net.nets[name])
    return _pinned(place)


def _each(place: _Place, rest: tuple[Any, ...], function: str) -> Any:
    """The same of every part: a list, or a dict when the parts are named; of a layer its arrays."""
    net = place.net
    if not net.nets:
        return {name: array_value(place, name) for name in net.array_slots()}
    found = {name: _walk(place, (name, *rest), function) for name in part_names(net)}
    return list(found.values()) if is_numbered(net) else found


def _item(place: _Place, step: Any, rest: tuple[Any, ...], function: str) -> Any:
    """What a net has at a step that is none of its parts."""
    net = place.net
    if isinstance(step, NetArray):
        if step.Name not in place.root.shared and step.Name not in shared_names(place):
            raise PartError(
                f"{function}: {place_text(net, place.path)} has no shared array {step.Name!r}. "
                f"{nearest(step.Name, shared_names(place))}"
            )
        return place.root.shared.get(step.Name, Automatic)
    if isinstance(step, Span):
        return _span(place, step, function)
    if isinstance(step, str):
        if step == SHARED and rest:
            return {name: place.root.shared.get(name, Automatic) for name in shared_names(place)}
        if not net.nets or isinstance(net, Operator):
            if step in net.array_slots():
                return array_value(place, step)
            if step in net.parameters:
                return plain(net.__dict__[step])
        if step in net.input_names or step in net.output_names:
            return port_value(_pinned(place), step)
    raise PartError(missing_part(net, step, function, place.path, item_names(net)))


def item_names(net: Any) -> tuple[str, ...]:
    """The names besides parts that can be extracted from a net."""
    own = (*net.array_slots(), *net.parameters) if hasattr(net, "array_slots") else ()
    return (*own, *net.input_names, *net.output_names)


def shared_names(place: _Place) -> list[str]:
    """The names of the shared arrays that the net uses."""
    return [path[1] for path in place.net.array_table() if path[0] == SHARED]


def array_value(place: _Place, name: str) -> Any:
    """The values of a layer's array, Automatic when there are none yet, None when the layer has no such array."""
    value = place.net.array_values().get(name)
    return place.root.shared.get(value.Name, Automatic) if isinstance(value, NetArray) else value


def port_value(net: Net, port: str) -> Any:
    """The encoder or decoder of a port, or the shape one would write for it."""
    coder = net.encoder(port) if port in net.input_names else net.decoder(port)
    return coder if coder is not None else shape_form(net.port_type(port))


def plain(value: Any) -> Any:
    """A kept parameter as one would write it: tuples as lists."""
    if type(value) is tuple:
        return [plain(item) for item in value]
    if isinstance(value, FrozenDict):
        return {key: plain(item) for key, item in value.items()}
    return value


def _thing(thing: Any, path: tuple[Any, ...], function: str) -> Any:
    """What a path leads to from a thing that is no net: a parameter of a coder, an entry of an association."""
    for index, step in enumerate(path):
        if isinstance(thing, Net):
            return _walk(_Place(thing, (), thing), path[index:], function)
        if isinstance(thing, (Encoder, Decoder)):
            thing = coder_parameter(thing, step, function)
        elif isinstance(thing, Mapping) and step in thing:
            thing = thing[step]
        else:
            raise PartError(f"{function}: {excerpt(thing)} has no parts, so there is no {excerpt(step)} in it.")
    return thing


def coder_parameter(coder: Declared, name: Any, function: str) -> Any:
    """A parameter of an encoder or decoder; All gives all of them."""
    if name is All:
        return {each: plain(value) for each, value in coder.values_of_parameters().items()}
    if name not in coder.parameters:
        raise PartError(f"{function}: {coder.title()} has no parameter {excerpt(name)}. {nearest(name, coder.parameters)}")
    return plain(coder.__dict__[name])


def _span(place: _Place, span: Span, function: str) -> Any:
    """A run of layers of a chain, as a chain."""
    net = place.net
    if not isinstance(net, NetChain):
        graph = isinstance(net, NetGraph)
        hint = "NetTake(net, [start, end]) takes what leads from one layer to another." if graph else "It is no NetChain."
        raise DeclarationError(
            f"{function}: {span!r} means a run of layers, and those of {place_text(net, place.path)} have no order. {hint}"
        )
    if span.step != 1:
        raise DeclarationError(f"{function}: {span!r} would leave out layers in between. NetDelete(net, [...]) does that.")
    from netdsl.surgery.chains import NetTake

    names = span_names(net, span, function)
    return NetTake(_pinned(place), [names[0], names[-1]])
