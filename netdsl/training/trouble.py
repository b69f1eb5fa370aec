"""A training that cannot go on: numbers that are not finite, memory that runs out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np

from netdsl.errors import TrainingError
from netdsl.lowering import Attempt, bytes_of
from netdsl.nets import Sequence, path_text
from netdsl.training.plan import start
from netdsl.training.results import NetTrainResultsObject

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["PLACING", "attempt", "break_off", "check_arrays"]

PLACING = "while it placed the data"
"""Where a training is before its first round, in the words of a message."""


def break_off(training: Training, what: str) -> None:
    """Raise the error of a training that left the numbers; the best net so far goes with it, and no checkpoint is written of it."""
    training.checkpoints.ready = False
    training.reason = "stopped at numbers that are not finite,"
    optimizer = training.settings.optimizer
    rate = f"LearningRate than {training.learning_rate:g}" if optimizer.own else "learning rate in Method"
    results, kept = _best_so_far(training)
    error = TrainingError(
        f"{what} A smaller {rate}, inputs scaled to about 1, or a normalization layer are the usual cures.{kept}"
    )
    error.results = results
    raise error


def attempt(training: Training) -> Attempt:
    """What is said when memory runs out. The carry may be gone by then: it was donated."""
    training.reason = "ran out of memory"
    graph, plan = training.training.graph, training.plan
    carry = jax.eval_shape(partial(start, plan), *training._start())
    results, kept = _best_so_far(training)
    sequences = [column for column in training.columns.values() if isinstance(column, Sequence)]
    return Attempt(
        what="NetTrain",
        where=training.where,
        net=graph,
        batch_size=training.batch_size,
        device=training.device,
        data=bytes_of((training.columns, None if training.validation is None else training.validation.columns)),
        arrays=bytes_of((carry, carry[0])),
        training=True,
        precision=plan.precision,
        length=max((sequence.data.shape[1] for sequence in sequences), default=1),
        smaller="Fewer examples can help." if training.where == PLACING else "Try BatchSize={}.",
        results=results,
        kept=kept,
    )


def _best_so_far(training: Training) -> tuple[NetTrainResultsObject | None, str]:
    """The results with the best net by validation, where there is one, and the sentence that says so in an error."""
    best = training.history.best_round
    if not best:
        return None, ""
    return training.results(), f" error.results holds the results with the net of round {best}, the best by validation."


def check_arrays(training: Training) -> None:
    """The step after the last loss may have gone astray too."""
    for path, value in training.plan.apart({**training.carry[0], **training.carry[2]}).items():
        if not np.isfinite(np.asarray(value)).all():
            name = path_text(training._own(path))
            break_off(training, f"After the last batch of round {len(training.history.losses)} the array {name!r} is not finite.")
