"""Sequences whose lengths must agree: those of a net's input and its target."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import (
    All,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetChain,
    NetInitialize,
    NetMapOperator,
    NetTrain,
    SequenceLastLayer,
)
from netdsl.errors import EncodingError
from netdsl.lowering import compilations
from netdsl.nets import Sequence
from netdsl.training import lengths


def test_targets_of_another_length_than_the_net_gives():
    net = NetChain([LongShortTermMemoryLayer(2), NetMapOperator(LinearLayer(1))], Input=["Varying", 2])
    inputs = [np.ones((n, 2)) for n in (2, 5, 3)]
    targets = [np.ones((n, 1)) for n in (2, 6, 3)]
    with pytest.raises(EncodingError, match=r"take sequences of equal length. Got lengths 5 and 6 in example 2\."):
        NetTrain(net, {"Input": inputs, "Output": targets}, MaxTrainingRounds=1, TrainingProgressReporting=None)
    trained = NetTrain(
        net,
        {"Input": inputs, "Output": [t[: len(x)] for x, t in zip(inputs, targets)]},
        MaxTrainingRounds=1,
        TrainingProgressReporting=None,
    )
    assert trained(inputs[1]).shape == (5, 1)


# Batches of about equal lengths


def sequences(count, longest=200, seed=3):
    source = np.random.default_rng(seed)
    inputs = [source.normal(size=(n, 2)).astype(np.float32) for n in source.integers(1, longest + 1, size=count)]
    return inputs, np.array([[x.sum()] for x in inputs], np.float32) / 10


SUMS = NetInitialize(NetChain([LongShortTermMemoryLayer(3), SequenceLastLayer(), 1], Input=["Varying", 2]))
QUIET = {"TrainingProgressReporting": None, "MaxTrainingRounds": 2}


def test_few_programs_serve_all_lengths():
    net = NetInitialize(NetChain([LongShortTermMemoryLayer(3), SequenceLastLayer(), 1], Input=["Varying", 2]), RandomSeeding=2)
    before = compilations()
    NetTrain(net, sequences(400), BatchSize=8, **QUIET)
    made = compilations() - before
    assert 2 < made <= lengths.MOST_GROUPS
    before = compilations()
    NetTrain(net, sequences(400), BatchSize=8, **{**QUIET, "MaxTrainingRounds": 3}, RandomSeeding=9)
    assert compilations() == before


def test_the_loss_is_a_mean_over_examples_whatever_their_lengths():
    inputs, targets = sequences(45)
    results = NetTrain(SUMS, (inputs, targets), All, BatchSize=9, LearningRate=0, **QUIET)
    outputs = np.array([SUMS(x) for x in inputs])
    np.testing.assert_allclose(results("RoundLossList"), np.mean((outputs - targets) ** 2), rtol=1e-4)


def test_batches_are_padded_to_few_lengths_and_come_in_a_random_order():
    source = np.random.default_rng(1)
    column = Sequence(np.zeros((1000, 300)), source.integers(1, 301, size=1000))
    group, padded = lengths.groups({"Input": column})
    order, which = lengths.arranged(source.permutation(1000), group, 16, np.random.default_rng(5))
    assert sorted(order) == list(range(1000))
    assert len(which) == 63
    for batch, its_group in enumerate(which[:-1]):
        longest = column.length[order[16 * batch : 16 * batch + 16]].max()
        assert longest <= dict(padded[its_group])["Input"]
    assert which[-1] == group.max()
    assert padded[-1] == (("Input", 300),)
    steps = np.abs(np.diff(which[:-1]))
    assert steps.max() > 2
    assert (steps > 0).mean() > 0.4
    computed = sum(dict(padded[g])["Input"] for g in which) / (63 * 300)
    assert computed < 0.65


def test_equal_lengths_are_one_group():
    column = Sequence(np.zeros((10, 7)), np.full(10, 7))
    assert lengths.groups({"Input": column}) == (None, [])
    assert lengths.groups({"Input": np.zeros((10, 7))}) == (None, [])


def test_two_ports_that_vary():
    columns = {
        "a": Sequence(np.zeros((4, 64)), np.array([1, 64, 30, 2])),
        "b": Sequence(np.zeros((4, 9)), np.array([9, 1, 9, 2])),
    }
    group, padded = lengths.groups(columns)
    for each in range(4):
        for port, longest in padded[group[each]]:
            assert columns[port].length[each] <= longest
    assert dict(padded[-1]) == {"a": 64, "b": 9}
