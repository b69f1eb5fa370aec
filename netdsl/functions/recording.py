"""What stands for the named functions while the function of a layer is traced into layers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["recorder", "recording"]

Recorder = Callable[[Any, tuple[Any, ...]], Any]
"""What gives the value of a named function for its arguments."""


class _Recording(threading.local):
    def __init__(self) -> None:
        self.recorder: Recorder | None = None


_RECORDING = _Recording()


def recorder() -> Recorder | None:
    """What stands for the application of named functions in this thread, if anything does."""
    return _RECORDING.recorder


class recording:
    """A context in which `record` gives the values of named functions."""

    def __init__(self, record: Recorder | None) -> None:
        self.record = record

    def __enter__(self) -> None:
        self.before, _RECORDING.recorder = _RECORDING.recorder, self.record

    def __exit__(self, *_: object) -> None:
        _RECORDING.recorder = self.before
