"""LongShortTermMemoryLayer against its equations."""

from __future__ import annotations

import numpy as np

from netdsl import LongShortTermMemoryLayer, NetInitialize

GATES = ("InputGate", "OutputGate", "ForgetGate", "MemoryGate")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def states(arrays, x, n):
    """The sequence of states of one sequence of vectors."""

    def gate(name, now, hidden):
        return arrays[f"{name}InputWeights"] @ now + arrays[f"{name}StateWeights"] @ hidden + arrays[f"{name}Biases"]

    hidden, cell, made = np.zeros(n), np.zeros(n), []
    for now in x:
        inward, outward, forget, memory = (gate(name, now, hidden) for name in GATES)
        cell = sigmoid(forget) * cell + sigmoid(inward) * np.tanh(memory)
        hidden = sigmoid(outward) * np.tanh(cell)
        made.append(hidden)
    return np.stack(made)


def given(rng, n, k):
    sizes = {"InputWeights": (n, k), "StateWeights": (n, n), "Biases": (n,)}
    return {gate + kind: rng.normal(size=size) for gate in GATES for kind, size in sizes.items()}


def test_equations():
    rng = np.random.default_rng(1)
    arrays = given(rng, 3, 2)
    x = rng.normal(size=(5, 2))
    np.testing.assert_allclose(LongShortTermMemoryLayer(3, Input=[5, 2], **arrays)(x), states(arrays, x, 3), rtol=1e-4, atol=1e-5)
    varying = LongShortTermMemoryLayer(3, Input=["Varying", 2], **arrays)([x[:2], x, x[:1]])
    for made, length in zip(varying, (2, 5, 1)):
        np.testing.assert_allclose(made, states(arrays, x[:length], 3), rtol=1e-4, atol=1e-5)


def test_biases_start_at_zero():
    layer = NetInitialize(LongShortTermMemoryLayer(3, Input=["Varying", 2]))
    assert not any(np.any(value) for path, value in layer.arrays.items() if path[0].endswith("Biases"))
