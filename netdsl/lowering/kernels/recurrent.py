"""The long short-term memory layer for a batch: what does not depend on the state is one product for all steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netdsl.layers import LongShortTermMemoryLayer
from netdsl.nets import Sequence

__all__ = ["long_short_term_memory"]

GATES = ("InputGate", "OutputGate", "ForgetGate", "MemoryGate")


def long_short_term_memory(layer: LongShortTermMemoryLayer, arrays: Any, x: Any, *, key: None = None, together: int = 1) -> Any:
    """The layer's output for a batch of sequences, without dropout: there is no key.

    So many steps go `together` into one turn of the loop: a turn costs time of its own on a GPU.
    """
    data = x.data if isinstance(x, Sequence) else x
    into, back, biases = (
        jnp.concatenate([arrays[gate + kind] for gate in GATES]) for kind in ("InputWeights", "StateWeights", "Biases")
    )
    steps = jnp.swapaxes(data, 0, 1).astype(into.dtype)
    outputs = jnp.swapaxes(_states(together, steps, into, back, biases), 0, 1)
    return x.with_data(outputs) if isinstance(x, Sequence) else outputs


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _states(together: int, steps: Any, into: Any, back: Any, biases: Any) -> Any:
    """The states after each step (steps, batch, n), from the inputs (steps, batch, k) and arrays (4 n, k), (4 n, n), (4 n)."""
    return _forward(together, steps, into, back, biases)[0]


def _forward(together: int, steps: Any, into: Any, back: Any, biases: Any) -> Any:
    units = back.shape[1]
    into_gates, back_gates = _turned(into), _turned(back)

    def step(carry: Any, now: Any) -> Any:
        hidden, cell = carry
        gates = now + hidden @ back_gates + biases
        open_, memory = jax.nn.sigmoid(gates[:, : 3 * units]), jnp.tanh(gates[:, 3 * units :])
        i, o, f = jnp.split(open_, 3, axis=-1)
        cell = f * cell + i * memory
        hidden = o * jnp.tanh(cell)
        return (hidden, cell), (hidden, cell, open_, memory)

    zeros = jnp.zeros((steps.shape[1], units), into.dtype)
    _, (hiddens, cells, opens, memories) = lax.scan(step, (zeros, zeros), steps @ into_gates, unroll=together)
    return hiddens, (steps, into, back, hiddens, cells, opens, memories)


def _backward(together: int, kept: Any, slopes: Any) -> Any:
    """The steps in reverse give the slopes of all gates; those of the weights are then one product over all steps each."""
    steps, into, back, hiddens, cells, opens, memories = kept
    zeros = jnp.zeros_like(cells[:1])
    before = jnp.concatenate([zeros, cells[:-1]])

    def step(carry: Any, now: Any) -> Any:
        to_hidden, to_cell = carry
        slope, cell, old, open_, memory = now
        i, o, f = jnp.split(open_, 3, axis=-1)
        shown = jnp.tanh(cell)
        to_hidden = to_hidden + slope
        to_cell = to_cell + to_hidden * o * (1 - shown * shown)
        to_open = jnp.concatenate([to_cell * memory, to_hidden * shown, to_cell * old], axis=-1) * open_ * (1 - open_)
        to_gates = jnp.concatenate([to_open, to_cell * i * (1 - memory * memory)], axis=-1)
        return (to_gates @ back, to_cell * f), to_gates

    _, to_gates = lax.scan(step, (zeros[0], zeros[0]), (slopes, cells, before, opens, memories), reverse=True, unroll=together)
    shifted = jnp.concatenate([zeros, hiddens[:-1]])
    to_into, to_back = _over_steps(steps, to_gates).T, _over_steps(shifted, to_gates).T
    return to_gates @ into, to_into, to_back, jnp.sum(to_gates, axis=(0, 1))


def _turned(matrix: Any) -> Any:
    """The transposed matrix as numbers that lie in this order, which a product in a loop reads faster."""
    return lax.optimization_barrier(matrix.T)


def _over_steps(a: Any, b: Any) -> Any:
    """The sum over steps and batch of the products of the last levels.

    XLA would take the transposition of the result into the product, which is then half as fast: the wide operand belongs right.
    """
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return lax.optimization_barrier(lax.dot_general(a, b, (((0,), (0,)), ((), ()))))


_states.defvjp(_forward, _backward)
