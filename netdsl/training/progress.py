"""What a training shows while it runs: a live panel on a terminal, plain lines elsewhere, nothing when asked."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import IO, Any, cast

from netdsl.errors import DeclarationError, UnsupportedError, excerpt
from netdsl.symbols import Automatic, File

__all__ = ["Progress", "Status", "duration_text", "progress"]

PRINT_INTERVAL = 2.0
"""Seconds between two plain lines."""


@dataclass
class Status:
    """Where a training is."""

    phase: str = "compiling"
    round: int = 0
    rounds: int | None = None
    batch: int = 0
    batches: int = 0
    examples_per_second: float = 0.0
    loss: float | None = None
    error: float | None = None
    validation_loss: float | None = None
    validation_error: float | None = None
    elapsed: float = 0.0
    remaining: float | None = None
    goal: float | None = None
    """The seconds that the training may take."""
    measurements: dict[str, float] = field(default_factory=dict)
    """The other measurements of the round so far, as numbers by their text."""
    validation_measurements: dict[str, float] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        """The share done, of the batches or of the time, whichever is further; 0 where neither is limited."""
        done = (max(self.round, 1) - 1) * self.batches + self.batch
        of_batches = 0.0 if self.rounds is None else done / (self.rounds * max(self.batches, 1))
        of_time = 0.0 if self.goal is None else self.elapsed / self.goal
        return min(max(of_batches, of_time), 1.0)

    def measured(self) -> str:
        """What was measured last, in words; nothing before the first batch."""
        parts = [] if self.loss is None else [f"loss {self.loss:.4g}"]
        if self.error is not None:
            parts.append(f"error {100 * self.error:.2f}%")
        parts += [f"{name} {value:.4g}" for name, value in self.measurements.items()]
        if self.validation_loss is not None:
            parts.append(f"validation loss {self.validation_loss:.4g}")
        if self.validation_error is not None:
            parts.append(f"validation error {100 * self.validation_error:.2f}%")
        parts += [f"validation {name} {value:.4g}" for name, value in self.validation_measurements.items()]
        return "  ".join(parts)

    def text(self) -> str:
        """One line that says it all."""
        if self.phase == "compiling":
            return f"compiling … {duration_text(self.elapsed)}"
        parts = [
            f"{100 * self.fraction:3.0f}%",
            f"round {self.round}/{self.rounds or '?'}",
            f"batch {self.batch}/{self.batches}",
            f"{self.examples_per_second:,.0f} examples/s",
        ]
        if measured := self.measured():
            parts.append(measured)
        if self.remaining is not None:
            parts.append(f"{duration_text(self.remaining)} left")
        return "  ".join(parts)


def duration_text(seconds: float) -> str:
    """Seconds as Mathematica's panel words them: ``19s``, ``2.8min``, ``1.2h``."""
    if seconds < 60:
        return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"
    return f"{seconds / 60:.1f}min" if seconds < 3600 else f"{seconds / 3600:.1f}h"


class Progress:
    """Shows nothing: what the reporters are made from."""

    def start(self, title: str) -> None:
        """Called once, before anything is compiled."""

    def update(self, status: Status) -> None:
        """Called a few times a second."""

    def finish(self, message: str) -> None:
        """Called once, at the end, whatever the reason."""


class Stream:
    """A stream that is written to as long as somebody reads: a training never ends because its words cannot be shown."""

    encoding: str | None

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def _try(self, name: str, *arguments: Any) -> Any:
        if self.stream is None:
            return None
        try:
            return getattr(self.stream, name)(*arguments)
        except UnicodeEncodeError:
            raise
        except (OSError, ValueError):
            self.stream = None
            return None

    def write(self, text: str) -> None:
        """Write what the stream can hold, the rest as question marks."""
        try:
            self._try("write", text)
        except UnicodeEncodeError:
            self._try("write", text.encode("ascii", "replace").decode())

    def flush(self) -> None:
        """Pass on what was written."""
        self._try("flush")

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self._try("isatty"))


class Lines(Progress):
    """Plain lines, for logs and pipes."""

    def __init__(self, stream: Any) -> None:
        self.stream = Stream(stream)
        self.next = 0.0
        self.phase = ""

    def _write(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    def start(self, title: str) -> None:
        self._write(title)

    def update(self, status: Status) -> None:
        now = time.monotonic()
        if now >= self.next or status.phase != self.phase:
            self.next, self.phase = now + PRINT_INTERVAL, status.phase
            self._write(status.text())

    def finish(self, message: str) -> None:
        self._write(message)


class Panel(Progress):
    """A live panel on a terminal."""

    def __init__(self, stream: Any) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(file=cast(IO[str], Stream(stream)))
        self.title = ""
        self.live = Live("", console=self.console, refresh_per_second=5, transient=True)

    def start(self, title: str) -> None:
        self.title = title
        self.live.start()
        self.update(Status())

    def update(self, status: Status) -> None:
        self.live.update(self._panel(status))

    def _panel(self, status: Status) -> Any:
        from rich.panel import Panel as Box
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="dim")
        grid.add_column()
        if status.phase == "compiling":
            grid.add_row("compiling", duration_text(status.elapsed))
        else:
            grid.add_row("progress", ProgressBar(total=1.0, completed=status.fraction, width=40))
            grid.add_row("round", f"{status.round} of {status.rounds or '?'}, batch {status.batch} of {status.batches}")
            grid.add_row("examples/s", f"{status.examples_per_second:,.0f}")
            grid.add_row("training", _values(status.loss, status.error, status.measurements))
            if status.validation_loss is not None:
                values = _values(status.validation_loss, status.validation_error, status.validation_measurements)
                grid.add_row("validation", values)
            left = "" if status.remaining is None else f", {duration_text(status.remaining)} left"
            grid.add_row("time", f"{duration_text(status.elapsed)}{left}")
        return Box(grid, title=self.title, subtitle="Ctrl-C stops and keeps the net so far", expand=False)

    def finish(self, message: str) -> None:
        self.live.stop()
        self.console.print(message, highlight=False)


def _values(loss: float | None, error: float | None, others: dict[str, float]) -> str:
    parts = [] if loss is None else [f"loss {loss:.4g}"]
    parts += [] if error is None else [f"error rate {100 * error:.2f}%"]
    return ", ".join([*parts, *(f"{name} {value:.4g}" for name, value in others.items())])


def progress(setting: Any) -> Progress:
    """The reporter that TrainingProgressReporting means: Automatic, "Panel", "Print" or None."""
    stream = sys.stdout
    if setting is None:
        return Progress()
    if setting is Automatic:
        setting = "Panel" if Stream(stream).isatty() and os.environ.get("TERM", "dumb") != "dumb" else "Print"
    if setting == "Panel":
        return Panel(stream)
    if setting == "Print":
        return Lines(stream)
    if setting == "ProgressIndicator" or callable(setting) or isinstance(setting, (list, tuple, File)):
        raise UnsupportedError(
            f'TrainingProgressReporting={excerpt(setting)} is not supported yet; Automatic, "Panel", "Print" and None are.'
        )
    raise DeclarationError(f'TrainingProgressReporting is Automatic, "Panel", "Print" or None. Got {excerpt(setting)}.')
