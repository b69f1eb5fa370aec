"""Processes made by fork after JAX started. Its threads are not in them: what is computed there would wait for them for ever."""

from __future__ import annotations

import os

from netdsl.errors import DeviceError

try:
    from jax._src.xla_bridge import backends_are_initialized
except ImportError:  # it is no public interface; without it a fork is refused that came before JAX started, and would have worked

    def backends_are_initialized() -> bool:
        return True


__all__ = ["refuse_forked"]

_running = _without_threads = False


def _before() -> None:
    global _running
    _running = backends_are_initialized()


def _after() -> None:
    global _without_threads
    _without_threads = _without_threads or _running


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_after)


def refuse_forked() -> None:
    """Raise DeviceError where a computation would hang, because this process was forked from one in which JAX ran."""
    if _without_threads:
        raise DeviceError(
            "This process was made by fork after JAX had started, and has none of its threads: nothing can be computed in it. Start "
            'processes in another way, multiprocessing.get_context("spawn"), or fork before a net is first used.'
        )
