"""Lengths that are made of others: sums and minima, checked wherever sequences of equal length meet."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    CatenateLayer,
    LinearLayer,
    MeanSquaredLossLayer,
    NetBidirectionalOperator,
    NetChain,
    NetGraph,
    NetMapOperator,
    NetNestOperator,
    NetPort,
    NetPortGradient,
    NetTrain,
    OrderingLayer,
    Plus,
    SequenceMostLayer,
    SequenceRestLayer,
    Tanh,
)
from netdsl.errors import EncodingError, ShapeError

X, Y, Z, W = map(NetPort, "XYZW")


def refused(net, data, message):
    with pytest.raises(EncodingError) as caught:
        net(data)
    assert str(caught.value) == message


def test_a_joined_sequence_meets_a_third():
    net = NetGraph(
        {"join": CatenateLayer(), "add": Plus},
        [([X, Y], "join"), (["join", Z], "add")],
        **dict.fromkeys("XYZ", "Varying"),
    )
    x, y = [1.0, 2.0], [3.0, 4.0, 5.0]
    assert net({"X": x, "Y": y, "Z": [10.0] * 5}).tolist() == [11.0, 12.0, 13.0, 14.0, 15.0]
    start = "The ports 'X', 'Y' and 'Z' of this NetGraph take sequences of lengths that fit. Got lengths "
    refused(net, {"X": x, "Y": y, "Z": [10.0] * 6}, start + "2, 3 and 6, where 5 fits.")
    refused(net, {"X": [x, [1.0]], "Y": [y, [1.0]], "Z": [[1.0] * 5, [1.0]]}, start + "1, 1 and 1 in example 2, where 2 fits.")


def test_a_joined_sequence_meets_another():
    net = NetGraph(
        {"one": CatenateLayer(), "two": CatenateLayer(), "add": Plus},
        [([X, Y], "one"), ([Z, W], "two"), (["one", "two"], "add")],
        **dict.fromkeys("XYZW", "Varying"),
    )
    assert net({"X": [1.0, 2.0], "Y": [3.0], "Z": [1.0], "W": [1.0, 1.0]}).tolist() == [2.0, 3.0, 4.0]
    assert (
        net({"X": [1.0] * 5, "Y": [3.0] * 3, "Z": [1.0] * 4, "W": [1.0] * 4}).tolist() == [2.0] * 5 + [4.0] * 3
    )  # otherwise padded
    refused(
        net,
        {"X": [1.0, 2.0], "Y": [3.0], "Z": [1.0], "W": [1.0] * 3},
        "The ports 'W', 'Z', 'X' and 'Y' of this NetGraph take sequences of lengths that fit. Got lengths 3, 1, 2 and 1, so that lengths "
        "4 and 3 meet, which must be equal.",
    )


def test_a_joined_sequence_is_as_long_as_its_parts_are():
    net = NetGraph(
        {"rest": SequenceRestLayer(), "one": CatenateLayer(), "two": CatenateLayer(), "add": Plus},
        [(X, "rest"), ([X, X], "one"), ([X, "rest"], "two"), (["one", "two"], "add")],
        X="Varying",
    )
    refused(
        net,
        [1.0, 2.0, 3.0],
        "The port 'X' of this NetGraph takes sequences of lengths that fit. Got length 3, so that lengths 5 and 6 meet, "
        "which must be equal.",
    )
    shorter = NetGraph(
        {
            "rest": SequenceRestLayer(),
            "one": CatenateLayer(),
            "most": SequenceMostLayer(),
            "two": CatenateLayer(),
            "add": Plus,
        },
        [(X, "rest"), ([X, X], "one", "most"), ([X, "rest"], "two"), (["most", "two"], "add")],
        X="Varying",
    )
    assert shorter([1.0, 2.0, 3.0]).tolist() == [2.0, 4.0, 6.0, 3.0, 5.0]


def test_a_sequence_joined_with_one_of_fixed_size():
    net = NetGraph(
        {"join": CatenateLayer(), "rest": SequenceRestLayer(), "add": Plus},
        [([X, Y], "join", "rest"), (["rest", X], "add")],
        X="Varying",
        Y=1,
    )
    assert net({"X": [1.0, 2.0], "Y": [7.0]}).tolist() == [3.0, 9.0]
    with pytest.raises(ShapeError, match=r"needs equal lengths where n\+1 and n meet"):
        NetGraph(
            {"join": CatenateLayer(), "add": Plus},
            [([X, Y], "join"), (["join", X], "add")],
            X="Varying",
            Y=1,
        )


def test_the_first_positions_are_at_most_so_many():
    net = NetGraph({"order": OrderingLayer(3), "add": Plus}, [(X, "order"), (["order", Z], "add")], X="Varying", Z="Varying")
    assert net({"X": [3.0, 1.0], "Z": [0.5, 0.5]}).tolist() == [2.5, 1.5]
    refused(
        net,
        {"X": [3.0, 1.0, 2.0, 4.0], "Z": [0.5] * 4},
        "The ports 'X' and 'Z' of this NetGraph take sequences of lengths that fit. Got lengths 4 and 4, where 3 fits.",
    )
    same = NetGraph({"order": OrderingLayer(3), "add": Plus}, [(X, "order"), (["order", X], "add")], X="Varying")
    assert same([3.0, 1.0]).tolist() == [5.0, 2.0]
    refused(
        same,
        [3.0, 1.0, 2.0, 4.0],
        "The port 'X' of this NetGraph takes sequences of lengths that fit. Got length 4, so that lengths 4 and 3 meet, "
        "which must be equal.",
    )


def test_a_sequence_that_is_made_is_too_short():
    net = NetChain([OrderingLayer(3), SequenceRestLayer(), SequenceRestLayer()], Input="Varying")
    assert net([1.0, 2.0, 3.0]).tolist() == [3]
    short = "so that one of length 1 is too short for element 3: it takes sequences of 2 elements or more."
    refused(net, [1.0, 2.0], f"The port 'Input' got a sequence of length 2, {short}")
    join = NetChain([CatenateLayer(InputPorts=["X", "Y"]), *[SequenceRestLayer()] * 2], X="Varying", Y="Varying")
    assert join({"X": [1.0, 2.0], "Y": [3.0]}).tolist() == [3.0]
    refused(join, {"X": [1.0], "Y": [3.0]}, f"The ports 'X' and 'Y' got sequences of lengths 1 and 1, {short}")


def test_lengths_in_the_nets_of_an_operator_are_their_own():
    inner = NetChain([Tanh], Input=["Varying", 1])
    nest = NetNestOperator(inner, 2)
    both = NetBidirectionalOperator([inner, inner])
    for operator in (nest, both, NetNestOperator(NetNestOperator(inner, 1), 2)):
        net = NetGraph(
            {"one": operator, "two": operator, "three": Tanh},
            [(X, "one", NetPort("A")), (Y, "two", NetPort("B")), (NetPort("Input"), "three", NetPort("C"))],
            Input=["Varying", 1],
        )
        x, y, z = np.ones((3, 1)), np.ones((1, 1)), np.ones((2, 1))
        assert [len(made) for made in net({"X": x, "Y": y, "Input": z}).values()] == [3, 1, 2]
    added = NetGraph({"one": nest, "two": both, "add": Plus}, [(X, "one"), (X, "two"), (["one", Z], "add")], Z=["Varying", 1])
    assert len(added({"X": np.ones((3, 1)), "Z": np.ones((3, 1))})["Output1"]) == 3
    with pytest.raises(EncodingError, match=r"take sequences of equal length\. Got lengths 3 and 2"):
        added({"X": np.ones((3, 1)), "Z": np.ones((2, 1))})


def test_lengths_that_meet_in_the_net_of_an_operator():
    same = NetGraph({"order": OrderingLayer(3), "add": Plus}, [(X, "order"), (["order", X], "add")])
    net = NetNestOperator(same, 2, Input="Varying")
    assert net([3.0, 1.0]).shape == (2,)
    with pytest.raises(EncodingError, match=r"Got length 4, so that lengths 4 and 3 meet, which must be equal\."):
        net([3.0, 1.0, 2.0, 4.0])


def test_the_target_of_a_joined_sequence():
    loss = NetGraph(
        {"join": CatenateLayer(), "loss": MeanSquaredLossLayer()},
        [([X, Y], "join", NetPort("loss", "Input"))],
        X="Varying",
        Y="Varying",
    )
    assert loss({"X": [1.0, 2.0], "Y": [3.0], "Target": [1.0, 2.0, 6.0]}) == 3.0
    with pytest.raises(EncodingError, match=r"'X', 'Y' and 'Target' .* Got lengths 2, 1 and 2, where 3 fits\."):
        loss({"X": [1.0, 2.0], "Y": [3.0], "Target": [1.0, 2.0]})
    net = NetGraph(
        {"map": NetMapOperator(LinearLayer([])), "join": CatenateLayer()},
        [(X, "map"), (["map", Y], "join")],
        X=["Varying", 2],
        Y="Varying",
    )
    data = {"X": [np.ones((2, 2))] * 2, "Y": [np.ones(3)] * 2, "Output": [np.ones(5), np.ones(6)]}
    with pytest.raises(EncodingError, match=r"'X', 'Y' and 'Output' .* Got lengths 2, 3 and 6 in example 2, where 5 fits\."):
        NetTrain(net, data, MaxTrainingRounds=1, TrainingProgressReporting=None)


def test_the_gradient_of_a_joined_sequence():
    net = CatenateLayer(InputPorts=["X", "Y"], X="Varying", Y="Varying")
    data = {"X": [1.0, 2.0], "Y": [3.0]}
    assert net({**data, NetPortGradient("Output"): [1.0, 2.0, 3.0]}, NetPortGradient("Y")).tolist() == [3.0]
    with pytest.raises(EncodingError, match=r"Got lengths 2, 1 and 2, where 3 fits\."):
        net({**data, NetPortGradient("Output"): [1.0, 2.0]}, NetPortGradient("Y"))
