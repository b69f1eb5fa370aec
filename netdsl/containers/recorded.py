"""What stays one operation while the function of a layer is traced into layers: nets, named functions and loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive

from netdsl.constraints import frozen
from netdsl.functions.aggregations import AGGREGATIONS
from netdsl.functions.places import tried
from netdsl.functions.recording import recording
from netdsl.nets import NetArray

__all__ = ["FOLD", "FUNCTION", "KEPT", "MAP", "NET", "Slot", "filled", "recorded"]


def _primitive(name: str) -> Primitive:
    primitive = Primitive(name)
    primitive.multiple_results = True
    primitive.def_abstract_eval(lambda *_, shapes, **__: list(shapes))
    return primitive


NET, FUNCTION, MAP, FOLD = map(_primitive, ("net", "function", "map", "fold"))

KEPT = {*AGGREGATIONS, "Dot", "Reverse", "Catenate", "Part"} - {"Min", "Max", "Times"}
"""The functions of whole arrays that are layers."""


class Slot(NamedTuple):
    """The place of an array among the arguments of a function."""

    number: int


def recorded(function: Any, arguments: tuple[Any, ...]) -> Any:
    """What a named function gives while it is traced: one operation, where a layer can do it."""
    name = function.__name__
    if name == "Map":
        return _map(*arguments)
    if name == "FoldList":
        return _fold(*arguments)
    if name == "NestList":
        again, start, count = arguments
        return _fold(lambda x, _: again(x), start, jnp.zeros(count))
    arrays = [jnp.asarray(each) for each in arguments if _is_array(each)]
    numbers = iter(range(len(arrays)))
    template = tuple(Slot(next(numbers)) if _is_array(each) else frozen(each) for each in arguments)

    def compute(*given: Any) -> Any:
        with recording(None):
            return function.compute(*filled(template, given))

    if any(isinstance(each, jax.core.Tracer) for each in arrays) and all(map(_hashable, template)):
        made = jax.eval_shape(compute, *arrays)
        if name in KEPT or (function.arity != 0 and made.shape == jnp.broadcast_shapes(*(x.shape for x in arrays))):
            return FUNCTION.bind(*arrays, name=name, template=template, shapes=(ShapedArray(made.shape, made.dtype),))[0]
    return compute(*arrays)


def _is_array(thing: Any) -> bool:
    return isinstance(thing, (jax.Array, np.ndarray, NetArray))


def _hashable(thing: Any) -> bool:
    try:
        hash(thing)
    except TypeError:
        return False
    return True


def filled(template: tuple[Any, ...], arrays: Sequence[Any]) -> list[Any]:
    return [arrays[each.number] if isinstance(each, Slot) else each for each in template]


def _map(function: Callable[[Any], Any], x: Any) -> Any:
    x = jnp.asarray(x)
    closed, made = jax.make_jaxpr(function, return_shape=True)(jax.ShapeDtypeStruct(x.shape[1:], x.dtype))
    shape = ShapedArray((len(x), *made.shape), made.dtype)
    return MAP.bind(x, *closed.consts, jaxpr=closed.jaxpr, shapes=(shape,))[0]


def _fold(function: Callable[[Any, Any], Any], start: Any, items: Any) -> Any:
    items = jnp.asarray(items)
    item = jax.ShapeDtypeStruct(items.shape[1:], items.dtype)
    like = tried(function, start, item)
    first = jnp.broadcast_to(jnp.asarray(start, like.dtype), like.shape)
    closed = jax.make_jaxpr(lambda x, each: jnp.asarray(function(x, each), like.dtype))(like, item)
    shape = ShapedArray((len(items) + 1, *like.shape), like.dtype)
    return FOLD.bind(first, items, *closed.consts, jaxpr=closed.jaxpr, shapes=(shape,))[0]
