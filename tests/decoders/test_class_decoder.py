"""The Class decoder against arithmetic by hand and SciPy."""

from __future__ import annotations

import math
import time
from collections import Counter

import numpy as np
import pytest
from scipy.stats import entropy

from netdsl.decoders import NetDecoder
from netdsl.decoders.classes import LIKELY
from netdsl.errors import DeclarationError, EncodingError, PartError
from netdsl.shapes import REAL, ArrayType, array_of
from netdsl.symbols import Automatic, Rule

PETS = NetDecoder("Class", ["cat", "dog", "eel"])
P = np.array([0.2, 0.5, 0.3], np.float32)
EXACT = np.array([0.25, 0.5, 0.25], np.float32)


def test_types():
    assert PETS.type() == array_of(3)
    assert NetDecoder("Class").type() == array_of(None)
    assert NetDecoder("Class", range(10), InputDepth=3).type() == ArrayType((None, None, 10), REAL)


def test_every_property():
    assert PETS(EXACT) == PETS(EXACT, None) == PETS(EXACT, "Decision") == "dog"
    assert PETS(P, ["TopDecisions", 2]) == ["dog", "eel"]
    assert PETS(EXACT, ["TopProbabilities", 2]) == [Rule("dog", 0.5), Rule("cat", 0.25)]
    assert PETS(EXACT, "TopProbabilities") == [Rule("dog", 0.5), Rule("cat", 0.25), Rule("eel", 0.25)]
    assert PETS(EXACT, "Probabilities") == {"cat": 0.25, "dog": 0.5, "eel": 0.25}
    assert PETS(EXACT, ["Probability", "eel"]) == 0.25
    assert PETS(EXACT, "Entropy") == pytest.approx(1.5 * math.log(2), abs=1e-15)
    assert PETS(EXACT, "RandomSample") in PETS.Labels
    assert PETS(EXACT, "Properties") == list(PETS.properties)


@pytest.mark.parametrize("name", ["TopDecisions", "TopProbabilities"])
def test_both_spellings(name):
    assert PETS(P, [name, 2]) == PETS(P, (name, 2)) == PETS(P, Rule(name, 2)) == PETS(P, Rule(name, np.int64(2)))


def test_results_are_plain():
    probabilities = NetDecoder("Class", np.arange(3))(EXACT, "Probabilities")
    assert [type(key) for key in probabilities] == [int] * 3
    assert [type(value) for value in probabilities.values()] == [float] * 3
    assert type(NetDecoder("Class")(EXACT)) is int


def test_likely_classes():
    vector = np.array([0.9, LIKELY, LIKELY / 2, 0.05 - LIKELY / 2])
    assert [rule.key for rule in NetDecoder("Class")(vector, "TopProbabilities")] == [1, 2]
    flat = np.full(100, 0.01)
    assert NetDecoder("Class")(flat, "TopProbabilities") == [Rule(1, 0.01)]


def test_open_labels_count_from_one():
    decoder = NetDecoder("Class")
    assert decoder.Labels is Automatic
    assert decoder([0.1, 0.9]) == 2
    assert decoder([0.25, 0.75], "Probabilities") == {1: 0.25, 2: 0.75}
    assert decoder([0.25, 0.75], ["Probability", 2]) == 0.75


def test_the_first_of_equals_wins():
    assert PETS([0.4, 0.4, 0.2]) == "cat"
    assert PETS([0.4, 0.2, 0.4], ["TopDecisions", 3]) == ["cat", "eel", "dog"]


def test_entropy_is_scipys():
    vectors = np.random.default_rng(0).dirichlet(np.ones(7), 50)
    assert NetDecoder("Class")(vectors, "Entropy") == pytest.approx(entropy(vectors, axis=1).tolist(), rel=1e-12)
    certain = NetDecoder("Class")([0, 1.0, 0], "Entropy")
    assert certain == 0
    assert math.copysign(1, certain) == 1


def test_multilabel():
    decoder = NetDecoder("Class", ["a", "b", "c"], Multilabel=True)
    values = [0.75, 0.5, 0.875]
    assert decoder(values) == ["a", "c"]
    assert decoder([0.1, 0.1, 0.1]) == []
    assert decoder(values, ["TopDecisions", 1]) == ["c"]
    assert decoder(values, "Probabilities") == {"a": 0.75, "b": 0.5, "c": 0.875}
    by_hand = sum(-p * math.log(p) - (1 - p) * math.log(1 - p) for p in values)
    assert decoder(values, "Entropy") == pytest.approx(by_hand, rel=1e-12)
    draws = decoder(np.tile(values, (20000, 1)), "RandomSample")
    counts = Counter(label for draw in draws for label in draw)
    assert [counts[label] / 20000 for label in "abc"] == pytest.approx(values, abs=0.02)


def test_arrays_of_vectors():
    decoder = NetDecoder("Class", ["a", "b"], InputDepth=2)
    array = np.array([[0.9, 0.1], [0.25, 0.75], [0.8, 0.2]])
    assert decoder(array) == ["a", "b", "a"]
    assert decoder(array[None]) == [["a", "b", "a"]]
    assert decoder(array, ["Probability", "b"])[1] == 0.75
    deep = decoder.changed(InputDepth=3)
    assert deep(array[None]) == [["a", "b", "a"]]
    assert deep.decode_many([array[None], array[None, :1]]) == [[["a", "b", "a"]], [["a"]]]
    assert decoder.decode_many([array, array[:1]]) == [["a", "b", "a"], ["a"]]
    assert decoder.decode_many(np.zeros((0, 3, 2))) == []


def test_many_are_the_ones():
    vectors = np.random.default_rng(3).dirichlet(np.ones(5), 40).astype(np.float32)
    decoder = NetDecoder("Class", list("abcde"))
    for property in [
        "Decision",
        ["TopDecisions", 2],
        "TopProbabilities",
        ["TopProbabilities", 3],
        "Probabilities",
        ["Probability", "c"],
        "Entropy",
    ]:
        assert decoder(vectors, property) == [decoder(vector, property) for vector in vectors]
        assert decoder(vectors, property) == decoder.decode_many(list(vectors), property)


def test_ten_thousand_are_quick():
    vectors = np.random.default_rng(3).dirichlet(np.ones(10), 10000).astype(np.float32)
    decoder = NetDecoder("Class", range(10))
    for property in ["Decision", ["TopDecisions", 3], "TopProbabilities", "Probabilities", "Entropy", "RandomSample"]:
        start = time.perf_counter()
        assert len(decoder(vectors, property)) == 10000
        assert time.perf_counter() - start < 5


def frequencies(property, vector=P, seed=5):
    draws = PETS(np.tile(vector, (40000, 1)), property, RandomSeeding=seed)
    return [draws.count(label) / len(draws) for label in PETS.Labels]


def test_random_samples_follow_the_probabilities():
    p = P.astype(float)
    assert frequencies("RandomSample") == pytest.approx(p, abs=0.01)
    warm = p**0.5 / (p**0.5).sum()
    assert frequencies(["RandomSample", 2]) == pytest.approx(warm, abs=0.01)
    assert frequencies(Rule("RandomSample", {"Temperature": 2})) == pytest.approx(warm, abs=0.01)
    assert frequencies(["RandomSample", math.inf]) == pytest.approx([1 / 3] * 3, abs=0.01)
    assert frequencies(["RandomSample", 0]) == [0, 1, 0]
    assert frequencies(["RandomSample", 1e-9]) == [0, 1, 0]
    assert frequencies(["RandomSample", {"TopProbabilities": 2}]) == pytest.approx([0, 0.625, 0.375], abs=0.01)
    assert frequencies(["RandomSample", {"TopProbabilities": 1}]) == [0, 1, 0]
    assert frequencies(["RandomSample", {"TotalProbabilityCutoff": 0.7}]) == pytest.approx([0, 0.625, 0.375], abs=0.01)
    assert frequencies(["RandomSample", {"TotalProbabilityCutoff": 0.4}]) == [0, 1, 0]
    assert frequencies(["RandomSample", {"TotalProbabilityCutoff": 1}]) == pytest.approx(p, abs=0.01)
    assert frequencies("RandomSample", [0, 1, 0]) == [0, 1, 0]
    assert frequencies(["RandomSample", math.inf], [0, 0.5, 0.5]) == pytest.approx([0, 0.5, 0.5], abs=0.01)


def test_random_samples_are_reproducible():
    vectors = np.tile(P, (500, 1))
    draws = PETS(vectors, "RandomSample")
    assert draws == PETS(vectors, "RandomSample")
    assert draws[:100] == PETS(vectors[:100], "RandomSample")
    assert draws[0] == PETS(P, "RandomSample")
    assert draws != PETS(vectors, "RandomSample", RandomSeeding=7)
    assert PETS(vectors, "RandomSample", RandomSeeding=Automatic) != PETS(vectors, "RandomSample", RandomSeeding=Automatic)
    source = np.random.default_rng(1234)
    assert [PETS(P, "RandomSample", RandomSeeding=source) for _ in range(500)] == draws
    state = np.random.get_state()[1].tolist()
    PETS(vectors, "RandomSample", RandomSeeding=Automatic)
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize(
    ("property", "message"),
    [
        (
            "Probabilites",
            "has no property 'Probabilites'. Did you mean 'Probabilities'? Its properties are Decision, TopDecisions, "
            "TopProbabilities, Probabilities, Probability, Entropy and RandomSample.",
        ),
        (
            3,
            "has no property 3. There are 'Decision', 'TopDecisions', 'TopProbabilities', 'Probabilities', 'Probability', "
            "'Entropy' and "
            "'RandomSample'. Its properties are Decision, TopDecisions, TopProbabilities, Probabilities, Probability, "
            "Entropy and RandomSample.",
        ),
    ],
)
def test_unknown_properties(property, message):
    with pytest.raises(PartError) as caught:
        PETS(P, property)
    assert str(caught.value) == f'NetDecoder("Class") {message}'


@pytest.mark.parametrize(
    ("property", "message"),
    [
        (
            "TopDecisions",
            'The property "TopDecisions" of NetDecoder("Class") needs a number of classes: ["TopDecisions", 3]. Got none.',
        ),
        (
            ["TopDecisions", 0],
            'The property "TopDecisions" of NetDecoder("Class") needs a number of classes: ["TopDecisions", 3]. Got 0.',
        ),
        (
            ["TopProbabilities", "all"],
            'The property "TopProbabilities" of NetDecoder("Class") needs a number of classes: ["TopProbabilities", 3]. Got \'all\'.',
        ),
        (["TopProbabilities", 4], '["TopProbabilities", 4] asks NetDecoder("Class") for more classes than the 3 it has.'),
        (["Entropy", 2], 'The property "Entropy" of NetDecoder("Class") takes no argument. Got 2.'),
        (["Probability", "cot"], "[\"Probability\", 'cot']: NetDecoder(\"Class\") has no such class. Did you mean 'cat'?"),
        (
            ["Probability", 1],
            "[\"Probability\", 1]: NetDecoder(\"Class\") has no such class. Its 3 classes are 'cat', 'dog' and 'eel'.",
        ),
        (
            "Probability",
            "[\"Probability\", None]: NetDecoder(\"Class\") has no such class. Its 3 classes are 'cat', 'dog' and 'eel'.",
        ),
        (["RandomSample", -1], 'The Temperature of "RandomSample" must be a number of at least 0. Got -1.'),
        (["RandomSample", "hot"], "The Temperature of \"RandomSample\" must be a number of at least 0. Got 'hot'."),
        (
            ["RandomSample", {"Temperatur": 1}],
            "\"RandomSample\" of NetDecoder(\"Class\") has no option 'Temperatur'. Did you mean 'Temperature'?",
        ),
        (["RandomSample", {"TopProbabilities": 0}], 'The TopProbabilities of "RandomSample" must be a positive integer. Got 0.'),
        (
            ["RandomSample", {"TotalProbabilityCutoff": 2}],
            'The TotalProbabilityCutoff of "RandomSample" must be a number above 0 and at most 1. Got 2.',
        ),
    ],
)
def test_wrong_arguments(property, message):
    with pytest.raises(PartError) as caught:
        PETS(P, property)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([0.5, 0.5], 'NetDecoder("Class") takes vectors of 3 probabilities. Got an array of sizes [2].'),
        (np.zeros((2, 2, 3)), 'NetDecoder("Class") takes vectors of 3 probabilities. Got an array of sizes [2, 2, 3].'),
        ([], 'NetDecoder("Class") takes vectors of 3 probabilities. Got an array of sizes [0].'),
        (["a", "b", "c"], "NetDecoder(\"Class\") takes arrays of numbers. Got array([['a', 'b', 'c']], dtype='<U1')."),
        ([[1, 2], [3]], 'NetDecoder("Class") takes arrays of numbers. Got [[1, 2], [3]].'),
        ([0.5, np.nan, 0.5], 'NetDecoder("Class") got NaN, so there is no decision. The property None gives the raw array.'),
        (
            [[1, 0, 0], [0.5, np.nan, 0.5]],
            'NetDecoder("Class") got NaN for example 2 of 2, so there is no decision. The property None gives the raw array.',
        ),
    ],
)
def test_wrong_arrays(array, message):
    with pytest.raises(EncodingError) as caught:
        PETS(array)
    assert str(caught.value) == message


def test_wrong_labels_and_seeds():
    with pytest.raises(DeclarationError, match=r'^The labels of NetDecoder\("Class"\) must differ. True equals an earlier one.$'):
        NetDecoder("Class", [1, True])
    with pytest.raises(DeclarationError, match=r'^NetDecoder\("Class"\) needs at least one label. Got none.$'):
        NetDecoder("Class", [])
    assert PETS(P, "RandomSample", RandomSeeding="seed") == PETS(P, "RandomSample", RandomSeeding="seed")
    for seed in (1.5, True, None):
        with pytest.raises(DeclarationError, match=r"^RandomSeeding is an integer, a string or Automatic. Got"):
            PETS(P, "RandomSample", RandomSeeding=seed)


def test_encoders_for_targets():
    assert PETS.encoder_spec() == ("Class", ("cat", "dog", "eel"))
    assert NetDecoder("Class").encoder_spec() is None
    assert NetDecoder("Class").encoder_spec(array_of(3)) == ("Class", (1, 2, 3))
    deep = NetDecoder("Class", ["a", "b"], InputDepth=2)
    assert deep.encoder_spec() is None
    assert deep.encoder_spec(array_of(7, 2)) == ("Class", ("a", "b"), {"Dimensions": [7]})
    many = NetDecoder("Class", ["a", "b"], Multilabel=True)
    assert many.encoder_spec() == ("Class", ("a", "b"), {"Multilabel": True})
