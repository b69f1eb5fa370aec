"""The cores of a machine share batches: with the same numbers, the same bits each time, and nothing of it to be seen."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import pytest
from jaxlib import xla_client

from netdsl import (
    All,
    BatchNormalizationLayer,
    ConvolutionLayer,
    DropoutLayer,
    FlattenLayer,
    LinearLayer,
    NetChain,
    NetInitialize,
    NetMapOperator,
    NetTrain,
    PoolingLayer,
    Ramp,
    SequenceLastLayer,
    SoftmaxLayer,
)
from netdsl.lowering import cores
from netdsl.nets import Net
from netdsl.training import run

# How many cores share a batch


@pytest.mark.parametrize("devices", [0, 2, 3, 8])
def test_parts_of_a_batch_are_equal_and_not_too_small(devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_devices", lambda: tuple(range(devices)))
    for size in range(1, 131):
        fit = [n for n in range(2, devices + 1) if size % n == 0 and size // n >= cores.SMALLEST_PART]
        assert cores.cores_for(size, math.inf) == max(fit, default=1)
        assert cores.cores_for(size, 0) == 1, "not where it does not pay"


def made_anew(monkeypatch: pytest.MonkeyPatch, available: int = 2) -> None:
    """Let the devices be made again, as in a process that has not trained, on a machine of so many cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(available)), raising=False)
    monkeypatch.setattr(cores, "_devices", lru_cache(cores._devices.__wrapped__))


@pytest.fixture(scope="module")
def devices() -> Any:
    """The devices of this process; two of them where the machine has one core."""
    made = cores._devices()
    if len(made) < 2:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("NETDSL_CPU_CORES", raising=False)
            made_anew(patch)
            made = cores._devices()
    assert len(made) >= 2
    return made


@pytest.fixture
def share(devices: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let so many cores, 1 or 2, share the batches of trainings."""
    monkeypatch.setenv("NETDSL_CACHE_DIR", "off")
    monkeypatch.setattr(cores, "_devices", lambda: devices)
    return lambda count: monkeypatch.setattr(run, "cores_for", lambda *_: count)


# The law


def normal(*sizes: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=sizes).astype(np.float32)


def pictures(**options: Any) -> tuple[Net, Any, Any]:
    """A net, data and validation data; the last batch of each is filled up."""
    layers = [
        ConvolutionLayer(3, 3, Biases=None),  # what the statistics take out again would be rounding only
        BatchNormalizationLayer(**options),
        Ramp,
        PoolingLayer(2, 2),
        DropoutLayer(0.4),
        FlattenLayer(),
        3,
        SoftmaxLayer(),
    ]
    inputs, classes = normal(21, 1, 6, 6), np.arange(21) % 3 + 1
    return NetInitialize(NetChain(layers, Input=[1, 6, 6])), (inputs, classes), (inputs[:9] + 1, classes[:9])


def sequences() -> tuple[Net, Any, Any]:
    """Statistics over elements of varying number: no core alone knows how many there are."""
    inner = NetChain([LinearLayer(4, Biases=None), BatchNormalizationLayer(), Ramp])
    layers = [NetMapOperator(inner), BatchNormalizationLayer(Interleaving=True), SequenceLastLayer(), 2]
    data = [normal(2 + i * i % 5, 3) + i / 10 for i in range(11)]
    return NetInitialize(NetChain(layers, Input=["Varying", 3])), (data, normal(11, 2)), (data[:3], normal(3, 2))


CASES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "pictures": (pictures, {}),
    "frozen statistics, momentum": (
        lambda: pictures(LearningRateMultipliers=0),
        {"Method": ["SGD", {"Momentum": 0.9}], "LearningRate": 0.05, "LearningRateMultipliers": {1: 2}},
    ),
    "sequences": (sequences, {}),
}


def trained(case: str, **options: Any) -> Any:
    make, more = CASES[case]
    net, data, validation = make()
    options = {"BatchSize": 8, "MaxTrainingRounds": 3, "ValidationSet": validation, "TargetDevice": "CPU", **more, **options}
    return NetTrain(net, data, All, TrainingProgressReporting=None, **options)


def bits(net: Net) -> str:
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in {**net.arrays, **net.state}.values())).hexdigest()


@pytest.mark.parametrize("case", CASES)
def test_two_cores_train_to_the_numbers_of_one(case: str, share: Callable[[int], None]) -> None:
    share(1)
    one = trained(case)
    share(2)
    two, again = trained(case), trained(case)
    for name in ("BatchLossList", "RoundLossList", "ValidationLossList"):
        assert len(one(name)) > 2
        np.testing.assert_allclose(two(name), one(name), rtol=1e-4, atol=1e-6, err_msg=name)
    for name in ("BatchMeasurementsLists", "ValidationMeasurementsLists"):
        for kind, values in one(name).items():
            np.testing.assert_allclose(two(name)[kind], values, rtol=1e-6, err_msg=f"{name} {kind}")
    nets = [results("TrainedNet") for results in (one, two)]
    for path, value in {**nets[0].arrays, **nets[0].state}.items():
        np.testing.assert_allclose({**nets[1].arrays, **nets[1].state}[path], value, rtol=1e-3, atol=1e-5, err_msg=str(path))
    assert nets[0].state
    assert bits(two("TrainedNet")) == bits(again("TrainedNet"))
    assert np.array_equal(two("BatchLossList"), again("BatchLossList"))


def test_a_trained_net_is_where_every_array_is(share: Callable[[int], None]) -> None:
    """Nobody else's arrays are on the devices of a training: what it made is used together with them."""
    before = [str(jax.devices()), jax.device_count(), jax.config.jax_num_cpu_devices]
    share(2)
    net = trained("pictures", MaxTrainingRounds=1)("TrainedNet")
    assert [str(jax.devices()), jax.device_count(), jax.config.jax_num_cpu_devices] == before
    for value in {**net.arrays, **net.state}.values():
        assert set(value.devices()) <= set(jax.devices("cpu"))
    x = jax.device_put(normal(2, 1, 6, 6), jax.devices("cpu")[0])
    outputs, _ = net.function()(net.arrays, net.state, x)
    np.testing.assert_allclose(net(x), outputs, rtol=1e-5)


# A machine that does not let us


@pytest.mark.parametrize("trouble", ["missing", "raises", "one core"])
def test_without_devices_of_its_own_a_training_runs_on_one(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETDSL_CACHE_DIR", "off")
    monkeypatch.delenv("NETDSL_CPU_CORES", raising=False)
    made_anew(monkeypatch, 1 if trouble == "one core" else 2)
    if trouble == "missing":
        monkeypatch.delattr(xla_client, "make_cpu_client")
    elif trouble == "raises":

        def refuse(*_: Any, **__: Any) -> None:
            raise RuntimeError("no client")

        monkeypatch.setattr(xla_client, "make_cpu_client", refuse)
    assert cores.cores_for(64, math.inf) == 1
    data, options = (normal(32, 3), normal(32, 2)), {"BatchSize": 16, "MaxTrainingRounds": 1}
    losses = NetTrain(NetChain([2], Input=3), data, "BatchLossList", TrainingProgressReporting=None, **options)
    assert losses.shape == (2,)
    assert np.isfinite(losses).all()


# What a user sees of it, in processes of their own

TRAINING = """
import hashlib
import numpy as np
from netdsl import BatchNormalizationLayer, ConvolutionLayer, DropoutLayer, FlattenLayer, NetChain, NetTrain, Ramp

MANY = [ConvolutionLayer(2, 3), BatchNormalizationLayer(), Ramp, DropoutLayer(0.5), FlattenLayer(), 1]

def bits(layers=MANY):
    inputs = np.cos(np.arange(36 * 25)).reshape(36, 1, 5, 5)
    net = NetTrain(NetChain(layers), (inputs, inputs.sum((1, 2, 3))[:, None]), BatchSize=16, MaxTrainingRounds=2,
                   TrainingProgressReporting=None, TargetDevice="CPU")
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in {**net.arrays, **net.state}.values())).hexdigest()
"""

PROCESS = """
import json, os
os.sched_getaffinity = lambda _: {0, 1}
import jax
if "DEVICES" in os.environ:
    jax.config.update("jax_num_cpu_devices", int(os.environ["DEVICES"]))
    jax.config.update("jax_platforms", "cpu")

def seen():
    names = [str(device) for device in jax.devices()]
    return [names, jax.device_count(), jax.config.jax_num_cpu_devices, jax.config.jax_platforms, jax.default_backend()]

before = seen() if "DEVICES" in os.environ else None
from netdsl.training import run
run.cores_for = lambda *_: 2
made = bits(*([[FlattenLayer(), 1]] if before else []))
print(json.dumps({"before": before, "after": seen(), "bits": made, "default": jax.numpy.ones(3).devices() == {jax.devices()[0]}}))
"""


def process(source: str, **environment: str) -> Any:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_") and name != "NETDSL_CPU_CORES"}
    done = subprocess.run(
        [sys.executable, "-c", source], env={**kept, "NETDSL_CACHE_DIR": "off", **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_training_before_anything_else_changes_no_devices_and_repeats_its_bits(share: Callable[[int], None]) -> None:
    found = process(TRAINING + PROCESS, JAX_PLATFORMS="cpu")
    assert found["after"][1:] == [1, -1, "cpu", "cpu"]
    assert found["default"]
    share(2)
    here: dict[str, Any] = {}
    exec(TRAINING, here)
    assert here["bits"]() == found["bits"]


def test_devices_that_a_user_asked_for_stay_so() -> None:
    found = process(TRAINING + PROCESS, DEVICES="3")
    assert found["after"] == found["before"]
    assert found["after"][1:3] == [3, 3]
    assert found["default"]


def test_a_user_can_ask_for_one_core() -> None:
    source = """
import os
os.sched_getaffinity = lambda _: {0, 1}
from netdsl.lowering import cores
one = cores.cores_for(64, 1e9)
del os.environ["NETDSL_CPU_CORES"]
cores._devices.cache_clear()
print([one, cores.cores_for(64, 1e9)])
"""
    assert process(source, NETDSL_CPU_CORES="1") == [1, 2]


def test_computations_that_wait_for_each_other_are_not_under_way_at_once(devices: Any) -> None:
    """Of two trainings in two threads each could have one core, and wait for the other."""
    entered, mesh = threading.Event(), cores.mesh_of(devices[:2])

    def enter(mesh: Any) -> None:
        with cores.alone(mesh):
            entered.set()

    with cores.alone(mesh):
        others = [threading.Thread(target=enter, args=(each,), daemon=True) for each in (mesh, None)]
        others[0].start()
        assert not entered.wait(0.2)
        others[1].start()
        assert entered.wait(10)
        entered.clear()
    assert entered.wait(10)


def test_trainings_in_threads(share: Callable[[int], None]) -> None:
    share(2)
    here: dict[str, Any] = {}
    exec(TRAINING, here)
    expected, found = here["bits"](), []
    threads = [threading.Thread(target=lambda: found.append(here["bits"]()), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == [expected] * 3
