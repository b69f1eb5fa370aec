"""Evaluation of a net on a user's things: one or many, by port, decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from netdsl.constraints import FrozenDict
from netdsl.containers import NetPort
from netdsl.containers.states import states_given, with_states
from netdsl.errors import EncodingError, UninitializedError, UnsupportedError, excerpt, listing
from netdsl.forks import refuse_forked
from netdsl.initialization import seed_of
from netdsl.layers.placeholder import refuse_placeholders
from netdsl.lowering.compilation import compiled, note_trace
from netdsl.lowering.cores import SHARE, WHOLE, mesh_of, placed, size_of, split_over
from netdsl.lowering.exhaustion import Attempt, bytes_of, explained, type_elements
from netdsl.lowering.function import draws_always, run_batch, skeleton
from netdsl.lowering.gradients import Value, is_summed, value_type, wires_of
from netdsl.lowering.identity import program_key
from netdsl.lowering.inputs import (
    PortData,
    check_lengths,
    given_ports,
    imposed_data,
    imposed_gradients,
    pad_sequences,
    port_data,
)
from netdsl.lowering.parts import in_parts, part_size
from netdsl.lowering.request import Wanted, inside, wanted_values
from netdsl.lowering.rolling import runs_of, stacked
from netdsl.lowering.settings import Settings, settings_of
from netdsl.nets import SHARED, ArrayPath, Net, Sequence, path_text
from netdsl.shapes import ArrayType
from netdsl.symbols import Automatic

__all__ = ["declared_net", "evaluate"]

MANY_STEPS = 64
"""A net of so many layers computes two examples where there is one. For one alone XLA's CPU backend writes each product with a
vector into the code around it, whose compilation takes ten times as long: 1,000 branches 71 s instead of 3."""


def evaluate(net: Net, data: Any = None, property: Any = Automatic, /, **options: Any) -> Any:
    """The value of `net(data, property, options)`; see the README for its forms."""
    refuse_forked()
    settings = settings_of(options)
    with settings.precision.active():
        return _evaluated(net, data, property, settings)


def _evaluated(net: Net, data: Any, property: Any, settings: Settings) -> Any:
    refuse_placeholders(net)
    if data is None and not net.input_names:
        data = {}
    net = _with_inputs(net, data)
    net, data, property = _with_states(net, data, property)
    data, imposed = imposed_gradients(net, data)
    batches: dict[Any, PortData] = {port: port_data(net, port, thing) for port, thing in given_ports(net, data).items()}
    net = declared_net(net, {port: batch.type for port, batch in batches.items()})
    batches |= {gradient: imposed_data(net, gradient, thing) for gradient, thing in imposed.items()}
    count, many = _count(net, batches)
    check_lengths(net, batches)
    given = {str(port): batch for port, batch in batches.items()}
    wanted, shape = wanted_values(net, property)
    if count == 0:
        return shape([_of_none(net, want.ref) for want in wanted])
    refs = tuple(dict.fromkeys(want.ref for want in wanted))
    arrays, state = _ready_arrays(net)
    if _traced(net, given):
        return _inline(net, arrays, state, given, wanted, shape, many, settings)
    # outside `active` JAX would cut off what it has of Real64
    as_jax = settings.precision.held != np.float64 and any(isinstance(batch.values, jax.Array) for batch in given.values())
    with explained(lambda: _attempt(net, given, count, refs, settings)):
        values = _run(net, given, count, refs, settings)
        values = jax.tree.map(jnp.asarray if as_jax else np.asarray, values)  # waits for them, once
    decoded = [_decoded(values[want.ref], want, many, settings, as_jax) for want in wanted]
    return shape(decoded)


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


def _with_states(net: Net, data: Any, property: Any) -> tuple[Net, Any, Any]:
    """The net with the states that are given among its inputs, kept for the sets seen last, and what is given to it and asked of it."""
    states = states_given(net, data) if isinstance(data, Mapping) else {}
    if not states:
        return net, data, property
    names = tuple(name for name in net.state_names if name in states)
    graph = net._kept("_with_states", names, lambda: with_states(net, names))
    data = {port: value for port, value in data.items() if not isinstance(port, NetPort)}
    return graph, {**data, **states}, inside(property, "net", net.state_names, graph.input_names)


def declared_net(net: Net, types: Mapping[str, ArrayType]) -> Net:
    """The net with what data say of its input types added, if that is new; kept for the types seen last."""
    key = []
    for port, type_ in types.items():
        known = net.port_type(port)
        if not known.known and type_.sizes is not None:
            key.append((port, ArrayType(type_.sizes, known.elements if known.integer else type_.elements)))
    if not key:
        return net

    def made() -> Net:
        declared = net.rebuilt(ports=FrozenDict({**net.ports, **dict(key)}))
        _ = declared.solved
        return declared

    return net._kept("_declared_nets", tuple(key), made)  # type: ignore[no-any-return]


def _ready_arrays(net: Net) -> tuple[dict[ArrayPath, Any], dict[ArrayPath, Any]]:
    """The arrays of the net, and its state; an error that names those not made yet."""
    if not net.initialized:
        missing = [path_text(path) if path[0] != SHARED else f"NetArray({path[1]!r})" for path in net.missing]
        raise UninitializedError(
            f"This {net.title()} has no values yet for {listing(missing, 6)}. NetInitialize(net) gives it random "
            "ones, NetTrain(net, data) trained ones."
        )
    return net._cached("_ready", lambda: (net.arrays, net.state))


def _stacked_arrays(net: Net, refs: tuple[Value, ...]) -> tuple[dict[ArrayPath, Any], dict[ArrayPath, Any]]:
    """The same with those of runs stacked; kept for what was asked last."""
    runs, ready = runs_of(net, wires_of(net, refs)), _ready_arrays(net)
    if not runs:
        return ready
    kept = net._cached("_stacked", dict)
    if runs not in kept:
        kept.clear()
        kept[runs] = stacked(runs, ready[0]), stacked(runs, ready[1])
    return kept[runs]


def _count(net: Net, given: Mapping[Any, PortData]) -> tuple[int, bool]:
    if not given:
        return 1, False
    many = {port: batch.many for port, batch in given.items()}
    if len(set(many.values())) > 1:
        ones = [port for port, value in many.items() if not value]
        raise EncodingError(
            f"The ports got one value and lists of values together: one for {listing(map(repr, ones))}. "
            "Give one each, or a list each."
        )
    counts = {port: len(batch) for port, batch in given.items()}
    if len(set(counts.values())) > 1:
        raise EncodingError(
            f"The ports got different numbers of values: {', '.join(f'{port!r} {n}' for port, n in counts.items())}."
        )
    return next(iter(counts.values())), next(iter(many.values()))


def _of_none(net: Net, ref: Value) -> Any:
    """What no examples give: an empty list, or a sum of nothing."""
    return np.zeros(value_type(net, ref).sizes or (), np.float32) if is_summed(ref) else []  # type: ignore[arg-type]


def _traced(net: Net, given: Mapping[str, PortData]) -> bool:
    inside = net._cached("_holds_tracers", lambda: _tracers(net))
    return inside or any(_tracers(batch.values) for batch in given.values() if not isinstance(batch.values, np.ndarray))


def _tracers(tree: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


# Running


def _inline(
    net: Net,
    arrays: Mapping[ArrayPath, Any],
    state: Mapping[ArrayPath, Any],
    given: Mapping[str, PortData],
    wanted: list[Wanted],
    shape: Callable[[list[Any]], Any],
    many: bool,
    settings: Settings,
) -> Any:
    """The value inside a function that JAX is tracing: device halves only, nothing decoded."""
    inputs, count = {}, 1
    for port, batch in given.items():
        if isinstance(batch.values, list):
            raise UnsupportedError(f"The port {port!r} is of varying length: inside a traced function use net.function().")
        inputs[port], count = jnp.asarray(batch.values), len(batch)
    refs = tuple(want.ref for want in wanted)
    outputs, _ = run_batch(
        net,
        arrays,
        state,
        inputs,
        seed=jax.random.key(seed_of(settings.seed)),
        indices=jnp.arange(count),
        weights=jnp.ones(count),
        training=settings.training,
        refs=refs,
        compact=frozenset(port for port, batch in given.items() if batch.compact),
        platform=jax.default_backend(),
        precision=settings.precision,
    )
    return shape([outputs[ref] if many or is_summed(ref) else outputs[ref][0] for ref in refs])


def _bucket(net: Net, count: int, batch_size: int) -> int:
    """The number of examples that are computed for so many."""
    least = 2 if len(net.program.steps) >= MANY_STEPS else 1
    return min(max(1 << (count - 1).bit_length(), least), batch_size)


def _run(
    net: Net,
    given: Mapping[str, PortData],
    count: int,
    refs: tuple[Value, ...],
    settings: Settings,
) -> dict[Value, Any]:
    """The wires for all examples, batch by batch; varying ones as lists of arrays."""
    device, size = settings.device, settings.batch_size
    platform = device.platform if device is not None else jax.default_backend()
    gradients_of_arrays = any(map(is_summed, refs))
    arrays, state = _ready_arrays(net) if gradients_of_arrays else _stacked_arrays(net, refs)
    if not gradients_of_arrays and _parted(net, given, count, settings):
        return in_parts(net, arrays, state, given, count, refs, settings)
    compact = frozenset(port for port, batch in given.items() if batch.compact)
    together = settings.training or draws_always(net) or gradients_of_arrays
    # examples that see each other, or are summed, stay together
    mesh = None if settings.training or gradients_of_arrays or not given else mesh_of(settings.devices)
    function = compiled(
        ("evaluate", program_key(net), refs, compact, settings.training, platform, settings.precision.name, mesh),
        lambda: _batch_function(skeleton(net), refs, compact, settings, platform, mesh, together),
    )
    seed = np.uint32(seed_of(settings.seed) % 2**32) if together else None
    if mesh is not None:
        arrays, state = placed((dict(arrays), dict(state)), mesh, WHOLE)
    elif device is not None:
        arrays, state = jax.device_put((arrays, state), device)
    # in training mode the examples of a batch see each other: no batch is filled up beyond what weights can hide
    parts: list[tuple[dict[Value, Any], int]] = []
    for start in range(0, count, size):
        stop = min(start + size, count)
        bucket = -(-_bucket(net, stop - start, size) // size_of(mesh)) * size_of(mesh)
        inputs = {port: _batch(batch.values, start, stop, bucket) for port, batch in given.items()}
        if mesh is not None:
            inputs = placed(inputs, mesh, SHARE)
        elif device is not None:
            inputs = jax.device_put(inputs, device)
        places: tuple[Any, ...] = ()
        if together:
            indices = np.arange(start, start + bucket, dtype=np.int32)
            places = indices, (indices < stop).astype(np.float32)
        outputs = function(arrays, state, inputs, seed, *places)
        parts.append((outputs if mesh is None else jax.device_get(outputs), stop - start))
    return {ref: _joined(ref, [(outputs[ref], n) for outputs, n in parts]) for ref in refs}


def _parted(net: Net, given: Mapping[str, PortData], count: int, settings: Settings) -> bool:
    """Whether this is done in parts: where examples do not see each other, on the device that JAX computes on by itself."""
    if count <= part_size(net, settings.precision, settings.batch_size) or settings.training or draws_always(net):
        return False
    held = list if jax.default_backend() == "cpu" else (list, jax.Array)  # what is on the device is not sent there again
    alone = not any(isinstance(batch.values, held) for batch in given.values())
    return alone and (settings.device is None or settings.device == jax.local_devices()[0]) and len(settings.devices) < 2


def _attempt(net: Net, given: Mapping[str, PortData], count: int, refs: tuple[Value, ...], settings: Settings) -> Attempt:
    """What is said when memory runs out."""
    size = _bucket(net, count, settings.batch_size)
    columns = [batch.values for batch in given.values()]
    length = max((len(value) for column in columns if isinstance(column, list) for value in column), default=1)
    inputs = bytes_of(columns) * size // count
    outputs = count * settings.precision.bytes * sum(type_elements(value_type(net, ref), length) for ref in refs)
    return Attempt(
        what=f"Evaluating this {net.title()}",
        where=f"for {count:,} example{'' if count == 1 else 's'}",
        net=net,
        batch_size=size,
        device=settings.device if settings.device is not None else jax.local_devices()[0],
        data=inputs + outputs,
        arrays=bytes_of(_ready_arrays(net)),
        of_data="a batch of inputs and all outputs",
        precision=settings.precision,
        length=length,
    )


def _batch_function(
    net: Net,
    refs: tuple[Value, ...],
    compact: frozenset[str],
    settings: Settings,
    platform: str,
    mesh: Mesh | None,
    together: bool,
) -> Callable[..., Any]:
    training, precision = settings.training, settings.precision

    def function(arrays: Any, state: Any, inputs: Any, seed: Any, indices: Any = None, weights: Any = None) -> Any:
        note_trace()
        if seed is None:  # examples neither draw, nor see each other, nor are summed: their places are of no account
            count = jax.tree.leaves(inputs)[0].shape[0] if inputs else 1
            indices, weights = jnp.arange(count), jnp.ones(count)
        outputs, _ = run_batch(
            net,
            arrays,
            state,
            inputs,
            seed=None if seed is None else jax.random.key(seed),
            indices=indices,
            weights=weights,
            training=training,
            refs=refs,
            compact=compact,
            platform=platform,
            precision=precision,
        )
        return outputs

    places = (SHARE, SHARE) if together else ()
    return jax.jit(split_over(function, mesh, (WHOLE, WHOLE, SHARE, WHOLE, *places), SHARE))


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


def _joined(ref: Value, parts: list[tuple[Any, int]]) -> Any:
    if is_summed(ref):
        return reduce(add, [value for value, _ in parts])
    if isinstance(parts[0][0], Sequence):
        return [np.asarray(value.data[i])[: int(value.length[i])] for value, n in parts for i in range(n)]
    if len(parts) == 1:
        (value, count), *_ = parts
        return value if len(value) == count else value[:count]
    return np.concatenate([np.asarray(value)[:n] for value, n in parts])


def _decoded(values: Any, want: Wanted, many: bool, settings: Settings, as_jax: bool) -> Any:
    """The values of all examples, decoded if asked, one or a list of them."""
    if want.decoder is None:
        whole = many or is_summed(want.ref)
        if isinstance(values, list) or (as_jax and isinstance(values, jax.Array)):
            return values if whole else values[0]
        array = np.asarray(values)
        array = array if whole else array[0]
        return array if array.ndim else array.item()
    if want.property == "Properties":
        return list(want.decoder.properties)
    arrays = values if isinstance(values, list) else np.asarray(values)
    seeding = Automatic if settings.seed is None else settings.seed
    decoded = want.decoder.decode_many(arrays, want.property, RandomSeeding=seeding)
    return decoded if many else decoded[0]
