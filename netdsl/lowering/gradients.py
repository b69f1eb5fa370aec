"""Gradients of a net's outputs, as one more kind of value that is computed for a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeGuard

import jax
import jax.numpy as jnp

from netdsl.containers import NetPortGradient
from netdsl.lowering.precision import cast
from netdsl.nets import ArrayPath, Net, Ref, Sequence, padded_alike
from netdsl.shapes import ArrayType

__all__ = ["Gradient", "Value", "imposed_on", "is_summed", "value_type", "wires_of", "with_gradients"]


class Gradient(NamedTuple):
    """The gradient with respect to an input port or an array: stands where wires stand, and sorts with them as JAX asks of keys."""

    step: int
    of: Any
    """The name of a port, or the path of an array."""

    @classmethod
    def of_port(cls, port: str) -> Gradient:
        return cls(-2, port)

    @classmethod
    def of_array(cls, path: ArrayPath) -> Gradient:
        return cls(-3, path)


Value = Ref | Gradient
"""What can be computed of a net for a batch."""


def is_summed(value: Value) -> TypeGuard[Gradient]:
    """Whether there is one value for all examples, the sum over them, as there is of an array."""
    return isinstance(value, Gradient) and not isinstance(value.of, str)


def value_type(net: Net, value: Value) -> ArrayType:
    """The type of a value for one example."""
    if is_summed(value):
        return net.solved.arrays[value.of]
    return net.solved.types[(-1, value.of) if isinstance(value, Gradient) else value]


def wires_of(net: Net, values: Iterable[Value]) -> list[Ref]:
    """The wires that are computed for these values: gradients take all outputs."""
    values = list(values)
    outputs = net.program.outputs.values() if any(isinstance(value, Gradient) for value in values) else ()
    return [value for value in (*values, *outputs) if not isinstance(value, Gradient)]


def imposed_on(port: str) -> str:
    """The name among a batch's inputs of the gradient that is imposed on an output port."""
    return repr(NetPortGradient(port))


def with_gradients(
    run: Callable[[Any, Any], tuple[dict[Ref, Any], Any]],
    arrays: Mapping[ArrayPath, Any],
    inputs: Mapping[str, Any],
    *,
    wanted: tuple[Gradient, ...],
    outputs: Mapping[str, Ref],
    imposed: Mapping[str, Any],
    weights: Any,
    held: Any,
) -> tuple[dict[Value, Any], Any]:
    """What `run(arrays, inputs)` gives, and beside its values the gradients.

    They are those of the outputs times what is imposed on them, which is 1 where nothing is imposed on any; weights of 0 take
    out the examples that only fill up a batch.
    """

    def total(point: list[Any]) -> Any:
        moved = dict(zip(wanted, point))
        here = {**arrays, **{key.of: value for key, value in moved.items() if is_summed(key)}}
        given = {port: _replaced(value, moved.get(Gradient.of_port(port))) for port, value in inputs.items()}
        values, after = run(here, given)
        terms = [
            _term(values[ref], imposed.get(port), weights) for port, ref in outputs.items() if port in imposed or not imposed
        ]
        return sum(terms, start=jnp.zeros(())), (values, after)

    point = [_real(arrays[key.of] if is_summed(key) else inputs[key.of], held) for key in wanted]
    slopes, (values, after) = jax.grad(total, has_aux=True)(point)
    gradients = {key: slope if is_summed(key) else _replaced(inputs[key.of], slope) for key, slope in zip(wanted, slopes)}
    return {**values, **gradients}, after


def _real(value: Any, held: Any) -> Any:
    """The numbers of a batch as they are differentiated."""
    data = value.data if isinstance(value, Sequence) else value
    return cast(data if jnp.issubdtype(data.dtype, jnp.floating) else data.astype(jnp.result_type(float)), held)


def _replaced(value: Any, data: Any) -> Any:
    """The data in the place of a value's own, if there are any."""
    if data is None:
        return value
    return value.with_data(data) if isinstance(value, Sequence) else data


def _term(value: Any, imposed: Any, weights: Any) -> Any:
    """What an output adds to the number whose gradient is computed: nothing where it is made of integers, or only fills up."""
    factor: Any = weights
    if isinstance(value, Sequence):
        factor = weights[:, None] * jax.vmap(lambda one: one.mask)(value)
        if imposed is not None:
            imposed = padded_alike(imposed, 0, {0: value.data.shape[1]}).data
        value = value.data
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return jnp.zeros(())
    factor = factor.reshape(factor.shape + (1,) * (value.ndim - factor.ndim))
    return jnp.sum(value * factor * (1 if imposed is None else imposed))
