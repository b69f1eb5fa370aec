"""Validation: what is held out, which round is kept, and that its numbers are those of the net in test mode."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    DataError,
    DeclarationError,
    DropoutLayer,
    LinearLayer,
    NetChain,
    NetInitialize,
    Quantity,
    Ramp,
    Rule,
    Scaled,
)

RANDOM = np.random.default_rng(4)
INPUTS = RANDOM.normal(size=(11, 3)).astype(np.float32)
TARGETS = RANDOM.normal(size=(11, 2)).astype(np.float32)


def test_losses_are_those_of_the_net_in_test_mode_with_a_last_batch_that_is_padded(train):
    net = NetChain([4, BatchNormalizationLayer(), DropoutLayer(0.5), Ramp, 2])
    results = train(
        net, (INPUTS, TARGETS), ValidationSet=Rule(INPUTS[:5], TARGETS[:5]), BatchSize=4, MaxTrainingRounds=1, LearningRate=0.1
    )
    expected = np.mean((results("TrainedNet")(INPUTS[:5]) - TARGETS[:5]) ** 2)
    np.testing.assert_allclose(results("ValidationLossList"), [expected], rtol=1e-5)
    assert results("ValidationLoss") == results("ValidationLossList")[0]
    assert results(["ValidationExamples", "TrainingExamples"]) == [5, 11]
    assert results("ValidationPositions").tolist() == [3]


def test_validation_data_may_have_another_form_than_the_training_data(train):
    ports = {"Input": INPUTS, "Output": TARGETS}
    net = NetInitialize(NetChain([2], Input=3))
    options = {"LearningRate": 0, "MaxTrainingRounds": 1}
    expected = np.mean((np.asarray(net(INPUTS)) - TARGETS) ** 2)
    for data, validation in (((INPUTS, TARGETS), ports), (ports, (INPUTS, TARGETS))):
        np.testing.assert_allclose(train(net, data, ValidationSet=validation, **options)("ValidationLoss"), expected, rtol=1e-5)


def overfitting(train, **options):
    """The net y = w x moves from 0 towards 1, while validation would have it at 0.4: it gets better, then worse."""
    net = LinearLayer([], Weights=[[0.0]], Biases=None, Input=1)
    data = np.ones([4, 1]), np.ones(4)
    return train(net, data, Method=["SGD", {"Momentum": 0}], LearningRate=0.05, **options)


def test_the_net_of_the_best_round_is_kept(train):
    results = overfitting(train, MaxTrainingRounds=12, ValidationSet=(np.ones([3, 1]), np.full(3, 0.4)))
    losses = results("ValidationLossList")
    best = int(np.argmin(losses)) + 1
    assert 1 < best < 12
    assert losses[-1] > losses[best - 1]
    assert results("BestValidationRound") == best
    assert results("ValidationLoss") == losses[best - 1]
    until_then = overfitting(train, MaxTrainingRounds=best)("TrainedNet")
    assert np.asarray(results("TrainedNet").arrays["Weights",]).tobytes() == np.asarray(until_then.arrays["Weights",]).tobytes()
    weights = 1 - 0.9 ** np.arange(1, 13)
    np.testing.assert_allclose(losses, (weights - 0.4) ** 2, rtol=1e-4, atol=1e-6)
    assert f"(best, round {best})" in str(results)


def test_measuring_changes_no_training(train):
    with_it, without = (overfitting(train, **options)("RoundLossList") for options in ({"ValidationSet": Scaled(0.25)}, {}))
    assert with_it.tobytes() == without.tobytes()


def test_the_best_state_is_kept_with_the_best_arrays(train):
    net = NetInitialize(NetChain([BatchNormalizationLayer(Momentum=0.5), 2], Input=3))
    validation = INPUTS[:4], net(INPUTS[:4])  # the untrained net is right, so every step away is worse
    results = train(net, (INPUTS, TARGETS), ValidationSet=validation, MaxTrainingRounds=4, LearningRate=0.1)
    first = train(net, (INPUTS, TARGETS), "TrainedNet", MaxTrainingRounds=1, LearningRate=0.1)
    assert results("BestValidationRound") == 1
    for path, value in first.state.items():
        assert np.asarray(value).tobytes() == np.asarray(results("TrainedNet").state[path]).tobytes()
    expected = np.mean((first(validation[0]) - validation[1]) ** 2)
    np.testing.assert_allclose(results("ValidationLoss"), expected, rtol=1e-5)


@pytest.mark.parametrize(("fraction", "count", "held"), [(0.25, 11, 3), (0.01, 11, 1), (0.5, 2, 1)])
def test_a_fraction_is_held_out_at_random(train, fraction, count, held):
    inputs = 2.0 ** np.arange(count)[:, None]
    net = LinearLayer([], Weights=[[1.0]], Biases=[0.0], Input=1)
    drawn = []
    for seed in (1, 1, 2):
        results = train(
            net,
            {"Input": inputs},
            LossFunction="Output",
            LearningRate=0,
            ValidationSet=Scaled(fraction),
            MaxTrainingRounds=1,
            RandomSeeding=seed,
        )
        assert results(["TrainingExamples", "ValidationExamples"]) == [count - held, held]
        total = results("ValidationLoss") * held + results("RoundLoss") * (count - held)
        assert round(total) == 2**count - 1, "each example is either trained on or held out"
        drawn.append(round(results("ValidationLoss") * held))
    assert drawn[0] == drawn[1]
    assert bin(drawn[0]).count("1") == held
    if count > 2:
        assert drawn[0] != drawn[2]


@pytest.mark.parametrize(
    ("validation", "error", "message"),
    [
        (Scaled(1.5), DeclarationError, "ValidationSet=Scaled(1.5): the fraction is a number between 0 and 1."),
        (Scaled("half"), DeclarationError, "ValidationSet=Scaled('half'): the fraction is a number between 0 and 1."),
        (Scaled(0.99), DataError, "ValidationSet=Scaled(0.99) of 11 examples leaves none to train on."),
        ([(INPUTS, TARGETS), {"Intervall": 3}], DeclarationError, "ValidationSet has no suboption 'Intervall'."),
        ([(INPUTS, TARGETS), {"Interval": 0}], DeclarationError, 'The "Interval" of ValidationSet is Quantity(n, "Batches"), '),
        (
            [(INPUTS, TARGETS), {"Interval": Quantity(3, "Seconds")}],
            DeclarationError,
            "The \"Interval\" of ValidationSet is counted in Batches or Rounds, but Quantity(3, 'Seconds') has",
        ),
        ([], DataError, "The validation data have no examples."),
        (INPUTS, DataError, "The validation data cannot be array("),
    ],
)
def test_wrong_validation_sets(train, validation, error, message):
    with pytest.raises(error) as raised:
        train(NetChain([2]), (INPUTS, TARGETS), ValidationSet=validation)
    assert str(raised.value).startswith(message)
