"""NetDecoder("CTCBeamSearch") against all readings written out, and against CTCLossLayer."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from netdsl import CTCLossLayer, NetDecoder, NetEncoder
from netdsl.errors import DeclarationError, EncodingError, PartError

RNG = np.random.default_rng(3)
LABELS = ["a", "b", "c"]


def likelihoods(probabilities):
    """The likelihood of every sequence of labels: the sum over the readings that become it."""
    blank, found = probabilities.shape[1] - 1, {}
    for path in product(range(blank + 1), repeat=len(probabilities)):
        word = tuple(LABELS[place] for place, _ in groupby(path) if place != blank)
        found[word] = found.get(word, 0) + np.prod([row[place] for row, place in zip(probabilities, path)])
    return found


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_all_readings_are_found_by_a_beam_that_is_wide_enough(steps):
    probabilities = RNG.dirichlet(np.ones(4), steps)
    expected = sorted(likelihoods(probabilities).items(), key=lambda item: -item[1])
    decoder = NetDecoder("CTCBeamSearch", LABELS, BeamSize=2000)
    assert decoder(probabilities) == list(expected[0][0])
    assert decoder(probabilities, ["TopDecodings", 3]) == [list(word) for word, _ in expected[:3]]
    rules = decoder(probabilities, "NegativeLogLikelihoods")
    assert {tuple(word) for word, _ in rules} == {word for word, _ in expected}
    np.testing.assert_allclose([value for _, value in rules], [-np.log(p) for _, p in expected], rtol=1e-6)
    assert decoder(probabilities, ["TopNegativeLogLikelihoods", 2]) == rules[:2]
    word, value = rules[1]
    if word:
        target = [LABELS.index(label) + 1 for label in word]
        assert CTCLossLayer(Input=[steps, 4])({"Input": probabilities, "Target": target}) == pytest.approx(value, rel=1e-4)


def test_the_likely_is_not_the_path_of_the_most_probable():
    probabilities = [[0.4, 0.0, 0.0, 0.6], [0.4, 0.0, 0.0, 0.6]]  # "a" by three readings: 0.16 + 0.24 + 0.24
    assert NetDecoder("CTCBeamSearch", LABELS)(probabilities) == ["a"]
    assert NetDecoder("CTCBeamSearch", LABELS, BeamSize=1)(probabilities) == []


def test_equal_neighbours_are_joined_and_a_blank_parts_them():
    sure = np.eye(4)[[0, 0, 3, 0, 1, 1]]
    for beam in (1, 100):
        assert NetDecoder("CTCBeamSearch", LABELS, BeamSize=beam)(sure) == ["a", "a", "b"]
    assert NetDecoder("CTCBeamSearch", LABELS)(np.stack([sure, sure[::-1]])) == [["a", "a", "b"], ["b", "a", "a"]]


def test_the_encoder_of_targets():
    encoder = NetEncoder(NetDecoder("CTCBeamSearch", LABELS))
    assert encoder == NetEncoder("Class", LABELS, Dimensions=["Varying"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NetDecoder("CTCBeamSearch", ["a", "a"]), DeclarationError, "all different"),
        (
            lambda: NetDecoder("CTCBeamSearch", LABELS)(np.ones((2, 3))),
            EncodingError,
            "4 at each time: of 3 labels and the blank",
        ),
        (lambda: NetDecoder("CTCBeamSearch", LABELS)(np.ones((2, 4)), "TopDecodings"), PartError, "number of at least 1"),
        (lambda: NetDecoder("CTCBeamSearch", LABELS)(np.ones((2, 4)), ["Decodings", 2]), PartError, "others none"),
    ],
)
def test_wrong_use(call, error, message):
    with pytest.raises(error, match=message):
        call()
