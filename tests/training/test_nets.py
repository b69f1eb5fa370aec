"""Nets with varying lengths, state, shared arrays, randomness and native convolutions in training."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    BatchNormalizationLayer,
    ConvolutionLayer,
    DataError,
    DropoutLayer,
    EmbeddingLayer,
    FlattenLayer,
    FunctionLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetArray,
    NetChain,
    NetGraph,
    NetInitialize,
    NetPort,
    Ramp,
    Restricted,
    SequenceLastLayer,
    SoftmaxLayer,
    Times,
)
from netdsl.lowering import compilation
from netdsl.lowering.kernels import convolution

RANDOM = np.random.default_rng(9)
INPUTS = RANDOM.normal(size=(12, 3)).astype(np.float32)


def bits(net):
    return {path: np.asarray(value).tobytes() for path, value in {**net.arrays, **net.state}.items()}


def test_sequences_of_varying_length(train):
    net = NetInitialize(NetChain([LongShortTermMemoryLayer(4), SequenceLastLayer(), 2, SoftmaxLayer()], Input=["Varying", 3]))
    sequences = [RANDOM.normal(size=(length, 3)).astype(np.float32) for length in (2, 5, 3, 7, 1, 4, 4, 2)]
    classes = np.arange(8) % 2 + 1
    results = train(net, (sequences, classes), LearningRate=0, MaxTrainingRounds=1)
    probabilities = np.stack([net(one) for one in sequences])
    np.testing.assert_allclose(results("RoundLoss"), -np.mean(np.log(probabilities[np.arange(8), classes - 1])), rtol=1e-4)
    long = train(net, (sequences, classes), "RoundLossList", MaxTrainingRounds=30, LearningRate=0.05)
    assert long[-1] < 0.5 * long[0]


def test_padding_of_the_longest_changes_no_training(train):
    """A longer validation sequence pads nothing of the training; longer training data pad all, with equal results."""
    net = NetInitialize(
        NetChain(
            [EmbeddingLayer(3, 5), LongShortTermMemoryLayer(4), SequenceLastLayer(), LinearLayer([])],
            Input=["Varying", Restricted("Integer", 5)],
        )
    )
    tokens = [RANDOM.integers(1, 6, size=length) for length in (2, 3, 1)]
    targets = np.array([1.0, -1.0, 0.5])
    short = train(net, (tokens, targets), "TrainedNet", MaxTrainingRounds=1, Method="SGD", LearningRate=0.1)
    assert short(tokens[0]) != net(tokens[0])
    losses = train(net, (tokens, targets), ValidationSet=([np.ones(9, int)], [0.0]), LearningRate=0, MaxTrainingRounds=1)
    np.testing.assert_allclose(losses("ValidationLoss"), net(np.ones(9, int)) ** 2, rtol=1e-4)


def test_automatic_batches_of_sequences_are_smaller(train):
    net = NetChain([LongShortTermMemoryLayer(2), SequenceLastLayer(), LinearLayer([])], Input=["Varying", 1])
    assert train(net, ([np.ones([2, 1])] * 20, np.zeros(20)), "BatchSize", MaxTrainingRounds=1) == 16


def test_moving_statistics_follow_the_batches(train):
    net = NetChain([BatchNormalizationLayer(Momentum=0.75), LinearLayer([])], Input=3)
    trained = train(net, (INPUTS, INPUTS.sum(1)), "TrainedNet", MaxTrainingRounds=2)
    mean, variance = INPUTS.mean(0), INPUTS.var(0)
    np.testing.assert_allclose(trained.state["1", "MovingMean"], (1 - 0.75**2) * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(trained.state["1", "MovingVariance"], 0.75**2 + (1 - 0.75**2) * variance, rtol=1e-4)


def test_dropout_masks_do_not_depend_on_the_batch_size_in_their_share(train):
    """Each example of each batch gets a mask of its own: the loss, the mean of what is left, varies and averages to 1."""
    net = NetChain([DropoutLayer(0.5), LinearLayer([], Weights=[[1.0]], Biases=None)], Input=1)
    for size in (200, 1000):
        losses = train(net, {"Input": np.ones([1000, 1])}, "BatchLossList", LossFunction="Output", LearningRate=0, BatchSize=size)
        assert abs(losses.mean() - 1) < 0.1
        assert len(set(losses.tolist())) > 1


def test_dropout_draws_anew_in_every_round(train):
    net = NetChain([DropoutLayer(0.5), LinearLayer([], Weights=np.ones([1, 20]), Biases=None)], Input=20)
    losses = train(net, {"Input": np.ones([1, 20])}, "BatchLossList", LossFunction="Output", LearningRate=0, MaxTrainingRounds=8)
    assert len(set(losses.tolist())) > 3


def test_arrays_shared_by_name_stay_one(train):
    tied = NetArray("tied")
    net = NetChain({"a": LinearLayer(3, Weights=tied), "b": LinearLayer(3, Weights=tied)}, Input=3)
    trained = train(net, (INPUTS, INPUTS), "TrainedNet")
    assert set(trained.arrays) == {("", "tied"), ("a", "Biases"), ("b", "Biases")}
    w, a, b = (np.asarray(trained.arrays[path]) for path in [("", "tied"), ("a", "Biases"), ("b", "Biases")])
    np.testing.assert_allclose(trained(INPUTS), (INPUTS @ w.T + a) @ w.T + b, rtol=1e-4, atol=1e-5)


def test_a_learned_array_inside_a_function(train):
    scale = NetArray("scale", Dimensions=[3])
    net = NetChain([FunctionLayer(lambda x: x * scale)], Input=3)
    trained = train(net, (INPUTS, INPUTS * [1.0, -2.0, 3.0]), "TrainedNet", MaxTrainingRounds=400, LearningRate=0.1)
    np.testing.assert_allclose(trained.arrays["", "scale"], [1, -2, 3], atol=1e-2)


def test_arrays_of_half_precision_stay_so(train):
    import jax.numpy as jnp

    net = NetInitialize(NetChain([2], Input=3))
    net = net.with_arrays({path: value.astype(jnp.bfloat16) for path, value in net.arrays.items()})
    trained = train(net, (INPUTS, INPUTS[:, :2]), "TrainedNet")
    assert {value.dtype for value in trained.arrays.values()} == {jnp.dtype(jnp.bfloat16)}
    assert bits(trained) != bits(net)


def test_nets_without_arrays_or_inputs(train):
    net = NetGraph({"times": Times}, [([NetPort("A"), NetPort("B")], "times")])
    with pytest.raises(ValueError, match=r"This net has no array to train: it has no arrays\."):
        train(net, {"A": INPUTS, "B": INPUTS, "Output": INPUTS})
    with pytest.raises(DataError, match="no column for the input port 'B'"):
        train(net, {"A": INPUTS, "Output": INPUTS})


def test_native_convolutions_and_patches_train_to_the_same_numbers(train, monkeypatch):
    net = NetChain(
        [ConvolutionLayer(2, 3), Ramp, ConvolutionLayer(3, 2, Stride=2, PaddingSize=1), FlattenLayer(), LinearLayer([])]
    )
    net = NetInitialize(net.changed(Input=[1, 9, 9]))
    images, targets = RANDOM.normal(size=(6, 1, 9, 9)), np.arange(6.0)
    runs = []
    for form in ("native", "patches"):
        monkeypatch.setattr(convolution, "form", lambda *_, form=form: form)
        monkeypatch.setattr(compilation, "_functions", type(compilation._functions)())
        options = {"BatchSize": 4, "ValidationSet": (images[:3], targets[:3]), "Method": "SGD", "LearningRate": 0.01}
        runs.append(train(net, (images, targets), **options))
    native, patches = runs
    for name in ("BatchLossList", "ValidationLossList"):
        assert len(native(name)) == {"BatchLossList": 4, "ValidationLossList": 2}[name]
        np.testing.assert_allclose(native(name), patches(name), rtol=1e-4)
    for path, value in patches("TrainedNet").arrays.items():
        np.testing.assert_allclose(native("TrainedNet").arrays[path], value, rtol=1e-3, atol=1e-5)


def test_channel_groups_train(train):
    net = NetChain([ConvolutionLayer(4, 3, ChannelGroups=2), FlattenLayer(), LinearLayer([])], Input=[2, 5, 5])
    data = RANDOM.normal(size=(4, 2, 5, 5)), np.arange(4.0)
    losses = train(net, data, "RoundLossList", MaxTrainingRounds=20, LearningRate=0.01)
    assert losses[-1] < losses[0]
