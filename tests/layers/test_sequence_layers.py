"""Layers along a sequence, against NumPy; and lengths that differ by a number."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from netdsl import (
    AppendLayer,
    EmbeddingLayer,
    Export,
    Import,
    MeanSquaredLossLayer,
    NetChain,
    NetExtract,
    NetGraph,
    NetInitialize,
    NetMapOperator,
    NetPort,
    NetTrain,
    Plus,
    Ramp,
    Restricted,
    SequenceIndicesLayer,
    SequenceLastLayer,
    SequenceMostLayer,
    SequenceRestLayer,
    SequenceReverseLayer,
    Tanh,
)
from netdsl.errors import EncodingError, ShapeError
from netdsl.nets import Sequence
from netdsl.shapes import Length

RNG = np.random.default_rng(4)
X = RNG.normal(size=(5, 2)).astype(np.float32)
SEQUENCES = [X[:2], X, X[:3]]

FORMULAS = {
    SequenceLastLayer: lambda x: x[-1],
    SequenceMostLayer: lambda x: x[:-1],
    SequenceRestLayer: lambda x: x[1:],
    SequenceReverseLayer: lambda x: x[::-1],
    SequenceIndicesLayer: lambda x: np.arange(1, len(x) + 1),
}


@pytest.mark.parametrize("cls", FORMULAS)
def test_formulas(cls):
    np.testing.assert_array_equal(cls(Input=[5, 2])(X), FORMULAS[cls](X))
    for made, x in zip(cls(Input=["Varying", 2])(SEQUENCES), SEQUENCES, strict=True):
        np.testing.assert_array_equal(made, FORMULAS[cls](x))


@pytest.mark.parametrize("cls", [cls for cls in FORMULAS if cls is not SequenceLastLayer])
def test_padding_repeats_the_last_real_element(cls):
    net = cls(Input=["Varying", 2])
    padded = np.concatenate([X[:3], np.repeat(X[2:3], 4, axis=0)])
    made, _ = net.function()({}, {}, Sequence(padded[None], np.array([3], np.int32)))
    data, length = np.asarray(made.data[0]), int(made.length[0])
    assert length == len(FORMULAS[cls](X[:3]))
    assert all(np.array_equal(row, data[length - 1]) for row in data[length:])


def test_indices_up_to_a_maximum():
    layer = SequenceIndicesLayer(Maximum=3, Input=["Varying", 2])
    assert [made.tolist() for made in layer(SEQUENCES)] == [[1, 2], [1, 2, 3, 3, 3], [1, 2, 3]]
    assert layer.port_type("Output").elements[1:] == (1, 3)
    embedded = NetChain([SequenceIndicesLayer(Maximum=3), EmbeddingLayer(2)], Input=["Varying", 2])
    assert embedded.solved.arrays["2", "Weights"].sizes == (3, 2)
    assert NetChain([SequenceIndicesLayer(), EmbeddingLayer(2, 9)], Input=[4, 2]).port_type("Output").sizes == (4, 2)


@pytest.mark.parametrize("cls", [SequenceMostLayer, SequenceRestLayer])
def test_one_element_less(cls):
    assert cls(Output=[3, 2]).port_type("Input").sizes == (4, 2)
    assert cls(Input=[4, "Integer"]).port_type("Output").integer
    varying = cls(Input=["Varying", 2])
    assert varying.port_type("Output").sizes == (Length("Input", ((-1, 1),)), 2)
    assert cls(Output=["Varying", 2]).port_type("Input").sizes == (Length("Output+1"), 2)
    with pytest.raises(ShapeError, match="needs a size of 2 or more where 1 is given"):
        cls(Input=[1, 2])
    with pytest.raises(ShapeError, match="takes an array of rank 1 or more"):
        cls(Input="Real")
    with pytest.raises(ShapeError, match="takes  a vector of size 4"):
        cls(Input=4, Output=4)
    with pytest.raises(EncodingError, match=r"port 'Input' got .* of length 1, .* takes sequences of 2 elements or more\."):
        varying(X[:1])
    with pytest.raises(EncodingError, match=r"of length 1 in example 2"):
        varying([X, X[:1]])


def test_several_layers_need_longer_sequences():
    net = NetChain([SequenceMostLayer(), Ramp, SequenceRestLayer(), SequenceMostLayer()], Input=["Varying", 2])
    np.testing.assert_array_equal(net(X), np.maximum(X[1:-2], 0))
    with pytest.raises(EncodingError, match=r"of length 3 in example 3, .* takes sequences of 4 elements or more\."):
        net(SEQUENCES[1:2] * 2 + SEQUENCES[2:])


def ends(**ports):
    """A graph that adds what is left of `a` without its last element to `b` with one more."""
    return NetGraph(
        {"most": SequenceMostLayer(), "append": AppendLayer(), "sum": Plus},
        [(NetPort("a"), "most"), (NetPort("b"), NetPort("append", "Input")), (["most", "append"], "sum")],
        **ports,
    )


@pytest.mark.parametrize("lengths", [(3,), (3, 6, 4), (9, 3, 5), (17, 3)])
def test_lengths_that_differ_by_two(lengths):
    net = ends(a=["Varying", 2], b=["Varying", 2])
    a = [RNG.normal(size=(n, 2)).astype(np.float32) for n in lengths]
    b = [RNG.normal(size=(n - 2, 2)).astype(np.float32) for n in lengths]
    element = [np.float32([1, 2])] * len(a)
    for made, x, y in zip(net({"a": a, "b": b, "Element": element}), a, b, strict=True):
        np.testing.assert_allclose(made, x[:-1] + np.concatenate([y, [[1, 2]]]), rtol=1e-6)


def test_lengths_that_do_not_agree():
    net = ends(a=["Varying", 2], b=["Varying", 2])
    with pytest.raises(EncodingError, match="take sequences of lengths that fit"):
        net({"a": X, "b": X, "Element": [1.0, 2.0]})
    with pytest.raises(EncodingError, match="lengths 3 and 2, where 5 fits"):
        net({"a": X[:2], "b": X[:3], "Element": [1.0, 2.0]})


def test_a_sequence_and_what_is_left_of_it_do_not_add():
    with pytest.raises(ShapeError, match="needs equal lengths where n and n-1 meet"):
        NetGraph([Ramp, SequenceMostLayer(), Plus], [(NetPort("x"), [1, 2]), ([1, 2], 3)], x=["Varying", 2])
    with pytest.raises(ShapeError, match=r"of size nx2 .*\n.* of size n-1x2"):
        NetGraph(
            {"sum": Plus, "most": SequenceMostLayer(), "other": Plus},
            [([NetPort("x"), NetPort("y")], "sum"), (NetPort("x"), "most"), (["most", NetPort("y")], "other")],
            x=["Varying", 2],
            y=["Varying", 2],
        )


def test_the_parts_of_a_net_keep_their_lengths(tmp_path):
    net = NetChain([SequenceMostLayer(), Tanh, SequenceRestLayer()], Input=["Varying", 2])
    assert net.port_type("Output").sizes == (Length("Input", ((-2, 1),)), 2)
    part = NetExtract(net, 3)
    assert part.port_type("Input").varying
    np.testing.assert_array_equal(part(X), X[1:])
    pinned = net.rebuilt(ports=type(net.ports)({port: net.port_type(port) for port in ("Input", "Output")}))
    Export(tmp_path / "net.netdsl", pinned)
    assert Import(tmp_path / "net.netdsl") == pinned


def test_training_on_what_comes_next():
    net = NetGraph(
        {"most": SequenceMostLayer(), "net": NetMapOperator([2]), "rest": SequenceRestLayer(), "loss": MeanSquaredLossLayer()},
        [(NetPort("x"), ["most", "rest"]), ("most", "net", NetPort("loss", "Input")), ("rest", NetPort("loss", "Target"))],
        x=["Varying", 2],
    )
    options = {"MaxTrainingRounds": 2, "TrainingProgressReporting": None}
    assert NetTrain(net, {"x": SEQUENCES * 4}, **options).initialized
    with pytest.raises(EncodingError, match=r"of length 1 in example 2, .* takes sequences of 2 elements or more"):
        NetTrain(net, {"x": [X, X[:1]]}, **options)


@pytest.mark.parametrize("shorter", [3, 4])
def test_training_with_targets_one_shorter(shorter):
    """The padded lengths of the two columns differ by 1 too."""
    net = NetChain([SequenceMostLayer(), NetMapOperator([2])], Input=["Varying", 2])
    data = {"Input": [X[: shorter + 1], X[:2]], "Output": [X[:shorter], X[:1]]}
    trained = NetTrain(NetInitialize(net), data, MaxTrainingRounds=2, TrainingProgressReporting=None)
    assert trained(X).shape == (4, 2)
    with pytest.raises(
        EncodingError, match=r"take sequences of lengths that fit\. Got lengths 5 and 5 in example 1, where 4 fits"
    ):
        NetTrain(net, {"Input": [X], "Output": [X]}, MaxTrainingRounds=2, TrainingProgressReporting=None)


def test_classes_stay_classes():
    for cls in (SequenceMostLayer, SequenceRestLayer, SequenceReverseLayer):
        layer = cls(Input=["Varying", Restricted("Integer", 4)])
        assert layer.port_type("Output").elements[1:] == (1, 4)
        assert layer([1, 4, 2]).dtype == np.int32


def test_gradients_reach_only_what_is_taken():
    function = SequenceMostLayer(Input=["Varying", 2]).function()
    data = np.repeat(X[None, :4], 2, axis=0)

    def total(x):
        made, _ = function({}, {}, Sequence(x, np.array([4, 3], np.int32)))
        return sum(made.data[i, : n - 1].sum() for i, n in enumerate((4, 3)))

    expected = np.zeros((2, 4, 2))
    expected[0, :3], expected[1, :2] = 1, 1
    np.testing.assert_array_equal(jax.grad(total)(data), expected)
