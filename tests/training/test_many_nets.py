"""What a process keeps after it has trained and applied many different nets."""

import gc
from collections import Counter
from pathlib import Path

import jax
import numpy as np
import pytest

from netdsl import NetChain, NetTrain, Quantity, Rule, Tanh
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


def resident():
    """The megabytes of memory of this process."""
    gc.collect()
    with open("/proc/self/status") as lines:
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to ask for the memory of a process")
def test_memory_is_flat_over_rounds_and_over_nets():
    """Over 200 rounds with validations, and over 200 nets that are trained and applied, each of which takes a megabyte."""
    data, seen = Rule(np.ones((16, 3), np.float32), np.zeros((16, 2), np.float32)), []
    options = {"BatchSize": 16, "ValidationSet": data, "TrainingProgressReporting": None}

    def trained(rounds, function=None):
        net = NetChain([300, Tanh, 300, 2], Input=3)
        return NetTrain(net, data, MaxTrainingRounds=rounds, TrainingProgressFunction=function, **options)

    trained(240, [lambda facts: seen.append(resident()), {"Interval": Quantity(40, "Rounds")}])
    assert len(seen) == 6
    assert seen[-1] - seen[0] < 8
    for number in range(240):
        trained(1)(np.ones(3))
        seen += [resident()] if number % 40 == 39 else []
    assert seen[-1] - seen[-6] < 20
