"""The encoders and decoders that the ports of operators have from those of their nets."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netdsl import (
    ElementwiseLayer,
    FlattenLayer,
    LinearLayer,
    LogisticSigmoid,
    NetBidirectionalOperator,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetFoldOperator,
    NetGANOperator,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetMapThreadOperator,
    NetNestOperator,
    NetPairEmbeddingOperator,
    NetPort,
    NetTrain,
    Plus,
    ReshapeLayer,
    SequenceReverseLayer,
    SoftmaxLayer,
    Tanh,
    Times,
    UnitVectorLayer,
)
from netdsl.errors import EncodingError

RNG = np.random.default_rng(5)
A, B, C = (RNG.integers(0, 255, (6, 5)).astype(np.uint8) for _ in range(3))
ENCODER = NetEncoder("Image", [5, 6], ColorSpace="Grayscale")
EMBEDDING = NetInitialize(NetChain([FlattenLayer(), 3], Input=ENCODER))
PAIR = NetPairEmbeddingOperator(EMBEDDING)


def close(made, expected):
    np.testing.assert_allclose(np.asarray(made), expected, rtol=1e-5, atol=1e-6)


def distance(a, b):
    return np.linalg.norm(EMBEDDING(a) - EMBEDDING(b))


@pytest.mark.parametrize("form", [np.asarray, Image.fromarray, ENCODER], ids=["array", "picture", "encoded"])
def test_a_pair_of_pictures(form):
    a, b, c = map(form, (A, B, C))
    close(PAIR([a, b]), distance(A, B))
    close(PAIR(np.stack([A, B])), distance(A, B))
    close(PAIR([[a, b], [b, c]]), [distance(A, B), distance(B, C)])


def test_what_is_no_pair_of_pictures():
    for wrong in ([A, B, C], [[A, B], [A]], [["a.png", A]]):
        with pytest.raises(EncodingError, match=r'NetEncoder\("Image"\)'):
            PAIR(wrong)
    with pytest.raises(EncodingError, match=r"Example 2: NetEncoder\(\"Image\"\) takes a list of 2 things here"):
        PAIR([[A, B], [A]])


def test_a_pair_is_trained_with_pictures():
    trained = NetTrain(PAIR, [([A, B], True), ([A, C], False)], MaxTrainingRounds=2, TrainingProgressReporting=None)
    assert np.isfinite(trained([A, B]))
    assert "Input port:   list of images" in str(trained)


def test_pictures_mapped():
    net = NetMapOperator(EMBEDDING)
    close(net([A, B, C]), EMBEDDING([A, B, C]))
    close(net([[A, B], [B, C]]), [EMBEDDING([A, B]), EMBEDDING([B, C])])
    with pytest.raises(EncodingError, match=r"lists of equal lengths here\. Got lengths 2, 1"):
        net([[A, B], [A]])
    varying = NetChain([net], Input=["Varying", 1, 6, 5])
    for made, pictures in zip(varying([[A, B], [A]]), ([A, B], [A]), strict=True):
        close(made, EMBEDDING(pictures))
    close(varying([ENCODER(A), ENCODER(B)]), EMBEDDING([A, B]))


def test_classes_mapped():
    net = NetMapOperator(NetChain([UnitVectorLayer()], Input=NetEncoder("Class", ["no", "yes"])))
    close(net(["yes", "no", "no"]), [[0, 1], [1, 0], [1, 0]])
    close(net([["yes"], ["no"]]), [[[0, 1]], [[1, 0]]])
    with pytest.raises(EncodingError, match=r"Example 1: .* no class 'perhaps' at position 2"):
        net([["yes", "perhaps"]])


def test_decoders_mapped():
    classes = NetDecoder("Class", ["no", "yes"])
    softmax = NetMapOperator(NetChain([SoftmaxLayer()], Output=classes))
    assert softmax([[1.0, 2.0], [2.0, 1.0]]) == ["yes", "no"]
    varying = NetMapOperator(NetChain([SoftmaxLayer()], Output=classes), Input=["Varying", 2])
    assert varying([[[1.0, 2.0]], [[2.0, 1.0], [1.0, 2.0]]]) == [["yes"], ["no", "yes"]]


def test_inputs_threaded():
    truth = NetEncoder("Boolean")
    both = NetGraph({"and": Times}, [([NetPort("a"), NetPort("b")], "and")], a=truth, b=truth)
    close(NetMapThreadOperator(both)({"a": [True, True], "b": [True, False]}), [1, 0])
    close(NetMapThreadOperator(both, {"a": 1})({"a": [True, False], "b": True}), [1, 0])
    close(NetMapThreadOperator(both, 2)({"a": [[True, False]], "b": [[True, True]]}), [[1, 0]])


def test_inputs_folded():
    count = NetGraph({"sum": Plus}, [([NetPort("Input"), NetPort("State")], "sum")], Input=NetEncoder("Boolean"), State="Real")
    close(NetFoldOperator(count)([True, False, True]), [1, 1, 2])


def test_nets_that_take_what_the_operator_takes():
    picture = NetDecoder("Image", "Grayscale")
    darker = NetChain([ElementwiseLayer(lambda x: x / 2)], Input=ENCODER, Output=picture)
    close(NetNestOperator(darker, 2)(A), np.round(A / 4))
    ends = NetBidirectionalOperator(
        NetChain([SequenceReverseLayer()], Input=NetEncoder("Function", lambda word: [[len(word)]] * 2, [2, 1]))
    )
    assert ends("abc").shape == (2, 2)
    gan = NetInitialize(
        NetGANOperator(
            [
                NetChain([30, LogisticSigmoid, ReshapeLayer([1, 6, 5])], Input=3, Output=picture),
                NetChain([FlattenLayer(), LinearLayer([]), LogisticSigmoid], Input=ENCODER),
            ]
        )
    )
    assert gan({"Sample": A, "Latent": [1.0, 2.0, 3.0]})["GeneratedFake"].size == (5, 6)


def test_an_encoder_does_nothing_where_another_layer_feeds_it():
    close(NetChain([ReshapeLayer([2, 1, 6, 5]), PAIR], Input=60)(np.stack([ENCODER(A), ENCODER(B)]).ravel()), distance(A, B))


def test_an_encoder_of_the_operator_comes_first():
    net = NetMapOperator(
        NetChain([Tanh], Input=NetEncoder("Boolean")),
        Input=NetEncoder("Boolean", [2]),
    )
    close(net([True, False]), np.tanh([1.0, 0.0]))
