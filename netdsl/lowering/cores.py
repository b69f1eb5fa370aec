"""Several devices that share work as one mesh: GPUs, TPUs, those of several processes, and the cores of this machine.

XLA's CPU backend runs one program on one device, and many of its operations on one thread only. Two devices that share each
batch use two cores much better. JAX can be told to show several CPU devices, but only before its first use, and then every
program of the user sees them. So these devices belong to a client of netdsl's own: ``jax.devices()`` stays what it was.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

__all__ = [
    "DEVICES",
    "SHARE",
    "WHOLE",
    "alone",
    "brought",
    "core_devices",
    "cores_available",
    "cores_for",
    "mesh_of",
    "mesh_of_cores",
    "placed",
    "size_of",
    "split_over",
]

DEVICES = "devices"
"""The name of the axis of the mesh."""

WHOLE, SHARE = PartitionSpec(), PartitionSpec(DEVICES)
"""What each device sees of an array: all of it, or its share of the first level."""

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
def mesh_of_cores(count: int) -> Mesh | None:
    """So many cores of this machine as devices of one mesh; None for one."""
    return mesh_of(_devices()[:count]) if count > 1 else None


def core_devices(count: int) -> tuple[Any, ...]:
    """So many cores of this machine as devices of netdsl's own; fewer where it has fewer."""
    return _devices()[:count]


def mesh_of(devices: tuple[Any, ...]) -> Mesh | None:
    """The mesh of these devices; None for one or none."""
    return Mesh(np.array(devices), (DEVICES,)) if len(devices) > 1 else None


def size_of(mesh: Mesh | None) -> int:
    """How many devices share the work."""
    return 1 if mesh is None else mesh.size


def cores_available() -> int:
    """How many cores can share work."""
    return max(len(_devices()), 1)


def alone(mesh: Mesh | None) -> AbstractContextManager[Any]:
    """A context for one computation in which devices wait for each other; its results must be waited for inside.

    Of two at once each could have one device, and wait for the other for ever.
    """
    return nullcontext() if mesh is None else _waiting_for_each_other


def placed(tree: Any, mesh: Mesh | None, seen: PartitionSpec, may_alias: bool | None = None) -> Any:
    """The arrays of a tree where the devices see so much of them; with one device they may stay where they are."""
    if mesh is None:
        return tree
    sharding = NamedSharding(mesh, seen)
    if not mesh.is_multi_process:
        return jax.device_put(tree, sharding, may_alias=may_alias)
    return jax.tree.map(partial(_of_each_process, sharding=sharding, may_alias=may_alias), tree)


def _of_each_process(value: Any, sharding: NamedSharding, may_alias: bool | None) -> Any:
    """An array that every process has whole, on the devices of all; nothing is sent from one to another."""
    here = value if not isinstance(value, jax.Array) or value.is_fully_addressable else value.addressable_data(0)
    copies = [jax.device_put(here, device, may_alias=may_alias) for device in sharding.mesh.local_devices]
    return jax.make_array_from_single_device_arrays(np.shape(here), sharding, copies)


def brought(tree: Any, device: Any) -> Any:
    """Arrays that devices have whole, on one device of this process."""
    here = jax.tree.map(lambda x: x if not isinstance(x, jax.Array) or x.is_fully_addressable else x.addressable_data(0), tree)
    return jax.device_put(here, device)


def split_over(function: Callable[..., Any], mesh: Mesh | None, given: Any = WHOLE, made: Any = WHOLE) -> Callable[..., Any]:
    """The function as each device runs it, on arguments and with results of which it sees so much."""
    if mesh is None:
        return function
    return jax.shard_map(function, mesh=mesh, in_specs=given, out_specs=made, check_vma=False)
