"""Recurrent layers: LongShortTermMemoryLayer."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from netdsl.declarations import POSITIVE, parameter
from netdsl.nets import Layer, Sequence, array
from netdsl.symbols import Automatic

__all__ = ["LongShortTermMemoryLayer"]

_GATES = ("InputGate", "OutputGate", "ForgetGate", "MemoryGate")


class LongShortTermMemoryLayer(Layer):
    """A recurrent layer with a cell state, over a sequence of vectors.

    i, o, f = σ(W x[t] + V s[t-1] + b), each with its own W, V, b; m = tanh(W x[t] + V s[t-1] + b);
    c[t] = f·c[t-1] + i·m; s[t] = o·tanh(c[t]); the output is s.

    Ports: Input {T, k}, T may vary; Output {T, n}. The states start at zero.

    Arrays, for each of InputGate, OutputGate, ForgetGate, MemoryGate: …InputWeights {n, k}, …StateWeights {n, n}, …Biases {n}.

    Parameters: OutputSize n, or left out: then it follows from what comes next.

    >>> LongShortTermMemoryLayer(4, Input=["Varying", 3])
    LongShortTermMemoryLayer(4, Input=['Varying', 3])

    Differences from Wolfram: the state ports and the Dropout option are not there yet; all biases start at 0 [M].
    Source: Wolfram's public reference page.
    """

    OutputSize: Any = parameter(POSITIVE, Automatic, positional=True, binds="n")
    InputGateInputWeights = array("n k")
    InputGateStateWeights = array("n n")
    InputGateBiases = array("n", 0.0)
    OutputGateInputWeights = array("n k")
    OutputGateStateWeights = array("n n")
    OutputGateBiases = array("n", 0.0)
    ForgetGateInputWeights = array("n k")
    ForgetGateStateWeights = array("n n")
    ForgetGateBiases = array("n", 0.0)
    MemoryGateInputWeights = array("n k")
    MemoryGateStateWeights = array("n n")
    MemoryGateBiases = array("n", 0.0)

    signature = "t k -> t n"
    varying = "aware"
    recurrent_states = {"State": "n", "CellState": "n"}

    def apply(self, arrays: Any, x: Any, *, states: Any) -> Any:
        data = x.data if isinstance(x, Sequence) else x
        into, back, biases = (
            jnp.concatenate([arrays[gate + kind] for gate in _GATES]) for kind in ("InputWeights", "StateWeights", "Biases")
        )
        units = back.shape[1]
        inputs = data.astype(into.dtype) @ into.T + biases

        def step(carry: Any, now: Any) -> Any:
            hidden, cell = carry
            now, real = now
            i, o, f, m = jnp.split(now + back @ hidden, 4)
            cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(m)
            hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
            if isinstance(x, Sequence):
                hidden, cell = jnp.where(real, hidden, carry[0]), jnp.where(real, cell, carry[1])
            return (hidden, cell), hidden

        zeros = jnp.zeros(units, inputs.dtype)
        start = tuple(states.get(name, zeros).astype(zeros.dtype) for name in self.state_names)
        real = x.mask if isinstance(x, Sequence) else jnp.ones(len(inputs), bool)
        (hidden, cell), outputs = jax.lax.scan(step, start, (inputs, real))
        return x.with_data(outputs) if isinstance(x, Sequence) else outputs, hidden, cell
