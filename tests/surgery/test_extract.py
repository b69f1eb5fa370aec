"""NetExtract and net[...]: layers, arrays, ports and parameters."""

import re

import numpy as np
import pytest

from netdsl import (
    All,
    Automatic,
    DeclarationError,
    ElementwiseLayer,
    Keys,
    Length,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetExtract,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    Normal,
    PartError,
    Ramp,
    SequenceLastLayer,
    Span,
    Tanh,
    Values,
)


def test_a_layer_comes_with_the_sizes_of_its_place_and_its_arrays(chain):
    layer = NetExtract(chain, 3)
    assert isinstance(layer, LinearLayer)
    assert layer.port_type("Input").sizes == (6,)
    assert repr(NetExtract(NetChain([6, Ramp, 2], Input=4), 3)) == "LinearLayer(2, Input=6, Output=2)"
    assert layer.Weights is chain.arrays["3", "Weights"]
    x = np.ones(6, np.float32)
    np.testing.assert_array_equal(layer(x), np.asarray(layer.Weights @ x + layer.Biases))


POSITIONS = [(1, LinearLayer), (-1, LinearLayer), (-2, ElementwiseLayer), (np.int64(2), ElementwiseLayer)]


@pytest.mark.parametrize(("position", "kind"), POSITIONS)
def test_numbers_count_from_one_and_from_the_end(chain, position, kind):
    assert isinstance(chain[position], kind)
    assert chain[position] == NetExtract(chain, position)


def test_paths_lead_inward_through_containers_and_operators(training_net):
    assert NetExtract(training_net, ["net", "hidden", "Weights"]).shape == (5, 16)
    assert training_net["net", 2, "Biases"].shape == (5,)
    mapper = NetMapOperator(NetChain({"lin": 3, "act": Ramp}))
    mapped = NetInitialize(NetChain([mapper, SequenceLastLayer()], Input=["Varying", 4]))
    assert mapped[1, "Net", "lin", "Weights"].shape == (3, 4)
    inner = mapped[1, "Net", "act"]
    assert inner.port_type("Input").sizes == (3,)
    assert repr(mapped[1, "Net", "act"]) == "ElementwiseLayer(Ramp, Input=3, Output=3)"


def test_arrays_are_automatic_before_initialization_and_none_when_absent():
    net = NetChain([LinearLayer(2, Biases=None)], Input=3)
    assert net[1, "Weights"] is Automatic
    assert net[1, "Biases"] is None


def test_parameters_of_layers_and_coders(classifier):
    assert NetExtract(classifier, ["hidden", "OutputDimensions"]) == 5
    assert NetExtract(classifier, ["Input", "ImageSize"]) == [4, 4]
    assert NetExtract(NetEncoder("Image", [7, 9]), "ImageSize") == [7, 9]
    assert NetExtract(NetDecoder("Class", ["x", "y"]), "Labels") == ["x", "y"]
    assert NetExtract(NetDecoder("Image", "RGB"), All)["ColorSpace"] == "RGB"


def test_ports_are_their_coder_or_their_shape(classifier, training_net):
    assert NetExtract(classifier, "Input") == NetEncoder("Image", [4, 4], ColorSpace="Grayscale")
    assert NetExtract(classifier, "Output") == NetDecoder("Class", ["a", "b", "c"])
    assert NetExtract(classifier, ["flat", "Input"]) == [1, 4, 4]
    assert NetExtract(classifier, ["hidden", "Output"]) == 5
    assert NetExtract(training_net, "Loss") == "Real"
    assert NetExtract(training_net, ["net", "Output"]) == NetDecoder("Class", ["a", "b", "c"])


def test_a_part_keeps_the_coders_it_has_of_its_own(training_net):
    net = training_net["net"]
    assert net.encoder("Input") is not None
    assert net.decoder("Output") == NetDecoder("Class", ["a", "b", "c"])
    assert net["flat"].encoder("Input") is None


def test_several_positions_give_a_list(chain):
    layer, weights = NetExtract(chain, [[2], [1, "Weights"]])
    assert isinstance(layer, ElementwiseLayer)
    assert weights is chain.arrays["1", "Weights"]


def test_all_is_normal(chain, graph):
    assert [type(layer) for layer in Normal(chain)] == [LinearLayer, ElementwiseLayer, LinearLayer]
    assert list(Normal(graph)) == ["a", "b", "c", "sum", "out"]
    assert NetExtract(chain, All) == Normal(chain) == list(chain) == Values(chain)
    assert Keys(graph) == ["a", "b", "c", "sum", "out"]
    assert len(graph) == Length(graph) == 5
    twice = NetInitialize(NetChain([2, 2], Input=2))
    assert [value.shape for value in NetExtract(twice, [All, "Biases"])] == [(2,), (2,)]


def test_a_span_is_a_chain(classifier):
    part = classifier[Span(2, 4)]
    assert isinstance(part, NetChain)
    assert Keys(part) == ["hidden", "act", "out"]
    assert (part.port_type("Input").sizes, part.port_type("Output").sizes) == ((16,), (3,))
    assert Keys(classifier[Span("act", "prob")]) == ["act", "out", "prob"]
    assert classifier[Span(-2, All)].decoder("Output") is not None


def test_shared_arrays_come_along(tied):
    values = NetExtract(tied, NetArray("w"))
    assert values.shape == (3, 3)
    one = tied["one"]
    assert one.shared["w"] is values
    assert tied["one", "Weights"] is values
    assert not tied["last"].shared
    np.testing.assert_allclose(one([1.0, 2.0, 3.0]), values @ np.array([1.0, 2.0, 3.0], np.float32), rtol=1e-6)
    again = NetChain([tied["one"], tied["two"]])
    assert list(again.shared) == ["w"]
    assert len(again.array_table()) == 3


def test_the_length_of_a_varying_port_is_the_parts_own():
    net = NetChain([LongShortTermMemoryLayer(3), Tanh, SequenceLastLayer()], Input=["Varying", 2])
    assert repr(net[1]) == "LongShortTermMemoryLayer(3, Input=['Varying', 2], Output=['Varying', 3])"
    assert NetChain([net[2], net[3]]).port_type("Output").sizes == (3,)


def test_a_layer_named_like_a_port_goes_first():
    net = NetGraph({"Input": Ramp, "Output": Tanh}, [("Input", "Output")], Input=3)
    assert isinstance(net["Input"], ElementwiseLayer)


MESSAGES = [
    (
        lambda net: net[0],
        PartError,
        "net[0]: this NetChain has no part 0. Parts are numbered from 1: 1 is the first, -1 the last.",
    ),
    (lambda net: net[9], PartError, "net[9]: this NetChain has no part 9. It has 5 parts, numbered from 1."),
    (lambda net: net["hiden"], PartError, "NetExtract: this NetChain has no part 'hiden'. Did you mean 'hidden'?"),
    (
        lambda net: net["hidden", "Weight"],
        PartError,
        "NetExtract: the LinearLayer at 'hidden' has no part 'Weight'. Did you mean 'Weights'?",
    ),
    (
        lambda net: net[1:3],
        DeclarationError,
        "net[1:3]: nets take no Python slices; positions count from 1, both ends included. Write net[Span(2, 3)].",
    ),
    (
        lambda net: net[::-1],
        DeclarationError,
        "net[::-1]: nets take no Python slices; positions count from 1, both ends included. Write net[Span(m, n)].",
    ),
    (
        lambda net: NetExtract(net, ["Input", "Size"]),
        PartError,
        "NetExtract: NetEncoder(\"Image\") has no parameter 'Size'. Did you mean 'ImageSize'?",
    ),
    (lambda net: NetExtract(net, NetArray("v")), PartError, "NetExtract: this NetChain has no shared array 'v'. There are none."),
    (
        lambda net: NetExtract(net, ["hidden", "OutputDimensions", 1]),
        PartError,
        "NetExtract: 5 has no parts, so there is no 1 in it.",
    ),
    (lambda net: NetExtract(net, []), PartError, "NetExtract: the position is empty. NetExtract(net, All) gives all layers."),
    (
        lambda net: NetExtract(net, True),
        PartError,
        "NetExtract: this NetChain has no part True. A position is a number, a name, All, Span(m, n), NetArray(name) or a list of "
        "them "
        "that leads inward.",
    ),
    (
        lambda net: NetExtract(net, Span(4, 2)),
        PartError,
        "NetExtract: Span(4, 2) of this NetChain holds no part. Give the first position before the last.",
    ),
    (lambda net: NetExtract("net", 1), DeclarationError, "NetExtract takes a net, an encoder or a decoder. Got 'net'."),
]


@pytest.mark.parametrize(("attempt", "error", "message"), MESSAGES, ids=[m for _, _, m in MESSAGES])
def test_messages(classifier, attempt, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        attempt(classifier)


def test_a_span_of_a_graph_is_refused(graph):
    with pytest.raises(DeclarationError, match=r"those of this NetGraph have no order\. NetTake"):
        graph[Span(1, 2)]
