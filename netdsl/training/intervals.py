"""How often something is done: every so many seconds, batches or rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from netdsl.errors import DeclarationError, excerpt, nearest
from netdsl.symbols import Automatic, Quantity, Rule

if TYPE_CHECKING:
    from netdsl.training.progress.status import Status

__all__ = ["ROUND", "SUBOPTIONS", "Due", "Every", "every", "seconds", "specs"]

TIMES = {"Milliseconds": 1e-3, "Seconds": 1.0, "Minutes": 60.0, "Hours": 3600.0, "Days": 86400.0}
"""The units of time, in seconds."""

COUNTED = ("Batches", "Rounds")

SUBOPTIONS = ("Interval", "MinimumInterval")

_UNITS = {**{unit[:-1]: unit for unit in (*TIMES, "Rounds")}, "Batch": "Batches"}
"""Those of one alone, as they are said too."""

_SLACK = 1e-9
"""What rounding may take from a place: 3 times a third of a round is one round."""


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

    def passed(self, batches: float, per_round: int) -> int:
        """How many places of a counted interval so many batches have passed."""
        return math.floor(batches / self._step(per_round) + _SLACK)

    def after(self, batches: int, per_round: int) -> int:
        """The first place of a counted interval after so many batches."""
        return max(math.ceil((self.passed(batches, per_round) + 1) * self._step(per_round) - _SLACK), batches + 1)

    def _step(self, per_round: int) -> float:
        return self.amount * (per_round if self.unit == "Rounds" else 1)


ROUND = Every(1, "Rounds")
"""After each round."""


def specs(setting: Any) -> list[tuple[Any, Any]]:
    """The things of a setting and their suboptions: one thing, ``[thing, {…}]``, or a list of such; None is nothing."""

    def one(item: Any) -> bool:
        listed = isinstance(item, (list, tuple)) and len(item) > 1
        return listed and [isinstance(each, (Mapping, Rule)) for each in item] == [False] + [True] * (len(item) - 1)

    items = setting if isinstance(setting, (list, tuple)) and not one(setting) else [setting]
    return [(item[0], item[1:]) if one(item) else (item, ()) for item in items if item is not None]


def every(options: Mapping[str, Any], default: Every, what: str, numbers: str = "Seconds") -> Every:
    """The interval that ``{"Interval": …, "MinimumInterval": …}`` means; `what` is the option, in the words of a message.

    A number without a unit is one of `numbers`; where these are "Rounds", time is not asked.
    """
    amount, unit = default.amount, default.unit
    if (given := options.get("Interval", Automatic)) is not Automatic:
        amount, unit = _amount(given, f'The "Interval" of {what}', numbers)
    minimum = default.minimum
    if (least := options.get("MinimumInterval", Automatic)) is not Automatic:
        minimum = seconds(least, f'The "MinimumInterval" of {what}', zero=True)
    return Every(amount, unit, minimum)


def seconds(value: Any, what: str, zero: bool = False, endless: bool = False) -> float:
    """The seconds that a number or a Quantity of time means."""
    number, unit = _parts(value, "Seconds")
    if unit not in TIMES:
        raise DeclarationError(f"{what} is a time, but {value!r} has the unit {unit!r}. {nearest(unit, TIMES)}")
    if not _fits(number, zero, endless):
        bound = "of at least 0" if zero else "above 0"
        raise DeclarationError(f"{what} is a number of seconds {bound}, or a Quantity. Got {excerpt(value)}.")
    return float(number) * TIMES[unit]


def _parts(value: Any, unit: str) -> tuple[Any, str]:
    """The number and the unit, which is given for a number alone."""
    return (value.magnitude, _UNITS.get(value.unit, value.unit)) if isinstance(value, Quantity) else (value, unit)


def _fits(number: Any, zero: bool = False, endless: bool = False) -> bool:
    if isinstance(number, bool) or not isinstance(number, Real):
        return False
    return (float(number) >= 0 if zero else float(number) > 0) and (endless or float(number) < math.inf)


def _amount(value: Any, what: str, numbers: str) -> tuple[float, str]:
    """An amount of seconds, batches or rounds, and its unit."""
    number, unit = _parts(value, numbers)
    timed = numbers == "Seconds"
    if not _fits(number):
        forms = 'Quantity(n, "Batches"), Quantity(n, "Rounds")' + (' or Quantity(n, "Seconds")' if timed else "")
        raise DeclarationError(f"{what} is {forms}, or a number of {numbers.lower()}, above 0. Got {excerpt(value)}.")
    if unit in COUNTED:
        return float(number), unit
    if timed and unit in TIMES:
        return seconds(value, what), "Seconds"
    if unit in TIMES:
        raise DeclarationError(f"{what} is counted in Batches or Rounds, but {value!r} has the unit {unit!r}.")
    raise DeclarationError(f"{what} has the unit {unit!r}. {nearest(unit, [*(TIMES if timed else ()), *COUNTED])}")


class Due:
    """Says when an interval is over. What falls due before the minimum has passed waits for it."""

    def __init__(self, interval: Every) -> None:
        self.every = interval
        self.last = 0.0
        """The seconds, or the batches, when it was due last."""
        self.told = -math.inf
        self.begun = False

    def pending(self, status: Status) -> bool:
        """Whether the interval is over, the minimum aside."""
        if self.every.unit == "Seconds":
            return status.elapsed - self.last >= self.every.amount
        return self.every.passed(status.settled, status.batches) > self.every.passed(self.last, status.batches)

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
        return self.every.after(status.total_batches, status.batches) - status.total_batches
