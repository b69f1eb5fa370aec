"""WorkingPrecision of NetTrain: float64 against NumPy, mixed precision against float32, and neither in the way of the other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    DeclarationError,
    DropoutLayer,
    FlattenLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetChain,
    NetDecoder,
    NetInitialize,
    NetMeasurements,
    NetTrain,
    PoolingLayer,
    Ramp,
    Rule,
    SequenceLastLayer,
    SoftmaxLayer,
    Tanh,
    UnsupportedError,
)
from netdsl.lowering import compilations, cores
from netdsl.training import plan
from netdsl.training.settings import settings_of

SOURCE = np.random.default_rng(7)
INPUTS = SOURCE.normal(size=(48, 3))
TARGETS = np.stack([np.sin(INPUTS.sum(1)), INPUTS[:, 0] * INPUTS[:, 1]], 1)
DATA = INPUTS, TARGETS


@pytest.fixture
def mesh(monkeypatch):
    """All cores share each batch, however small."""
    monkeypatch.setattr(cores, "LEAST_WORK", 0)


def net():
    return NetInitialize(NetChain([4, Tanh, 2], Input=3), RandomSeeding=2)


def by_numpy(start, rounds, rate, momentum):
    """The losses and arrays of gradient descent on all examples at once, in float64."""
    w, b, v, c = (
        np.asarray(start[path], np.float64) for path in (("1", "Weights"), ("1", "Biases"), ("3", "Weights"), ("3", "Biases"))
    )
    losses, moved = [], [np.zeros_like(a) for a in (w, b, v, c)]
    for _ in range(rounds):
        hidden = np.tanh(INPUTS @ w.T + b)
        wrong = hidden @ v.T + c - TARGETS
        losses.append(np.mean(wrong**2))
        slope = 2 * wrong / wrong.size
        back = slope @ v * (1 - hidden**2)
        slopes = back.T @ INPUTS, back.sum(0), slope.T @ hidden, slope.sum(0)
        moved = [g + momentum * m for g, m in zip(slopes, moved)]
        w, b, v, c = (a - rate * m for a, m in zip((w, b, v, c), moved))
    return losses, (w, b, v, c)


SGD = {"Method": ["SGD", {"Momentum": 0.9}], "LearningRate": 0.1, "BatchSize": 48, "MaxTrainingRounds": 60}


@pytest.mark.parametrize("shared", [False, True], ids=["one core", "all cores"])
def test_real64_agrees_with_numpy(train, request, shared):
    if shared:
        request.getfixturevalue("mesh")
    start = net()
    losses, arrays = by_numpy(start.arrays, 60, 0.1, 0.9)
    double = train(start, DATA, **SGD, WorkingPrecision="Real64", ValidationSet=DATA)
    assert double("BatchLossList").dtype == np.float64
    np.testing.assert_allclose(double("BatchLossList"), losses, rtol=1e-12)
    np.testing.assert_allclose(double("ValidationLossList")[:-1], losses[1:], rtol=1e-12)
    single = train(start, DATA, **SGD)
    assert np.abs(single("BatchLossList") / losses - 1).max() > 1e-8, "float32 does not"
    trained = double("TrainedNet")
    assert {value.dtype for value in trained.arrays.values()} == {np.dtype(np.float32)}
    for made, expected in zip(trained.arrays.values(), arrays):
        np.testing.assert_array_equal(made, expected.astype(np.float32))


def test_float64_arrays_stay_float64(train):
    with jax.enable_x64(True):
        start = net().with_arrays({path: np.asarray(value, np.float64) / 3 for path, value in net().arrays.items()})
    _, arrays = by_numpy(start.arrays, 60, 0.1, 0.9)
    trained = train(start, DATA, "TrainedNet", **SGD, WorkingPrecision="Real64", LearningRateMultipliers={"1": 1})
    for made, expected in zip(trained.arrays.values(), arrays):
        np.testing.assert_allclose(made, expected, rtol=1e-12)
    single = train(start, DATA, "TrainedNet", **SGD)
    for made, expected in zip(single.arrays.values(), arrays):
        np.testing.assert_allclose(made, expected, rtol=1e-3)


def test_precisions_in_turn_do_not_mix(train):
    options = {"BatchSize": 16, "ValidationSet": (INPUTS[:8], TARGETS[:8]), "MaxTrainingRounds": 3}
    dropping = NetChain([8, Tanh, DropoutLayer(0.3), 2])
    runs = [
        train(dropping, DATA, **options, WorkingPrecision=name)
        for name in ("Real32", "Real64", "Real32", "Mixed", "Real64", "Mixed", "Real32")
    ]
    bits = [run("BatchLossList").tobytes() for run in runs]
    assert bits[0] == bits[2] == bits[6]
    assert bits[1] == bits[4]
    assert bits[3] == bits[5]
    assert len(set(bits)) == 3
    np.testing.assert_allclose(runs[1]("BatchLossList"), runs[0]("BatchLossList"), rtol=1e-5)
    assert jax.config.jax_enable_x64 is False
    assert jnp.ones(()).dtype == jnp.float32
    traces = compilations()
    for name in ("Real32", "Real64", "Mixed"):
        train(dropping, DATA, **options, WorkingPrecision=name)
    assert compilations() == traces


# Mixed

IMAGES = SOURCE.normal(size=(48, 1, 8, 8)).astype(np.float32)
BRIGHT = [bool(value) for value in IMAGES.mean((1, 2, 3)) > 0]
SEQUENCES = [SOURCE.normal(size=(length, 3)).astype(np.float32) for length in SOURCE.integers(1, 9, 48)]

NETS = {
    "linear": (NetChain([16, Tanh, 2]), DATA),
    "convolution, batch normalization, pooling": (
        NetChain(
            [ConvolutionLayer(4, 3), BatchNormalizationLayer(), Ramp, PoolingLayer(2, 2), FlattenLayer(), 2, SoftmaxLayer()],
            Output=NetDecoder("Class", [False, True]),
        ),
        Rule(IMAGES, BRIGHT),
    ),
    "recurrent, over sequences of different lengths": (
        NetChain([LongShortTermMemoryLayer(6), SequenceLastLayer(), LinearLayer([])], Input=["Varying", 3]),
        Rule(SEQUENCES, [float(sequence[-1].sum()) for sequence in SEQUENCES]),
    ),
}


@pytest.mark.parametrize("shared", [False, True], ids=["one core", "all cores"])
@pytest.mark.parametrize("name", NETS)
def test_mixed_trains_about_as_well(train, request, name, shared):
    if shared:
        request.getfixturevalue("mesh")
    start, data = NETS[name]
    options = {"BatchSize": 16, "MaxTrainingRounds": 12, "LearningRate": 0.01}
    single, mixed = (train(start, data, **options, WorkingPrecision=precision) for precision in ("Real32", "Mixed"))
    losses, near = single("RoundLossList"), mixed("RoundLossList")
    assert losses[-1] < 0.95 * losses[0], "it learns"
    np.testing.assert_allclose(near, losses, rtol=0.02)
    assert near.tobytes() != losses.tobytes()
    trained = mixed("TrainedNet")
    assert {value.dtype for value in {**trained.arrays, **trained.state}.values()} == {np.dtype(np.float32)}
    assert mixed("BatchLossList").dtype == np.float32


def test_small_steps_are_not_lost():
    """In bfloat16 1 + 0.001 is 1: the arrays and what the method keeps are in float32."""
    start = LinearLayer([], Weights=[[1.0]], Biases=None, Input=1)
    options = {
        "Method": ["SGD", {"Momentum": 0}],
        "LearningRate": 5e-4,
        "MaxTrainingRounds": 20,
        "TrainingProgressReporting": None,
    }
    trained = NetTrain(start, (np.ones([4, 1]), np.zeros(4)), **options, WorkingPrecision="Mixed")
    np.testing.assert_allclose(trained.arrays["Weights",], [[0.999**20]], rtol=2e-4)


def test_what_is_carried_from_batch_to_batch_is_float32(train, monkeypatch):
    seen = []
    function = plan.chunk_function

    def spied(plan):
        run = function(plan)

        def call(carry, *rest):
            seen.append({leaf.dtype.name for leaf in jax.tree.leaves((carry, rest[0]))})
            return run(carry, *rest)

        return call

    monkeypatch.setattr("netdsl.training.run.chunk_function", spied)
    train(NETS["convolution, batch normalization, pooling"][0], Rule(IMAGES, BRIGHT), BatchSize=16, WorkingPrecision="Mixed")
    assert set().union(*seen) == {"float32", "int32"}


@pytest.mark.parametrize("precision", ["Real32", "Real64", "Mixed"])
def test_a_program_that_has_64_bits_everywhere(train, precision):
    """The state of the net is float32, what float64 data make of it is not; it is carried on as it began."""
    start = NetChain([BatchNormalizationLayer(Interleaving=True), SequenceLastLayer(), LinearLayer([])], Input=["Varying", 3])
    data = Rule([np.float64(sequence) for sequence in SEQUENCES], [float(sequence[-1].sum()) for sequence in SEQUENCES])
    expected = train(start, data)("BatchLossList")
    with jax.enable_x64(True):
        results = train(start, data, WorkingPrecision=precision)
        trained = results("TrainedNet")
        assert {value.dtype.name for value in {**trained.arrays, **trained.state}.values()} == {"float32"}
        assert len(trained(SEQUENCES)) == 48
    np.testing.assert_allclose(results("BatchLossList"), expected, rtol=0.02)


def test_losses_are_finite_for_large_logits(train):
    start = NetChain([LinearLayer(2, Weights=[[1e4], [-1e4]]), SoftmaxLayer()], Output=NetDecoder("Class", [False, True]))
    results = train(start, Rule([[1.0], [-1.0]], [True, False]), WorkingPrecision="Mixed", LearningRate=1.0)
    np.testing.assert_allclose(results("BatchLossList"), 2e4, rtol=0.02)


# Measurements


def test_measurements_have_the_precision_too():
    start = net()
    losses, _ = by_numpy(start.arrays, 1, 0, 0)
    measured = {name: NetMeasurements(start, DATA, "Loss", WorkingPrecision=name) for name in ("Real32", "Real64", "Mixed")}
    assert measured["Real64"] == pytest.approx(losses[0], rel=1e-12)
    assert measured["Real32"] == pytest.approx(losses[0], rel=1e-5)
    assert measured["Real32"] != measured["Real64"]
    assert measured["Mixed"] == pytest.approx(losses[0], rel=0.02)
    assert measured["Mixed"] != measured["Real32"] == NetMeasurements(start, DATA, "Loss")
    traces = compilations()
    NetMeasurements(start, DATA, ["Loss", "BatchEvaluationTime"], WorkingPrecision="Real64", BatchSize=48)
    NetMeasurements(start, DATA, ["Loss", "BatchEvaluationTime"], WorkingPrecision="Real64", BatchSize=48)
    assert compilations() == traces + 1


# Refusals


@pytest.mark.parametrize("ask", [NetTrain, lambda *args, **options: NetMeasurements(*args, "Loss", **options)])
def test_refusals(ask):
    with pytest.raises(DeclarationError) as caught:
        ask(net(), DATA, WorkingPrecision="Real23")
    assert str(caught.value) == 'WorkingPrecision is "Real32", "Real64", "Mixed" or Automatic. Got \'Real23\'.'
    with pytest.raises(UnsupportedError, match='WorkingPrecision="Real16" is not supported'):
        ask(net(), DATA, WorkingPrecision="Real16")


def test_settings():
    assert [settings_of({"WorkingPrecision": name}).precision.name for name in ("Real32", "Real64", "Mixed")] == [
        "Real32",
        "Real64",
        "Mixed",
    ]
    assert settings_of({}).precision.name == "Real32"
