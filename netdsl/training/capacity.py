"""How much memory there is for data, and how much data take."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from netdsl.columns import Column, Table

__all__ = ["bytes_of_examples", "fits", "memory_available"]

SMALL = 2**28
"""Data of fewer bytes than this are held in memory without asking how much there is."""

SHARE = 0.4
"""The part of the memory that there is which data held in it may take."""


def fits(needed: float, device: Any) -> bool:
    """Whether data that take so many bytes are held in memory, rather than read while they are trained on."""
    return needed < SMALL or needed < SHARE * memory_available(device)


def bytes_of_examples(data: Table | dict[str, Any]) -> int:
    """The bytes of all values in these columns."""
    columns = data.columns() if isinstance(data, Table) else data
    return sum(_bytes(column) for column in columns.values())


def _bytes(thing: Any) -> int:
    if isinstance(thing, Column) or hasattr(thing, "nbytes"):
        return int(thing.nbytes)
    if isinstance(thing, (list, tuple)):
        return sum(map(_bytes, thing))
    if hasattr(thing, "getbands"):
        return int(thing.width * thing.height * len(thing.getbands()))
    return sys.getsizeof(thing)


def memory_available(device: Any) -> float:
    """The bytes that this process may still take, on the machine and on the device; endless where neither tells."""
    found = [_of_machine(), _of_group(), _of_process()]
    if device is not None:
        try:
            stats = device.memory_stats() or {}
            found.append(stats["bytes_limit"] - stats.get("bytes_in_use", 0) if "bytes_limit" in stats else None)
        except jax.errors.JaxRuntimeError:  # not every device implements it
            pass
    return min((float(each) for each in found if each is not None), default=np.inf)


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _of_group() -> int | None:
    """What the control group of a container leaves."""
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        root = Path("/sys/fs/cgroup")
        try:
            return int((root / limit).read_text()) - int((root / used).read_text())
        except (OSError, ValueError):  # none, or "max"
            continue
    return None


def _of_process() -> int | None:
    """What the limit of the address space leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return None
