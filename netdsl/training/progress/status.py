"""Where a training is, in numbers and in words, and what may show it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Progress", "Status", "duration_text"]


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
    finished: int = 0
    """The rounds that are over, their validation too."""
    history: Any = None
    """The History of the training: every loss so far."""
    batches_per_second: float = 0.0
    measurements: dict[str, float] = field(default_factory=dict)
    """The other measurements of the round so far, as numbers by their text."""
    validation_measurements: dict[str, float] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        """The share done, of the batches or of the time, whichever is further; 0 where neither is limited."""
        of_batches = 0.0 if self.rounds is None else self.total_batches / (self.rounds * max(self.batches, 1))
        of_time = 0.0 if self.goal is None else self.elapsed / self.goal
        return min(max(of_batches, of_time), 1.0)

    @property
    def total_batches(self) -> int:
        """The batches trained on so far."""
        return (max(self.round, 1) - 1) * self.batches + self.batch

    @property
    def settled(self) -> int:
        """The same, but the last batch of a round counts only when its validation is over."""
        waits = self.batch == self.batches and self.finished < self.round
        return self.total_batches - 1 if waits and self.batch else self.total_batches

    def values(self) -> dict[str, float | None]:
        """What was measured last, by Wolfram's names: the mean over the round so far, and the last validation."""
        return {
            "Loss": self.loss,
            "ErrorRate": self.error,
            "ValidationLoss": self.validation_loss,
            "ValidationErrorRate": self.validation_error,
            **self.measurements,
            **{f"Validation{name}": value for name, value in self.validation_measurements.items()},
        }

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

    def rows(self, running: bool = True) -> list[tuple[str, str]]:
        """What a panel says, below its bar: a label and its text."""
        if self.phase == "compiling":
            return [("compiling", duration_text(self.elapsed))]
        rate = format(self.batches_per_second, ",.0f" if self.batches_per_second >= 100 else ".3g")
        rows = [
            ("round", f"{self.round} of {self.rounds or '?'}, batch {self.batch} of {self.batches}"),
            ("speed", f"{self.examples_per_second:,.0f} examples/s, {rate} batches/s"),
            ("training", _values(self.loss, self.error, self.measurements)),
        ]
        if self.validation_loss is not None:
            values = _values(self.validation_loss, self.validation_error, self.validation_measurements)
            rows.append(("validation", values))
        left = "" if self.remaining is None or not running else f", {duration_text(self.remaining)} left"
        return [*rows, ("time", f"{duration_text(self.elapsed)}{left}")]

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


def _values(loss: float | None, error: float | None, others: dict[str, float]) -> str:
    parts = [] if loss is None else [f"loss {loss:.4g}"]
    parts += [] if error is None else [f"error rate {100 * error:.2f}%"]
    return ", ".join([*parts, *(f"{name} {value:.4g}" for name, value in others.items())])


def duration_text(seconds: float) -> str:
    """Seconds as Mathematica's panel words them: ``19s``, ``2.8min``, ``1.2h``."""
    if seconds < 60:
        return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"
    return f"{seconds / 60:.1f}min" if seconds < 3600 else f"{seconds / 3600:.1f}h"


class Progress:
    """Shows nothing: what the reporters are made from."""

    calls: Any = ()
    """The functions of the user's that are called as reporters."""
    seconds = math.inf
    """How often it asks to be told, in seconds; infinity: as often as it suits the training."""

    def start(self, title: str) -> None:
        """Called once, before anything is compiled."""

    def update(self, status: Status) -> None:
        """Called after every chunk of batches and every validation."""

    def batches_left(self, status: Status) -> float:
        """The batches after which it wants to be told at the latest."""
        return math.inf

    def finish(self, message: str) -> None:
        """Called once, at the end, whatever the reason."""

    def trouble(self) -> str | None:
        """Why the words could not be shown to the end; None where they could."""
        return None
