"""Each optimizer against a NumPy loop written from its published formula; options of Method and LearningRate."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

from netdsl import Automatic, DeclarationError, LinearLayer, NetChain, NetInitialize, Rule, Tanh
from netdsl.training.optimizers import METHODS, optimizer

ROUNDS = 5


def gradients(weights, biases, inputs, targets):
    """Of the mean over examples and outputs of the squared differences."""
    wrong = inputs @ weights.T + biases - targets
    scale = 2 / wrong.size
    return scale * wrong.T @ inputs, scale * wrong.sum(0)


def adam(rate, beta1=0.9, beta2=0.999, epsilon=1e-5):
    def update(slope, memory, step):
        mean, square = memory or (0, 0)
        mean, square = beta1 * mean + (1 - beta1) * slope, beta2 * square + (1 - beta2) * slope**2
        return rate * (mean / (1 - beta1**step)) / (np.sqrt(square / (1 - beta2**step)) + epsilon), (mean, square)

    return update


def rmsprop(rate, beta=0.95, epsilon=1e-6, momentum=0.9):
    def update(slope, memory, step):
        square, moved = memory or (0, 0)
        square = beta * square + (1 - beta) * slope**2
        moved = momentum * moved + slope / np.sqrt(square + epsilon)
        return rate * moved, (square, moved)

    return update


def momentum_descent(rate, momentum=0.93, direction=lambda moved: moved):
    def update(slope, memory, step):
        moved = momentum * (0 if memory is None else memory) + slope
        return rate * direction(moved), moved

    return update


def expected(net, inputs, targets, update, rounds=ROUNDS):
    values = [np.asarray(net.arrays["1", name], np.float64) for name in ("Weights", "Biases")]
    memories = [None, None]
    for step in range(1, rounds + 1):
        for i, slope in enumerate(gradients(*values, inputs, targets)):
            change, memories[i] = update(slope, memories[i], step)
            values[i] = values[i] - change
    return values


@pytest.fixture(scope="module")
def net():
    return NetInitialize(NetChain([2], Input=3))


@pytest.mark.parametrize(
    ("options", "update"),
    [
        ({}, adam(0.001)),
        ({"LearningRate": 0.1}, adam(0.1)),
        ({"Method": "ADAM", "LearningRate": 0.25}, adam(0.25)),
        ({"Method": ["ADAM", {"Beta1": 0.5, "Beta2": 0.9, "Epsilon": 0.01, "LearningRate": 0.2}]}, adam(0.2, 0.5, 0.9, 0.01)),
        ({"Method": ["ADAM", {"LearningRate": 0.2}], "LearningRate": 0.1}, adam(0.1)),
        ({"Method": ["ADAM", Rule("LearningRate", 0.2)]}, adam(0.2)),
        ({"Method": "RMSProp"}, rmsprop(0.001)),
        ({"Method": ["RMSProp", {"Beta": 0.8, "Momentum": 0.2}], "LearningRate": 0.05}, rmsprop(0.05, 0.8, momentum=0.2)),
        ({"Method": "SGD"}, momentum_descent(0.01)),
        ({"Method": ["SGD", {"Momentum": 0}], "LearningRate": 0.3}, momentum_descent(0.3, 0)),
        ({"Method": "SignSGD"}, momentum_descent(0.0001, direction=np.sign)),
        ({"Method": optax.sgd(0.1)}, momentum_descent(0.1, 0)),
        (
            {"Method": optax.chain(optax.clip(0.05), optax.sgd(1.0))},
            lambda slope, memory, step: (np.clip(slope, -0.05, 0.05), None),
        ),
        ({"Method": optax.sgd(optax.linear_schedule(0.4, 0.0, 4))}, lambda slope, memory, step: (0.1 * (5 - step) * slope, None)),
    ],
    ids=lambda value: None if callable(value) else str(value)[:40],
)
def test_step_follows_the_published_formula(net, line, train, options, update):
    trained = train(net, line, "TrainedNet", MaxTrainingRounds=ROUNDS, **options)
    for name, value in zip(("Weights", "Biases"), expected(net, *line, update)):
        np.testing.assert_allclose(trained.arrays["1", name], value, rtol=2e-4, atol=2e-6)
        assert not np.array_equal(trained.arrays["1", name], net.arrays["1", name])


def test_optax_transformations_may_ask_for_the_loss(net, line, train):
    seen = optax.GradientTransformationExtraArgs(
        lambda arrays: (),
        lambda slopes, state, arrays=None, *, value, **_: ({k: -value + 0 * v for k, v in slopes.items()}, state),
    )
    trained = train(net, line, MaxTrainingRounds=1, Method=seen)
    moved = np.asarray(net.arrays["1", "Biases"] - trained("TrainedNet").arrays["1", "Biases"])
    np.testing.assert_allclose(moved, trained("RoundLoss"), rtol=1e-5)


def test_optax_states_are_kept_between_steps(net, line, train):
    trained = train(net, line, "TrainedNet", MaxTrainingRounds=ROUNDS, Method=optax.adam(0.1, eps=1e-5))
    np.testing.assert_allclose(trained.arrays["1", "Weights"], expected(net, *line, adam(0.1))[0], rtol=1e-4)


OPTAX = {
    "AdamW": (optax.adamw, {"Beta1": "b1", "Beta2": "b2", "Epsilon": "eps", "WeightDecay": "weight_decay"}),
    "NAdam": (optax.nadam, {"Beta1": "b1", "Beta2": "b2", "Epsilon": "eps"}),
    "RAdam": (optax.radam, {"Beta1": "b1", "Beta2": "b2", "Epsilon": "eps", "Threshold": "threshold"}),
    "AdaMax": (optax.adamax, {"Beta1": "b1", "Beta2": "b2", "Epsilon": "eps"}),
    "AdaGrad": (optax.adagrad, {"InitialAccumulator": "initial_accumulator_value", "Epsilon": "eps"}),
    "AdaDelta": (optax.adadelta, {"Rho": "rho", "Epsilon": "eps"}),
    "Lion": (optax.lion, {"Beta1": "b1", "Beta2": "b2", "WeightDecay": "weight_decay"}),
    "LAMB": (optax.lamb, {"Beta1": "b1", "Beta2": "b2", "Epsilon": "eps", "WeightDecay": "weight_decay"}),
    "LARS": (
        optax.lars,
        {"Momentum": "momentum", "WeightDecay": "weight_decay", "TrustCoefficient": "trust_coefficient", "Epsilon": "eps"},
    ),
    "Adafactor": (
        optax.adafactor,
        {"DecayRate": "decay_rate", "ClippingThreshold": "clipping_threshold", "Epsilon": "eps"},
    ),
}


@pytest.mark.parametrize("changed", [False, True], ids=["defaults", "suboptions"])
@pytest.mark.parametrize("name", OPTAX)
def test_step_is_that_of_optax_alone(net, line, train, name, changed):
    make, arguments = OPTAX[name]
    values = {key: 4.2 if key == "Threshold" else value for key, value in zip(arguments, (0.4, 0.6, 0.7, 0.8)) if changed}
    rule = make(0.05, **{arguments[key]: value for key, value in values.items()})
    arrays = [np.asarray(net.arrays["1", key]) for key in ("Weights", "Biases")]
    state = rule.init(arrays)
    for _ in range(ROUNDS):
        slopes = [slope.astype(np.float32) for slope in gradients(*arrays, *line)]
        steps, state = rule.update(slopes, state, arrays)
        arrays = optax.apply_updates(arrays, steps)
    trained = train(net, line, "TrainedNet", MaxTrainingRounds=ROUNDS, Method=[name, values], LearningRate=0.05)
    for key, before, after in zip(("Weights", "Biases"), net.arrays.values(), arrays):
        np.testing.assert_allclose(trained.arrays["1", key], after, rtol=2e-4, atol=2e-6)
        assert not np.array_equal(before, after)


def test_methods_that_look_at_whole_arrays_see_each_of_a_deep_net(line, train):
    deep = NetInitialize(NetChain([3, *[LinearLayer(3), Tanh] * 140, 2], Input=3))
    names = train(deep, line, "TrainedNet", Method="LAMB", LearningRate=0.01)
    alone = train(deep, line, "TrainedNet", Method=optax.lamb(0.01))
    for path, value in alone.arrays.items():
        np.testing.assert_allclose(names.arrays[path], value, rtol=1e-4, atol=1e-6)


def test_rates_are_reported(net, line, train):
    assert train(net, line, "InitialLearningRate", LearningRate=0.25) == 0.25
    assert train(net, line, ["FinalLearningRate", "OptimizationMethod"]) == [0.001, "ADAM optimizer"]
    assert train(net, line, "InitialLearningRate", Method=optax.sgd(0.1)) is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"Method": "Adam!"},
            DeclarationError,
            "NetTrain has no Method 'Adam!'. Did you mean 'ADAM'? Any optax.GradientTransformation is taken too.",
        ),
        (
            {"Method": ["ADAM", {"epsilon": 1}]},
            DeclarationError,
            "Method 'ADAM' has no suboption 'epsilon'. Did you mean 'Epsilon'?",
        ),
        (
            {"Method": ["ADAM", {"Beta1": 1}]},
            DeclarationError,
            "The suboption 'Beta1' of Method 'ADAM' is a number from 0 to below 1. Got 1.",
        ),
        ({"Method": ["SGD", 0.9]}, DeclarationError, "The suboptions of Method 'SGD' are a dict. Got 0.9."),
        (
            {"Method": ["AdamW", {"WeightDecay": -1}]},
            DeclarationError,
            "The suboption 'WeightDecay' of Method 'AdamW' is a number of at least 0. Got -1.",
        ),
        ({"LearningRate": -1}, DeclarationError, "LearningRate is a number of at least 0 or Automatic. Got -1."),
        ({"LearningRate": float("nan")}, DeclarationError, "LearningRate is a number of at least 0 or Automatic. Got nan."),
        ({"LearningRate": True}, DeclarationError, "LearningRate is a number of at least 0 or Automatic. Got True."),
        (
            {"LearningRate": 0.1, "Method": optax.sgd(0.1)},
            DeclarationError,
            "LearningRate is part of an optax transformation given as Method. Leave LearningRate out.",
        ),
        ({"Method": {"ADAM": 1}}, DeclarationError, "NetTrain has no Method {'ADAM': 1}."),
        (
            {"Method": [optax.sgd(0.1), {"LearningRate": 0.1}]},
            DeclarationError,
            "LearningRate is part of an optax transformation given as Method. Leave LearningRate out.",
        ),
        (
            {"Method": [optax.sgd(0.1), {"Momentum": 0.1}]},
            DeclarationError,
            "Method of optax has no suboption 'Momentum'. ",
        ),
        (
            {"LearningRate": optax.constant_schedule(0.1)},
            DeclarationError,
            "LearningRate is a number of at least 0 or Automatic. Got ",
        ),
    ],
)
def test_wrong_methods_are_refused(net, line, train, options, error, message):
    with pytest.raises(error) as raised:
        train(net, line, **options)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("method", METHODS)
def test_named_methods_start_as_optax_says(method):
    """Zeros are made without asking optax for more than their shapes."""
    arrays = {("1", "Weights"): np.ones((2, 3), np.float32), ("1", "Biases"): np.ones(2, np.float32)}
    made = optimizer(method, Automatic)
    started, expected = made.start(arrays), made.make().init(arrays)
    assert jax.tree.structure(started) == jax.tree.structure(expected)
    for ours, its in zip(jax.tree.leaves(started), jax.tree.leaves(expected)):
        assert ours.dtype == its.dtype
        np.testing.assert_array_equal(ours, its)
