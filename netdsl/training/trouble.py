"""A training that cannot go on: numbers that are not finite, memory that runs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.errors import TrainingError, listing
from netdsl.lowering import Attempt, bytes_of
from netdsl.lowering.context import Context, device_halves
from netdsl.lowering.cores import alone
from netdsl.lowering.execution import execute
from netdsl.nets import Sequence, path_text
from netdsl.training.plan import start
from netdsl.training.progress.facts import Facts
from netdsl.training.results import NetTrainResultsObject

if TYPE_CHECKING:
    from netdsl.training.run import Training

__all__ = ["PLACING", "attempt", "break_off", "check_arrays", "keep", "ports_of", "refuse_arrays"]

PLACING = "while it placed the data"
"""Where a training is before its first round, in the words of a message."""

KEPT_EVERY = 1.0
"""The seconds between two copies of the net that are kept for the case that it leaves the numbers: at least these, and so many …"""

COPYING = 300.0
"""… that copying takes no more than a part in so many of the time."""

HUGE = 1e9
"""Numbers beyond this are large by mistake, rather than where a function is not defined."""


def refuse_arrays(training: Training) -> None:
    """Refuse a net that has an array to train, or a state, that is not finite; those that are not trained may be masks."""
    graph, frozen = training.training.graph, training.plan.frozen
    given = {path: value for path, value in graph.arrays.items() if path not in frozen}
    path = _not_finite({**given, **graph.state})
    if path is not None:
        value = np.asarray({**given, **graph.state}[path])
        raise TrainingError(
            f"NetTrain cannot begin with this net: its array {path_text(training._own(path))!r} has the value "
            f"{value[~np.isfinite(value)][0]}. Replace it; NetInitialize(net, All) makes all arrays anew."
        )


def keep(training: Training, now: float) -> None:
    """Keep a copy of the net in the memory of the host, where its losses are finite and no best net is there.

    The one before is kept too: until a loss after it is finite, nothing says that a net is all right.
    """
    if training.best is not None or training.plan.sparing:
        training.kept = []
    elif now >= training.kept_until:
        arrays, state = (
            {path: np.array(value) for path, value in each.items()}
            for each in (training.plan.shown(training.carry), training.carry[2])
        )
        training.kept = [*training.kept[-1:], (training.status.total_batches, arrays, state)]
        after = training.hosts.now()
        training.kept_until = after + max(KEPT_EVERY, COPYING * (after - now))


def break_off(training: Training, what: str) -> None:
    """Raise the error of a training that left the numbers, with its likely cause; the best net so far goes with it.

    No checkpoint is written of it.
    """
    training.checkpoints.ready = False
    training.reason = "stopped at numbers that are not finite,"
    results, kept = _best_so_far(training)
    error = TrainingError(f"{what} {_cause(training)}{kept}")
    error.results = results
    raise error


def ports_of(training: Training, batch: int) -> str:
    """The ports of the losses that are not finite in this batch of the round, as far as they are known one by one."""
    ports = dict.fromkeys(term.port for term in training.training.terms)
    values = training.history.batch_values[-1] if training.history.batch_values else {}
    wrong = [port for port in ports if port in values and not np.isfinite(values[port][batch - 1])]
    return listing(map(repr, wrong or ports))


def _cause(training: Training) -> str:
    """The likely cause, and what helps, in the words of a message."""
    optimizer = training.settings.optimizer
    rate = f"LearningRate than {training.learning_rate:g}" if optimizer.own else "learning rate in Method"
    cures = f"A smaller {rate}, inputs scaled to about 1, or a normalization layer are the usual cures."
    before = _losses_before(training)
    if len(before) < 2 and jax.process_count() == 1:
        try:
            found = _of_first_batch(training, len(before))
        except (RuntimeError, MemoryError):  # no room to look: the error itself is to be said
            found = ""
        if found:
            return found
    if len(before) > 1 and before[-1] > 10 * abs(before.min()):
        return f"Before that it rose from {before.min():.3g} to {before[-1]:.3g}: the steps are too large. {cures}"
    if not len(before):
        return cures
    derivative = "" if len(before) == 1 else ", or the derivative of some function in the net is not finite there"
    return f"The loss before was {before[-1]:.3g}: the step after it led out of the numbers{derivative}. {cures}"


def _of_first_batch(training: Training, done: int) -> str:
    """What the first batch does to the net as it was given: nothing where that is all right, or the batch is no longer there."""
    feed = training.feed
    if done:
        if feed.streamed:
            return ""
        feed.round(1)
    plan, data, order, *_ = next(iter(feed.parts(0, 1)))
    training.carry = None  # its memory is free before that of the next is asked for
    training.carry = training._place(start(plan, *training._start()), may_alias=False)
    training.last = plan, data, order, 0, np.int32(0)
    again = Facts(training)
    if done:
        losses, slopes = again.last_batch
        path = _not_finite(slopes)
        return path and (
            f"The loss of the batch before was {losses.mean():.3g}, but its gradient for the array {path!r} is not finite: the "
            "derivative of some function in the net is not, as that of the square root at 0."
        )
    ranges = _ranges(training, *again.inputs)
    for index, step in enumerate(plan.graph.program.steps):
        if all(ranges.get((index, port), FINE)[0] for port in step.outputs):
            continue
        name = f"the {step.layer.title()} {path_text(training._own(step.path))!r}"
        own = {path: value for path, value in plan.graph.array_table().items() if path[: len(step.path)] == step.path}
        if path := _not_finite(own):
            return f"Its cause is the array {path_text(training._own(path))!r} of {name}, which is not finite. Replace it."
        given = [ranges[ref] for _, ref in step.inputs if ref in ranges]
        low, high = min(each[1] for each in given), max(each[2] for each in given)
        if max(-low, high) > HUGE:
            return f"It comes from {name}, whose inputs are from {low:.3g} to {high:.3g}: scale inputs and targets to about 1."
        return (
            f"It comes from {name}, whose inputs are from {low:.3g} to {high:.3g}: what it computes is not defined for all of them. "
            "Change the layer, or what leads to it."
        )
    return ""


FINE = True, 0.0, 0.0


def _ranges(training: Training, inputs: Mapping[str, Any], indices: Any) -> dict[Any, tuple[bool, float, float]]:
    """Of each wire whether its numbers are finite in a first batch, the lowest, and the highest of them."""
    plan = replace(training.plan, mesh=None)

    def found(carry: Any, inputs: Any, indices: Any) -> Any:
        arrays, fixed, state, _ = carry
        key = jax.random.fold_in(jax.random.key(np.uint32(training.settings.seed % 2**32)), 0)
        context = Context(jnp.ones(indices.shape), (indices,), key, True, (), plan.platform, precision=plan.precision)
        given = device_halves(plan.graph, inputs, plan.compact)
        wires, _ = execute(plan.graph, {**arrays, **fixed}, state, given, context, runs=plan.runs)
        values = {ref: jax.tree.leaves(wire.value)[0] for ref, wire in wires.items()}
        return {ref: (jnp.isfinite(each).all(), each.min(), each.max()) for ref, each in values.items()}

    with alone(training.plan.mesh):
        told = jax.device_get(jax.jit(found)(training.carry, inputs, indices))
    return {ref: (bool(finite), float(low), float(high)) for ref, (finite, low, high) in told.items()}


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
    """The results with the best net by validation, else with the last that was kept, and the sentence that says so in an error."""
    best = training.history.best_round
    which = f"of round {best}, the best by validation"
    if not best:
        good = len(_losses_before(training))
        found = [each for each in training.kept if each[0] < good]
        if not found:
            return None, ""
        done, *training.best = found[-1]
        round_, batch = divmod(done - 1, training.batches)
        which = f"after batch {batch + 1} of round {round_ + 1}, the last that was kept"
    with np.errstate(over="ignore"):  # what is finite in float64 need not be in the net
        results = training.results()
    if _not_finite(results.trained_net.arrays) is not None:
        return None, ""
    return results, f" error.results holds the results with the net {which}."


def _losses_before(training: Training) -> np.ndarray:
    """The losses of all batches before the first that is not finite."""
    losses = training.history.batch_losses
    wrong = np.flatnonzero(~np.isfinite(losses))
    return losses[: wrong[0]] if len(wrong) else losses


def check_arrays(training: Training) -> None:
    """The step after the last loss may have gone astray too."""
    path = _not_finite(training.plan.apart({**training.carry[0], **training.carry[2]}))
    if path is not None:
        name = path_text(training._own(path))
        break_off(training, f"After the last batch of round {len(training.history.losses)} the array {name!r} is not finite.")


def _not_finite(arrays: Mapping[Any, Any]) -> Any:
    """The first whose numbers are not all finite."""
    return next((path for path, value in arrays.items() if not np.isfinite(np.asarray(value)).all()), None)
