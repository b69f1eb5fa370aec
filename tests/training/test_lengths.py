"""Sequences whose lengths must agree: those of a net's input and its target."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl import LinearLayer, LongShortTermMemoryLayer, NetChain, NetMapOperator, NetTrain
from netdsl.errors import EncodingError


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
