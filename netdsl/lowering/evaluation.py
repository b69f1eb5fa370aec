"""Evaluation of a net on a user's things: one or many, by port, with decoders, properties and inner activations."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.containers import NetPort
from netdsl.declarations import FrozenDict
from netdsl.decoders.decoder import Decoder
from netdsl.errors import (
    DeclarationError,
    DeviceError,
    EncodingError,
    PartError,
    ShapeError,
    UninitializedError,
    UnsupportedError,
    excerpt,
    listing,
    nearest,
)
from netdsl.lowering.compilation import compiled, note_trace
from netdsl.lowering.execution import Context, device_halves, execute
from netdsl.lowering.identity import program_key
from netdsl.lowering.inputs import PortData, check_lengths, given_ports, pad_sequences, port_data
from netdsl.nets import SHARED, ArrayPath, Net, Ref, Sequence, path_text
from netdsl.shapes import ArrayType, describe
from netdsl.symbols import All, Automatic, Inherited, Rule

__all__ = ["declared_net", "device_named", "evaluate", "net_function", "run_batch", "seed_of", "skeleton"]

BATCH_SIZE = 256
"""The number of examples evaluated together when BatchSize is Automatic."""

OPTIONS = ("BatchSize", "NetEvaluationMode", "RandomSeeding", "TargetDevice", "WorkingPrecision")

RAW = "raw"


class Wanted(NamedTuple):
    """One value asked for: its wire, its decoder if it is to be decoded, and the property."""

    ref: Ref
    decoder: Decoder | None
    property: Any


def run_batch(net: Net, arrays: Mapping[ArrayPath, Any], state: Mapping[ArrayPath, Any], inputs: Mapping[str, Any], *, seed: Any,
              indices: Any, weights: Any, training: bool, refs: tuple[Ref, ...], compact: frozenset[str], platform: str
              ) -> tuple[dict[Ref, Any], dict[ArrayPath, Any]]:
    """The wires `refs` for a batch, and the state after it: pure JAX.

    `inputs` has the examples first (a Sequence of data and lengths where a port varies); the ports in `compact` still go through
    the device half of their encoder. `weights` is 0 for padded examples, else 1.
    """
    def one(values: Mapping[str, Any], index: Any, weight: Any) -> Any:
        encoded = device_halves(net, values, compact)
        context = Context(seed, (index,), training, ("batch",), weight, platform)
        wires, after = execute(net, arrays, state, encoded, context)
        return {ref: wires[ref].value for ref in refs}, after

    # `state` leaves are equal for all examples: statistics are summed over the axis
    return jax.vmap(one, axis_name="batch", in_axes=(0, 0, 0), out_axes=(0, None))(dict(inputs), indices, weights)


def skeleton(net: Net) -> Net:
    """The net without the values of its arrays: what compiled functions hold on to."""
    bare = jax.tree_util.tree_map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), net)
    _ = bare.solved  # functions name their arrays while they are traced
    return bare


def evaluate(net: Net, data: Any = None, property: Any = Automatic, /, **options: Any) -> Any:
    """The value of `net(data, property, options)`; see the README for its forms."""
    settings = _settings(net, options)
    if data is None and not net.input_names:
        data = {}
    net = _with_inputs(net, data)
    given = {port: port_data(net, port, thing) for port, thing in given_ports(net, data).items()}
    net = declared_net(net, {port: batch.type for port, batch in given.items()})
    count, many = _count(net, given)
    check_lengths(net, given)
    wanted, shape = _wanted(net, property)
    if count == 0:
        return shape([[] for _ in wanted])
    refs = tuple(dict.fromkeys(want.ref for want in wanted))
    arrays = _ready_arrays(net, refs)
    if _traced(net, given):
        return _inline(net, arrays, given, wanted, shape, many, settings)
    as_jax = any(isinstance(batch.values, jax.Array) for batch in given.values())
    values = _run(net, arrays, given, count, refs, settings)
    decoded = [_decoded(values[want.ref], want, many, settings, as_jax) for want in wanted]
    return shape(decoded)


# Options

class _Settings(NamedTuple):
    batch_size: int
    training: bool
    seed: int | None
    device: Any


def _settings(net: Net, options: dict[str, Any]) -> _Settings:
    for name in options:
        if name not in OPTIONS:
            raise DeclarationError(f"A net takes no option {name!r} when it is evaluated. {nearest(name, OPTIONS)}")
    batch_size = options.get("BatchSize", Automatic)
    if batch_size is not Automatic and (isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1):
        raise DeclarationError(f"BatchSize is a positive integer or Automatic. Got {excerpt(batch_size)}.")
    mode = options.get("NetEvaluationMode", "Test")
    if mode not in ("Test", "Train"):
        raise DeclarationError(f"NetEvaluationMode is \"Test\" or \"Train\". Got {excerpt(mode)}.")
    if options.get("WorkingPrecision", Automatic) not in (Automatic, "Real32"):
        raise UnsupportedError(f"WorkingPrecision {options['WorkingPrecision']!r} is not supported yet; \"Real32\" is.")
    device = options.get("TargetDevice", Automatic)
    return _Settings(BATCH_SIZE if batch_size is Automatic else batch_size.__index__(), mode == "Train",
                     options.get("RandomSeeding", Automatic), None if device is Automatic else device_named(device))


def seed_of(seeding: Any) -> int:
    """The integer seed that a RandomSeeding setting means; Automatic draws one."""
    if seeding is Automatic:
        return secrets.randbits(32)
    if seeding is Inherited:
        return 1234
    if isinstance(seeding, str):
        import zlib

        return zlib.crc32(seeding.encode())
    if isinstance(seeding, bool) or not hasattr(seeding, "__index__"):
        raise DeclarationError(f"RandomSeeding is an integer, a string, Automatic or Inherited. Got {excerpt(seeding)}.")
    return int(seeding) % 2**63


def device_named(setting: Any) -> Any:
    """The JAX device that a TargetDevice setting means: "CPU", "GPU", "TPU" or a pair of one and a number from 1."""
    name, number = setting if isinstance(setting, (tuple, list)) and len(setting) == 2 else (setting, 1)
    if not isinstance(name, str) or name.upper() not in ("CPU", "GPU", "TPU", "CUDA"):
        raise DeclarationError(f"TargetDevice is \"CPU\", \"GPU\", \"TPU\" or a pair such as (\"GPU\", 2). Got {excerpt(setting)}.")
    if not isinstance(number, int) or isinstance(number, bool):
        raise UnsupportedError(f"TargetDevice {excerpt(setting)}: several devices are not supported yet; (\"GPU\", 1) names one.")
    platform = {"CUDA": "gpu"}.get(name.upper(), name.lower())
    try:
        devices = jax.devices(platform)
    except RuntimeError:
        have = listing(sorted({device.platform.upper() for device in jax.devices()}))
        raise DeviceError(f"TargetDevice={setting!r}: there is no {name.upper()} that JAX can use here; it sees {have}. "
                          f"Leave TargetDevice out to use that, or install JAX for the {name.upper()} (see docs.jax.dev, Installation).") from None
    if not 1 <= number <= len(devices):
        raise DeviceError(f"TargetDevice={setting!r}: there are {len(devices)} such devices, numbered from 1.")
    return devices[number - 1]


# Types and arrays

def _with_inputs(net: Net, data: Any) -> Net:
    """A layer of any number of inputs, told how many it gets."""
    if getattr(net, "variadic", False) and not net.input_names:
        if isinstance(data, Mapping):
            return net.changed(InputPorts=list(data))
        if not isinstance(data, (list, tuple)) or not data:
            raise EncodingError(f"{net.title()} takes a list of its inputs: [a, b, ...]. Got {excerpt(data)}.")
        return net.changed(InputPorts=len(data))
    return net


def declared_net(net: Net, types: Mapping[str, ArrayType]) -> Net:
    """The net with what data say of its input types added, if that is new; kept for the types seen last."""
    key = []
    for port, type_ in types.items():
        known = net.port_type(port)
        if not known.known and type_.sizes is not None:
            key.append((port, ArrayType(type_.sizes, known.elements if known.integer else type_.elements)))
    if not key:
        return net
    memory = net._cached("_declared_nets", dict)
    found = memory.get(tuple(key))
    if found is None:
        ports = {**net.ports, **{port: type_ for port, type_ in key}}
        found = net.rebuilt(ports=FrozenDict(ports))
        _ = found.solved
        if len(memory) > 16:
            memory.clear()
        memory[tuple(key)] = found
    return found


def _ready_arrays(net: Net, refs: tuple[Ref, ...]) -> dict[ArrayPath, Any]:
    """All arrays of the net; an error that names those not made yet."""
    if not net.initialized:
        missing = [path_text(path) if path[0] != SHARED else f"NetArray({path[1]!r})" for path in net.missing]
        raise UninitializedError(f"This {net.title()} has no values yet for {listing(missing, 6)}. NetInitialize(net) gives it random "
                                 "ones, NetTrain(net, data) trained ones.")
    _ = refs
    return net._cached("_ready", lambda: {**net.arrays, **net.state})


def _count(net: Net, given: Mapping[str, PortData]) -> tuple[int, bool]:
    if not given:
        return 1, False
    many = {port: batch.many for port, batch in given.items()}
    if len(set(many.values())) > 1:
        ones = [port for port, value in many.items() if not value]
        raise EncodingError(f"The ports got one value and lists of values together: one for {listing(map(repr, ones))}. "
                            "Give one each, or a list each.")
    counts = {port: len(batch) for port, batch in given.items()}
    if len(set(counts.values())) > 1:
        raise EncodingError(f"The ports got different numbers of values: {', '.join(f'{port!r} {n}' for port, n in counts.items())}.")
    return next(iter(counts.values())), next(iter(many.values()))


def _traced(net: Net, given: Mapping[str, PortData]) -> bool:
    values = [batch.values for batch in given.values()]
    leaves = jax.tree_util.tree_leaves((values, net))
    return any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)


# Running

def _inline(net: Net, arrays: Mapping[ArrayPath, Any], given: Mapping[str, PortData], wanted: list[Wanted],
            shape: Callable[[list[Any]], Any], many: bool, settings: _Settings) -> Any:
    """The value inside a function that JAX is tracing: device halves only, nothing decoded."""
    inputs, count = {}, 1
    for port, batch in given.items():
        if isinstance(batch.values, list):
            raise UnsupportedError(f"The port {port!r} is of varying length: inside a traced function use net.function().")
        inputs[port], count = jnp.asarray(batch.values), len(batch)
    refs = tuple(want.ref for want in wanted)
    state = {path: arrays[path] for path in net.state_paths()}
    outputs, _ = run_batch(net, arrays, state, inputs, seed=jax.random.key(seed_of(settings.seed)), indices=jnp.arange(count),
                           weights=jnp.ones(count), training=settings.training, refs=refs,
                           compact=frozenset(port for port, batch in given.items() if batch.compact), platform=jax.default_backend())
    return shape([outputs[ref] if many else outputs[ref][0] for ref in refs])


def _bucket(count: int, batch_size: int) -> int:
    if count >= batch_size:
        return batch_size
    return min(1 << (count - 1).bit_length(), batch_size)


def _run(net: Net, arrays: Mapping[ArrayPath, Any], given: Mapping[str, PortData], count: int, refs: tuple[Ref, ...],
         settings: _Settings) -> dict[Ref, Any]:
    """The wires for all examples, batch by batch; varying ones as lists of arrays."""
    device = settings.device
    platform = device.platform if device is not None else jax.default_backend()
    compact = frozenset(port for port, batch in given.items() if batch.compact)
    function = compiled(("evaluate", program_key(net), refs, compact, settings.training, platform),
                        lambda: _batch_function(skeleton(net), refs, compact, settings.training, platform))
    states = net.state_paths()
    trainable = {path: value for path, value in arrays.items() if path not in states}
    state = {path: arrays[path] for path in states}
    seed = np.uint32(seed_of(settings.seed) % 2**32) if settings.training else np.uint32(0)
    if device is not None:
        trainable, state = jax.device_put((trainable, state), device)
    # in training mode the examples of a batch see each other: no batch is filled up beyond what weights can hide
    parts: list[dict[Ref, Any]] = []
    size = settings.batch_size
    for start in range(0, count, size):
        stop = min(start + size, count)
        bucket = _bucket(stop - start, size)
        inputs = {port: _batch(batch.values, start, stop, bucket) for port, batch in given.items()}
        indices = np.arange(start, start + bucket, dtype=np.int32)
        weights = (np.arange(bucket) < stop - start).astype(np.float32)
        if device is not None:
            inputs = jax.device_put(inputs, device)
        parts.append((function(trainable, state, inputs, seed, indices, weights), stop - start))  # type: ignore[arg-type]
    return {ref: _joined([(outputs[ref], n) for outputs, n in parts]) for ref in refs}  # type: ignore[misc]


def _batch_function(net: Net, refs: tuple[Ref, ...], compact: frozenset[str], training: bool, platform: str) -> Callable[..., Any]:
    def function(arrays: Any, state: Any, inputs: Any, seed: Any, indices: Any, weights: Any) -> Any:
        note_trace()
        outputs, _ = run_batch(net, arrays, state, inputs, seed=jax.random.key(seed), indices=indices, weights=weights,
                               training=training, refs=refs, compact=compact, platform=platform)
        return outputs

    return jax.jit(function)


def _batch(values: Any, start: int, stop: int, bucket: int) -> Any:
    """The examples from `start` to `stop`, filled up by repeating the last."""
    part = values[start:stop]
    missing = bucket - (stop - start)
    if isinstance(part, list):
        data, lengths = pad_sequences(part + [part[-1]] * missing)
        return Sequence(data, lengths)
    if missing:
        join = jnp if isinstance(part, jax.Array) else np
        part = join.concatenate([part, join.repeat(part[-1:], missing, axis=0)])
    return part


def _joined(parts: list[tuple[Any, int]]) -> Any:
    if isinstance(parts[0][0], Sequence):
        return [np.asarray(value.data[i])[: int(value.length[i])] for value, n in parts for i in range(n)]
    if len(parts) == 1:
        return parts[0][0][: parts[0][1]]
    return np.concatenate([np.asarray(value)[:n] for value, n in parts])


# What is asked for

def _wanted(net: Net, property: Any) -> tuple[list[Wanted], Callable[[list[Any]], Any]]:
    """The values that a property specification asks for, and how they are put together."""
    names = net.output_names
    if property is Automatic:
        property = names[0] if len(names) == 1 else All
    if property is All or (property is None and len(names) > 1):
        decode = property is All
        wanted = [_output(net, name, Automatic if decode else None) for name in names]
        return wanted, lambda values: dict(zip(names, values))
    if isinstance(property, (list, tuple)) and not _is_parametrized(net, property):
        groups = [_wanted(net, each) for each in property]
        flat = [want for wanted, _ in groups for want in wanted]

        def shape(values: list[Any]) -> list[Any]:
            values = list(values)
            return [make([values.pop(0) for _ in wanted]) for wanted, make in groups]

        return flat, shape
    return [_one(net, property)], lambda values: values[0]


def _is_parametrized(net: Net, property: Any) -> bool:
    """Whether this is a decoder property with its parameter, such as ["TopProbabilities", 3], and not a list of specifications."""
    if len(property) != 2 or not isinstance(property[0], str) or property[0] in net.output_names:
        return False
    decoders = [net.decoder(name) for name in net.output_names]
    second = property[1]
    if isinstance(second, (NetPort, Rule)) or second is None:
        return False
    head = second[0] if isinstance(second, (list, tuple)) and len(second) == 2 else second
    return any(decoder is not None and property[0] in decoder.properties and not (isinstance(head, str) and head in decoder.properties)
               for decoder in decoders)


def _one(net: Net, property: Any) -> Wanted:
    names = net.output_names
    if isinstance(property, NetPort):
        return _activation(net, property)
    if isinstance(property, Rule) and property.key in names:
        return _output(net, property.key, property.value)
    if isinstance(property, str) and property in names:
        return _output(net, property, Automatic)
    if len(names) == 1:
        return _output(net, names[0], property)
    name = property if isinstance(property, str) else property
    raise PartError(f"{net.title()} has no output port {name!r}, and several outputs, so that a decoder property must name its port: "
                    f"Rule(port, property). Its outputs are {listing(map(repr, names))}.")


def _output(net: Net, port: str, property: Any) -> Wanted:
    ref, decoder = net.program.outputs[port], net.decoder(port)
    if property is None:
        return Wanted(ref, None, None)
    if property is Automatic:
        return Wanted(ref, decoder, None)
    if decoder is None:
        raise PartError(f"The output port {port!r} of this {net.title()} has no decoder, so it has no property {excerpt(property)}. "
                        f"NetReplacePart(net, {{{port!r}: NetDecoder(...)}}) attaches one.")
    if property != "Properties":
        decoder.property_name(property)
    return Wanted(ref, decoder, property)


def _activation(net: Net, port: NetPort) -> Wanted:
    """An inner activation, or an output by its port."""
    path = port.path
    if len(path) == 1 and path[0] in net.output_names:
        return _output(net, path[0], Automatic)
    inner: Net = net
    names: list[str] = []
    for step in path[:-1]:
        keys = list(inner.nets)
        name = keys[step - 1 if step > 0 else step] if isinstance(step, int) and 1 <= abs(step) <= len(keys) else step
        if name not in inner.nets:
            raise PartError(f"{port!r}: there is no layer {step!r}. {nearest(step, keys)}")
        names.append(name)
        inner = inner.nets[name]
    ref = net.program.ports.get((tuple(names), path[-1]))
    if ref is None:
        ports = [*inner.input_names, *inner.output_names]
        raise PartError(f"{port!r}: {inner.title()} has no port {path[-1]!r} that can be read. {nearest(path[-1], ports)}")
    return Wanted(ref, None, None)


def _decoded(values: Any, want: Wanted, many: bool, settings: _Settings, as_jax: bool) -> Any:
    """The values of all examples, decoded if asked, one or a list of them."""
    if want.decoder is None:
        if isinstance(values, list):
            return values if many else values[0]
        if as_jax and isinstance(values, jax.Array):
            return values if many else values[0]
        array = np.asarray(values)
        return array if many else array[0] if array.ndim > 1 else array[0].item()
    if want.property == "Properties":
        return list(want.decoder.properties)
    arrays = values if isinstance(values, list) else np.asarray(values)
    seeding = Automatic if settings.seed is None else settings.seed
    decoded = want.decoder.decode_many(arrays, want.property, RandomSeeding=seeding)
    return decoded if many else decoded[0]


# The pure function

def net_function(net: Net, /, *, WorkingPlatform: str | None = None) -> Callable[..., Any]:
    """The pure function ``f(arrays, state, inputs, key=None, training=False) -> (outputs, state)`` of a net.

    `arrays` and `state` are dicts by path, as `net.arrays` and `net.state`; `inputs` is a dict from ports to arrays with the
    examples first (for one input port the array itself may stand), in the port's own form (a netdsl.nets.Sequence where it
    varies); integer ports count from 1. `outputs` is a dict from ports, or for one output port the array itself. `key` is needed
    where the net draws random numbers while training. The function can be jitted, differentiated and vmapped.
    """
    if any(net.port_type(port).sizes is None for port in net.input_names):
        unknown = [port for port in net.input_names if net.port_type(port).sizes is None]
        raise ShapeError(f"The function of a net needs the shapes of its input ports; that of {listing(map(repr, unknown))} is unknown: "
                         f"{describe(net.port_type(unknown[0]))}. Declare it: {unknown[0]}=[...].")
    template = skeleton(net)
    names, outputs = net.input_names, net.program.outputs

    def function(arrays: Any, state: Any, inputs: Any, key: Any = None, training: bool = False) -> Any:
        if not isinstance(inputs, Mapping):
            inputs = {names[0]: inputs}
        count = jax.tree_util.tree_leaves(inputs)[0].shape[0] if inputs else 1
        values, after = run_batch(template, arrays, state, inputs, seed=key, indices=jnp.arange(count), weights=jnp.ones(count),
                                  training=training, refs=tuple(outputs.values()), compact=frozenset(),
                                  platform=WorkingPlatform or jax.default_backend())
        made = {port: values[ref] for port, ref in outputs.items()}
        return (next(iter(made.values())) if len(made) == 1 else made), after

    return function
