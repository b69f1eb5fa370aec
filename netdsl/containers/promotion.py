"""What stands for a layer in a list of layers: Ramp, 10, a function, a list, Plus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdsl.constraints import FrozenDict, is_integer
from netdsl.errors import DeclarationError, excerpt
from netdsl.functions import ACTIVATIONS, Function
from netdsl.layers.elementwise import ElementwiseLayer, ThreadingLayer
from netdsl.layers.flax import FlaxLayer, is_flax_module, is_linen_module
from netdsl.layers.function import FunctionLayer
from netdsl.layers.linear import LinearLayer
from netdsl.nets import SHARED, Net, noted
from netdsl.symbols import is_rules

__all__ = ["named_layers", "promote"]


def promote(thing: Any, where: str) -> Net:
    """The net that a shorthand means; `where` says in messages where it stands."""
    if isinstance(thing, Net):
        return thing
    if isinstance(thing, type) and issubclass(thing, Net):
        raise DeclarationError(f"{where} is the class {thing.__name__}, not a layer. Write {thing.__name__}(...).")
    if isinstance(thing, str) and thing in ACTIVATIONS:
        raise DeclarationError(f"{where} is {excerpt(thing)}, which is no layer. Write ElementwiseLayer({thing!r}).")
    if isinstance(thing, bool) or thing is None or isinstance(thing, (str, float)):
        raise DeclarationError(
            f"{where} is {excerpt(thing)}, which is no layer. A layer, a net, an integer, a function or a list "
            "of them can stand there."
        )
    if is_integer(thing):
        return LinearLayer(int(thing))
    if isinstance(thing, Function):
        return (
            ThreadingLayer(thing)
            if thing.arity is None
            else FunctionLayer(thing)
            if thing.arity == 0
            else ElementwiseLayer(thing)
        )
    if is_flax_module(thing):
        return FlaxLayer(thing)
    if is_linen_module(thing):
        raise DeclarationError(
            f"{where} is the Linen module {type(thing).__name__}. What flax.nnx.bridge.ToNNX(module, "
            "rngs=nnx.Rngs(0)).lazy_init(x) makes of it can stand there."
        )
    if isinstance(thing, (list, tuple, Mapping)):
        from netdsl.containers.chain import NetChain

        return NetChain(thing)
    if callable(thing):
        return _function(thing)
    raise DeclarationError(
        f"{where} is {excerpt(thing)}, which is no layer. A layer, a net, an integer, a function or a list of "
        "them can stand there."
    )


def _function(function: Any) -> Net:
    """An elementwise layer for a function of one number, as Mathematica has it; else a FunctionLayer."""
    import jax
    import jax.numpy as jnp

    layer = FunctionLayer(function)
    if len(layer.input_names) != 1:
        return layer
    found: dict[str, Any] = {}
    try:
        with noted({}, found):
            made = jax.eval_shape(function, jax.ShapeDtypeStruct((2, 3), jnp.float32))
        if found:
            return layer
        single = jax.eval_shape(function, jax.ShapeDtypeStruct((), jnp.float32))
    except Exception:  # not a function of any array: it may still be one of the arrays it will get
        return layer
    if getattr(made, "shape", None) == (2, 3) and getattr(single, "shape", None) == () and _acts_on_each(function):
        return ElementwiseLayer(function)
    return layer


def _acts_on_each(function: Any) -> bool:
    """Whether the function treats each element by itself: it does to a row and to its elements the same."""
    import jax
    import numpy as np

    row = np.array([0.25, -1.5, 2.0], np.float32)
    try:
        whole = np.asarray(function(row))
        each = np.asarray(jax.vmap(function)(row))
    except Exception:  # whatever a user's function raises here says that it is no such function
        return False
    return whole.shape == each.shape and np.allclose(whole, each, atol=1e-6, equal_nan=True)


def named_layers(layers: Any, title: str) -> FrozenDict:
    """The parts of a container by name, from a list ("1", "2", …), a dict or a list of rules."""
    if is_rules(layers):
        layers = (
            {rule.key: rule.value for rule in layers}
            if len({rule.key for rule in layers}) == len(layers)
            else _repeated(layers, title)
        )
    if isinstance(layers, Mapping):
        for name in layers:
            if not isinstance(name, str) or name == SHARED:
                raise DeclarationError(f"The layers of {title} are named by strings that are not empty. Got {excerpt(name)}.")
        return FrozenDict({name: promote(layer, f"layer {name!r} of {title}") for name, layer in layers.items()})
    if isinstance(layers, (str, bytes)) or not hasattr(layers, "__iter__"):
        raise DeclarationError(f"{title} takes a list or a dict of layers. Got {excerpt(layers)}.")
    return FrozenDict({str(i): promote(layer, f"element {i} of {title}") for i, layer in enumerate(layers, 1)})


def _repeated(layers: Any, title: str) -> Any:
    names = [rule.key for rule in layers]
    twice = next(name for name in names if names.count(name) > 1)
    raise DeclarationError(f"{title} has two layers named {twice!r}. Give each its own name.")
