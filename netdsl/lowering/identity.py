"""What is the same net to the compiler: a canonical, type-tagged text of the flat program, without the arrays' values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from netdsl.declarations import Declared
from netdsl.functions import Function
from netdsl.layers import CompiledLayer
from netdsl.nets import Net, NetArray, Solved, Step, named_arrays
from netdsl.shapes import ArrayType, Length
from netdsl.symbols import Rule, Span, Symbol

__all__ = ["layer_text", "program_key", "text_anywhere"]

VARYING_SAMPLE = 3
"""The length at which a function of a varying input is traced for its text."""


def program_key(net: Net) -> str:
    """The key of a net's flat program; equal keys mean that the same compiled function serves both.

    Functions that trace to the same in 32 bits may differ in 64, where that is what JAX has: so there is a key for each.
    """
    keys, real = net._cached("_program_keys", dict), jnp.result_type(float)
    if real not in keys:
        keys[real] = hashlib.sha256(_program_text(net).encode()).hexdigest()
    return keys[real]


def text_anywhere(net: Net) -> str:
    """A text of the program that is the same in every process: functions that cannot be traced are all alike in it."""
    return re.sub(r"function \d+|0x[0-9a-f]+", "function", _program_text(net))


def _program_text(net: Net, solved: Solved | None = None) -> str:
    program, solved = net.program, solved or net.solved
    lines = [f"in {port} {_type(solved.input_type(port))} {canonical(program.encoders.get(port))}" for port in program.inputs]
    for index, step in enumerate(program.steps):
        lines.append(f"{step.path} {layer_text(step, solved.step_types(step, index))} {step.inputs}")
    lines += [f"out {port} {ref}" for port, ref in program.outputs.items()]
    return "\n".join(lines)


def layer_text(step: Step, types: Mapping[str, ArrayType]) -> str:
    """A layer's class and parameters; functions by what they trace to on inputs of these types."""
    layer = step.layer
    samples = None if isinstance(layer, CompiledLayer) else _samples(step, types)  # what runs on the host is not traced
    parts = [type(layer).__name__]
    if "sizes" in layer.needs:
        parts.append(_type(types[step.outputs[0]]))
    function = layer.traced_function()
    known = layer.values_of_parameters().items()
    parts += [f"{name}={canonical(value, samples)}" for name, value in known if function is None or not callable(value)]
    if function is not None:
        parts.append(_function_text(function, samples))
    parts += [f"{name}:{value.Name if isinstance(value, NetArray) else ''}" for name, value in layer.array_values().items()]
    solved = layer.inner_solved(types) if layer.nets else {}
    parts += [f"{name}({_program_text(inner, solved.get(name))})" for name, inner in layer.nets.items()]
    if layer.LearningRateMultipliers in (0, None):
        parts.append("fixed")
    return " ".join(parts)


def canonical(value: Any, samples: list[Any] | None = None) -> str:
    """A text that is equal only for values that mean the same: types beside numbers, arrays by digest, functions by trace."""
    if isinstance(value, (bool, int, float, str, bytes, type(None), Symbol, Function)):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, (Rule, Span)):
        return f"{type(value).__name__}({', '.join(canonical(getattr(value, f)) for f in value.__slots__)})"
    if isinstance(value, Declared):
        return f"{type(value).__name__}({', '.join(f'{n}={canonical(v)}' for n, v in value.values_of_parameters().items())})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{canonical(k)}: {canonical(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(canonical(item) for item in value) + "]"
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return f"array {array.dtype} {array.shape} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}"
    if callable(value):
        return _function_text(value, samples)
    return f"{type(value).__qualname__} {value!r}"


def _function_text(function: Any, samples: list[Any] | None) -> str:
    """What a function traces to; one that cannot be traced alone is itself."""
    if samples is not None:
        try:
            with named_arrays() as recorder:
                jax.eval_shape(function, *samples)
            real = jnp.result_type(float)
            arrays = {name: jax.ShapeDtypeStruct(array.Dimensions, real) for name, array in recorder.seen.items()}
            closed, result = jax.make_jaxpr(_with_arrays(function), return_shape=True)(arrays, *samples)
        except Exception:  # a function that fails here fails again, with its message, where it is used
            closed = None
        if closed is not None:
            constants = [canonical(constant) for constant in _constants(closed)]
            return f"{sorted(arrays)} {closed.jaxpr} {constants} {jax.tree_util.tree_structure(result)}"
    return f"function {id(function)}"


def _with_arrays(function: Any) -> Any:
    """The function with the values of the NetArrays it names as its first argument."""

    def named(values: Any, *inputs: Any) -> Any:
        with named_arrays(values):
            return function(*inputs)

    return named


def _constants(closed: Any) -> Iterator[Any]:
    """The constants of a jaxpr and of those inside it, whose text only names them."""
    yield from closed.consts
    for equation in closed.jaxpr.eqns:
        for value in jax.tree_util.tree_leaves(equation.params, is_leaf=lambda p: isinstance(p, (ClosedJaxpr, Jaxpr))):
            if isinstance(value, ClosedJaxpr):
                yield from _constants(value)
            elif isinstance(value, Jaxpr):
                yield from _constants(ClosedJaxpr(value, ()))


def _samples(step: Step, types: Mapping[str, ArrayType]) -> list[Any] | None:
    samples = []
    for port, _ in step.inputs:
        type_ = types[port]
        if not type_.known:
            return None
        sizes = tuple(VARYING_SAMPLE if isinstance(size, Length) else size for size in type_.sizes or ())
        samples.append(jax.ShapeDtypeStruct(sizes, jnp.int32 if type_.integer else jnp.result_type(float)))
    return samples


def _type(type_: ArrayType) -> str:
    sizes = None if type_.sizes is None else tuple("n" if isinstance(size, Length) else size for size in type_.sizes)
    return f"{sizes} {'integer' if type_.integer else 'real'}"
