"""A live panel on a terminal: a bar, numbers, and the loss as a curve."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import groupby
from typing import IO, Any, cast

from netdsl.training.intervals import Due, Every
from netdsl.training.progress.curve import Curves, picture, scale
from netdsl.training.progress.lines import Stream
from netdsl.training.progress.status import Progress, Status, duration_text

__all__ = ["Indicator", "Panel"]

NARROW = 56
"""A terminal of fewer columns gets no frame and no labels."""
WIDEST = 100
"""The columns of the panel at most."""
TALLEST = 8
"""The lines of the curve at most."""


class Panel(Progress):
    """A live panel on a terminal."""

    def __init__(self, stream: Any, interval: Every) -> None:
        from rich.console import Console
        from rich.live import Live

        self.stream = Stream(stream)
        self.console = Console(file=cast(IO[str], self.stream))
        self.title = ""
        self.status = Status()
        self.curves = Curves()
        self.drawn: dict[tuple[int, int], list[Any]] = {}
        self.since = time.monotonic()
        self.due = Due(interval)
        self.lock = threading.Lock()  # another thread draws
        often = min(max(1 / max(interval.amount, interval.minimum), 0.1), 20) if interval.unit == "Seconds" else 4
        self.live = Live(
            console=self.console, refresh_per_second=often, transient=True, get_renderable=self._safe, vertical_overflow="crop"
        )

    def start(self, title: str) -> None:
        self.title = title
        self.since = time.monotonic()
        self.live.start()

    def update(self, status: Status) -> None:
        with self.lock:
            if status.history is not None:
                self.curves.follow(status.history)
            if self.due.every.unit == "Seconds" or self.due.now(status):
                self.status, self.drawn = status, {}

    def _safe(self) -> Any:
        with self.lock:
            return self.render()

    def batches_left(self, status: Status) -> float:
        return self.due.batches_left(status)

    def _waited(self) -> str:
        """The time so far, where the training says nothing for long: it compiles."""
        return duration_text(time.monotonic() - self.since)

    def render(self) -> Any:
        """The panel as it is now, for the width that the terminal has now."""
        from rich.console import Group
        from rich.panel import Panel as Box
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        width, height = self.console.size
        bar = ProgressBar(total=1.0, completed=self.status.fraction, width=max(min(width - 18, 60), min(width, 10)))
        if width < NARROW:
            words = self.status.text() if self.status.phase != "compiling" else f"compiling  {self._waited()}"
            lines = _filled(words.strip().split("  "), width)
            return Group(*map(Text, lines), *self._curve(width, min(height - len(lines) - 1, TALLEST)))
        rows = self.status.rows() if self.status.phase != "compiling" else [("compiling", self._waited())]
        inner = min(width, WIDEST) - 4
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="dim", min_width=10)
        grid.add_column(overflow="ellipsis", no_wrap=True)
        grid.add_row("progress", bar)
        for row in rows:
            grid.add_row(*row)
        body = Group(grid, *self._curve(inner, min(height - len(rows) - 5, TALLEST)))
        title = self.title if len(self.title) < inner - 2 else f"{self.title[: inner - 3]}…"
        return Box(body, title=Text(title), subtitle="Ctrl-C stops and keeps the net so far", width=inner + 4)

    def _curve(self, width: int, height: int) -> list[Any]:
        """The loss so far, with its ends at the left; nothing where there is no room or no loss."""
        from rich.text import Text

        series = self.curves.series()
        if height < 2 or width < 8 or not len(series[0][1]):
            return []
        if (width, height) not in self.drawn:
            low, high, log = scale([series[0], series[2]])
            ends = f"{high:.3g}", f"{low:.3g}"
            room = max(map(len, ends)) + 1 if width >= 30 else 0
            labels = [ends[0], *[""] * (height - 2), ends[1]] if room else [""] * height
            plain = not self.stream.writes("⣿")
            lines = []
            for label, (signs, marks) in zip(labels, picture(self.curves, width - room, height, plain)):
                line = Text(no_wrap=True)
                line.append(label.rjust(max(room - 1, 0)) + (" " if room else ""), style="dim")
                for mark, run in groupby(zip(signs, marks), key=lambda cell: cell[1]):
                    line.append("".join(sign for sign, _ in run), style="yellow" if mark == "v" else "cyan")
                lines.append(line)
            words = f"loss{' (logarithmic)' if log else ''}"
            if len(series[2][1]):
                words += f", validation {'o' if plain else 'in yellow'}" if width >= NARROW else ""
            self.drawn[width, height] = [*lines, Text(words.rjust(len(words) + room), style="dim", no_wrap=True)]
        return self.drawn[width, height]

    def finish(self, message: str) -> None:
        self.live.stop()
        self.console.print(message, highlight=False, markup=False)

    def trouble(self) -> str | None:
        return self.stream.trouble()


def _filled(parts: Sequence[str], width: int) -> list[str]:
    """The parts in lines, as many in each as there is room for."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines.append(part)
    return lines


class Indicator(Panel):
    """A live bar on a terminal and nothing else."""

    def render(self) -> Any:
        from rich.progress_bar import ProgressBar

        return ProgressBar(total=1.0, completed=self.status.fraction, width=max(min(self.console.width, 60), 1))

    def finish(self, message: str) -> None:
        self.live.stop()
