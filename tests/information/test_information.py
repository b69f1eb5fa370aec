"""Information: what a net says of itself."""

import re

import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    DeclarationError,
    FlattenLayer,
    Information,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetInitialize,
    NetMapOperator,
    NetRename,
    PartError,
    PoolingLayer,
    Quantity,
    Ramp,
    SequenceLastLayer,
    SoftmaxLayer,
    Tanh,
    UnsupportedError,
)
from netdsl.symbols import Automatic


@pytest.fixture(scope="module")
def lenet():
    return NetChain(
        [
            ConvolutionLayer(20, 5),
            Ramp,
            PoolingLayer(2, 2),
            ConvolutionLayer(50, 5),
            Ramp,
            PoolingLayer(2, 2),
            FlattenLayer(),
            500,
            Ramp,
            10,
            SoftmaxLayer(),
        ],
        Input=NetEncoder("Image", [28, 28], ColorSpace="Grayscale"),
        Output=NetDecoder("Class", range(10)),
    )


def test_counts_of_lenet(lenet):
    assert Information(lenet, "ArraysTotalElementCount") == 431_080
    assert Information(lenet, ["LayersCount", "ArraysCount", "SharedArraysCount", "RecurrentStatesCount"]) == [11, 8, 0, 0]
    assert Information(lenet, "ArraysTotalByteCount") == 4 * 431_080
    assert Information(lenet, "ArraysTotalSize") == Quantity(1.72432, "Megabytes")
    assert Information(lenet, "ArraysDimensions")["4", "Weights"] == [50, 20, 5, 5]
    assert Information(lenet, "ArraysElementCounts")["8", "Weights"] == 400_000
    counts = {
        "ConvolutionLayer": 2,
        "ElementwiseLayer": 3,
        "PoolingLayer": 2,
        "FlattenLayer": 1,
        "LinearLayer": 2,
        "SoftmaxLayer": 1,
    }
    assert Information(lenet, "LayerTypeCounts") == counts


def test_the_same_counts_after_initialization(lenet):
    net = NetInitialize(lenet)
    for name in ("ArraysTotalElementCount", "ArraysDimensions", "ArraysByteCounts", "ArraysSizes"):
        assert Information(net, name) == Information(lenet, name)
    arrays = Information(net, "Arrays")
    assert sum(np.asarray(value).size for value in arrays.values()) == 431_080
    assert list(arrays) == Information(net, "ArraysPositionList")
    assert Information(net, "ArraysList")[0] is net.arrays["1", "Weights"]
    assert Information(lenet, "ArraysList") == [Automatic] * 8


def test_ports(lenet):
    assert Information(lenet, "InputPorts") == {"Input": NetEncoder("Image", [28, 28], ColorSpace="Grayscale")}
    assert Information(lenet, "OutputPortNames") == ["Output"]
    assert Information(NetChain([3], Input=4), "OutputPorts") == {"Output": 3}


def test_layers_are_those_of_all_depths():
    net = NetChain({"m": NetMapOperator(NetChain({"x": 3, "y": Ramp})), "last": SequenceLastLayer()}, Input=["Varying", 4])
    assert list(Information(net, "Layers")) == [("m",), ("m", "Net", "x"), ("m", "Net", "y"), ("last",)]
    kinds = [type(layer).__name__ for layer in Information(net, "LayersList")]
    assert kinds == ["NetMapOperator", "LinearLayer", "ElementwiseLayer", "SequenceLastLayer"]
    assert Information(net, "LayersList")[1].port_type("Input").sizes == (4,)
    assert Information(LinearLayer(2), "LayersCount") == 1


def test_multipliers_multiply():
    net = NetChain([LinearLayer(3, LearningRateMultipliers=2), 4], Input=2, LearningRateMultipliers={1: 0.5, 2: None})
    wanted = {("1", "Weights"): 1.0, ("1", "Biases"): 1.0, ("2", "Weights"): 0.0, ("2", "Biases"): 0.0}
    assert Information(net, "ArraysLearningRateMultipliers") == wanted


def test_states_and_shared_arrays():
    net = NetChain([LongShortTermMemoryLayer(3), SequenceLastLayer()], Input=["Varying", 2])
    assert Information(net, "RecurrentStatesPositionList") == [("1", "State"), ("1", "CellState")]
    tied = NetChain([LinearLayer(3, Weights=NetArray("w")), LinearLayer(3, Weights=NetArray("w"))], Input=3)
    assert Information(tied, ["SharedArraysCount", "ArraysTotalElementCount"]) == [1, 9 + 3 + 3]
    assert Information(NetChain([BatchNormalizationLayer()], Input=5), "ArraysTotalElementCount") == 20


def test_open_sizes_are_automatic():
    net = NetChain([LinearLayer(3)])
    assert Information(net, "ArraysDimensions")["1", "Weights"] == [3, Automatic]
    assert Information(net, "ArraysTotalElementCount") is Automatic
    assert "unknown: some sizes are open" in repr(Information(net))


def test_the_topology_hash_is_of_structure():
    def net(*layers, **ports):
        return NetChain(list(layers), **ports)

    base = Information(net(3, Ramp, Input=4), "TopologyHash")
    assert Information(NetInitialize(net(3, Ramp, Input=4)), "TopologyHash") == base
    assert Information(NetRename(net(3, Ramp, Input=4), {1: "x"}), "TopologyHash") == base
    assert Information(net(3, Tanh, Input=4), "TopologyHash") != base
    assert Information(net(4, Ramp, Input=4), "TopologyHash") != base
    assert Information(net(lambda x: x * 2.5), "TopologyHash") == Information(net(lambda x: x * 2.5), "TopologyHash")
    assert Information(net(lambda x: x * 2.5), "TopologyHash") != Information(net(lambda x: x * 3.5), "TopologyHash")


def test_the_report(lenet):
    assert (
        repr(Information(lenet))
        == """\
Information: NetChain (uninitialized)
  Input port            array (size: 1x28x28), NetEncoder("Image")
  Output port           vector (size: 10), NetDecoder("Class")
  Layers                11 (2 ConvolutionLayer, 3 ElementwiseLayer, 2 PoolingLayer, 1 FlattenLayer, 2 LinearLayer, 1 SoftmaxLayer)
  Arrays                8
  Array elements        431,080
  Size                  1.724 megabytes
  Uninitialized arrays  8"""
    )
    page = Information(lenet)._repr_html_()
    assert page.startswith("<table>")
    assert "NetEncoder(&quot;Image&quot;)" in page
    assert Information(lenet)("LayersCount") == 11


def test_every_property_answers(lenet):
    names = Information(lenet, "Properties")
    assert len(names) == len(set(names)) == 29
    assert len(Information(lenet, names)) == 29
    assert Information([lenet, NetChain([Ramp])], "LayersCount") == [11, 1]
    assert Information(NetChain([Ramp], Input=3), "InputForm") == "NetChain([ElementwiseLayer(Ramp)], Input=3)"


MESSAGES = [
    ("LayerCount", PartError, "Information has no property 'LayerCount'. Did you mean 'LayersCount'?"),
    (
        "MXNetNodeGraph",
        UnsupportedError,
        "Information: the property 'MXNetNodeGraph' does not exist in netdsl, which runs on JAX. 'LayersGraph' gives the wires.",
    ),
]


@pytest.mark.parametrize(("name", "error", "message"), MESSAGES)
def test_messages(lenet, name, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Information(lenet, name)
    with pytest.raises(DeclarationError, match=re.escape("Information takes a net or a list of nets. Got 3.")):
        Information(3)
