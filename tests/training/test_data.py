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
from netdsl.training import capacity, sources

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
    "bfloat16": (jnp.asarray(INPUTS, jnp.bfloat16), np.asarray(jnp.asarray(TARGETS, jnp.bfloat16))),
    "backwards": (INPUTS[::-1].copy()[::-1], np.flip(np.flip(TARGETS, 1).copy(), 1)),
    "memory": (memoryview(INPUTS.astype(np.float32)), memoryview(TARGETS)),
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
    with pytest.raises(DataError, match=r"The port 'Input' takes an integer from 1 to 5\. Got 0 \(at position 1\)"):
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


WHOLE = "The column 'targets' of the training data: The port 'Output' takes an integer from 1 to 2. Got "


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            np.zeros(8, int),
            f"{WHOLE}0 (at position 1), which is out of range. Classes and positions count from 1. "
            'Add 1, or declare labels from 0: NetDecoder("Class", range(2)).',
        ),
        (
            np.arange(1, 9),
            "Example 3 of the training data: The port 'Output' takes an integer from 1 to 2. Got 3, which is out of range. "
            "Classes and positions count from 1.",
        ),
        (np.full(8, -3), f"{WHOLE}-3 (at position 1), which is out of range. Classes and positions count from 1."),
        (np.full(8, 1.5), f"{WHOLE}1.5 (at position 1), which is not an integer."),
    ],
)
def test_classes_out_of_range(train, targets, message):
    with pytest.raises(DataError) as raised:
        train(NetChain([2, SoftmaxLayer()]), (INPUTS, targets))
    assert str(raised.value) == message


CLASSES = np.arange(8) % 2 + 1
NAMES = np.array(["cat", "dog"])[CLASSES - 1].tolist()
INDEX = "The port 'Output' takes an integer from 1 to 2. Got "
RANGE = ", which is out of range. Classes and positions count from 1."
LABELS = " Its 2 classes are 'cat' and 'dog'."

WRONG_LABELS = {
    "outside": (3, f"{INDEX}3{RANGE}", f'NetEncoder("Class") has no class 3.{LABELS}'),
    "zero": (0, f"{INDEX}0{RANGE}", f'NetEncoder("Class") has no class 0.{LABELS}'),
    "negative": (-1, f"{INDEX}-1{RANGE}", f'NetEncoder("Class") has no class -1.{LABELS}'),
    "fraction": (2.5, f"{INDEX}2.5, which is not an integer.", f'NetEncoder("Class") has no class 2.5.{LABELS}'),
    "string": ("bird", f"{INDEX}['bird'], which is not numbers.", f"NetEncoder(\"Class\") has no class 'bird'.{LABELS}"),
    "None": (None, f"{INDEX}[None], which is not numbers.", f'NetEncoder("Class") has no class None.{LABELS}'),
    "nan": (np.nan, f"{INDEX}nan, which is not an integer.", f'NetEncoder("Class") has no class nan.{LABELS}'),
    "list": ([1], "", 'NetEncoder("Class") has no class [1].'),
}


class Source:
    """A random-access source of pairs."""

    def __init__(self, inputs, targets):
        self.rows = list(zip(inputs, targets))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        return self.rows[place]


@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
@pytest.mark.parametrize("label", WRONG_LABELS)
def test_a_wrong_label_is_named_by_its_example_in_all_data(train, monkeypatch, label, streamed):
    wrong, as_index, as_name = WRONG_LABELS[label]
    if streamed:
        monkeypatch.setattr(capacity, "SMALL", 0)
        monkeypatch.setattr(capacity, "SHARE", 0.0)
    named = NetChain([2, SoftmaxLayer()], Output=NetDecoder("Class", ["cat", "dog"]))
    for net, good, message in ((NetChain([2, SoftmaxLayer()]), CLASSES.tolist(), as_index), (named, NAMES, as_name)):
        bad = [*good[:6], wrong, good[7]]
        forms = (INPUTS, bad), [Rule(x, y) for x, y in zip(INPUTS, bad)], {"Input": INPUTS, "Output": bad}, Source(INPUTS, bad)
        for data in forms:
            with pytest.raises(DataError) as raised:
                train(net, data)
            assert str(raised.value).startswith(f"Example 7 of the training data: {message}")
        with pytest.raises(DataError) as raised:
            train(net, (INPUTS, good), ValidationSet=(INPUTS, bad))
        assert str(raised.value).startswith(f"Example 7 of the validation data: {message}")


def test_classes_may_be_whole_floats_and_true_is_one_among_them(train):
    expected = train(NetInitialize(NetChain([2, SoftmaxLayer()], Input=3)), (INPUTS, CLASSES))
    for same in (CLASSES.astype(float), [*CLASSES[:2].tolist(), True, *CLASSES[3:].tolist()], CLASSES.astype(">u2")):
        trained = train(NetInitialize(NetChain([2, SoftmaxLayer()], Input=3)), (INPUTS, same))
        assert digest(trained("TrainedNet")) == digest(expected("TrainedNet"))


class NAType:
    """What pandas has where a value is missing: it is not even equal to itself, nor unequal."""

    def __ne__(self, other):
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = object.__hash__

    def __repr__(self):
        return "<NA>"


@pytest.mark.parametrize("missing", [None, np.nan, NAType(), [1]], ids=str)
def test_a_missing_label_is_no_class(train, missing):
    with pytest.raises(DataError) as raised:
        train(NetChain([3, SoftmaxLayer()]), (INPUTS, [*NAMES[:6], missing, "dog"]))
    assert str(raised.value).startswith(
        f"Example 7 of the data has the target {missing!r} for the port 'Output', which is no label."
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            np.ma.masked_array(INPUTS, INPUTS > 3),
            "The column 'inputs' of the training data: The port 'Input' got a masked array. Fill it first: values.filled(0).",
        ),
        (
            INPUTS.astype(complex),
            "The column 'inputs' of the training data: The port 'Input' takes a vector of size 3. Got array(",
        ),
        (
            INPUTS.astype("M8[D]"),
            "The column 'inputs' of the training data: The port 'Input' takes a vector of size 3. Got array([['1970-",
        ),
        (
            INPUTS.astype(object) + 0.5,
            "The column 'inputs' of the training data: The port 'Input' takes a vector of size 3. Got an array of Python objects, "
            "array([[",
        ),
        (
            [*INPUTS.tolist()[:-1], [1, 2]],
            "Example 8 of the training data: The port 'Input' takes a vector of size 3. Got a vector of size 2.",
        ),
        (
            [*INPUTS.tolist()[:4], [1, None, 2], *INPUTS.tolist()[5:]],
            "Example 5 of the training data: The port 'Input' takes a vector of size 3. Got [[1, None, 2]], which is not numbers. ",
        ),
    ],
    ids=["masked", "complex", "times", "objects", "ragged", "None"],
)
def test_arrays_of_other_things(train, inputs, message):
    for options, what in (({}, "training"), ({"ValidationSet": (inputs, TARGETS)}, "validation")):
        with pytest.raises(DataError) as raised:
            train(NET, (INPUTS if options else inputs, TARGETS), **options)
        assert str(raised.value).startswith(message.replace("training", what))


def test_labels_that_a_declared_decoder_does_not_know(train):
    net = NetChain([2, SoftmaxLayer()], Output=NetDecoder("Class", ["cat", "dog"]))
    with pytest.raises(
        DataError,
        match=r"^Example 2 of the training data: NetEncoder\(\"Class\"\) has no class 'bird'\. Its 2 classes are 'cat' and 'dog'\.",
    ):
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


@pytest.mark.parametrize(
    "data",
    [
        [],
        ([], []),
        Rule(np.zeros([0, 3]), np.zeros([0, 2])),
        {"Input": [], "Output": []},
        {},
        [{}],
        Examples(INPUTS[:0], TARGETS[:0]),
        Source([], []),
        lambda batch: (INPUTS[:0], TARGETS[:0]),
        [lambda batch: [], {"RoundLength": 8}],
        iter([]),
    ],
    ids=["rules", "pair", "rule", "dict", "no columns", "no ports", "examples", "source", "function", "batches", "iterator"],
)
def test_no_examples(train, data):
    """In the training data and in the validation data."""
    expected = r"^The training data.*(have no examples|are an empty dict|gave no batch)|^Example 1 of the training data is {}"
    with pytest.raises(DataError, match=expected):
        train(NET, data)
    with pytest.raises(DataError, match=expected.replace("training", "validation")):
        train(NET, (INPUTS, TARGETS), ValidationSet=data)


def test_one_class(train):
    """It is no error, and nothing that is measured breaks off."""
    results = train(
        NetChain([2, SoftmaxLayer()], Output=NetDecoder("Class", ["cat", "dog"])),
        (INPUTS, ["cat"] * 8),
        ValidationSet=Scaled(0.25),
        TrainingProgressMeasurements=["Accuracy", "F1Score", "CohenKappa", "AreaUnderROCCurve", "ConfusionMatrix"],
    )
    assert np.isfinite(results("BatchLossList")).all()
    assert np.all(np.diff(results("RoundLossList")) < 0)
    assert str(results)
    with pytest.raises(DataError, match=r"^The targets have 1 class \('cat'\), but the port 'Output' gives 2 probabilities\."):
        train(NetChain([2, SoftmaxLayer()]), (INPUTS, ["cat"] * 8))


def test_one_example(train):
    results = train(NET, [Rule([1, 2, 3], [4, 5])], ValidationSet=(INPUTS[:1], TARGETS[:1]))
    assert results(["BatchSize", "BatchesPerRound", "TrainingExamples", "ValidationExamples"]) == [1, 1, 1, 1]
    with pytest.raises(DataError, match=r"of 1 example leaves none to train on\.$"):
        train(NET, (INPUTS[:1], TARGETS[:1]), ValidationSet=Scaled(0.5))
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
