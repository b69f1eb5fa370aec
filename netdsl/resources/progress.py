"""What is shown while a set is fetched: a bar on a terminal, two plain lines elsewhere, nothing when the cache has it."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """The display of one set being fetched, on standard error. It appears with the first sign of life of a source.

    what
        The name of the set.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.started = time.monotonic()
        self._source = ""
        self._announced = ""
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def source(self, title: str) -> None:
        """Says that from now on bytes come from here."""
        self._close()
        self._source = title

    def bytes(self, done: int, total: int | None) -> None:
        """Shows that `done` bytes have come, of `total` where that is known."""
        if self._announced != self._source:
            self._announced = self._source
            if sys.stderr is not None and sys.stderr.isatty():
                self._open()
            else:
                self.line(f"fetching {self.what} from {self._source}" + (f" ({total / 1e6:.0f} MB)" if total else ""))
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)

    def finished(self, size: int, place: str) -> None:
        """Says that the set is there."""
        self._close()
        self.line(f"{self.what} is in {place} ({size / 1e6:.0f} MB, {time.monotonic() - self.started:.1f} s)")

    def line(self, text: str) -> None:
        """Prints one line."""
        if sys.stderr is not None:
            print(f"netdsl: {text}", file=sys.stderr, flush=True)

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar

        columns = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(f"{self.what} from {self._source}", total=None)
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
