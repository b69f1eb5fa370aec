"""Functions that a training calls while it runs: TrainingProgressFunction, and functions as reporters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netdsl.constraints import source_text
from netdsl.declarations import suboptions
from netdsl.errors import DeclarationError, TrainingError, excerpt, nearest
from netdsl.training.failures import failure, named
from netdsl.training.intervals import ROUND, SUBOPTIONS, Due, Every, every, specs
from netdsl.training.progress.facts import Facts
from netdsl.training.progress.status import Status

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["FunctionCall", "Functions", "function_call", "progress_functions"]

OPTION = "TrainingProgressFunction"

ORDERS = ("StopTraining", "AbortTraining")
"""What a function returns to end the training, with the net so far and without [M]."""


@dataclass(frozen=True)
class FunctionCall:
    """A function of the user's, the option it was given to, and when it is due."""

    option: str
    function: Callable[[Mapping[str, Any]], Any]
    due: Due

    def call(self, training: Training) -> bool:
        """Call it with what is known now; whether it says that the training ends."""
        facts = Facts(training)
        try:
            with named(training, self.option, self.function):
                answer = self.function(facts)
        finally:
            facts.close()
        if self.option != OPTION or not isinstance(answer, str):
            return False
        if answer not in ORDERS:
            raise failure(training, self.option, self.function, f"returned {excerpt(answer)}. {nearest(answer, ORDERS)}")
        if answer == "AbortTraining":
            training.reason = "aborted by the TrainingProgressFunction"
            where = f"round {training.status.round}, batch {training.status.batch}"
            raise TrainingError(
                f'The function {source_text(self.function)} returned "AbortTraining" in {where}. There is no trained net.'
            )
        return True


class Functions:
    """All functions that a training calls."""

    def __init__(self, calls: Sequence[FunctionCall] = ()) -> None:
        self.calls = tuple(calls)
        self.seconds = min((call.due.every.seconds for call in self.calls), default=math.inf)

    def tell(self, training: Training, last: bool = False) -> bool:
        """Call the functions that are due, at the `last` batch also those that wait; whether they say that the training ends."""
        status = training.status
        due = [call for call in self.calls if (call.due.pending(status) if last else call.due.now(status))]
        answers = [call.call(training) for call in due]
        return any(answers)

    def batches_left(self, status: Status) -> float:
        """The batches after which one is due next at the earliest."""
        return min((call.due.batches_left(status) for call in self.calls), default=math.inf)


def function_call(option: str, function: Any, interval: Every) -> FunctionCall:
    """A function that is called at intervals."""
    return FunctionCall(option, function, Due(interval))


def progress_functions(setting: Any, further: Sequence[FunctionCall] = ()) -> Functions:
    """The functions that TrainingProgressFunction means, and further ones."""
    calls = []
    for function, options in specs(setting):
        if not callable(function):
            raise DeclarationError(
                f'{OPTION} is a function, [function, {{"Interval": Quantity(n, "Batches")}}], a list of such, or None. '
                f"Got {excerpt(function)}."
            )
        calls.append(function_call(OPTION, function, every(suboptions(options, OPTION, SUBOPTIONS), ROUND, OPTION)))
    return Functions([*calls, *further])
