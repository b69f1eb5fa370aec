"""What is compiled for a training: the step over one batch, chunks of steps in one dispatch, and validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh

from netdsl.attachment import LossTerm
from netdsl.layers import CrossEntropyLossLayer
from netdsl.lowering import DEVICES, compiled, note_trace, program_key, size_of, skeleton, split_over
from netdsl.lowering.context import Context, device_halves
from netdsl.lowering.execution import execute
from netdsl.lowering.precision import REAL32, Precision, cast
from netdsl.lowering.rolling import STACKED, Run, apart, runs_of, stacked
from netdsl.measurements.tally import Sums, merged, zeros
from netdsl.nets import ArrayPath, Net, Ref, Sequence
from netdsl.training.memory import in_parts, parts_of, recomputing
from netdsl.training.optimizers import Optimizer
from netdsl.training.updates import EVERYTHING, Turns, averaged, started, updated

__all__ = ["Plan", "chunk_function", "gradient_function", "permutation", "start", "sums_of", "validation_function"]


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
    mesh: Mesh | None = None
    """The devices that share each batch: cores of the machine, or those that TargetDevice names; None for one."""
    precision: Precision = REAL32
    turns: Turns = EVERYTHING
    sparing: bool = False
    """Whether memory is saved at the price of time."""
    sums: Sums = field(default_factory=Sums)
    """What is summed over the batches for measurements."""
    streamed: bool = False
    """Whether the data are those of a chunk, in the order of its batches, rather than all, taken by the round's permutation."""
    lengths: tuple[tuple[str, int], ...] = ()
    """How much of the sequences at ports these batches have, where it is not all."""

    def key(self, kind: str) -> tuple[Any, ...]:
        """The key under which a compiled function of this plan is kept."""
        of_data = self.compact, self.batch_size, self.streamed, self.lengths
        further = self.frozen, self.platform, self.mesh, self.precision.name, self.sums, self.turns, self.sparing
        return (kind, program_key(self.graph), self.terms, self.optimizer.key, *of_data, *further)

    def bare(self) -> Plan:
        """The plan without the values of arrays: what compiled functions hold on to."""
        return replace(self, graph=skeleton(self.graph))

    @property
    def classified(self) -> tuple[Ref, Ref, str] | None:
        """The probabilities and targets of the one cross-entropy loss, and its form; None when there is not just one, or where it compares
        elements of sequences, which count one by one."""
        found = [step for step in self.graph.program.steps if isinstance(step.layer, CrossEntropyLossLayer)]
        if len(found) != 1:
            return None
        ports = dict(found[0].inputs)
        if self.graph.solved.types[ports["Input"]].varying:
            return None
        return ports["Input"], ports["Target"], found[0].layer.TargetForm  # type: ignore[attr-defined]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of layers that are computed in loops: where nobody looks inside."""
        outputs, classified = self.graph.program.outputs, self.classified
        wanted = [
            *(outputs[term.port] for term in self.terms),
            *(() if classified is None else classified[:2]),
            *self.sums.needed,
        ]
        return runs_of(self.graph, wanted, frozen=self.frozen)

    def stacked(self, arrays: Mapping[ArrayPath, Any]) -> dict[ArrayPath, Any]:
        """Arrays as the training holds them: those of runs stacked, unless the optimizer or the turns see them one by one."""
        return dict(arrays) if self.optimizer.whole or self.turns.parts else stacked(self.runs, arrays)

    def apart(self, arrays: Mapping[ArrayPath, Any]) -> dict[ArrayPath, Any]:
        """The same arrays by their own paths."""
        return apart(self.runs, arrays)

    def shown(self, carry: tuple[Any, ...]) -> dict[ArrayPath, Any]:
        """The arrays of a carry with which the net is measured and returned: their moving averages where these are asked for."""
        return averaged(carry[0], carry[3])

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes of the mesh around a device's part of the batch."""
        return () if self.mesh is None else (DEVICES,)

    @property
    def part(self) -> int:
        """The number of places in a device's part of the batch; the last parts have empty ones where it does not divide."""
        return -(-self.batch_size // size_of(self.mesh))

    @property
    def divides(self) -> bool:
        """Whether all devices have equally many examples."""
        return self.part * size_of(self.mesh) == self.batch_size


def _examples(plan: Plan, template: Net, arrays: Any, state: Any, inputs: Mapping[str, Any], context: Context) -> Any:
    """Losses and errors of the examples of a batch, the sums of what is measured, and the state after it."""
    given = device_halves(template, inputs, plan.compact)
    wires, after = execute(template, arrays, state, given, context, runs=plan.runs)
    outputs, classified = template.program.outputs, plan.classified
    count = context.weights.shape[0]
    losses, terms = jnp.zeros(count), {}
    for term in plan.terms:
        values = cast(wires[outputs[term.port]].value, plan.precision.held)
        terms[term.port] = jnp.sum(values.reshape(count, -1), axis=1)
        losses += term.weight * terms[term.port]
    sums = {}
    if plan.sums:
        found = {ref: wires[ref].cast(plan.precision.held) for ref in plan.sums.needed}
        sums = plan.sums.of_batch(found, terms, {**arrays, **state}, plan.runs, context.weights, plan.axes)
    if classified is None:
        return losses, jnp.zeros(count), sums, after
    value, target, form = classified
    logits = wires[value].logits  # which decide as their probabilities do
    decided, threshold = (wires[value].value, 0.5) if logits is None else (logits[1], 0.0)
    return losses, jax.vmap(lambda v, t: _error(v, t, form, threshold))(decided, wires[target].value), sums, after


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
    """One update: (carry, inputs, indices, key, batch, rate, numbers) -> carry, loss, error, sums.

    `inputs` and `indices` are a device's part of the batch; the update is the same on each device.
    """
    frozen, turns = plan.frozen | {(STACKED, *path) for path in plan.frozen}, plan.turns
    # sums of measurements are not means, and empty places are not everywhere: then all is computed in one part
    parts = parts_of(template, plan.part) if plan.sparing and plan.divides and not plan.sums else 1

    def objective(arrays: Any, fixed: Any, state: Any, inputs: Any, indices: Any, key: Any) -> Any:
        weights = jnp.ones(indices.shape) if plan.divides else _weights(plan)
        context = Context(weights, (indices,), key, True, plan.axes, plan.platform, precision=plan.precision)
        losses, errors, sums, after = _examples(plan, template, {**arrays, **fixed}, state, inputs, context)
        return _mean(plan, losses, weights), (_mean(plan, errors, weights), sums, after)

    def trained(part: int | None, carry: Any, inputs: Any, indices: Any, key: Any, batch: Any, rate: Any, numbers: Any) -> Any:
        arrays, fixed, state, optimizer_state = carry
        moving = turns.groups(arrays, part)
        own = {path: arrays[path] for group in moving for path in group}
        rest = {path: value for path, value in arrays.items() if path not in own}
        kept = {path: value for path, value in state.items() if path in frozen or not (part is None or path in turns.parts[part])}
        function = recomputing(objective) if plan.sparing and parts == 1 else objective
        gradient = jax.value_and_grad(function, has_aux=True)
        if parts > 1:
            gradient = in_parts(gradient, parts)
        (loss, (error, sums, after)), slopes = gradient(own, {**fixed, **rest}, state, inputs, indices, key)
        if plan.axes:
            together, apart = ravel_pytree((loss, error, slopes))
            loss, error, slopes = apart(lax.pmean(together, plan.axes))
        arrays, optimizer_state = updated(plan.optimizer, moving, slopes, optimizer_state, arrays, loss, batch, rate, numbers)
        return (arrays, fixed, {**after, **kept}, optimizer_state), loss, error, sums

    def step(carry: Any, inputs: Any, indices: Any, key: Any, batch: Any, rate: Any, numbers: Any) -> Any:
        given = carry, inputs, indices, key, batch, rate, numbers
        if not turns.parts:
            return trained(None, *given)
        place = batch // numbers.get("GradientAccumulation", 1) % len(turns.cycle)
        return lax.switch(jnp.array(turns.cycle)[place], [partial(trained, part) for part in range(len(turns.parts))], *given)

    return step


def _places(plan: Plan, batch: Any) -> Any:
    """The places in a round, or in the data, of this device's part of a batch; empty ones repeat the last of the batch."""
    within = _within(plan)
    return batch * plan.batch_size + (within if plan.divides else jnp.minimum(within, plan.batch_size - 1))


def _within(plan: Plan) -> Any:
    """The places of this device's part in a batch."""
    own = jnp.arange(plan.part)
    return lax.axis_index(DEVICES) * plan.part + own if plan.axes else own


def _weights(plan: Plan) -> Any:
    """1 for each example of this device's part of a batch, 0 for an empty place."""
    return jnp.ones(plan.part) if plan.divides else (_within(plan) < plan.batch_size).astype(jnp.result_type(float))


def _mean(plan: Plan, values: Any, weights: Any) -> Any:
    """What this device adds to the mean over a batch, times the number of devices: their mean is that of the batch."""
    return jnp.mean(values) if plan.divides else jnp.sum(values * weights) * (size_of(plan.mesh) / plan.batch_size)


def chunk_function(plan: Plan) -> Callable[..., Any]:
    """``f(carry, buffers, data, order, start, count, offset, seed, rate, numbers) -> carry, buffers``.

    `order` is the round's permutation, or where the plan is streamed the part of it that the data are, and their first batch. The
    batches from `start` on, `count` of them, are trained on, and their losses and errors written into the buffers, and their sums
    merged into those of their slot. `offset` is the number of batches before this round; `rate` is the learning rate, or has that of
    each batch of the round; `numbers` is what `updated` takes.
    """
    return compiled(plan.key("train"), lambda: _chunk_function(plan.bare()))


def _chunk_function(plan: Plan) -> Callable[..., Any]:
    step = _step(plan, plan.graph)

    def at(batch: Any, state: Any, data: Any, order: Any, offset: Any, seed: Any, rate: Any, numbers: Any) -> Any:
        carry, (losses, errors, slots) = state
        order, first = order if plan.streamed else (order, 0)
        # a batch that reaches over the end is filled up from the round's own permutation
        places = _places(plan, batch - first) % order.shape[0]
        indices = order[places]
        key, number = jax.random.key(seed), offset + batch
        key = jax.random.fold_in(key, number)
        rate = rate[batch] if rate.ndim else rate
        inputs = _gathered(data, places if plan.streamed else indices, plan.lengths)
        carry, loss, error, sums = step(carry, inputs, indices, key, number, rate, numbers)
        return carry, (losses.at[batch].set(loss), errors.at[batch].set(error), _kept(slots, sums, batch))

    def chunk(carry: Any, buffers: Any, data: Any, order: Any, start: Any, count: Any, *rest: Any) -> Any:
        note_trace()
        return lax.fori_loop(start, start + count, lambda b, state: at(b, state, data, order, *rest), (carry, buffers))

    return jax.jit(split_over(chunk, plan.mesh), donate_argnums=(0, 1))


def validation_function(plan: Plan) -> Callable[..., Any]:
    """``f(arrays, fixed, state, data, batches) -> (sum of losses, sum of errors, other sums)`` over all of `data`, in test mode."""
    return compiled(plan.key("validate"), lambda: _validation_function(plan.bare()))


def _validation_function(plan: Plan) -> Callable[..., Any]:
    template = plan.graph

    def batch_sums(arrays: Any, fixed: Any, state: Any, data: Any, batch: Any) -> Any:
        count = jax.tree.leaves(data)[0].shape[0]
        places = _places(plan, batch)
        weights, indices = (places < count).astype(jnp.float32), jnp.minimum(places, count - 1)
        weights = weights if plan.divides else weights * _weights(plan)
        context = Context(weights, (indices,), jax.random.key(0), False, plan.axes, plan.platform, precision=plan.precision)
        inputs = _gathered(data, indices)
        losses, errors, sums, _ = _examples(plan, template, {**arrays, **fixed}, state, inputs, context)
        return jnp.sum(losses * weights), jnp.sum(errors * weights), sums

    def validate(arrays: Any, fixed: Any, state: Any, data: Any, batches: Any) -> Any:
        note_trace()

        def add(batch: Any, before: Any) -> Any:
            *more, sums = batch_sums(arrays, fixed, state, data, batch)
            return (*jax.tree.map(jnp.add, before[:2], tuple(more)), merged(before[2], sums))

        empty = zeros(jax.eval_shape(batch_sums, arrays, fixed, state, data, 0)[2]) if plan.sums else {}
        *both, sums = lax.fori_loop(0, batches, add, (jnp.zeros(()), jnp.zeros(()), empty))
        return (*(lax.psum(both, plan.axes) if plan.axes else both), sums)

    return jax.jit(split_over(validate, plan.mesh))


def _kept(slots: Any, sums: Any, batch: Any) -> Any:
    """The slots with the sums of a batch added to its own."""
    if not slots:
        return slots
    place = batch % jax.tree.leaves(slots)[0].shape[0]
    together = merged({name: slot[place] for name, slot in slots.items()}, sums)
    return {name: slot.at[place].set(together[name]) for name, slot in slots.items()}


def sums_of(plan: Plan, carry: Any, data: Any) -> dict[str, Any]:
    """The shapes and types of the sums of a batch."""
    if not plan.sums:
        return {}
    alone = replace(plan.bare(), mesh=None)

    def sums(carry: Any, data: Any) -> Any:
        arrays, fixed, state, _ = carry
        indices = jnp.zeros(plan.batch_size, jnp.int32)
        context = Context(
            jnp.ones(plan.batch_size), (indices,), jax.random.key(0), True, (), plan.platform, precision=plan.precision
        )
        return _examples(alone, alone.graph, {**arrays, **fixed}, state, _gathered(data, indices), context)[2]

    return compiled(plan.key("sums"), lambda: jax.eval_shape(sums, carry, data))  # type: ignore[no-any-return]


def gradient_function(plan: Plan) -> Callable[..., Any]:
    """``f(arrays, fixed, state, inputs, indices, batch, seed) -> (losses of the examples, gradients)`` of a batch in training."""
    return compiled(plan.key("gradients"), lambda: _gradient_function(plan.bare()))


def _gradient_function(plan: Plan) -> Callable[..., Any]:
    def objective(arrays: Any, fixed: Any, state: Any, inputs: Any, indices: Any, key: Any) -> Any:
        context = Context(jnp.ones(indices.shape), (indices,), key, True, plan.axes, plan.platform, precision=plan.precision)
        losses, *_ = _examples(plan, plan.graph, {**arrays, **fixed}, state, inputs, context)
        return jnp.mean(losses), losses

    def gradients(arrays: Any, fixed: Any, state: Any, inputs: Any, indices: Any, batch: Any, seed: Any) -> Any:
        note_trace()
        key = jax.random.fold_in(jax.random.key(seed), batch)
        (_, losses), slopes = jax.value_and_grad(objective, has_aux=True)(arrays, fixed, state, inputs, indices, key)
        return losses, slopes

    return jax.jit(gradients)


def start(plan: Plan, arrays: Any, fixed: Any, state: Any) -> tuple[Any, ...]:
    """The carry of the first batch; what is not of another type is not copied."""
    arrays, fixed, state = cast((arrays, fixed, state), plan.precision.held)
    return arrays, fixed, state, started(plan.optimizer, plan.turns, arrays)


def permutation(count: int, seed: int, round_: int) -> np.ndarray:
    """The order in which a round takes `count` examples: the same on every device."""
    return np.random.default_rng([seed, 0, round_]).permutation(count).astype(np.int32)
