"""What NetTrain says when memory runs out, what goes with the error, and that a smaller batch works afterwards."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netdsl import (
    DeviceError,
    FunctionLayer,
    LinearLayer,
    LongShortTermMemoryLayer,
    NetChain,
    NetInitialize,
    NetMeasurements,
    SequenceLastLayer,
    Tanh,
)
from netdsl.training import run

OUT_OF_MEMORY = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123456789 bytes.")
INPUTS = np.random.default_rng(7).normal(size=(40, 3)).astype(np.float32)
DATA = INPUTS, INPUTS.sum(1)
OPTIONS = {"BatchSize": 8, "LearningRateMultipliers": {1: 0}, "MaxTrainingRounds": 5}


def net():
    return NetInitialize(NetChain([4, Tanh, LinearLayer([])], Input=3))


def digest(net):
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in net.arrays.values())).hexdigest()


@pytest.fixture
def failing(monkeypatch):
    """Has a function that `run` calls, found by its name there, raise an error from its n-th call on."""

    def fail(name, error, nth=1):
        made, calls = getattr(run, name), []

        def make(plan):
            function = made(plan)

            def call(*arguments):
                calls.append(1)
                if len(calls) < nth:
                    return function(*arguments)
                if name == "chunk_function":  # what was donated is gone
                    for leaf in jax.tree.leaves(arguments[:2]):
                        leaf.delete()
                raise error

            return call

        monkeypatch.setattr(run, name, make)
        return monkeypatch.undo

    return fail


def test_in_the_first_batches(failing, train, capsys):
    start = net()
    expected = train(start, DATA, **OPTIONS)
    mend = failing("chunk_function", OUT_OF_MEMORY)
    with pytest.raises(DeviceError) as caught:
        train(start, DATA, **OPTIONS, TrainingProgressReporting="Print")
    # data: 40·(3 + 1) numbers; arrays: 12 + 4 fixed, 4 + 1 trained, those again for the gradients and twice for ADAM, its counter;
    # wires: 3 + 4 + 4 + 1 of the net, the target and the loss
    assert str(caught.value) == (
        "NetTrain ran out of memory on the CPU in round 1, with batches of 8.\n"
        "  data         640 bytes\n"
        "  arrays       148 bytes  (with gradients and what the method keeps)\n"
        "  activations  896 bytes  (about 112 bytes for each example, with gradients)\n"
        "  XLA said     Out of memory while trying to allocate 123456789 bytes.\n"
        "Try BatchSize=4."
    )
    assert caught.value.results is None
    assert "Training ran out of memory after 1 round, " in capsys.readouterr().out
    mend()
    assert digest(train(start, DATA, **OPTIONS)("TrainedNet")) == digest(expected("TrainedNet"))
    assert train(start, DATA, **{**OPTIONS, "BatchSize": 4})("TotalRounds") == 5


@pytest.mark.parametrize(
    ("function", "nth", "where", "best"),
    [
        ("chunk_function", 4, "in round 3", 2),
        ("validation_function", 2, "in the validation after round 2", 1),
    ],
)
@pytest.mark.parametrize("precision", ["Real32", "Real64"])
def test_the_best_net_so_far_goes_with_the_error(failing, train, function, nth, where, best, precision):
    start = net()
    options = {**OPTIONS, "ValidationSet": DATA, "WorkingPrecision": precision}
    expected = train(start, DATA, **{**options, "MaxTrainingRounds": best})
    assert expected("BestValidationRound") == best
    failing(function, OUT_OF_MEMORY, nth)
    with pytest.raises(DeviceError) as caught:
        train(start, DATA, **options)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"NetTrain ran out of memory on the CPU {where}, with batches of 8."
    assert lines[-1] == (
        f"Try BatchSize=4. error.results holds the results with the net of round {best}, the best by validation."
    )
    results = caught.value.results
    assert results(["BestValidationRound", "ReasonTrainingStopped"]) == [best, "ran out of memory"]
    assert digest(results("TrainedNet")) == digest(expected("TrainedNet"))
    assert isinstance(results("TrainedNet")(INPUTS[0]), float)
    assert str(results)


def test_while_data_are_placed(failing, train, monkeypatch):
    def place(training, tree, may_alias=None):
        raise OUT_OF_MEMORY

    monkeypatch.setattr(run.Training, "_place", place)
    with pytest.raises(DeviceError) as caught:
        train(net(), DATA, BatchSize=8)
    lines = str(caught.value).splitlines()
    assert lines[0] == "NetTrain ran out of memory on the CPU while it placed the data, with batches of 8."
    assert lines[-1] == "Fewer examples can help."


def test_memory_of_the_host(failing, train):
    failing("chunk_function", MemoryError("Unable to allocate 5 GiB"))
    with pytest.raises(DeviceError) as caught:
        train(net(), DATA, BatchSize=1)
    lines = str(caught.value).splitlines()
    assert lines[0] == "NetTrain ran out of memory on this computer in round 1, with batches of 1."
    assert lines[-2] == "  Python said  Unable to allocate 5 GiB"
    assert lines[-1].startswith("The batch is one example already: ")


@pytest.mark.parametrize("function", ["chunk_function", "validation_function"])
def test_other_errors_pass_unchanged(failing, train, function):
    error = jax.errors.JaxRuntimeError("INTERNAL: the cat walked over it")
    failing(function, error)
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        train(net(), DATA, ValidationSet=DATA)
    assert caught.value is error


def test_sequences_count_with_their_padding(failing, train):
    recurrent = NetChain([LongShortTermMemoryLayer(2), SequenceLastLayer(), LinearLayer([])], Input=["Varying", 3])
    data = [np.ones((length, 3)) for length in (2, 5, 4, 6)], np.ones(4)
    failing("chunk_function", OUT_OF_MEMORY)
    with pytest.raises(DeviceError) as caught:
        train(recurrent, data)
    # at length 6: 18 + 12 + 2 + 1 + 1 + 1 numbers, and the same again for the gradients
    assert "(about 280 bytes for each example, with gradients)" in str(caught.value)


def test_memory_really_runs_out_and_the_next_training_works(train):
    wide = FunctionLayer(lambda x: jnp.sort(x * jnp.ones((10**7, 10**7)), axis=0)[0, 0])
    huge = NetChain([LinearLayer([]), wide], Input=3)
    errors, live = [], []
    for _ in range(3):
        with pytest.raises(DeviceError) as caught:
            train(huge, DATA, BatchSize=8)
        errors.append(caught.value)
        gc.collect()
        live.append(len(jax.live_arrays()))
    assert str(errors[0]).endswith("\nTry BatchSize=4.")
    assert live[1] == live[2], "the errors hold no arrays"
    assert train(net(), DATA, "TotalRounds", BatchSize=8) == 2


def test_what_stays_compiled_holds_no_arrays(train):
    def live(size):
        made = train(NetChain([size, Tanh, LinearLayer([])]), DATA, "TrainedNet", ValidationSet=DATA)
        NetMeasurements(made, DATA, "Loss")
        made(INPUTS)
        del made
        gc.collect()
        return len(jax.live_arrays())

    assert live(5) == live(6) == live(7)


LIMITED = """
import resource
import numpy as np
from netdsl import *

net = NetInitialize(NetChain([LinearLayer([512, 512]), Tanh, LinearLayer([])], Input=4))
x, y = np.ones((4096, 4), "f"), np.ones(4096, "f")
options = dict(TrainingProgressReporting=None, MaxTrainingRounds=1)
few = x[:64], y[:64]
before = NetTrain(net, few, BatchSize=16, **options)
with open("/proc/self/status") as lines:
    used = 1024 * int(next(line for line in lines if line.startswith("VmSize")).split()[1])
resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 10**9, resource.RLIM_INFINITY))
try:
    NetTrain(net, (x, y), BatchSize=4096, **options)
except DeviceError as error:
    print(str(error).splitlines()[-1])
print(NetTrain(net, few, BatchSize=16, **options) == before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to limit the memory of a process")
def test_a_process_of_little_memory_goes_on_with_a_smaller_batch():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=300, env=dict(os.environ))
    assert done.stdout.splitlines() == ["Try BatchSize=2048.", "True"], done.stderr
