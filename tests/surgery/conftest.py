"""Nets that the tests of surgery cut up, and what they must not change."""

import numpy as np
import pytest

from netdsl import (
    CrossEntropyLossLayer,
    FlattenLayer,
    LinearLayer,
    NetArray,
    NetChain,
    NetDecoder,
    NetEncoder,
    NetGraph,
    NetInitialize,
    NetPort,
    Plus,
    Ramp,
    SoftmaxLayer,
    Tanh,
)


@pytest.fixture
def bits():
    """Every array of a net, with its bytes."""

    def listed(net):
        table = net.array_table()
        return {path: np.asarray(value).tobytes() if hasattr(value, "dtype") else value for path, value in table.items()}

    return listed


@pytest.fixture
def classifier():
    """An initialized chain with names, an encoder and a decoder."""
    return NetInitialize(
        NetChain(
            {"flat": FlattenLayer(), "hidden": LinearLayer(5), "act": Ramp, "out": LinearLayer(3), "prob": SoftmaxLayer()},
            Input=NetEncoder("Image", [4, 4], ColorSpace="Grayscale"),
            Output=NetDecoder("Class", ["a", "b", "c"]),
        )
    )


@pytest.fixture
def chain():
    """An initialized chain without names: 4 -> 6 -> 6 -> 2."""
    return NetInitialize(NetChain([6, Ramp, 2], Input=4))


@pytest.fixture
def graph():
    """An initialized graph: one layer, two ways, their sum, an output layer."""
    return NetInitialize(
        NetGraph(
            {"a": 5, "b": Ramp, "c": Tanh, "sum": Plus, "out": 2},
            [("a", "b"), ("a", "c"), (["b", "c"], "sum"), ("sum", "out")],
            Input=3,
        )
    )


@pytest.fixture
def training_net(classifier):
    """The classifier with its loss."""
    return NetGraph(
        {"net": classifier, "loss": CrossEntropyLossLayer("Index")}, [NetPort("Input") >> "net" >> NetPort("loss", "Input")]
    )


@pytest.fixture
def tied():
    """Two layers with one shared matrix, and one without."""
    layer = LinearLayer(3, Weights=NetArray("w"))
    return NetInitialize(NetChain({"one": layer, "two": layer, "last": 2}, Input=3))
