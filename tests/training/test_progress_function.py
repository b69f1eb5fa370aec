"""TrainingProgressFunction: when it is called, what it is told, how it ends a training, and what is done when it fails."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from netdsl import (
    All,
    BatchNormalizationLayer,
    ConvolutionLayer,
    DeclarationError,
    DropoutLayer,
    FlattenLayer,
    LinearLayer,
    NetChain,
    NetInitialize,
    NetTrain,
    PartError,
    Quantity,
    Ramp,
    Rule,
    Scaled,
    SoftmaxLayer,
    TrainingError,
)
from netdsl.lowering import compilations, cores
from netdsl.training.progress.facts import KEYS

INPUTS = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
TARGETS = (INPUTS @ [1.0, -2.0, 0.5] + 1).astype(np.float32)
CLASSES = (TARGETS > 1) + 1


def line(function, rounds=5, data=(INPUTS, TARGETS), property=All, **options):
    options = {"BatchSize": 8, "MaxTrainingRounds": rounds, "TrainingProgressReporting": None, **options}
    return NetTrain(LinearLayer([]), data, property, TrainingProgressFunction=function, **options)


def test_after_each_round_with_its_validation():
    told = []
    results = line(
        lambda facts: told.append([facts[key] for key in ("Round", "Batch", "Event", "RoundLoss", "ValidationLoss")]),
        ValidationSet=(INPUTS, TARGETS),
    )
    assert [each[:3] for each in told] == [[round_, 5, "Round"] for round_ in range(1, 6)]
    assert [each[3] for each in told] == results("RoundLossList").tolist()
    assert [each[4] for each in told] == results("ValidationLossList").tolist()


@pytest.mark.parametrize(
    ("interval", "places"),
    [
        (Quantity(2, "Batches"), [2, 4, 6, 8, 10, 12, 14]),
        (Quantity(5, "Batches"), [5, 10, 15]),
        (Quantity(7, "Batches"), [7, 14]),
        (Quantity(2, "Rounds"), [10]),
        (Quantity(0.5, "Rounds"), [3, 5, 8, 10, 13, 15]),
        (Quantity(1, "Hours"), []),
        (1e-9, None),
    ],
    ids=str,
)
def test_intervals(interval, places):
    told = []
    line([lambda facts: told.append(facts["AbsoluteBatch"]), {"Interval": interval}], rounds=3)
    assert told == places if places is not None else len(told) >= 3


def test_no_more_often_than_the_minimum():
    told = []
    line(
        [lambda facts: told.append(facts["TimeElapsed"]), {"Interval": Quantity(1, "Batches"), "MinimumInterval": 0.05}],
        rounds=200,
    )
    assert len(told) > 2
    assert np.diff(told)[:-1].min() >= 0.05, "only the last does not wait"


def test_several_functions_each_at_its_own_time():
    often, seldom = [], []
    line(
        [
            lambda facts: often.append(facts["Batch"]),
            [lambda facts: seldom.append(facts["Round"]), Rule("Interval", Quantity(2, "Rounds"))],
        ]
    )
    assert often == [5] * 5
    assert seldom == [2, 4]


def test_there_are_44_things_to_know():
    told = []
    net = NetChain([4, Ramp, BatchNormalizationLayer(), DropoutLayer(0.3), 2, SoftmaxLayer()])
    options = {"BatchSize": 8, "MaxTrainingRounds": 2, "TrainingProgressReporting": None, "ValidationSet": Scaled(0.2)}
    results = NetTrain(net, (INPUTS, CLASSES), All, TrainingProgressFunction=lambda facts: told.append(dict(facts)), **options)
    assert len(KEYS) == len(told[-1]) == 44
    last = told[-1]
    for key in ("BatchLossList", "RoundLossList", "ValidationLossList"):
        assert last[key].tolist() == results(key).tolist()
    assert last["BatchLoss"] == results("BatchLossList")[-1]
    assert last["ValidationMeasurements"] == {"ErrorRate": results("ValidationMeasurementsLists")["ErrorRate"][-1]}
    assert (last["TotalRounds"], last["TotalBatches"], last["ProgressFraction"]) == (2, 8, 1.0)
    assert (last["BatchSize"], last["BatchesPerRound"], last["ExamplesProcessed"]) == (8, 4, 64)
    assert (last["LearningRate"], last["OptimizationMethod"], last["TargetDevice"]) == (0.001, "ADAM optimizer", "CPU")
    assert sorted(last["BatchIndices"]) != list(range(1, 9))
    assert last["BatchData"]["Input"].shape == (8, 3)
    assert last["ExampleLosses"].shape == (8,)
    assert set(last["Gradients"]) == set(last["Weights"]) == {"/".join(path) for path in results("TrainedNet").arrays}
    assert last["GradientsVector"].shape == last["WeightsVector"].shape
    np.testing.assert_allclose(last["WeightsRMS"], np.sqrt(np.mean(last["WeightsVector"] ** 2)), rtol=1e-6)
    assert last["BatchesPerSecond"] * 8 == pytest.approx(last["ExamplesPerSecond"])


def test_measurements_that_are_no_numbers_are_told_too():
    told = []
    net, wanted = NetChain([2, SoftmaxLayer()]), ["ConfusionMatrix", "Precision", "Accuracy", lambda ports: ports["Output"]]
    options = {"MaxTrainingRounds": 1, "TrainingProgressReporting": None, "TrainingProgressMeasurements": wanted}
    options |= {"ValidationSet": (INPUTS, CLASSES), "TrainingProgressFunction": lambda facts: told.append(dict(facts))}
    results = NetTrain(net, (INPUTS, CLASSES), All, **options)
    for key, value in told[0]["ValidationMeasurements"].items():
        expected = results("ValidationMeasurements")[key]
        assert type(value) is type(expected)
        np.testing.assert_equal(value, expected)
    assert told[0]["BatchMeasurements"].keys() == {"Accuracy"}


@pytest.mark.parametrize("size", [8, 16])
def test_the_numbers_of_the_last_batch(size):
    """Of a linear net all is known by hand. With 16 the last batch of the round is filled up from its beginning."""
    told = []
    line([lambda facts: told.append(dict(facts)), {"Interval": Quantity(3, "Batches")}], rounds=2, BatchSize=size)
    assert len(told) >= 2
    for facts in told:
        places = facts["BatchIndices"] - 1
        inputs, targets = INPUTS[places], TARGETS[places]
        np.testing.assert_array_equal(facts["BatchData"]["Input"], inputs)
        weights, bias = facts["Weights"]["Weights"], facts["Weights"]["Biases"]
        rest = (inputs @ weights.reshape(-1) + bias.reshape(())) - targets
        np.testing.assert_allclose(facts["ExampleLosses"], rest**2, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(facts["Gradients"]["Weights"].reshape(-1), 2 * rest @ inputs / size, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(facts["Gradients"]["Biases"].reshape(()), 2 * rest.mean(), rtol=1e-4, atol=1e-5)


def test_gradients_are_those_that_the_next_step_takes():
    """With one batch for all data each step of SGD goes along the gradient that was told before it, dropout aside."""
    told = []
    function = [
        lambda facts: told.append((facts["WeightsVector"], facts["GradientsVector"])),
        {"Interval": Quantity(1, "Batches")},
    ]
    method = {"Method": ["SGD", {"Momentum": 0}], "LearningRate": 0.1, "BatchSize": 40}
    line(function, **method)
    for (before, slope), (after, _) in itertools.pairwise(told):
        np.testing.assert_allclose(after, before - 0.1 * slope, rtol=1e-5, atol=1e-6)


def test_asking_changes_nothing():
    net = NetInitialize(NetChain([40, BatchNormalizationLayer(), DropoutLayer(0.5), 2, SoftmaxLayer()], Input=3))
    options = {"BatchSize": 8, "MaxTrainingRounds": 4, "TrainingProgressReporting": None}
    plain = NetTrain(net, (INPUTS, CLASSES), **options)
    kept = []
    asked = NetTrain(
        net,
        (INPUTS, CLASSES),
        TrainingProgressFunction=[lambda facts: kept.append(dict(facts)), {"Interval": Quantity(1, "Batches")}],
        **options,
    )
    for path, value in plain.array_table().items():
        np.testing.assert_array_equal(value, asked.array_table()[path])
    nets = [facts["Net"] for facts in kept]
    np.testing.assert_array_equal(nets[-1](INPUTS, None), plain(INPUTS, None))
    distinct = {np.asarray(net.arrays["1", "Weights"]).tobytes() for net in nets}
    assert len(distinct) == len(kept) == 20, "each net that was given away keeps its arrays"


@pytest.mark.parametrize("least", [0, 1e9], ids=["several cores", "one core"])
def test_a_net_of_layers(monkeypatch, least):
    """The losses of a classifier are known from its probabilities, and so are the gradients of its last biases."""
    monkeypatch.setattr(cores, "LEAST_WORK", least)
    source, told = np.random.default_rng(1), []
    pictures, classes = source.normal(size=(48, 1, 8, 8)).astype(np.float32), source.integers(1, 4, 48)
    net = NetInitialize(NetChain([ConvolutionLayer(4, 3), Ramp, FlattenLayer(), 3, SoftmaxLayer()], Input=[1, 8, 8]))
    options = {"BatchSize": 16, "MaxTrainingRounds": 2, "TrainingProgressReporting": None}
    function = [lambda facts: told.append(dict(facts)), {"Interval": Quantity(2, "Batches")}]
    trained = NetTrain(net, (pictures, classes), TrainingProgressFunction=function, **options)
    for facts in told:
        places = facts["BatchIndices"] - 1
        probabilities = np.asarray(facts["Net"](pictures[places], None))
        wanted = np.eye(3)[classes[places] - 1]
        np.testing.assert_allclose(facts["ExampleLosses"], -np.log((probabilities * wanted).sum(1)), rtol=1e-4)
        np.testing.assert_allclose(facts["Gradients"]["4/Biases"], (probabilities - wanted).mean(0), rtol=1e-3, atol=1e-5)
    plain = NetTrain(net, (pictures, classes), **options)
    for path, value in plain.arrays.items():
        np.testing.assert_array_equal(value, trained.arrays[path])


def test_a_second_training_compiles_nothing():
    def ask(facts):
        return facts["Gradients"] and None

    line(ask)
    before = compilations()
    line(ask, rounds=3, LearningRate=0.5)
    assert compilations() == before


def test_nothing_is_computed_that_is_not_asked_for():
    line(lambda facts: facts["Round"] and None)
    before = compilations()
    line(lambda facts: facts["TimeRemaining"] and None)
    assert compilations() == before


def test_afterwards_only_what_was_asked_for_is_known():
    kept = []

    def keep(facts):
        kept.append(facts)
        return facts["Round"] and None

    line(keep)
    assert [facts["Round"] for facts in kept] == [1, 2, 3, 4, 5]
    assert "round 2/5" in repr(kept[1])
    assert "Net" in kept[0]
    with pytest.raises(PartError, match="'Net' was not asked for while the progress function ran"):
        kept[0]["Net"]


def test_unknown_things_are_refused():
    with pytest.raises(TrainingError, match=re.escape("is not told 'Losses'. Did you mean 'ExampleLosses'?")) as caught:
        line(lambda facts: facts["Losses"])
    assert isinstance(caught.value.__cause__, PartError)
    line(lambda facts: facts.get("Losses") and "Losses")


def test_StopTraining_ends_with_the_net_so_far():
    results = line(lambda facts: "StopTraining" if facts["Round"] == 3 else None)
    assert results(["TotalRounds", "ReasonTrainingStopped"]) == [3, "stopped by the TrainingProgressFunction"]
    plain = line(None, rounds=3)
    for path, value in results("TrainedNet").arrays.items():
        np.testing.assert_array_equal(value, plain("TrainedNet").arrays[path])
    middle = line([lambda facts: "StopTraining", {"Interval": Quantity(3, "Batches")}])
    assert middle(["TotalRounds", "TotalBatches"]) == [1, 3]


def test_AbortTraining_ends_without():
    def give_up(facts):
        return "AbortTraining" if facts["Round"] == 2 else None

    with pytest.raises(
        TrainingError, match=re.escape('The function give_up returned "AbortTraining" in round 2, batch 5.')
    ) as caught:
        line(give_up, ValidationSet=(INPUTS, TARGETS))
    assert caught.value.results is None


def test_another_word_is_no_order():
    with pytest.raises(TrainingError, match=re.escape("returned 'StopTrainng'. Did you mean 'StopTraining'?")):
        line(lambda facts: "StopTrainng")


def test_a_function_that_fails(capsys):
    def careless(facts):
        if facts["Round"] == 2:
            raise KeyError("no such thing")

    with pytest.raises(TrainingError) as caught:
        line(careless, TrainingProgressReporting="Print")
    message = "The TrainingProgressFunction careless failed: KeyError: 'no such thing'. This was in round 2, batch 5; "
    assert str(caught.value) == f"{message}error.results holds the results with the net so far."
    assert isinstance(caught.value.__cause__, KeyError)
    plain = line(None, rounds=2)
    for path, value in caught.value.results("TrainedNet").arrays.items():
        np.testing.assert_array_equal(value, plain("TrainedNet").arrays[path])
    assert "Training broken off by the TrainingProgressFunction after 2 rounds" in capsys.readouterr().out


def test_a_function_that_is_interrupted_ends_the_training():
    def interrupt(facts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        line(interrupt)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (7, "TrainingProgressFunction is a function, [function, "),
        ("Print", "TrainingProgressFunction is a function, "),
        ([print, 7], "TrainingProgressFunction is a function, "),
        ([print, {"Intervall": 7}], "TrainingProgressFunction has no suboption 'Intervall'. Did you mean 'Interval'?"),
        ([print, {"Interval": 0}], 'The "Interval" of TrainingProgressFunction is Quantity(n, "Batches"), '),
        ([print, {"Interval": Quantity(3, "Weeks")}], "The \"Interval\" of TrainingProgressFunction has the unit 'Weeks'."),
        ([print, {"Interval": float("nan")}], 'The "Interval" of TrainingProgressFunction is Quantity(n'),
        (
            [print, {"MinimumInterval": Quantity(1, "Rounds")}],
            'The "MinimumInterval" of TrainingProgressFunction is a time, but ',
        ),
    ],
)
def test_wrong_settings(setting, message):
    with pytest.raises(DeclarationError) as caught:
        line(setting)
    assert str(caught.value).startswith(message)
