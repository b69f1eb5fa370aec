"""The Class encoder: labels of every kind to positions and vectors, fast and strict."""

from __future__ import annotations

import time

import jax
import numpy as np
import pytest

from netdsl.encoders import NetEncoder
from netdsl.errors import DeclarationError, EncodingError
from netdsl.shapes import ArrayType, Elements, array_of
from netdsl.symbols import Symbol

PETS = ["cat", "dog", "eel"]


class Labels:
    """Stands for a column of classes: codes counted from 0, and what they stand for."""

    kind = "class"

    def __init__(self, codes, labels) -> None:
        self.codes, self.labels = np.asarray(codes), tuple(labels)

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self):
        return (self.labels[code] for code in self.codes)


def test_types():
    assert NetEncoder("Class", PETS).type() == ArrayType((), Elements("integer", 1, 3))
    assert NetEncoder("Class", PETS, "IndicatorVector").type() == array_of(3)
    assert NetEncoder("Class", PETS, Multilabel=True).type() == array_of(3)
    assert NetEncoder("Class", PETS, Dimensions=[2, 4]).type() == ArrayType((2, 4), Elements("integer", 1, 3))
    assert NetEncoder("Class", PETS, "UnitVector", Dimensions=5).type() == array_of(5, 3)
    assert NetEncoder("Class", PETS, Dimensions=["Varying"]).type().varying


@pytest.mark.parametrize(
    "labels",
    [
        PETS,
        range(10),
        [True, False],
        [0.5, 1.5],
        [("a", 1), ("b", 2)],
        ["a", 1, None, 2.5],
        [Symbol("a"), "a"],
        [-5, 2**70, 3],
        [frozenset({1}), frozenset({1, 2})],
        ["only"],
        ["", " ", "é"],
    ],
)
def test_positions_count_from_one(labels):
    encoder = NetEncoder("Class", labels)
    labels = list(labels)
    assert [int(encoder(label)) for label in labels] == list(range(1, len(labels) + 1))
    assert encoder(labels[::-1]).tolist() == list(range(len(labels), 0, -1))
    assert encoder(labels).dtype == np.int32
    vectors = NetEncoder("Class", labels, "IndicatorVector")
    assert (vectors(labels) == np.eye(len(labels))).all()
    assert vectors(labels[0]).dtype == np.float32


def test_numpy_and_jax_labels_equal_pythons():
    digits = NetEncoder("Class", range(10))
    for dtype in (np.int8, np.uint8, np.int32, np.int64, np.uint64):
        assert digits(np.array([9, 0], dtype)).tolist() == [10, 1]
        assert int(digits(dtype(3))) == 4
    assert int(digits(np.array(3))) == 4
    assert digits(jax.numpy.array([9, 0])).tolist() == [10, 1]
    pets = NetEncoder("Class", np.array(PETS))
    assert pets.Labels == tuple(PETS)
    assert pets(np.array(["eel", "cat"])).tolist() == [3, 1]
    assert pets(np.array(["eel", "cat"], object)).tolist() == [3, 1]
    assert int(pets(np.str_("dog"))) == 2
    assert NetEncoder("Class", [False, True])(np.array([True, False])).tolist() == [2, 1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, "U4", object, bool, float])
def test_arrays_agree_with_lists(dtype):
    values = np.random.default_rng(1).integers(0, 2, 50).astype(dtype)
    labels = list(dict.fromkeys(values[::-1].tolist()))
    encoder = NetEncoder("Class", labels)
    assert encoder(values).tolist() == encoder(values.tolist()).tolist() == [labels.index(value) + 1 for value in values.tolist()]


def test_columns_of_classes():
    column = Labels([2, 0, 1, 1], ["eel", "cat", "dog"])
    assert NetEncoder("Class", PETS)(column).tolist() == [2, 3, 1, 1]
    more = Labels([0, 0], ["cat", "cow"])
    assert NetEncoder("Class", PETS)(more).tolist() == [1, 1]


def test_big_data_are_quick():
    codes = np.random.default_rng(0).integers(0, 10, 60000)
    encoder = NetEncoder("Class", range(10))
    encoder.encode_many([1])
    for things, limit in [(Labels(codes, range(10)), 0.5), (codes, 0.5), (codes.tolist(), 5)]:
        start = time.perf_counter()
        compact = encoder.encode_many(things)
        assert time.perf_counter() - start < limit
        assert compact.dtype == np.uint8
        assert (compact == codes + 1).all()
    assert NetEncoder("Class", range(300)).encode(299).dtype == np.uint16


def test_arrays_of_labels():
    encoder = NetEncoder("Class", PETS, Dimensions=[2])
    assert encoder.takes(["cat", "dog"])
    assert not encoder.takes([["cat", "dog"]])
    assert encoder(["cat", "eel"]).tolist() == [1, 3]
    assert encoder([["cat", "eel"], ["dog", "dog"]]).tolist() == [[1, 3], [2, 2]]
    assert encoder(np.array([["cat", "eel"]])).tolist() == [[1, 3]]
    varying = NetEncoder("Class", PETS, Dimensions=["Varying"])
    assert [row.tolist() for row in varying([["cat"], ["eel", "dog"]])] == [[1], [3, 2]]


def test_multilabel():
    encoder = NetEncoder("Class", PETS, Multilabel=True)
    assert encoder(["eel", "cat"]).tolist() == [1, 0, 1]
    assert encoder([]).tolist() == [0, 0, 0]
    assert encoder({"dog"}).tolist() == [0, 1, 0]
    assert encoder([["dog"], [], PETS]).tolist() == [[0, 1, 0], [0, 0, 0], [1, 1, 1]]
    assert encoder([["dog"]]).dtype == np.float32
    twice = NetEncoder("Class", PETS, Multilabel=True, Dimensions=2)
    assert twice([["dog"], ["cat", "eel"]]).tolist() == [[0, 1, 0], [1, 0, 1]]


def test_one_or_many_with_compound_labels():
    encoder = NetEncoder("Class", [("a", 1), ("b", 2)])
    assert encoder.takes(("a", 1))
    assert not encoder.takes([("a", 1)])
    assert not encoder.takes((("a", 1), ("b", 2)))
    assert encoder([("b", 2)]).tolist() == [2]


@pytest.mark.parametrize(
    ("labels", "things", "message"),
    [
        (PETS, "dgo", "has no class 'dgo'. Did you mean 'dog'?"),
        (PETS, "whale", "has no class 'whale'. Its 3 classes are 'cat', 'dog' and 'eel'."),
        (PETS, ["cat", "dog", "dgo"], "has no class 'dgo' at position 3. Did you mean 'dog'?"),
        (PETS, np.array(["cat", "dgo"]), "has no class 'dgo' at position 2. Did you mean 'dog'?"),
        (PETS, Labels([0, 1, 0], ["cat", "cow"]), "has no class 'cow' at position 2. Its 3 classes are 'cat', 'dog' and 'eel'."),
        (PETS, 1, "has no class 1. Its 3 classes are 'cat', 'dog' and 'eel'."),
        (PETS, {}, "has no class {}. Its 3 classes are 'cat', 'dog' and 'eel'."),
        (range(10), 10, "has no class 10. Its 10 classes are 0, 1, 2, 3, 4, 5, 6, 7, 8 and 9."),
        (range(10), np.array([3, -1]), "has no class -1 at position 2. Its 10 classes are 0, 1, 2, 3, 4, 5, 6, 7, 8 and 9."),
        (range(100), 100, "has no class 100. Its 100 classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 88 more."),
        (range(3), True, "has no class True. Its class 1 is another kind of label: give 1 itself."),
        (range(3), [0, True], "has no class True at position 2. Its class 1 is another kind of label: give 1 itself."),
        (range(3), np.array([0.0, 2.0]), "has no class 0.0 at position 1. Its class 0 is another kind of label: give 0 itself."),
        (
            [False, True],
            np.array([0]),
            "has no class 0 at position 1. Its class False is another kind of label: give False itself.",
        ),
        (PETS, [["cat"]], "has no class ['cat'] at position 1. Its 3 classes are 'cat', 'dog' and 'eel'."),
        (["only"], "x", "has no class 'x'. Its 1 class is 'only'."),
        (PETS, np.array([["cat", "dog"]]), "takes single labels. Got sizes [2]."),
    ],
)
def test_unknown_labels(labels, things, message):
    with pytest.raises(EncodingError) as caught:
        NetEncoder("Class", labels)(things)
    assert str(caught.value) == f'NetEncoder("Class") {message}'


@pytest.mark.parametrize(
    ("options", "things", "message"),
    [
        ({"Dimensions": [2]}, ["cat"], "takes arrays of labels of the sizes [2]. Got sizes [1]."),
        (
            {"Dimensions": [2]},
            [["cat", "dog"], ["cat"]],
            "needs lists of labels of equal lengths. Got [['cat', 'dog'], ['cat']].",
        ),
        (
            {"Dimensions": [2]},
            [["cat", "dog"], ["cat", "cow"]],
            "has no class 'cow' at position [2, 2]. Its 3 classes are 'cat', 'dog' and 'eel'.",
        ),
        ({"Dimensions": [2]}, "cat", "needs a list of labels. Got 'cat'."),
        ({"Dimensions": ["Varying"]}, [["cat"], []], "takes sequences of at least one label. Got an empty one at position 2."),
        ({"Multilabel": True}, "cat", "with Multilabel takes lists of labels. Got 'cat'."),
        ({"Multilabel": True}, [["cat"], ["cow"]], "has no class 'cow' at position 2. Its 3 classes are 'cat', 'dog' and 'eel'."),
    ],
)
def test_wrong_shapes(options, things, message):
    with pytest.raises(EncodingError) as caught:
        NetEncoder("Class", PETS, **options)(things)
    assert str(caught.value) == f'NetEncoder("Class") {message}'


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], 'NetEncoder("Class") needs at least one label. Got none.'),
        (["a", "b", "a"], "The labels of NetEncoder(\"Class\") must differ. 'a' equals an earlier one."),
        ([1, True], 'The labels of NetEncoder("Class") must differ. True equals an earlier one.'),
        (
            "abc",
            'The Labels parameter of NetEncoder("Class") must be a list of labels, such as range(10) or ["cat", "dog"]. '
            "Got 'abc' instead.",
        ),
        (
            [{}],
            'The Labels parameter of NetEncoder("Class") must be a list of labels, such as range(10) or ["cat", "dog"]. '
            "Got [{}] instead.",
        ),
        (
            [float("nan")],
            'The Labels parameter of NetEncoder("Class") must be a list of labels, such as range(10) or ["cat", "dog"]. '
            "Got [nan] instead.",
        ),
    ],
)
def test_wrong_labels(labels, message):
    with pytest.raises(DeclarationError) as caught:
        NetEncoder("Class", labels)
    assert str(caught.value) == message


def test_labels_are_never_taken_for_encoded_ones():
    encoder = NetEncoder("Class", range(3), "IndicatorVector")
    assert encoder.numeric
    assert encoder.encoded_levels(encoder(1)) is None
