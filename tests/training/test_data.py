"""What may be trained on: forms and element types of data that mean the same, and data that are refused with their place."""

from __future__ import annotations

import hashlib

import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    Column,
    DataError,
    DeclarationError,
    EmbeddingLayer,
    EncodingError,
    Examples,
    LinearLayer,
    NetArrayLayer,
    NetChain,
    NetDecoder,
    NetGraph,
    NetInitialize,
    NetPort,
    Plus,
    Ramp,
    Rule,
    Scaled,
    SoftmaxLayer,
)
from netdsl.training import sources

RANDOM = np.random.default_rng(2)
INPUTS = RANDOM.integers(0, 5, size=(8, 3))
TARGETS = RANDOM.integers(0, 5, size=(8, 2))
NET = NetInitialize(NetChain([3, Ramp, 2], Input=3))


def digest(net):
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in net.arrays.values())).hexdigest()


@pytest.fixture(scope="module")
def reference():
    return []


FORMS = {
    "arrays": (INPUTS, TARGETS),
    "rule of arrays": Rule(INPUTS, TARGETS),
    "rules": [Rule(x, y) for x, y in zip(INPUTS, TARGETS)],
    "pairs": list(zip(INPUTS, TARGETS)),
    "nested lists": (INPUTS.tolist(), TARGETS.tolist()),
    "tuples of lists": Rule(tuple(INPUTS.tolist()), tuple(TARGETS.tolist())),
    "dict": {"Input": INPUTS, "Output": TARGETS},
    "columns": Examples(Column(INPUTS), Column(TARGETS)),
    "float64": (INPUTS.astype(np.float64), TARGETS.astype(np.float64)),
    "float16": (INPUTS.astype(np.float16), TARGETS.astype(np.float16)),
    "uint8": (INPUTS.astype(np.uint8), TARGETS.astype(np.uint8)),
    "big-endian": (INPUTS.astype(">f4"), TARGETS.astype(">i4")),
    "strided": (np.repeat(INPUTS, 2, axis=1)[:, ::2], np.asfortranarray(TARGETS)),
    "jax": (jnp.asarray(INPUTS), jnp.asarray(TARGETS, jnp.float32)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_data_trains_to_the_same_bits(train, reference, form):
    trained = train(NET, FORMS[form], "TrainedNet", BatchSize=3)
    reference.append(digest(trained))
    assert len(set(reference)) == 1
    assert reference[0] != digest(NET)


def test_booleans_count_as_numbers_inside_arrays(train):
    inputs = INPUTS > 2
    assert digest(train(NET, (inputs, TARGETS), "TrainedNet", BatchSize=3)) == digest(
        train(NET, (inputs.astype(float), TARGETS), "TrainedNet", BatchSize=3)
    )


def test_a_name_means_its_training_data_and_for_validation_its_test_data(train, monkeypatch):
    asked = []

    def resource(name, part):
        asked.append((name, part))
        return Examples(Column(INPUTS[:4]), Column(TARGETS[:4]))

    monkeypatch.setattr(sources, "ResourceData", resource)
    results = train(NET, "SomeSet", ValidationSet="OtherSet", BatchSize=3)
    assert asked == [("SomeSet", "TrainingData"), ("OtherSet", "TestData")]
    assert results(["TrainingExamples", "ValidationExamples"]) == [4, 4]


def test_two_inputs_by_port(train):
    net = NetGraph({"sum": Plus, "out": LinearLayer(2)}, [([NetPort("A"), NetPort("B")], "sum"), ("sum", "out")])
    a, b = RANDOM.normal(size=(2, 8, 3))
    trained = train(net, {"A": a, "B": b, "Output": TARGETS}, "TrainedNet", LearningRate=0)
    assert (trained.port_type("A").sizes, trained.port_type("B").sizes) == ((3,), (3,))
    w, bias = trained.arrays["out", "Weights"], trained.arrays["out", "Biases"]
    np.testing.assert_allclose(trained({"A": a, "B": b}), (a + b) @ np.asarray(w).T + np.asarray(bias), rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match=r"need a net with one input\. This NetGraph has 'A' and 'B'\. Give a dict of columns"):
        train(net, (a, TARGETS))


def test_integers_for_an_embedding_stay_integers(train):
    net = NetChain([EmbeddingLayer(2, 5), LinearLayer(2)])
    trained = train(net, (INPUTS[:, 0] + 1, TARGETS), "TrainedNet")
    assert trained(3).shape == (2,)
    with pytest.raises(EncodingError, match=r"The port 'Input' takes an integer from 1 to 5\. Got 0 \(at position 1\)"):
        train(net, (np.zeros(8, int), TARGETS))


def changed(array, place, value):
    array = np.array(array, float)
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            (changed(INPUTS, (4, 1), np.nan), TARGETS),
            "Example 5 of the training data has the value nan in the column 'inputs' (port 'Input'). Only finite numbers can be used: "
            "remove or replace such examples.",
        ),
        (
            (INPUTS, changed(TARGETS, (0, 1), -np.inf)),
            "Example 1 of the training data has the value -inf in the column 'targets' (port 'Output'). Only finite numbers can be "
            "used: "
            "remove or replace such examples.",
        ),
        (
            {"Input": INPUTS, "Output": changed(TARGETS, (7, 0), 1e39)},
            "Example 8 of the training data has the value inf in the column 'Output' (port 'Output'). Only finite numbers can be used: "
            "remove or replace such examples.",
        ),
        (
            (INPUTS[:, :2], TARGETS),
            "The column 'inputs' of the training data has a vector of size 2 for each example, but the port 'Input' takes a vector of "
            "size 3. Change the data or the net.",
        ),
        (
            (INPUTS, TARGETS[:, 0]),
            "The column 'targets' of the training data has a real number for each example, but the port 'Output' takes a vector of "
            "size 2. Change the data or the net.",
        ),
        (
            (INPUTS, list("abcabcab")),
            "The column 'targets' of the training data begins with 'a', but the port 'Output' takes a vector of size 2. Labels are "
            "targets of a net that ends with a SoftmaxLayer; a NetEncoder on the port turns other things into numbers.",
        ),
        (
            (INPUTS, TARGETS[:, :1]),
            "The column 'targets' of the training data has a vector of size 1 for each example, but the port 'Output' takes a vector of "
            "size 2. Change the data or the net.",
        ),
        (
            (INPUTS, TARGETS[:, :, None]),
            "The column 'targets' of the training data has a matrix of size 2x1 for each example, but the port 'Output' takes a vector "
            "of "
            "size 2. np.reshape(values, [8, 2]) would fit.",
        ),
        (
            (INPUTS[:, :, None], TARGETS),
            "The column 'inputs' of the training data has a matrix of size 3x1 for each example, but the port 'Input' takes a vector of "
            "size 3. np.reshape(values, [8, 3]) would fit.",
        ),
    ],
    ids=["nan", "inf", "overflow", "input size", "numbers", "labels", "target size", "target rank", "input rank"],
)
def test_data_that_cannot_be_used(train, data, message):
    with pytest.raises(DataError) as raised:
        train(NET, data)
    assert str(raised.value) == message


def test_validation_data_are_checked_and_named(train):
    with pytest.raises(DataError, match=r"^Example 2 of the validation data has the value nan in the column 'inputs'"):
        train(NET, (INPUTS, TARGETS), ValidationSet=(changed(INPUTS, (1, 0), np.nan), TARGETS))
    with pytest.raises(DataError, match=r"^The columns of the validation data have different lengths: inputs 8, targets 7\."):
        train(NET, (INPUTS, TARGETS), ValidationSet=Rule(INPUTS, TARGETS[:7]))


@pytest.mark.parametrize("shape", [(8, 1), (8,)])
@pytest.mark.parametrize("last", [LinearLayer([]), LinearLayer(1)], ids=["number", "vector"])
def test_a_column_of_numbers_and_a_column_of_vectors_are_never_broadcast(train, shape, last):
    targets = np.arange(8.0).reshape(shape)
    number = last.OutputDimensions == ()
    if number and shape == (8, 1):
        with pytest.raises(DataError) as raised:
            train(NetChain([last]), (INPUTS, targets))
        assert str(raised.value) == (
            "The column 'targets' of the training data has a vector of size 1 for each example, but "
            "the port "
            "'Output' takes a real number. np.reshape(values, [8]) would fit."
        )
        return
    results = train(NetInitialize(NetChain([last], Input=3)), (INPUTS, targets), LearningRate=0)
    values = np.asarray(results("TrainedNet")(INPUTS, None)).reshape(8)
    np.testing.assert_allclose(results("RoundLoss"), np.mean((values - np.arange(8)) ** 2), rtol=1e-5)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            np.zeros(8, int),
            "The port 'Output' takes an integer from 1 to 2. Got 0 (at position 1), which is out of range. "
            "Classes and positions count from 1.",
        ),
        (
            np.arange(1, 9),
            "The port 'Output' takes an integer from 1 to 2. Got 8 (at position 8), which is out of range. "
            "Classes and positions count from 1.",
        ),
        (np.full(8, -3), "The port 'Output' takes an integer from 1 to 2. Got -3 (at position 1), which is out of range."),
        (np.full(8, 1.5), "The port 'Output' takes an integer from 1 to 2. Got 1.5 (at position 1), which is not an integer"),
    ],
)
def test_classes_out_of_range(train, targets, message):
    with pytest.raises(EncodingError) as raised:
        train(NetChain([2, SoftmaxLayer()]), (INPUTS, targets))
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.ma.masked_array(INPUTS, INPUTS > 3), "The port 'Input' got a masked array. Fill it first: values.filled(0)."),
        (INPUTS.astype(complex), "The port 'Input' takes a vector of size 3. Got array("),
        (INPUTS.astype(object) + 0.5, "The port 'Input' takes a vector of size 3. Got array("),
        (
            [*INPUTS.tolist()[:-1], [1, 2]],
            "The port 'Input' takes a vector of size 3. Got a list whose elements have different sizes: ",
        ),
    ],
    ids=["masked", "complex", "objects", "ragged"],
)
def test_arrays_of_other_things(train, inputs, message):
    with pytest.raises(EncodingError) as raised:
        train(NET, (inputs, TARGETS))
    assert str(raised.value).startswith(message)


def test_labels_that_a_declared_decoder_does_not_know(train):
    net = NetChain([2, SoftmaxLayer()], Output=NetDecoder("Class", ["cat", "dog"]))
    with pytest.raises(EncodingError, match=r"has no class 'bird' at position 2\. Its 2 classes are 'cat' and 'dog'\."):
        train(net, (INPUTS, ["cat", "bird"] * 4))


def test_as_many_probabilities_as_labels(train):
    with pytest.raises(DataError) as raised:
        train(NetChain([2, SoftmaxLayer()]), (INPUTS, list("abcabcab")))
    assert str(raised.value) == (
        "The targets have 3 classes ('a', 'b' and 'c'), but the port 'Output' gives 2 probabilities. "
        "Change the "
        'net\'s last size to 3, or declare Output=NetDecoder("Class", [...]) with all 2.'
    )


def test_labels_that_only_the_held_out_examples_have_are_classes_too(train):
    labels = ["rare", *["a", "b"] * 10]
    inputs = np.zeros([21, 2])
    for seed in range(3):
        trained = train(
            NetChain([3, SoftmaxLayer()]), (inputs, labels), "TrainedNet", ValidationSet=Scaled(0.3), RandomSeeding=seed
        )
        assert trained.decoder("Output").Labels == ("a", "b", "rare")


def test_one_example(train):
    results = train(NET, [Rule([1, 2, 3], [4, 5])])
    assert results(["BatchSize", "BatchesPerRound", "TrainingExamples"]) == [1, 1, 1]
    assert np.all(np.diff(results("RoundLossList")) < 0)


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        (NetChain([Ramp], Input=3), {}, "This net has no array to train: it has no arrays."),
        (NET, {"LearningRateMultipliers": None}, "This net has no array to train: all its LearningRateMultipliers are 0."),
        (NetGraph({"c": NetArrayLayer(Array=[[1.0, 2.0]])}, []), {}, "This NetGraph has no input port, so data with inputs"),
    ],
)
def test_nets_without_anything_to_train(train, net, options, message):
    with pytest.raises((DeclarationError, DataError)) as raised:
        train(net, (INPUTS, INPUTS if net is not NET else TARGETS), **options)
    assert str(raised.value).startswith(message)


def test_what_is_no_net(train):
    with pytest.raises(DeclarationError) as raised:
        train("LeNet", (INPUTS, TARGETS))
    assert str(raised.value) == "NetTrain takes a net first. Got 'LeNet'. NetModel(name) gives nets by name."
