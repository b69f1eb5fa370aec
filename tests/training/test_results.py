"""The object of all results: every property, its text, and what it refuses."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from netdsl import All, Automatic, NetChain, PartError, SoftmaxLayer
from netdsl.training import NetTrainResultsObject

mpl.use("Agg")

INPUTS = np.random.default_rng(6).normal(size=(10, 3))
CLASSES = np.arange(10) % 2 + 1


@pytest.fixture(scope="module")
def results():
    from netdsl import NetTrain

    return NetTrain(
        NetChain({"out": 2, "p": SoftmaxLayer()}),
        (INPUTS, CLASSES),
        All,
        ValidationSet=(INPUTS[:3], CLASSES[:3]),
        BatchSize=4,
        MaxTrainingRounds=3,
        TrainingProgressReporting=None,
        RandomSeeding=5,
    )


def test_every_property(results):
    values = {name: results(name) for name in results("Properties")}
    assert len(values) == 37
    assert {
        name: values[name]
        for name in (
            "BatchesPerRound",
            "BatchSize",
            "ExamplesProcessed",
            "FinalLearningRate",
            "InitialLearningRate",
            "OptimizationMethod",
            "RandomSeeding",
            "ReasonTrainingStopped",
            "TargetDevice",
            "TotalBatches",
            "TotalRounds",
            "TrainingExamples",
            "ValidationExamples",
        )
    } == {
        "BatchesPerRound": 3,
        "BatchSize": 4,
        "ExamplesProcessed": 36,
        "FinalLearningRate": 0.001,
        "InitialLearningRate": 0.001,
        "OptimizationMethod": "ADAM optimizer",
        "RandomSeeding": 5,
        "ReasonTrainingStopped": "finished",
        "TargetDevice": "CPU",
        "TotalBatches": 9,
        "TotalRounds": 3,
        "TrainingExamples": 10,
        "ValidationExamples": 3,
    }
    assert values["ArraysLearningRateMultipliers"] == {"out/Weights": 1.0, "out/Biases": 1.0}
    batches, errors = values["BatchLossList"], values["BatchMeasurementsLists"]["ErrorRate"]
    assert batches.shape == errors.shape == (9,)
    np.testing.assert_allclose(values["RoundLossList"], batches.reshape(3, 3).mean(1))
    np.testing.assert_allclose(values["RoundMeasurementsLists"]["ErrorRate"], errors.reshape(3, 3).mean(1))
    assert values["RoundLoss"] == pytest.approx(values["RoundLossList"][-1])
    assert values["RoundMeasurements"] == {"ErrorRate": pytest.approx(values["RoundMeasurementsLists"]["ErrorRate"][-1])}
    assert values["RoundPositions"].tolist() == values["ValidationPositions"].tolist() == [3, 6, 9]
    best = values["BestValidationRound"]
    assert values["ValidationLossList"].shape == (3,)
    assert values["ValidationLoss"] == values["ValidationLossList"][best - 1] == min(values["ValidationLossList"])
    assert values["ValidationMeasurements"] == {"ErrorRate": values["ValidationMeasurementsLists"]["ErrorRate"][best - 1]}
    assert values["TotalTrainingTime"] > 0
    assert values["MeanBatchesPerSecond"] == pytest.approx(9 / values["TotalTrainingTime"])
    assert values["MeanExamplesPerSecond"] == pytest.approx(36 / values["TotalTrainingTime"])
    assert values["TrainedNet"].input_names == ("Input",)
    assert values["TrainingNet"].output_names == ("Loss",)
    assert all(isinstance(figure, Figure) for figure in (*values["FinalPlots"].values(), values["LossPlot"]))
    assert list(values["FinalPlots"]) == ["Loss", "ErrorRate"]


def test_lists_of_properties_and_the_other_ways_to_ask(results):
    assert results(["TotalRounds", "BatchSize"]) == [3, 4]
    assert results["TotalRounds"] == 3
    assert results(All) is results
    assert results(Automatic) == results("TrainedNet")


def test_the_third_argument_of_the_call(train):
    data = INPUTS, INPUTS[:, :2]
    assert isinstance(train(NetChain([2]), data, All), NetTrainResultsObject)
    assert train(NetChain([2]), data, "TotalRounds") == 2
    assert train(NetChain([2]), data, ["TotalRounds", "BatchSize"]) == [2, 10]
    assert "TotalRounds" in train(NetChain([2]), data, "Properties")
    net, everything = train(NetChain([2]), data, ["TrainedNet", All])
    assert everything("TrainedNet") == net == train(NetChain([2]), data, Automatic)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("TrainedNett", PartError, "NetTrain gives no property 'TrainedNett'. Did you mean 'TrainedNet'?"),
        (["TrainedNet", "LossPlott"], PartError, "NetTrain gives no property 'LossPlott'. Did you mean 'LossPlot'?"),
        (
            "RMSWeightsEvolutionPlot",
            PartError,
            "NetTrain gives no property 'RMSWeightsEvolutionPlot'. A TrainingProgressFunction finds what it shows under 'WeightsRMS'.",
        ),
        (3, PartError, "NetTrain gives no property 3. There are 'ArraysLearningRateMultipliers', "),
        ({"a": 1}, PartError, "NetTrain gives no property {'a': 1}."),
        (
            SoftmaxLayer(),
            PartError,
            "NetTrain gives no property SoftmaxLayer(). A loss is an option: LossFunction=SoftmaxLayer().",
        ),
    ],
)
def test_unknown_properties_are_refused_before_anything_is_trained(train, results, name, error, message):
    for ask in (results, lambda name: train(None, None, name)):
        with pytest.raises(error) as raised:
            ask(name)
        assert str(raised.value).startswith(message)


def test_text(results):
    lines = str(results).splitlines()
    assert lines[0] == "NetTrain Results"
    assert [line.split()[0] for line in lines[1:]] == ["summary", "data", "method", "round", "validation"]
    assert "batches: 9, rounds: 3" in lines[1]
    assert lines[2].strip() == "data  training examples: 10, validation examples: 3, processed examples: 36, skipped examples: 0"
    assert lines[3].strip() == "method  ADAM optimizer, batch size 4, CPU, seed 5"
    assert repr(results).startswith("NetTrainResultsObject(3 rounds, 9 batches, ")
    html = results._repr_html_()
    assert html.count("<tr>") == 5
    assert "data:image/png;base64," in html
    assert results == results


def test_figures_are_not_left_open(results):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    results("LossPlot")
    results._repr_html_()
    assert plt.get_fignums() == before
