"""Recurrent layers: BasicRecurrentLayer, GatedRecurrentLayer, LongShortTermMemoryLayer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from netdsl.constraints import POSITIVE, Constraint, FrozenDict, number
from netdsl.declarations import parameter
from netdsl.layers.elementwise import dropped
from netdsl.nets import Layer, Sequence, array
from netdsl.symbols import Automatic

__all__ = ["BasicRecurrentLayer", "GatedRecurrentLayer", "LongShortTermMemoryLayer"]

METHODS = ("VariationalWeights", "VariationalInput", "VariationalState", "StateUpdate")
"""The methods of the option Dropout."""

DEFAULT_METHOD = METHODS[0]
"""What a probability without a method means [M]."""

RATE = number(0, 1)


def _rates(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return RATE.keep(value)
    if not value or not set(value) <= set(METHODS):
        raise ValueError
    return FrozenDict({method: RATE.keep(rate) for method, rate in value.items()})


DROPOUT = Constraint(
    f"{RATE.words}, or a dict from methods ({', '.join(METHODS)}) to such numbers",
    _rates,
    (*RATE.bad, {}, {"NoSuchMethod": 0.5}, {"StateUpdate": 2}),
)


class _Recurrent(Layer):
    """A recurrence over a sequence of vectors. A subclass states its gates, each with three arrays, its states, and one step."""

    gates: ClassVar[tuple[str, ...]] = ()
    """What the names of the arrays of each gate begin with."""

    OutputSize: Any = parameter(POSITIVE, Automatic, positional=True, binds="n")
    Dropout: Any = parameter(DROPOUT, None)

    signature = "t k -> t n"
    varying = "aware"
    recurrent_states: Mapping[str, str] = MappingProxyType({"State": "n"})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        for gate in cls.gates:
            setattr(cls, f"{gate}InputWeights", array("n k"))
            setattr(cls, f"{gate}StateWeights", array("n n"))
            setattr(cls, f"{gate}Biases", array("n", 0.0))
        super().__init_subclass__(**kwargs)

    @property
    def draws(self) -> str | None:  # type: ignore[override]
        return None if self.Dropout is None else "training"

    def step(self, now: Any, back: Any, states: tuple[Any, ...], drop: Any) -> tuple[Any, ...]:
        """The states after an element, from what it and the state before give to all gates; `drop` is for the update."""
        raise NotImplementedError

    def run(self, arrays: Any, x: Any, states: Mapping[str, Any], key: Any = None) -> tuple[Any, Any]:
        """Each state after every element of a sequence, and each after the last; `states` are those before the first, else zeros."""
        data = x.data if isinstance(x, Sequence) else x
        into, back, biases = (
            jnp.concatenate([arrays[gate + kind] for gate in self.gates]) for kind in ("InputWeights", "StateWeights", "Biases")
        )
        width, units = back.shape
        start = tuple(jnp.asarray(states.get(name, jnp.zeros(units)), into.dtype) for name in self.recurrent_states)
        rates = self.Dropout if isinstance(self.Dropout, Mapping) else {DEFAULT_METHOD: self.Dropout}

        def mask(method: str, *sizes: int) -> Any:
            """What the method multiplies numbers by: 0, or 1 / (1 - p); None where it drops nothing."""
            if key is None or not rates.get(method):
                return None
            return dropped(jax.random.fold_in(key, METHODS.index(method)), jnp.ones(sizes, into.dtype), rates[method])

        weights, of_state = _times(back, mask("VariationalWeights", width, units)), mask("VariationalState", width)
        inputs = _times(data.astype(into.dtype) @ into.T, mask("VariationalInput", width)) + biases

        def step(states: tuple[Any, ...], each: tuple[Any, Any]) -> tuple[Any, Any]:
            now, update = each
            after = self.step(now, _times(weights @ states[0], of_state), states, lambda made: _times(made, update))
            return after, after

        _, every = jax.lax.scan(step, start, (inputs, mask("StateUpdate", len(data), units)))
        last = x.length - 1 if isinstance(x, Sequence) else -1
        return every, tuple(state[last] for state in every)

    def apply(self, arrays: Any, x: Any, *, states: Any, key: Any = None) -> Any:
        (outputs, *_), after = self.run(arrays, x, states, key)
        return x.with_data(outputs) if isinstance(x, Sequence) else outputs, *after


def _times(x: Any, mask: Any) -> Any:
    return x if mask is None else x * mask


class BasicRecurrentLayer(_Recurrent):
    """A recurrent layer with one state, over a sequence of vectors.

    s[t] = tanh(W x[t] + V s[t-1] + b); the output is s.

    Ports: Input {T, k}, T may vary; Output {T, n}. The state, State {n}, is a state port: zero where nothing feeds it.

    Arrays: InputWeights W {n, k}; StateWeights V {n, n}; Biases b {n}.

    Parameters: OutputSize n, or left out: then it follows from what comes next; Dropout, None (default), a probability from 0 to 1,
    or probabilities by method, while training: "VariationalWeights" drops numbers of V, "VariationalInput" numbers of W x, and
    "VariationalState" numbers of V s, each the same at every step; "StateUpdate" drops numbers of s[t] anew at each step.

    >>> layer = BasicRecurrentLayer(1, InputWeights=[[1]], StateWeights=[[1]], Biases=[0], Input=["Varying", 1])
    >>> layer([[0.5], [0.0]]).round(3).tolist()
    [[0.4620000123977661], [0.4320000112056732]]

    Differences from Wolfram: a probability alone means "VariationalWeights" [M]; each example has
    its own mask. Source: Wolfram's public reference page; what the last three methods drop is remembered [M].
    """

    gates = ("",)

    def step(self, now: Any, back: Any, states: tuple[Any, ...], drop: Any) -> tuple[Any, ...]:
        return (drop(jnp.tanh(now + back)),)


class GatedRecurrentLayer(_Recurrent):
    """A recurrent layer with gates that keep and reset its state, over a sequence of vectors.

    i, r = σ(W x[t] + V s[t-1] + b), each with its own W, V, b; m = tanh(W x[t] + r·(V s[t-1]) + b);
    s[t] = (1 - i)·m + i·s[t-1]; the output is s.

    Ports: Input {T, k}, T may vary; Output {T, n}. The state, State {n}, is a state port: zero where nothing feeds it.

    Arrays, for each of InputGate, ResetGate, MemoryGate: …InputWeights {n, k}, …StateWeights {n, n}, …Biases {n}.

    Parameters: OutputSize n, or left out: then it follows from what comes next; Dropout, None (default), a probability from 0 to 1,
    or probabilities by method, while training: "VariationalWeights" drops numbers of all V, "VariationalInput" numbers of W x, and
    "VariationalState" numbers of V s, each the same at every step; "StateUpdate" drops numbers of (1 - i)·m anew at each step.

    >>> GatedRecurrentLayer(4, Dropout=0.2, Input=["Varying", 3])
    GatedRecurrentLayer(4, Dropout=0.2, Input=['Varying', 3])

    Differences from Wolfram: a probability alone means "VariationalWeights" [M]; each example has
    its own mask; all biases start at 0 [M].
    Source: Wolfram's public reference page; what the last three methods drop is remembered [M].
    """

    gates = ("InputGate", "ResetGate", "MemoryGate")

    def step(self, now: Any, back: Any, states: tuple[Any, ...], drop: Any) -> tuple[Any, ...]:
        (i, r, m), (back_i, back_r, back_m) = jnp.split(now, 3), jnp.split(back, 3)
        i, r = jax.nn.sigmoid(i + back_i), jax.nn.sigmoid(r + back_r)
        return (drop((1 - i) * jnp.tanh(m + r * back_m)) + i * states[0],)


class LongShortTermMemoryLayer(_Recurrent):
    """A recurrent layer with a cell state, over a sequence of vectors.

    i, o, f = σ(W x[t] + V s[t-1] + b), each with its own W, V, b; m = tanh(W x[t] + V s[t-1] + b);
    c[t] = f·c[t-1] + i·m; s[t] = o·tanh(c[t]); the output is s.

    Ports: Input {T, k}, T may vary; Output {T, n}. The states, State {n} and CellState {n}, are state ports: zero where nothing feeds them.

    Arrays, for each of InputGate, OutputGate, ForgetGate, MemoryGate: …InputWeights {n, k}, …StateWeights {n, n}, …Biases {n}.

    Parameters: OutputSize n, or left out: then it follows from what comes next; Dropout, None (default), a probability from 0 to 1,
    or probabilities by method, while training: "VariationalWeights" drops numbers of all V, "VariationalInput" numbers of W x, and
    "VariationalState" numbers of V s, each the same at every step; "StateUpdate" drops numbers of i·m anew at each step.

    >>> LongShortTermMemoryLayer(4, Input=["Varying", 3])
    LongShortTermMemoryLayer(4, Input=['Varying', 3])

    Differences from Wolfram: a probability alone means "VariationalWeights" [M]; each example
    has its own mask; all biases start at 0 [M].
    Source: Wolfram's public reference page; what the last three methods drop is remembered [M].
    """

    gates = ("InputGate", "OutputGate", "ForgetGate", "MemoryGate")
    recurrent_states = MappingProxyType({"State": "n", "CellState": "n"})

    def step(self, now: Any, back: Any, states: tuple[Any, ...], drop: Any) -> tuple[Any, ...]:
        i, o, f, m = jnp.split(now + back, 4)
        cell = jax.nn.sigmoid(f) * states[1] + drop(jax.nn.sigmoid(i) * jnp.tanh(m))
        return jax.nn.sigmoid(o) * jnp.tanh(cell), cell
