"""What a process keeps after it has trained and applied many different nets."""

import gc
from collections import Counter

import jax
import numpy as np

from netdsl import NetChain, NetTrain, Rule, Tanh
from netdsl.lowering import compilation


def kept(widths):
    """How many objects of netdsl's own classes, and arrays on devices, are there after these nets."""
    for width in widths:
        net = NetChain([width, Tanh, 2], Input=3)
        data = Rule(np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32))
        NetTrain(net, data, MaxTrainingRounds=1, TrainingProgressReporting=None)(np.ones(3))
    gc.collect()
    own = Counter(type(thing).__name__ for thing in gc.get_objects() if str(type(thing).__module__).startswith("netdsl"))
    return own, len(jax.live_arrays())


def test_nets_that_are_gone_leave_nothing_but_the_newest_programs(monkeypatch):
    monkeypatch.setattr(compilation, "CAPACITY", 6)
    monkeypatch.setattr(compilation, "_functions", type(compilation._functions)())
    first, arrays = kept(range(3, 9))
    assert len(compilation._functions) == 6
    second, after = kept(range(9, 15))
    assert first["NetChain"], "the newest programs keep the form of their nets: the count sees them"
    assert (second - first, after - arrays) == (Counter(), 0)
