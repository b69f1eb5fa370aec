"""LossFunction in all its forms: the loss reported is recomputed in NumPy from the net's own outputs, while nothing moves."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    Automatic,
    ContrastiveLossLayer,
    CrossEntropyLossLayer,
    CTCLossLayer,
    DataError,
    DeclarationError,
    FunctionLayer,
    LinearLayer,
    LogisticSigmoid,
    MeanAbsoluteLossLayer,
    MeanSquaredLossLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetError,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPairEmbeddingOperator,
    NetPort,
    NetReplacePart,
    PartError,
    Ramp,
    Rule,
    Scaled,
    SoftmaxLayer,
)

RANDOM = np.random.default_rng(1)
INPUTS = RANDOM.normal(size=(9, 3)).astype(np.float32)
VECTORS = RANDOM.normal(size=(9, 2)).astype(np.float32)
CLASSES = RANDOM.integers(1, 3, size=9)
NUMBERS = NetInitialize(NetChain([4, Ramp, 2], Input=3))
SOFT = NetInitialize(NetChain([2, SoftmaxLayer()], Input=3))


def reported(train, net, data, **options):
    return train(net, data, **{"LearningRate": 0, "MaxTrainingRounds": 1, **options})


def squared(outputs, targets):
    return np.mean((outputs - targets) ** 2)


def entropy(probabilities, classes):
    return -np.mean(np.log(probabilities[np.arange(len(classes)), classes - 1]))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (Automatic, squared),
        (MeanSquaredLossLayer(), squared),
        (MeanAbsoluteLossLayer(), lambda y, t: np.mean(np.abs(y - t))),
        (Rule("Output", MeanSquaredLossLayer()), squared),
        (Rule("Output", Automatic), squared),
        (Rule(MeanSquaredLossLayer(), Scaled(3)), lambda y, t: 3 * squared(y, t)),
        (Rule("Output", Rule(MeanSquaredLossLayer(), Scaled(-2))), lambda y, t: -2 * squared(y, t)),
        (Rule(Rule("Output", MeanSquaredLossLayer()), Scaled(-2)), lambda y, t: -2 * squared(y, t)),
        (
            [MeanSquaredLossLayer(), Rule(MeanAbsoluteLossLayer(), Scaled(0.5))],
            lambda y, t: squared(y, t) + 0.5 * np.mean(np.abs(y - t)),
        ),
        (NetGraph({"abs": MeanAbsoluteLossLayer()}, []), lambda y, t: np.mean(np.abs(y - t))),
        (FunctionLayer(lambda Input, Target: ((Input - Target) ** 4).sum()), lambda y, t: np.mean(np.sum((y - t) ** 4, axis=1))),
    ],
    ids=lambda value: None if callable(value) and not isinstance(value, type(Ramp)) else str(value)[:30],
)
def test_losses_with_targets(train, loss, expected):
    results = reported(train, NUMBERS, (INPUTS, VECTORS), LossFunction=loss)
    y = NUMBERS(INPUTS)
    np.testing.assert_allclose(results("RoundLoss"), expected(y, VECTORS), rtol=1e-5)
    parts = {"Loss1": squared(y, VECTORS), "Loss2": np.mean(np.abs(y - VECTORS))} if isinstance(loss, list) else {}
    assert results("RoundMeasurements") == pytest.approx(parts, rel=1e-5), "without their weights"


@pytest.mark.parametrize(
    "loss",
    [
        NetChain([FunctionLayer(lambda x: (x**2).sum())]),
        FunctionLayer(lambda x: (x**2).sum()),
        Rule("Output", FunctionLayer(lambda x: x**2)),
    ],
    ids=["chain", "layer", "array"],
)
def test_a_loss_net_with_input_only_needs_no_targets_and_arrays_are_summed(train, loss):
    results = reported(train, NUMBERS, {"Input": INPUTS}, LossFunction=loss)
    np.testing.assert_allclose(results("RoundLoss"), np.mean(np.sum(NUMBERS(INPUTS) ** 2, axis=1)), rtol=1e-5)


def test_an_output_port_as_loss(train):
    net = NetInitialize(NetChain([4, Ramp, LinearLayer([])], Input=3))
    for loss, weight in (("Output", 1), (Rule("Output", Scaled(-2)), -2)):
        results = reported(train, net, {"Input": INPUTS}, LossFunction=loss)
        np.testing.assert_allclose(results("RoundLoss"), weight * np.mean(net(INPUTS)), rtol=1e-5)
    assert results("TrainingNet") == net


def test_a_loss_net_with_several_outputs_sums_them(train):
    loss = NetGraph(
        {"a": MeanSquaredLossLayer(), "b": MeanAbsoluteLossLayer()},
        [
            (NetPort("Input"), [NetPort("a", "Input"), NetPort("b", "Input")]),
            (NetPort("Target"), [NetPort("a", "Target"), NetPort("b", "Target")]),
            ("a", NetPort("Squares")),
            ("b", NetPort("Distances")),
        ],
    )
    results = reported(train, NUMBERS, (INPUTS, VECTORS), LossFunction=loss)
    outputs = NUMBERS(INPUTS)
    np.testing.assert_allclose(results("RoundLoss"), squared(outputs, VECTORS) + np.mean(np.abs(outputs - VECTORS)), rtol=1e-5)
    assert set(results("TrainingNet").output_names) == {"LossSquares", "LossDistances"}


def test_softmax_gets_cross_entropy_and_an_error_rate(train):
    results = reported(train, SOFT, (INPUTS, CLASSES), ValidationSet=(INPUTS[:4], CLASSES[:4]))
    probabilities = SOFT(INPUTS)
    wrong = probabilities.argmax(1) + 1 != CLASSES
    np.testing.assert_allclose(results("RoundLoss"), entropy(probabilities, CLASSES), rtol=1e-5)
    np.testing.assert_allclose(results("RoundMeasurements")["ErrorRate"], wrong.mean(), rtol=1e-6)
    np.testing.assert_allclose(results("ValidationMeasurements")["ErrorRate"], wrong[:4].mean(), rtol=1e-6)
    assert 0 < wrong.mean() < 1


def test_softmax_against_probabilities(train):
    targets = RANDOM.dirichlet([1, 1], size=9)
    results = reported(train, SOFT, (INPUTS, targets), LossFunction=CrossEntropyLossLayer("Probabilities"))
    probabilities = SOFT(INPUTS)
    np.testing.assert_allclose(results("RoundLoss"), -np.mean(np.sum(targets * np.log(probabilities), 1)), rtol=1e-5)
    np.testing.assert_allclose(results("RoundMeasurements")["ErrorRate"], np.mean(probabilities.argmax(1) != targets.argmax(1)))


def test_sigmoid_gets_binary_cross_entropy(train):
    net = NetInitialize(NetChain([2, LogisticSigmoid], Input=3))
    targets = RANDOM.integers(0, 2, size=(9, 2))
    results = reported(train, net, (INPUTS, targets))
    p = net(INPUTS)
    np.testing.assert_allclose(results("RoundLoss"), -np.mean(np.where(targets, np.log(p), np.log(1 - p))), rtol=1e-5)
    np.testing.assert_allclose(results("RoundMeasurements")["ErrorRate"], np.mean((p >= 0.5) != targets), rtol=1e-6)


def test_the_last_layer_is_seen_inside_an_operator(train):
    net = NetInitialize(NetMapOperator(NetChain([2, SoftmaxLayer()]), Input=[5, 3]))
    inputs, classes = RANDOM.normal(size=(4, 5, 3)), RANDOM.integers(1, 3, size=(4, 5))
    results = reported(train, net, (inputs, classes))
    probabilities = net(inputs).reshape(-1, 2)
    np.testing.assert_allclose(results("RoundLoss"), entropy(probabilities, classes.ravel()), rtol=1e-5)
    np.testing.assert_allclose(results("RoundMeasurements")["ErrorRate"], np.mean(probabilities.argmax(1) + 1 != classes.ravel()))


def two_outputs():
    return NetInitialize(
        NetGraph(
            {"body": LinearLayer(4), "a": LinearLayer(2), "b": NetChain([2, SoftmaxLayer()])},
            [("body", ["a", "b"]), ("a", NetPort("A")), ("b", NetPort("B"))],
            Input=3,
        )
    )


def test_several_outputs_each_get_their_loss(train):
    net = two_outputs()
    outputs = net(INPUTS)
    first, second = squared(outputs["A"], VECTORS), entropy(outputs["B"], CLASSES)
    data = {"Input": INPUTS, "A": VECTORS, "B": CLASSES}
    results = reported(train, net, data)
    np.testing.assert_allclose(results("RoundLoss"), first + second, rtol=1e-5)
    assert "ErrorRate" in results("RoundMeasurements")
    for loss in (
        [Rule("A", Automatic), Rule(Rule("B", Automatic), Scaled(-0.5))],
        {"A": Automatic, "B": Rule(Automatic, Scaled(-0.5))},
    ):
        results = reported(train, net, data, LossFunction=loss)
        np.testing.assert_allclose(results("RoundLoss"), first - 0.5 * second, rtol=1e-5)
    only = reported(train, net, {"Input": INPUTS, "A": VECTORS}, LossFunction=Rule("A", Automatic))
    np.testing.assert_allclose(only("RoundLoss"), first, rtol=1e-5)
    assert only("TrainedNet").output_names == ("A", "B")


@pytest.mark.parametrize("port", ["Loss", "MyLoss"])
def test_a_net_with_a_loss_inside_is_used_unchanged(train, port):
    net = NetInitialize(
        NetGraph(
            {"net": NetChain([2, SoftmaxLayer()]), "loss": CrossEntropyLossLayer("Index")},
            [
                (NetPort("Input"), "net"),
                ("net", NetPort("loss", "Input")),
                (NetPort("Target"), NetPort("loss", "Target")),
                ("loss", NetPort(port)),
                ("net", NetPort("Probabilities")),
            ],
            Input=3,
        )
    )
    results = reported(train, net, {"Input": INPUTS, "Target": CLASSES})
    expected = entropy(net({"Input": INPUTS, "Target": CLASSES})["Probabilities"], CLASSES)
    np.testing.assert_allclose(results("RoundLoss"), expected, rtol=1e-5)
    assert results("TrainedNet") == net == results("TrainingNet")
    assert "ErrorRate" in results("RoundMeasurements")


def test_two_cross_entropies_have_no_single_error_rate(train):
    results = reported(train, SOFT, (INPUTS, CLASSES), LossFunction=[CrossEntropyLossLayer("Index")] * 2)
    assert set(results("RoundMeasurements")) == set(results("RoundMeasurementsLists")) == {"Loss1", "Loss2"}
    np.testing.assert_allclose(results("RoundLoss"), 2 * entropy(SOFT(INPUTS), CLASSES), rtol=1e-5)


def test_class_targets_meet_a_squared_loss_as_indicators(train):
    net = NetInitialize(NetChain([2, SoftmaxLayer()], Input=3, Output=NetDecoder("Class", ["n", "y"])))
    results = reported(train, net, (INPUTS, ["ny"[c - 1] for c in CLASSES]), LossFunction=MeanSquaredLossLayer())
    np.testing.assert_allclose(results("RoundLoss"), squared(net(INPUTS, None), np.eye(2)[CLASSES - 1]), rtol=1e-5)


DIFFERENT = RANDOM.random(9) < 0.5
PAIRS = RANDOM.normal(size=(9, 2, 3)).astype(np.float32)
EMBEDDING = NetInitialize(NetPairEmbeddingOperator(NetChain([2, SoftmaxLayer()], Input=3)))


@pytest.mark.parametrize(
    "targets", [DIFFERENT, DIFFERENT.tolist(), DIFFERENT.astype(int), DIFFERENT.astype(float).tolist()], ids=str
)
@pytest.mark.parametrize(("loss", "margin"), [(Automatic, 0.5), (ContrastiveLossLayer(2), 2)], ids=["automatic", "margin"])
def test_pair_embeddings_get_a_contrastive_loss(train, targets, loss, margin):
    """Whatever their net ends in; True is different. What the trained net gives stays a distance."""
    results = reported(train, EMBEDDING, (PAIRS, targets), LossFunction=loss)
    embedded = EMBEDDING.nets["Net"](PAIRS.reshape(-1, 3)).reshape(9, 2, 2)
    distances = np.linalg.norm(embedded[:, 0] - embedded[:, 1], axis=1)
    expected = np.where(DIFFERENT, np.maximum(margin - distances, 0), distances)
    np.testing.assert_allclose(results("RoundLoss"), np.mean(expected), rtol=1e-5)
    assert results("TrainedNet") == EMBEDDING
    assert results("RoundMeasurements") == {}


def test_pair_embeddings_learn_to_tell_apart(train):
    rng = np.random.default_rng(6)
    kinds = rng.integers(0, 2, (200, 2))
    pairs = rng.normal(size=(200, 2, 3)) + 3 * kinds[..., None]
    different = kinds[:, 0] != kinds[:, 1]
    net = train(EMBEDDING, (pairs, different), "TrainedNet", MaxTrainingRounds=60, LearningRate=0.01)
    assert np.mean((net(pairs) > 0.5) == different) > 0.9


SPELLER = NetInitialize(NetGraph([NetMapOperator(LinearLayer(4)), SoftmaxLayer()], [(1, 2)], Input=["Varying", 3]))
HEARD = [RANDOM.normal(size=(n, 3)).astype(np.float32) for n in (3, 5, 4, 6)]
SPELLED = [[1, 2], [3, 3, 1], [2], [1, 2, 3]]


def test_ctc_losses_take_sequences_of_classes(train):
    layer = CTCLossLayer(Input=["Varying", 4], Target=["Varying", "Integer"])
    expected = np.mean(layer({"Input": SPELLER(HEARD), "Target": SPELLED}))
    results = reported(train, SPELLER, (HEARD, SPELLED), LossFunction=CTCLossLayer())
    np.testing.assert_allclose(results("RoundLoss"), expected, rtol=1e-5)
    assert results("TrainedNet") == SPELLER
    graph = NetGraph(
        {"net": SPELLER, "ctc": layer},
        [(NetPort("Input"), "net", NetPort("ctc", "Input")), ("ctc", NetPort("Cost"))],
        Input=["Varying", 3],
    )
    results = reported(train, graph, {"Input": HEARD, "Target": SPELLED})  # a loss layer is used unchanged
    np.testing.assert_allclose(results("RoundLoss"), expected, rtol=1e-5)


def test_ctc_losses_take_the_labels_of_a_decoder(train):
    letters = "xyz"
    net = NetReplacePart(SPELLER, {"Output": NetDecoder("CTCBeamSearch", list(letters))})
    words = [[letters[place - 1] for place in word] for word in SPELLED]
    expected = reported(train, SPELLER, (HEARD, SPELLED), LossFunction=CTCLossLayer())("RoundLoss")
    assert reported(train, net, (HEARD, words), LossFunction=CTCLossLayer())("RoundLoss") == expected
    trained = train(net, (HEARD, words), "TrainedNet", LossFunction=CTCLossLayer(), MaxTrainingRounds=300, LearningRate=0.05)
    assert [trained(x) for x in HEARD] == words


def test_ctc_losses_take_arrays_of_classes(train):
    net = NetInitialize(NetChain([NetMapOperator(4), SoftmaxLayer()], Input=[5, 3]))
    inputs, targets = RANDOM.normal(size=(6, 5, 3)), RANDOM.integers(1, 4, (6, 2))
    expected = np.mean(CTCLossLayer(Input=[5, 4])({"Input": net(inputs), "Target": targets}))
    np.testing.assert_allclose(
        reported(train, net, (inputs, targets), LossFunction=CTCLossLayer())("RoundLoss"), expected, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([[1, 2], [3, 4, 1], [2], [1]], "from 1 to 3"),
        (["ab", "c", "a", "b"], r"are strings, such as 'ab'\..* such as list\('ab'\), and declare Output=NetDecoder"),
        ([["a"], ["b", "c"], ["a"], ["b"]], r"are lists of labels, such as \['a'\], and no decoder says which there are\."),
        ([1, 2, 3, 1], "'Output'"),
    ],
)
def test_targets_that_ctc_cannot_take(train, targets, message):
    with pytest.raises(NetError, match=message):
        train(SPELLER, (HEARD, targets), LossFunction=CTCLossLayer())


def test_a_negative_weight_maximizes(train):
    net = NetInitialize(LinearLayer([], Input=3))
    data = {"Input": INPUTS}
    up = train(net, data, "RoundLossList", LossFunction=Rule("Output", Scaled(-1)), LearningRate=0.1, MaxTrainingRounds=3)
    assert up[0] > up[1] > up[2]
    assert np.allclose(up[0], -np.mean(net(INPUTS)), rtol=1e-5)


def test_arrays_of_the_loss_net_are_trained_beside_the_nets(train):
    loss = NetChain([LinearLayer(2, Weights=NetArray("mix"))], Input=2)
    results = train(NUMBERS, {"Input": INPUTS}, LossFunction=loss)
    assert set(results("TrainedNet").arrays) == set(NUMBERS.arrays)
    assert ("", "mix") in results("TrainingNet").arrays


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (
            "Outptu",
            PartError,
            "LossFunction names the output port 'Outptu', which this NetChain does not have. Did you mean 'Output'?",
        ),
        (
            Rule("Loss", MeanSquaredLossLayer()),
            PartError,
            "LossFunction names the output port 'Loss', which this NetChain does not have.",
        ),
        (
            None,
            DeclarationError,
            "LossFunction cannot be None. It is Automatic, the name of an output port, a loss layer or net,",
        ),
        ([], DeclarationError, "LossFunction is an empty list: there is nothing to minimize."),
        (
            Rule(MeanSquaredLossLayer(), Scaled("much")),
            DeclarationError,
            "LossFunction: the weight of MeanSquaredLossLayer() is a number",
        ),
        (
            NetGraph({"a": Ramp}, [(NetPort("In"), "a")]),
            DeclarationError,
            'A net used as LossFunction has an input port "Input" and may have "Target". NetGraph has \'In\'.',
        ),
    ],
)
def test_wrong_losses_are_refused(train, loss, error, message):
    with pytest.raises(error) as raised:
        train(NUMBERS, (INPUTS, VECTORS), LossFunction=loss)
    assert str(raised.value).startswith(message)


def test_one_loss_for_two_outputs_is_refused(train):
    with pytest.raises(DeclarationError, match=r"needs a net with one output\. This NetGraph has 'A' and 'B': write Rule\(port"):
        train(two_outputs(), {"Input": INPUTS, "A": VECTORS, "B": CLASSES}, LossFunction=MeanSquaredLossLayer())


@pytest.mark.parametrize(
    ("net", "data", "message"),
    [
        (
            two_outputs(),
            (INPUTS, VECTORS),
            "Data as inputs -> targets need a net with one output. This NetGraph has 'A' and 'B'.",
        ),
        (
            two_outputs(),
            {"Input": INPUTS, "A": VECTORS},
            "The loss of the output port 'B' needs targets: the data have no column 'B'.",
        ),
        (
            NUMBERS,
            {"Input": INPUTS},
            "The loss of the output port 'Output' needs targets: the data have no column 'Output'. Their columns are 'Input'.",
        ),
        (
            NUMBERS,
            {"Input": INPUTS, "Output": VECTORS, "Outptu": VECTORS},
            "The data have the column 'Outptu', which no port of the training net takes. Did you mean 'Output'?",
        ),
        (
            NUMBERS,
            {"Inptu": INPUTS, "Output": VECTORS},
            "The data have no column for the input port 'Input' of the training net.",
        ),
        (
            MeanSquaredLossLayer(),
            (INPUTS, VECTORS),
            "Data as inputs -> targets need a net with one input. This MeanSquaredLossLayer",
        ),
    ],
)
def test_data_that_do_not_fit_the_loss_are_refused(train, net, data, message):
    with pytest.raises(DataError) as raised:
        train(net, data)
    assert str(raised.value).startswith(message)
