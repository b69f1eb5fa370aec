"""TrainingStoppingCriterion: when a training has gone on long enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from netdsl.declarations import suboptions
from netdsl.errors import DeclarationError, excerpt
from netdsl.symbols import Automatic, Quantity, is_rules

__all__ = ["LOSS", "Criterion", "Watch", "criterion"]

LOSS = "Loss"
SUBOPTIONS = ("Criterion", "Patience", "InitialPatience", "AbsoluteChange", "RelativeChange")


@dataclass(frozen=True)
class Criterion:
    """What has to improve for a training to go on.

    Args:
        key: "Loss", or a measurement; None where a function decides.
        patience: for how many rounds it may fail to improve.
        initial: the rounds at the beginning that are not looked at at all [M].
        absolute: what counts as an improvement is larger than this,
        relative: and larger than this share of the best value so far.
        function: the function of the results so far that decides.
    """

    key: Hashable = LOSS
    patience: float = 0
    initial: float = 0
    absolute: float = 0.0
    relative: float = 0.0
    function: Callable[[dict[str, Any]], Any] | None = None

    def improves(self, value: float, best: float, increasing: bool) -> bool:
        """Whether a value is better than the best by enough."""
        gain = value - best if increasing else best - value
        return gain > max(self.absolute, self.relative * abs(best))


class Watch:
    """A criterion at work: it is shown every value, in order, and says when to stop."""

    def __init__(self, criterion: Criterion, increasing: bool) -> None:
        self.criterion, self.increasing = criterion, increasing
        self.best = math.nan
        self.at = 0.0
        """The rounds after which the best value was seen."""

    def see(self, value: float, rounds: float) -> bool:
        """Whether to stop after so many rounds, of which one may be in its middle, with this value."""
        criterion = self.criterion
        if rounds <= criterion.initial:
            return False
        if math.isnan(self.best) or criterion.improves(value, self.best, self.increasing):
            if not math.isfinite(value):
                return self._late(rounds)
            self.best, self.at = value, rounds
            return False
        return self._late(rounds)

    def _late(self, rounds: float) -> bool:
        return not math.isnan(self.best) and rounds - self.at > self.criterion.patience + 1e-9


def criterion(setting: Any) -> Criterion | None:
    """The criterion that TrainingStoppingCriterion means; None without one."""
    if setting is None:
        return None
    if setting is Automatic:
        return Criterion()
    if callable(setting) and not isinstance(setting, type):
        return Criterion(key=None, function=setting)
    if not isinstance(setting, Mapping) and not is_rules(setting):
        return Criterion(key=setting)
    setting = suboptions([setting] if isinstance(setting, Mapping) else setting, "TrainingStoppingCriterion", SUBOPTIONS)
    if "AbsoluteChange" in setting and "RelativeChange" in setting:
        raise DeclarationError('TrainingStoppingCriterion takes "AbsoluteChange" or "RelativeChange". Got both.')
    key = setting.get("Criterion", Automatic)
    if callable(key):
        raise DeclarationError(
            "TrainingStoppingCriterion: a function that decides stands alone, without suboptions. "
            f'Got {excerpt(key)} as "Criterion".'
        )
    return Criterion(
        key=LOSS if key is Automatic else key,
        patience=_number(setting, "Patience"),
        initial=_number(setting, "InitialPatience"),
        absolute=_number(setting, "AbsoluteChange"),
        relative=_number(setting, "RelativeChange"),
    )


def _number(setting: Mapping[str, Any], name: str) -> float:
    """A number of at least 0; rounds may be Quantity(n, "Rounds"), a relative change Quantity(q, "Percent")."""
    value = given = setting.get(name, 0)
    if value is Automatic or value is None:
        return 0.0
    unit, factor = ("Percent", 0.01) if name == "RelativeChange" else ("Rounds", 1.0)
    if isinstance(value, Quantity) and value.unit == unit and name != "AbsoluteChange":
        value = value.magnitude * factor
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        more = {"RelativeChange": ', or Quantity(q, "Percent")', "AbsoluteChange": ""}.get(name, " of rounds")
        raise DeclarationError(f"TrainingStoppingCriterion: {name!r} is a number of at least 0{more}. Got {excerpt(given)}.")
    return float(value)
