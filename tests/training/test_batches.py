"""Which examples each batch holds: a loss of distinct powers of two gives them away."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import LinearLayer


def batches(train, count, size, rounds=3, **options):
    """For each round the list of the sets of examples of its batches."""
    net = LinearLayer([], Weights=np.ones([1, 1]), Biases=[0.0], Input=1)
    data = {"Input": 2.0 ** np.arange(count)[:, None]}
    results = train(net, data, LossFunction="Output", LearningRate=0, BatchSize=size, MaxTrainingRounds=rounds, **options)
    used = results("BatchSize")
    sums = np.rint(results("BatchLossList") * used).astype(int)
    drawn = [{i for i in range(count) if total >> i & 1} for total in sums]
    assert all(len(batch) == used for batch in drawn), "an example stands in a batch twice"
    per_round = results("BatchesPerRound")
    return [drawn[start : start + per_round] for start in range(0, len(drawn), per_round)]


def test_every_example_is_seen_once_a_round_in_another_order(train):
    rounds = batches(train, 12, 4)
    for drawn in rounds:
        assert sorted(i for batch in drawn for i in batch) == list(range(12))
    assert rounds[0] != rounds[1] != rounds[2]
    assert rounds != [sorted(drawn, key=min) for drawn in rounds]


def test_the_last_batch_is_filled_up_from_the_rounds_own_permutation(train):
    for drawn in batches(train, 10, 4):
        assert len(drawn) == 3
        assert set.union(*drawn) == set(range(10))
        last_own = set(range(10)) - drawn[0] - drawn[1]
        assert drawn[2] - last_own <= drawn[0], "filled up with the first examples of the round"
        assert len(drawn[2] - last_own) == 2


def test_small_data_makes_the_batch_smaller(train):
    assert batches(train, 5, 64, rounds=1) == [[set(range(5))]]
    assert batches(train, 1, 64, rounds=2) == [[{0}], [{0}]]


@pytest.mark.parametrize(("count", "size", "per_round"), [(200, 64, 4), (10, 10, 1)])
def test_automatic_batch_size(train, count, size, per_round):
    results = train(LinearLayer([], Input=1), {"Input": np.zeros([count, 1])}, LossFunction="Output", MaxTrainingRounds=1)
    assert (results("BatchSize"), results("BatchesPerRound"), results("ExamplesProcessed")) == (size, per_round, size * per_round)
