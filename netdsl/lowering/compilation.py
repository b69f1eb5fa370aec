"""Compiled functions: one bounded cache for evaluation, training and measurements, and the persistent one of JAX."""

from __future__ import annotations

import hashlib
import os
import platform
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import jax

__all__ = ["Compiled", "compilations", "compiled", "note_trace"]

CAPACITY = 48
"""The number of compiled functions kept; the least recently used one goes first."""

CACHE_BYTES = 2 * 2**30
"""The size to which the folder of the persistent cache is kept."""

Compiled = Callable[..., Any]
T = TypeVar("T")

_functions: OrderedDict[Hashable, Any] = OrderedDict()
_lock = threading.Lock()
_traces = 0
_persistent: str | None = None


def compilations() -> int:
    """How many functions were traced for compilation in this process so far."""
    return _traces


def note_trace() -> None:
    """Count one compilation: called while a function is being traced."""
    global _traces
    _traces += 1


def compiled(key: Hashable, make: Callable[[], T]) -> T:
    """The function kept under this key, made on its first use."""
    with _lock:
        if key in _functions:
            _functions.move_to_end(key)
            return _functions[key]
    _use_persistent_cache()
    function = make()
    with _lock:
        _functions[key] = function
        while len(_functions) > CAPACITY:
            _functions.popitem(last=False)
    return function


def _use_persistent_cache() -> None:
    """Turn JAX's compilation cache on, unless the user set one, at the first compilation."""
    global _persistent
    if _persistent is not None:
        return
    _persistent = os.environ.get("NETDSL_CACHE_DIR", "")
    if _persistent.lower() == "off" or jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    root = Path(_persistent) if _persistent else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "netdsl"
    folder = root / "compiled" / f"jax-{jax.__version__}-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no place to keep compiled code: everything works without
        return
    _persistent = str(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", CACHE_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _processor() -> str:
    """A short name of the processor's features: code compiled for one set may not run on another."""
    text = platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            text += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        text += platform.processor()
    return hashlib.sha256(text.encode()).hexdigest()[:12]
