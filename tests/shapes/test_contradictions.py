"""Sizes that contradict each other: the words of the messages, all of them at once."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    Automatic,
    BatchNormalizationLayer,
    CatenateLayer,
    ConvolutionLayer,
    CrossEntropyLossLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    FlattenLayer,
    FunctionLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetChain,
    NetGraph,
    NetMapOperator,
    Plus,
    PoolingLayer,
    Ramp,
    ReshapeLayer,
    Restricted,
    SoftmaxLayer,
)
from netdsl.errors import ShapeError


def message(make):
    with pytest.raises(ShapeError) as caught:
        _ = make().solved
    assert caught.value.__cause__ is None
    return str(caught.value)


def linear(outputs, inputs):
    return LinearLayer(outputs, Weights=np.zeros((outputs, inputs)))


GOLDEN = {
    "the model": (
        lambda: NetChain([LinearLayer(4), LinearLayer(10), linear(2, 7)], Input=3),
        "cannot connect element 2 to element 3 of this NetChain.\n"
        "  element 2, LinearLayer  gives  a vector of size 10  (output size 10, set in LinearLayer(10))\n"
        "  element 3, LinearLayer  takes  a vector of size 7   (from its Weights, float32[2, 7])\n"
        "Change the size of element 2 to 7, or drop the Weights of element 3.",
    ),
    "a declared output": (
        lambda: NetChain([3, 2], Input=4, Output=5),
        "cannot connect element 2 to the Output port of this NetChain.\n"
        "  element 2, LinearLayer  gives  a vector of size 2  (output size 2, set in LinearLayer(2))\n"
        "  the Output port         takes  a vector of size 5  (declared)\n"
        "Change the size of element 2 to 5, or change the declared Output.",
    ),
    "by name and nested": (
        lambda: NetChain({"a": [Ramp, 3], "b": {"c": linear(2, 4)}}),
        "cannot connect layer 'a/2' to layer 'b/c' of this NetChain.\n"
        "  layer 'a/2', LinearLayer  gives  a vector of size 3  (output size 3, set in LinearLayer(3))\n"
        "  layer 'b/c', LinearLayer  takes  a vector of size 4  (from its Weights, float32[2, 4])\n"
        "Change the size of layer 'a/2' to 4, or drop the Weights of layer 'b/c'.",
    ),
    "reals where integers are needed": (
        lambda: NetChain([Ramp, EmbeddingLayer(2, 5)], Input=3),
        "cannot connect element 1 to element 2 of this NetChain.\n"
        "  element 1, ElementwiseLayer  gives  real numbers                                   "
        "(what ElementwiseLayer(Ramp) makes of a vector of size 3)\n"
        "  element 2, EmbeddingLayer    takes  integers from 1 to 5, in an array of any rank  (set in EmbeddingLayer(2, 5))\n"
        "Change element 1, or change element 2.",
    ),
    "a kernel too large": (
        lambda: NetChain([ConvolutionLayer(2, 5)], Input=[1, 4, 4]),
        "element 1, ConvolutionLayer(2, 5), cannot take its Input: it has a kernel that reaches over 5 elements "
        "where there are 4: the "
        "output size would be less than 1. Given is an array of size 1x4x4, from the port 'Input' of this NetChain.",
    ),
    "equal sizes at a sum": (
        lambda: NetGraph([Ramp, Ramp, Plus], [([1, 2], 3)], Input1=[2, 3], Input2=[2, 4]),
        "element 3, ThreadingLayer(Plus), needs equal sizes where 3 and 4 meet.\n"
        "  its Input1  is  a matrix of size 2x3  (element 1: what ElementwiseLayer(Ramp) makes of a matrix of size 2x3)\n"
        "  its Input2  is  a matrix of size 2x4  (element 2: what ElementwiseLayer(Ramp) makes of a matrix of size 2x4)\n"
        "Change element 1, or change element 2.",
    ),
    "a reshape that does not divide": (
        lambda: NetChain([ReshapeLayer([3, Automatic])], Input=[4, 2]),
        "element 1, ReshapeLayer([3, Automatic]), cannot take its Input: it needs a multiple of 3 elements where its "
        "input has 8. Given is "
        "a matrix of size 4x2, from the port 'Input' of this NetChain.",
    ),
    "a varying length": (
        lambda: NetChain([FlattenLayer()], Input=["Varying", 3]),
        "element 1, FlattenLayer(), cannot take its Input: it joins a varying level with others; only levels "
        "of fixed size can be joined. "
        "Given is a matrix of size nx3, from the port 'Input' of this NetChain.",
    ),
    "inside an operator": (
        lambda: NetChain([Ramp, NetMapOperator(linear(3, 4))], Input=[5, 6]),
        "element 2, NetMapOperator(), cannot apply its net to each element:\n"
        "  the Input port of this LinearLayer does not fit the layer.\n"
        "    the Input port          gives  a vector of size 6  (one element)\n"
        "    the layer, LinearLayer  takes  a vector of size 4  (from its Weights, float32[3, 4])\n"
        "  Change the Input of the operator, or drop the Weights of the layer.",
    ),
    "classes": (
        lambda: NetGraph({"loss": CrossEntropyLossLayer("Index")}, [], Ports={"Input": 4, "Target": Restricted("Integer", 3)}),
        "layer 'loss', CrossEntropyLossLayer('Index'), needs equal sizes where 4 and 3 meet.\n"
        "  its Input   is  a vector of size 4 of real numbers  (the Input port: declared)\n"
        "  its Target  is  an integer from 1 to 3              (the Target port: declared)\n"
        "Change the declared Input, or change the declared Target.",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_messages(name):
    make, text = GOLDEN[name]
    assert message(make) == text


def test_every_contradiction_once_in_one_message():
    text = message(lambda: NetChain([LinearLayer(10), linear(3, 7), LinearLayer(10), linear(4, 5)]))
    assert text.count("cannot connect") == 2
    assert "element 1 to element 2" in text
    assert "element 3 to element 4" in text


def test_a_long_chain_of_contradictions_is_one_message():
    layers = [linear(3, 4)] * 100
    assert message(lambda: NetChain(layers)).count("cannot connect") == 99


WRONG = {
    "elementwise": (lambda: ElementwiseLayer(Ramp, Input=3, Output=4), "needs equal sizes where 3 and 4 meet"),
    "kernel": (lambda: ConvolutionLayer(2, [5], Input=[1, 4, 4]), "takes  a matrix of size"),
    "pooling": (lambda: PoolingLayer(2, Input=4), "takes an array of rank 2 to 4: a channel and 1 to 3 dimensions"),
    "groups": (
        lambda: ConvolutionLayer(2, 1, ChannelGroups=2, Input=[3, 4, 4]),
        "ChannelGroups 2, which does not divide the 3 channels",
    ),
    "scaling": (lambda: BatchNormalizationLayer(Scaling=[1.0, 2.0], Input=[3, 4]), "needs equal sizes where 3 and 2 meet"),
    "level": (lambda: SoftmaxLayer(3, Input=[2, 2]), "normalizes level 3, which an array of rank 2 does not have"),
    "biases": (lambda: LinearLayer(3, Biases=[1.0, 2.0], Input=4), "the array Biases of the layer, LinearLayer.3., does not fit"),
    "varying": (lambda: LinearLayer(3, Input=["Varying", 2]), "NetMapOperator.LinearLayer.n.. takes a sequence"),
    "map": (lambda: NetMapOperator(linear(3, 4), Input=[5, 6]), "cannot apply its net to each element:"),
    "map a number": (lambda: NetMapOperator(Ramp, Input="Real"), "maps over level 1, which a single number does not have"),
    "map of varying": (
        lambda: NetMapOperator(LongShortTermMemoryLayer(2, Input=["Varying", 3])),
        "would have an Input of varying size at level 2; only level 1 of a port can vary",
    ),
    "catenate": (lambda: CatenateLayer(InputPorts=2, Input1=[2, 3], Input2=[2, 4]), "needs equal sizes where 3 and 4 meet"),
    "catenate level": (lambda: CatenateLayer(2, InputPorts=2, Input1=3, Input2=3), "joins level 2 of arrays that have 1"),
    "function": (lambda: FunctionLayer(lambda x: x @ x, Input=[2, 3]), r"cannot run its function on \[2, 3\]: "),
    "function, elements": (
        lambda: FunctionLayer(lambda x: x[0], Varying="elementwise", Input=["Varying", 3]),
        "one element for each",
    ),
    "function, varying": (lambda: FunctionLayer(lambda x: x, Input=["Varying", 3]), "does not take sequences of varying length"),
    "embedding from 0": (
        lambda: EmbeddingLayer(3, Input=Restricted("Integer", [0, 3])),
        "takes integers that count from 1, not from 0",
    ),
    "embedding": (lambda: EmbeddingLayer(3, 4, Input=Restricted("Integer", 7)), "integer"),
}


@pytest.mark.parametrize("name", WRONG)
def test_contradictions_at_one_layer_are_refused_when_it_is_made(name):
    make, words = WRONG[name]
    with pytest.raises(ShapeError, match=words):
        make()
