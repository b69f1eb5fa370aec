"""Ctrl-C in a training: once it ends after the running chunk of batches, twice at once."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import jax

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["compiled_aside", "heard", "interruptible"]

Arrays = TypeVar("Arrays")

SHORT = 0.1
"""What takes fewer seconds is simply waited for."""

PAUSE, LONGEST_PAUSE = 0.00005, 0.002
"""Seconds between two looks whether something longer is done, at first and later: in between Ctrl-C is heard."""


def heard(arrays: Arrays, seconds: float, *, leave: bool) -> Arrays:
    """The arrays, when they are computed, which takes about so many seconds; Ctrl-C is heard meanwhile.

    Unless they may be left to themselves, they are computed before what Ctrl-C raised goes on.
    """
    if seconds < SHORT:
        return arrays
    leaves, pause = jax.tree.leaves(arrays), PAUSE
    try:
        while not all(leaf.is_ready() for leaf in leaves):
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
    except BaseException:
        if not leave:
            jax.block_until_ready(leaves)
        raise
    return arrays


def compiled_aside(function: Any, arguments: tuple[Any, ...]) -> None:
    """Have the function compiled for these arguments, where Ctrl-C is heard meanwhile: XLA itself would not let go before the end.

    What was lowered here is compiled in another thread, for JAX's settings may differ there; whoever calls the function finds it.
    """
    compiled = getattr(function, "_cache_size", lambda: 1)()  # not a public interface: without it nothing is heard here
    if not compiled and threading.current_thread() is threading.main_thread():
        lowered = function.lower(*arguments)

        def compile_() -> None:
            with suppress(Exception):  # it will be raised again where the function is called
                lowered.compile()

        thread = threading.Thread(target=compile_, name="netdsl compilation")
        thread.start()
        thread.join()


class interruptible:
    """Ctrl-C once asks the training to stop after the running chunk, twice stops at once; where it was ignored it stays so."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def __enter__(self) -> None:
        self.previous: Any = None
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self.previous = signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: Any) -> None:
        self.training.interrupted += 1
        if self.training.interrupted > 1:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
