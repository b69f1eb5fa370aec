"""What is asked of a net: outputs, decoder properties, inner activations, gradients."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from netdsl.containers import NetPort, NetPortGradient
from netdsl.containers.states import ALL_STATES, state_port
from netdsl.decoders.decoder import Decoder
from netdsl.errors import PartError, excerpt, listing, nearest
from netdsl.lowering.gradients import Gradient, Value
from netdsl.nets import SHARED, Layer, Net, NetArray
from netdsl.shapes import describe
from netdsl.symbols import All, Automatic, Rule

__all__ = ["Wanted", "inside", "part_at", "wanted_values"]


class Wanted(NamedTuple):
    """One value asked for: its wire or what it is the gradient of, its decoder if it is to be decoded, and the property."""

    ref: Value
    decoder: Decoder | None
    property: Any


def wanted_values(net: Net, property: Any) -> tuple[list[Wanted], Callable[[list[Any]], Any]]:
    """The values that a property specification asks for, and how they are put together."""
    names = net.output_names
    if property is Automatic:
        property = names[0] if len(names) == 1 else All
    if property is All or (property is None and len(names) > 1):
        decode = property is All
        wanted = [_output(net, name, Automatic if decode else None) for name in names]
        return wanted, lambda values: dict(zip(names, values))
    if isinstance(property, NetPort) and property.path[-2:] == ALL_STATES.path:
        around = property.path[:-2]
        paths = part_at(net, property)[1].recurrent_paths()
        states = [Wanted(net.program.ports[(*around, *path[:-1]), path[-1]], None, None) for path in paths]
        return states, lambda values: dict(zip(map(state_port, paths), values))
    named = isinstance(property, Mapping)
    if named or (isinstance(property, (list, tuple)) and not _is_parametrized(net, property)):
        groups = [wanted_values(net, each) for each in (property.values() if named else property)]
        flat = [want for wanted, _ in groups for want in wanted]

        def shape(values: list[Any]) -> Any:
            values = list(values)
            made = [make([values.pop(0) for _ in wanted]) for wanted, make in groups]
            return dict(zip(property, made)) if named else made

        return flat, shape
    return [_one(net, property)], lambda values: values[0]


def inside(property: Any, name: str, states: Collection[str], ports: Collection[str]) -> Any:
    """What is asked of a net with these states, as it is asked of the net with these input ports that holds it under this name."""
    if isinstance(property, Mapping):
        return {key: inside(each, name, states, ports) for key, each in property.items()}
    if isinstance(property, (list, tuple)):
        return [inside(each, name, states, ports) for each in property]
    if isinstance(property, NetPortGradient):
        port = "/".join(map(str, property.path))
        return NetPortGradient(port) if port in ports else NetPortGradient(name, *property.path)
    deep = isinstance(property, NetPort) and (len(property.path) > 1 or property.path[0] in states)
    return NetPort(name, *property.path) if deep else property


def _is_parametrized(net: Net, property: Any) -> bool:
    """Whether this is a decoder property with its parameter, such as ["TopProbabilities", 3], and not a list of specifications."""
    if len(property) != 2 or not isinstance(property[0], str) or property[0] in net.output_names:
        return False
    decoders = [net.decoder(name) for name in net.output_names]
    second = property[1]
    if isinstance(second, (NetPort, NetPortGradient, Rule)) or second is None:
        return False
    head = second[0] if isinstance(second, (list, tuple)) and len(second) == 2 else second
    return any(
        decoder is not None and property[0] in decoder.properties and not (isinstance(head, str) and head in decoder.properties)
        for decoder in decoders
    )


def _one(net: Net, property: Any) -> Wanted:
    names = net.output_names
    if isinstance(property, NetPort):
        return _activation(net, property)
    if isinstance(property, NetPortGradient):
        return Wanted(_gradient(net, property), None, None)
    if isinstance(property, Rule) and property.key in names:
        return _output(net, property.key, property.value)
    if isinstance(property, str) and property in names:
        return _output(net, property, Automatic)
    if len(names) == 1:
        return _output(net, names[0], property)
    raise PartError(
        f"{net.title()} has no output port {excerpt(property)}, and several outputs, so that a decoder property must name its port: "
        f"Rule(port, property). Its outputs are {listing(map(repr, names))}."
    )


def _output(net: Net, port: str, property: Any) -> Wanted:
    ref, decoder = net.program.outputs[port], net.decoder(port)
    if property is None:
        return Wanted(ref, None, None)
    if property is Automatic:
        return Wanted(ref, decoder, None)
    if decoder is None:
        raise PartError(
            f"The output port {port!r} of this {net.title()} has no decoder, so it has no property {excerpt(property)}. "
            f"NetReplacePart(net, {{{port!r}: NetDecoder(...)}}) attaches one."
        )
    if property != "Properties":
        decoder.property_name(property)
    return Wanted(ref, decoder, property)


def _activation(net: Net, port: NetPort) -> Wanted:
    """An inner activation, or an output by its port."""
    path = port.path
    if len(path) == 1 and path[0] in net.output_names:
        return _output(net, path[0], Automatic)
    names, inner = part_at(net, port)
    ref = net.program.ports.get((names, path[-1]))
    if ref is None:
        ports = [*inner.input_names, *inner.output_names]
        raise PartError(f"{port!r}: {inner.title()} has no port {path[-1]!r} that can be read. {nearest(path[-1], ports)}")
    return Wanted(ref, None, None)


def _gradient(net: Net, gradient: NetPortGradient) -> Gradient:
    """What the gradient is taken with respect to: an input port of the whole net, or an array."""
    if all(net.port_type(port).integer for port in net.output_names):
        raise PartError(f"{gradient!r}: the outputs of this {net.title()} are integers, which have no gradient.")
    path = gradient.path
    if len(path) == 1 and path[0] in net.input_names:
        if (type_ := net.port_type(path[0])).integer:
            raise PartError(
                f"{gradient!r}: the port {path[0]!r} takes {describe(type_)}. There is no gradient with respect to integers."
            )
        return Gradient.of_port(path[0])
    if "/".join(map(str, path)) in net.state_names:
        raise PartError(
            f"{gradient!r}: a state has a gradient where it is given: pass {{{NetPort(*path)!r}: ...}} with the inputs."
        )
    names, inner = part_at(net, gradient)
    _ = net.solved  # functions name their arrays while they are traced
    arrays = inner.array_values() if isinstance(inner, Layer) else {}
    if path[-1] not in arrays:
        ports = () if names else net.input_names
        deeper = (
            next((NetPortGradient(*names, *at) for at in inner.array_table() if at[0] != SHARED), None) if inner.nets else None
        )
        raise PartError(
            f"{gradient!r}: {inner.title()} has no {'array' if names else 'input port or array'} {path[-1]!r}. "
            f"{nearest(path[-1], (*ports, *arrays))}"
            f"{'' if deeper is None else f' An array is named with its layer: {deeper!r}.'}"
        )
    array = arrays[path[-1]]
    at = (SHARED, array.Name) if isinstance(array, NetArray) else (*names, path[-1])
    if at in net.state_paths():
        raise PartError(f"{gradient!r}: this array of {inner.title()} is state, which is not trained and has no gradient.")
    return Gradient.of_array(at)


def part_at(net: Net, port: NetPort | NetPortGradient) -> tuple[tuple[str, ...], Net]:
    """The names on the way to the part that a port belongs to, and the part."""
    names: list[str] = []
    for step in port.path[: -2 if port.path[-2:] == ALL_STATES.path else -1]:
        keys = list(net.nets)
        name = keys[step - 1 if step > 0 else step] if isinstance(step, int) and 1 <= abs(step) <= len(keys) else step
        if name not in net.nets:
            raise PartError(f"{port!r}: there is no layer {step!r}. {nearest(step, keys)}")
        names.append(name)
        net = net.nets[name]
    return tuple(names), net
