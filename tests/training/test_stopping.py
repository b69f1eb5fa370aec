"""What ends a training: rounds, time, the user, numbers that are not finite. The user's net is unharmed by each."""

from __future__ import annotations

import hashlib
import os
import signal

import numpy as np
import optax
import pytest

from netdsl import Automatic, Infinity, LinearLayer, NetInitialize, Quantity, TrainingError
from netdsl.training import planning, run, settings
from netdsl.training.progress import Progress

INPUTS = np.random.default_rng(7).normal(size=(40, 3)).astype(np.float32)
DATA = INPUTS, INPUTS.sum(1)


def digest(net):
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in net.arrays.values())).hexdigest()


class Interrupting(Progress):
    """Presses Ctrl-C in the middle of the third round, as often as told."""

    def __init__(self, times):
        self.times = times
        self.messages = []

    def update(self, status):
        if status.round == 3 and status.batch > 0:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)
            self.times = 0

    def finish(self, message):
        self.messages.append(message)


@pytest.fixture
def net():
    net = NetInitialize(LinearLayer([], Input=3))
    before = digest(net)
    yield net
    assert digest(net) == before
    assert isinstance(net(INPUTS[0]), float)


@pytest.fixture
def interrupting(monkeypatch):
    def press(times):
        progress = Interrupting(times)
        monkeypatch.setattr(settings, "progress", lambda setting: progress)
        return progress

    handler = signal.default_int_handler
    before = signal.signal(signal.SIGINT, handler)  # in the background a shell has it ignored
    try:
        yield press
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_rounds(net, train):
    results = train(net, DATA, MaxTrainingRounds=4, TimeGoal=600)
    assert results(["TotalRounds", "ReasonTrainingStopped"]) == [4, "finished"]


@pytest.mark.parametrize("goal", [0.6, Quantity(0.01, "Minutes"), np.float32(0.6)], ids=str)
def test_time_goal(net, train, goal):
    for rounds in (Infinity, 10**9):
        results = train(net, DATA, MaxTrainingRounds=rounds, TimeGoal=goal)
        assert 0.6 <= results("TotalTrainingTime") < 20
        assert results("ReasonTrainingStopped") == "reached the TimeGoal"
        assert results("TotalRounds") > 1


def test_automatic_time(net, monkeypatch, train):
    monkeypatch.setattr(planning, "AUTOMATIC_SECONDS", 0.5)
    results = train(net, DATA, MaxTrainingRounds=Automatic)
    assert 0.5 <= results("TotalTrainingTime") < 20
    assert results("ReasonTrainingStopped") == "reached the automatic 0.5 seconds"
    monkeypatch.setattr(planning, "AUTOMATIC_SECONDS", 600)
    monkeypatch.setattr(planning, "MOST_ROUNDS", 7)
    results = train(net, DATA, MaxTrainingRounds=Automatic)
    assert results(["TotalRounds", "ReasonTrainingStopped"]) == [7, "reached the automatic limit of 7 rounds"]


def test_control_c_once_gives_the_results_so_far(net, train, interrupting):
    progress = interrupting(1)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(run, "CONSULTED_EVERY", 0.0)
    results = train(net, DATA, BatchSize=4, MaxTrainingRounds=Infinity, ValidationSet=DATA)
    monkey.undo()
    assert results("ReasonTrainingStopped") == "stopped by the user"
    assert results("TotalRounds") == 3
    assert 20 < results("TotalBatches") < 30, "the third round was left in its middle"
    assert len(results("ValidationLossList")) == 2
    assert results("RoundLossList").shape == (3,)
    assert results("RoundPositions").tolist() == [10, 20, results("TotalBatches")]
    assert progress.messages[0].startswith("Training stopped by the user after 3 rounds, ")
    assert digest(results("TrainedNet")) == digest(train(net, DATA, "TrainedNet", BatchSize=4, MaxTrainingRounds=2))
    assert "BatchLossList" in results("Properties")
    assert str(results)
    assert results._repr_html_()


def test_control_c_twice_stops_at_once(net, train, interrupting):
    progress = interrupting(2)
    with pytest.raises(KeyboardInterrupt):
        train(net, DATA, MaxTrainingRounds=Infinity)
    assert progress.messages[0].startswith("Training broke off after 3 rounds, ")


def test_an_ignored_control_c_stays_ignored(net, train, interrupting):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interrupting(1)
        assert train(net, DATA, "TotalRounds", MaxTrainingRounds=5) == 5
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_in_a_thread_leaves_signals_alone(net, train):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        nets = list(pool.map(lambda _: train(net, DATA, "TrainedNet"), range(2)))
    assert digest(nets[0]) == digest(nets[1]) == digest(train(net, DATA, "TrainedNet"))


SLOW_DOWN = (
    "The loss before was 0.174: the step after it led out of the numbers. A smaller LearningRate than 1e+20, inputs scaled to "
    "about 1, or a normalization layer are the usual cures."
)


def test_a_loss_that_is_not_finite(net, train):
    with pytest.raises(TrainingError) as raised:
        train(net, DATA, Method="SGD", LearningRate=1e20, BatchSize=8, MaxTrainingRounds=9)
    assert str(raised.value) == f"The loss of batch 2 of round 1 is inf, at the port 'Loss'. {SLOW_DOWN}"
    assert raised.value.results is None


def test_a_last_step_that_leads_out_of_the_numbers(net, train):
    with pytest.raises(TrainingError) as raised:
        train(net, DATA, Method="SGD", LearningRate=1e38, MaxTrainingRounds=1, LearningRateMultipliers={"Biases": 1e3})
    assert str(raised.value).startswith(
        "After the last batch of round 1 the array 'Biases' is not finite. The loss before was 0.097: the step after it led out of the "
        "numbers. A smaller LearningRate than 1e+38"
    )


def test_the_best_net_so_far_goes_with_the_error(train):
    net = LinearLayer([], Weights=[[0.0]], Biases=None, Input=1)
    schedule = optax.piecewise_constant_schedule(-0.1, {3: 1e38})
    data = np.ones([4, 1]), np.ones(4)
    with pytest.raises(TrainingError) as raised:
        train(net, data, Method=optax.scale_by_schedule(schedule), MaxTrainingRounds=20, ValidationSet=data)
    results = raised.value.results
    assert results("BestValidationRound") == 3
    np.testing.assert_allclose(results("TrainedNet").arrays["Weights",], [[1 - 0.8**3]], rtol=1e-5)
    assert str(raised.value).endswith(
        "A smaller learning rate in Method, inputs scaled to about 1, or a normalization layer "
        "are the "
        "usual cures. error.results holds the results with the net of round 3, the best by "
        "validation."
    )


def test_a_validation_loss_that_is_not_finite_is_never_the_best(train):
    net = LinearLayer([], Weights=[[0.0]], Biases=None, Input=1)
    data = np.ones([4, 1]), np.ones(4)
    results = train(net, data, ValidationSet=(np.full([2, 1], 3e38), np.zeros(2)), LearningRate=0.5, MaxTrainingRounds=3)
    assert not np.isfinite(results("ValidationLossList")).any()
    assert results(["BestValidationRound", "ValidationLoss", "ValidationMeasurements"]) == [None, None, {}]
    assert results("TrainedNet").arrays["Weights",] > 0.5
    assert str(results)
