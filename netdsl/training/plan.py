"""What is compiled for a training: the step over one batch, chunks of steps in one dispatch, and validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netdsl.attachment import LossTerm
from netdsl.layers import ConvolutionLayer, CrossEntropyLossLayer
from netdsl.lowering import compiled, note_trace, program_key, skeleton
from netdsl.lowering.execution import Context, Wire, device_halves, execute
from netdsl.lowering.kernels import uses_native_convolution
from netdsl.nets import ArrayPath, Net, Ref, Sequence
from netdsl.training.optimizers import Optimizer

__all__ = ["Plan", "chunk_function", "permutation", "validation_function"]


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

    def key(self, kind: str) -> tuple[Any, ...]:
        """The key under which a compiled function of this plan is kept."""
        method = self.optimizer.transformation if not self.optimizer.own else (self.optimizer.name, self.optimizer.options)
        return (kind, program_key(self.graph), self.terms, method, self.frozen, self.compact, self.batch_size, self.platform)

    @property
    def classified(self) -> tuple[Ref, Ref, str] | None:
        """The probabilities and targets of the one cross-entropy loss, and its form; None when there is not just one."""
        found = [step for step in self.graph.program.steps if isinstance(step.layer, CrossEntropyLossLayer)]
        if len(found) != 1:
            return None
        ports = dict(found[0].inputs)
        return ports["Input"], ports["Target"], found[0].layer.TargetForm  # type: ignore[attr-defined]

    @property
    def loops(self) -> bool:
        """Whether many batches may run in one compiled loop: not on a CPU with native convolutions, slow inside loops."""
        if self.platform != "cpu":
            return True
        solved = self.graph.solved
        for index, step in enumerate(self.graph.program.steps):
            if isinstance(step.layer, ConvolutionLayer):
                sizes = solved.step_types(step, index)["Input"].sizes
                if sizes is None or not all(isinstance(size, int) for size in sizes):
                    return False
                last = sizes if step.layer.Interleaving else (*sizes[1:], sizes[0])
                if uses_native_convolution(step.layer, last):  # type: ignore[arg-type]
                    return False
        return True


def _example(plan: Plan, template: Net, arrays: Any, state: Any, values: Mapping[str, Any], context: Context) -> Any:
    """Loss, error and state of one example."""
    encoded = device_halves(template, values, plan.compact)
    wires, after = execute(template, arrays, state, encoded, context)
    outputs = template.program.outputs
    loss = sum((term.weight * jnp.sum(wires[outputs[term.port]].value) for term in plan.terms), start=jnp.zeros(()))
    classified = plan.classified
    error = jnp.zeros(()) if classified is None else _error(wires[classified[0]], wires[classified[1]].value, classified[2])
    return loss, error, after


def _error(wire: Wire, target: Any, form: str) -> Any:
    """The share of elements of one example whose decision is wrong."""
    value = wire.value if wire.logits is None else wire.logits[1]
    threshold = 0.5 if wire.logits is None else 0.0
    sequence = next((v for v in (value, target) if isinstance(v, Sequence)), None)
    value, target = (v.data if isinstance(v, Sequence) else v for v in (value, target))
    value = lax.stop_gradient(value)
    if form == "Binary":
        wrong = (value >= threshold) != (target >= 0.5)
    else:
        expected = target - 1 if form == "Index" else jnp.argmax(target, axis=-1)
        wrong = jnp.argmax(value, axis=-1) != expected
    wrong = wrong.astype(jnp.float32)
    if sequence is None:
        return jnp.mean(wrong)
    mask = sequence.mask.reshape((-1,) + (1,) * (wrong.ndim - 1))
    return jnp.sum(jnp.where(mask, wrong, 0)) / (sequence.length * (wrong.size // wrong.shape[0]))


def _gathered(data: Mapping[str, Any], indices: Any) -> dict[str, Any]:
    return {port: jax.tree.map(lambda column: column[indices], column) for port, column in data.items()}


def _step(plan: Plan, template: Net) -> Callable[..., Any]:
    """One update: (carry, data, indices, key, rate, multipliers) -> carry, loss, error."""
    import optax

    transformation = optax.with_extra_args_support(plan.optimizer.make())

    def objective(arrays: Any, fixed: Any, state: Any, batch: Any, indices: Any, key: Any) -> Any:
        def one(values: Any, index: Any) -> Any:
            context = Context(key, (index,), True, ("batch",), 1.0, plan.platform)
            return _example(plan, template, {**arrays, **fixed}, state, values, context)

        losses, errors, after = jax.vmap(one, axis_name="batch", out_axes=(0, 0, None))(batch, indices)
        return jnp.mean(losses), (jnp.mean(errors), after)

    def step(carry: Any, data: Any, indices: Any, key: Any, rate: Any, multipliers: Any) -> Any:
        arrays, fixed, state, optimizer_state = carry
        kept = {path: value for path, value in state.items() if path in plan.frozen}
        gradient = jax.value_and_grad(objective, has_aux=True)
        (loss, (error, after)), slopes = gradient(arrays, fixed, state, _gathered(data, indices), indices, key)
        updates, optimizer_state = transformation.update(slopes, optimizer_state, arrays, value=loss, grad=slopes)
        sign = -1.0 if plan.optimizer.own else 1.0
        arrays = {
            path: (value + sign * rate * multipliers[path] * updates[path]).astype(value.dtype) for path, value in arrays.items()
        }
        return (arrays, fixed, {**after, **kept}, optimizer_state), loss, error

    return step


def chunk_function(plan: Plan) -> Callable[..., Any]:
    """``f(carry, buffers, data, order, start, count, offset, seed, rate, multipliers) -> carry, buffers``.

    `order` is the round's permutation; the batches from `start` on, `count` of them, are trained on, and their losses and errors
    written into the buffers. `offset` is the number of batches before this round.
    """
    return compiled(plan.key("train"), lambda: _chunk_function(plan))


def _chunk_function(plan: Plan) -> Callable[..., Any]:
    template = skeleton(plan.graph)
    step = _step(plan, template)

    def at(batch: Any, state: Any, data: Any, order: Any, offset: Any, seed: Any, rate: Any, multipliers: Any) -> Any:
        carry, (losses, errors) = state
        # a batch that reaches over the end is filled up from the round's own permutation
        indices = order[(batch * plan.batch_size + jnp.arange(plan.batch_size)) % order.shape[0]]
        key = jax.random.fold_in(jax.random.key(seed), offset + batch)
        carry, loss, error = step(carry, data, indices, key, rate, multipliers)
        return carry, (losses.at[batch].set(loss), errors.at[batch].set(error))

    if plan.loops:

        def chunk(carry: Any, buffers: Any, data: Any, order: Any, start: Any, count: Any, *rest: Any) -> Any:
            note_trace()
            return lax.fori_loop(start, start + count, lambda b, state: at(b, state, data, order, *rest), (carry, buffers))

        return jax.jit(chunk, donate_argnums=(0, 1))

    def single(carry: Any, buffers: Any, data: Any, order: Any, batch: Any, *rest: Any) -> Any:
        note_trace()
        return at(batch, (carry, buffers), data, order, *rest)

    one = jax.jit(single, donate_argnums=(0, 1))

    def several(carry: Any, buffers: Any, data: Any, order: Any, start: int, count: int, *rest: Any) -> Any:
        for batch in range(int(start), int(start) + int(count)):
            carry, buffers = one(carry, buffers, data, order, jnp.int32(batch), *rest)
        return carry, buffers

    return several


def validation_function(plan: Plan) -> Callable[..., Any]:
    """``f(arrays, fixed, state, data, batches) -> (sum of losses, sum of errors)`` over all examples of `data`, in test mode."""
    return compiled(plan.key("validate"), lambda: _validation_function(plan))


def _validation_function(plan: Plan) -> Callable[..., Any]:
    template = skeleton(plan.graph)
    size = plan.batch_size

    def batch_sums(arrays: Any, fixed: Any, state: Any, data: Any, batch: Any) -> Any:
        count = jax.tree.leaves(data)[0].shape[0]
        places = batch * size + jnp.arange(size)
        weights = (places < count).astype(jnp.float32)
        indices = jnp.minimum(places, count - 1)

        def one(values: Any, index: Any, weight: Any) -> Any:
            context = Context(jax.random.key(0), (index,), False, ("batch",), weight, plan.platform)
            return _example(plan, template, {**arrays, **fixed}, state, values, context)[:2]

        losses, errors = jax.vmap(one, axis_name="batch")(_gathered(data, indices), indices, weights)
        return jnp.sum(losses * weights), jnp.sum(errors * weights)

    if plan.loops:

        def validate(arrays: Any, fixed: Any, state: Any, data: Any, batches: Any) -> Any:
            note_trace()

            def add(batch: Any, sums: Any) -> Any:
                return jax.tree.map(jnp.add, sums, batch_sums(arrays, fixed, state, data, batch))

            return lax.fori_loop(0, batches, add, (jnp.zeros(()), jnp.zeros(())))

        return jax.jit(validate)

    def single(*arguments: Any) -> Any:
        note_trace()
        return batch_sums(*arguments)

    one_batch = jax.jit(single)

    def several(arrays: Any, fixed: Any, state: Any, data: Any, batches: int) -> Any:
        sums = (jnp.zeros(()), jnp.zeros(()))
        for batch in range(int(batches)):
            sums = jax.tree.map(jnp.add, sums, one_batch(arrays, fixed, state, data, jnp.int32(batch)))
        return sums

    return several


def permutation(count: int) -> Callable[[Any, Any], Any]:
    """``f(seed, round)``: the order in which a round takes `count` examples, drawn on the device."""

    def make() -> Callable[[Any, Any], Any]:
        def draw(seed: Any, round_: Any) -> Any:
            note_trace()
            return jax.random.permutation(jax.random.fold_in(jax.random.key(seed), round_), count)

        return jax.jit(draw)

    return compiled(("permutation", count), make)
