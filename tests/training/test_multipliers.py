"""Learning-rate multipliers: who they reach, in which order, and that 0 freezes every bit."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    All,
    Automatic,
    BatchNormalizationLayer,
    DeclarationError,
    LinearLayer,
    NetArray,
    NetChain,
    NetGraph,
    NetInitialize,
    NetPort,
    PartError,
    Plus,
    Rule,
    Span,
    Tanh,
)
from netdsl.nets import multipliers_by_path


@pytest.fixture(scope="module")
def net():
    deep = NetChain({"b": LinearLayer(3), "c": LinearLayer(2)})
    return NetInitialize(NetChain({"a": LinearLayer(3), "act": Tanh, "deep": deep}, Input=3))


def multipliers(net, setting):
    """By path, leaving out the ones."""
    return {"/".join(path): value for path, value in multipliers_by_path(net, (), setting).items() if value != 1}


A = {"a/Weights": 2.0, "a/Biases": 2.0}
B = {"deep/b/Weights": 2.0, "deep/b/Biases": 2.0}
C = {"deep/c/Weights": 2.0, "deep/c/Biases": 2.0}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (2, A | B | C),
        (np.float32(2), A | B | C),
        ({"a": 2}, A),
        ([Rule("a", 2)], A),
        (Rule("a", 2), A),
        ({1: 2}, A),
        ({-1: 2}, B | C),
        ({Span(1, 2): 2}, A),
        ({Span(2, All): 2}, B | C),
        ({("deep", "b"): 2}, B),
        ([Rule(["deep", 1], 2)], B),
        ([Rule([3, "c", "Weights"], 2)], {"deep/c/Weights": 2.0}),
        ([Rule([All, "Weights"], 2)], {"a/Weights": 2.0}),
        ([Rule(["deep", All, "Biases"], 2)], {"deep/b/Biases": 2.0, "deep/c/Biases": 2.0}),
        ({All: 2}, A | B | C),
        ({"_": 2}, A | B | C),
        ({"a": 1, "_": 2}, B | C),
        ([Rule(["a", "Biases"], 1), Rule("a", 2), Rule(All, 1)], {"a/Weights": 2.0}),
        ({"a": None}, {"a/Weights": 0.0, "a/Biases": 0.0}),
        ({"a": -1}, {"a/Weights": -1.0, "a/Biases": -1.0}),
    ],
    ids=str,
)
def test_specs_reach_the_arrays_they_name(net, setting, expected):
    assert multipliers(net, setting) == expected


def test_settings_of_containers_layers_and_training_multiply():
    inner = NetChain({"b": LinearLayer(2, LearningRateMultipliers=3)}, LearningRateMultipliers={("b", "Biases"): 5})
    net = NetChain({"a": LinearLayer(2), "deep": inner}, Input=2, LearningRateMultipliers={"deep": 2})
    assert multipliers(net, {"a": 7, "deep": 0.5}) == {"a/Weights": 7, "a/Biases": 7, "deep/b/Weights": 3, "deep/b/Biases": 15}


def test_a_shared_array_has_the_multipliers_of_its_places_only():
    net = NetChain(
        {
            "a": LinearLayer(2, Weights=NetArray("w"), LearningRateMultipliers=0),
            "b": LinearLayer(2, Weights=NetArray("w")),
            "c": LinearLayer(2, Weights=NetArray("other")),
        },
        Input=2,
    )
    assert multipliers(net, Automatic) == {"/w": 0.0, "a/Biases": 0.0}
    assert multipliers(net, {"c": 4}) == {"/w": 0.0, "a/Biases": 0.0, "/other": 4.0, "c/Biases": 4.0}


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ({"aa": 0}, PartError, "LearningRateMultipliers of NetTrain: no array is at 'aa'."),
        ({"a": 0, "act": 0}, PartError, "LearningRateMultipliers of NetTrain: no array is at 'act'."),
        ({4: 0}, PartError, "LearningRateMultipliers of NetTrain: no array is at 4."),
        ({"a": "slow"}, DeclarationError, "LearningRateMultipliers of NetTrain are numbers or None. Got 'slow'."),
        ({"a": float("nan")}, DeclarationError, "LearningRateMultipliers of NetTrain are numbers or None. Got nan."),
        (True, DeclarationError, "LearningRateMultipliers of NetTrain are numbers or None. Got True."),
    ],
)
def test_wrong_specs_are_refused(net, line, train, setting, error, message):
    with pytest.raises(error) as raised:
        train(net, line, LearningRateMultipliers=setting)
    assert str(raised.value).startswith(message)


def test_what_is_frozen_keeps_every_bit_and_the_rest_moves_by_its_factor(net, line, train):
    options = {"Method": "SGD", "LearningRate": 0.1, "MaxTrainingRounds": 1}
    plain = train(net, line, "TrainedNet", **options)
    results = train(net, line, LearningRateMultipliers={"a": 0, ("deep", "b"): None, "deep": -0.5}, **options)
    trained = results("TrainedNet")
    for path, before in net.arrays.items():
        if path[:2] == ("deep", "c"):
            step, full = trained.arrays[path] - before, plain.arrays[path] - before
            np.testing.assert_allclose(step, -0.5 * full, rtol=1e-5, atol=1e-7)
            assert np.abs(full).max() > 1e-3
        else:
            assert np.asarray(trained.arrays[path]).tobytes() == np.asarray(before).tobytes()
    shown = results("ArraysLearningRateMultipliers")
    assert shown == {
        "a/Weights": 0,
        "a/Biases": 0,
        "deep/b/Weights": 0,
        "deep/b/Biases": 0,
        "deep/c/Weights": -0.5,
        "deep/c/Biases": -0.5,
    }


@pytest.mark.parametrize("where", ["layer", "container", "training"])
def test_frozen_batch_normalization_keeps_its_moving_statistics(line, train, where):
    layer = BatchNormalizationLayer(**({"LearningRateMultipliers": 0} if where == "layer" else {}))
    container = {"LearningRateMultipliers": {"norm": 0}} if where == "container" else {}
    net = NetInitialize(NetChain({"norm": layer, "out": LinearLayer(2)}, Input=3, **container))
    trained = train(net, line, "TrainedNet", **({"LearningRateMultipliers": {"norm": 0}} if where == "training" else {}))
    for path in [*net.state, ("norm", "Scaling"), ("norm", "Biases")]:
        before, after = ({**n.arrays, **n.state}[path] for n in (net, trained))
        assert np.asarray(before).tobytes() == np.asarray(after).tobytes(), path
    assert not np.array_equal(net.arrays["out", "Weights"], trained.arrays["out", "Weights"])


def test_shared_arrays_take_the_sum_of_the_gradients_of_their_places(line, train):
    """y = W x + W' x with W = W' shared moves twice as far as one of them."""

    def pair(*names):
        return NetGraph(
            {
                "p": LinearLayer(2, Weights=NetArray(names[0]), Biases=None),
                "q": LinearLayer(2, Weights=NetArray(names[1]), Biases=None),
                "sum": Plus,
            },
            [(NetPort("Input"), ["p", "q"]), (["p", "q"], "sum")],
            Input=3,
        )

    values = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    options = {"Method": ["SGD", {"Momentum": 0}], "LearningRate": 0.1, "MaxTrainingRounds": 1}
    steps = {}
    for names in (("w", "w"), ("u", "v")):
        net = pair(*names)
        net = net.with_arrays(dict.fromkeys(net.missing, values))
        trained = train(net, line, "TrainedNet", **options)
        steps[names] = np.asarray(trained.arrays["", names[0]]) - values
        assert set(trained.arrays) == {("", name) for name in names}
    np.testing.assert_allclose(steps["w", "w"], 2 * steps["u", "v"], rtol=1e-5)
    assert np.abs(steps["u", "v"]).min() > 1e-4
