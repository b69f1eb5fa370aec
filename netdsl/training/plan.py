"""What is compiled for a training: the step over one batch, chunks of steps in one dispatch, and validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from netdsl.attachment import LossTerm
from netdsl.layers import CrossEntropyLossLayer
from netdsl.lowering import CORES, compiled, note_trace, program_key, skeleton, split_over
from netdsl.lowering.context import Context, device_halves
from netdsl.lowering.execution import execute
from netdsl.lowering.precision import REAL32, Precision, cast
from netdsl.lowering.rolling import STACKED, Run, apart, runs_of, stacked
from netdsl.nets import ArrayPath, Net, Ref, Sequence
from netdsl.training.optimizers import Optimizer

__all__ = ["Plan", "chunk_function", "permutation", "start", "validation_function"]


@dataclass(frozen=True)
class Plan:
    """Everything static of a training: a second training with an equal plan compiles nothing."""

    graph: Net
    terms: tuple[LossTerm, ...]
    optimizer: Optimizer
    frozen: frozenset[ArrayPath]
    compact: frozenset[str]
    batch_size: int
    platform: str
    cores: int = 1
    """How many of the machine's cores share each batch, as devices of one mesh."""
    precision: Precision = REAL32
    streamed: bool = False
    """Whether the data are those of a chunk, in the order of its batches, rather than all, taken by the round's permutation."""
    lengths: tuple[tuple[str, int], ...] = ()
    """How much of the sequences at ports these batches have, where it is not all."""

    def key(self, kind: str) -> tuple[Any, ...]:
        """The key under which a compiled function of this plan is kept."""
        method = self.optimizer.transformation if not self.optimizer.own else (self.optimizer.name, self.optimizer.options)
        further = self.frozen, self.compact, self.batch_size, self.platform, self.cores, self.precision.name
        further += self.streamed, self.lengths
        return (kind, program_key(self.graph), self.terms, method, *further)

    def bare(self) -> Plan:
        """The plan without the values of arrays: what compiled functions hold on to."""
        return replace(self, graph=skeleton(self.graph))

    @property
    def classified(self) -> tuple[Ref, Ref, str] | None:
        """The probabilities and targets of the one cross-entropy loss, and its form; None when there is not just one."""
        found = [step for step in self.graph.program.steps if isinstance(step.layer, CrossEntropyLossLayer)]
        if len(found) != 1:
            return None
        ports = dict(found[0].inputs)
        return ports["Input"], ports["Target"], found[0].layer.TargetForm  # type: ignore[attr-defined]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of layers that are computed in loops: where nobody looks inside."""
        outputs, classified = self.graph.program.outputs, self.classified
        wanted = [*(outputs[term.port] for term in self.terms), *(() if classified is None else classified[:2])]
        return runs_of(self.graph, wanted, frozen=self.frozen)

    def stacked(self, arrays: Mapping[ArrayPath, Any]) -> dict[ArrayPath, Any]:
        """Arrays as the training holds them: those of runs stacked, unless the user's own optimizer sees them one by one."""
        return stacked(self.runs, arrays) if self.optimizer.own else dict(arrays)

    def apart(self, arrays: Mapping[ArrayPath, Any]) -> dict[ArrayPath, Any]:
        """The same arrays by their own paths."""
        return apart(self.runs, arrays)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes of the mesh around a core's part of the batch."""
        return (CORES,) if self.cores > 1 else ()


def _examples(plan: Plan, template: Net, arrays: Any, state: Any, inputs: Mapping[str, Any], context: Context) -> Any:
    """Losses and errors of the examples of a batch, and the state after it."""
    given = device_halves(template, inputs, plan.compact)
    wires, after = execute(template, arrays, state, given, context, runs=plan.runs)
    outputs, classified = template.program.outputs, plan.classified
    count = context.weights.shape[0]
    losses = jnp.zeros(count)
    for term in plan.terms:
        values = cast(wires[outputs[term.port]].value, plan.precision.held)
        losses += term.weight * jnp.sum(values.reshape(count, -1), axis=1)
    if classified is None:
        return losses, jnp.zeros(count), after
    value, target, form = classified
    logits = wires[value].logits  # which decide as their probabilities do
    decided, threshold = (wires[value].value, 0.5) if logits is None else (logits[1], 0.0)
    return losses, jax.vmap(lambda v, t: _error(v, t, form, threshold))(decided, wires[target].value), after


def _error(value: Any, target: Any, form: str, threshold: float) -> Any:
    """The share of elements of one example whose decision is wrong."""
    sequence = next((v for v in (value, target) if isinstance(v, Sequence)), None)
    value, target = (v.data if isinstance(v, Sequence) else v for v in (value, target))
    value = lax.stop_gradient(value)
    if form == "Binary":
        wrong = (value >= threshold) != (target >= 0.5)
    else:
        expected = target - 1 if form == "Index" else jnp.argmax(target, axis=-1)
        wrong = jnp.argmax(value, axis=-1) != expected
    wrong = wrong.astype(jnp.result_type(float))
    if sequence is None:
        return jnp.mean(wrong)
    mask = sequence.mask.reshape((-1,) + (1,) * (wrong.ndim - 1))
    return jnp.sum(jnp.where(mask, wrong, 0)) / (sequence.length * (wrong.size // wrong.shape[0]))


def _gathered(data: Mapping[str, Any], indices: Any, lengths: tuple[tuple[str, int], ...] = ()) -> dict[str, Any]:
    given = {port: jax.tree.map(lambda column: column[indices], column) for port, column in data.items()}
    return given | {port: Sequence(given[port].data[:, :length], given[port].length) for port, length in lengths}


def _step(plan: Plan, template: Net) -> Callable[..., Any]:
    """One update: (carry, inputs, indices, key, rate, multipliers) -> carry, loss, error.

    `inputs` and `indices` are a core's part of the batch; the update is the same on each core.
    """
    import optax

    transformation = optax.with_extra_args_support(plan.optimizer.make())
    frozen = plan.frozen | {(STACKED, *path) for path in plan.frozen}

    def objective(arrays: Any, fixed: Any, state: Any, inputs: Any, indices: Any, key: Any) -> Any:
        context = Context(jnp.ones(indices.shape), (indices,), key, True, plan.axes, plan.platform, precision=plan.precision)
        losses, errors, after = _examples(plan, template, {**arrays, **fixed}, state, inputs, context)
        return jnp.mean(losses), (jnp.mean(errors), after)

    def step(carry: Any, inputs: Any, indices: Any, key: Any, rate: Any, multipliers: Any) -> Any:
        arrays, fixed, state, optimizer_state = carry
        kept = {path: value for path, value in state.items() if path in frozen}
        gradient = jax.value_and_grad(objective, has_aux=True)
        (loss, (error, after)), slopes = gradient(arrays, fixed, state, inputs, indices, key)
        if plan.axes:
            together, apart = ravel_pytree((loss, error, slopes))
            loss, error, slopes = apart(lax.pmean(together, plan.axes))
        updates, optimizer_state = transformation.update(slopes, optimizer_state, arrays, value=loss, grad=slopes)
        sign = -1.0 if plan.optimizer.own else 1.0
        arrays = {
            path: (value + sign * rate * multipliers[path] * updates[path]).astype(value.dtype) for path, value in arrays.items()
        }
        return (arrays, fixed, {**after, **kept}, optimizer_state), loss, error

    return step


def _places(plan: Plan, batch: Any) -> Any:
    """The places in a round, or in the data, of this core's part of a batch."""
    part = plan.batch_size // plan.cores
    start = batch * plan.batch_size
    if plan.axes:
        start += lax.axis_index(CORES) * part
    return start + jnp.arange(part)


def chunk_function(plan: Plan) -> Callable[..., Any]:
    """``f(carry, buffers, data, order, start, count, offset, seed, rate, multipliers) -> carry, buffers``.

    `order` is the round's permutation, or where the plan is streamed the part of it that the data are, and their first batch.
    The batches from `start` on, `count` of them, are trained on, and their losses and errors written into the buffers. `offset` is the
    number of batches before this round.
    """
    return compiled(plan.key("train"), lambda: _chunk_function(plan.bare()))


def _chunk_function(plan: Plan) -> Callable[..., Any]:
    step = _step(plan, plan.graph)

    def at(batch: Any, state: Any, data: Any, order: Any, offset: Any, seed: Any, rate: Any, multipliers: Any) -> Any:
        carry, (losses, errors) = state
        order, first = order if plan.streamed else (order, 0)
        # a batch that reaches over the end is filled up from the round's own permutation
        places = _places(plan, batch - first) % order.shape[0]
        indices = order[places]
        key = jax.random.fold_in(jax.random.key(seed), offset + batch)
        carry, loss, error = step(
            carry, _gathered(data, places if plan.streamed else indices, plan.lengths), indices, key, rate, multipliers
        )
        return carry, (losses.at[batch].set(loss), errors.at[batch].set(error))

    def chunk(carry: Any, buffers: Any, data: Any, order: Any, start: Any, count: Any, *rest: Any) -> Any:
        note_trace()
        return lax.fori_loop(start, start + count, lambda b, state: at(b, state, data, order, *rest), (carry, buffers))

    return jax.jit(split_over(chunk, plan.cores), donate_argnums=(0, 1))


def validation_function(plan: Plan) -> Callable[..., Any]:
    """``f(arrays, fixed, state, data, batches) -> (sum of losses, sum of errors)`` over all examples of `data`, in test mode."""
    return compiled(plan.key("validate"), lambda: _validation_function(plan.bare()))


def _validation_function(plan: Plan) -> Callable[..., Any]:
    template = plan.graph

    def batch_sums(arrays: Any, fixed: Any, state: Any, data: Any, batch: Any) -> Any:
        count = jax.tree.leaves(data)[0].shape[0]
        places = _places(plan, batch)
        weights, indices = (places < count).astype(jnp.float32), jnp.minimum(places, count - 1)
        context = Context(weights, (indices,), jax.random.key(0), False, plan.axes, plan.platform, precision=plan.precision)
        inputs = _gathered(data, indices)
        losses, errors, _ = _examples(plan, template, {**arrays, **fixed}, state, inputs, context)
        return jnp.sum(losses * weights), jnp.sum(errors * weights)

    def validate(arrays: Any, fixed: Any, state: Any, data: Any, batches: Any) -> Any:
        note_trace()

        def add(batch: Any, sums: Any) -> Any:
            return jax.tree.map(jnp.add, sums, batch_sums(arrays, fixed, state, data, batch))

        sums = lax.fori_loop(0, batches, add, (jnp.zeros(()), jnp.zeros(())))
        return lax.psum(sums, plan.axes) if plan.axes else sums

    return jax.jit(split_over(validate, plan.cores))


def start(plan: Plan, arrays: Any, fixed: Any, state: Any) -> tuple[Any, ...]:
    """The carry of the first batch; what is not of another type is not copied."""
    arrays, fixed, state = cast((arrays, fixed, state), plan.precision.held)
    return arrays, fixed, state, plan.optimizer.start(arrays)


def permutation(count: int, seed: int, round_: int) -> np.ndarray:
    """The order in which a round takes `count` examples: the same on every device."""
    return np.random.default_rng([seed, 0, round_]).permutation(count).astype(np.int32)
