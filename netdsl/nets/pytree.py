"""Nets as pytrees of JAX: the leaves are the arrays, everything else is fixed."""

from __future__ import annotations

from typing import Any

import jax

from netdsl.constraints import FrozenDict
from netdsl.nets.arrays import NetArray
from netdsl.nets.program import SHARED

__all__ = ["flatten_net", "flatten_with_keys", "unflatten"]


def flatten_net(net: Any) -> tuple[tuple[Any, ...], Any]:
    """The arrays, inner nets and shared arrays of a net, and the rest of it."""
    values = net.__dict__
    arrays = {name: values[name] for name in net.array_declarations}
    leaves = {name: value for name, value in arrays.items() if not isinstance(value, NetArray)}
    fixed = tuple((name, value) for name, value in arrays.items() if isinstance(value, NetArray))
    meta = tuple(
        (name, value)
        for name, value in values.items()
        if not name.startswith("_") and name not in ("nets", "shared") and name not in arrays
    )
    nets = values["nets"]
    data = (*leaves.values(), *nets.values(), *net.shared.values())
    return data, (type(net), meta, fixed, tuple(leaves), tuple(nets), tuple(net.shared))


def flatten_with_keys(net: Any) -> tuple[tuple[Any, ...], Any]:
    """The same with the name of each."""
    data, aux = flatten_net(net)
    names = [*aux[3], *aux[4], *(f"{SHARED}/{name}" for name in aux[5])]
    return tuple((jax.tree_util.DictKey(name), value) for name, value in zip(names, data)), aux


def unflatten(aux: Any, data: Any) -> Any:
    """The net again, from what `flatten_net` gives."""
    cls, meta, fixed, arrays, nets, shared = aux
    net = object.__new__(cls)
    values = list(data)
    net.__dict__.update(meta)
    net.__dict__.update(fixed)
    net.__dict__.update(zip(arrays, values))
    net.__dict__["nets"] = FrozenDict(zip(nets, values[len(arrays) :]))
    net.__dict__["shared"] = FrozenDict(zip(shared, values[len(arrays) + len(nets) :]))
    return net
