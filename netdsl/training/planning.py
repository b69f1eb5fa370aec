"""How long a training is: in rounds, in time, by itself; and the learning rates of its batches, which depend on that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.training.failures import named

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["plan_rounds", "rate_of", "remaining", "seconds_of"]

AUTOMATIC_SECONDS = 20.0
"""How long a training takes when neither rounds nor time are given."""

MOST_ROUNDS = 10_000


def rate_of(training: Training, round_: int, done: int, count: int) -> Any:
    """The learning rate of the next batches of a round, placed; where a schedule changes it, in the places of these batches."""
    initial, schedule = training.settings.optimizer.learning_rate, training.settings.optimizer.schedule
    if schedule is None:
        return training.constants[1]
    # what JAX computes at once it computes for the whole round, so that there is one shape
    start, size = (0, training.batches) if schedule.traceable else (done, count)
    rates = np.zeros(training.batches)
    first = (round_ - 1) * training.batches + start + 1
    with named(training, "LearningRateSchedule", schedule.function):
        rates[start : start + size] = initial * schedule.factors(first, size, _planned(training, round_, done))
    training.learning_rate = float(rates[max(done + count - 1, 0)])
    return training._place(rates.astype(training.number))


def _planned(training: Training, round_: int, done: int) -> int:
    """The batches that the training has in all; where time ends it, by the speed so far, before the first batch the most."""
    settings, before = training.settings, (round_ - 1) * training.batches + done
    rounds = MOST_ROUNDS if settings.rounds is None or math.isinf(settings.rounds) else int(settings.rounds)
    total = rounds * training.batches
    automatic = settings.rounds is None and settings.seconds is None
    goal = AUTOMATIC_SECONDS if automatic else settings.seconds
    if before and goal is not None and not math.isinf(goal):
        now = training.hosts.now()
        left = goal - (now - (training.trained_from if automatic else training.started))
        ends: float = before + left * before / max(now - training.trained_from, 1e-6)
        ends = max(math.ceil(ends), before + 1)
        total = min(total, -(-ends // training.batches) * training.batches if automatic else ends)
    return min(total, np.iinfo(np.int32).max)


def seconds_of(training: Training, count: int) -> float:
    """How long so many batches take, as far as it is known."""
    rate = training.status.examples_per_second
    return count * training.batch_size / rate if rate else math.inf


def remaining(training: Training, round_: int, done: int) -> float | None:
    """The seconds left, by the rounds or the TimeGoal, whichever ends first."""
    status, goal = training.status, training.settings.seconds
    ends = [] if goal is None or math.isinf(goal) else [max(goal - status.elapsed, 0.0)]
    if status.rounds is not None and status.examples_per_second:
        left = (status.rounds - round_) * training.batches + training.batches - done
        ends.append(left * training.batch_size / status.examples_per_second)
    return min(ends, default=None)


def plan_rounds(training: Training, round_: int) -> None:
    """Stop after the last round; where none is given, plan as many as fit the automatic time."""
    settings = training.settings
    if training.reason:
        return
    if settings.rounds is None and settings.seconds is None:
        trained = training.hosts.now() - training.trained_from
        spent = max(trained, 1e-6) / round_
        training.status.rounds = max(round_, min(MOST_ROUNDS, math.ceil(AUTOMATIC_SECONDS / spent)))
        if trained >= AUTOMATIC_SECONDS:
            training.reason = f"reached the automatic {AUTOMATIC_SECONDS:g} seconds"
        elif round_ >= MOST_ROUNDS:
            training.reason = f"reached the automatic limit of {MOST_ROUNDS:,} rounds"
    elif settings.rounds is not None and round_ >= settings.rounds:
        training.reason = "finished"
