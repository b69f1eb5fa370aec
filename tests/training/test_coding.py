"""Encoders and decoders that training attaches by itself, and the open nets that data complete."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netdsl import (
    Automatic,
    Column,
    ConvolutionLayer,
    CrossEntropyLossLayer,
    DataError,
    Examples,
    FlattenLayer,
    FunctionLayer,
    LinearLayer,
    LogisticSigmoid,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetMapOperator,
    Ramp,
    SoftmaxLayer,
    Tanh,
)

RANDOM = np.random.default_rng(3)
INPUTS = RANDOM.normal(size=(6, 3)).astype(np.float32)
NUMBERS = INPUTS.sum(1)


def pictures(*size, mode="RGB"):
    sizes = (6, *size, 3) if mode == "RGB" else (6, *size)
    return [Image.fromarray(pixels) for pixels in RANDOM.integers(0, 256, size=sizes, dtype=np.uint8)]


@pytest.mark.parametrize(
    ("net", "images", "size", "color"),
    [
        (NetChain([FlattenLayer(), 1]), pictures(4, 5), (5, 4), "RGB"),
        (NetChain([FlattenLayer(), 1]), pictures(4, 5, mode="L"), (5, 4), "Grayscale"),
        (NetChain([FlattenLayer(), 1], Input=[3, 6, 7]), pictures(4, 5, mode="L"), (7, 6), "RGB"),
        (NetChain([ConvolutionLayer(2, 3), FlattenLayer(), 1], Input=[1, 6, 6]), pictures(4, 5), (6, 6), "Grayscale"),
    ],
    ids=["colour", "gray", "size and colour of the net", "gray net"],
)
def test_pictures_get_an_image_encoder(train, net, images, size, color):
    trained = train(net, (images, NUMBERS), "TrainedNet")
    encoder = trained.encoder("Input")
    assert (encoder.kind, tuple(encoder.ImageSize), encoder.ColorSpace) == ("Image", size, color)
    assert trained(images[0]) == pytest.approx(trained(images)[0], rel=1e-5)


def test_image_columns_train_like_their_pictures(train):
    pixels = RANDOM.integers(0, 256, size=(6, 4, 4), dtype=np.uint8)
    net = NetChain([FlattenLayer(), 1])
    losses = [
        train(net, (images, NUMBERS), "RoundLossList")
        for images in (Column(pixels, "image"), [Image.fromarray(one) for one in pixels])
    ]
    assert losses[0].tobytes() == losses[1].tobytes()


def test_validation_data_may_be_encoded_where_the_training_data_are_not(train):
    pixels = RANDOM.integers(0, 256, size=(6, 4, 4), dtype=np.uint8)
    net = NetChain([FlattenLayer(), 1], Input=NetEncoder("Image", (4, 4), ColorSpace="Grayscale"))
    raw, ready = Column(pixels, "image"), (pixels[:, None] / 255).astype(np.float32)
    losses = [
        train(net, (some, NUMBERS), ["ValidationLossList", "RoundLossList"], ValidationSet=(others, NUMBERS))
        for some, others in ((raw, raw), (raw, ready), (ready, raw), (ready, ready))
    ]
    for pair in losses[1:]:
        np.testing.assert_allclose(pair, losses[0], rtol=1e-6)


def test_boolean_inputs_get_an_encoder(train):
    trained = train(NetChain([LinearLayer([])]), ([True, False] * 3, NUMBERS), "TrainedNet")
    assert trained.encoder("Input") == NetEncoder("Boolean")
    assert isinstance(trained(True), float)


def test_strings_without_an_encoder_are_refused(train):
    with pytest.raises(DataError) as raised:
        train(NetChain([1]), (list("abcdef"), NUMBERS))
    assert str(raised.value) == (
        "The input port 'Input' gets strings ('a') and has no encoder. Attach one: "
        'Input=NetEncoder("Class", '
        '[...]) for labels, NetEncoder("Image") for paths.'
    )


@pytest.mark.parametrize(
    ("targets", "labels"),
    [
        (["yes", "no", "yes"] * 2, ("no", "yes")),
        (np.array(["yes", "no"] * 3), ("no", "yes")),
        ([True, False, True] * 2, (False, True)),
        (np.array([True, False] * 3), (False, True)),
        (Column(np.array([0, 1] * 3), "class", ["no", "yes"]), ("no", "yes")),
        (Column(np.array([0, 1] * 3), "class", [0, 1]), (0, 1)),
    ],
    ids=["strings", "string array", "booleans", "boolean array", "classes", "numbered classes"],
)
def test_labels_after_softmax_get_a_class_decoder(train, targets, labels):
    trained = train(NetChain([LinearLayer(), SoftmaxLayer()]), (INPUTS, targets), "TrainedNet")
    assert trained.decoder("Output").Labels == labels
    assert trained.port_type("Output").sizes == (2,)
    assert trained(INPUTS[0]) in labels
    assert sum(trained(INPUTS[0], "Probabilities").values()) == pytest.approx(1)


def test_classes_that_are_counted_from_1_need_no_decoder(train):
    for targets in (np.array([1, 2] * 3), Column(np.array([0, 1] * 3), "class", [1, 2])):
        trained = train(NetChain([2, SoftmaxLayer()]), (INPUTS, targets), "TrainedNet")
        assert trained.decoder("Output") is None
        assert trained(INPUTS[0]).shape == (2,)


def test_a_declared_decoder_fixes_the_order_and_the_size(train):
    net = NetChain([LinearLayer(), SoftmaxLayer()], Output=NetDecoder("Class", ["z", "a", "unseen"]))
    results = train(net, (INPUTS, ["a", "z"] * 3), LearningRate=0)
    trained = results("TrainedNet")
    assert trained.decoder("Output").Labels == ("z", "a", "unseen")
    probabilities = trained(INPUTS, None)
    expected = -np.mean([np.log(p["za".index(label)]) for p, label in zip(probabilities, "azazaz")])
    assert results("RoundLoss") == pytest.approx(expected, rel=1e-5)


def test_labels_inside_an_operator(train):
    net = NetMapOperator(NetChain([2, SoftmaxLayer()]), Output=NetDecoder("Class", ["x", "y"], InputDepth=2))
    inputs = RANDOM.normal(size=(6, 4, 3))
    trained = train(net, (inputs, [["x", "y", "y", "x"]] * 6), "TrainedNet")
    assert set(trained(inputs[0])) <= {"x", "y"}
    assert len(trained(inputs[0])) == 4


def test_labels_meet_probabilities_as_indicators(train):
    net = NetChain([2, SoftmaxLayer()], Output=NetDecoder("Class", ["x", "y"]))
    losses = [
        train(net, (INPUTS, targets), "RoundLoss", LossFunction=CrossEntropyLossLayer("Probabilities"))
        for targets in (["x", "y"] * 3, np.eye(2)[[0, 1] * 3])
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "targets", [NUMBERS, list(map(float, NUMBERS)), NUMBERS.astype(np.float64)], ids=["array", "list", "float64"]
)
def test_numbers_for_a_vector_of_size_1_get_a_scalar_decoder(train, targets):
    trained = train(NetChain([1]), (INPUTS, targets), "TrainedNet")
    assert trained.decoder("Output") == NetDecoder("Scalar")
    assert isinstance(trained(INPUTS[0]), float)


def test_vectors_and_numbers_stay_what_they_are(train):
    assert train(NetChain([1]), (INPUTS, NUMBERS[:, None]), "TrainedNet").decoder("Output") is None
    for layer in (LinearLayer([]), LinearLayer()):
        trained = train(NetChain([layer]), (INPUTS, NUMBERS), "TrainedNet")
        assert (trained.decoder("Output"), trained.port_type("Output").sizes) == (None, ())
    summed = train(NetChain([2, FunctionLayer(lambda x: x.sum())]), (INPUTS, NUMBERS), "TrainedNet")
    assert summed.decoder("Output") is None
    assert isinstance(summed(INPUTS[0]), float)


def test_an_open_layer_whose_output_follows_from_the_data_alone(train):
    """The input size must be known before targets are looked at."""
    net = NetChain([FunctionLayer(lambda x: x * 2), FunctionLayer(lambda x: x.sum()), LinearLayer([])])
    assert isinstance(train(net, (INPUTS, NUMBERS), "TrainedNet")(INPUTS[0]), float)


def test_booleans_after_a_sigmoid(train):
    for layer in (LinearLayer([]), LinearLayer()):
        trained = train(NetChain([layer, LogisticSigmoid]), (INPUTS, NUMBERS > 0), "TrainedNet")
        assert trained.decoder("Output") == NetDecoder("Boolean")
        assert trained(INPUTS[0]) in (True, False)
    with pytest.raises(DataError) as raised:
        train(NetChain([1, LogisticSigmoid]), (INPUTS, NUMBERS > 0))
    assert str(raised.value) == (
        "The targets are True and False, but the port 'Output' gives a vector of size 1, not one "
        "number. Write "
        "LinearLayer([]) before the LogisticSigmoid."
    )


def test_zeros_and_ones_after_a_sigmoid_of_size_1(train):
    trained = train(NetChain([1, LogisticSigmoid]), (INPUTS, (NUMBERS > 0).astype(int)), "TrainedNet")
    assert trained.decoder("Output") == NetDecoder("Scalar")
    assert 0 < trained(INPUTS[0]) < 1


@pytest.mark.parametrize(
    "net",
    [NetChain([4, Ramp, 2]), NetChain([[4, Tanh], LinearLayer()]), LinearLayer(2), LinearLayer()],
    ids=["chain", "nested", "layer", "all open"],
)
def test_open_nets_are_completed_by_data_and_can_be_used(train, net):
    results = train(net, (INPUTS, INPUTS[:, :2]))
    trained = results("TrainedNet")
    assert trained.initialized
    assert (trained.port_type("Input").sizes, trained.port_type("Output").sizes) == ((3,), (2,))
    assert trained(INPUTS).shape == (6, 2)
    assert type(trained) is type(net)
    assert results("TrainingNet")({"Input": INPUTS[0], "Output": INPUTS[0, :2]}) >= 0


def test_a_number_as_input_of_an_open_layer(train):
    trained = train(LinearLayer(1), (NUMBERS, NUMBERS), "TrainedNet")
    assert trained.port_type("Input").sizes == ()
    assert isinstance(trained(0.5), float)


def test_partly_open_inputs_keep_what_was_declared(train):
    net = NetChain([FlattenLayer(), 1], Input=[Automatic, 3])
    assert train(net, (INPUTS[:, None], NUMBERS), "TrainedNet").port_type("Input").sizes == (1, 3)
    with pytest.raises(DataError, match="has a matrix of size 3x1 for each example, but the port 'Input' takes"):
        train(net, (INPUTS[:, :, None], NUMBERS))


def test_labelled_data_objects_need_nothing(train):
    data = Examples(
        Column(RANDOM.integers(0, 256, size=(6, 4, 4), dtype=np.uint8), "image"),
        Column(np.array([0, 1, 2] * 2), "class", ["a", "b", "c"]),
    )
    trained = train(NetChain([FlattenLayer(), LinearLayer(), SoftmaxLayer()]), data, "TrainedNet")
    assert trained(data[0].key) in {"a", "b", "c"}
    assert trained(data.inputs)[:2] == [trained(data[0].key), trained(data[1].key)]
