"""What print shows of nets, encoders and decoders."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from specimens import CODERS, SPECIMENS, Coder, Specimen, initialized

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    CrossEntropyLossLayer,
    DropoutLayer,
    EmbeddingLayer,
    FlattenLayer,
    LinearLayer,
    NetArray,
    NetArrayLayer,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    PoolingLayer,
    Ramp,
    Restricted,
    SoftmaxLayer,
    Tanh,
)
from netdsl.display import text


def lenet() -> Any:
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
        Input=NetEncoder("Image", (28, 28), ColorSpace="Grayscale"),
        Output=NetDecoder("Class", range(10)),
    )


LENET = """\
NetChain (uninitialized)
  Input port:   image
  Output port:  class

  Input   image                    array (size: 1x28x28)
  1       ConvolutionLayer(20, 5)  array (size: 20x24x24)      520
  2       ElementwiseLayer(Ramp)   array (size: 20x24x24)
  3       PoolingLayer(2, 2)       array (size: 20x12x12)
  4       ConvolutionLayer(50, 5)  array (size: 50x8x8)     25,050
  5       ElementwiseLayer(Ramp)   array (size: 50x8x8)
  6       PoolingLayer(2, 2)       array (size: 50x4x4)
  7       FlattenLayer             vector (size: 800)
  8       LinearLayer(500)         vector (size: 500)      400,500
  9       ElementwiseLayer(Ramp)   vector (size: 500)
  10      LinearLayer(10)          vector (size: 10)         5,010
  11      SoftmaxLayer             vector (size: 10)
  Output  class                    vector (size: 10)

  11 layers; 431,080 parameters; 8 arrays, 1.72 MB"""


def test_the_net_of_the_article() -> None:
    assert str(lenet()) == text(lenet()) == LENET + "; 8 arrays uninitialized"
    assert text(NetInitialize(lenet())) == LENET.replace(" (uninitialized)", "")


def test_a_graph_says_where_inputs_come_from() -> None:
    graph = NetGraph(
        {"net": NetChain([3, SoftmaxLayer()]), "loss": CrossEntropyLossLayer("Index")},
        [("net", NetPort("loss", "Input"))],
        Input=2,
    )
    assert (
        text(graph)
        == """\
NetGraph (uninitialized)
  Input port:         vector (size: 2)
  Input port Target:  integer from 1 to 3
  Output port Loss:   real

                                          from
  Input                                                               2
  Target                                                              1..3
  net     NetChain (2 layers)             Input                       3     9
    1       LinearLayer(3)                                            3     9
    2       SoftmaxLayer                                              3
  loss    CrossEntropyLossLayer('Index')  Input: net, Target: Target  real
  Loss                                    loss                        real

  3 layers; 9 parameters; 2 arrays, 36 bytes; 2 arrays uninitialized"""
    )


def test_a_layer_shows_parameters_and_arrays() -> None:
    shown = text(LinearLayer(2, Weights=np.ones((2, 3)), LearningRateMultipliers=0))
    assert (
        shown
        == """\
LinearLayer (uninitialized)
  Input port:   vector (size: 3)
  Output port:  vector (size: 2)

  Parameters
    OutputDimensions:         2
    LearningRateMultipliers:  0

  Arrays
    Weights  matrix (size: 2x3)  6  float32
    Biases   vector (size: 2)    2  uninitialized

  8 parameters; 2 arrays, 32 bytes; 1 array uninitialized"""
    )


def test_sizes_not_known_yet() -> None:
    shown = text(ConvolutionLayer(20, 5))
    assert "Weights  array               ?  uninitialized" in shown
    assert "at least 20 parameters" in shown
    assert "the size of 1 array is not known" in shown


def test_ports_in_words() -> None:
    def port(**options: Any) -> str:
        return text(DropoutLayer(**options)).splitlines()[1].split(":", 1)[1].strip()

    assert port(Input=NetEncoder("Image")) == "image"
    assert port(Input=NetEncoder("Class", ["a", "b"])) == "class"
    assert port(Input=NetEncoder("Class", ["a", "b"], Dimensions=[3])) == "vector of classes"
    assert port(Input=NetEncoder("Class", ["a", "b"], Multilabel=True)) == "list of classes"
    assert port(Input=NetEncoder("Boolean", [2, 3])) == "matrix of booleans"
    assert port(Input=NetEncoder("Scalar")) == "scalar"
    assert port(Input=NetEncoder("Function", len, "Real")) == "function"
    assert port(Input="Real") == "real"
    assert port(Input=Restricted("Integer", 4)) == "integer from 1 to 4"
    assert port(Input=["Varying", 3]) == "matrix (size: nx3)"
    assert "Output port:  vector of classes" in text(SoftmaxLayer(Output=NetDecoder("Class", ["a", "b"], InputDepth=2)))
    assert "Output port:  boolean" in text(DropoutLayer(Output=NetDecoder("Boolean")))
    assert "Output port:  vector of booleans" in text(DropoutLayer(Output=NetDecoder("Boolean", InputDepth=1)))
    assert text(NetArrayLayer(Array=[1.0])).splitlines()[1] == "  Number of inputs:  0"


def test_operators_show_the_net_inside_with_its_sizes() -> None:
    lines = text(NetChain({"map": NetMapOperator(NetChain([4, Tanh]))}, Input=[7, 2])).splitlines()
    assert lines[5].split() == ["map", "NetMapOperator", "matrix", "(size:", "7x4)", "12"]
    assert lines[6] == "    Net     NetChain (2 layers)       vector (size: 4)    12"
    assert lines[8] == "      2       ElementwiseLayer(Tanh)  vector (size: 4)"


def test_shared_and_state_arrays_count_once() -> None:
    net = NetChain(
        {
            "a": LinearLayer(3, Weights=NetArray("w"), Biases=None),
            "b": LinearLayer(3, Weights=NetArray("w"), Biases=None),
            "n": BatchNormalizationLayer(),
        },
        Input=3,
    )
    shown = text(net)
    assert "3 layers; 15 parameters; 6 elements of state; 5 arrays, 84 bytes" in shown
    assert "float32, shared as 'w'" in text(LinearLayer(1, Weights=NetArray("w", Array=[[1.0]])))
    assert "MovingMean" in text(BatchNormalizationLayer())
    assert "uninitialized, state" in text(BatchNormalizationLayer())


def test_arrays_given_in_part() -> None:
    shown = text(NetChain([LinearLayer(2, Weights=np.ones((2, 2)), Biases=None), 3]))
    assert [line.split()[-2:] for line in shown.splitlines()[5:7]] == [["2)", "4"], ["uninitialized", "9"]]


def test_long_nets_are_abbreviated_and_quick() -> None:
    net = NetChain([Ramp, 3] * 5000, Input=3)
    start = time.perf_counter()
    shown = text(net)
    assert time.perf_counter() - start < 10
    lines = shown.splitlines()
    assert len(lines) < 60
    assert "  ...     9,961 more" in lines
    assert lines.index("  ...     9,961 more") == 31
    assert any(line.startswith("  10000   LinearLayer(3)") for line in lines)
    assert "10,000 layers; 60,000 parameters" in shown


def test_many_nested_parts_are_bounded() -> None:
    block = NetChain([Ramp] * 30)
    nest = NetChain([NetChain([block] * 30)] * 30, Input=3)
    assert len(text(nest).splitlines()) < 300


def test_deep_nets() -> None:
    net: Any = NetChain([LinearLayer(3)])
    for _ in range(60):
        net = NetChain([net])
    assert "LinearLayer(3)" in text(net)


def test_encoders_and_decoders() -> None:
    assert (
        text(NetEncoder("Class", range(100)))
        == """\
NetEncoder
  Type:        Class
  Output:      integer from 1 to 100
  Labels:      [0, 1, 2, 3, 4, 5, 6, 7, <<88>>, 96, 97, 98, 99]
  Form:        Index
  Dimensions:  []
  Multilabel:  False"""
    )
    assert text(NetDecoder("Boolean")).splitlines()[:3] == ["NetDecoder", "  Type:        Boolean", "  Input:       real"]


def test_names_with_line_breaks_and_great_length() -> None:
    net = NetChain({"a\nb" * 60: EmbeddingLayer(3), "c" * 300: Ramp}, Input=Restricted("Integer", 3))
    assert all(len(line) <= 80 for line in text(net).splitlines())
    assert len(text(net).splitlines()) == 10


@pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
def test_specimens_fit_in_80_columns(specimen: Specimen) -> None:
    for net in (specimen.make(), initialized(specimen)):
        shown = text(net)
        assert shown == text(net) == str(net)
        assert all(len(line) <= 80 and line == line.rstrip() for line in shown.splitlines())
        assert shown.isascii()
        assert shown.startswith(net.title())
        assert ("(uninitialized)" in shown.splitlines()[0]) is not net.initialized


@pytest.mark.parametrize("coder", CODERS, ids=str)
def test_coders_fit_in_80_columns(coder: Coder) -> None:
    shown = text(coder.make())
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert f"Type: {' ' * 1}" in shown.splitlines()[1]
