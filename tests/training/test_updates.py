"""What is done around the optimizer's step, against NumPy written out: schedules, clipping, L2, accumulation, averages, turns."""

from __future__ import annotations

import math

import numpy as np
import optax
import pytest

from netdsl import (
    All,
    Automatic,
    BatchNormalizationLayer,
    ConvolutionLayer,
    DeclarationError,
    DropoutLayer,
    FlattenLayer,
    Infinity,
    LinearLayer,
    NetChain,
    NetInitialize,
    NetMeasurements,
    PartError,
    PoolingLayer,
    Ramp,
    Rule,
)
from netdsl.lowering import compilations
from netdsl.training import planning, run
from tests.training.test_optimizers import adam, gradients, momentum_descent

ROUNDS = 6
SGD = momentum_descent(0.1, 0)


@pytest.fixture(scope="module")
def net():
    return NetInitialize(NetChain([2], Input=3))


def expected(net, line, update=SGD, factors=(), turns=((0, 1),), decay=(0, 0), clip=(math.inf,) * 2, limit=(math.inf,) * 2):
    """The weights and biases after each round of a linear net, each batch all of the data."""
    values = [np.asarray(net.arrays["1", name], np.float64) for name in ("Weights", "Biases")]
    memories, steps, history = [None, None], [0, 0], []
    for batch in range(ROUNDS):
        slopes = gradients(*values, *line)
        for i in turns[batch % len(turns)]:
            steps[i] += 1
            slope = np.clip(slopes[i] + decay[i] * values[i], -clip[i], clip[i])
            change, memories[i] = update(slope, memories[i], steps[i])
            values[i] = np.clip(values[i] - (factors[batch] if factors else 1) * change, -limit[i], limit[i])
        history.append(list(values))
    return history


def agree(trained, values):
    for name, value in zip(("Weights", "Biases"), values):
        np.testing.assert_allclose(trained.arrays["1", name], value, rtol=2e-4, atol=2e-6)


def method(**suboptions):
    return {"Method": ["SGD", {"Momentum": 0, "LearningRate": 0.1, **suboptions}], "MaxTrainingRounds": ROUNDS}


def untraceable(batch, total):
    return math.exp(-batch) if batch < total else 0.5


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("Linear", [1 - i / 6 for i in range(6)]),
        ("Exponential", [10 ** (-i / 3) for i in range(6)]),
        ("Cosine", [0.5 + 0.5 * math.cos(math.pi * i / 6) for i in range(6)]),
        (lambda batch, total: batch / total, [i / 6 for i in range(1, 7)]),
        (lambda batch, total: 0.25, [0.25] * 6),
        (untraceable, [math.exp(-i) for i in range(1, 6)] + [0.5]),
        (optax.linear_schedule(0.4, 0.0, 4), [0.4, 0.3, 0.2, 0.1, 0, 0]),
        (optax.piecewise_constant_schedule(1.0, {2: 0.5}), [1, 1, 0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_schedules_multiply_the_rate_of_each_batch(net, line, train, schedule, factors):
    results = train(net, line, **method(LearningRateSchedule=schedule))
    agree(results("TrainedNet"), expected(net, line, factors=factors)[-1])
    assert results("InitialLearningRate") == 0.1
    assert results("FinalLearningRate") == pytest.approx(0.1 * factors[-1], abs=1e-8)
    assert results("OptimizationMethod") == "SGD optimizer"
    own = train(net, line, **{**method(), "Method": [optax.sgd(0.1), {"LearningRateSchedule": schedule}]})
    agree(own("TrainedNet"), expected(net, line, factors=factors)[-1])


def test_schedules_count_batches_over_rounds_and_chunks(net, train):
    seen = []

    def noted(batch, total):
        seen.append((int(batch), int(total)))
        return int(batch) / int(total)

    data = Rule(np.ones((10, 3)), np.ones((10, 2)))
    results = train(net, data, BatchSize=1, MaxTrainingRounds=3, Method=["ADAM", {"LearningRateSchedule": noted}])
    assert list(dict.fromkeys(seen)) == [(i, 30) for i in range(1, 31)]
    assert results("FinalLearningRate") == pytest.approx(0.001)


def test_the_total_of_a_training_that_time_ends_follows_its_speed(net, train, monkeypatch):
    totals = []

    def noted(batch, total):
        totals.append(int(total))
        assert int(batch) <= int(total)
        return 1.0

    data = Rule(np.ones((8, 3)), np.ones((8, 2)))
    options = {"BatchSize": 4, "Method": ["ADAM", {"LearningRateSchedule": noted}]}
    train(net, data, **options)  # compiles
    totals.clear()
    results = train(net, data, MaxTrainingRounds=Infinity, TimeGoal=1, **options)
    assert totals[0] == 2 * planning.MOST_ROUNDS
    assert totals[-1] == pytest.approx(results("TotalBatches"), rel=0.2)
    monkeypatch.setattr(planning, "AUTOMATIC_SECONDS", 0.5)
    totals.clear()
    results = train(net, data, **{**options, "MaxTrainingRounds": Automatic})
    assert totals[-1] % 2 == 0
    assert totals[-1] == pytest.approx(results("TotalBatches"), rel=0.2)


@pytest.mark.parametrize(
    ("suboptions", "meant"),
    [
        ({"L2Regularization": 0.3}, {"decay": (0.3, 0.3)}),
        ({"L2Regularization": {(1, "Weights"): 0.3}}, {"decay": (0.3, 0)}),
        ({"GradientClipping": 0.5}, {"clip": (0.5, 0.5)}),
        ({"GradientClipping": [Rule([1, "Biases"], 0.2), Rule(All, 0.4)]}, {"clip": (0.4, 0.2)}),
        ({"GradientClipping": {(1, "Biases"): None, 1: 0.4}}, {"clip": (0.4, math.inf)}),
        ({"WeightClipping": 0.3}, {"limit": (0.3, 0.3)}),
        ({"WeightClipping": {(1, "Biases"): 0.05}}, {"limit": (math.inf, 0.05)}),
        (
            {"L2Regularization": 2, "GradientClipping": 0.8, "WeightClipping": 0.5, "LearningRateSchedule": lambda b, n: 1 / b},
            {"decay": (2, 2), "clip": (0.8, 0.8), "limit": (0.5, 0.5), "factors": [1 / b for b in range(1, 7)]},
        ),
    ],
    ids=", ".join,
)
def test_regularization_and_clipping_by_part(net, line, train, suboptions, meant):
    values = expected(net, line, **meant)[-1]
    assert not np.allclose(values[0], expected(net, line)[-1][0]) or not np.allclose(values[1], expected(net, line)[-1][1])
    agree(train(net, line, "TrainedNet", **method(**suboptions)), values)
    agree(train(net, line, "TrainedNet", MaxTrainingRounds=ROUNDS, Method=[optax.sgd(0.1), suboptions]), values)


@pytest.mark.parametrize("name", ["ADAM", "SGD", "Lion"])
def test_accumulated_batches_equal_one_large_batch(line, train, name):
    net = NetInitialize(NetChain([4, Ramp, 2], Input=3))
    suboptions = {"L2Regularization": 0.1, "GradientClipping": 0.3, "WeightClipping": 0.6, "MovingAverage": 0.5}
    options = {"MaxTrainingRounds": 5, "LearningRate": 0.01}
    small = train(net, line, BatchSize=2, Method=[name, {"GradientAccumulation": 5, **suboptions}], **options)
    large = train(net, line, BatchSize=10, Method=[name, suboptions], **options)
    assert small("TotalBatches") == 25
    for path, value in large("TrainedNet").arrays.items():
        np.testing.assert_allclose(small("TrainedNet").arrays[path], value, rtol=1e-4, atol=1e-6)
        assert not np.allclose(value, net.arrays[path], atol=1e-4)
    np.testing.assert_allclose(small("RoundLossList"), large("RoundLossList"), rtol=1e-4)


def test_accumulation_goes_on_over_rounds_and_leaves_a_rest(net, line, train):
    trained = train(net, line, "TrainedNet", **method(GradientAccumulation=4))
    values = [np.asarray(net.arrays["1", name]) for name in ("Weights", "Biases")]
    agree(trained, [value - 0.1 * slope for value, slope in zip(values, gradients(*values, *line))])


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_the_trained_net_has_the_average_of_its_arrays(net, line, train, share):
    history = expected(net, line)
    average = optax.ema(share, debias=True)
    state = average.init(history[0])
    for values in history:
        wanted, state = average.update([np.float32(value) for value in values], state)
    results = train(net, line, ValidationSet=line, **method(MovingAverage=share))
    agree(results("TrainedNet"), wanted)
    assert results("BestValidationRound") == ROUNDS
    loss = NetMeasurements(results("TrainedNet"), line, "MeanSquare")
    assert results("ValidationLoss") == pytest.approx(loss, rel=1e-4)
    last = train(net, line, **method())
    np.testing.assert_allclose(results("RoundLossList"), last("RoundLossList"), rtol=1e-6)  # what is trained is the same


WEIGHTS, BIASES = (1, "Weights"), (1, "Biases")


@pytest.mark.parametrize(
    ("schedule", "turns"),
    [
        ([WEIGHTS, BIASES], [[0], [1]]),
        ([list(BIASES), list(WEIGHTS)], [[1], [0]]),
        ({WEIGHTS: 2, BIASES: 1}, [[0], [0], [1]]),
        ([Rule(WEIGHTS, 1), Rule(BIASES, 3)], [[0], [1], [1], [1]]),
        ([WEIGHTS, All], [[0], [0, 1]]),
        ([WEIGHTS, BIASES, WEIGHTS], [[0], [1], [0]]),
        ([1], [[0, 1]]),
        ([WEIGHTS], [[0]]),
    ],
    ids=str,
)
@pytest.mark.parametrize("own", [False, True], ids=["named", "optax"])
def test_turns_move_their_arrays_alone_and_what_the_method_keeps_of_them(net, line, train, schedule, turns, own):
    options = {"Method": optax.adam(0.1, eps=1e-5)} if own else {"LearningRate": 0.1}
    trained = train(net, line, "TrainedNet", MaxTrainingRounds=ROUNDS, TrainingUpdateSchedule=schedule, **options)
    agree(trained, expected(net, line, adam(0.1), turns=turns)[-1])


def test_what_has_no_turn_keeps_every_bit(line, train):
    net = NetInitialize(NetChain({"norm": BatchNormalizationLayer(), "a": LinearLayer(2), "b": LinearLayer(2)}, Input=3))
    suboptions = {"WeightClipping": 0.01, "L2Regularization": 1}
    for schedule in (["a", "b"], ["a", "norm"]):  # one batch: the second part has no turn yet, moving statistics neither
        options = {"MaxTrainingRounds": 1, "TrainingUpdateSchedule": schedule}
        trained = train(net, line, "TrainedNet", Method=["ADAM", suboptions], **options)
        for path, before in net.array_table().items():
            same = np.asarray(trained.array_table()[path]).tobytes() == np.asarray(before).tobytes()
            assert same is (path[0] != "a")
    trained = train(net, line, "TrainedNet", TrainingUpdateSchedule=["a", "norm"])
    for path, before in net.array_table().items():
        same = np.asarray(trained.array_table()[path]).tobytes() == np.asarray(before).tobytes()
        assert same is (path[0] == "b")


def test_turns_follow_updates_where_batches_are_accumulated(net, line, train):
    options = {"TrainingUpdateSchedule": [WEIGHTS, BIASES], "MaxTrainingRounds": 3 * ROUNDS}
    trained = train(net, line, "TrainedNet", **options, Method=["ADAM", {"LearningRate": 0.1, "GradientAccumulation": 3}])
    agree(trained, expected(net, line, adam(0.1), turns=[[0], [1]])[-1])


def test_cores_that_share_batches_take_the_same_turns(line, train, monkeypatch):
    net = NetInitialize(NetChain([8, Ramp, 2], Input=3))
    data = Rule(np.tile(line[0], (8, 1)), np.tile(line[1], (8, 1)))
    suboptions = {"GradientAccumulation": 2, "MovingAverage": 0.9, "LearningRateSchedule": "Cosine"}
    options = {"TrainingUpdateSchedule": [1, 3], "Method": ["ADAM", suboptions], "BatchSize": 16, "MaxTrainingRounds": 4}
    found = []
    for cores in (1, 2):
        monkeypatch.setattr(run, "cores_for", lambda *_, cores=cores: cores)
        found.append(train(net, data, "TrainedNet", **options))
    for path, value in found[0].arrays.items():
        np.testing.assert_allclose(found[1].arrays[path], value, rtol=1e-4, atol=1e-6)


def test_other_numbers_compile_nothing(net, line, train):
    def options(scale):
        numbers = dict.fromkeys(("L2Regularization", "GradientClipping", "WeightClipping", "MovingAverage"), scale)
        schedule = lambda batch, total: scale  # noqa: E731
        return {"Method": ["ADAM", {**numbers, "GradientAccumulation": int(1 / scale), "LearningRateSchedule": schedule}]}

    train(net, line, **options(0.5))
    before = compilations()
    train(net, line, MaxTrainingRounds=3, **options(0.25))
    assert compilations() == before


def convolutions(*further):
    return NetChain(
        [ConvolutionLayer(8, 3), *further, Ramp, PoolingLayer(2), FlattenLayer(), DropoutLayer(), 2], Input=[1, 12, 12]
    )


def test_less_memory_changes_no_numbers(train, monkeypatch):
    source = np.random.default_rng(3)
    data = Rule(source.normal(size=(128, 1, 12, 12)), source.normal(size=(128, 2)))
    bytes_, make = [], run.chunk_function

    def spied(plan):
        function = make(plan)

        def chunk(*arguments):
            bytes_.append(function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes)
            return function(*arguments)

        return chunk

    for further in ((), (BatchNormalizationLayer(),)):
        net = NetInitialize(convolutions(*further))
        monkeypatch.setattr(run, "chunk_function", spied)
        fast = train(net, data, PerformanceGoal="TrainingSpeed", MaxTrainingRounds=1, Method="SGD")
        used = bytes_[-1]
        spare = train(net, data, PerformanceGoal="TrainingMemory", MaxTrainingRounds=1, Method="SGD")
        monkeypatch.undo()
        assert further or bytes_[-1] < 0.6 * used
        for path, value in fast("TrainedNet").array_table().items():
            np.testing.assert_allclose(spare("TrainedNet").array_table()[path], value, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(spare("BatchLossList"), fast("BatchLossList"), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"Method": ["ADAM", {"LearningRateSchedule": "Linea"}]},
            DeclarationError,
            "LearningRateSchedule is a function f(batch, total), an optax schedule or a name. Got 'Linea'. Did you mean 'Linear'?",
        ),
        (
            {"Method": ["ADAM", {"LearningRateSchedule": 0.5}]},
            DeclarationError,
            "LearningRateSchedule is a function f(batch, total), an optax schedule or a name. Got 0.5.",
        ),
        (
            {"Method": ["ADAM", {"LearningRateSchedule": lambda batch, total: 1 - batch}]},
            DeclarationError,
            "LearningRateSchedule gives numbers of at least 0. Got -1 for batch 2 of 2.",
        ),
        (
            {"Method": ["ADAM", {"LearningRateSchedule": lambda batch, total: [1, 2]}]},
            DeclarationError,
            "LearningRateSchedule gives a number for a batch. Got ",
        ),
        (
            {"Method": ["ADAM", {"LearningRateSchedule": lambda batch, total: "fast"}]},
            DeclarationError,
            "LearningRateSchedule gives a number for a batch. Got 'fast' for batch 1.",
        ),
        (
            {"Method": ["ADAM", {"L2Regularization": -1}]},
            DeclarationError,
            "The suboption 'L2Regularization' of Method is a number of at least 0, None, or rules from parts of the net to such. "
            "Got -1.",
        ),
        (
            {"Method": ["ADAM", {"WeightClipping": {1: 0}}]},
            DeclarationError,
            "The suboption 'WeightClipping' of Method is a number greater than 0, None, or rules from parts of the net to such. Got 0.",
        ),
        (
            {"Method": ["ADAM", {"GradientClipping": {"first": 1}}]},
            PartError,
            "The suboption 'GradientClipping' of Method: no array is at 'first'.",
        ),
        (
            {"Method": ["ADAM", {"GradientAccumulation": 0}]},
            DeclarationError,
            "The suboption 'GradientAccumulation' of Method 'ADAM' is a positive integer. Got 0.",
        ),
        (
            {"Method": ["ADAM", {"MovingAverage": 1}]},
            DeclarationError,
            "The suboption 'MovingAverage' of Method 'ADAM' is a number from 0 to below 1. Got 1.",
        ),
        (
            {"TrainingUpdateSchedule": "1"},
            DeclarationError,
            "TrainingUpdateSchedule is a list of parts of the net, or of rules from parts to numbers of batches. Got '1'.",
        ),
        ({"TrainingUpdateSchedule": []}, DeclarationError, "TrainingUpdateSchedule is a list of parts of the net, "),
        (
            {"TrainingUpdateSchedule": {1: 0}},
            DeclarationError,
            "TrainingUpdateSchedule: a part is trained on a positive integer of batches in turn. Got Rule(1, 0).",
        ),
        ({"TrainingUpdateSchedule": ["x"]}, PartError, "TrainingUpdateSchedule: no array is at 'x'."),
        (
            {"TrainingUpdateSchedule": [WEIGHTS], "LearningRateMultipliers": {WEIGHTS: 0}},
            DeclarationError,
            "This net has no array to train: LearningRateMultipliers are 0 or TrainingUpdateSchedule leaves out all its arrays.",
        ),
        (
            {"PerformanceGoal": "Quality"},
            DeclarationError,
            'PerformanceGoal is "TrainingSpeed", "TrainingMemory" or Automatic. Got \'Quality\'.',
        ),
    ],
)
def test_wrong_settings_are_refused(net, line, train, options, error, message):
    with pytest.raises(error) as raised:
        train(net, line, **options)
    assert str(raised.value).startswith(message)
