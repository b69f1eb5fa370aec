"""The cores of this machine as devices of one mesh.

XLA's CPU backend runs one program on one device, and many of its operations on one thread only. Two devices that share each
batch use two cores much better. JAX can be told to show several CPU devices, but only before its first use, and then every
program of the user sees them. So these devices belong to a client of netdsl's own: ``jax.devices()`` stays what it was.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

__all__ = ["CORES", "SHARE", "WHOLE", "alone", "cores_available", "cores_for", "placed", "split_over"]

CORES = "cores"
"""The name of the axis of the mesh."""

WHOLE, SHARE = PartitionSpec(), PartitionSpec(CORES)
"""What each core sees of an array: all of it, or its share of the first level."""

_waiting_for_each_other = threading.Lock()

MOST_CORES = 8
"""More devices than this are not made: the parts of a batch get small, and XLA has threads of its own."""

SMALLEST_PART = 8
"""A core's part of a batch has at least this many examples."""

LEAST_WORK = 2000
"""With less work than this for each parameter, exchanging the gradients costs more than the second core saves."""


def cores_for(batch_size: int, work: float) -> int:
    """How many cores share batches of this size; 1 where they cannot, or where it does not pay.

    `work` is what a core does with each number that the cores tell each other: multiplications and additions of a batch for each
    trained parameter.
    """
    if work < LEAST_WORK:
        return 1
    most = min(len(_devices()), batch_size // SMALLEST_PART)
    return max((n for n in range(1, most + 1) if batch_size % n == 0), default=1)


@lru_cache(maxsize=1)
def _devices() -> tuple[Any, ...]:
    """A CPU device for each core, of a client of their own; none where there is one core, or JAX does not let us."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(available, MOST_CORES, int(os.environ.get("NETDSL_CPU_CORES", MOST_CORES)))
    if count < 2:
        return ()
    try:
        from jaxlib import xla_client

        client: Any = xla_client.make_cpu_client(num_devices=count)
        return tuple(client.local_devices())
    except Exception:  # not a public interface: without it everything works, on one device
        return ()


@lru_cache(maxsize=MOST_CORES)
def _mesh(count: int) -> Mesh:
    return Mesh(np.array(_devices()[:count]), (CORES,))


def cores_available() -> int:
    """How many cores can share work."""
    return max(len(_devices()), 1)


def alone(count: int) -> AbstractContextManager[Any]:
    """A context for one computation in which `count` cores wait for each other; its results must be waited for inside.

    Of two at once each could have one core, and wait for the other for ever.
    """
    return nullcontext() if count == 1 else _waiting_for_each_other


def placed(tree: Any, count: int, seen: PartitionSpec, may_alias: bool | None = None) -> Any:
    """The arrays of a tree where `count` cores see so much of them; with one core they may stay where they are."""
    return tree if count == 1 else jax.device_put(tree, NamedSharding(_mesh(count), seen), may_alias=may_alias)


def split_over(function: Callable[..., Any], count: int, given: Any = WHOLE, made: Any = WHOLE) -> Callable[..., Any]:
    """The function as each of `count` cores runs it, on arguments and with results of which it sees so much."""
    if count == 1:
        return function
    return jax.shard_map(function, mesh=_mesh(count), in_specs=given, out_specs=made, check_vma=False)
