"""Options: unknown ones, those of Mathematica that come later, and wrong values."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    DeclarationError,
    DeviceError,
    Infinity,
    NetChain,
    NetTrain,
    Quantity,
    Rule,
)
from netdsl.training.settings import OPTIONS, settings_of

DATA = np.ones([4, 3]), np.ones([4, 2])

WOLFRAM = {
    "BatchSize",
    "MaxTrainingRounds",
    "TimeGoal",
    "Method",
    "LearningRate",
    "LearningRateMultipliers",
    "LossFunction",
    "ValidationSet",
    "TrainingStoppingCriterion",
    "TrainingProgressMeasurements",
    "TrainingProgressFunction",
    "TrainingProgressReporting",
    "TrainingProgressCheckpointing",
    "TrainingUpdateSchedule",
    "TargetDevice",
    "WorkingPrecision",
    "RandomSeeding",
    "PerformanceGoal",
}


def refusal(error, **options):
    with pytest.raises(error) as raised:
        NetTrain(NetChain([2]), DATA, **options)
    return str(raised.value)


def told(facts):
    pass


@pytest.mark.parametrize(
    ("rules", "meant"),
    [
        (
            {"TrainingProgressFunction": [told, Rule("Interval", Quantity(2, "Batches"))]},
            [told, {"Interval": Quantity(2, "Batches")}],
        ),
        ({"TrainingStoppingCriterion": [Rule("Criterion", "Loss"), Rule("Patience", 2)]}, {"Criterion": "Loss", "Patience": 2}),
        (
            {"TrainingProgressCheckpointing": ["Directory", "x", Rule("Interval", Quantity(2, "Rounds"))]},
            ["Directory", "x", {"Interval": Quantity(2, "Rounds")}],
        ),
        ({"ValidationSet": [DATA, Rule("Interval", Quantity(2, "Rounds"))]}, [DATA, {"Interval": Quantity(2, "Rounds")}]),
    ],
)
def test_suboptions_may_be_rules(rules, meant):
    """As in Mathematica, where they are nothing else."""
    (name,) = rules
    found, expected = settings_of(rules), settings_of({name: meant})
    assert [found.criterion, found.checkpointing, found.validated] == [
        expected.criterion,
        expected.checkpointing,
        expected.validated,
    ]
    assert [call.due.every for call in found.functions.calls] == [call.due.every for call in expected.functions.calls]


def test_reports_may_have_their_suboptions_as_rules(train, capsys):
    report = ["Print", Rule("Interval", Quantity(2, "Rounds")), Rule("MinimumInterval", 0)]
    train(NetChain([2]), DATA, MaxTrainingRounds=4, TrainingProgressReporting=report)
    assert capsys.readouterr().out.count("round") == 3  # two lines, and "after 4 rounds"


def test_all_options_of_Mathematica_are_known():
    assert set(OPTIONS) == WOLFRAM | {"SkipInvalidExamples"}
    assert len(WOLFRAM) == 18


@pytest.mark.parametrize(
    ("name", "meant"),
    [("MaxTrainingRound", "MaxTrainingRounds"), ("batch_size", "BatchSize"), ("PerformanceGaol", "PerformanceGoal")],
)
def test_unknown_options_are_refused_with_the_nearest(name, meant):
    assert refusal(DeclarationError, **{name: 3}) == f"NetTrain has no option {name!r}. Did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"BatchSize": 0}, "BatchSize is a positive integer or Automatic. Got 0."),
        ({"BatchSize": 2.0}, "BatchSize is a positive integer or Automatic. Got 2.0."),
        ({"BatchSize": True}, "BatchSize is a positive integer or Automatic. Got True."),
        ({"BatchSize": Infinity}, "BatchSize is a positive integer or Automatic. Got inf."),
        ({"MaxTrainingRounds": 0}, "MaxTrainingRounds is a positive integer, Infinity or Automatic. Got 0."),
        ({"MaxTrainingRounds": "5"}, "MaxTrainingRounds is a positive integer, Infinity or Automatic. Got '5'."),
        ({"TimeGoal": 0}, "TimeGoal is a number of seconds above 0, or a Quantity. Got 0."),
        ({"TimeGoal": float("nan")}, "TimeGoal is a number of seconds above 0, or a Quantity. Got nan."),
        ({"TimeGoal": "1h"}, "TimeGoal is a number of seconds above 0, or a Quantity. Got '1h'."),
        (
            {"TimeGoal": Quantity("3", "Hours")},
            "TimeGoal is a number of seconds above 0, or a Quantity. Got Quantity('3', 'Hours').",
        ),
        (
            {"TimeGoal": Quantity(3, "Kilograms")},
            "TimeGoal is a time, but Quantity(3, 'Kilograms') has the unit 'Kilograms'. There are ",
        ),
        ({"RandomSeeding": 1.5}, "RandomSeeding is an integer, a string, Automatic or Inherited. Got 1.5."),
        (
            {"TargetDevice": "Toaster"},
            'TargetDevice is "CPU", "GPU", "TPU", or a pair such as ("GPU", 2), ("GPU", [1, 2]), ("GPU", All) or ("CPU", 4). '
            "Got 'Toaster'.",
        ),
        (
            {"TrainingProgressReporting": 7},
            'TrainingProgressReporting is Automatic, "Panel", "Print", "ProgressIndicator", a function',
        ),
        ({"LearningRateMultipliers": "slow"}, "LearningRateMultipliers of NetTrain are numbers or None. Got 'slow'."),
    ],
)
def test_wrong_values(options, message):
    assert refusal(DeclarationError, **options).startswith(message)


def test_a_device_that_is_not_there():
    message = refusal(DeviceError, TargetDevice="TPU")
    assert message.startswith("TargetDevice='TPU': there is no TPU that JAX can use here; it sees ")


@pytest.mark.parametrize(
    ("options", "rounds", "seconds"),
    [
        ({}, None, None),
        ({"MaxTrainingRounds": np.int64(3), "TimeGoal": np.float32(2)}, 3, 2.0),
        ({"MaxTrainingRounds": Infinity, "TimeGoal": Infinity}, Infinity, Infinity),
        ({"TimeGoal": Quantity(3, "Minutes")}, None, 180.0),
        ({"TimeGoal": Quantity(500, "Milliseconds")}, None, 0.5),
    ],
)
def test_limits(options, rounds, seconds):
    settings = settings_of(options)
    assert (settings.rounds, settings.seconds) == (rounds, seconds)


def test_target_device(train):
    results = train(NetChain([2]), DATA, TargetDevice="CPU")
    assert results("TargetDevice") == "CPU"
    assert {device.platform for value in results("TrainedNet").arrays.values() for device in value.devices()} == {"cpu"}
