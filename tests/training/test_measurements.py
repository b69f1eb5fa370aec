"""TrainingProgressMeasurements: exact over the round and the validation data, by formulas written out and by NetMeasurements."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    AggregationLayer,
    All,
    BasicRecurrentLayer,
    CrossEntropyLossLayer,
    DeclarationError,
    ElementwiseLayer,
    FunctionLayer,
    LinearLayer,
    LogisticSigmoid,
    MeanSquaredLossLayer,
    Min,
    NetChain,
    NetDecoder,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetMeasurements,
    NetPort,
    NetTake,
    NetTrain,
    PartError,
    Ramp,
    Rule,
    Scaled,
    SoftmaxLayer,
    Total,
    TrainingError,
    UnsupportedError,
)
from netdsl.lowering import compilations
from netdsl.lowering.cores import cores_available
from netdsl.training import measured as measured_module
from netdsl.training import run as run_module
from netdsl.training.history import History

RANDOM = np.random.default_rng(11)
INPUTS = RANDOM.normal(size=(60, 4)).astype(np.float32)
LABELS = RANDOM.integers(0, 3, 60)
CLASSES = ["a", "b", "c"]
NAMES = [CLASSES[i] for i in LABELS]
NET = NetInitialize(
    NetChain({"hidden": 8, "r": Ramp, "out": 3, "p": SoftmaxLayer()}, Input=4, Output=NetDecoder("Class", CLASSES))
)
DATA = Rule(INPUTS, NAMES)

OF_CLASSES = [
    "Accuracy", Rule("Accuracy", 2), "ErrorRate", Rule("ErrorRate", 2), "CohenKappa", "ScottPi", "ConfusionMatrix", "Entropy",
    "F1Score", Rule("FScore", 2), "FalseDiscoveryRate", "FalseNegativeNumber", "FalsePositiveNumber", "TrueNegativeNumber",
    "TruePositiveNumber", "FalseNegativeRate", "FalseOmissionRate", "FalsePositiveRate", "Informedness", "Markedness",
    "MatthewsCorrelationCoefficient", "NegativePredictiveValue", "Perplexity", "Precision", "Recall", "Specificity",
    "AccuracyBaseline", "MeanCrossEntropy", "LogLikelihood", "GeometricMeanProbability", "ClassMeanCrossEntropy",
    Rule("Precision", "b"), Rule("Recall", "MacroAveraged"), Rule("F1Score", "MicroAveraged"), "TopConfusions", "Loss",
    NetPort("Output"), NetPort(["hidden", "Output"]), NetPort(["out", "Weights"]), NetPort(["hidden", "Biases"]),
]  # fmt: skip


def still(train, net, data, property=All, **options):
    """A training that changes nothing, so that what it measures is what the net is."""
    return train(net, data, property, LearningRate=0, MaxTrainingRounds=1, **options)


def same(a, b):
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    else:
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(("size", "cores"), [(12, 1), (10, 1), (20, 2)])
def test_every_measurement_of_a_classifier_is_that_of_NetMeasurements(train, size, cores, monkeypatch):
    monkeypatch.setattr(run_module, "cores_for", lambda *_: min(cores, cores_available()))
    results = still(
        train, NET, DATA, TrainingProgressMeasurements=OF_CLASSES, BatchSize=size, ValidationSet=Rule(INPUTS[:37], NAMES[:37])
    )
    for found, data in (("RoundMeasurements", DATA), ("ValidationMeasurements", Rule(INPUTS[:37], NAMES[:37]))):
        values = results(found)
        assert list(values) == OF_CLASSES
        for key, expected in zip(OF_CLASSES, NetMeasurements(NET, data, OF_CLASSES)):
            same(values[key], expected)


def test_what_comes_of_counts_by_formulas_written_out(train):
    decided = np.asarray(NET(INPUTS, None)).argmax(1)
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (LABELS, decided), 1)
    right = np.diag(matrix)
    with np.errstate(invalid="ignore"):
        precision = right / matrix.sum(0)
    f1 = (2 * right / (matrix.sum(0) + matrix.sum(1))).mean()
    results = still(
        train,
        NET,
        DATA,
        BatchSize=7,  # the last batch is filled up: 63 examples
        TrainingProgressMeasurements=[
            "ConfusionMatrix",
            "Precision",
            {"Measurement": "F1Score", "ClassAveraging": "Macro", "Key": "f1"},
        ],
        ValidationSet=DATA,
    )
    found = results("ValidationMeasurements")
    assert found["ConfusionMatrix"].tolist() == matrix.tolist()
    same(found["Precision"], dict(zip(CLASSES, precision)))
    np.testing.assert_allclose(found["f1"], f1)
    assert results("RoundMeasurements")["ConfusionMatrix"].sum() == 63
    assert results("BatchMeasurementsLists").keys() == {"f1"}
    assert results("BatchMeasurementsLists")["f1"].shape == (9,)
    assert abs(results("BatchMeasurementsLists")["f1"].mean() - found["f1"]) > 1e-3, "the mean of batches is another number"


NUMBERS = NetInitialize(NetChain([8, Ramp, 2], Input=4))
TARGETS = (RANDOM.normal(size=(60, 2)) + np.array([1000, 0])).astype(np.float32)
OF_NUMBERS = ["FractionVarianceUnexplained", "RSquared", "StandardDeviation", "MeanDeviation", "MeanSquare", "Loss"]


def test_every_measurement_of_numbers_by_formulas_written_out(train):
    results = still(
        train,
        NUMBERS,
        (INPUTS, TARGETS),
        TrainingProgressMeasurements=OF_NUMBERS,
        BatchSize=12,
        ValidationSet=(INPUTS[:31], TARGETS[:31]),
    )
    for found, count in (("RoundMeasurements", 60), ("ValidationMeasurements", 31)):
        truth = TARGETS[:count].astype(float)
        residuals = np.asarray(NUMBERS(INPUTS[:count]), float) - truth
        square, total = (residuals**2).mean(), ((truth - truth.mean(0)) ** 2).mean()
        expected = [square / total, 1 - square / total, square**0.5, np.abs(residuals).mean(), square, square]
        np.testing.assert_allclose(list(results(found).values()), expected, rtol=1e-5)


def test_areas_and_curves_are_of_the_validation_data(train):
    asked = ["AreaUnderROCCurve", "ROCCurvePlot", "ConfusionMatrixPlot"]
    results = still(train, NET, DATA, TrainingProgressMeasurements=asked, ValidationSet=DATA, BatchSize=8)
    areas = results("ValidationMeasurements")["AreaUnderROCCurve"]
    probabilities = np.asarray(NET(INPUTS, None), float)
    for place, name in enumerate(CLASSES):
        inside, outside = probabilities[place == LABELS, place], probabilities[place != LABELS, place]
        pairs = (inside[:, None] > outside).mean() + 0.5 * (inside[:, None] == outside).mean()
        np.testing.assert_allclose(areas[name], pairs, rtol=1e-5)
    assert list(results("RoundMeasurements")) == ["ConfusionMatrixPlot"]
    assert list(results("FinalPlots")) == ["Loss", *asked]
    assert results("ValidationMeasurements")["ROCCurvePlot"].axes[0].get_ylabel() == "true positive rate"
    with pytest.raises(DeclarationError, match="'AreaUnderROCCurve' needs all examples together"):
        still(train, NET, DATA, TrainingProgressMeasurements="AreaUnderROCCurve")


def test_sequences_count_element_by_element(train):
    net = NetInitialize(NetChain([NetMapOperator(3), SoftmaxLayer()], Input=["Varying", 2]))
    lengths = RANDOM.integers(1, 6, 20)
    inputs = [RANDOM.normal(size=(n, 2)).astype(np.float32) for n in lengths]
    targets = [RANDOM.integers(1, 4, n) for n in lengths]
    results = still(train, net, Rule(inputs, targets), ValidationSet=Rule(inputs[:7], targets[:7]), BatchSize=5)
    wrong = [np.asarray(net(x)).argmax(1) + 1 != t for x, t in zip(inputs, targets)]
    np.testing.assert_allclose(results("RoundMeasurements")["ErrorRate"], np.concatenate(wrong).mean(), rtol=1e-6)
    np.testing.assert_allclose(results("ValidationMeasurements")["ErrorRate"], np.concatenate(wrong[:7]).mean(), rtol=1e-6)
    assert results("BatchMeasurementsLists")["ErrorRate"].shape == (4,)
    assert "error rate: " in str(results)


def test_binary_decisions(train):
    net = NetInitialize(NetChain([LinearLayer([]), LogisticSigmoid], Input=4))
    results = still(train, net, (INPUTS, LABELS == 1), TrainingProgressMeasurements=["Accuracy", "Recall"], BatchSize=20)
    decided = np.asarray(net(INPUTS, None)) > 0.5
    same(results("RoundMeasurements")["Accuracy"], (decided == (LABELS == 1)).mean())
    same(results("RoundMeasurements")["Recall"], {False: (~decided)[LABELS != 1].mean(), True: decided[LABELS == 1].mean()})


def test_functions_count_as_what_they_trace_to(train):
    def run(power):
        function = {"Measurement": lambda p: (p["Output"] ** power).sum(), "Key": "power"}
        return still(train, NUMBERS, (INPUTS, TARGETS), "RoundMeasurements", TrainingProgressMeasurements=function)["power"]

    first = run(2)
    before = compilations()
    assert run(2) == first
    assert compilations() == before
    assert run(4) != first


def test_a_function_that_fails_is_named(train):
    with pytest.raises(
        DeclarationError, match=r"The measurement .* fails: .*It takes the ports of one example as a dict: 'Input' "
    ):
        still(train, NUMBERS, (INPUTS, TARGETS), TrainingProgressMeasurements=lambda p: p["Oops"])


def test_a_function_of_the_ports(train):
    results = still(
        train,
        NUMBERS,
        (INPUTS, TARGETS),
        TrainingProgressMeasurements=[
            {"Measurement": lambda p: abs(p["Output"] - p["Target"]).max(), "Key": "worst"},
            "MeanSquare",
        ],
        BatchSize=12,
        ValidationSet=(INPUTS[:31], TARGETS[:31]),
    )
    worst = np.abs(np.asarray(NUMBERS(INPUTS)) - TARGETS).max(1)
    np.testing.assert_allclose(results("RoundMeasurements")["worst"], worst.mean(), rtol=1e-5)
    np.testing.assert_allclose(results("ValidationMeasurements")["worst"], worst[:31].mean(), rtol=1e-5)


@pytest.mark.parametrize("cores", [1, 2])
def test_values_of_examples_are_combined_as_asked(train, cores, monkeypatch):
    """Also where the last batch is filled up, and where the devices that share a batch see different examples."""
    monkeypatch.setattr(run_module, "cores_for", lambda *_: min(cores, cores_available()))
    worst = lambda p: abs(p["Output"] - p["Target"]).max()  # noqa: E731
    asked = [
        {"Measurement": thing, "Aggregation": how, "Key": f"{name} {how}"}
        for name, thing in {"far": worst, "out": NetPort("Output")}.items()
        for how in ("Mean", Total, "Max", Min)
    ]
    data, held = (INPUTS[:38], TARGETS[:38]), (INPUTS[38:], TARGETS[38:])
    results = still(train, NUMBERS, data, TrainingProgressMeasurements=asked, BatchSize=12, ValidationSet=held)
    combined = {"Mean": np.mean, "Total": np.sum, "Max": np.max, "Min": np.min}
    for property, (inputs, targets), ways in (
        ("RoundMeasurements", data, ["Max", "Min"]),  # of the others some examples count twice
        ("ValidationMeasurements", held, combined),
    ):
        found, out = results(property), np.asarray(NUMBERS(inputs))
        for how in ways:
            np.testing.assert_allclose(found[f"out {how}"], combined[how](out, axis=0), rtol=1e-5)
            np.testing.assert_allclose(found[f"far {how}"], combined[how](np.abs(out - targets).max(1)), rtol=1e-5)
    batches = results("BatchMeasurementsLists")
    assert batches["far Max"].shape == (4,)
    assert batches["far Max"].max() == pytest.approx(results("RoundMeasurements")["far Max"])
    assert results("RoundMeasurements")["far Total"] == pytest.approx(48 * results("RoundMeasurements")["far Mean"], rel=1e-5)


def test_the_greatest_of_sequences_and_arrays(train):
    net = NetInitialize(NetChain({"rnn": BasicRecurrentLayer(3), "p": SoftmaxLayer()}, Input=["Varying", 2]))
    lengths = RANDOM.integers(5, 7, 20)
    inputs = [RANDOM.normal(size=(n, 2)).astype(np.float32) for n in lengths]
    data = Rule(inputs, [RANDOM.integers(1, 4, n) for n in lengths])
    asked = [
        {"Measurement": NetPort(["rnn", "Output"]), "Aggregation": "Max", "Key": "most"},
        {"Measurement": NetPort(["rnn", "InputWeights"]), "Aggregation": "Min", "Key": "least"},
    ]
    results = still(train, net, data, TrainingProgressMeasurements=asked, ValidationSet=data, BatchSize=5)
    outputs = np.concatenate([np.asarray(NetTake(net, "rnn")(x)) for x in inputs])
    for found in (results("RoundMeasurements"), results("ValidationMeasurements")):
        np.testing.assert_allclose(found["most"], outputs.max(0), rtol=1e-5)
        np.testing.assert_allclose(found["least"], net["rnn", "InputWeights"], rtol=1e-6)


def test_what_pads_a_sequence_is_not_among_its_greatest(train):
    """Running sums, which would go on with what is repeated at the end."""
    sums = FunctionLayer(lambda x: jnp.cumsum(x, axis=0), Varying="elementwise")
    net = NetChain({"sums": sums, "mean": AggregationLayer("Mean", 1), "last": LinearLayer([])}, Input=["Varying", 1])
    inputs = [np.full((2, 1), 5.0), np.ones((7, 1))]
    asked = {"Measurement": NetPort(["sums", "Output"]), "Aggregation": "Max", "Key": "most"}
    results = still(train, NetInitialize(net), Rule(inputs, [1.0, 2.0]), TrainingProgressMeasurements=asked)
    assert results("RoundMeasurements")["most"].tolist() == [10.0]


def test_partial_losses_are_reported_without_their_weights(train):
    loss = NetGraph({"a": MeanSquaredLossLayer(), "b": ElementwiseLayer(lambda x: x**4)}, [
        (NetPort("Input"), NetPort("a", "Input")), (NetPort("Target"), NetPort("a", "Target")), (NetPort("Input"), "b"),
        ("a", NetPort("Near")), ("b", NetPort("Small")),
    ])  # fmt: skip
    results = still(train, NUMBERS, (INPUTS, TARGETS), LossFunction=Rule(loss, Scaled(-2)), BatchSize=20)
    y = np.asarray(NUMBERS(INPUTS), float)
    near, small = ((y - TARGETS) ** 2).mean(), (y**4).sum(1).mean()
    same(results("RoundMeasurements"), {"LossNear": near, "LossSmall": small})
    np.testing.assert_allclose(results("RoundLoss"), -2 * (near + small), rtol=1e-5)
    assert results("BatchMeasurementsLists")["LossNear"].shape == (3,)


def test_measuring_changes_no_training_and_compiles_once(train):
    def run(**options):
        return train(NET, DATA, BatchSize=16, ValidationSet=Scaled(0.2), **options)

    plain = run()
    full = run(TrainingProgressMeasurements=["Accuracy", "F1Score"])
    assert plain("BatchLossList").tobytes() == full("BatchLossList").tobytes()
    assert plain("ValidationLossList").tobytes() == full("ValidationLossList").tobytes()
    before = compilations()
    again = run(TrainingProgressMeasurements=["Accuracy", "F1Score"], MaxTrainingRounds=3, RandomSeeding=5)
    assert compilations() == before
    assert len(again("RoundMeasurementsLists")["Accuracy"]) == 3
    assert run(TrainingProgressMeasurements=None)("RoundMeasurements") == {}


def test_chunks_and_room_change_no_number(train, monkeypatch):
    def run():
        return train(
            NET, DATA, BatchSize=6, TrainingProgressMeasurements=["Precision", "Perplexity", "Accuracy"], LearningRate=0.1
        )

    usual = run()
    monkeypatch.setattr(run_module, "FIRST_CHUNK", 1)
    monkeypatch.setattr(run_module, "CONSULTED_EVERY", 0.0)
    short = run()
    same(usual("RoundMeasurements"), short("RoundMeasurements"))
    assert usual("BatchMeasurementsLists")["Accuracy"].tobytes() == short("BatchMeasurementsLists")["Accuracy"].tobytes()
    np.testing.assert_allclose(
        usual("BatchMeasurementsLists")["Accuracy"].reshape(2, 10).mean(1), usual("RoundMeasurementsLists")["Accuracy"]
    )
    monkeypatch.setattr(measured_module, "ROOM", 1)
    cramped = run()
    same(usual("RoundMeasurements"), cramped("RoundMeasurements"))
    assert cramped("BatchMeasurementsLists") == {}


def test_a_history_is_stored_and_read_back(train):
    results = train(
        NET, DATA, TrainingProgressMeasurements=["Precision", "AreaUnderROCCurve"], ValidationSet=Scaled(0.2), BatchSize=16
    )
    stored = results.history.to_dict()

    def plain(value):
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                plain(one)
        else:
            assert isinstance(value, (int, float, np.ndarray, np.generic))

    plain(stored)
    again = History.from_dict(stored)
    np.testing.assert_equal(again.to_dict(), stored)
    assert again.losses[0] is not results.history.losses[0]
    assert again.validation_positions == [3, 6]


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ("Accurracy", PartError, "There is no measurement 'Accurracy'. Did you mean 'Accuracy'?"),
        ("RSquared", PartError, "'RSquared' cannot be measured of this "),
        (
            "Examples",
            UnsupportedError,
            "NetTrain cannot measure 'Examples' while it trains. Ask NetMeasurements(net, data, 'Examples')",
        ),
        ("ConfusionFunction", UnsupportedError, "NetTrain cannot measure 'ConfusionFunction' while it trains."),
        ("Report", UnsupportedError, "NetTrain cannot measure 'Report' while it trains."),
        (
            ["Accuracy", "Accuracy"],
            DeclarationError,
            "TrainingProgressMeasurements has two measurements with the key 'Accuracy'.",
        ),
        (3, DeclarationError, "A measurement is a name, Rule(name, parameter)"),
        ({"Measurement": "Accuracy", "Direction": "Up"}, DeclarationError, "The suboption 'Direction' of a measurement is "),
        ({"Measurement": "Accuracy", "Interval": "Day"}, DeclarationError, "The suboption 'Interval' of a measurement is "),
        ({"Measurement": "Accuracy", "Plot": "x"}, DeclarationError, 'The suboption "Plot" of a measurement is True, False'),
        (
            {"Measurement": "Accuracy", "Aggregation": "Max"},
            DeclarationError,
            'The suboption "Aggregation" is for ports, arrays and',
        ),
        (
            {"Measurement": NetPort("Input"), "Aggregation": "Most"},
            DeclarationError,
            'The suboption "Aggregation" of a measurement is',
        ),
    ],
    ids=str,
)
def test_wrong_measurements(train, asked, error, message):
    with pytest.raises(error) as raised:
        still(train, NET, DATA, TrainingProgressMeasurements=asked)
    assert str(raised.value).startswith(message)


def test_suboptions(train):
    asked = [
        {"Measurement": "Accuracy", "Interval": "Round", "Plot": False},
        [Rule("Measurement", "Recall"), Rule("ClassAveraging", "Micro")],
    ]
    results = train(NET, DATA, TrainingProgressMeasurements=asked, BatchSize=16)
    assert list(results("BatchMeasurementsLists")) == [Rule("Recall", "MicroAveraged")]
    assert list(results("FinalPlots")) == ["Loss", Rule("Recall", "MicroAveraged")]


def test_what_is_measured_of_a_net_with_its_loss_inside(train):
    net = NetGraph(
        {"net": NET, "loss": CrossEntropyLossLayer("Index")},
        [("net", NetPort("loss", "Input")), (NetPort("Class"), NetPort("loss", "Target"))],
    )
    data = {"Input": INPUTS, "Class": LABELS + 1}
    results = NetTrain(
        net,
        data,
        ["RoundMeasurements"],
        LearningRate=0,
        MaxTrainingRounds=1,
        TrainingProgressReporting=None,
        TrainingProgressMeasurements=["ErrorRate", "Recall"],
    )[0]
    same(results["Recall"], NetMeasurements(net, data, "Recall"))


def test_numbers_that_leave_their_range_are_the_error_of_the_training(train):
    with pytest.raises(TrainingError, match="The loss of batch"):
        train(NUMBERS, (INPUTS, TARGETS), Method="SGD", LearningRate=1e20, BatchSize=12, TrainingProgressMeasurements=OF_NUMBERS)
    results = train(NET, DATA, LearningRate=1e5, TrainingProgressMeasurements="Perplexity", BatchSize=30)
    assert results("RoundMeasurements")["Perplexity"] == np.inf
    assert results._repr_html_().count("<details>") == 1
