"""The nets of the examples of sequences: their ports and elements, what they give before any training, and what their helpers say."""

from __future__ import annotations

import numpy as np
import pytest

from examples import character_lstm, gpt, sequence_to_sequence, vision_transformer
from netdsl import EmbeddingLayer, Information, NetChain, NetEncoder, NetInitialize, NetUnfold, SequenceReverseLayer

TEXT = list("def f(x):\n    return x + 1")


def elements(net):
    return Information(net, "ArraysTotalElementCount")


def check_probabilities(values, shape):
    assert values.shape == shape
    np.testing.assert_allclose(values.sum(-1), 1, atol=1e-5)


def test_character_lstm():
    net = NetInitialize(character_lstm.character_lstm(8))
    assert elements(net) == character_lstm.elements(8)
    check_probabilities(net(TEXT, None), (len(TEXT), 96))
    assert set(net(TEXT)) <= set(character_lstm.CHARACTERS)
    assert character_lstm.teacher_forcing(net).input_names == ("Input",)


def test_the_lstm_writes_what_its_probabilities_say():
    net = NetInitialize(character_lstm.character_lstm(8))
    text = character_lstm.written(net, "Return", 4, 0)
    for place in range(len("Return"), len(text)):
        assert net(list(text[:place]))[-1] == text[place]


def test_documentation_is_of_the_characters_that_the_net_knows():
    text = character_lstm.documentation()
    assert len(text) > 400_000
    assert set(text) <= set(character_lstm.CHARACTERS)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "zero"),
        (21, "twenty one"),
        (300, "three hundred"),
        (305_012, "three hundred and five thousand and twelve"),
        (40_116, "forty thousand one hundred and sixteen"),
        (999_000, "nine hundred and ninety nine thousand"),
    ],
)
def test_words(number, text):
    assert " ".join(sequence_to_sequence.words(number)) == text


def test_words_of_numbers_differ():
    numbers = range(0, 1_000_000, 97)
    assert len({tuple(sequence_to_sequence.words(number)) for number in numbers}) == len(numbers)


def test_sequence_to_sequence():
    net = NetInitialize(sequence_to_sequence.translator(6))
    assert net.input_names == ("Words", "Signs")
    assert elements(net) == sequence_to_sequence.elements(6)
    assert sequence_to_sequence.teacher_forcing(net).output_names == ("Loss",)
    sentence = sequence_to_sequence.words(305_012)
    check_probabilities(net({"Words": sentence, "Signs": ["start", "3", "0"]}, None), (3, 12))
    weights = sequence_to_sequence.attention(net, sentence, ["start", "3", "0"])
    check_probabilities(weights, (3, len(sentence)))


def test_each_sign_is_the_most_probable_one_after_those_before_it():
    net = NetInitialize(sequence_to_sequence.translator(6), RandomSeeding=4)
    sentences = [sequence_to_sequence.words(number) for number in (7, 305_012)]
    answers = sequence_to_sequence.translated(net, sentences)
    assert list(map(len, answers)) == [6, 6], "this net writes digits only"
    for sentence, answer in zip(sentences, answers):
        assert "".join(net({"Words": sentence, "Signs": ["start", *answer]})[:6]) == answer


def test_gpt():
    net = NetInitialize(gpt.gpt(8, 2, 2))
    assert elements(net) == gpt.elements(8, 2)
    check_probabilities(net(TEXT, None), (len(TEXT), 97))
    assert not gpt.looks_ahead(net, TEXT)
    assert gpt.teacher_forcing(net).input_names == ("Input",)


def test_gpt_unfolded_reads_one_character_after_the_other():
    net, text = NetInitialize(gpt.gpt(16, 2, 2)), "import os"
    step, whole = NetUnfold(net), net(list(text), None)
    states = {port: np.zeros([0, *step.port_type(port).sizes[1:]]) for port in step.input_names if port != "Input"}
    assert len(states) == 1 + 2 * 2  # the places, and keys and values of each block
    for character, expected in zip(text, whole):
        outputs = step({"Input": character, **states}, None)
        np.testing.assert_allclose(outputs["Output"], expected, rtol=1e-4, atol=1e-6)
        states = {port: outputs[f"Out{port}"] for port in states}


def test_looking_ahead_is_noticed():
    characters = NetEncoder("Class", gpt.CHARACTERS, Dimensions=["Varying"])
    assert gpt.looks_ahead(
        NetChain([EmbeddingLayer(1, Weights=np.arange(97)[:, None]), SequenceReverseLayer()], Input=characters), TEXT
    )


def test_code_is_of_the_characters_that_the_net_knows():
    text = gpt.code()
    assert len(text) > 400_000
    assert set(text) <= set(gpt.CHARACTERS)


def test_vision_transformer():
    net = NetInitialize(vision_transformer.vision_transformer(8, 2, 2))
    assert elements(net) == vision_transformer.elements(8, 2)
    picture = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    check_probabilities(net(picture, None), (10,))
    assert net(picture) in range(10)
    seen = vision_transformer.attention(net, [picture, picture], 2)
    assert seen.shape == (2, 4, 4)
    assert seen.min() > 0
    assert (seen.sum((1, 2)) < 1).all()
