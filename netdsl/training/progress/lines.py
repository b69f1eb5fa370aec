"""Plain lines for logs and pipes, and streams that may fail under them."""

from __future__ import annotations

import os
import time
from typing import Any

from netdsl.training.intervals import Due, Every
from netdsl.training.progress.status import Progress, Status

__all__ = ["Lines", "Parts", "Stream"]


class Stream:
    """A stream that is written to as long as somebody reads: a training never ends because its words cannot be shown."""

    encoding: str

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.error: Exception | None = None

    def _try(self, name: str, *arguments: Any) -> Any:
        if self.stream is None:
            return None
        try:
            return getattr(self.stream, name)(*arguments)
        except UnicodeEncodeError:
            raise
        except (OSError, ValueError) as error:
            self.error = error.with_traceback(None)
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

    def animates(self) -> bool:
        """Whether it is a terminal that can move its cursor."""
        return self.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")

    def writes(self, text: str) -> bool:
        """Whether its encoding has these signs."""
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def trouble(self) -> str | None:
        """Why it can no longer be written to."""
        return None if self.error is None else str(self.error) or type(self.error).__name__


class Lines(Progress):
    """Plain lines."""

    def __init__(self, stream: Any, interval: Every) -> None:
        self.stream = Stream(stream)
        self.every = interval
        self.due = Due(interval)
        self.next = 0.0
        self.phase = ""

    def write(self, line: str) -> None:
        """One line."""
        print(line, file=self.stream, flush=True)

    def start(self, title: str) -> None:
        self.write(title)

    def update(self, status: Status) -> None:
        if self._is_due(status):
            self.write(status.text())

    def _is_due(self, status: Status) -> bool:
        if self.every.unit != "Seconds":
            return self.due.now(status)
        now = time.monotonic()  # the time of compiling and validating counts too
        if now < self.next and status.phase == self.phase:
            return False
        self.next, self.phase = now + max(self.every.amount, self.every.minimum), status.phase
        return True

    def batches_left(self, status: Status) -> float:
        return self.due.batches_left(status)

    def finish(self, message: str) -> None:
        self.write(message)

    def trouble(self) -> str | None:
        return self.stream.trouble()


class Parts(Lines):
    """The tenths of the training that are done, one line each: what is left of a progress bar in a log."""

    def __init__(self, stream: Any, interval: Every) -> None:
        super().__init__(stream, interval)
        self.tenths = 0

    def start(self, title: str) -> None:
        pass

    def update(self, status: Status) -> None:
        tenths = int(status.fraction * 10 + 1e-9)
        if tenths > self.tenths:
            self.tenths = tenths
            self.write(f"{10 * tenths}%")

    def finish(self, message: str) -> None:
        pass
