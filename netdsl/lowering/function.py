"""The net as a pure function of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from netdsl.errors import ShapeError, listing
from netdsl.lowering.context import Context, device_halves
from netdsl.lowering.execution import execute
from netdsl.lowering.gradients import Gradient, Value, imposed_on, wires_of, with_gradients
from netdsl.lowering.precision import REAL32, Precision, cast
from netdsl.lowering.rolling import runs_of
from netdsl.nets import ArrayPath, Net
from netdsl.shapes import describe

__all__ = ["draws_always", "net_function", "run_batch", "skeleton"]


def run_batch(
    net: Net,
    arrays: Mapping[ArrayPath, Any],
    state: Mapping[ArrayPath, Any],
    inputs: Mapping[str, Any],
    *,
    seed: Any,
    indices: Any,
    weights: Any,
    training: bool,
    refs: tuple[Value, ...],
    compact: frozenset[str],
    platform: str,
    axes: tuple[str, ...] = (),
    precision: Precision = REAL32,
) -> tuple[dict[Value, Any], dict[ArrayPath, Any]]:
    """The wires and gradients `refs` for a batch, and the state after it: pure JAX.

    `inputs` has the examples first (a Sequence of data and lengths where a port varies); the ports in `compact` still go through
    the device half of their encoder. Gradients imposed on outputs lie beside them. `weights` is 0 for padded examples, else 1.
    """
    outputs, held = net.program.outputs, precision.held
    imposed = {port: inputs[imposed_on(port)] for port in outputs if imposed_on(port) in inputs}
    given = {port: value for port, value in inputs.items() if port not in map(imposed_on, imposed)}
    encoded = device_halves(net, given, compact)
    context = Context(weights, (indices,), seed, training, axes, platform, precision=precision)
    gradients = tuple(dict.fromkeys(ref for ref in refs if isinstance(ref, Gradient)))
    needed = wires_of(net, refs)
    runs = runs_of(net, needed)

    def run(arrays: Any, inputs: Any) -> tuple[dict[Any, Any], dict[ArrayPath, Any]]:
        wires, after = execute(net, arrays, state, inputs, context, runs=runs)
        return {ref: cast(wires[ref].value, held) for ref in needed}, after

    if not gradients:
        return run(arrays, encoded)
    values, after = with_gradients(
        run, arrays, encoded, wanted=gradients, outputs=outputs, imposed=imposed, weights=weights, held=held
    )
    return {ref: values[ref] for ref in refs}, after


def draws_always(net: Net) -> bool:
    """Whether a layer of the net draws random numbers in test mode too."""
    return net._cached("_draws_always", lambda: any(layer.draws == "always" for _, layer in net.leaves()))


def skeleton(net: Net) -> Net:
    """The net without the values of its arrays: what compiled functions hold on to."""
    bare = jax.tree_util.tree_map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), net)
    _ = bare.solved  # functions name their arrays while they are traced
    bare.__dict__["_runs"] = net._cached("_runs", dict)
    return bare


def net_function(net: Net, /) -> Callable[..., Any]:
    """The pure function ``f(arrays, state, inputs, key=None, training=False) -> (outputs, state)`` of a net.

    `arrays` and `state` are dicts by path, as `net.arrays` and `net.state`; `inputs` is a dict from ports to arrays with the
    examples first (for one input port the array itself may stand), in the port's own form (a netdsl.nets.Sequence where it
    varies); integer ports count from 1. `outputs` is a dict from ports, or for one output port the array itself. `key` is needed
    where the net draws random numbers, while training or always. The function can be jitted, differentiated and vmapped.
    """
    if any(net.port_type(port).sizes is None for port in net.input_names):
        unknown = [port for port in net.input_names if net.port_type(port).sizes is None]
        raise ShapeError(
            f"The function of a net needs the shapes of its input ports; that of {listing(map(repr, unknown))} is unknown: "
            f"{describe(net.port_type(unknown[0]))}. Declare it: {unknown[0]}=[...]."
        )
    template = skeleton(net)
    names, outputs = net.input_names, net.program.outputs

    def function(arrays: Any, state: Any, inputs: Any, key: Any = None, training: bool = False) -> Any:
        if not isinstance(inputs, Mapping):
            inputs = {names[0]: inputs}
        count = jax.tree_util.tree_leaves(inputs)[0].shape[0] if inputs else 1
        values, after = run_batch(
            template,
            arrays,
            state,
            inputs,
            seed=key,
            indices=jnp.arange(count),
            weights=jnp.ones(count),
            training=training,
            refs=tuple(outputs.values()),
            compact=frozenset(),
            platform=jax.default_backend(),
        )
        made = {port: values[ref] for port, ref in outputs.items()}
        return (next(iter(made.values())) if len(made) == 1 else made), after

    return function
