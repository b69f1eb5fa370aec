"""NetMeasurements: forms, losses, ports, suboptions, options and errors, against NumPy by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from netdsl import (
    BatchNormalizationLayer,
    CrossEntropyLossLayer,
    DropoutLayer,
    ElementwiseLayer,
    LinearLayer,
    LogisticSigmoid,
    MeanAbsoluteLossLayer,
    MeanSquaredLossLayer,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetMapOperator,
    NetMeasurements,
    NetPort,
    Rule,
    Scaled,
    SoftmaxLayer,
    Tanh,
)
from netdsl.errors import DeclarationError, PartError, UnsupportedError

RNG = np.random.default_rng(11)
X = RNG.normal(size=(300, 4)).astype("float32")
WEIGHTS = RNG.normal(size=(3, 4)).astype("float32")
LOGITS = np.tanh(X) @ WEIGHTS.T
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
LABELS = ("cat", "dog", "eel")
CODES = np.where(RNG.random(300) < 0.7, LOGITS.argmax(axis=1), RNG.integers(0, 3, 300))
TRUTH = [LABELS[i] for i in CODES]
DECISIONS = LOGITS.argmax(axis=1)
ENTROPIES = -np.log(PROBABILITIES[np.arange(300), CODES])
DATA = Rule(X, TRUTH)


def linear(weights=WEIGHTS) -> LinearLayer:
    return LinearLayer(len(weights), Weights=weights, Biases=np.zeros(len(weights), "float32"))


def classifier() -> NetChain:
    return NetChain({"tanh": Tanh, "linear": linear(), "softmax": SoftmaxLayer()}, Input=4, Output=NetDecoder("Class", LABELS))


def predictor() -> NetChain:
    return NetChain([linear()], Input=4)


def training_graph() -> NetGraph:
    return NetGraph(
        {"net": classifier(), "loss": CrossEntropyLossLayer("Index")}, [NetPort("Input") >> "net" >> NetPort("loss", "Input")]
    )


def test_forms_of_measurements():
    net = classifier()
    accuracy = sklearn.metrics.accuracy_score(CODES, DECISIONS)
    two = sklearn.metrics.top_k_accuracy_score(CODES, PROBABILITIES, k=2)
    assert NetMeasurements(net, DATA, "Accuracy") == pytest.approx(accuracy)
    assert NetMeasurements(net, DATA, ["Accuracy", "ErrorRate"]) == pytest.approx([accuracy, 1 - accuracy])
    assert NetMeasurements(net, DATA, ["Accuracy", 2]) == NetMeasurements(net, DATA, Rule("Accuracy", 2)) == pytest.approx(two)
    assert NetMeasurements(net, DATA, [["Accuracy", 2], Rule("Precision", "cat")]) == pytest.approx(
        [two, sklearn.metrics.precision_score(CODES, DECISIONS, labels=[0], average=None)[0]]
    )
    assert NetMeasurements(net, DATA, {"Measurement": ["Accuracy", 2]}) == pytest.approx(two)
    assert {"Accuracy", "Loss", "ConfusionMatrixPlot", "Properties"} <= set(NetMeasurements(net, DATA, "Properties"))


def test_one_evaluation_serves_all(runs):
    NetMeasurements(classifier(), DATA, ["Loss", "Accuracy", "ROCCurve", NetPort("tanh", "Output"), NetPort("Output"), "Report"])
    assert runs == [256, 44]
    NetMeasurements(classifier(), DATA, ["LayersCount", NetPort("linear", "Weights"), "Properties"])
    assert runs == [256, 44]


def test_the_attached_loss_and_measurements_of_classes():
    loss, perplexity, kappa, matrix = NetMeasurements(classifier(), DATA, ["Loss", "Perplexity", "CohenKappa", "ConfusionMatrix"])
    assert loss == pytest.approx(ENTROPIES.mean(), rel=1e-5)
    assert perplexity == pytest.approx(np.exp(ENTROPIES.mean()), rel=1e-5)
    assert kappa == pytest.approx(sklearn.metrics.cohen_kappa_score(CODES, DECISIONS))
    assert (matrix == sklearn.metrics.confusion_matrix(CODES, DECISIONS)).all()


def test_suboptions():
    net = classifier()
    macro = sklearn.metrics.f1_score(CODES, DECISIONS, average="macro")
    micro = sklearn.metrics.fbeta_score(CODES, DECISIONS, beta=2, average="micro")
    assert NetMeasurements(net, DATA, {"Measurement": "F1Score", "ClassAveraging": "Macro"}) == pytest.approx(macro)
    assert NetMeasurements(net, DATA, {"Measurement": ["FScore", 2], "ClassAveraging": "Micro"}) == pytest.approx(micro)
    assert list(NetMeasurements(net, DATA, {"Measurement": "F1Score", "ClassAveraging": None})) == list(LABELS)
    found = NetMeasurements(net, DATA, ["Loss", {"Measurement": "F1Score", "ClassAveraging": "Macro", "Key": "f1"}])
    assert list(found) == ["Loss", "f1"]
    assert found["f1"] == pytest.approx(macro)


def test_ports_and_arrays():
    net = classifier()
    assert NetMeasurements(net, DATA, NetPort("tanh", "Output")) == pytest.approx(np.tanh(X).mean(axis=0), abs=1e-5)
    assert NetMeasurements(net, DATA, NetPort(1, "Output")) == pytest.approx(np.tanh(X).mean(axis=0), abs=1e-5)
    assert NetMeasurements(net, DATA, NetPort("Output")) == pytest.approx(PROBABILITIES.mean(axis=0), abs=1e-5)
    assert NetMeasurements(net, DATA, NetPort("Input")) == pytest.approx(X.mean(axis=0), abs=1e-5)
    assert NetMeasurements(net, DATA, NetPort("Loss")) == pytest.approx(ENTROPIES.mean(), rel=1e-5)
    assert (NetMeasurements(net, DATA, NetPort("linear", "Weights")) == WEIGHTS).all()
    assert NetMeasurements(net, {"Input": X}, [NetPort("tanh", "Output")])[0] == pytest.approx(np.tanh(X).mean(axis=0), abs=1e-5)


def test_a_graph_that_ends_in_a_loss_knows_its_classes():
    data = {"Input": X, "Target": CODES + 1}
    recall, loss, port = NetMeasurements(training_graph(), data, ["Recall", "Loss", NetPort("net", "linear", "Output")])
    assert recall == pytest.approx(dict(zip(LABELS, sklearn.metrics.recall_score(CODES, DECISIONS, average=None))))
    assert loss == pytest.approx(ENTROPIES.mean(), rel=1e-5)
    assert port == pytest.approx(LOGITS.mean(axis=0), abs=1e-5)
    bare = NetGraph(
        {"net": NetChain([Tanh, linear(), SoftmaxLayer()], Input=4), "loss": CrossEntropyLossLayer("Index")},
        [NetPort("Input") >> "net" >> NetPort("loss", "Input")],
    )
    assert list(NetMeasurements(bare, data, "Recall")) == [1, 2, 3]
    encoded = NetGraph(
        {"net": NetChain([Tanh, linear(), SoftmaxLayer()], Input=4), "loss": CrossEntropyLossLayer("Index")},
        [NetPort("Input") >> "net" >> NetPort("loss", "Input")],
        Target=NetEncoder("Class", LABELS),
    )
    assert NetMeasurements(encoded, {"Input": X, "Target": TRUTH}, "Recall") == recall


def test_target_forms_of_the_cross_entropy():
    graph = NetGraph(
        {"net": classifier(), "loss": CrossEntropyLossLayer("Probabilities")},
        [NetPort("Input") >> "net" >> NetPort("loss", "Input")],
    )
    soft = (0.9 * np.eye(3)[CODES] + 0.1 / 3).astype("float32")
    found = NetMeasurements(graph, {"Input": X, "Target": soft}, ["Accuracy", "MeanCrossEntropy", "Loss"])
    entropy = -(soft * np.log(PROBABILITIES)).sum(axis=1).mean()
    assert found == pytest.approx([(DECISIONS == CODES).mean(), entropy, entropy], rel=1e-5)

    binary = NetChain([linear(), ElementwiseLayer(LogisticSigmoid)], Input=4)
    bits = (RNG.random((300, 3)) < 0.5).astype("float32")
    p = 1 / (1 + np.exp(-X @ WEIGHTS.T))
    found = NetMeasurements(binary, Rule(X, bits), ["Accuracy", "MeanCrossEntropy", "ConfusionMatrix"])
    assert found[0] == pytest.approx(((p >= 0.5) == bits).mean())
    assert found[1] == pytest.approx(sklearn.metrics.log_loss(bits.ravel(), p.ravel()), rel=1e-4)
    assert (found[2] == sklearn.metrics.confusion_matrix(bits.ravel(), p.ravel() >= 0.5)).all()


def test_losses_stay_finite_at_large_logits():
    net = NetChain(
        [linear(np.array([[1e4], [-1e4]], "float32")), SoftmaxLayer()], Input=1, Output=NetDecoder("Class", ["up", "down"])
    )
    found = NetMeasurements(net, Rule([[1.0], [1.0]], ["up", "down"]), ["Loss", "MeanCrossEntropy", "Accuracy"])
    assert found == [10000.0, 10000.0, 0.5]


def test_measurements_of_numbers_and_other_losses():
    truth = X @ WEIGHTS.T + RNG.normal(size=(300, 3))
    square = ((X @ WEIGHTS.T - truth) ** 2).mean()
    assert NetMeasurements(predictor(), Rule(X, truth), ["Loss", "MeanSquare"]) == pytest.approx([square] * 2, rel=1e-5)
    absolute = np.abs(X @ WEIGHTS.T - truth).mean()
    found = NetMeasurements(predictor(), Rule(X, truth), ["Loss", "MeanDeviation"], LossFunction=MeanAbsoluteLossLayer())
    assert found == pytest.approx([absolute] * 2, rel=1e-5)
    several = [MeanSquaredLossLayer(), Rule(MeanAbsoluteLossLayer(), Scaled(0.5))]
    found = NetMeasurements(predictor(), Rule(X, truth), ["Loss", "Loss1", "Loss2"], LossFunction=several)
    assert found == pytest.approx([square + absolute / 2, square, absolute], rel=1e-5)


def test_sequences_count_by_element_and_padding_counts_nothing():
    net = NetChain(
        [NetMapOperator(NetChain([Tanh, linear(), SoftmaxLayer()]))],
        Input=["Varying", 4],
        Output=NetDecoder("Class", LABELS, InputDepth=2),
    )
    parts = [slice(0, 2), slice(2, 7), slice(7, 8), slice(8, 20)]
    data = Rule([X[part] for part in parts], [TRUTH[part] for part in parts])
    accuracy, loss, mean = NetMeasurements(net, data, ["Accuracy", "Loss", NetPort("Output")])
    assert accuracy == pytest.approx((DECISIONS == CODES)[:20].mean())
    assert loss == pytest.approx(np.mean([ENTROPIES[part].mean() for part in parts]), rel=1e-5)
    assert mean == pytest.approx(PROBABILITIES[:20].mean(axis=0), abs=1e-5)


def test_results_do_not_depend_on_the_batch_size():
    asked = ["Loss", "Accuracy", NetPort("softmax", "Output")]
    whole = NetMeasurements(classifier(), DATA, asked)
    for size in (1, 7, 300, 10_000):
        small = NetMeasurements(classifier(), DATA, asked, BatchSize=size)
        assert small[:2] == pytest.approx(whole[:2], rel=1e-6)
        assert small[2] == pytest.approx(whole[2], rel=1e-6)


def test_evaluation_modes():
    net = NetChain([linear(), DropoutLayer(0.5)], Input=4)
    truth = X @ WEIGHTS.T
    assert NetMeasurements(net, Rule(X, truth), "Loss") == pytest.approx(0, abs=1e-10)
    trained = [NetMeasurements(net, Rule(X, truth), "Loss", NetEvaluationMode="Train", BatchSize=size) for size in (64, 100)]
    assert trained[0] > 0.1
    assert trained[0] == pytest.approx(trained[1], rel=1e-6)
    one = np.ones(2, "float32")
    normalizing = NetChain(
        [BatchNormalizationLayer(Scaling=one, Biases=0 * one, MovingMean=0 * one, MovingVariance=one)], Input=2
    )
    mean = NetMeasurements(normalizing, {"Input": X[:5, :2] + 3}, [NetPort("Output")], NetEvaluationMode="Train")[0]
    assert mean == pytest.approx([0, 0], abs=1e-5)


def test_information_properties():
    assert NetMeasurements(classifier(), DATA, ["ArraysTotalElementCount", "Accuracy"]) == [
        15,
        pytest.approx((DECISIONS == CODES).mean()),
    ]


@pytest.mark.parametrize(
    ("measurement", "error", "text"),
    [
        ("Acuracy", PartError, "There is no measurement 'Acuracy'. Did you mean 'Accuracy'?"),
        (
            "RSquared",
            PartError,
            "'RSquared' cannot be measured of this NetChain: no MeanSquaredLossLayer or MeanAbsoluteLossLayer "
            "compares its numbers. Give LossFunction=MeanSquaredLossLayer().",
        ),
        (
            ["Loss", 2],
            DeclarationError,
            "A measurement is a name, Rule(name, parameter), [name, parameter], a NetPort, "
            '{"Measurement": ..., "Key": ...}, or a list of those. Got 2.',
        ),
        (Rule("Loss", 2), DeclarationError, "'Loss' takes no parameter. Got 2."),
        (NetPort("tan", "Output"), PartError, "NetPort(['tan', 'Output']): there is no layer 'tan'. Did you mean 'tanh'?"),
        (
            NetPort("linear", "Wieghts"),
            PartError,
            "NetPort(['linear', 'Wieghts']): LinearLayer has no port or array 'Wieghts' that "
            "can be measured. Did you mean 'Weights'?",
        ),
        (
            {"Measurement": "Accuracy", "ClassAveraging": "Macro"},
            DeclarationError,
            "ClassAveraging averages values of classes, such as 'Precision'. Got 'Accuracy'.",
        ),
        (
            {"Measurement": "Precision", "ClassAveraging": "Mean"},
            DeclarationError,
            'ClassAveraging is "Macro", "Micro" or None. Got \'Mean\'.',
        ),
        (
            {"Measurement": "Precision", "Direction": "Increasing"},
            UnsupportedError,
            "NetMeasurements does not take 'Direction' of a measurement, which is for NetTrain. Leave it out.",
        ),
        (
            {"Measurement": "Precision", "Keys": "p"},
            DeclarationError,
            "A measurement has no suboption 'Keys'. Did you mean 'Key'?",
        ),
        ({"Key": "p"}, DeclarationError, "A measurement as a dict has a \"Measurement\", a name or port. Got {'Key': 'p'}."),
        ("MXNetNodeGraph", UnsupportedError, None),
    ],
)
def test_errors_of_measurements(measurement, error, text):
    with pytest.raises(error) as caught:
        NetMeasurements(classifier(), DATA, measurement)
    assert text is None or str(caught.value) == text


def test_errors_of_nets_and_options():
    with pytest.raises(PartError) as caught:
        NetMeasurements(predictor(), Rule(X, LOGITS), "Accuracy")
    assert str(caught.value) == (
        "'Accuracy' cannot be measured of this NetChain: it has no CrossEntropyLossLayer. One is attached to a net that ends in "
        'a SoftmaxLayer; for another give LossFunction=CrossEntropyLossLayer("Index").'
    )
    with pytest.raises(PartError, match="it has 2 losses, so it is not clear which one is meant"):
        NetMeasurements(predictor(), Rule(X, LOGITS), "RSquared", LossFunction=[MeanSquaredLossLayer(), MeanAbsoluteLossLayer()])
    multilabel = NetChain(
        [linear(), ElementwiseLayer(LogisticSigmoid)], Input=4, Output=NetDecoder("Class", LABELS, Multilabel=True)
    )
    data = Rule(X[:2], [["cat"], ["dog", "eel"]])
    assert NetMeasurements(multilabel, data, "Loss") > 0
    with pytest.raises(UnsupportedError, match="'Accuracy' of a Multilabel decoder is not supported yet"):
        NetMeasurements(multilabel, data, "Accuracy")
    for options, error, text in [
        ({"BatchSize": 0}, DeclarationError, "BatchSize is a positive integer or Automatic. Got 0."),
        ({"NetEvaluationMode": "Tests"}, DeclarationError, 'NetEvaluationMode is "Test" or "Train". Got \'Tests\'.'),
        ({"Batchsize": 3}, DeclarationError, "NetMeasurements has no option 'Batchsize'. Did you mean 'BatchSize'?"),
    ]:
        with pytest.raises(error) as caught:
            NetMeasurements(classifier(), DATA, "Loss", **options)
        assert str(caught.value) == text
    assert NetMeasurements(classifier(), DATA, "Loss", TargetDevice="CPU", WorkingPrecision="Real32") == pytest.approx(
        ENTROPIES.mean(), rel=1e-5
    )
