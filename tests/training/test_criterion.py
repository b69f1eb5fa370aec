"""TrainingStoppingCriterion and intervals of validation: where they stop, by a course of values that is known."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

from netdsl import (
    Automatic,
    DeclarationError,
    LinearLayer,
    NetChain,
    NetInitialize,
    NetWarning,
    PartError,
    Quantity,
    Rule,
    SoftmaxLayer,
)
from netdsl.training.measured import Judge
from netdsl.training.stopping import Criterion, Watch, criterion

COURSE = [5.0, 4.0, 4.1, 3.9, 3.95, 3.9, 3.8, 3.8, 3.8, 3.8]


def stopped(setting, course=COURSE, increasing=False):
    """The round after which a criterion stops, 0 if it does not."""
    watch = Watch(criterion(setting), increasing)
    return next((i for i, value in enumerate(course, 1) if watch.see(value, i)), 0)


@pytest.mark.parametrize(
    ("suboptions", "round_"),
    [
        ({}, 3),
        ({"Patience": 1}, 6),
        ({"Patience": 2}, 10),
        ({"Patience": 3}, 0),
        ({"InitialPatience": 4}, 8),
        ({"InitialPatience": 2}, 5),
        ({"AbsoluteChange": 0.5}, 3),
        ({"AbsoluteChange": 1.0}, 2),
        ({"Patience": 4, "AbsoluteChange": 0.5}, 7),
        ({"RelativeChange": 0.15}, 3),
        ({"RelativeChange": Quantity(25, "Percent")}, 2),
        ({"Patience": Quantity(1, "Rounds")}, 6),
    ],
    ids=str,
)
def test_patience_and_changes(suboptions, round_):
    assert stopped(suboptions) == round_
    if "RelativeChange" not in suboptions:
        assert stopped(suboptions, [-value for value in COURSE], increasing=True) == round_


def test_a_share_is_one_of_the_size_of_the_best_value():
    criterion = Criterion(relative=0.1)
    assert not criterion.improves(-2.0, -1.95, False)
    assert criterion.improves(-2.2, -1.95, False)
    assert criterion.improves(-1.7, -1.95, True)


def test_parts_of_rounds_are_not_mistaken_for_more():
    watch = Watch(Criterion(patience=0.2), False)
    assert not watch.see(1.0, 0.6)
    assert not watch.see(2.0, 0.8), "0.8 - 0.6 is a little more than 0.2"
    assert watch.see(2.0, 0.9)


def test_values_that_are_not_finite_never_improve():
    assert stopped({"Patience": 1}, [math.inf, math.nan, 3.0, math.nan, -math.inf, math.nan]) == 5
    assert stopped({}, [math.inf, math.nan, math.nan]) == 0


def overfitting(train, **options):
    """The net y = w x moves from 0 to 1 by w = 1 - 0.9^round; the validation data would have it at 0.4."""
    net = LinearLayer([], Weights=[[0.0]], Biases=None, Input=1)
    data = np.ones([4, 1]), np.ones(4)
    validation = np.ones([3, 1]), np.full(3, 0.4)
    options = {"ValidationSet": validation, "MaxTrainingRounds": 40, **options}
    return train(net, data, Method=["SGD", {"Momentum": 0}], LearningRate=0.05, **options)


LOSSES = (1 - 0.9 ** np.arange(1, 41) - 0.4) ** 2
BEST = int(np.argmin(LOSSES)) + 1


@pytest.mark.parametrize("patience", [0, 3])
def test_a_training_stops_after_its_patience_with_the_best_net(train, patience):
    results = overfitting(train, TrainingStoppingCriterion={"Criterion": "Loss", "Patience": patience})
    assert results(["TotalRounds", "BestValidationRound"]) == [BEST + patience + 1, BEST]
    assert results("ReasonTrainingStopped") == f"met the TrainingStoppingCriterion (validation loss best after round {BEST})"
    np.testing.assert_allclose(results("TrainedNet").arrays["Weights",], [[1 - 0.9**BEST]], rtol=1e-5)
    np.testing.assert_allclose(results("ValidationLossList"), LOSSES[: BEST + patience + 1], rtol=1e-3, atol=1e-6)


def test_Automatic_and_Loss_are_the_loss(train):
    rounds = {overfitting(train, TrainingStoppingCriterion=setting)("TotalRounds") for setting in (Automatic, "Loss")}
    assert rounds == {BEST + 1}
    assert criterion(Automatic) == Criterion("Loss")
    assert overfitting(train)("TotalRounds") == 40


def test_a_measurement_as_criterion_chooses_the_best_net_too(train):
    results = overfitting(
        train, TrainingStoppingCriterion="MeanSquare", TrainingProgressMeasurements="MeanDeviation", MaxTrainingRounds=3
    )
    assert list(results("ValidationMeasurements")) == ["MeanDeviation", "MeanSquare"]
    net = NetInitialize(NetChain([3, SoftmaxLayer()], Input=2))
    inputs = np.random.default_rng(0).normal(size=(30, 2))
    data = inputs, np.arange(30) % 3 + 1
    results = train(
        net,
        data,
        ValidationSet=data,
        TrainingStoppingCriterion={"Criterion": "Accuracy", "Patience": 5},
        MaxTrainingRounds=30,
        LearningRate=0.05,
    )
    values = results("ValidationMeasurementsLists")["Accuracy"]
    best = int(np.argmax(values)) + 1
    assert results("BestValidationRound") == best
    assert results("TotalRounds") == min(best + 6, 30)
    assert np.mean(results("TrainedNet")(inputs, None).argmax(1) + 1 == data[1]) == pytest.approx(values[best - 1])


def test_the_direction_of_a_measurement_can_be_given(train):
    def rounds(direction):
        asked = {"Measurement": "MeanDeviation", "Direction": direction}
        return overfitting(train, TrainingProgressMeasurements=asked, TrainingStoppingCriterion="MeanDeviation")("TotalRounds")

    assert rounds(Automatic) == rounds("Decreasing") == BEST + 1
    assert rounds("Increasing") == 2


def test_without_validation_data_the_training_data_decide_with_a_warning(train):
    with pytest.warns(NetWarning, match="TrainingStoppingCriterion looks at the training data") as caught:
        results = overfitting(train, ValidationSet=None, TrainingStoppingCriterion={"AbsoluteChange": 0.02})
    assert caught[0].filename.endswith("conftest.py"), "where NetTrain was called"
    losses = 0.81 ** np.arange(40)  # the loss of a round is that before its step
    first = int(np.argmax(-np.diff(losses) <= 0.02)) + 2
    assert results("TotalRounds") == first
    assert results("ReasonTrainingStopped") == f"met the TrainingStoppingCriterion (loss best after round {first - 1})"


def test_a_function_decides(train):
    seen = []

    def decide(now):
        seen.append(now)
        return now["Round"] == 4

    results = overfitting(train, TrainingStoppingCriterion=decide, TrainingProgressMeasurements="MeanSquare")
    assert results(["TotalRounds", "ReasonTrainingStopped"]) == [4, "met the TrainingStoppingCriterion"]
    assert len(seen) == 4
    np.testing.assert_allclose(seen[-1]["ValidationLossList"], LOSSES[:4], rtol=1e-3)
    assert seen[-1]["ValidationMeasurements"]["MeanSquare"] == pytest.approx(seen[-1]["ValidationLoss"])


def test_a_training_that_goes_on_judges_as_if_it_had_not_been_broken_off(train):
    setting = criterion({"Criterion": "MeanSquare", "Patience": 3})
    for validation in ({}, {"ValidationSet": None}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = overfitting(train, TrainingStoppingCriterion=setting.key, MaxTrainingRounds=4, **validation)
        history, measured = results.history, results.measured
        old, new = (Judge(setting, measured, not validation, "loss") for _ in range(2))
        for place in range(1, 5):
            part = replace(
                history,
                losses=history.losses[:place],
                sums=history.sums[:place],
                validation_losses=history.validation_losses[:place],
                validation_sums=history.validation_sums[:place],
            )
            if not validation:
                old.best(part)
            old.stop(part, place)
        new.replay(history)
        assert (new.watch.best, new.watch.at) == (old.watch.best, old.watch.at)
        assert validation or new.top == old.top


@pytest.mark.parametrize(
    ("interval", "rounds", "positions"),
    [
        (Quantity(2, "Batches"), 2, [2, 4, 6, 8, 10]),
        (Quantity(3, "Batches"), 2, [3, 6, 9, 10]),
        (Quantity(7, "Batches"), 3, [7, 14, 15]),
        (Quantity(2, "Rounds"), 5, [10, 20, 25]),
        (2, 4, [10, 20]),
        (Quantity(0.5, "Rounds"), 2, [3, 5, 8, 10]),
        (Automatic, 2, [5, 10]),
    ],
    ids=str,
)
def test_intervals(train, interval, rounds, positions):
    data = np.ones([20, 1]), np.ones(20)
    net = LinearLayer([], Weights=[[0.0]], Biases=None, Input=1)
    options = {"Method": ["SGD", {"Momentum": 0}], "LearningRate": 0.05, "BatchSize": 4, "MaxTrainingRounds": rounds}
    results = train(net, data, ValidationSet=[(np.ones([3, 1]), np.full(3, 0.4)), {"Interval": interval}], **options)
    assert results("ValidationPositions").tolist() == positions
    expected = (1 - 0.9 ** np.array(positions) - 0.4) ** 2
    np.testing.assert_allclose(results("ValidationLossList"), expected, rtol=1e-3, atol=1e-6)
    best = int(np.argmin(expected))
    assert results("BestValidationRound") == math.ceil(positions[best] / 5)
    assert results("ValidationLoss") == results("ValidationLossList")[best]
    np.testing.assert_allclose(results("TrainedNet").arrays["Weights",], [[1 - 0.9 ** positions[best]]], rtol=1e-5)
    assert results("BatchLossList").tobytes() == train(net, data, **options)("BatchLossList").tobytes()
    assert results._repr_html_()


def test_a_criterion_within_a_round(train):
    data = np.ones([80, 1]), np.ones(80)
    net = LinearLayer([], Weights=[[0.0]], Biases=None, Input=1)
    results = train(
        net,
        data,
        Method=["SGD", {"Momentum": 0}],
        LearningRate=0.05,
        BatchSize=4,
        ValidationSet=[(np.ones([3, 1]), np.full(3, 0.4)), Rule("Interval", Quantity(1, "Batches"))],
        TrainingStoppingCriterion={"Patience": 0.2},
    )
    assert results(["TotalBatches", "TotalRounds"]) == [BEST + 5, 1], "0.2 rounds are 4 batches"


def test_a_renamed_measurement_keeps_its_direction_and_a_dict_may_be_the_criterion(train):
    net = NetInitialize(NetChain([3, SoftmaxLayer()], Input=2))
    inputs = np.random.default_rng(0).normal(size=(30, 2))
    data = inputs, np.arange(30) % 3 + 1
    f1 = {"Measurement": "F1Score", "ClassAveraging": "Macro", "Key": "f1"}
    options = {"ValidationSet": data, "MaxTrainingRounds": 20, "LearningRate": 0.05, "TrainingProgressMeasurements": None}
    results = train(net, data, TrainingStoppingCriterion={"Criterion": f1, "Patience": 20}, **options)
    values = results("ValidationMeasurementsLists")["f1"]
    assert results("BestValidationRound") == int(np.argmax(values)) + 1
    named = train(net, data, TrainingStoppingCriterion={"Criterion": "f1"}, **{**options, "TrainingProgressMeasurements": [f1]})
    assert named("ReasonTrainingStopped").startswith("met the TrainingStoppingCriterion (validation f1 best after round ")
    with pytest.raises(DeclarationError, match="TrainingStoppingCriterion needs a number"):
        train(net, data, TrainingStoppingCriterion="ConfusionMatrix", **options)
    with pytest.raises(DeclarationError, match="TrainingStoppingCriterion is one measurement"):
        train(net, data, TrainingStoppingCriterion=["Accuracy", "ErrorRate"], **options)


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ("Accurracy", PartError, "There is no measurement 'Accurracy'."),
        ({"Patiense": 1}, DeclarationError, "TrainingStoppingCriterion has no suboption 'Patiense'. Did you mean 'Patience'?"),
        (
            {"Patience": -1},
            DeclarationError,
            "TrainingStoppingCriterion: 'Patience' is a number of at least 0 of rounds. Got -1.",
        ),
        (
            {"AbsoluteChange": "x"},
            DeclarationError,
            "TrainingStoppingCriterion: 'AbsoluteChange' is a number of at least 0. Got 'x'.",
        ),
        ({"AbsoluteChange": 1, "RelativeChange": 1}, DeclarationError, 'TrainingStoppingCriterion takes "AbsoluteChange" or '),
        ({"RelativeChange": Quantity(5, "Metres")}, DeclarationError, "TrainingStoppingCriterion: 'RelativeChange' is a number"),
        ({"Criterion": len}, DeclarationError, "TrainingStoppingCriterion: a function that decides stands alone"),
        (3, DeclarationError, "A measurement is a name, Rule(name, parameter)"),
    ],
    ids=str,
)
def test_wrong_criteria(train, setting, error, message):
    with warnings.catch_warnings(), pytest.raises(error) as raised:
        overfitting(train, TrainingStoppingCriterion=setting)
    assert str(raised.value).startswith(message)
