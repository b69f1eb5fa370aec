"""The same call gives the same bits, whatever the host does meanwhile; and what is compiled for it."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys

import jax
import numpy as np
import pytest

from netdsl import Automatic, DropoutLayer, Inherited, NetChain, NetInitialize, NetTrain, Ramp, Scaled
from netdsl.lowering import compilations
from netdsl.training import run

SOURCE = """
import hashlib
import numpy as np
from netdsl import DropoutLayer, NetChain, NetTrain, Ramp
inputs = np.linspace(-1, 1, 120).reshape(40, 3)
net = NetTrain(NetChain([4, Ramp, DropoutLayer(0.5), 1]), (inputs, inputs.sum(1)), BatchSize=4, MaxTrainingRounds=3,
               TrainingProgressReporting=None)
print(hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in net.arrays.values())).hexdigest())
"""

INPUTS = np.linspace(-1, 1, 120).reshape(40, 3)
DATA = INPUTS, INPUTS.sum(1)


def dropping():
    return NetChain([4, Ramp, DropoutLayer(0.5), 1])


def digest(net):
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in net.arrays.values())).hexdigest()


def trained(train, **options):
    return digest(train(dropping(), DATA, "TrainedNet", **{"BatchSize": 4, "MaxTrainingRounds": 3, **options}))


def test_the_same_call_gives_the_same_bits_here_and_in_another_process(train):
    here = {trained(train) for _ in range(2)}
    elsewhere = {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C", "MPLBACKEND": "pdf"}
    environment = {**os.environ, **elsewhere}  # XLA's own flags are part of what is compiled, and may change bits
    other = subprocess.run([sys.executable, "-c", SOURCE], capture_output=True, text=True, check=True, env=environment)
    assert here == {other.stdout.strip()}


def test_seeds(train):
    bits = {seed: trained(train, RandomSeeding=seed) for seed in (1, 2, "word", 1234, Inherited)}
    assert len({bits[seed] for seed in (1, 2, "word", 1234)}) == 4
    assert bits[Inherited] == bits[1234] == trained(train)


def test_a_drawn_seed_is_reported_and_reproduces_the_run(train):
    results = train(dropping(), DATA, BatchSize=4, RandomSeeding=Automatic)
    seed = results("RandomSeeding")
    assert f"seed {seed}" in str(results)
    assert digest(results("TrainedNet")) == digest(train(dropping(), DATA, "TrainedNet", BatchSize=4, RandomSeeding=seed))
    assert seed != train(dropping(), DATA, "RandomSeeding", BatchSize=4, RandomSeeding=Automatic)


def test_training_an_uninitialized_net_starts_where_NetInitialize_does(train):
    net = NetInitialize(NetChain([4, Ramp, DropoutLayer(0.5), 1], Input=3), RandomSeeding=7)
    first, second = (digest(train(start, DATA, "TrainedNet", RandomSeeding=7)) for start in (net, dropping()))
    assert first == second


def test_results_do_not_depend_on_how_often_the_host_looks(train, monkeypatch):
    bits = set()
    for seconds in (0.0, 100.0):
        monkeypatch.setattr(run, "CONSULTED_EVERY", seconds)
        results = train(dropping(), DATA, BatchSize=4, MaxTrainingRounds=4)
        bits.add((digest(results("TrainedNet")), results("BatchLossList").tobytes()))
    assert len(bits) == 1


def test_global_seeds_are_left_alone(train):
    def state():
        drawn = np.random.get_state()
        return random.getstate(), drawn[1].tolist(), drawn[2:], dict(jax.config.values), dict(os.environ), np.geterr()

    random.seed(3)
    np.random.seed(3)
    before = state()
    for options in ({"RandomSeeding": Automatic}, {"ValidationSet": Scaled(0.2), "WorkingPrecision": "Real64"}):
        train(dropping(), DATA, BatchSize=4, **options)
        assert state() == before


def test_a_second_training_compiles_nothing(train):
    first = train(dropping(), DATA, BatchSize=4)("TrainedNet")
    before = compilations()
    train(dropping(), DATA, BatchSize=4, MaxTrainingRounds=5)
    train(dropping(), DATA, BatchSize=4, LearningRate=0.1, RandomSeeding=3)
    train(dropping(), DATA, BatchSize=4, LearningRateMultipliers={1: 0.5, 4: -2})
    train(dropping(), (INPUTS + 1, -INPUTS.sum(1)), BatchSize=4)
    train(first, DATA, BatchSize=4)
    train(NetChain({"1": 4, "2": Ramp, "3": DropoutLayer(0.5), "4": 1}), DATA, BatchSize=4, TimeGoal=60)
    assert compilations() == before


@pytest.mark.parametrize("change", ["a layer", "the batch size", "the method"])
def test_what_differs_is_not_mixed_up(train, change):
    """Sharing compiled functions would be wrong here: the results must differ."""
    net = NetChain([4, Ramp, DropoutLayer(0.25), 1]) if change == "a layer" else dropping()
    options = {"the batch size": {"BatchSize": 5}, "the method": {"Method": "RMSProp"}}.get(change, {})
    other = train(net, DATA, "TrainedNet", **{"BatchSize": 4, "MaxTrainingRounds": 3, **options})
    assert digest(other) != trained(train)


def test_the_users_net_and_data_are_not_touched(train):
    net = NetInitialize(NetChain([4, Ramp, DropoutLayer(0.5), 1], Input=3))
    inputs, targets = (np.array(part) for part in DATA)
    before = digest(net), inputs.tobytes(), targets.tobytes()
    train(net, (inputs, targets), BatchSize=4)
    assert (digest(net), inputs.tobytes(), targets.tobytes()) == before
    NetTrain(net, DATA, MaxTrainingRounds=1, TrainingProgressReporting=None)
    assert isinstance(net(inputs[0]), np.ndarray)
