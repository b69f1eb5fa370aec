"""Nets and trainings in processes made by fork and by spawn, and in several threads at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from netdsl import BatchNormalizationLayer, DropoutLayer, NetChain, NetInitialize, NetTrain, Ramp, Rule, Tanh
from netdsl.lowering import compilation

INPUTS = np.random.default_rng(1).normal(size=(96, 3)).astype(np.float32)
DATA = Rule(INPUTS, INPUTS.sum(1))


def trained(seed: int, precision: str = "Real32") -> Any:
    net = NetChain([4, BatchNormalizationLayer(), Ramp, DropoutLayer(0.2), 1])
    options = {"MaxTrainingRounds": 2, "BatchSize": 16, "TrainingProgressReporting": None}
    return NetTrain(net, DATA, RandomSeeding=seed, WorkingPrecision=precision, **options)


FORKS = """
import json, multiprocessing, os, sys, time
import numpy as np
from netdsl import *
x = np.ones((4, 3), np.float32)
net = NetChain([4, Ramp, 1], Input=3)  # arrays would start JAX
image = NetEncoder("Image", [4, 4])

def train(given=None):
    return NetTrain(net if given is None else given, Rule(x, x.sum(1)), MaxTrainingRounds=1, TrainingProgressReporting=None)

def forked(*works):
    # what each of these did in a child: its error, "done", or nothing where it hung
    found = []
    for work in works:
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            try:
                work()
                said = "done"
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            os.write(theirs, said.encode())
            os._exit(0)
        os.close(theirs)
        end = time.monotonic() + 10
        while not os.waitpid(child, os.WNOHANG)[0]:
            if time.monotonic() > end:
                os.kill(child, 9)
            time.sleep(0.002)
        found.append(os.read(ours, 1000).decode())
    return found

works = [lambda: net(x[0]), lambda: net(x), train, lambda: train(NetChain([5, Tanh, 1])), lambda: NetMeasurements(net, Rule(x, [1] * 4),
    "Loss"), lambda: image(np.zeros((8, 8), np.uint8)), lambda: net(x[0], NetPortGradient("Input"))]
before = forked(lambda: (NetInitialize(net)(x), train(), image(np.zeros((8, 8), np.uint8))))
net = NetInitialize(net)
net(x), train()
harmless = forked(lambda: NetInitialize(NetChain([4, Tanh], Input=3)), lambda: repr(net),
    lambda: np.asarray(NetExtract(net, (1, "Weights"))), lambda: image.encode(np.zeros((8, 8), np.uint8)))
after = forked(*works, lambda: forked(works[0]) == forked(works[1]) or 1 / 0)
try:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply(net, (x,))
except DeviceError as error:
    after.append(f"DeviceError: {error}")
print(json.dumps([before, harmless, after, train() == train()]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_works_before_JAX_has_started_and_is_refused_afterwards() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NETDSL_CACHE_DIR": "off"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, timeout=300, env=environment
    )
    assert not done.returncode, done.stderr
    before, harmless, after, parent = json.loads(done.stdout)
    assert before == ["done"]
    assert harmless == ["done"] * 4
    assert after.pop(7) == "done", "a child of the child is refused too"
    assert len(set(after)) == 1
    assert after[0].startswith("DeviceError: This process was made by fork after JAX had started")
    assert parent


def evaluated(job: Any) -> Any:
    net, example = job
    return net(example)


def test_processes_made_by_spawn() -> None:
    """Nets go there and come back, and train to the same bits."""
    net = NetInitialize(NetChain([4, Tanh, 1], Input=3))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(evaluated, [(net, example) for example in INPUTS[:5]]) == [net(example) for example in INPUTS[:5]]
        assert pool.apply(trained, (1,)) == trained(1)


class TestThreads:
    def test_eight_threads_ask_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """More nets than programs are kept, compiled at the same time, and one net for many."""
        monkeypatch.setattr(compilation, "CAPACITY", 3)
        nets = [NetInitialize(NetChain([width, Tanh, 1], Input=3), RandomSeeding=width) for width in range(20, 26)] * 2
        with ThreadPoolExecutor(8) as pool:
            several = list(pool.map(lambda net: net(INPUTS), nets))
            single = list(pool.map(nets[0], INPUTS))
        for net, found in zip(nets, several):
            weights, biases, *last = (np.asarray(value) for value in net.arrays.values())
            expected = np.tanh(INPUTS @ weights.T + biases) @ last[0].T + last[1]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert single == [nets[0](example) for example in INPUTS]
        assert len(compilation._functions) <= 3

    def test_trainings_at_once_are_those_one_after_the_other(self) -> None:
        """Of different seeds, and of different precisions, which JAX has for each thread."""
        jobs = [(1, "Real32"), (2, "Real32"), (1, "Real64")]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda job: trained(*job), jobs * 2))
        alone = [trained(*job) for job in jobs]
        assert found == alone * 2
        assert alone[0] != alone[1]
        assert alone[0] != alone[2]
