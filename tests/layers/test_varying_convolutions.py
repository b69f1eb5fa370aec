"""Convolution and pooling of sequences: each gives what it gives for an array of its own length, and lengths follow."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    ConvolutionLayer,
    FunctionLayer,
    Max,
    Mean,
    MeanSquaredLossLayer,
    NetChain,
    NetGraph,
    NetInitialize,
    NetPort,
    NetTrain,
    Plus,
    PoolingLayer,
    SequenceLastLayer,
    Total,
)
from netdsl.errors import EncodingError, ShapeError
from netdsl.layers import convolution
from netdsl.nets import Sequence
from netdsl.shapes import Length

RNG = np.random.default_rng(0)
LENGTHS = (5, 3, 7, 4)

CASES = {
    "valid": ([3], {}),
    "padded": ([3], {"PaddingSize": 1}),
    "padded beyond the kernel": ([2], {"PaddingSize": [[3, 4]]}),
    "in steps": ([2], {"Stride": 3, "PaddingSize": [[1, 0]]}),
    "steps without padding": ([3], {"Stride": 2}),
    "same": ([4], {"PaddingSize": "Same"}),
    "same, in steps": ([3], {"Stride": 2, "PaddingSize": "Same"}),
    "same, steps of three": ([5], {"Stride": 3, "PaddingSize": "Same"}),
    "same, steps longer than the kernel": ([1], {"Stride": 2, "PaddingSize": "Same"}),
}


def each_by_itself(layer, sequences):
    """A layer over sequences, and over each as an array of its length."""
    return zip(
        layer.changed(Ports={"Input": ["Varying", *sequences[0].shape[1:]]})(sequences),
        [layer.changed(Ports={"Input": list(x.shape)})(x) for x in sequences],
        strict=True,
    )


@pytest.mark.parametrize("case", CASES)
def test_convolution(case):
    kernel, options = CASES[case]
    layer = ConvolutionLayer(
        4,
        kernel,
        ChannelGroups=2,
        Weights=RNG.normal(size=(4, 1, *kernel)),
        Biases=RNG.normal(size=4),
        Interleaving=True,
        **options,
    )
    for made, expected in each_by_itself(layer, [RNG.normal(size=(n, 2)) for n in LENGTHS]):
        assert made.shape == expected.shape
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


def test_dilated_convolution():
    layer = ConvolutionLayer(1, [2], Dilation=2, Stride=2, Weights=[[[1, 10]]], Biases=None, Interleaving=True)
    for made, expected in each_by_itself(layer, [RNG.normal(size=(n, 1)) for n in LENGTHS]):
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


def test_convolution_of_several_dimensions():
    layer = ConvolutionLayer(
        2, [2, 3], Stride=[1, 2], PaddingSize="Same", Weights=RNG.normal(size=(2, 1, 2, 3)), Biases=None, Interleaving=True
    )
    for made, expected in each_by_itself(layer, [RNG.normal(size=(n, 4, 1)) for n in LENGTHS]):
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


POOLED = ("padded", "in steps", "steps without padding", "same, in steps")


def pooling(case, function):
    kernel, options = CASES[case]
    padding = options.get("PaddingSize", 0)
    return PoolingLayer(kernel, options.get("Stride", 1), Function=function, PaddingSize=padding, Interleaving=True)


@pytest.mark.parametrize("function", [Max, Mean, Total], ids=repr)
@pytest.mark.parametrize("case", POOLED)
def test_pooling(case, function):
    for made, expected in each_by_itself(pooling(case, function), [RNG.normal(size=(n, 2)) - 3 for n in LENGTHS]):
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", POOLED)
def test_a_mean_that_does_not_count_padding(case, monkeypatch):
    monkeypatch.setattr(convolution, "MEAN_COUNTS_PADDING", False)
    layer = pooling(case, Mean)
    for length in LENGTHS:
        x = np.float32(RNG.normal(size=(length + 3, 2)))
        y = layer.apply(None, Sequence(x, length))
        np.testing.assert_allclose(y.data[: int(y.length)], layer.apply(None, x[:length]), rtol=1e-4, atol=1e-5)


def test_padding_repeats_the_last_element():
    layer = PoolingLayer([2], 2, Interleaving=True)
    y = layer.apply(None, Sequence(np.array([[1.0], [2.0], [3.0], [4.0], [4.0], [4.0], [4.0]]), 4))
    assert y.data.tolist() == [[2.0], [4.0], [4.0]]
    assert y.length == 2


def lengths_of(net):
    return [net.port_type(port).sizes[0] for port in (*net.input_names, *net.output_names)]


def test_lengths_follow():
    inside, outside = lengths_of(ConvolutionLayer(2, [3], Interleaving=True, Input=["Varying", 2]))
    assert [outside.value({inside: n}) for n in (3, 4, 9)] == [1, 2, 7]
    assert outside.name == inside.name
    inside, outside = lengths_of(ConvolutionLayer(2, [3], PaddingSize=1, Interleaving=True, Input=["Varying", 2]))
    assert inside == outside
    inside, outside = lengths_of(ConvolutionLayer(2, [3], PaddingSize="Same", Interleaving=True, Output=["Varying", 2]))
    assert inside == outside
    inside, outside = lengths_of(ConvolutionLayer(2, [3], Interleaving=True, Output=["Varying", 2]))
    assert not inside.steps
    assert outside == inside.then(-2)
    chain = NetChain(
        [
            ConvolutionLayer(2, [2], Interleaving=True),
            PoolingLayer([2], 2, Interleaving=True),
            PoolingLayer([1], 2, Interleaving=True),
        ],
        Input=["Varying", 2],
    )
    inside, outside = lengths_of(chain)
    assert [outside.value({inside: n}) for n in (3, 5, 6, 7)] == [1, 1, 1, 2]
    there_and_back = NetChain(
        [ConvolutionLayer(2, [2], PaddingSize=1, Interleaving=True), PoolingLayer([2], Interleaving=True)], Input=["Varying", 2]
    )
    assert len(set(lengths_of(there_and_back))) == 1
    assert Length("n").then(-2).then(3).then(1, 2).then(-1) == Length("n", ((2, 2), (-1, 1)))


def test_a_convolution_in_a_chain_ends_with_its_last_element():
    weights = RNG.normal(size=(2, 3, 2))
    layer = ConvolutionLayer(2, [2], Weights=weights, Biases=None, Interleaving=True)
    net = NetChain([layer, SequenceLastLayer()], Input=["Varying", 3])
    sequences = [RNG.normal(size=(n, 3)) for n in LENGTHS]
    np.testing.assert_allclose(net(sequences), [np.einsum("oik,ki->o", weights, x[-2:]) for x in sequences], rtol=1e-4, atol=1e-5)


def test_sequences_that_are_too_short():
    net = NetInitialize(
        NetChain([ConvolutionLayer(2, [3], Interleaving=True), PoolingLayer([3], Interleaving=True)], Input=["Varying", 2])
    )
    assert net(np.ones((5, 2))).shape == (1, 2)
    with pytest.raises(
        EncodingError, match=r"port 'Input' got a sequence of length 4 in example 2, which is too short for element 2"
    ):
        net([np.ones((5, 2)), np.ones((4, 2))])
    with pytest.raises(EncodingError, match=r"got a sequence of length 2, which is too short for element 1"):
        net(np.ones((2, 2)))


def added(**options):
    return NetGraph(
        {"a": ConvolutionLayer(1, [2], Interleaving=True, **options), "sum": Plus},
        [(NetPort("X"), "a"), (["a", NetPort("Y")], "sum")],
        X=["Varying", 1],
        Y=["Varying", 1],
    )


@pytest.mark.parametrize("options", [{"PaddingSize": [[0, 0]]}, {"Stride": 2}], ids=str)
def test_the_lengths_of_two_inputs_must_fit(options):
    net = NetInitialize(added(**options))
    x, y = np.ones((6, 1)), np.ones((5 if options.get("Stride", 1) == 1 else 3, 1))
    assert net({"X": x, "Y": y}).shape == y.shape
    with pytest.raises(
        EncodingError, match=rf"The ports 'X' and 'Y' .* lengths that fit. Got lengths 6 and 6, where {len(y)} fits"
    ):
        net({"X": x, "Y": x})


def test_two_inputs_may_each_be_cut():
    net = NetInitialize(
        NetGraph(
            {"a": ConvolutionLayer(1, [2], Interleaving=True), "b": PoolingLayer([4], Interleaving=True), "sum": Plus},
            [(NetPort("X"), "a"), (NetPort("Y"), "b"), (["a", "b"], "sum")],
            X=["Varying", 1],
            Y=["Varying", 1],
        )
    )
    x, y = np.ones((6, 1)), np.ones((8, 1))
    assert net({"X": x, "Y": y}).shape == (5, 1)
    with pytest.raises(EncodingError, match=r"lengths that fit\. Got lengths 7 and 6, where 5 fits"):
        net({"X": x, "Y": y[1:]})


def test_a_target_that_does_not_fit_what_the_net_makes():
    net = NetGraph(
        {"net": ConvolutionLayer(1, [2], Interleaving=True), "loss": MeanSquaredLossLayer()},
        [(NetPort("Input"), "net", NetPort("loss", "Input")), (NetPort("Target"), NetPort("loss", "Target"))],
        Input=["Varying", 1],
    )
    options = {"MaxTrainingRounds": 1, "TrainingProgressReporting": None}
    data = {"Input": [np.ones((n, 1)) for n in (3, 5)], "Target": [np.ones((n - 1, 1)) for n in (3, 5)]}
    assert NetTrain(net, data, **options).initialized
    with pytest.raises(EncodingError, match=r"lengths that fit. Got lengths 5 and 5 in example 2, where 4 fits"):
        NetTrain(net, {**data, "Target": [data["Target"][0], np.ones((5, 1))]}, **options)


def test_lengths_that_can_never_be_equal():
    with pytest.raises(ShapeError, match="needs equal lengths where n-1 and n meet"):
        NetGraph(
            {"a": ConvolutionLayer(1, [2], Interleaving=True), "sum": Plus},
            [(NetPort("X"), "a"), (["a", NetPort("X")], "sum")],
            X=["Varying", 1],
        )


def test_lengths_of_which_none_follows_from_the_other():
    net = NetGraph(
        {"a": PoolingLayer([2], 2, Interleaving=True), "b": PoolingLayer([3], 3, Interleaving=True), "sum": Plus},
        [(NetPort("X"), "a"), (NetPort("Y"), "b"), (["a", "b"], "sum")],
        X=["Varying", 1],
        Y=["Varying", 1],
    )
    assert net({"X": np.ones((5, 1)), "Y": np.ones((6, 1))}).shape == (2, 1)
    with pytest.raises(EncodingError, match=r"Got lengths 9 and 5, so that lengths 3 and 2 meet, which must be equal\."):
        net({"X": np.ones((5, 1)), "Y": np.ones((9, 1))})


def test_channels_cannot_vary():
    for make in (lambda: ConvolutionLayer(2, [2], Input=["Varying", 3]), lambda: PoolingLayer([2], Input=["Varying", 3])):
        with pytest.raises(ShapeError, match="has channels, which cannot be of varying number; Interleaving=True puts them last"):
            make()
    with pytest.raises(ShapeError, match="varying"):
        ConvolutionLayer(2, [2], Interleaving=True, Input=["Varying", 3], Output=[4, 2])


def test_training_learns_a_moving_sum():
    rng = np.random.default_rng(3)
    inputs = [rng.normal(size=(n, 1)) for n in rng.integers(2, 9, 60)]
    targets = [x[1:] + x[:-1] for x in inputs]
    net = NetChain(
        [ConvolutionLayer(1, [2], Interleaving=True), FunctionLayer(lambda x: x, Varying="elementwise")], Input=["Varying", 1]
    )
    trained = NetTrain(
        net, {"Input": inputs, "Output": targets}, MaxTrainingRounds=150, LearningRate=0.05, TrainingProgressReporting=None
    )
    np.testing.assert_allclose(trained.arrays["1", "Weights"].reshape(-1), [1, 1], atol=0.02)
