"""How often something is told: every so many seconds, batches or rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from netdsl.errors import DeclarationError, excerpt, nearest
from netdsl.symbols import Quantity, suboptions
from netdsl.training.progress.status import Status

__all__ = ["TIMES", "Due", "Every", "every", "specs"]

TIMES = {"Milliseconds": 1e-3, "Seconds": 1.0, "Minutes": 60.0, "Hours": 3600.0, "Days": 86400.0}
"""The units of time, in seconds."""


@dataclass(frozen=True)
class Every:
    """An interval: so many "Seconds", "Batches" or "Rounds", and the seconds that pass between two times at least."""

    amount: float
    unit: str = "Seconds"
    minimum: float = 0.0

    @property
    def seconds(self) -> float:
        """The seconds between two times; infinity where batches or rounds are counted."""
        return self.amount if self.unit == "Seconds" else math.inf


def specs(setting: Any) -> list[tuple[Any, Mapping[str, Any]]]:
    """The things of a setting and their suboptions: one thing, ``[thing, {…}]``, or a list of such; None is nothing."""

    def one(item: Any) -> tuple[Any, Mapping[str, Any]] | None:
        options = suboptions(item[1:]) if isinstance(item, (list, tuple)) and len(item) > 1 else None
        return None if options is None else (item[0], options)

    items = setting if isinstance(setting, (list, tuple)) and not one(setting) else [setting]
    return [one(item) or (item, {}) for item in items if item is not None]


def every(options: Mapping[str, Any], default: Every, what: str) -> Every:
    """The interval that ``{"Interval": …, "MinimumInterval": …}`` means; `what` is the option, in the words of a message."""
    for key in options:
        if key not in ("Interval", "MinimumInterval"):
            raise DeclarationError(f"{what} has no suboption {excerpt(key)}. {nearest(key, ['Interval', 'MinimumInterval'])}")
    amount, unit = default.amount, default.unit
    if "Interval" in options:
        amount, unit = _amount(options["Interval"], f'The "Interval" of {what}')
    minimum = default.minimum
    if "MinimumInterval" in options:
        minimum, counted = _amount(options["MinimumInterval"], f'The "MinimumInterval" of {what}', zero=True)
        if counted != "Seconds":
            raise DeclarationError(f'The "MinimumInterval" of {what} is a time. Got {excerpt(options["MinimumInterval"])}.')
    return Every(amount, unit, minimum)


def _amount(value: Any, what: str, zero: bool = False) -> tuple[float, str]:
    """A number of seconds, or a Quantity of time, batches or rounds."""
    number, unit = (value.magnitude, value.unit) if isinstance(value, Quantity) else (value, "Seconds")
    good = (
        isinstance(number, Real)
        and not isinstance(number, bool)
        and 0 <= float(number) < math.inf
        and (zero or float(number) > 0)
    )
    if not good:
        raise DeclarationError(
            f'{what} is a number of seconds, or Quantity(n, "Seconds"), "Batches" or "Rounds", '
            f"{'of at least 0' if zero else 'above 0'}. Got {excerpt(value)}."
        )
    for known in ("Batches", "Rounds"):
        if unit in (known, known.rstrip("s"), known.removesuffix("es")):
            return float(number), known
    if unit not in TIMES:
        raise DeclarationError(f"{what} has the unit {unit!r}. {nearest(unit, [*TIMES, 'Batches', 'Rounds'])}")
    return float(number) * TIMES[unit], "Seconds"


class Due:
    """Says when an interval is over. What falls due before the minimum has passed waits for it."""

    def __init__(self, interval: Every) -> None:
        self.every = interval
        self.last = 0.0
        """The seconds, or the batches, when it was due last."""
        self.told = -math.inf
        self.begun = False

    def _step(self, status: Status) -> float:
        return self.every.amount * (status.batches if self.every.unit == "Rounds" else 1)

    def pending(self, status: Status) -> bool:
        """Whether the interval is over, the minimum aside."""
        if self.every.unit == "Seconds":
            return status.elapsed - self.last >= self.every.amount
        step = self._step(status)
        return math.floor(status.settled / step + 1e-9) > math.floor(self.last / step + 1e-9)

    def now(self, status: Status) -> bool:
        """Whether it is due; a yes starts the next interval."""
        if not self.pending(status) or status.elapsed - self.told < self.every.minimum:
            return False
        self.told = status.elapsed
        self.last = status.elapsed if self.every.unit == "Seconds" else status.settled
        return True

    def batches_left(self, status: Status) -> float:
        """The batches until it is due next, asked before each chunk; infinity where time decides."""
        if not self.begun:  # a training that is resumed does not begin at 0
            self.begun, self.last = True, status.elapsed if self.every.unit == "Seconds" else status.settled
        if self.every.unit == "Seconds":
            return math.inf
        step = self._step(status)
        done = status.total_batches
        return max(math.ceil((math.floor(done / step + 1e-9) + 1) * step - 1e-9) - done, 1)
