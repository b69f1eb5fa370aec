"""The recurrent layers against their equations and PyTorch's, and each method of dropout by what it leaves."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from netdsl import BasicRecurrentLayer, DeclarationError, GatedRecurrentLayer, LongShortTermMemoryLayer, NetInitialize
from netdsl.nets import Arrays, Sequence

LAYERS = (BasicRecurrentLayer, GatedRecurrentLayer, LongShortTermMemoryLayer)
ALL = pytest.mark.parametrize("kind", LAYERS)


def close(a, b, rtol=1e-4, atol=1e-5):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def stepped(kind, arrays, x, start):
    """The states after each vector of a sequence, from those before the first: the equations, one number of a time."""

    def given(gate, now):
        return arrays[f"{gate}InputWeights"] @ now

    def kept(gate, hidden):
        return arrays[f"{gate}StateWeights"] @ hidden

    def bias(gate):
        return arrays[f"{gate}Biases"]

    def gate(name, now, hidden):
        return given(name, now) + kept(name, hidden) + bias(name)

    states, made = start, []
    for now in x:
        hidden = states[0]
        if kind is BasicRecurrentLayer:
            states = (np.tanh(gate("", now, hidden)),)
        elif kind is GatedRecurrentLayer:
            inward, reset = (sigmoid(gate(name, now, hidden)) for name in ("InputGate", "ResetGate"))
            memory = np.tanh(given("MemoryGate", now) + reset * kept("MemoryGate", hidden) + bias("MemoryGate"))
            states = ((1 - inward) * memory + inward * hidden,)
        else:
            inward, outward, forget, memory = (
                gate(f"{name}Gate", now, hidden) for name in ("Input", "Output", "Forget", "Memory")
            )
            cell = sigmoid(forget) * states[1] + sigmoid(inward) * np.tanh(memory)
            states = (sigmoid(outward) * np.tanh(cell), cell)
        made.append(states)
    return [np.stack(each) for each in zip(*made)]


def given_arrays(kind, rng, n, k):
    sizes = {"InputWeights": (n, k), "StateWeights": (n, n), "Biases": (n,)}
    return {name: rng.normal(size=next(s for end, s in sizes.items() if name.endswith(end))) for name in kind.array_declarations}


def names(*gates):
    return {gate + kind for gate in gates for kind in ("InputWeights", "StateWeights", "Biases")}


def test_names_of_arrays():
    assert set(BasicRecurrentLayer.array_declarations) == names("")
    assert set(GatedRecurrentLayer.array_declarations) == names("InputGate", "ResetGate", "MemoryGate")
    assert set(LongShortTermMemoryLayer.array_declarations) == names("InputGate", "OutputGate", "ForgetGate", "MemoryGate")


@ALL
def test_equations(kind):
    rng = np.random.default_rng(1)
    arrays, x = given_arrays(kind, rng, 3, 2), rng.normal(size=(5, 2))
    zeros = (np.zeros(3),) * len(kind.recurrent_states)
    close(kind(3, Input=[5, 2], **arrays)(x), stepped(kind, arrays, x, zeros)[0])
    varying = kind(3, Input=["Varying", 2], **arrays)([x[:2], x, x[:1]])
    for made, length in zip(varying, (2, 5, 1)):
        close(made, stepped(kind, arrays, x[:length], zeros)[0])


@ALL
def test_states_before_and_after(kind):
    """Also where the sequence is padded: the last states are those after its true end."""
    rng = np.random.default_rng(2)
    arrays, x = given_arrays(kind, rng, 3, 2), rng.normal(size=(5, 2))
    start = tuple(rng.normal(size=3) for _ in kind.recurrent_states)
    held = Arrays({name: np.float32(value) for name, value in arrays.items()})
    first = tuple(np.float32(state) for state in start)
    for given, length in ((np.float32(x), 5), (Sequence(np.float32(x), 3), 3)):
        every, last = kind(3).run(held, given, dict(zip(kind.recurrent_states, first)))
        expected = stepped(kind, arrays, x[:length], start)
        for made, after, right in zip(every, last, expected, strict=True):
            close(made[:length], right)
            close(after, right[-1])


@ALL
def test_pytorch_gives_the_same(kind):
    torch = pytest.importorskip("torch")
    other, gates = {
        BasicRecurrentLayer: (torch.nn.RNN, ("",)),
        GatedRecurrentLayer: (torch.nn.GRU, ("ResetGate", "InputGate", "MemoryGate")),
        LongShortTermMemoryLayer: (torch.nn.LSTM, ("InputGate", "ForgetGate", "MemoryGate", "OutputGate")),
    }[kind]
    rng = np.random.default_rng(3)
    arrays, x = given_arrays(kind, rng, 4, 3), rng.normal(size=(6, 3))
    module = other(3, 4)
    with torch.no_grad():
        for parameter, end in (
            (module.weight_ih_l0, "InputWeights"),
            (module.weight_hh_l0, "StateWeights"),
            (module.bias_ih_l0, "Biases"),
        ):
            parameter.copy_(torch.tensor(np.concatenate([arrays[gate + end] for gate in gates])))
        module.bias_hh_l0.zero_()
        expected = module(torch.tensor(np.float32(x)))[0].numpy()
    close(kind(4, Input=[6, 3], **arrays)(x), expected)


@ALL
def test_biases_start_at_zero(kind):
    layer = NetInitialize(kind(3, Input=["Varying", 2]))
    assert not any(np.any(value) for path, value in layer.arrays.items() if path[0].endswith("Biases"))


# Dropout. In the basic layer, with V a multiple of the identity, each unit is by itself, and what was dropped can be read off

STEPS, UNITS, RATE = 4, 200, 0.25


def trained(dropout, seed=1, kind=BasicRecurrentLayer, **arrays):
    """What the layer gives while training for a sequence of ones."""
    layer = kind(UNITS, Dropout=dropout, Input=[STEPS, 1], **arrays)
    ones = np.ones((STEPS, 1))
    close(layer(ones), layer(ones, NetEvaluationMode="Test"))
    return layer(ones, NetEvaluationMode="Train", RandomSeeding=seed)


def plain(input_=0.3, state=0.0, bias=0.0):
    return {
        "InputWeights": np.full((UNITS, 1), input_),
        "StateWeights": state * np.eye(UNITS),
        "Biases": np.full(UNITS, bias),
    }


def kept_by(values, when_kept, when_dropped):
    """Which units were kept, given what they must be in either case; about as many are as should be."""
    kept = np.isclose(values, when_kept, rtol=1e-4)
    np.testing.assert_allclose(values[~kept], np.broadcast_to(when_dropped, values.shape)[~kept], rtol=1e-4, atol=1e-6)
    assert abs(kept.mean() - (1 - RATE)) < 4 * np.sqrt(RATE * (1 - RATE) / kept.size)
    return kept


def test_variational_input():
    made = trained({"VariationalInput": RATE}, **plain(bias=0.1))
    kept = kept_by(made, np.tanh(0.3 / (1 - RATE) + 0.1), np.tanh(0.1))
    assert (kept == kept[0]).all(), "the same at every step"


@pytest.mark.parametrize("dropout", [{"VariationalState": RATE}, {"VariationalWeights": RATE}, RATE])
def test_variational_state_and_weights(dropout):
    made = trained(dropout, **plain(state=0.8))
    close(made[0], np.full(UNITS, np.tanh(0.3)))
    back = 0.8 / (1 - RATE) * made[:-1]
    kept = kept_by(made[1:], np.tanh(0.3 + back), np.full(UNITS, np.tanh(0.3)))
    assert (kept == kept[0]).all(), "the same at every step"


def test_variational_weights_are_dropped_one_by_one():
    """Where all of V is equal, a state tells how many of a row's weights were kept; the mask of states keeps all or none."""
    arrays = {**plain(), "StateWeights": np.full((UNITS, UNITS), 0.001)}
    by_weights = trained({"VariationalWeights": RATE}, **arrays)[1]
    by_state = trained({"VariationalState": RATE}, **arrays)[1]
    assert len(np.unique(by_weights)) > 10
    assert len(np.unique(by_state)) == 2


def test_state_update():
    made = trained({"StateUpdate": RATE}, **plain())
    kept = kept_by(made, np.tanh(0.3) / (1 - RATE), 0)
    assert not (kept[0] == kept[1]).all(), "drawn anew at each step"


def test_state_update_of_gates_leaves_the_state_before():
    arrays = {name: np.zeros(1) for name in GatedRecurrentLayer.array_declarations}
    arrays = {name: np.zeros((UNITS, 1 if "Input" in name[-12:] else UNITS)) for name in arrays if not name.endswith("Biases")}
    arrays |= {f"{gate}GateBiases": np.full(UNITS, value) for gate, value in (("Input", 0), ("Reset", 0), ("Memory", 1))}
    made = trained({"StateUpdate": RATE}, kind=GatedRecurrentLayer, **arrays)
    before = np.concatenate([np.zeros((1, UNITS)), made[:-1]])
    kept_by(made - before / 2, np.tanh(1) / 2 / (1 - RATE), 0)


def test_state_update_of_the_cell():
    arrays = {
        name: np.zeros((UNITS, 1 if name.endswith("InputWeights") else UNITS))
        for name in LongShortTermMemoryLayer.array_declarations
    }
    arrays = {name: np.zeros(UNITS) if name.endswith("Biases") else value for name, value in arrays.items()}
    arrays["MemoryGateBiases"] = np.ones(UNITS)
    made = np.arctanh(2 * trained({"StateUpdate": RATE}, kind=LongShortTermMemoryLayer, **arrays))
    before = np.concatenate([np.zeros((1, UNITS)), made[:-1]])
    kept_by(made - before / 2, np.tanh(1) / 2 / (1 - RATE), 0)


@ALL
def test_examples_and_seeds_have_their_own_masks(kind):
    layer = NetInitialize(kind(50, Dropout=0.5, Input=[3, 2]))
    x = np.ones((2, 3, 2))
    a, b = layer(x, NetEvaluationMode="Train", RandomSeeding=1)
    assert not np.allclose(a, b)
    other = layer(x, NetEvaluationMode="Train", RandomSeeding=2)
    assert not np.allclose(a, other[0])


@ALL
def test_no_key_is_needed_without_dropout(kind):
    layer = NetInitialize(kind(3, Input=[4, 2]))
    x = np.ones((2, 4, 2), np.float32)
    made, _ = layer.function()(layer.arrays, layer.state, x, None, True)
    close(made, layer(x))
    drawing = layer.changed(Dropout=0.5)
    with pytest.raises(DeclarationError, match="A random key is missing"):
        drawing.function()(drawing.arrays, drawing.state, x, None, True)
    everything = layer.changed(Dropout=dict.fromkeys(("VariationalInput", "VariationalState", "StateUpdate"), 1))
    made, _ = everything.function()(everything.arrays, everything.state, x, jax.random.key(1), True)
    assert not np.any(made)
