"""What a source of data is, what it is given to work with, and how long sources together may keep a user waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from netdsl.errors import ResourceError

__all__ = ["Attempt", "Patience", "Read", "Source"]

Read = Callable[[Path], dict[str, np.ndarray]]


class Patience:
    """The seconds that may be spent on waiting for nothing, summed over all sources of a set. While bytes come, it is free.

    >>> patience = Patience(10)
    >>> patience.spend(4)
    >>> patience.left()
    6
    """

    def __init__(self, seconds: float = 50) -> None:
        self._left = seconds

    def left(self, most: float = float("inf")) -> float:
        """The seconds that the next wait may take, at most `most`; raises `ResourceError` when there are none left."""
        if self._left < 0.5:
            raise ResourceError("not tried, the sources before it have used up the time for waiting")
        return min(self._left, most)

    def spend(self, seconds: float) -> None:
        """Takes seconds of waiting off."""
        self._left -= seconds


@dataclass
class Attempt:
    """What a source works with: an empty folder, the common patience, and a way to say how many bytes have come."""

    folder: Path
    patience: Patience = field(default_factory=Patience)
    report: Callable[[int, int | None], None] = lambda done, total: None
    moved: float = field(default_factory=time.monotonic)
    done: int = 0

    def progress(self, done: int, total: int | None = None) -> None:
        """Tells that `done` bytes have come; the waiting since the last ones is charged when it was long."""
        if done != self.done:
            self.settle(grace=1.0)
            self.done = done
            self.report(done, total)

    def settle(self, grace: float = 0.0) -> None:
        """Charges the time since bytes last came, unless it is shorter than `grace`."""
        waited = time.monotonic() - self.moved
        if waited > grace:
            self.patience.spend(waited)
        self.moved = time.monotonic()


class Source(Protocol):
    """A place that a set may be had from.

    `title` names it to the user. `arrays` gives the set's arrays by name, or raises `ResourceError` or `FormatError` with a short
    reason.
    """

    @property
    def title(self) -> str:
        """The name of the place."""
        ...

    def arrays(self, attempt: Attempt) -> dict[str, np.ndarray]:
        """The arrays of the set by name."""
        ...
